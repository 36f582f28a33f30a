"""What cameras, broadcasts and browsers leave behind: every picture, once, on one rising clock."""

import os
import struct
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import cv2
import numpy as np
import pytest

from staf_backend.video import VideoError, open_video
from tests.support.make_clips import number, picture, write_clip
from tests.support.make_fields import field_pictures

MPEG2: dict[str, Any] = {"codec": "mpeg2video", "options": {"bf": "2", "g": "12"}}
TWICE = [*range(30), *range(30)]


def numbers(path: Path) -> list[int]:
    return [number(image) for image in open_video(path).frames()]


@pytest.mark.parametrize("suffix", [".ts", ".mkv", ".mp4", ".h264"])
@pytest.mark.parametrize("paired", [True, False])
def test_field_pictures_are_half_a_frame_each(tmp_path: Path, suffix: str, paired: bool, caplog):
    raw = tmp_path / "raw.h264"
    raw.write_bytes(b"".join(top + bottom for top, bottom in field_pictures(20)))
    path = raw
    if suffix != ".h264":
        path = tmp_path / f"fields{suffix}"
        with av.open(str(raw)) as source, av.open(str(path), "w") as out:
            stream = out.add_stream_from_template(source.streams.video[0])
            for i, (top, bottom) in enumerate(field_pictures(20)):
                parts = [top + bottom] if paired else [top, bottom]
                for half, data in enumerate(parts):
                    packet = av.Packet(data)
                    packet.pts = packet.dts = 3600 * i + 1800 * half
                    packet.is_keyframe, packet.duration = half == 0, 3600 // len(parts)
                    packet.time_base, packet.stream = Fraction(1, 90_000), stream
                    out.mux(packet)
    video = open_video(path)
    assert [number(image) for image in video.frames()] == list(range(20))
    np.testing.assert_allclose(video.times_s, np.arange(20) / 25, atol=1e-3)
    assert video.fps == pytest.approx(25, rel=1e-3)
    assert [number(image) for image in video.frames(11, 14)] == [11, 12, 13]
    assert not caplog.records


@pytest.mark.parametrize("suffix", [".ts", ".mkv", ".mpg"])
@pytest.mark.parametrize("begin", [5, 12])
def test_a_recording_that_begins_inside_a_group_of_pictures(
    tmp_path: Path, suffix: str, begin: int, caplog
):
    whole = write_clip(tmp_path / f"whole{suffix}", ticks=range(40), **MPEG2)
    path = tmp_path / f"cut{suffix}"
    with av.open(str(whole)) as source, av.open(str(path), "w") as out:
        stream = out.add_stream_from_template(source.streams.video[0])
        for i, packet in enumerate(p for p in source.demux(video=0) if p.size):
            if i >= begin:
                packet.stream = stream
                out.mux(packet)
    video = open_video(path)
    found = [number(image) for image in video.frames()]
    assert found == list(range(found[0], 40))
    assert found[0] >= begin - 2
    if suffix != ".mpg":  # whose muxer leaves stamps out, and FFmpeg guesses
        np.testing.assert_allclose(video.times_s, np.arange(len(found)) / 30, atol=1e-3)
    assert "begins in the middle of a recording" in caplog.text


@pytest.mark.parametrize(("suffix", "kind"), [(".ts", {}), (".ts", MPEG2), (".mpg", MPEG2)])
def test_joined_recordings_have_one_rising_clock(tmp_path: Path, suffix: str, kind: dict):
    part = write_clip(tmp_path / f"part{suffix}", **kind).read_bytes()
    path = tmp_path / f"joined{suffix}"
    path.write_bytes(part + part)
    video = open_video(path)
    assert [number(image) for image in video.frames()] == TWICE
    np.testing.assert_allclose(video.times_s, np.arange(60) / 30, atol=2e-3)
    assert [number(image) for image in video.frames(35, 38)] == [5, 6, 7]


def test_parts_of_days_apart_follow_one_another(tmp_path: Path):
    early = write_clip(tmp_path / "early.ts").read_bytes()
    late = write_clip(tmp_path / "late.ts", ticks=range(900_000, 900_030)).read_bytes()
    path = tmp_path / "joined.ts"
    path.write_bytes(early + late)
    np.testing.assert_allclose(open_video(path).times_s, np.arange(60) / 30, atol=2e-3)
    assert numbers(path) == TWICE


@pytest.mark.parametrize("b_frames", ["0", "2"])
@pytest.mark.parametrize("codec", ["libx264", "mpeg4"])
def test_dropped_frames_of_an_avi_take_their_time(
    tmp_path: Path, codec: str, b_frames: str, caplog
):
    ticks = [*range(30), *range(60, 90)]
    options = {"bf": b_frames}
    path = write_clip(tmp_path / "gap.avi", ticks=ticks, codec=codec, options=options)
    video = open_video(path)
    assert [number(image) for image in video.frames()] == list(range(60))
    np.testing.assert_allclose(video.times_s, np.array(ticks) / 30, atol=1e-3)
    assert not caplog.records


