"""A video as the rest of the program sees it: a clock, a size, and upright RGB pictures.

    open_video(path) --> Video.times_s (without decoding) --> Video.frames(first, last)

A movie file (`movie.py`) and a folder of numbered pictures (`image_folder.py`) look the same from
here.  Frames stream: memory does not grow with the length of the clip.
"""

import logging
import math
import stat
from collections.abc import Callable, Generator, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol, TypeVar

import numpy as np

from staf_backend.runtime import Workers
from staf_backend.runtime.in_advance import in_advance
from staf_backend.video.clock import Origin
from staf_backend.video.error import VideoError
from staf_backend.video.image_folder import open_image_folder
from staf_backend.video.lens import Focal
from staf_backend.video.movie import open_movie
from staf_backend.video.picture import Picture
from staf_backend.video.upright import Upright

_log = logging.getLogger(__name__)

T = TypeVar("T")

_IN_ADVANCE_BYTES = 64_000_000
"""Of pictures that wait, were all of them in RGB.  Chosen: ten of 1080p, two of 4K."""


class Source(Protocol):
    """What `movie.Movie` and `image_folder.ImageFolder` have in common."""

    @property
    def times_s(self) -> np.ndarray: ...
    @property
    def width_px(self) -> int: ...
    @property
    def height_px(self) -> int: ...
    @property
    def upright(self) -> Upright: ...
    @property
    def has_audio(self) -> bool: ...
    @property
    def focal(self) -> Focal | None: ...
    @property
    def fps(self) -> float: ...
    @property
    def origin(self) -> Origin: ...

    def pictures(self, first: int, last: int, threads: int | None = None) -> Iterator[Picture]: ...


@dataclass(frozen=True)
class Video:
    """A video that was found readable.

    Attributes:
        path: the file, or the folder of pictures.
        width_px, height_px: of the upright picture, with square pixels.
        times_s: (F,) presentation time of every frame on the clip's own clock, from 0, strictly
            increasing; F is the number of frames that `frames()` yields.
        fps: mean frame rate (the nominal one for a single frame).
        rotation_deg: clockwise turn (0, 90, 180, 270) that the metadata asked for and that
            `frames()` has applied.
        mirrored: whether the metadata also asked for mirroring, which is applied too.
        has_audio: whether the file has a sound track.
        focal: focal length in upright pixels from the metadata; None when it says nothing.
        origin: where this clock lies on the container's, for the sound.
    """

    path: Path
    width_px: int
    height_px: int
    times_s: np.ndarray
    fps: float
    rotation_deg: int
    mirrored: bool
    has_audio: bool
    focal: Focal | None
    origin: Origin
    _source: Source = field(repr=False, compare=False)

    def __post_init__(self) -> None:
        if self.times_s.ndim != 1 or not len(self.times_s):
            raise ValueError(f"times_s must be (F,) with F > 0, not {self.times_s.shape}")
        if np.any(np.diff(self.times_s) <= 0):
            raise ValueError("times_s must be strictly increasing")
        if min(self.width_px, self.height_px) < 1 or not self.fps > 0:
            raise ValueError("width_px, height_px and fps must be positive")

    def span(self, start_s: float | None = None, end_s: float | None = None) -> range:
        """Indices of the frames shown at start_s <= time < end_s; None is the clip's own end.

        Raises:
            VideoError: the span starts past the end of the clip, or holds no frame.
        """
        start_s = 0.0 if start_s is None else start_s
        end_s = math.inf if end_s is None else end_s
        length_s = float(self.times_s[-1])
        if math.isnan(start_s) or start_s > length_s:
            message = f"{self.path.name} has nothing at {start_s:g} s."
            raise VideoError(message, f"Its last frame is shown at {length_s:.3f} s.")
        # a thousandth of a frame: "--start 0.1" must hit the frame at 0.1000000001
        slack_s = 1e-3 / self.fps
        first, last = np.searchsorted(self.times_s, [start_s - slack_s, end_s - slack_s])
        if not first < last:
            message = f"{self.path.name} has no frame between {start_s:g} s and {end_s:g} s."
            raise VideoError(message, "Give an end that lies after the start.")
        return range(int(first), int(last))

    def frames(self, first: int = 0, last: int | None = None) -> Iterator[np.ndarray]:
        """Yield the upright frames first .. last - 1, each (H, W, 3) uint8 RGB.

        Decoding starts at the key frame before `first`; nothing before it is decoded.  A frame
        that is damaged beyond decoding is replaced by the one before it, with a warning in the
        log, so that frame numbers and times always agree.

        Raises:
            IndexError: the range lies outside the clip.
            VideoError: more than half a second on end cannot be decoded.
        """
        last = len(self.times_s) if last is None else last
        if not 0 <= first <= last <= len(self.times_s):
            raise IndexError(f"frames {first}..{last} of {len(self.times_s)}")
        pictures = self._source.pictures(first, last)
        return (np.ascontiguousarray(picture.rgb()) for picture in pictures)

    def in_advance(
        self, first: int, last: int, workers: Workers, prepare: Callable[[int, Picture], T]
    ) -> Generator[T, None, None]:
        """What is made of each of the frames, a few of them decoded before they are asked for.

        Args:
            first, last: as for `frames`.
            workers: who decode and prepare; they must outlast the iterator.
            prepare: takes a frame's number and its picture, in order.

        Raises:
            VideoError: as for `frames`.
        """
        pictures = self._source.pictures(first, last, max(1, workers.threads // 2))
        most = _IN_ADVANCE_BYTES // (3 * self.width_px * self.height_px)
        most = min(max(most, 1), 2 * workers.threads)
        prepared = (prepare(index, picture) for index, picture in enumerate(pictures, first))
        return in_advance(prepared, workers, most)


def check_path(path: Path) -> None:
    """Raises VideoError unless a file or a folder is there."""
    try:
        mode = path.stat().st_mode
    except (FileNotFoundError, NotADirectoryError, ValueError) as error:
        raise VideoError(f"{path} does not exist.", "Check the path.") from error
    except OSError as error:
        raise VideoError(f"{path} cannot be read: {error.strerror}.", "Check the path.") from error
    if not (stat.S_ISREG(mode) or stat.S_ISDIR(mode)):
        kind = "a pipe" if stat.S_ISFIFO(mode) else "a device, not a file"
        advice = "Save the video to a file first: it is read more than once."
        raise VideoError(f"{path} is {kind}.", advice)


def open_video(path: str | Path, *, fps: float = 30.0) -> Video:
    """Open a movie file or a folder of pictures and read its clock, without decoding it all.

    Args:
        path: .mp4, .mov, .mkv, .webm, .avi, .gif and what else FFmpeg reads, or a folder of
            .png or .jpg pictures in natural order of their names.
        fps: rate of a folder of pictures, which has no clock of its own.

    Raises:
        VideoError: the file is missing, empty, cut off, no video, sound only, or undecodable.
    """
    path = Path(path)
    check_path(path)
    source: Source = open_image_folder(path, fps) if path.is_dir() else open_movie(path)
    _log.debug("%s: %d frames, %s", path, len(source.times_s), source.upright)
    width_px, height_px = source.upright.size(source.width_px, source.height_px)
    return Video(
        path=path,
        width_px=width_px,
        height_px=height_px,
        times_s=source.times_s,
        fps=source.fps,
        rotation_deg=source.upright.clockwise_deg,
        mirrored=source.upright.mirrored,
        has_audio=source.has_audio,
        focal=source.focal,
        origin=source.origin,
        _source=source,
    )
