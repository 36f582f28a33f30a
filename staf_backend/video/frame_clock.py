"""A movie's clock from its decoded pictures, for files whose packets do not tell it.

decode all ──► stamps in the order of showing ──► fill in what is missing ──► join the parts
"""

import logging
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from staf_backend.video.clock import Clock, nominal_rate
from staf_backend.video.packet_log import PacketLog

_log = logging.getLogger(__name__)

_REORDERED = 4
"""Frames within which stamps that fall rise above the highest again, where they are those of
decoding.  Chosen: as deep as pyramids of B-frames go."""
_LONGEST_JUMP_S = 10.0
"""Within a broadcast.  FFmpeg's -dts_delta_threshold, beyond which it too joins what was cut."""
_JOINABLE = {"mpegts", "mpeg"}
"""Containers whose clock may jump at any place (ISO/IEC 13818-1, 2.4.3.4)."""
_REORDERING = ("h264", "hevc")
"""Codecs whose frames come out of the decoder later than they go in, which AVI does not tell."""
_MOST_UNITS = 2**53
"""Between the first and the last stamp, so that doubles hold them."""


def frame_clock(path: Path, stream: Any, log: PacketLog, first: Any, rest: Iterable[Any]) -> Clock:
    """Count the pictures that the decoder gives.

    Args:
        path: for messages.
        stream: of the pictures.
        log: of the packets that go to the decoder.
        first, rest: the decoded pictures.
    """
    _warn_if_inside(path, log, first)
    stamps = [(first.pts, first.dts), *((frame.pts, frame.dts) for frame in rest)]
    log.warn_if_cut(path)
    return _clock(stamps, stream, log)


def _warn_if_inside(path: Path, log: PacketLog, first: Any) -> None:
    """Say how many pictures before the first cannot be decoded, for want of what they build on."""
    if first.pts is None:
        return
    lost = sum(pts is not None and pts < first.pts for pts in log.pts)
    if lost:
        message = "%s begins in the middle of a recording: its first %d pictures cannot be decoded"
        _log.warning(message, path.name, lost)


def _clock(stamps: Sequence[tuple[int | None, int | None]], stream: Any, log: PacketLog) -> Clock:
    rate = nominal_rate(stream)
    shown = _shown_at(stamps, stream, log)
    known = [stamp for stamp in shown if stamp is not None]
    if not known or max(known) - min(known) > _MOST_UNITS or not stream.time_base:
        return Clock(np.arange(len(stamps)), np.zeros(1, np.int64), 1 / rate, False)
    rising = np.diff(np.array(known))
    rising = rising[rising > 0]
    usual = int(np.median(rising)) if len(rising) else round(1 / (rate * stream.time_base))
    step = max(usual, 1)
    filled = _filled(shown, step)
    joinable = stream.container.format.name in _JOINABLE
    jump = round(_LONGEST_JUMP_S / stream.time_base) if joinable else _MOST_UNITS
    pts, joins = _joined(filled, step, jump)
    labelled = pts.tolist() == [pts for pts, _ in stamps] and bool(np.all(np.diff(pts) > 0))
    keys = np.unique(np.array(log.keys, np.int64))
    return Clock(pts, keys, stream.time_base, labelled and len(keys) > 0, joins)


def _shown_at(
    stamps: Sequence[tuple[int | None, int | None]], stream: Any, log: PacketLog
) -> list[int | None]:
    """When each picture is shown, in the stream's units."""
    pts = [pts for pts, _ in stamps]
    counted = stream.container.format.name == "avi" and stream.codec_context.name in _REORDERING
    if not counted and any(one is not None for one in pts):
        return pts
    # AVI numbers packets in coding order, which is no clock for codecs that reorder frames: a
    # frame is due with the packet after which it comes out of the decoder, less the first's delay
    dts = [dts for _, dts in stamps]
    delay = dts[0] - log.dts[0] if log.dts and dts[0] is not None else 0
    return [None if one is None else one - delay for one in dts]


def _filled(stamps: Sequence[int | None], step: int) -> np.ndarray:
    """(F,) int64: missing stamps between their neighbours, or a step on."""
    known = np.array([i for i, stamp in enumerate(stamps) if stamp is not None])
    values = np.array([stamp for stamp in stamps if stamp is not None], np.int64)
    places = np.arange(len(stamps))
    between = np.interp(places, known, (values - values[0]).astype(np.float64))
    between += step * (np.minimum(places - known[0], 0) + np.maximum(places - known[-1], 0))
    filled = values[0] + np.round(between).astype(np.int64)
    filled[known] = values
    return filled


def _joined(pts: np.ndarray, step: int, jump: int) -> tuple[np.ndarray, tuple[int, ...]]:
    """One rising clock over all parts, and what was added to each part after the first."""
    joined, joins, begins = pts.copy(), [], [0]
    for i in np.flatnonzero((np.diff(pts) < 0) | (np.diff(pts) > jump)) + 1:
        highest = joined[begins[-1] : i].max()
        moved = joined[i : i + _REORDERED]
        if moved[0] <= highest < moved.max() and moved.max() - highest <= jump:
            continue
        if highest < moved[0] <= highest + jump:
            continue
        added = int(highest + step - moved.min())
        joined[i:] += added
        joins.append(added + (joins[-1] if joins else 0))
        begins.append(int(i))
    for first, last in zip(begins, [*begins[1:], len(pts)], strict=True):
        joined[first:last] = np.sort(joined[first:last])
    return joined, tuple(joins)
