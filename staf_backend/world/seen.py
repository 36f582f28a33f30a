"""Whether a person's feet were seen: of others the estimate invents legs."""

import numpy as np

from staf_backend.estimators import Estimate
from staf_backend.geometry import Camera

_POINTS = ("{side}_heel", "{side}_foot_index", "{letter}_Ankle", "{letter}_Foot")
"""Key points of a foot, by the names that estimators use."""
_LEAST = 0.3
"""Confidence from which a foot is seen.  Chosen: the landmark network gives 0.9 and more to feet in
the picture, and below 0.1 beyond its edge."""
_GAP_S = 0.5
"""A foot that is hidden for less is seen.  Chosen: a leg that passes the other."""


def feet_seen(estimate: Estimate, camera: Camera) -> np.ndarray:
    """(T, 2) bool: whether the left and the right foot were seen, or nearly."""
    from scipy.ndimage import maximum_filter1d

    times_s = estimate.track.times_s
    step_s = float(np.median(np.diff(times_s))) if len(times_s) > 1 else _GAP_S
    points = estimate.keypoints_px
    inside = ((points[..., :2] >= 0) & (points[..., :2] < (camera.width_px, camera.height_px))).all(
        -1
    )
    sure = inside & (points[..., 2] >= _LEAST)
    sides = (("left", "L"), ("right", "R"))
    seen = np.stack([sure[:, _columns(estimate, *side)].any(1) for side in sides], 1)
    return maximum_filter1d(seen.astype(np.uint8), 1 + round(_GAP_S / step_s), axis=0) > 0


def _columns(estimate: Estimate, side: str, letter: str) -> list[int]:
    names = [name.format(side=side, letter=letter) for name in _POINTS]
    return [k for k, name in enumerate(estimate.keypoint_names) if name in names]
