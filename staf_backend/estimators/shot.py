"""One take of footage and the camera that filmed it: what every stage looks at."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np

from staf_backend.choices import Lens
from staf_backend.geometry import Camera, CameraMotion, assumed_focal_px
from staf_backend.landmarks import Outlines
from staf_backend.people import Track
from staf_backend.video import Focal, Picture, Video, focal_of_lens


class CameraWatch(Protocol):
    """Who finds out how the camera moves while an estimator looks at the frames."""

    def see(self, frame: int, picture: Picture, /) -> None:
        """The next frame: its number and its picture."""
        ...

    def kind(self, frames: np.ndarray, /) -> CameraMotion:
        """How the camera behaved during consecutive frames (T,), all seen."""
        ...

    def turns(self, frames: np.ndarray, /) -> np.ndarray | None:
        """(T, 3, 3) from the axes of the motion's camera to those of each frame's; None: alike."""
        ...

    def places_m(self, frames: np.ndarray, /) -> np.ndarray | None:
        """(T, 3) where the camera stood, in axes of the motion's camera; None: it stayed, or nobody
        can tell."""
        ...

    def floor_up(self, frames: np.ndarray, /) -> np.ndarray | None:
        """The way up (3,), axes of the motion's camera, by the floor; None: none was seen."""
        ...


class StillCamera:
    """Nobody looks: the camera stands still."""

    def see(self, _frame: int, _picture: Picture, /) -> None:
        pass

    def kind(self, _frames: np.ndarray, /) -> CameraMotion:
        return "still"

    def turns(self, _frames: np.ndarray, /) -> None:
        return None

    def places_m(self, _frames: np.ndarray, /) -> None:
        return None

    def floor_up(self, _frames: np.ndarray, /) -> None:
        return None


@dataclass(frozen=True)
class Shot:
    """The part of a video that is turned into motion.

    Attributes:
        video: the footage.
        span: its frames' numbers.
        camera: that filmed it.
        watch: shown every frame that an estimator looks at, and asked about the camera afterwards.
        people: everybody who is in it, also whom nobody wants animated: they may hide others.
        stands: when which part of the body stands, where the user says so: by person, numbers in
            `motion.contacts.PARTS` with first and last second.
        outlines: which part of the picture is whose, as far as the estimator sees it.
    """

    video: Video
    span: range
    camera: Camera
    watch: CameraWatch = field(default_factory=StillCamera)
    people: Sequence[Track] = ()
    stands: Mapping[int, Sequence[tuple[int, float, float]]] = field(default_factory=dict)
    outlines: Outlines = field(default_factory=Outlines)


def open_shot(
    video: Video,
    start_s: float | None,
    end_s: float | None,
    focal_px: float | None = None,
    lens: Lens | None = None,
) -> Shot:
    """A shot of a video.

    Args:
        video: the footage.
        start_s, end_s: part of the clip; None is its own start and end.
        focal_px: where the user knows it.
        lens: the kind, where the user knows that; both None take what the file says, else what is
            usual (`camera.assumed_focal_px`).

    Raises:
        VideoError: nothing of the video lies in that part.
    """
    focal = _focal(video, focal_px, lens)
    camera = Camera(
        focal_px=focal.px,
        width_px=video.width_px,
        height_px=video.height_px,
        focal_assumed=focal.source == "assumed",
        focal_source=focal.source,
        rotation_deg=video.rotation_deg,
    )
    return Shot(video, video.span(start_s, end_s), camera, outlines=Outlines(video.fps))


def _focal(video: Video, focal_px: float | None, lens: Lens | None) -> Focal:
    """The user knows best, then the file, then the phone it names."""
    size = video.width_px, video.height_px
    if focal_px is not None:
        return Focal(focal_px, "given")
    if lens is not None:
        return Focal(focal_of_lens(lens, *size), "lens")
    return video.focal or Focal(assumed_focal_px(*size), "assumed")
