"""Predict: where a person should be now, from where they were seen last.

last hit ──carried along with the camera──► + own velocity, which fades out ──► key points, box
"""

import numpy as np

from staf_backend.people.camera_motion import move
from staf_backend.people.hits import Hit
from staf_backend.people.keypoints import TORSO

_VELOCITY_S = 0.1
"""Time constant of the velocity's average.  Chosen: three frames, against the detector's noise."""
_FADING_S = 0.3
"""Time constant of the velocity's fading.  Chosen: nobody keeps a swift move for much longer."""


class Prediction:
    """One person's pose, as last seen, and velocity, both in the current frame's pixels.

    Attributes:
        last_s: when they were last seen.
        keypoints_px: (17, 3) of the last hit, carried along with the camera since.
        box_px: (4,) likewise.
        velocity_px_s: (2,) of the torso, the camera's motion taken out.
    """

    def __init__(self, hit: Hit) -> None:
        self.last_s = hit.time_s
        self.keypoints_px, self.box_px = hit.keypoints_px, hit.box_px
        self.velocity_px_s = np.zeros(2)

    def carry(self, similarity: np.ndarray) -> None:
        """Take the camera's motion (2, 3) to the next frame along."""
        xy = move(similarity, self.keypoints_px[:, :2])
        self.keypoints_px = np.column_stack([xy, self.keypoints_px[:, 2]])
        self.box_px = move(similarity, self.box_px.reshape(2, 2)).reshape(4)
        self.velocity_px_s = similarity[:, :2] @ self.velocity_px_s

    def shift_px(self, time_s: float) -> np.ndarray:
        """(2,) how far they have probably gone since the last hit."""
        gap_s = time_s - self.last_s
        return self.velocity_px_s * (_FADING_S * -np.expm1(-gap_s / _FADING_S))

    def at(self, time_s: float) -> tuple[np.ndarray, np.ndarray]:
        """Key points (17, 3) and box (4,) expected at a time."""
        shift = self.shift_px(time_s)
        return self.keypoints_px + np.append(shift, 0), self.box_px + np.tile(shift, 2)

    def correct(self, hit: Hit, trusted: bool = True) -> None:
        """Seen again: the pose is the hit's, and the velocity follows where the hit is trusted."""
        gap_s = hit.time_s - self.last_s
        moved = (hit.keypoints_px - self.keypoints_px)[TORSO, :2].mean(0)
        share = -np.expm1(-gap_s / _VELOCITY_S) if trusted else 0.0
        self.velocity_px_s = self.velocity_px_s + share * (moved / gap_s - self.velocity_px_s)
        self.last_s, self.keypoints_px, self.box_px = hit.time_s, hit.keypoints_px, hit.box_px
