"""BlazePose's 33 landmarks by name, and which of them the person detector sees, too."""

import numpy as np

from staf_backend.geometry import counterparts
from staf_backend.people import keypoints

NAMES = (
    *("nose", "left_eye_inner", "left_eye", "left_eye_outer"),
    *("right_eye_inner", "right_eye", "right_eye_outer", "left_ear", "right_ear"),
    *("mouth_left", "mouth_right", "left_shoulder", "right_shoulder", "left_elbow"),
    *("right_elbow", "left_wrist", "right_wrist", "left_pinky", "right_pinky"),
    *("left_index", "right_index", "left_thumb", "right_thumb", "left_hip", "right_hip"),
    *("left_knee", "right_knee", "left_ankle", "right_ankle", "left_heel", "right_heel"),
    *("left_foot_index", "right_foot_index"),
)
"""In the network's order (MediaPipe's `PoseLandmark`); "left" is the person's left."""
COUNT = len(NAMES)

MIRROR = counterparts(NAMES)
"""(33,) the landmark on the other side of the body."""

COCO = np.array([NAMES.index(name) for name in keypoints.NAMES])
"""(17,) the landmark that is the same point as each of the detector's key points."""

COCO_MIRROR = counterparts(keypoints.NAMES)
"""(17,) the key point on the other side of the body."""


def indices(*parts: str) -> np.ndarray:
    """Where the named landmarks stand: "hip" is both hips, left first."""
    names = [f"{side}_{part}" for part in parts for side in ("left", "right")]
    return np.array([NAMES.index(name) for name in names])