def test_repeated_and_missing_stamps_cost_no_picture(tmp_path: Path):
    ticks = [0, 1, 2, 2, 2, 5, 6, 6, 8, 9]
    path = tmp_path / "twice.mkv"
    whole = write_clip(tmp_path / "whole.mkv", codec="mjpeg", pix_fmt="yuvj420p", ticks=range(10))
    with av.open(str(whole)) as source, av.open(str(path), "w") as out:
        stream = out.add_stream_from_template(source.streams.video[0])
        for tick, packet in zip(ticks, source.demux(video=0), strict=False):
            packet.pts = packet.dts = 100 * tick
            packet.stream = stream
            out.mux(packet)
    video = open_video(path)
    assert [number(image) for image in video.frames()] == list(range(10))
    alone = [0, 1, 2, 5, 6, 8, 9]
    np.testing.assert_allclose(video.times_s[alone], np.array(ticks)[alone] / 10, atol=1e-3)
    assert np.all(np.diff(video.times_s) > 0)


def _turned(path: Path) -> Path:
    """A browser's recording on a phone that is turned after 10 frames."""
    with av.open(str(path), "w") as out:
        stream: Any = out.add_stream("libvpx", rate=30)
        stream.width, stream.height, stream.pix_fmt = 96, 128, "yuv420p"
        out.start_encoding()
        for first, size in ((0, (96, 128)), (10, (128, 96))):
            coder: Any = av.CodecContext.create("libvpx", "w")
            coder.width, coder.height, coder.pix_fmt = *size, "yuv420p"
            coder.time_base, coder.framerate = Fraction(1, 30), 30
            coder.bit_rate = 2_000_000
            for i in range(first, first + 10):
                frame = av.VideoFrame.from_ndarray(picture(i, *size), format="rgb24")
                frame.pts, frame.time_base = i, coder.time_base
                _mux(out, stream, coder.encode(frame))
            _mux(out, stream, coder.encode(None))
    return path


def _mux(out: Any, stream: Any, packets: list[Any]) -> None:
    for packet in packets:
        packet.stream = stream
        out.mux(packet)


def test_a_picture_that_changes_its_size_keeps_its_shape(tmp_path: Path, caplog):
    video = open_video(_turned(tmp_path / "turned.webm"))
    images = list(video.frames())
    assert {image.shape for image in images} == {(128, 96, 3)}
    assert [number(image) for image in images] == list(range(20))
    assert images[-1][26:102].mean() > 60
    assert max(images[-1][:26].mean(), images[-1][102:].mean()) < 5, "black above and below"
    assert caplog.text.count("from frame 10 on the picture has another shape (128x96 px)") == 1


def test_pictures_that_change_their_size_again_and_again_are_told_once(tmp_path: Path, caplog):
    path = tmp_path / "sizes.mjpeg"
    pictures = [np.zeros((64 + row % 5, 64, 3), np.uint8) for row in range(100)]
    path.write_bytes(b"".join(cv2.imencode(".jpg", one)[1].tobytes() for one in pictures))
    assert {image.shape for image in open_video(path).frames()} == {(64, 64, 3)}
    assert caplog.text.count("another shape") == 1


def test_pixels_that_change_their_shape_are_not_squeezed(tmp_path: Path, caplog):
    square = write_clip(tmp_path / "square.ts", **MPEG2, aspect=Fraction(1)).read_bytes()
    wide = write_clip(tmp_path / "wide.ts", **MPEG2, aspect=Fraction(2)).read_bytes()
    path = tmp_path / "joined.ts"
    path.write_bytes(square + wide)
    images = list(open_video(path).frames())
    assert [number(image) for image in images] == TWICE
    assert images[20][:20].mean() > 40
    assert images[-1][:20].mean() < 5, "twice as wide: half as high"
    assert "another shape" in caplog.text


def _two_tracks(path: Path, default: int, frames: int = 30) -> Path:
    """A small track of some frames before a large one of 30."""
    with av.open(str(path), "w") as out:
        tracks: list[Any] = []
        for size in ((64, 48), (128, 96)):
            stream: Any = out.add_stream("libx264", rate=30, options={"bf": "0"})
            stream.width, stream.height, stream.pix_fmt = *size, "yuv420p"
            stream.disposition = int(len(tracks) == default)
            tracks.append(stream)
        for i in range(30):
            for stream in tracks[i >= frames :]:
                image = picture(i, stream.width, stream.height)
                out.mux(stream.encode(av.VideoFrame.from_ndarray(image, format="rgb24")))
        for stream in tracks:
            out.mux(stream.encode(None))
    return path


