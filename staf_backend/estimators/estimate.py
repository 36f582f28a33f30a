"""What every estimator gives the pipeline for one track."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from staf_backend.body import SmplParams
from staf_backend.people import Track

if TYPE_CHECKING:
    from staf_backend.landmarks import Lifted, Lifter


@dataclass(frozen=True)
class Evidence:
    """What an estimate was made from, so that it can be made again in a view that is turned.

    4-byte floats, since a clip may be long.  Axes are x right, y down, z away.

    Attributes:
        rays: (T, 27, 2) viewing rays x/z, y/z of the markers, axes of each frame's camera; NaN
            where missing.
        world_m: (T, 27, 3) the landmark network's own guess in space, likewise; None where the
            lifter was asked again already.
        visibility: (T, 27) 0..1, 0 for a frame that was filled in.
        lifted: what the lifter made of them, axes of the motion's camera.
        lifter: that lifted them, to be asked again.
        turns: (T, 3, 3) from the axes of the motion's camera to those of each frame's; None where
            both are the same.
    """

    rays: np.ndarray
    world_m: np.ndarray | None
    visibility: np.ndarray
    lifted: "Lifted"
    lifter: "Lifter"
    turns: np.ndarray | None = None


@dataclass(frozen=True)
class Estimate:
    """One track's answer.

    Attributes:
        track: whose.
        params: pose, shape and place of the track's frames, axes of the motion's camera (see
            `shot.CameraWatch.turns`).
        keypoints_px: (T, K, 3) x, y, confidence 0..1 of what was seen; finite, with confidence 0
            where nothing was.
        keypoint_names: K names.
        quality: numbers about this estimate, by name.
        estimator: who made it: "landmarks", or the name of STAF's weights.
        evidence: what it was made from; None where it cannot be made again.
        configuration: of the network whose weights they are, by the paper's names; or "".
    """

    track: Track
    params: SmplParams
    keypoints_px: np.ndarray
    keypoint_names: tuple[str, ...]
    quality: dict[str, float]
    estimator: str
    evidence: Evidence | None = None
    configuration: str = ""

    def __post_init__(self) -> None:
        frames, names = len(self.track), len(self.keypoint_names)
        if len(self.params) != frames or self.keypoints_px.shape != (frames, names, 3):
            raise ValueError(
                f"Estimate needs {frames} poses and keypoints_px ({frames}, {names}, 3)"
            )
