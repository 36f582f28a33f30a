"""A movie file through PyAV (FFmpeg): its clock from the packets, its pictures from the decoder.

    packets (no decoding) --> Clock: pts of every frame that will be shown, sorted
    seek to a key frame --> decode --> match each picture to the clock by its pts

Matching by time stamp, not by counting, is what keeps frame numbers right after a seek, with
B-frames, edit lists, hidden frames and damage.
"""

import logging
import os
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np

from staf_backend.video.error import VideoError
from staf_backend.video.upright import Upright, focal_px, from_display_matrix

_log = logging.getLogger(__name__)

# Containers that hold footage.  Play lists (hls, concat, dash) are left out on purpose: they could
# name other files or addresses.
_CONTAINERS = (
    "mov,mp4,matroska,webm,avi,gif,apng,mpegts,mpeg,mpegvideo,flv,asf,ogg,mxf,gxf,dv,ivf,obu,m4v,"
    "h264,hevc,mjpeg,yuv4mpegpipe,nut,rm,wtv,wav,mp3,flac,aac"
)
_OPTIONS = {"format_whitelist": _CONTAINERS, "protocol_whitelist": "file"}
_LONGEST_LOSS_S = 0.5
_REENCODE = "Re-encode it (for example with HandBrake) or copy it again from the camera."


@dataclass(frozen=True)
class Clock:
    """When the frames of a movie are shown.

    Attributes:
        pts: (F,) int64, sorted, in units of `time_base`.  Equal neighbours occur in broken files.
        keys: (K,) int64, sorted: pts at which decoding can start, shown or not.
        time_base: seconds per unit.
        labelled: whether decoded pictures carry these pts.  False for raw streams and for H.264
            in AVI, which have no presentation times: pictures are then counted, never sought.
    """

    pts: np.ndarray
    keys: np.ndarray
    time_base: Fraction
    labelled: bool

    @property
    def times_s(self) -> np.ndarray:
        """(F,) seconds from the first frame, strictly increasing."""
        ticks = (self.pts - self.pts[0]).astype(np.float64)
        new = np.flatnonzero(np.diff(ticks, prepend=-1))
        if len(new) < len(ticks):  # spread frames of one time over the time until the next
            step = float(np.median(np.diff(ticks[new]))) if len(new) > 1 else 1.0
            ends = np.append(new, len(ticks))
            ticks = np.interp(
                np.arange(len(ticks)), ends, np.append(ticks[new], ticks[new[-1]] + step)
            )
        return ticks * self.time_base.numerator / self.time_base.denominator


@dataclass(frozen=True)
class Movie:
    """A movie file that was found readable; see `video.Video` for the fields."""

    path: Path
    clock: Clock
    fps: float
    width_px: int
    height_px: int
    upright: Upright
    has_audio: bool
    focal_px: float | None

    @property
    def times_s(self) -> np.ndarray:
        """(F,) seconds from 0, strictly increasing."""
        return self.clock.times_s

    def pictures(self, first: int, last: int) -> Iterator[np.ndarray]:
        """Upright (H, W, 3) uint8 RGB pictures first .. last - 1."""
        if first == last:
            return
        kept, missing = None, 0
        with _open(self.path) as container:
            for index, frame in self._placed(container, first, last):
                missing = 0 if frame is not None else missing + 1
                if frame is not None:
                    kept = self._rgb(frame)
                elif kept is None:
                    raise self._damage(index)
                else:
                    self._check_loss(index, missing)
                yield kept

    def _placed(self, container: Any, first: int, last: int) -> Iterator[tuple[int, Any]]:
        """Frame numbers first .. last - 1, each with its decoded frame; None where it was lost."""
        index = first
        for at, frame in self._numbered(container, first):
            while index < min(at, last):
                yield index, None
                index += 1
            if index == last:
                return
            if at == index:
                yield index, frame
                index += 1
        for lost in range(index, last):
            yield lost, None

    def _numbered(self, container: Any, first: int) -> Iterator[tuple[int, Any]]:
        """Decoded frames from the key frame before `first` on, with their frame numbers."""
        decoded = decode(container, self._packets(container, first))
        if not self.clock.labelled:
            yield from enumerate(decoded)
            return
        previous = -1
        for frame in decoded:
            if frame.pts is None:
                continue
            at = max(int(np.searchsorted(self.clock.pts, frame.pts)), previous + 1)
            if at < len(self.clock.pts) and self.clock.pts[at] == frame.pts:
                yield at, frame
                previous = at

    def _packets(self, container: Any, first: int) -> Iterator[Any]:
        """Packets from the last key frame that is shown no later than frame `first`."""
        stream = _video_stream(container)
        wanted = self.clock.keys[self.clock.keys <= self.clock.pts[first]]
        # the first key needs no seek, and a container's index may be wrong: then the key before
        for key in reversed(wanted[1:].tolist() if self.clock.labelled else []):
            container.seek(key, stream=stream, backward=True)
            packets = container.demux(stream)
            packet = next((p for p in packets if p.is_keyframe and p.pts is not None), None)
            if packet is not None and packet.pts <= self.clock.pts[first]:
                yield packet
                yield from packets
                return
        if len(wanted) > 1 and self.clock.labelled:
            container.seek(int(wanted[0]), stream=stream, backward=True)
        yield from container.demux(stream)

    def _rgb(self, frame: Any) -> np.ndarray:
        return self.upright.apply(_to_rgb(frame, self.width_px, self.height_px))

    def _check_loss(self, index: int, missing: int) -> None:
        """Warn about a lost frame; too many of them are an error."""
        times_s = self.times_s
        if times_s[index] - times_s[index - missing] > _LONGEST_LOSS_S:
            raise self._damage(index - missing + 1)
        message = "%s: frame %d (%.3f s) is damaged; the frame before it stands in"
        _log.warning(message, self.path.name, index, times_s[index])

    def _damage(self, index: int) -> VideoError:
        at = f"frame {index} ({self.times_s[index]:.3f} s)"
        return VideoError(f"{self.path} is damaged: {at} cannot be decoded.", _REENCODE)


