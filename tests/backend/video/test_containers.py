"""Every container and codec: as many frames as FFmpeg shows, each at the time FFmpeg tells."""

import json
import shutil
import subprocess
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest

from staf_backend.video import open_video
from tests.support.make_clips import number, write_clip

QUIET = {"x265-params": "log-level=none"}
B_FRAMES = {"bf": "3", "g": "12"}
VP9 = {"cpu-used": "8", "deadline": "realtime"}
CIF = {"size": (352, 288)}
YUVJ = {"pix_fmt": "yuvj420p"}
AT_25 = {"time_base": Fraction(1, 25)}
DV = {"codec": "dvvideo", "size": (720, 576), **AT_25}
KINDS: dict[str, dict[str, Any]] = {
    "h264.mp4": {"options": B_FRAMES},
    "h264.mov": {"options": B_FRAMES},
    "h264.m4v": {"options": B_FRAMES},
    "h264.3gp": {},
    "h264.f4v": {"options": B_FRAMES},
    "h264.mkv": {"options": B_FRAMES},
    "h264.flv": {"options": B_FRAMES},
    "h264.ts": {"options": B_FRAMES},
    "h264.m2ts": {"options": B_FRAMES},
    "h264.avi": {"options": B_FRAMES},
    "h264.nut": {"options": B_FRAMES},
    "h264.mxf": {"options": {"bf": "0"}, **AT_25},
    "h264.asf": {"options": {"bf": "0"}},
    "h264.h264": {"options": {"bf": "0"}},
    "interlaced.mp4": {"options": {"bf": "2", "flags": "+ildct+ilme", "x264-params": "tff=1"}},
    "interlaced.ts": {"options": {"bf": "2", "flags": "+ildct+ilme", "x264-params": "tff=1"}},
    "hevc.mp4": {"codec": "libx265", "options": QUIET},
    "hevc.mkv": {"codec": "libx265", "options": QUIET},
    "hevc.ts": {"codec": "libx265", "options": QUIET},
    "hevc.flv": {"codec": "libx265", "options": QUIET},
    "av1.mp4": {"codec": "libsvtav1", "options": {"preset": "12"}},
    "av1.webm": {"codec": "libsvtav1", "options": {"preset": "12"}},
    "av1.ivf": {"codec": "libsvtav1", "options": {"preset": "12"}},
    "vp9.webm": {"codec": "libvpx-vp9", "options": VP9},
    "vp9.mp4": {"codec": "libvpx-vp9", "options": VP9},
    "vp9.ivf": {"codec": "libvpx-vp9", "options": VP9},
    "vp8.webm": {"codec": "libvpx", "options": {"auto-alt-ref": "1", "lag-in-frames": "16"}},
    "vp8.ivf": {"codec": "libvpx"},
    "vp8.ogv": {"codec": "libvpx"},
    "vp8.avi": {"codec": "libvpx"},
    "mpeg1.mpg": {"codec": "mpeg1video", **AT_25},
    "mpeg2.mpg": {"codec": "mpeg2video", "options": {"bf": "2"}, **AT_25},
    "mpeg2.vob": {"codec": "mpeg2video", "options": {"bf": "2"}, **AT_25},
    "mpeg2.ts": {"codec": "mpeg2video", "options": {"bf": "2"}, **AT_25},
    "mpeg2.mkv": {"codec": "mpeg2video", "options": {"bf": "2"}, **AT_25},
    "mpeg2.mxf": {"codec": "mpeg2video", "options": {"bf": "2"}, **AT_25},
    "mpeg2.gxf": {"codec": "mpeg2video", "size": (720, 576), **AT_25},
    "mpeg4.mp4": {"codec": "mpeg4", "options": {"bf": "2"}},
    "mpeg4.avi": {"codec": "mpeg4", "options": {"bf": "2"}},
    "mpeg4.mkv": {"codec": "mpeg4", "options": {"bf": "2"}},
    "xvid.m4v": {"codec": "mpeg4"},
    "h263.3gp": {"codec": "h263", **CIF},
    "flv1.flv": {"codec": "flv"},
    "wmv1.asf": {"codec": "wmv1"},
    "wmv2.wmv": {"codec": "wmv2"},
    "wtv.wtv": {"codec": "mpeg2video", **AT_25},
    "msmpeg4.avi": {"codec": "msmpeg4v2"},
    "mjpeg.mov": {"codec": "mjpeg", **YUVJ},
    "mjpeg.avi": {"codec": "mjpeg", **YUVJ},
    "mjpeg.mkv": {"codec": "mjpeg", **YUVJ},
    "amv.mjpeg": {"codec": "mjpeg", **YUVJ},
    "prores.mov": {"codec": "prores_ks", "pix_fmt": "yuv422p10le"},
    "dnxhr.mov": {
        "codec": "dnxhd",
        "pix_fmt": "yuv422p",
        "size": (1280, 720),
        **AT_25,
        "options": {"profile": "dnxhr_lb"},
    },
    "dv.dv": {**DV, "pix_fmt": "yuv420p"},
    "dv.avi": {**DV, "pix_fmt": "yuv420p"},
    "dv.mov": {**DV, "pix_fmt": "yuv420p"},
    "ffv1.mkv": {"codec": "ffv1", "pix_fmt": "yuv422p"},
    "huffyuv.avi": {"codec": "huffyuv", "pix_fmt": "yuv422p"},
    "utvideo.avi": {"codec": "utvideo", "pix_fmt": "yuv422p"},
    "qtrle.mov": {"codec": "qtrle", "pix_fmt": "rgb24"},
    "png.mov": {"codec": "png", "pix_fmt": "rgb24"},
    "raw.avi": {"codec": "rawvideo", "pix_fmt": "yuv420p"},
    "raw.y4m": {"codec": "wrapped_avframe", "pix_fmt": "yuv420p"},
    "gif.gif": {"codec": "gif", "pix_fmt": "rgb8"},
    "apng.apng": {"codec": "apng", "pix_fmt": "rgb24"},
    "flash.swf": {"codec": "flv"},
    "real.rm": {"codec": "rv10", "size": (176, 144)},
    "cinepak.avi": {"codec": "cinepak", "pix_fmt": "rgb24"},
    "zmbv.avi": {"codec": "zmbv", "pix_fmt": "bgr0"},
    "jpeg2000.mxf": {"codec": "jpeg2000", **AT_25},
}


