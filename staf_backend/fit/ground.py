"""What a second pass of the fit knows of the ground: where feet stand, and where limbs strike."""

from dataclasses import dataclass

import numpy as np

from staf_backend.body import markers
from staf_backend.fit.unknowns import Unknowns

PLANT_M_S = 0.03
"""Deviation of the speed of a foot that was found to stand (issue 14)."""
PLANT_OUTLIER_M_S = 0.3
"""Speed from which a standing foot counts less.  Chosen: ten deviations, a foot that walks."""
FLOOR_M = 0.01
"""Deviation of a standing foot's height from the ground (issue 14)."""
FLOOR_OUTLIER_M = 0.06
"""Height from which it counts less.  Chosen: half a step of stairs is no noise."""

_CALM, _LOOSEST = 0.7, 8.0
"""Factors on the acceleration that is allowed to limbs at rest, and at most (issue 14)."""
_STRIKE_M_S = 2.0
"""Speed of a limb's end, about the hips in the picture, that doubles it, about (issue 14)."""
_AROUND_S, _STEADY_S, _FADE_S = 0.15, 0.02, 0.03
"""How long a strike loosens the smoothing; deviations of the speed's smoothing before, and of the
factor's after.  Chosen."""
_ENDS = {
    "wrist": ("shoulder", "elbow", "wrist"),
    "ankle": ("hip", "knee", "ankle"),
}
"""Joints that move each limb's end."""


@dataclass(frozen=True)
class Ground:
    """Where feet stand, in the axes of the rays: y points down, along gravity.

    Attributes:
        planted: (T, 4) how surely left heel, left toe, right heel, right toe stand still, 0..1.
        grounded: (T, 4) how surely they are as high as the ground, 0..1.
        height_m: (T, 4) y at which the marker of each lies when it stands; NaN where the ground's
            height is not known.
        looseness: (T, U) factors on the acceleration that the smoothing allows.
    """

    planted: np.ndarray
    grounded: np.ndarray
    height_m: np.ndarray
    looseness: np.ndarray

    def __post_init__(self) -> None:
        frames = len(self.planted)
        for name in ("planted", "grounded", "height_m"):
            if getattr(self, name).shape != (frames, 4):
                raise ValueError(f"Ground.{name} must be ({frames}, 4)")
        if len(self.looseness) != frames:
            raise ValueError(f"Ground.looseness must have {frames} rows")

    def __getitem__(self, chosen: slice | np.ndarray) -> "Ground":
        """Some of its frames."""
        return Ground(*(getattr(self, name)[chosen] for name in self.__dataclass_fields__))


def looseness(
    rays: np.ndarray, depth_m: np.ndarray, times_s: np.ndarray, unknowns: Unknowns
) -> np.ndarray:
    """Factors (T, U) on the allowed acceleration: a limb that strikes may, a calm one less.

    Args:
        rays: (T, 27, 2) of the markers; NaN where missing.
        depth_m: (T,) of the person.
        times_s: (T,).
        unknowns: of the fit.
    """
    from scipy.ndimage import gaussian_filter1d, maximum_filter1d

    factors = np.full((len(times_s), len(unknowns)), _CALM)
    if len(times_s) < 3:
        return factors
    rate = 1 / float(np.median(np.diff(times_s)))
    places = np.nan_to_num(rays) * depth_m[:, None, None]
    places = places - places[:, markers.indices("hip")].mean(1, keepdims=True)
    for end, chain in _ENDS.items():
        for side in ("left", "right"):
            path = places[:, markers.indices(f"{side}_{end}")[0]]
            path = gaussian_filter1d(path, _STEADY_S * rate, axis=0)
            speed = np.linalg.norm(np.gradient(path, times_s, axis=0), axis=-1)
            speed = maximum_filter1d(speed, max(3, round(_AROUND_S * rate)))
            speed = gaussian_filter1d(speed, _FADE_S * rate)
            factor = (_CALM + (speed / _STRIKE_M_S) ** 2).clip(_CALM, _LOOSEST)
            for joint in unknowns.skeleton.indices(*(f"{side}_{name}" for name in chain)):
                factors[:, unknowns.columns(joint)] = factor[:, None]
    return factors
