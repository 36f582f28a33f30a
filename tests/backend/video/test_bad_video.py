"""A file that is no usable video gets one clear line and advice."""

import struct

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


def _huge_canvas(path):
    """Two kilobytes of animation, whose frames change one pixel of 130 million."""
    screen = b"GIF89a" + struct.pack("<HHBBB", 11_000, 12_000, 0x80, 0, 0) + b"\0\0\0\xff\xff\xff"
    timing = b"\x21\xf9\x04\x04\x03\0\0\0"
    pixel = b"\x2c" + struct.pack("<HHHHB", 0, 0, 1, 1, 0) + b"\x02\x02\x4c\x01\0"
    path.write_bytes(screen + 90 * (timing + pixel) + b"\x3b")


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
    "canvas.gif": (_huge_canvas, "canvas.gif unpacks to far more pixels than footage of its size"),
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