def decoded_times(path: Path) -> list[float | None]:
    """Seconds of every frame as PyAV's decoder stamps it; None where it does not.

    In AVI reordered frames have no stamps of their own, and FFmpeg takes those of decoding.
    """
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        counted = path.suffix == ".avi" and stream.codec_context.name == "h264"
        frames = container.decode(stream)
        stamps = [(f.dts if counted else f.pts, f.time_base) for f in frames]
    return [float(at * unit) if at is not None and unit else None for at, unit in stamps]


def probed_times(path: Path) -> list[float | None]:
    """The same by FFmpeg's own program."""
    command = [
        "ffprobe",
        "-v",
        "error",
        "-select_streams",
        "v:0",
        "-of",
        "json",
        "-show_entries",
        "frame=best_effort_timestamp_time",
        str(path),
    ]
    answer = subprocess.run(command, capture_output=True, text=True, check=True)
    frames = json.loads(answer.stdout).get("frames", [])
    return [
        float(f["best_effort_timestamp_time"]) if "best_effort_timestamp_time" in f else None
        for f in frames
    ]


def assert_equal_times(ours: np.ndarray, theirs: list[float | None]) -> None:
    assert len(ours) == len(theirs)
    told = [(t, s) for t, s in zip(ours, theirs, strict=True) if s is not None]
    if theirs[0] is not None:
        shifted = np.array([s for _, s in told]) - theirs[0]
        assert np.abs(np.array([t for t, _ in told]) - shifted).max() < 1.001e-3


@pytest.mark.parametrize("name", KINDS)
def test_times_are_those_that_ffmpeg_tells(tmp_path: Path, name: str, caplog):
    path = write_clip(tmp_path / name, **KINDS[name])
    video = open_video(path)
    numbers = [number(image) for image in video.frames()]
    assert len(numbers) == len(video.times_s)
    assert_equal_times(video.times_s, decoded_times(path))
    if shutil.which("ffprobe") and (probed := probed_times(path)):  # old ones cannot read all
        assert_equal_times(video.times_s, probed)
    assert numbers == list(range(len(numbers)))
    assert len(numbers) == 30
    assert not caplog.records
