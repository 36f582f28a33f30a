"""Clips of every kind come out upright, complete, in order and at their own times."""

import struct
import subprocess
import sys
from fractions import Fraction

import av
import cv2
import numpy as np
import pytest

from staf_backend.video import VideoError, movie, open_video
from staf_backend.video.clock import Clock
from tests.support.make_clips import (
    CORNERS,
    corner_names,
    delay_edit,
    number,
    packets,
    picture,
    set_display_matrix,
    write_clip,
)
from tests.support.places import REPOSITORY

QUIET = {"x265-params": "log-level=none"}
KINDS = {
    "b_frames.mp4": {"options": {"bf": "3", "g": "12"}},
    "phone.mov": {"options": {"bf": "2"}},
    "h264.mkv": {"options": {"bf": "3", "g": "12"}},
    "vp9.webm": {"codec": "libvpx-vp9", "options": {"cpu-used": "8"}},
    "vp8.webm": {"codec": "libvpx"},
    "mpeg4.avi": {"codec": "mpeg4", "options": {"bf": "2"}},
    "h264.avi": {"options": {"bf": "3", "g": "12"}},
    "mjpeg.avi": {"codec": "mjpeg", "pix_fmt": "yuvj420p"},
    "moving.gif": {"codec": "gif", "pix_fmt": "rgb8"},
    "ten_bit.mp4": {"codec": "libx265", "pix_fmt": "yuv420p10le", "options": QUIET},
    "ten_bit_h264.mp4": {"pix_fmt": "yuv420p10le"},
    "odd.mp4": {"size": (127, 95), "pix_fmt": "yuv444p"},
    "tiny.mp4": {"size": (16, 16)},
    "broadcast.ts": {"options": {"bf": "3", "g": "12"}},
    "raw.h264": {"options": {"bf": "2"}},
    "lossless.mkv": {"codec": "ffv1", "pix_fmt": "yuv422p"},
    "windows.wmv": {"codec": "wmv2"},
}


@pytest.mark.parametrize("name", KINDS)
def test_every_frame_of_every_kind_comes_once_in_order_and_on_time(tmp_path, name):
    video = open_video(write_clip(tmp_path / name, **KINDS[name]))
    images = list(video.frames())
    assert [number(image) for image in images] == list(range(30))
    assert len(video.times_s) == 30
    # Matroska and ASF count milliseconds, GIF hundredths; the others are exact
    coarse = {".mkv": 1e-3, ".webm": 1e-3, ".wmv": 1e-3, ".gif": 1e-2}
    np.testing.assert_allclose(
        video.times_s, np.arange(30) / 30, atol=coarse.get(video.path.suffix, 1e-9)
    )
    width, height = KINDS[name].get("size", (128, 96))
    assert images[0].shape == (video.height_px, video.width_px, 3) == (height, width, 3)
    assert images[0].dtype == np.uint8
    assert images[0].flags.c_contiguous
    assert corner_names(images[0]) == list(CORNERS)
    assert video.fps == pytest.approx(30, rel=0.02)
    assert not video.has_audio


@pytest.mark.parametrize("name", ["b_frames.mp4", "h264.mkv", "vp9.webm", "h264.avi", "moving.gif"])
def test_any_stretch_equals_the_same_frames_of_the_whole(tmp_path, name):
    video = open_video(write_clip(tmp_path / name, **KINDS[name]))
    whole = list(video.frames())
    for first, last in ((0, 1), (11, 13), (12, 30), (29, 30), (7, 7)):
        part = list(video.frames(first, last))
        assert len(part) == last - first
        for one, other in zip(part, whole[first:last], strict=True):
            np.testing.assert_array_equal(one, other)
    with pytest.raises(IndexError):
        video.frames(3, 31)


def test_a_variable_clock_is_kept_exactly(tmp_path):
    ticks = np.cumsum([0, *np.random.default_rng(3).integers(500, 9000, 39)]).tolist()
    options = {"bf": "3", "g": "10"}
    path = write_clip(
        tmp_path / "phone.mp4", ticks=ticks, time_base=Fraction(1, 90_000), options=options
    )
    video = open_video(path)
    np.testing.assert_allclose(video.times_s, np.array(ticks) / 90_000, atol=1e-9)
    assert [number(image) for image in video.frames(17, 30)] == list(range(17, 30))
    assert video.fps == pytest.approx(39 / video.times_s[-1])


