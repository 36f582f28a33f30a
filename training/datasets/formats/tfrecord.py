"""TensorFlow's record files and the examples in them, without TensorFlow.

    record    8 bytes length │ 4 checksum of it │ message │ 4 checksum of the message
    Example   {1: Features {1: repeated entry {1: name, 2: Feature}}}
    Feature   {1: bytes list} or {2: floats} or {3: integers}, each {1: repeated values}

The length's checksum is looked at, the message's is not: CRC-32C of megabytes takes seconds here,
and a cut file is noticed by its length.
"""

import os
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import numpy as np

from staf_backend.files import open_file
from training.datasets.store import SetError

_VARINT, _EIGHT, _BYTES, _FOUR = 0, 1, 2, 5  # wire types (protocol buffers' encoding)
_POLYNOMIAL = 0x82F63B78  # CRC-32C (Castagnoli), reflected
_MOST_BYTES = 1 << 31  # of a message that is read: protocol buffers allow no more
_MOST_VALUES = 1_000_000
"""Of one list in an example.  Chosen: a body's vertices have 20,000 numbers; as Python's objects a
million take 40 MB."""

Feature = list[bytes] | np.ndarray
"""Byte strings, float32 numbers or int64 numbers."""


def records(path: Path) -> Iterator[bytes]:
    """The messages of a file, one at a time.

    Raises:
        SetError: missing, cut short, or no record file.
    """
    try:
        with open_file(path) as file:
            size_bytes = os.fstat(file.fileno()).st_size
            while head := file.read(12):
                length = int.from_bytes(head[:8], "little")
                if len(head) < 12 or int.from_bytes(head[8:], "little") != masked_crc(head[:8]):
                    raise SetError(f"{path} is no TFRecord file, or damaged.", "Fetch it again.")
                if length > min(size_bytes - file.tell(), _MOST_BYTES):
                    raise SetError(f"{path} is cut short.", "Fetch it again.")
                body = file.read(length + 4)
                if len(body) != length + 4:
                    raise SetError(f"{path} is cut short.", "Fetch it again.")
                yield body[:-4]
    except OSError as error:
        raise SetError(f"{path} cannot be read: {error.strerror}.", "Check the path.") from error


def example(message: bytes) -> dict[str, Feature]:
    """The named features of an Example.

    Raises:
        ValueError: not an Example.
    """
    found: dict[str, Feature] = {}
    for features in _fields(message, 1):
        for entry in _fields(features, 1):
            name, value = _fields(entry, 1), _fields(entry, 2)
            if len(name) == 1 and len(value) == 1:
                found[name[0].decode()] = _feature(value[0])
    return found


def masked_crc(data: bytes) -> int:
    """TensorFlow's checksum of a record's length: CRC-32C, rotated and shifted."""
    crc = 0xFFFFFFFF
    for byte in data:
        crc = _table()[(crc ^ byte) & 0xFF] ^ (crc >> 8)
    crc ^= 0xFFFFFFFF
    return (((crc >> 15) | (crc << 17)) + 0xA282EAD8) & 0xFFFFFFFF


@cache
def _table() -> tuple[int, ...]:
    rows = []
    for value in range(256):
        for _ in range(8):
            value = (value >> 1) ^ (_POLYNOMIAL if value & 1 else 0)
        rows.append(value)
    return tuple(rows)


def _feature(message: bytes) -> Feature:
    for kind, content in _walk(message):
        if kind == 1:
            return _fields(content, 1)
        if kind == 2:
            return np.frombuffer(b"".join(_fields(content, 1)), "<f4")
        if kind == 3:
            return _integers(content)
    return []


def _integers(message: bytes) -> np.ndarray:
    """Packed or one by one; negative numbers are two's complement in ten bytes."""
    values = []
    for content in _fields(message, 1):
        at = 0
        while at < len(content):
            value, at = _varint(content, at)
            values.append(value - (1 << 64) if value >> 63 else value)
            if len(values) > _MOST_VALUES:
                raise ValueError("it has far more numbers than an example")
    return np.array(values, np.int64)


def _fields(message: bytes, number: int) -> list[bytes]:
    """Contents of all fields of a number."""
    return [content for found, content in _walk(message) if found == number]


def _walk(message: bytes) -> Iterator[tuple[int, bytes]]:
    """Field numbers and contents, a varint's being its own bytes."""
    at = count = 0
    while at < len(message):
        count += 1
        if count > _MOST_VALUES:
            raise ValueError("it has far more fields than an example")
        tag, at = _varint(message, at)
        start, wire = at, tag & 7
        if wire == _VARINT:
            _, at = _varint(message, at)
        elif wire in (_EIGHT, _FOUR):
            at += 8 if wire == _EIGHT else 4
        elif wire == _BYTES:
            length, start = _varint(message, at)
            at = start + length
        else:
            raise ValueError(f"wire type {wire}")
        if at > len(message):
            raise ValueError("a field is longer than its message")
        yield tag >> 3, message[start:at]


def _varint(message: bytes, at: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        if at >= len(message) or shift > 63:
            raise ValueError("a broken number")
        byte = message[at]
        value |= (byte & 0x7F) << shift
        at, shift = at + 1, shift + 7
        if byte < 0x80:
            return value, at