def open_movie(path: Path) -> Movie:
    """Read a movie's clock by going through its packets, and decode its first frame.

    Raises:
        VideoError: the file is empty, cut off, no video, sound only, or undecodable.
    """
    if path.stat().st_size == 0:
        raise VideoError(f"{path} is empty (0 bytes).", "Copy it again from the camera.")
    with _open(path) as container:
        stream = _video_stream(container)
        clock = _read_clock(path, container, stream)
    # a second pass: the first frame alone knows the display matrix and the pixel shape
    with _open(path) as container:
        stream = _video_stream(container)
        frame = next(decode(container, container.demux(stream)), None)
        if frame is None:
            raise VideoError(f"{path} is damaged: no frame of it can be decoded.", _REENCODE)
        width, height = _square_size(frame, stream)
        return Movie(
            path=path,
            clock=clock,
            fps=_mean_rate(clock, stream),
            width_px=width,
            height_px=height,
            upright=_upright(frame),
            has_audio=len(container.streams.audio) > 0,
            focal_px=_focal_px(container, stream, width, height),
        )


def decode(container: Any, packets: Iterator[Any]) -> Iterator[Any]:
    """Frames in presentation order; packets that the decoder refuses are left out."""
    from av.error import FFmpegError

    context = _video_stream(container).codec_context
    context.thread_type = "AUTO"
    context.thread_count = min(4, os.cpu_count() or 1)
    while True:
        try:
            packet = next(packets, None)
            frames = context.decode(packet if packet is not None and packet.size else None)
        except EOFError:
            return
        except FFmpegError as error:
            _log.debug("the decoder refused a packet: %s", error)
            continue
        yield from frames
        if packet is None or not packet.size:
            return


def _open(path: Path) -> Any:
    """The opened container; a VideoError that says what is wrong with the file otherwise."""
    import av
    from av.error import FFmpegError

    try:
        container = av.open(str(path), options=dict(_OPTIONS))
    except FFmpegError as error:
        raise _explain(path, error) from error
    try:
        _check_stream(path, container)
    except VideoError:
        container.close()
        raise
    return container


def _explain(path: Path, error: Exception) -> VideoError:
    if isinstance(error, PermissionError):
        return VideoError(f"{path} may not be read.", "Check the file's permissions.")
    boxes = _top_boxes(path)
    if b"ftyp" in boxes and b"moov" not in boxes:
        return VideoError(
            f"{path} is cut off: its index (moov) is missing.",
            "The recording or copy did not finish; copy it again, or repair it with untrunc.",
        )
    return VideoError(f"{path} is not a video.", "Give a video file or a folder of pictures.")


def _top_boxes(path: Path) -> list[bytes]:
    """Types of the outermost MP4 boxes, as far as they can be followed."""
    boxes, at, size = [], 0, path.stat().st_size
    with path.open("rb") as file:
        while at + 8 <= size and len(boxes) < 64:
            file.seek(at)
            head = file.read(16)
            length = int.from_bytes(head[:4], "big")
            boxes.append(head[4:8])
            length = int.from_bytes(head[8:16], "big") if length == 1 else length
            if length < 8:
                break
            at += length
    return boxes