def test_the_clock_starts_at_zero_wherever_the_files_does(tmp_path):
    late = write_clip(tmp_path / "late.mkv", ticks=range(300, 330))
    early = write_clip(tmp_path / "early.mkv", ticks=range(-3, 27))
    for path in (late, early):
        video = open_video(path)
        np.testing.assert_allclose(video.times_s, np.arange(30) / 30, atol=1e-3)
        assert [number(image) for image in video.frames()] == list(range(30))


def test_two_frames_of_one_time_are_spread(tmp_path):
    path = write_clip(tmp_path / "twice.mkv", codec="mjpeg", pix_fmt="yuvj420p")
    clock = movie.open_movie(path).clock
    pts = clock.pts.copy()
    pts[[10, 11]] = pts[10]
    pts[-3:] = pts[-3]
    times_s = Clock(pts, clock.keys, clock.time_base, True).times_s
    assert np.all(np.diff(times_s) > 0)
    unchanged = [i for i in range(28) if i != 11]
    np.testing.assert_allclose(times_s[unchanged], np.array(pts)[unchanged] / 1000, atol=1e-9)


def test_what_an_edit_list_cuts_away_is_not_shown(tmp_path):
    path = write_clip(tmp_path / "edited.mp4", options={"bf": "2", "g": "12"})
    with av.open(str(path)) as container:
        per_frame = round(1 / 30 / (container.streams.video[0].time_base or 1))
    delay_edit(path, 14 * per_frame)
    video = open_video(path)
    assert [number(image) for image in video.frames()] == list(range(14, 30))
    np.testing.assert_allclose(video.times_s, np.arange(16) / 30, atol=1e-9)
    assert [number(image) for image in video.frames(12, 14)] == [26, 27]


def test_hidden_reference_frames_of_vp8_are_not_counted():
    """hidden_frames.webm: pictures of `make_clips`, by FFmpeg's two-pass libvpx, auto-alt-ref
    on."""
    path = REPOSITORY / "tests" / "data" / "hidden_frames.webm"
    assert len(packets(path)) > 60
    video = open_video(path)
    assert len(video.times_s) == 60
    assert [number(image) for image in video.frames()] == list(range(60))
    assert [number(image) for image in video.frames(40, 43)] == [40, 41, 42]


MATRICES = [
    (1, 0, 0, 1),
    (0, 1, -1, 0),
    (-1, 0, 0, -1),
    (0, -1, 1, 0),
    (-1, 0, 0, 1),
    (1, 0, 0, -1),
    (0, 1, 1, 0),
    (0, -1, -1, 0),
]


@pytest.mark.parametrize("matrix", MATRICES)
def test_turned_and_mirrored_clips_stand_upright(tmp_path, matrix):
    path = write_clip(tmp_path / "turned.mp4", ticks=range(3))
    set_display_matrix(path, *matrix)
    a, b, c, d = matrix
    shown = {}
    for name, (x, y) in zip(CORNERS, [(-1, -1), (1, -1), (-1, 1), (1, 1)], strict=True):
        shown[b * x + d * y, a * x + c * y] = name
    video = open_video(path)
    image = next(video.frames())
    assert corner_names(image) == [shown[place] for place in sorted(shown)]
    assert (video.width_px, video.height_px) == ((96, 128) if a == 0 else (128, 96))
    assert image.shape == (video.height_px, video.width_px, 3)
    assert video.mirrored == (a * d - b * c < 0)
    if not video.mirrored:
        turn = {(1, 0): 0, (0, 1): 90, (-1, 0): 180, (0, -1): 270}
        assert video.rotation_deg == turn[a, b]


@pytest.mark.parametrize(("pix_fmt", "color_range"), [("yuv420p", 1), ("yuvj420p", 2)])
def test_limited_and_full_range_give_the_same_colours(tmp_path, pix_fmt, color_range):
    options = {"crf": "4"}
    path = write_clip(
        tmp_path / "range.mp4", pix_fmt=pix_fmt, color_range=color_range, options=options
    )
    image = next(open_video(path).frames())
    for (y, x), color in zip(
        [(12, 16), (12, 112), (84, 16), (84, 112)], CORNERS.values(), strict=True
    ):
        assert np.abs(image[y, x].astype(int) - color).max() <= 6