@pytest.mark.parametrize("suffix", [".mp4", ".mov", ".mkv"])
def test_the_default_track_is_the_one_to_look_at(tmp_path: Path, suffix: str):
    video = open_video(_two_tracks(tmp_path / f"main{suffix}", default=1))
    assert (video.width_px, len(video.times_s)) == (128, 30)
    assert open_video(_two_tracks(tmp_path / f"small{suffix}", default=0)).width_px == 64


def test_without_a_default_the_largest_track_counts(tmp_path: Path):
    assert open_video(_two_tracks(tmp_path / "none.mkv", default=2)).width_px == 128


def test_a_thumbnail_is_no_footage_though_it_comes_first(tmp_path: Path):
    video = open_video(_two_tracks(tmp_path / "thumb.mov", default=0, frames=1))
    assert (video.width_px, len(video.times_s)) == (128, 30)


@pytest.mark.parametrize("suffix", [".mp4", ".mov", ".mkv", ".avi", ".flv"])
@pytest.mark.parametrize("code_page", ["cp1251", "shift_jis", "gbk", "latin-1"])
def test_titles_in_any_code_page_are_read(tmp_path: Path, suffix: str, code_page: str):
    words = {"cp1251": "Танец", "shift_jis": "踊り子", "gbk": "舞蹈家", "latin-1": "Ménuét"}
    title = words[code_page].encode(code_page)
    codec: dict[str, Any] = {} if suffix != ".flv" else {"codec": "flv"}
    metadata = {"title": "#" * len(title), "comment": "#" * len(title)}
    path = write_clip(tmp_path / f"titled{suffix}", metadata=metadata, **codec)
    path.write_bytes(path.read_bytes().replace(b"#" * len(title), title))
    assert numbers(path) == list(range(30))


@pytest.mark.parametrize("name", ["12:30.mp4", "2024-05-01T10:30:00.mp4", "concat:a.mp4", "-"])
@pytest.mark.skipif(os.name == "nt", reason="Windows allows no colons")
def test_a_name_is_no_address(tmp_path: Path, monkeypatch, name: str):
    write_clip(tmp_path / "clip.mp4").rename(tmp_path / name)
    monkeypatch.chdir(tmp_path)
    assert numbers(Path(name)) == list(range(30))


@pytest.mark.skipif(os.name == "nt", reason="no pipes among files")
def test_a_pipe_or_a_device_is_refused_at_once(tmp_path: Path):
    pipe = tmp_path / "pipe.mp4"
    os.mkfifo(pipe)
    with pytest.raises(VideoError, match=r"pipe.mp4 is a pipe"):
        open_video(pipe)
    with pytest.raises(VideoError, match="is a device"):
        open_video("/dev/zero")


def test_a_decoder_that_cannot_open_ends_at_once(tmp_path: Path):
    path = write_clip(tmp_path / "broken.mkv", codec="ffv1", pix_fmt="yuv422p")
    with av.open(str(path)) as container:
        settings = container.streams.video[0].codec_context.extradata
    assert settings
    path.write_bytes(path.read_bytes().replace(settings, bytes(len(settings))))
    with pytest.raises(VideoError, match="no frame of it can be decoded"):
        open_video(path)


def test_a_stream_that_begins_on_the_way_stops_nothing(tmp_path: Path):
    silent = write_clip(tmp_path / "silent.ts").read_bytes()
    loud = write_clip(
        tmp_path / "loud.ts", sound=True, container_options={"mpegts_start_pid": "768"}
    ).read_bytes()
    path = tmp_path / "joined.ts"
    path.write_bytes(silent + loud + silent)
    assert numbers(path)[:30] == list(range(30))


@pytest.mark.parametrize(("width", "told"), [(120, True), (128, False)])
def test_a_crop_that_is_not_applied_is_told(tmp_path: Path, width: int, told: bool, caplog):
    path = write_clip(tmp_path / "cropped.mov", codec="mjpeg", pix_fmt="yuvj420p")
    data = bytearray(path.read_bytes())
    entry = data.index(b"jpeg", data.index(b"stsd")) - 4
    aperture = struct.pack(">I4s8i", 40, b"clap", width, 1, 96, 1, 0, 1, 0, 1)
    end = entry + int.from_bytes(data[entry : entry + 4], "big")
    data[end:end] = aperture
    for kind in (b"moov", b"trak", b"mdia", b"minf", b"stbl", b"stsd"):
        place = data.index(kind) - 4
        data[place : place + 4] = (int.from_bytes(data[place : place + 4], "big") + 40).to_bytes(4)
    data[entry : entry + 4] = (int.from_bytes(data[entry : entry + 4], "big") + 40).to_bytes(4)
    path.write_bytes(data)
    assert numbers(path) == list(range(30))
    assert ("asks for a crop to 120x96 px" in caplog.text) == told
