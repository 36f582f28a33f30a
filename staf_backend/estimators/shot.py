"""One take of footage and the camera that filmed it: what every stage looks at."""

from dataclasses import dataclass

from staf_backend.geometry.camera import Camera, assumed_focal_px
from staf_backend.video.video import Video


@dataclass(frozen=True)
class Shot:
    """The part of a video that is turned into motion.

    Attributes:
        video: the footage.
        span: its frames' numbers.
        camera: that filmed it.
    """

    video: Video
    span: range
    camera: Camera


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