def test_anamorphic_footage_gets_square_pixels(tmp_path):
    video = open_video(write_clip(tmp_path / "wide.mp4", aspect=Fraction(4, 3)))
    assert (video.width_px, video.height_px) == (171, 96)
    assert next(video.frames()).shape == (96, 171, 3)


def test_sound_and_focal_length_are_reported(tmp_path):
    key = "com.apple.quicktime.camera.focal_length.35mm_equivalent"
    path = write_clip(
        tmp_path / "phone.mov",
        sound=True,
        metadata={key: "26"},
        container_options={"movflags": "use_metadata_tags"},
    )
    video = open_video(path)
    assert video.has_audio
    assert video.focal is not None
    assert video.focal.px == pytest.approx(26 / 43.2666 * 160, rel=1e-4)
    assert video.focal.source == "metadata"
    assert len(list(video.frames())) == 30
    assert open_video(write_clip(tmp_path / "plain.mp4")).focal is None


def test_seeking_decodes_nothing_before_the_key_frame(tmp_path, monkeypatch):
    options = {"bf": "2", "g": "20", "keyint_min": "20", "sc_threshold": "0"}
    path = write_clip(tmp_path / "long.mp4", ticks=range(200), options=options)
    expected = list(open_video(path).frames(165, 170))
    decoded = []
    original = movie.Decoder

    def counting(container, sent, *threads):
        def counted():
            for packet in sent:
                decoded.append(packet.pts)
                yield packet

        return original(container, counted(), *threads)

    monkeypatch.setattr(movie, "Decoder", counting)
    video = open_video(path)
    decoded.clear()
    list(video.frames(165, 170))
    assert len(decoded) < 40
    monkeypatch.undo()

    # the surest proof: what lies before the key frame can be destroyed without a difference
    data = bytearray(path.read_bytes())
    table = packets(path)
    place = max(
        pos for pos, _, pts, key in table if key and pts <= sorted(p[2] for p in table)[165]
    )
    first = min(pos for pos, *_ in table)
    for pos, size, *_ in table:
        if first < pos < place:
            data[pos + 4 : pos + size] = bytes(size - 4)
    path.write_bytes(data)
    for image, other in zip(open_video(path).frames(165, 170), expected, strict=True):
        np.testing.assert_array_equal(image, other)


def test_a_copy_that_ends_early_gives_what_is_there(tmp_path, caplog):
    whole = write_clip(
        tmp_path / "whole.mp4",
        ticks=range(100),
        options={"bf": "0", "g": "25"},
        container_options={"movflags": "faststart"},
    )
    data = whole.read_bytes()
    half = tmp_path / "half.mp4"
    half.write_bytes(data[: packets(whole)[60][0] + 9])
    video = open_video(half)
    images = list(video.frames())
    assert 55 <= len(images) == len(video.times_s) <= 61
    assert [number(image) for image in images[:55]] == list(range(55))
    assert "ends early" in caplog.text


def _spoil(path, first, last):
    data = bytearray(path.read_bytes())
    for pos, size, *_ in packets(path)[first:last]:
        data[pos : pos + size] = b"\xff" * size
    path.write_bytes(data)


def test_a_few_damaged_frames_are_bridged_and_reported(tmp_path, caplog):
    path = write_clip(tmp_path / "scratch.mov", codec="mjpeg", pix_fmt="yuvj420p")
    _spoil(path, 10, 13)
    video = open_video(path)
    numbers = [number(image) for image in video.frames()]
    assert numbers == [*range(10), 9, 9, 9, *range(13, 30)]
    assert caplog.text.count("is damaged") == 3
    assert [number(image) for image in video.frames(13, 15)] == [13, 14]


def test_long_damage_is_an_error(tmp_path):
    path = write_clip(tmp_path / "scratch.mov", ticks=range(60), codec="mjpeg", pix_fmt="yuvj420p")
    _spoil(path, 20, 50)
    with pytest.raises(VideoError, match=r"scratch.mov is damaged: frame 20 \(0.667 s\)"):
        list(open_video(path).frames())


def test_damage_from_the_first_frame_on_is_an_error(tmp_path):
    path = write_clip(tmp_path / "broken.mov", codec="mjpeg", pix_fmt="yuvj420p")
    _spoil(path, 0, 30)
    with pytest.raises(VideoError, match="no frame of it can be decoded"):
        open_video(path)


