"""Synthetic videos as a camera recorded them: whole pictures, in which people must yet be found.

    Take ─► one square about the camera's axis that holds all crops ─► drawn ─► flawed ─► .png files

The picture is square, and large enough that crops out of it are as fine as the synthetic ones.
"""

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from staf_backend.files import OutputError
from staf_backend.staf import CROP_PX
from training.synthetic.studio import Studio, Take
from training.targets import Targets

_SMALLEST = 1.0  # side in picture coordinates: the picture itself
_LARGEST_PX = 1280  # side; chosen: larger ones take too long to draw
_STEP_PX = 160  # few sizes: each keeps a renderer
_SINGLE_HZ = 30.0  # of a video of one frame


@dataclass(frozen=True)
class Recording:
    """How a synthetic video was recorded.

    Attributes:
        side: of its square pictures, in picture coordinates (see `scene`).
        size_px: the same in pixels.
        focal_px: of the camera; the principal point is the middle.
        rate_hz: frames a second.
    """

    side: float
    size_px: int
    focal_px: float
    rate_hz: float

    def joints_px(self, targets: Targets, squares: np.ndarray) -> np.ndarray:
        """Where the 49 joints (T, 49, 2) are in the pictures, of key points on crops (T, 3)."""
        flat = targets.keypoints[..., :2] * (squares[:, None, 2:] / 2) + squares[:, None, :2]
        return (flat / self.side + 0.5) * self.size_px

    def sides_px(self, squares: np.ndarray) -> np.ndarray:
        """Sides (T,) of crops (T, 3) in the pictures."""
        return squares[:, 2] / self.side * self.size_px


def plan(take: Take) -> Recording:
    """Pictures that hold all of a take's crops, each crop with its 224 pixels if 1280 allow it."""
    squares, times_s = take.shot.squares, take.times_s
    reach = np.abs(squares[:, :2]) + squares[:, 2:] / 2
    side = max(_SMALLEST, 2 * float(reach.max()))
    wanted = CROP_PX * side / float(squares[:, 2].min())
    size_px = min(_LARGEST_PX, _STEP_PX * int(np.ceil(wanted / _STEP_PX)))
    rate_hz = 1 / float(times_s[1] - times_s[0]) if len(times_s) > 1 else _SINGLE_HZ
    return Recording(side, size_px, take.shot.camera.focal * size_px / side, rate_hz)


def whole(take: Take, recording: Recording) -> Take:
    """The same take, cut by the whole picture instead of by crops; its targets stay the crops'."""
    squares = np.tile([0.0, 0.0, recording.side], (len(take.times_s), 1))
    return replace(take, shot=replace(take.shot, squares=squares))


def record(studio: Studio, take: Take, recording: Recording, folder: Path) -> None:
    """Writes a take's whole pictures, 000000.png and on.

    Args:
        studio: draws.
        take: what is recorded.
        recording: how; see `plan`.
        folder: an empty folder.

    Raises:
        SyntheticError: nothing can draw here.
        OutputError: a picture cannot be written.
    """
    shown, frames = whole(take, recording), len(take.times_s)
    for first in range(0, frames, studio.recipe.part_frames):
        last = min(first + studio.recipe.part_frames, frames)
        pictures = studio.pictures(shown, first, last, recording.size_px)
        for number, picture in enumerate(pictures, first):
            write_png(picture_file(folder, number), picture)


def picture_file(folder: Path, frame: int) -> Path:
    """The file of a recorded frame."""
    return folder / f"{frame:06d}.png"


def write_png(path: Path, picture: np.ndarray) -> None:
    """Writes a picture (H, W, 3) uint8 RGB.

    Raises:
        OutputError: the file cannot be written.
    """
    import cv2

    done, data = cv2.imencode(".png", np.ascontiguousarray(picture[..., ::-1]))
    assert done
    try:
        path.write_bytes(data.tobytes())
    except OSError as error:
        raise OutputError.from_os(path, error) from error
