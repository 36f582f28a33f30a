"""A movie's clock from its packets alone, for files in which a packet is a picture."""

from pathlib import Path
from typing import Any

import numpy as np

from staf_backend.video.clock import Clock
from staf_backend.video.h264 import always_frames
from staf_backend.video.packet_log import PacketLog

_CONTAINERS = {"mov", "matroska"}
"""Those that give each packet the time at which its picture is shown (ISO/IEC 14496-12, 8.6.1.3;
RFC 9559, 10)."""
_CODECS = {"hevc", "vp8", "vp9", "av1", "mjpeg", "prores", "dnxhd", "ffv1", "png"}
"""Those whose packets in such containers hold one picture each; H.264 is looked at."""


def packet_clock(path: Path, container: Any, stream: Any) -> Clock | None:
    """Go through all packets of a picture track without decoding them.

    Returns:
        None where packets cannot stand for pictures: other containers and codecs, fields, a start
        inside a group of pictures, time stamps that are missing or occur twice.
    """
    if not _CONTAINERS & set(container.format.name.split(",")) or not _is_whole(stream):
        return None
    log, shown, starts_with_key = PacketLog(container, stream), [], False
    for packet in log:
        starts_with_key |= packet.is_keyframe and len(log.pts) == 1
        if _is_shown(packet, stream.codec_context.name):
            shown.append(packet.pts)
    if not starts_with_key or None in log.pts or not shown or len(set(shown)) < len(shown):
        return None
    log.warn_if_cut(path)
    return Clock(np.sort(np.array(shown)), np.unique(log.keys), stream.time_base, True)


def _is_whole(stream: Any) -> bool:
    """Whether each packet of the stream is a whole picture."""
    context = stream.codec_context
    return context.name in _CODECS or (
        context.name == "h264" and always_frames(context.extradata or b"")
    )


def _is_shown(packet: Any, codec: str) -> bool:
    """Whether the packet makes a visible frame: not cut away by an edit list, not cut off."""
    if packet.is_discard or packet.is_corrupt:
        return False
    if codec == "vp8":  # bit 4 of the frame tag (RFC 6386, 9.1)
        return bool(bytes(packet)[0] >> 4 & 1)
    return codec != "vp9" or _is_shown_vp9(bytes(packet))


def _is_shown_vp9(data: bytes) -> bool:
    """Whether a packet is a superframe, which shows one frame, or a frame that is shown itself.

    The superframe's index ends in 0b110 (VP9 bitstream specification, annex B); a frame begins
    with marker (2 bits), profile (2, for profile 3 one more), show_existing_frame, frame_type and
    show_frame (6.2).
    """
    if data[-1] >> 5 == 0b110:
        return True
    first = data[0] << 1 if data[0] >> 4 & 0b11 == 0b11 else data[0]
    return bool(first & 0b1000 or first & 0b10)
