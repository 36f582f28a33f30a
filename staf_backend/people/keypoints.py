"""The detector's 17 key points: their names (COCO's), and how alike two people's poses are."""

import numpy as np

NAMES: tuple[str, ...] = (
    "nose",
    "left_eye",
    "right_eye",
    "left_ear",
    "right_ear",
    "left_shoulder",
    "right_shoulder",
    "left_elbow",
    "right_elbow",
    "left_wrist",
    "right_wrist",
    "left_hip",
    "right_hip",
    "left_knee",
    "right_knee",
    "left_ankle",
    "right_ankle",
)
"""In COCO's order, which is MoveNet's too; "left" is the person's left."""
COUNT = len(NAMES)

_SIGMAS = {
    "nose": 0.026,
    "eye": 0.025,
    "ear": 0.035,
    "shoulder": 0.079,
    "elbow": 0.072,
    "wrist": 0.062,
    "hip": 0.107,
    "knee": 0.087,
    "ankle": 0.089,
}
"""Deviation of COCO's human annotators, as a share of the person's size (pycocotools' cocoeval)."""
_TOLERANCES = 2 * np.array([_SIGMAS[name.split("_")[-1]] for name in NAMES])
"""(17,) as a share of the size; COCO's measure takes twice the deviation."""
_EXTENT_SHARE = 0.7
"""Of the diagonal around the key points.  Chosen: about the root of a standing person's area."""


def indices(*parts: str) -> list[int]:
    """Where the named key points stand; "left_hip" names one, "hip" both, left first."""
    names = [
        name
        for part in parts
        for name in ([part] if part in NAMES else [f"left_{part}", f"right_{part}"])
    ]
    return [NAMES.index(name) for name in names]


SHOULDERS, HIPS, KNEES = indices("shoulder"), indices("hip"), indices("knee")
TORSO = [*SHOULDERS, *HIPS]
"""Indices of key points, left first."""


def keypoint_similarity(
    one_px: np.ndarray, other_px: np.ndarray, tolerance: float = 1.0
) -> np.ndarray:
    """Object key-point similarity (P, Q), 0..1, of two sets of people (COCO's OKS).

    Args:
        one_px, other_px: (P, 17, 3), (Q, 17, 3) x, y, score.
        tolerance: factor on COCO's tolerances.

    Each key point weighs by the product of its two scores; the size is the mean of both people's
    extents, so that a limb hidden on one side does not decide.
    """
    gap2 = ((one_px[:, None, :, :2] - other_px[None, :, :, :2]) ** 2).sum(-1)
    size = (extent_px(one_px)[:, None] + extent_px(other_px)[None]) / 2
    close = np.exp(-gap2 / (2 * (tolerance * _TOLERANCES * size[..., None]) ** 2 + 1e-9))
    weight = one_px[:, None, :, 2] * other_px[None, :, :, 2] + 1e-6
    return (close * weight).sum(-1) / weight.sum(-1)


def extent_px(keypoints_px: np.ndarray) -> np.ndarray:
    """Size (...,) in pixels, about sqrt(area): 0.7 of the diagonal around all key points."""
    points = keypoints_px[..., :2]
    span = points.max(-2) - points.min(-2)
    return _EXTENT_SHARE * np.hypot(span[..., 0], span[..., 1])
