"""A movie file: its clock, and its pictures from the decoder.

    packets (no decoding), or where they cannot tell all frames ──► Clock: pts of every frame
    seek to a key frame ──► decode ──► match each picture to the clock by its pts

Matching by time stamp, not by counting, is what keeps frame numbers right after a seek, with
B-frames, edit lists, hidden frames and damage.
"""

import logging
from collections.abc import Generator, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from staf_backend.video.clean_aperture import warn_if_cropped
from staf_backend.video.clock import Clock, Origin, mean_rate
from staf_backend.video.container import Decoder, open_container, video_stream, whole_packets
from staf_backend.video.error import VideoError
from staf_backend.video.fit import Shape, centred, shape_of
from staf_backend.video.frame_clock import frame_clock
from staf_backend.video.lens import Focal, focal_of_tags
from staf_backend.video.packet_clock import packet_clock
from staf_backend.video.packet_log import PacketLog
from staf_backend.video.picture import DecodedPicture, Picture, ReadyPicture
from staf_backend.video.size_limit import SizeLimit
from staf_backend.video.upright import Upright, from_display_matrix

_log = logging.getLogger(__name__)

_LONGEST_LOSS_S = 0.5
"""Of frames that cannot be decoded.  Chosen: as long as a person may be out of sight."""
_REENCODE = "Re-encode it (for example with HandBrake) or copy it again from the camera."


