"""The footage's sound beside an overlay: copied where the container takes it, else as AAC.

Sound never costs a picture: what cannot be written is left out, with a warning in the log.
"""

import errno
import io
import logging
from collections.abc import Iterator
from itertools import islice
from typing import Any

import numpy as np

from staf_backend.video import Origin, Video, open_container, whole_packets

_log = logging.getLogger(__name__)

_TRIED_PACKETS = 50
"""Written to see whether a container takes a codec.  Chosen: about a second of sound."""
_RATES = (8000, 11025, 12000, 16000, 22050, 24000, 32000, 44100, 48000)
"""Samples a second (ISO/IEC 14496-3, table 1.18, those that every player knows)."""
_USUAL_RATE = 48_000
_DRIFT_S = 0.1
"""By which time stamps may differ from the samples counted.  Chosen: where lips seem to lag."""
_LONGEST_NUDGE_S = 0.5
"""By which a packet may be moved to rise above the one before it.  Chosen: some packets' length."""
_JOIN_S = 0.5
"""By which stamps jump where a part begins.  Chosen: longer than any packet."""
_DISK_ERRORS = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO, errno.EROFS)
"""Those of the overlay's own file: no fault of the sound."""
_LONGEST_SILENCE_S = 600
"""Filled in where stamps jump.  Chosen: a break in a recording; damage jumps by days."""


class Sound:
    """The first sound track of some footage, written after the pictures.

    Args:
        output: container of the overlay; its header is not yet written.
        video: the footage.
        first, last: its frames first .. last - 1 are in the overlay.
    """

    def __init__(self, output: Any, video: Video, first: int, last: int) -> None:
        self._output, self._video = output, video
        self._source: Any = None
        self._stream: Any = None
        self._start_s = float(video.times_s[first])
        self._end_s = float(video.times_s[last - 1]) + 1 / video.fps
        if not video.has_audio or not video.path.is_file():
            return
        self._source = open_container(video.path)
        self._track = self._source.streams.audio[0]
        self._copied = _takes(output.format.name, video)
        if self._copied:
            self._stream = output.add_stream_from_template(self._track)
        elif self._track.codec_context is None:
            self._note("is of a kind that cannot be read here, and is left out")
        else:
            self._stream = output.add_stream("aac", rate=_rate_for(self._track))
            self._stream.layout = "mono" if self._track.channels == 1 else "stereo"

    def write(self) -> None:
        """Write what is heard while the pictures are seen; whatever is wrong with it is told."""
        from av.error import FFmpegError

        if self._stream is None:
            return
        try:
            if self._copied:
                self._copy()
            else:
                self._encode()
        except (FFmpegError, ValueError, OverflowError) as error:
            if getattr(error, "errno", 0) in _DISK_ERRORS:
                raise
            _log.debug("%s: %s", self._video.path, error)
            self._note("is damaged, and left out from there on")

    def close(self) -> None:
        """Close the footage."""
        if self._source is not None:
            self._source.close()

    def _note(self, what: str) -> None:
        _log.warning("%s: the sound %s", self._video.path.name, what)

    def _copy(self) -> None:
        step = self._track.time_base
        origin = self._video.origin
        shift = round(self._start_s / step) + round(origin.first_s / step)
        last = None
        for packet, time_s, joined_s in _timed(self._source, self._track, origin):
            if not self._start_s <= time_s < self._end_s:
                continue
            pts = packet.pts - shift + round(joined_s / step)
            if last is not None and pts <= last:
                if (last - pts) * step > _LONGEST_NUDGE_S:
                    continue
                pts = last + 1
            packet.pts = packet.dts = last = pts
            packet.stream = self._stream
            self._output.mux(packet)

    def _encode(self) -> None:
        """Samples lie where their time stamps say: gaps become silence, overlaps are cut."""
        rate = self._stream.rate
        written, most = 0, round((self._end_s - self._start_s) * rate)
        for time_s, samples in self._samples(rate):
            at = round((time_s - self._start_s) * rate)
            if not written or abs(at - written) > _DRIFT_S * rate:
                if at - written > _LONGEST_SILENCE_S * rate:
                    break
                for missing in range(written, min(at, most), rate):
                    count = min(rate, min(at, most) - missing)
                    written += self._put(np.zeros((len(samples), count), np.float32), written)
                samples = samples[:, max(written - at, 0) :]
            written += self._put(samples[:, : max(most - written, 0)], written)
        self._output.mux(self._stream.encode(None))

    def _samples(self, rate: int) -> Iterator[tuple[float, np.ndarray]]:
        """Seconds and samples (channels, N) float32 of each decoded block."""
        from av import AudioResampler
        from av.error import FFmpegError

        layout = self._stream.layout.name
        resampler = AudioResampler(format="fltp", layout=layout, rate=rate)
        context, refused = self._track.codec_context, 0
        origin = self._video.origin
        for packet, packet_s, joined_s in _timed(self._source, self._track, origin):
            if packet_s >= self._end_s:
                break
            try:
                frames = context.decode(packet)
            except (FFmpegError, ValueError):
                refused += 1
                if not context.is_open:
                    break
                continue
            for frame in frames:
                time_s = packet_s if frame.time is None else frame.time + joined_s - origin.first_s
                blocks = [block.to_ndarray() for block in resampler.resample(frame)]
                if blocks:
                    yield time_s, np.concatenate(blocks, axis=1)
        if refused:
            self._note(f"is damaged: {refused} of its packets cannot be decoded")

    def _put(self, samples: np.ndarray, at: int) -> int:
        """Encode samples (channels, N) that are heard from sample `at` on; returns N."""
        from av import AudioFrame

        if samples.shape[1]:
            layout = self._stream.layout.name
            frame = AudioFrame.from_ndarray(np.ascontiguousarray(samples), "fltp", layout)
            frame.sample_rate, frame.pts = self._stream.rate, at
            self._output.mux(self._stream.encode(frame))
        return samples.shape[1]


def _rate_for(track: Any) -> int:
    return track.rate if track.rate in _RATES else _USUAL_RATE


def _takes(container: str, video: Video) -> bool:
    """Whether a kind of container takes the sound as it is: tried in memory."""
    import av
    from av.error import FFmpegError

    try:
        with (
            open_container(video.path) as source,
            av.open(io.BytesIO(), "w", format=container) as trial,
        ):
            track = source.streams.audio[0]
            if container == "mp4" and track.codec_context.name.startswith("pcm_"):
                return False  # FFmpeg writes it (ISO/IEC 23003-5), and hardly a player reads it
            stream = trial.add_stream_from_template(track)
            trial.start_encoding()
            at = 0
            for packet in islice(whole_packets(source, track), _TRIED_PACKETS):
                packet.pts = packet.dts = at
                at += packet.duration or 1
                packet.stream = stream
                trial.mux(packet)
    except (FFmpegError, ValueError, OverflowError, AttributeError):
        return False
    return True


def _timed(source: Any, track: Any, origin: Origin) -> Iterator[tuple[Any, float, float]]:
    """Packets with their seconds on the clip's clock, and what was added for a join.

    The n-th place where sound stamps begin again is where the pictures' do so for the n-th time.
    """
    joined_s, joins, before_s = 0.0, list(origin.joins_s), None
    for packet in whole_packets(source, track):
        if packet.pts is None:
            continue
        stamp_s = float(packet.pts * packet.time_base)
        if joins and before_s is not None and abs(stamp_s - before_s) > _JOIN_S:
            joined_s = joins.pop(0)
        before_s = stamp_s
        yield packet, stamp_s + joined_s - origin.first_s, joined_s
