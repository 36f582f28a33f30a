"""H.264 in field pictures, as camcorders and broadcasts write it and no encoder at hand does.

Every macroblock is written out (I_PCM, ITU-T H.264, 7.3.5): no prediction, no transform.  Rows 0,
2, 4 ... of a picture are its top field, the others its bottom field; each is a NAL unit.
"""

from collections.abc import Iterator

import numpy as np

from tests.support.make_clips import picture

_SPS, _PPS = 0x67, 0x68
_MACROBLOCK_PX = 16


class _Bits:
    def __init__(self) -> None:
        self._text = ""

    def fixed(self, value: int, count: int) -> "_Bits":
        self._text += f"{value:0{count}b}"
        return self

    def code(self, *values: int) -> "_Bits":
        """Unsigned Exp-Golomb codes."""
        for value in values:
            text = f"{value + 1:b}"
            self._text += "0" * (len(text) - 1) + text
        return self

    def align(self) -> "_Bits":
        self._text += "0" * (-len(self._text) % 8)
        return self

    def raw(self, data: bytes) -> "_Bits":
        self._text += "".join(f"{byte:08b}" for byte in data)
        return self

    def unit(self, head: int) -> bytes:
        """As a NAL unit with its start code, closed and with emulation prevention (7.4.1)."""
        text = self._text + "1"
        text += "0" * (-len(text) % 8)
        data = int(text, 2).to_bytes(len(text) // 8, "big")
        out = bytearray()
        for byte in data:
            if out[-2:] == b"\0\0" and byte <= 3:
                out.append(3)
            out.append(byte)
        return b"\0\0\0\1" + bytes([head]) + bytes(out)


def field_pictures(count: int, width: int = 64, height: int = 64) -> Iterator[tuple[bytes, bytes]]:
    """The top and the bottom field of pictures 0 .. count - 1 of `make_clips`, all of them keys."""
    columns, rows = width // _MACROBLOCK_PX, height // _MACROBLOCK_PX
    sps = _Bits().fixed(77, 8).fixed(0, 8).fixed(30, 8)  # main profile, level 3
    sps.code(0, 0, 2, 1).fixed(0, 1).code(columns - 1, rows // 2 - 1)
    sps.fixed(0, 1).fixed(0, 1).fixed(1, 1).fixed(0, 1)  # fields may be; no crop
    sps.fixed(0, 1)
    pps = _Bits().code(0, 0).fixed(0, 2).code(0, 0, 0).fixed(0, 3)
    pps.code(0, 0, 0).fixed(0, 3)
    for number in range(count):
        luma = picture(number, width, height).mean(-1).clip(16, 235).astype(np.uint8)
        head = sps.unit(_SPS) + pps.unit(_PPS)
        top = _field(luma[0::2], 0, number)
        yield head + top, _field(luma[1::2], 1, number)


def _field(luma: np.ndarray, bottom: int, number: int) -> bytes:
    slice_ = _Bits().code(0, 7, 0).fixed(0, 4)  # frame_num: every pair begins anew
    slice_.fixed(1, 1).fixed(bottom, 1)
    if not bottom:
        slice_.code(number % 2)  # idr_pic_id
        slice_.fixed(0, 2)  # dec_ref_pic_marking of an IDR picture
    else:
        slice_.fixed(0, 1)  # dec_ref_pic_marking
    slice_.code(0)  # slice_qp_delta
    grey = bytes([128]) * (2 * (_MACROBLOCK_PX // 2) ** 2)
    for y in range(0, luma.shape[0], _MACROBLOCK_PX):
        for x in range(0, luma.shape[1], _MACROBLOCK_PX):
            block = luma[y : y + _MACROBLOCK_PX, x : x + _MACROBLOCK_PX]
            slice_.code(25).align().raw(block.tobytes()).raw(grey)
    return slice_.unit(0x65 if not bottom else 0x61)