@dataclass(frozen=True)
class Movie:
    """A movie file that was found readable; see `video.Video` for the fields."""

    path: Path
    clock: Clock
    fps: float
    shape: Shape
    upright: Upright
    has_audio: bool
    focal: Focal | None

    @property
    def width_px(self) -> int:
        """Of the stored picture, with square pixels."""
        return self.shape.square_px[0]

    @property
    def height_px(self) -> int:
        """Of the stored picture."""
        return self.shape.square_px[1]

    @property
    def times_s(self) -> np.ndarray:
        """(F,) seconds from 0, strictly increasing."""
        return self.clock.times_s

    @property
    def origin(self) -> Origin:
        """For the sound."""
        return self.clock.origin

    def pictures(
        self, first: int, last: int, threads: int | None = None
    ) -> Generator[Picture, None, None]:
        """Upright pictures first .. last - 1; `threads` are the decoder's."""
        if first == last:
            return
        kept, missing, told = None, 0, False
        with open_container(self.path) as container:
            context = video_stream(container).codec_context
            for index, frame in self._at_each_frame(container, first, last, threads):
                missing = 0 if frame is not None else missing + 1
                if frame is not None:
                    fitted = self.shape.differs(frame, context)
                    if fitted and not told:
                        self._tell_shape(index, frame)
                    told = told or fitted
                    kept = self._picture(frame, context, fitted)
                elif kept is None:
                    raise self._damage(index)
                else:
                    self._check_loss(index, missing)
                yield kept

    def _at_each_frame(
        self, container: Any, first: int, last: int, threads: int | None
    ) -> Iterator[tuple[int, Any]]:
        """Frame numbers first .. last - 1, each with its decoded frame; None where it was lost."""
        index = first
        for at, frame in self._numbered(container, first, threads):
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

    def _numbered(
        self, container: Any, first: int, threads: int | None
    ) -> Iterator[tuple[int, Any]]:
        """Decoded frames from the key frame before `first` on, with their frame numbers.

        Where frame `first` does not come after a seek (a decoder needs more to begin with than a
        key frame), decoding starts again at the file's beginning.
        """
        if not self.clock.labelled:
            yield from enumerate(Decoder(container, self._packets(container, first), threads))
            return
        numbered = self._matched(Decoder(container, self._packets(container, first), threads))
        begin = next((pair for pair in numbered if pair[0] >= first), None)
        if first and (begin is None or begin[0] > first):
            with open_container(self.path) as again:
                packets = whole_packets(again, video_stream(again))
                yield from self._matched(Decoder(again, packets, threads))
            return
        if begin is not None:
            yield begin
        yield from numbered

    def _matched(self, decoded: Iterable[Any]) -> Iterator[tuple[int, Any]]:
        """Decoded frames whose pts is on the clock, with their frame numbers."""
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
        stream = video_stream(container)
        wanted = self.clock.keys[self.clock.keys <= self.clock.pts[first]]
        # the first key needs no seek, and a container's index may be wrong: then the key before
        for key in reversed(wanted[1:].tolist() if self.clock.labelled else []):
            if not _seek(container, key, stream):
                break
            packets = whole_packets(container, stream)
            packet = next((p for p in packets if p.is_keyframe and p.pts is not None), None)
            if packet is not None and packet.pts <= self.clock.pts[first]:
                yield packet
                yield from packets
                return
        if len(wanted) > 1 and self.clock.labelled:
            _seek(container, int(wanted[0]), stream)
        yield from whole_packets(container, stream)

    def _picture(self, frame: Any, context: Any, fitted: bool) -> Picture:
        """Of a decoded frame; one of another shape is fitted while the decoder knows it."""
        square_px = self.shape.square_px
        if not fitted:
            return DecodedPicture(self.path, frame, square_px, self.upright)
        inner_px = self.shape.inner_px(frame, context)
        picture = DecodedPicture(self.path, frame, inner_px, Upright())
        return ReadyPicture(self.upright.apply(centred(picture.rgb(), *square_px)))

    def _tell_shape(self, index: int, frame: Any) -> None:
        """Warn of the first picture of another shape; a thousand may follow."""
        message = "%s: from frame %d on the picture has another shape (%dx%d px); %s"
        fitted = "it is fitted into the first one's"
        _log.warning(message, self.path.name, index, frame.width, frame.height, fitted)

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
    with open_container(path) as container:
        clock = packet_clock(path, container, video_stream(container))
    # a second pass: the first frame alone knows the display matrix and the pixel shape
    with open_container(path) as container:
        stream = video_stream(container)
        log = PacketLog(container, stream)
        decoder = Decoder(container, log)
        limit = SizeLimit.of(stream.codec_context.codec)
        frames = limit.while_unpacked(path, iter(decoder))
        frame = next(frames, None)
        if frame is None:
            raise _undecodable(path, stream)
        shape = shape_of(path, frame, stream)
        if "mp4" in container.format.name.split(","):
            warn_if_cropped(path, *shape.stored_px)
        if clock is None or clock.pts[0] != frame.pts:
            refused = decoder.refused
            clock = frame_clock(path, stream, log, frame, frames)
            if decoder.refused > refused:
                message = "%s is damaged: %d of its packets cannot be decoded"
                _log.warning(message, path.name, decoder.refused - refused)
        limit.check_unpacked(path, len(clock.times_s) * frame.width * frame.height)
        return Movie(
            path=path,
            clock=clock,
            fps=mean_rate(clock, stream),
            shape=shape,
            upright=_upright(frame),
            has_audio=len(container.streams.audio) > 0,
            focal=focal_of_tags({**container.metadata, **stream.metadata}, *shape.square_px),
        )


def _undecodable(path: Path, stream: Any) -> VideoError:
    """No frame can be decoded; FFmpeg tells no size of one that is larger than we let it decode."""
    if stream.codec_context.width:
        return VideoError(f"{path} is damaged: no frame of it can be decoded.", _REENCODE)
    message = f"{path} holds no picture that can be decoded, or larger ones than any video."
    return VideoError(message, _REENCODE)


def _seek(container: Any, pts: int, stream: Any) -> bool:
    """Whether the container found a place to decode from."""
    from av.error import FFmpegError

    try:
        container.seek(pts, stream=stream, backward=True)
    except FFmpegError:
        return False
    return True


def _upright(frame: Any) -> Upright:
    data = frame.side_data.get("DISPLAYMATRIX")
    return Upright() if data is None else from_display_matrix(bytes(data))
