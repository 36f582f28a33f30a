"""Pictures of a folder that were made to hurt: one sentence, at once."""

import struct
import time
import zlib
from pathlib import Path

import cv2
import pytest

from staf_backend.video import VideoError, open_video
from tests.support.make_clips import number, picture


def _chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def _encoded(suffix: str) -> bytes:
    return cv2.imencode(suffix, picture(7)[..., ::-1])[1].tobytes()


def _bomb(size: int) -> bytes:
    """A TIFF whose every entry is a directory: the directory itself."""
    count = min((size - 10) // 12, 65_535)
    entry = struct.pack("<HHII", 0x8769, 4, 1, 8)
    return b"II" + struct.pack("<HIH", 42, 8, count) + entry * count


@pytest.mark.parametrize("suffix", [".png", ".jpg"])
def test_directories_within_directories_are_not_followed_for_ever(tmp_path: Path, suffix: str):
    data = _encoded(suffix)
    if suffix == ".png":
        data = data[:33] + _chunk(b"eXIf", _bomb(800_000)) + data[33:]
    else:
        segment = b"Exif\0\0" + _bomb(65_000)
        data = data[:2] + b"\xff\xe1" + struct.pack(">H", len(segment) + 2) + segment + data[2:]
    (tmp_path / f"1{suffix}").write_bytes(data)
    began = time.monotonic()
    assert [number(image) for image in open_video(tmp_path).frames()] == [7]
    assert time.monotonic() - began < 5


@pytest.mark.parametrize("side", [20_000, 40_000, 2**31 - 1])
def test_a_header_cannot_ask_for_all_memory(tmp_path: Path, side: int):
    head = struct.pack(">IIBBBBB", side, side, 8, 2, 0, 0, 0)
    data = b"\x89PNG\r\n\x1a\n" + _chunk(b"IHDR", head) + _chunk(b"IDAT", zlib.compress(b""))
    (tmp_path / "1.png").write_bytes(data + _chunk(b"IEND", b""))
    with pytest.raises(VideoError, match=f"{side}x{side} px: no video has"):
        open_video(tmp_path)


def test_a_jpegs_size_is_found_behind_stray_bytes(tmp_path: Path):
    data = bytearray(_encoded(".jpg"))
    place = data.index(b"\xff\xc0")
    data[place + 5 : place + 9] = b"\xff\xff\xff\xff"
    (tmp_path / "1.jpg").write_bytes(data[:2] + b"stray\xff\x00\xff" + data[2:])
    with pytest.raises(VideoError, match="65535x65535 px: no video has"):
        open_video(tmp_path)


def test_only_ascii_digits_are_numbers(tmp_path: Path):
    names = ["²1.png", "١.png", "frame10.png", "frame9.png", "³.png"]
    for i, name in enumerate(names):
        (tmp_path / name).write_bytes(cv2.imencode(".png", picture(i)[..., ::-1])[1].tobytes())
    found = [number(image) for image in open_video(tmp_path).frames()]
    assert sorted(found) == [0, 1, 2, 3, 4]
    assert found.index(3) < found.index(2)


@pytest.mark.parametrize("cut", [3, 20])
@pytest.mark.parametrize("suffix", [".png", ".jpg"])
def test_a_picture_without_a_size_is_refused(tmp_path: Path, suffix: str, cut: int):
    (tmp_path / f"1{suffix}").write_bytes(_encoded(suffix)[:cut])
    with pytest.raises(VideoError, match="no readable picture"):
        open_video(tmp_path)


@pytest.mark.parametrize("kind", [b"IDAT", b"tEXt"])
def test_a_part_longer_than_its_file_costs_nothing(tmp_path: Path, kind: bytes):
    """OpenCV 5 takes memory, and seconds, for as much as a part of a PNG says that it has."""
    data = _encoded(".png")
    part = struct.pack(">I", 0xF000_0000) + kind + bytes(200)
    (tmp_path / "1.png").write_bytes(data[:33] + part)
    began = time.process_time()
    with pytest.raises(VideoError, match="no readable picture"):
        open_video(tmp_path)
    assert time.process_time() - began < 1
