"""Damage to files, drawn by random numbers: bytes that flip, ends that lack, odd values."""

import re
import struct

import numpy as np

_ODD_BYTES = [
    *(struct.pack("<d", value) for value in (np.nan, np.inf, -np.inf, 1e308, -1e300, 5e-324)),
    *(struct.pack("<f", value) for value in (np.nan, np.inf, -1e38)),
    *(struct.pack("<q", value) for value in (-1, 0, 2**31, 2**62, -(2**63))),
    *(struct.pack("<i", value) for value in (-1, 0, 2**31 - 1, -(2**31), 65536)),
    *(struct.pack(">i", value) for value in (-1, 2**31 - 1, 65536)),
]
_ODD_WORDS = [
    *("NaN", "Infinity", "-Infinity", "1e308", "-1e999", "-1", "0", "2.5", "null", "true", "[]"),
    *("{}", '""', '"x"', '"\\ud800"', '"\\u0000"', '"\\u001b[2J"', '"../../x"', '"/dev/zero"'),
    *("9" * 400, "9223372036854775808", '"' + "y" * 5000 + '"', "[[[]]]", "[1,[2]]", "{" * 9),
    *("[" * 3000 + "]" * 3000, "[" * 100_000, '{"0":' * 1500 + "1" + "}" * 1500, '{"a": 1}'),
]
_WORD = re.compile(rb'-?\d+(?:\.\d*)?(?:e[-+]?\d+)?|"[^"\n]*"|true|false|null|\[[^][]*\]')


def damaged(data: bytes, text: bool, rng: np.random.Generator) -> bytes:
    """A file's bytes with one to three damages.

    Args:
        text: whether they are JSON or the like, whose words are replaced most of the time.
    """
    for _ in range(rng.integers(1, 4)):
        if text and rng.random() < 0.75:
            data = _other_word(data, rng)
        else:
            data = _DAMAGES[rng.integers(len(_DAMAGES))](data, rng)
    return data


def _place(data: bytes, rng: np.random.Generator) -> int:
    """Anywhere, but every other time near the beginning, where formats keep their structure."""
    end = min(len(data), 600) if rng.random() < 0.5 else len(data)
    return int(rng.integers(end + 1)) if end else 0


def _other_word(data: bytes, rng: np.random.Generator) -> bytes:
    places = [match.span() for match in _WORD.finditer(data)]
    if not places:
        return data
    start, end = places[rng.integers(len(places))]
    return data[:start] + _ODD_WORDS[rng.integers(len(_ODD_WORDS))].encode() + data[end:]


def _flip(data: bytes, rng: np.random.Generator) -> bytes:
    changed = bytearray(data)
    for _ in range(rng.integers(1, 9)):
        at = _place(data, rng)
        if at < len(changed):
            changed[at] ^= 1 << rng.integers(8)
    return bytes(changed)


def _odd_number(data: bytes, rng: np.random.Generator) -> bytes:
    at, odd = _place(data, rng), _ODD_BYTES[rng.integers(len(_ODD_BYTES))]
    at -= at % 4 if rng.random() < 0.8 else 0
    return data[:at] + odd + data[at + len(odd) :]


def _cut(data: bytes, rng: np.random.Generator) -> bytes:
    return data[: _place(data, rng)]


def _remove(data: bytes, rng: np.random.Generator) -> bytes:
    at = _place(data, rng)
    return data[:at] + data[at + int(rng.integers(1, 64)) :]


def _repeat(data: bytes, rng: np.random.Generator) -> bytes:
    at = _place(data, rng)
    return data[:at] + data[at : at + 64] * int(rng.integers(2, 40)) + data[at:]


_DAMAGES = (_flip, _flip, _odd_number, _odd_number, _odd_number, _cut, _remove, _repeat)
