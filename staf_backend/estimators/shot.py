"""One take of footage and the camera that filmed it: what every stage looks at."""

from dataclasses import dataclass, field
from typing import Protocol

import numpy as np

from staf_backend.geometry.camera import Camera, CameraMotion, assumed_focal_px
from staf_backend.video.video import Video


class CameraWatch(Protocol):
    """Who finds out how the camera moves while an estimator looks at the frames."""

    def see(self, frame: int, image: np.ndarray, /) -> None:
        """The next frame: its number, and (H, W, 3) uint8 RGB."""
        ...

    def kind(self, frames: np.ndarray, /) -> CameraMotion:
        """How the camera behaved during consecutive frames (T,), all seen."""
        ...

    def turns(self, frames: np.ndarray, /) -> np.ndarray | None:
        """(T, 3, 3) from the axes of the motion's camera to those of each frame's; None: alike."""
        ...


class StillCamera:
    """Nobody looks: the camera stands still."""

    def see(self, _frame: int, _image: np.ndarray, /) -> None:
        pass

    def kind(self, _frames: np.ndarray, /) -> CameraMotion:
        return "still"

    def turns(self, _frames: np.ndarray, /) -> None:
        return None


@dataclass(frozen=True)
class Shot:
    """The part of a video that is turned into motion.

    Attributes:
        video: the footage.
        span: its frames' numbers.
        camera: that filmed it.
        watch: shown every frame that an estimator looks at, and asked about the camera afterwards.
    """

    video: Video
    span: range
    camera: Camera
    watch: CameraWatch = field(default_factory=StillCamera)


def open_shot(
    video: Video, start_s: float | None, end_s: float | None, focal_px: float | None
) -> Shot:
    """A shot of a video.

    Args:
        video: the footage.
        start_s, end_s: part of the clip; None is its own start and end.
        focal_px: where the user knows it; None takes the metadata's, else the diagonal.

    Raises:
        VideoError: nothing of the video lies in that part.
    """
    known_focal_px = focal_px or video.focal_px
    camera = Camera(
        focal_px=known_focal_px or assumed_focal_px(video.width_px, video.height_px),
        width_px=video.width_px,
        height_px=video.height_px,
        focal_assumed=known_focal_px is None,
        rotation_deg=video.rotation_deg,
    )
    return Shot(video, video.span(start_s, end_s), camera)