def _check_stream(path: Path, container: Any) -> None:
    stream = _video_stream(container)
    if stream is None:
        found = "sound but no picture" if container.streams.audio else "no video"
        raise VideoError(f"{path} holds {found}.", "Give a file with a video track.")
    if stream.codec_context is None:
        advice = "Convert it to H.264."
        raise VideoError(f"{path} is coded in a way that cannot be decoded here.", advice)


def _video_stream(container: Any) -> Any:
    """The first video stream that is no cover picture; None when there is none."""
    from av.stream import Disposition

    cover = Disposition.attached_pic
    return next((s for s in container.streams.video if not s.disposition & cover), None)


def _read_clock(path: Path, container: Any, stream: Any) -> Clock:
    """Go through all packets; see `Clock`."""
    pts, keys, seen = [], [], 0
    for packet in _whole_packets(container, stream):
        seen += not packet.is_corrupt
        if packet.is_keyframe and packet.pts is not None:
            keys.append(packet.pts)
        if _is_shown(packet, stream.codec_context.name):
            pts.append(packet.pts)
    if not pts:
        raise VideoError(f"{path} holds no frames.", "Copy it again from the camera.")
    if seen < stream.frames:
        _log.warning("%s ends early: %d of %d frames", path.name, seen, stream.frames)
    if any(p is None for p in pts) or _counts(container, stream):
        rate = Fraction(stream.guessed_rate or stream.average_rate or 30)
        return Clock(np.arange(len(pts)), np.zeros(1, np.int64), 1 / rate, False)
    return Clock(np.sort(np.array(pts)), np.unique(keys), Fraction(stream.time_base), True)


def _whole_packets(container: Any, stream: Any) -> Iterator[Any]:
    """All packets up to the first that cannot be read: a file that is cut off ends there."""
    from av.error import FFmpegError

    packets = container.demux(stream)
    while True:
        try:
            packet = next(packets)
        except (StopIteration, FFmpegError):
            return
        if packet.size:
            yield packet


def _is_shown(packet: Any, codec: str) -> bool:
    """Whether the packet makes a visible frame: not cut away by an edit list, not cut off."""
    if packet.is_discard or packet.is_corrupt:
        return False
    # VP8 hides its alternate reference frames: bit 4 of the frame tag (RFC 6386, 9.1)
    return codec != "vp8" or bool(bytes(packet)[0] >> 4 & 1)


def _counts(container: Any, stream: Any) -> bool:
    """AVI numbers packets in coding order, which is no clock for codecs that reorder frames."""
    return container.format.name == "avi" and stream.codec_context.name in ("h264", "hevc")


def _mean_rate(clock: Clock, stream: Any) -> float:
    times_s = clock.times_s
    if len(times_s) > 1:
        return float((len(times_s) - 1) / (times_s[-1] - times_s[0]))
    return float(stream.average_rate or stream.guessed_rate or 30)


def _square_size(frame: Any, stream: Any) -> tuple[int, int]:
    """Size of the stored picture with square pixels: anamorphic footage is widened."""
    aspect = stream.sample_aspect_ratio
    aspect = Fraction(aspect) if aspect and 0.1 < aspect < 10 else Fraction(1)
    return max(1, round(frame.width * aspect)), frame.height


def _upright(frame: Any) -> Upright:
    data = frame.side_data.get("DISPLAYMATRIX")
    return Upright() if data is None else from_display_matrix(bytes(data))


def _focal_px(container: Any, stream: Any, width: int, height: int) -> float | None:
    """From the 35 mm equivalent that phones write into QuickTime keys."""
    for key, value in {**container.metadata, **stream.metadata}.items():
        name = key.lower().replace("_", "")
        if name.endswith(("focallength.35mmequivalent", "focallengthin35mmformat")):
            try:
                focal_mm = float(value)
            except ValueError:
                continue
            return focal_px(focal_mm, width, height) if 1 < focal_mm < 10_000 else None
    return None


def _to_rgb(frame: Any, width: int, height: int) -> np.ndarray:
    """(height, width, 3) uint8 RGB; untagged HD footage is taken as BT.709, as players do."""
    untagged = frame.colorspace in (0, 2) and frame.height >= 720
    source = {"src_colorspace": "ITU709"} if untagged else {}
    return frame.reformat(width, height, "rgb24", **source).to_ndarray()