def test_one_frame_is_a_video(tmp_path):
    video = open_video(write_clip(tmp_path / "one.mp4", ticks=[0]))
    assert video.times_s.tolist() == [0.0]
    assert video.span() == range(1)
    assert len(list(video.frames())) == 1


def test_spans_are_found_by_time(tmp_path):
    video = open_video(write_clip(tmp_path / "clip.mp4"))
    assert video.span() == range(30)
    assert video.span(0.1, 0.2) == range(3, 6)
    assert video.span(end_s=0.05) == range(2)
    assert video.span(0.9, 5) == range(27, 30)
    for bad in ((1.1, None), (0.5, 0.5), (0.5, 0.2), (float("nan"), None), (0.34, 0.35)):
        with pytest.raises(VideoError, match=r"clip\.mp4 has no"):
            video.span(*bad)


def test_a_folder_of_pictures_is_a_video(tmp_path):
    for i in (0, 1, 2, 9, 10, 11):
        cv2.imwrite(str(tmp_path / f"shot_{i}.png"), picture(i)[..., ::-1])
    (tmp_path / "notes.txt").write_text("no picture")
    (tmp_path / ".hidden.png").write_bytes(b"no picture")
    video = open_video(tmp_path, fps=24)
    assert [number(image) for image in video.frames()] == [0, 1, 2, 9, 10, 11]
    assert [number(image) for image in video.frames(3, 5)] == [9, 10]
    np.testing.assert_array_equal(next(video.frames()), picture(0))
    np.testing.assert_allclose(video.times_s, np.arange(6) / 24)
    assert (video.fps, video.width_px, video.height_px, video.has_audio) == (24, 128, 96, False)
    with pytest.raises(VideoError, match="no frame rate"):
        open_video(tmp_path, fps=0)


def _exif(order: str, orientation: int, focal_mm: int) -> bytes:
    """A TIFF with an orientation, and a 35 mm equivalent in a directory of its own."""
    head = (b"II" if order == "<" else b"MM") + struct.pack(order + "HI", 42, 8)
    first = struct.pack(order + "HHHIHHHHIII", 2, 0x0112, 3, 1, orientation, 0, 0x8769, 4, 1, 38, 0)
    second = struct.pack(order + "HHHIHHI", 1, 0xA405, 3, 1, focal_mm, 0, 0)
    return head + first + second


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("suffix", [".jpg", ".png"])
def test_exif_turns_pictures_as_opencv_does(tmp_path, order, orientation, suffix):
    data = cv2.imencode(suffix, picture(5)[..., ::-1])[1].tobytes()
    exif = _exif(order, orientation, 28)
    if suffix == ".jpg":
        segment = b"Exif\0\0" + exif
        data = data[:2] + b"\xff\xe1" + struct.pack(">H", len(segment) + 2) + segment + data[2:]
    else:
        import zlib

        chunk = b"eXIf" + exif
        chunk = struct.pack(">I", len(exif)) + chunk + struct.pack(">I", zlib.crc32(chunk))
        data = data[:33] + chunk + data[33:]
    (tmp_path / f"a{suffix}").write_bytes(data)
    video = open_video(tmp_path)
    image = next(video.frames())
    reference = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR)
    assert reference is not None
    np.testing.assert_array_equal(image, reference[..., ::-1])
    assert video.focal is not None
    assert video.focal.px == pytest.approx(28 / 43.2666 * 160, rel=1e-4)


def test_a_folder_with_a_stranger_among_its_pictures_is_refused(tmp_path):
    cv2.imwrite(str(tmp_path / "1.png"), picture(1))
    cv2.imwrite(str(tmp_path / "2.png"), picture(2, 64, 48))
    with pytest.raises(VideoError, match=r"2\.png is 64x48 px, the first picture 128x96"):
        list(open_video(tmp_path).frames())
    (tmp_path / "2.png").write_bytes(b"no picture")
    with pytest.raises(VideoError, match=r"2\.png is no readable picture"):
        list(open_video(tmp_path).frames())
    (tmp_path / "1.png").write_bytes(b"")
    with pytest.raises(VideoError, match=r"1\.png is no readable picture"):
        open_video(tmp_path)


def test_importing_loads_no_heavy_library():
    heavy = "{'av', 'cv2', 'torch', 'onnxruntime', 'scipy'}"
    code = f"import sys, staf_backend.video.video; print(sorted({heavy} & set(sys.modules)))"
    answer = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    assert answer.stdout.strip() == "[]"
