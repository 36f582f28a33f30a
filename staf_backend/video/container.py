"""Media files through PyAV (FFmpeg), for reading: the one place that opens and decodes them.

A file is opened only as a container that holds footage, and an error says what is wrong with it.
"""

import logging
import os
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from staf_backend.video.error import VideoError
from staf_backend.video.size_limit import MOST_PIXELS, SizeLimit

_log = logging.getLogger(__name__)

_CONTAINERS = (
    "mov,mp4,matroska,webm,avi,gif,apng,mpegts,mpeg,mpegvideo,flv,live_flv,asf,ogg,mxf,gxf,dv,ivf,"
    "obu,av1,m4v,h264,hevc,vvc,h261,h263,vc1,vc1test,dirac,dnxhd,cavsvideo,mjpeg,yuv4mpegpipe,nut,"
    "rm,wtv,swf,flic,roq,amv,nsv,wav,mp3,flac,aac"
)
"""FFmpeg's names of containers that hold footage.  Play lists (hls, concat, dash) are left out on
purpose: they could name other files or addresses."""
_OPTIONS = {
    "format_whitelist": _CONTAINERS,
    "protocol_whitelist": "file",
    "max_pixels": str(MOST_PIXELS),
}
"""Of FFmpeg's demuxers, which decode a picture to know its size."""
_MOST_THREADS = 4
"""Of the decoder.  Chosen: each holds pictures of its own."""
_MOST_BOXES = 64
"""Looked at in an MP4 file.  Chosen: real ones have a handful, and damage must not loop."""


def ffmpeg_name(path: Path) -> str:
    """A file's name as FFmpeg takes it for one: "12:30.mp4" alone would be an address."""
    return str(path.absolute())


def open_container(path: Path) -> Any:
    """The opened container, which has a picture track that can be decoded; close it after use.

    Words in it of no known code page come with replacement characters.

    Raises:
        VideoError: no such container; the message says what is wrong with the file.
    """
    import av
    from av.error import FFmpegError

    try:
        container = av.open(ffmpeg_name(path), options=dict(_OPTIONS), metadata_errors="replace")
    except (FFmpegError, UnicodeError, ValueError) as error:
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
    boxes = [kind for kind, _, _ in box_places(path)]
    if b"ftyp" in boxes and b"moov" not in boxes:
        return VideoError(
            f"{path} is cut off: its index (moov) is missing.",
            "The recording or copy did not finish; copy it again, or repair it with untrunc.",
        )
    return VideoError(f"{path} is not a video.", "Give a video file or a folder of pictures.")


def box_places(path: Path) -> list[tuple[bytes, int, int]]:
    """Type, place and bytes of the outermost MP4 boxes, as far as they can be followed."""
    boxes, at, size = [], 0, path.stat().st_size
    with path.open("rb") as file:
        while at + 8 <= size and len(boxes) < _MOST_BOXES:
            file.seek(at)
            head = file.read(16)
            length = int.from_bytes(head[:4], "big")
            length = int.from_bytes(head[8:16], "big") if length == 1 else length
            boxes.append((head[4:8], at, length or size - at))
            if length < 8:
                break
            at += length
    return boxes


def _check_stream(path: Path, container: Any) -> None:
    stream = video_stream(container)
    if stream is None:
        found = "sound but no picture" if container.streams.audio else "no video"
        raise VideoError(f"{path} holds {found}.", "Give a file with a video track.")
    if stream.codec_context is None:
        advice = "Convert it to H.264."
        raise VideoError(f"{path} is coded in a way that cannot be decoded here.", advice)
    context = stream.codec_context
    SizeLimit.of(context.codec).check(path, context.width, context.height)


def video_stream(container: Any) -> Any:
    """The track to look at; None when there is none.

    Of those that are no covers or thumbnails the container's default, else the largest, else the
    first.
    """
    from av.stream import Disposition

    cover = Disposition.attached_pic | Disposition.timed_thumbnails

    def rank(stream: Any) -> tuple[bool, bool, bool, int]:
        context = stream.codec_context
        area = 0 if context is None else context.width * context.height
        default = bool(stream.disposition & Disposition.default)
        return context is not None, stream.frames != 1, default, area

    tracks = [stream for stream in container.streams.video if not stream.disposition & cover]
    return max(tracks, key=rank, default=None)


def whole_packets(container: Any, stream: Any) -> Iterator[Any]:
    """All packets up to the first that cannot be read: a file that is cut off ends there."""
    from av.error import FFmpegError

    packets = container.demux(stream)
    while True:
        try:
            packet = next(packets)
        except (StopIteration, FFmpegError):
            return
        except IndexError:  # a packet of a stream that begins on the way, which PyAV does not know
            packets = container.demux(stream)
            continue
        if packet.size:
            yield packet


class Decoder:
    """Decoded frames in presentation order; packets that the decoder refuses are left out.

    Attributes:
        refused: number of those packets so far.
    """

    def __init__(self, container: Any, packets: Iterable[Any], threads: int | None = None) -> None:
        """`threads` are for decoding, at most 4; None is as many as there are cores."""
        self.refused = 0
        self._context = video_stream(container).codec_context
        self._context.thread_type = "AUTO"
        self._context.thread_count = min(_MOST_THREADS, threads or os.cpu_count() or 1)
        most = SizeLimit.of(self._context.codec).pixels
        self._context.options = {"max_pixels": str(most)}
        self._packets = packets

    def __iter__(self) -> Iterator[Any]:
        for packet in self._packets:
            yield from self._sent(packet)
            if not self._context.is_open:
                return
        yield from self._sent(None)

    def _sent(self, packet: Any) -> list[Any]:
        from av.error import FFmpegError

        try:
            return self._context.decode(packet)
        except EOFError:
            return []
        except (FFmpegError, ValueError) as error:
            self.refused += 1
            _log.debug("the decoder refused a packet: %s", error)
            return []
