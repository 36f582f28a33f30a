"""What every estimator gives the pipeline for one track."""

from dataclasses import dataclass

import numpy as np

from staf_backend.body.params import SmplParams
from staf_backend.people.track import Track


@dataclass(frozen=True)
class Estimate:
    """One track's answer.

    Attributes:
        track: whose.
        params: pose, shape and place of the track's frames, camera axes.
        keypoints_px: (T, K, 3) x, y, confidence 0..1 of what was seen; finite, with confidence 0
            where nothing was.
        keypoint_names: K names.
        quality: numbers about this estimate, by name.
        estimator: who made it: "landmarks", or the name of STAF's weights.
    """

    track: Track
    params: SmplParams
    keypoints_px: np.ndarray
    keypoint_names: tuple[str, ...]
    quality: dict[str, float]
    estimator: str

    def __post_init__(self) -> None:
        frames, names = len(self.track), len(self.keypoint_names)
        if len(self.params) != frames or self.keypoints_px.shape != (frames, names, 3):
            raise ValueError(
                f"Estimate needs {frames} poses and keypoints_px ({frames}, {names}, 3)"
            )
