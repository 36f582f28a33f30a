"""A file that is no usable video gets one clear line and advice."""

import struct
import subprocess
import sys
import zlib

import numpy as np
import pytest

from staf_backend.video import VideoError, open_video
from tests.support.make_clips import write_clip, write_sound_only


def _no_index(path):
    whole = write_clip(path.with_name("whole.mp4"))
    data = whole.read_bytes()
    path.write_bytes(data[: data.index(b"moov") - 4])


def _play_list(path):
    """A script that FFmpeg would follow to another file."""
    write_clip(path.with_name("other.mp4"))
    path.write_text("ffconcat version 1.0\nfile other.mp4\n")


def _gif(path, width_px: int, height_px: int, frames: int):
    """An animation whose frames change one pixel, in 23 bytes each."""
    size = struct.pack("<HHBBB", width_px, height_px, 0x80, 0, 0)
    timing = b"\x21\xf9\x04\x04\x03\0\0\0"
    pixel = b"\x2c" + struct.pack("<HHHHB", 0, 0, 1, 1, 0) + b"\x02\x02\x4c\x01\0"
    start = b"GIF89a" + size + b"\0\0\0\xff\xff\xff"
    path.write_bytes(start + frames * (timing + pixel) + b"\x3b")


def _png(path, side_px: int, colours: int = 0):
    """An animated PNG of two frames, the first of zeros; 6 are colours in four times 16 bits."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        sum_ = zlib.crc32(kind + data)
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", sum_)

    depth, pixel = (16, 8) if colours else (8, 1)
    packer = zlib.compressobj(1)
    rows = b"".join(packer.compress(bytes(1 + side_px * pixel)) for _ in range(side_px))
    head = struct.pack(">IIBBBBB", side_px, side_px, depth, colours, 0, 0, 0)
    control = struct.pack(">IIIIIHHBB", 0, side_px, side_px, 0, 0, 1, 20, 0, 0)
    second = struct.pack(">IIIIIHHBB", 1, 1, 1, 0, 0, 1, 20, 0, 0)
    parts = [(b"IHDR", head), (b"acTL", struct.pack(">II", 2, 0)), (b"fcTL", control)]
    parts += [(b"IDAT", rows + packer.flush()), (b"fcTL", second)]
    parts += [(b"fdAT", struct.pack(">I", 2) + zlib.compress(bytes(1 + pixel))), (b"IEND", b"")]
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + b"".join(chunk(*part) for part in parts))


def _no_frames(path):
    write_clip(path, ticks=[])


BAD = {
    "missing.mp4": (lambda _: None, "missing.mp4 does not exist"),
    "empty.mp4": (lambda path: path.write_bytes(b""), r"empty.mp4 is empty \(0 bytes\)"),
    "text.mp4": (lambda path: path.write_text("Dear diary,\n" * 99), "text.mp4 is not a video"),
    "noise.mp4": (
        lambda path: path.write_bytes(np.random.default_rng(1).bytes(50_000)),
        "noise.mp4 is not a video",
    ),
    "playlist.mp4": (_play_list, "playlist.mp4 is not a video"),
    "cut.mp4": (_no_index, r"cut.mp4 is cut off: its index \(moov\) is missing"),
    "song.m4a": (write_sound_only, "song.m4a holds sound but no picture"),
    "song.mp4": (write_sound_only, "song.mp4 holds sound but no picture"),
    "nothing.mp4": (_no_frames, "nothing.mp4 "),
    "canvas.gif": (
        lambda path: _gif(path, 8000, 4000, 90),
        "canvas.gif unpacks to far more pixels than footage of its size",
    ),
    "huge.png": (
        lambda path: _png(path, 12_000),
        "huge.png holds no picture that can be decoded, or larger ones than any video",
    ),
    "canvas.png": (lambda path: _png(path, 6001), "canvas.png says that its .* 6001x6001 px: no"),
    "folder": (lambda path: path.mkdir(), "folder is a folder without pictures"),
}


@pytest.mark.parametrize("name", BAD)
def test_bad_input_says_what_is_wrong_and_what_to_do(tmp_path, name):
    make, message = BAD[name]
    make(tmp_path / name)
    with pytest.raises(VideoError, match=message) as caught:
        open_video(tmp_path / name)
    assert caught.value.advice
    assert "\n" not in str(caught.value)
    assert (caught.value.kind, caught.value.exit_code) == ("video", 3)


def _cost(path) -> tuple[float, int]:
    """Seconds of the processor and bytes that opening a file takes at most, in a process of its
    own.

    `VmHWM` is that process's; `ru_maxrss` would begin with what its parent held.
    """
    script = f"""
import time
from staf_backend.video import VideoError, open_video
before_s = time.process_time()
try:
    open_video({str(path)!r})
except VideoError:
    lines = open("/proc/self/status").read().splitlines()
    most = next(line.split()[1] for line in lines if line.startswith("VmHWM"))
    print(time.process_time() - before_s, most)
"""
    told = subprocess.run([sys.executable, "-c", script], capture_output=True, check=True).stdout
    seconds, kilobytes = told.split()
    return float(seconds), 1000 * int(kilobytes)


@pytest.mark.skipif(sys.platform != "linux", reason="/proc is Linux's")
@pytest.mark.parametrize("name", ["canvas.gif", "huge.gif", "huge.png"])
def test_large_canvases_cost_little_before_they_are_refused(tmp_path, name):
    """14 and 138 kB of GIF took minutes; 132 million pixels of PNG took 2.8 GB."""
    if name == "huge.png":
        _png(tmp_path / name, 12_000, 6)
    elif name == "huge.gif":
        _gif(tmp_path / name, 11_500, 11_500, 600)
    else:
        _gif(tmp_path / name, 4000, 4000, 6000)
    seconds, most_bytes = _cost(tmp_path / name)
    assert seconds < 5
    assert most_bytes < 0.5e9
