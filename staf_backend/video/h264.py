"""Whether an H.264 stream may hold fields, from its sequence parameter sets.

ITU-T H.264, 7.3.2.1.1; the numbers are those of Exp-Golomb codes (9.1).
"""

from collections.abc import Iterator

_WITH_CHROMA = {100, 110, 122, 244, 44, 83, 86, 118, 128, 138, 139, 134, 135}
"""profile_idc of the profiles whose parameter sets tell the chroma format."""
_AVCC_SETS = 6
"""Where the first parameter set stands in an avcC box (ISO/IEC 14496-15, 5.3.3.1)."""


def always_frames(extradata: bytes) -> bool:
    """Whether every picture is a frame (frame_mbs_only_flag); False where that is not known.

    Args:
        extradata: the contents of an avcC box.
    """
    sets = list(_parameter_sets(extradata))
    try:
        return bool(sets) and all(_frames_only(one) for one in sets)
    except IndexError:
        return False


def _parameter_sets(avcc: bytes) -> Iterator[bytes]:
    if len(avcc) < _AVCC_SETS or avcc[0] != 1:
        return
    at = _AVCC_SETS
    for _ in range(avcc[5] & 31):
        length = int.from_bytes(avcc[at : at + 2], "big")
        yield avcc[at + 2 : at + 2 + length]
        at += 2 + length


class _Bits:
    """Bits of a NAL unit from the highest on; IndexError at the end."""

    def __init__(self, data: bytes) -> None:
        data = data.replace(b"\0\0\3", b"\0\0")
        self._bits = f"{int.from_bytes(data, 'big'):0{8 * len(data)}b}" if data else ""
        self._at = 0

    def read(self, count: int = 1) -> int:
        value = self._bits[self._at : self._at + count]
        if len(value) < count:
            raise IndexError
        self._at += count
        return int(value, 2) if count else 0

    def code(self) -> int:
        """An unsigned Exp-Golomb code."""
        zeros = self._bits.find("1", self._at) - self._at
        if zeros < 0:
            raise IndexError
        self._at += zeros
        return self.read(zeros + 1) - 1

    def signed(self) -> int:
        """A signed Exp-Golomb code."""
        value = self.code()
        return (value + 1) // 2 if value % 2 else -value // 2


def _frames_only(unit: bytes) -> bool:
    bits = _Bits(unit[1:])
    profile = bits.read(8)
    bits.read(16)  # constraints, level
    bits.code()  # seq_parameter_set_id
    if profile in _WITH_CHROMA:
        _skip_chroma(bits)
    bits.code()  # log2_max_frame_num_minus4
    order = bits.code()  # pic_order_cnt_type
    if order == 0:
        bits.code()
    elif order == 1:
        bits.read()
        for _ in range(2):
            bits.code()
        for _ in range(bits.code()):
            bits.code()
    bits.code()  # max_num_ref_frames
    bits.read()  # gaps_in_frame_num_value_allowed_flag
    bits.code()  # width
    bits.code()  # height
    return bool(bits.read())


def _skip_chroma(bits: _Bits) -> None:
    chroma = bits.code()
    if chroma == 3:
        bits.read()  # separate_colour_plane_flag
    bits.code()  # bit depths
    bits.code()
    bits.read()  # qpprime_y_zero_transform_bypass_flag
    if bits.read():
        for number in range(12 if chroma == 3 else 8):
            if bits.read():
                _skip_scaling_list(bits, 16 if number < 6 else 64)


def _skip_scaling_list(bits: _Bits, length: int) -> None:
    """7.3.2.1.1.1: deltas until one makes the next scale zero."""
    scale = 8
    for _ in range(length):
        scale = (scale + bits.signed()) % 256
        if scale == 0:
            return
