"""Sound never costs a picture: copied, coded anew, or left out with a word."""

from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest

from staf_backend.body import load_body
from staf_backend.export.overlay import write_overlay
from staf_backend.geometry import Camera
from staf_backend.video import open_video
from tests.support.make_clips import number, picture
from tests.support.real_clips import silent
from tests.support.sample_motions import sample_motion, swaying

BODIES = {"open-neutral": load_body("open-neutral")}
RATE = 16_000


def clip_with_sound(
    path: Path, codec: str, click_s: float = 0.6, rate: int = RATE, **how: Any
) -> Path:
    """A second of numbered pictures, and silence with one click; `layout`, `stamps` as wanted."""
    layout, stamps = how.get("layout", "mono"), how.get("stamps", lambda pts: pts)
    wave = np.zeros((2 if layout == "stereo" else 1, rate), np.float32)
    wave[:, int(click_s * rate) : int(click_s * rate) + 40] = 0.9
    with av.open(str(path), "w") as out:
        pictures: Any = out.add_stream(how.get("pictures", "libx264"), rate=30)
        pictures.width, pictures.height, pictures.pix_fmt = 64, 64, "yuv420p"
        options = {"strict": "experimental"}
        sound: Any = out.add_stream(codec, rate=rate, layout=layout, options=options)
        for i in range(30):
            image = av.VideoFrame.from_ndarray(picture(i, 64, 64), format="rgb24")
            out.mux(pictures.encode(image))
        out.mux(pictures.encode(None))
        for start in range(0, rate, 1000):
            block = av.AudioFrame.from_ndarray(
                np.ascontiguousarray(wave[:, start : start + 1000]), format="fltp", layout=layout
            )
            block.sample_rate, block.pts = rate, start
            _mux(out, sound.encode(block), stamps)
        _mux(out, sound.encode(None), stamps)
    return path


def _mux(out: Any, packets: list[Any], stamps: Any) -> None:
    for packet in packets:
        packet.pts = packet.dts = stamps(packet.pts)
        out.mux(packet)


def overlay(source: Path, path: Path, first: int = 0) -> Path:
    video = open_video(source)
    frames = np.arange(first, len(video.times_s))
    far = np.tile([50.0, 0, -3], (len(frames), 1))
    camera = Camera(60.0, video.width_px, video.height_px)
    motion = sample_motion(
        swaying(len(frames)),
        frames=frames,
        times_s=video.times_s[frames],
        camera=camera,
        root_m=far,
    )
    write_overlay(path, video, [motion], BODIES, silent)
    assert [number(image) for image in open_video(path).frames()] == [
        number(image) for image in video.frames(first)
    ]
    return path


def heard(path: Path) -> tuple[str, np.ndarray]:
    """The codec, and when the loud samples are heard."""
    with av.open(str(path.absolute())) as container:
        times = []
        for frame in container.decode(audio=0):
            samples = np.abs(frame.to_ndarray().reshape(frame.layout.nb_channels, -1)).max(0)
            loud = np.flatnonzero(samples > 0.3)
            times += list((frame.time or 0) + loud / frame.sample_rate)
        return container.streams.audio[0].codec_context.codec.canonical_name, np.array(times)


@pytest.mark.parametrize(
    ("name", "codec"),
    [
        ("a.avi", "pcm_mulaw"),
        ("a.avi", "pcm_alaw"),
        ("a.avi", "adpcm_ms"),
        ("a.avi", "pcm_s16le"),
        ("a.mov", "pcm_s24be"),
        ("a.mkv", "wavpack"),
        ("a.mkv", "tta"),
        ("a.mov", "adpcm_ima_qt"),
        ("a.flv", "adpcm_swf"),
    ],
)
@pytest.mark.parametrize("first", [0, 9])
def test_what_mp4_does_not_take_is_coded_anew(tmp_path: Path, name: str, codec: str, first: int):
    rate = 22_050 if codec == "adpcm_swf" else RATE
    how: dict[str, Any] = {"pictures": "flv"} if name.endswith("flv") else {}
    source = clip_with_sound(tmp_path / name, codec, rate=rate, **how)
    coded, times = heard(overlay(source, tmp_path / "o.mp4", first))
    assert coded == "aac"
    assert len(times)
    assert np.abs(times - (0.6 - first / 30)).min() < 0.035


@pytest.mark.parametrize("suffix", [".mp4", ".mkv", ".mov"])
@pytest.mark.parametrize("step", [1024, 4096])
def test_stamps_that_occur_twice_are_moved_apart(tmp_path: Path, suffix: str, step: int):
    """As web downloads have them; they can be muxed into Matroska and NUT only."""

    def doubled(pts: int) -> int:
        return pts // (2 * step) * 2 * step

    source = clip_with_sound(tmp_path / "twice.mkv", "aac", stamps=doubled)
    coded, times = heard(overlay(source, tmp_path / f"o{suffix}"))
    assert coded == "aac"
    assert np.abs(times - 0.6).min() < 0.3


@pytest.mark.parametrize("first", [0, 9, 35])
def test_sound_follows_its_part_of_a_joined_recording(tmp_path: Path, first: int):
    part = clip_with_sound(tmp_path / "part.ts", "mp2").read_bytes()
    source = tmp_path / "joined.ts"
    source.write_bytes(part + part)
    _, times = heard(overlay(source, tmp_path / "o.mkv", first))
    for click_s in (0.6, 1.6):
        if click_s > first / 30:
            assert np.abs(times - (click_s - first / 30)).min() < 0.06


def test_sound_that_cannot_be_read_is_left_out_and_told(tmp_path: Path, caplog):
    source = clip_with_sound(tmp_path / "odd.avi", "pcm_mulaw")
    data = source.read_bytes()
    place = data.index(b"strf", data.index(b"auds")) + 8
    source.write_bytes(data[:place] + b"\x34\x12" + data[place + 2 :])
    path = overlay(source, tmp_path / "o.mp4")
    with av.open(str(path)) as container:
        assert not container.streams.audio
    assert "the sound is of a kind that cannot be read here, and is left out" in caplog.text


@pytest.mark.parametrize("name", ["12:30.mp4", "2024-05-01T10:30:00.mkv"])
def test_an_overlay_may_be_called_after_a_time(tmp_path: Path, monkeypatch, name: str):
    source = clip_with_sound(tmp_path / "a.mp4", "aac")
    monkeypatch.chdir(tmp_path)
    assert heard(overlay(source, Path(name)))[0] == "aac"


def test_pictures_closer_than_a_tick_are_written(tmp_path: Path):
    source = tmp_path / "close.mkv"
    with av.open(str(source), "w") as out:
        stream: Any = out.add_stream("mjpeg", rate=30)
        stream.width, stream.height, stream.pix_fmt = 64, 64, "yuvj420p"
        stream.time_base = stream.codec_context.time_base = Fraction(1, 1000)
        for i in range(9):
            frame = av.VideoFrame.from_ndarray(picture(i, 64, 64), format="rgb24")
            frame.pts, frame.time_base = 10 * i, Fraction(1, 1000)
            for packet in stream.encode(frame):
                packet.pts = packet.dts = 0
                out.mux(packet)
    overlay(source, tmp_path / "o.mp4")
