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
LANDMARK_SHARE = 0.85
"""Of the deviation of landmarks in a fit that knows no ground: what the ground asks for shall be
given along the view, not beside the landmarks.  Joints of the balance clip within 0.5 % of their
landmarks, cameras 1 and 2: 0.90 and 0.90 without the ground, 0.875 and 0.90 at 0.9, 0.88 and 0.91
at this."""
SUNK_M = 0.15
"""Depth from which a foot is not under the ground but somewhere else.  Chosen: a step of stairs."""

_CALM, _LOOSEST = 0.45, 8.0
"""Factors on the acceleration that is allowed to limbs at rest, and at most (issue 14)."""
_STRIKE_M_S = 2.0
"""Speed of a limb's end, about the hips in the picture, that doubles it, about (issue 14)."""
_AROUND_S, _FADE_S = 0.15, 0.03
"""How long a strike loosens the smoothing, and the deviation of the factor's own.  Chosen."""
_WAY_S = 0.13
"""Over which a limb's end must get on: a landmark that flickers comes back.  Chosen: half of a fast
punch, out and back."""
_SEEN = 0.3
"""Confidence from which a landmark says that its limb strikes.  Chosen: as for feet that are
seen."""
_ENDS = {
    "wrist": ("shoulder", "elbow", "wrist"),
    "ankle": ("hip", "knee", "ankle"),
}
"""Joints that move each limb's end."""


@dataclass(frozen=True)
class Looseness:
    """Factors on the acceleration that the smoothing allows, each kept once: a clip may be long.

    Attributes:
        groups: (T, G) of unknowns that share theirs.
        group: (U,) which group an unknown belongs to.
    """

    groups: np.ndarray
    group: np.ndarray

    def __len__(self) -> int:
        return len(self.groups)

    def __getitem__(self, chosen: slice | np.ndarray) -> "Looseness":
        """Of some frames."""
        return Looseness(self.groups[chosen], self.group)

    def factors(self) -> np.ndarray:
        """(T, U)."""
        return self.groups[:, self.group]


@dataclass(frozen=True)
class Ground:
    """Where feet stand, in the axes of the rays: y points down, along gravity.

    Attributes:
        planted: (T, 4) how surely left heel, left toe, right heel, right toe stand still, 0..1.
        grounded: (T, 4) how surely they are as high as the ground, 0..1.
        height_m: (T, 4) y at which the marker of each lies when it stands; NaN where the ground's
            height is not known.
        lowest_m: (T, 4) y of the same markers if they lay on the ground about that time, whether
            they stand or not: no foot is below it.  NaN where it is not known.
        looseness: of the smoothing.
    """

    planted: np.ndarray
    grounded: np.ndarray
    height_m: np.ndarray
    lowest_m: np.ndarray
    looseness: Looseness

    def __post_init__(self) -> None:
        frames = len(self.planted)
        for name in ("planted", "grounded", "height_m", "lowest_m"):
            if getattr(self, name).shape != (frames, 4):
                raise ValueError(f"Ground.{name} must be ({frames}, 4)")
        if len(self.looseness) != frames:
            raise ValueError(f"Ground.looseness must have {frames} rows")

    def away_m(self, heights_m: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """How far heels and toes (T, 4), y down, are from where the ground has them, and how
        surely: what stands lies on it, what swings is not below it."""
        stands = np.isfinite(self.height_m) & (self.grounded > 0)
        under = np.nan_to_num(heights_m - self.lowest_m, nan=-1.0)
        sunk = (self.grounded == 0) & (under > 0) & (under < SUNK_M)
        away = np.where(stands, heights_m - np.nan_to_num(self.height_m), np.where(sunk, under, 0))
        return away, np.where(stands, self.grounded, sunk)

    def __getitem__(self, chosen: slice | np.ndarray) -> "Ground":
        """Some of its frames."""
        return Ground(*(getattr(self, name)[chosen] for name in self.__dataclass_fields__))


def looseness(
    rays: np.ndarray,
    confidence: np.ndarray,
    depth_m: np.ndarray,
    times_s: np.ndarray,
    unknowns: Unknowns,
) -> Looseness:
    """Factors on the allowed acceleration: a limb that strikes may, a calm one less.

    Args:
        rays: (T, 27, 2) of the markers; NaN where missing.
        confidence: (T, 27) 0..1 of them.
        depth_m: (T,) of the person.
        times_s: (T,).
        unknowns: of the fit.
    """
    from scipy.ndimage import gaussian_filter1d, maximum_filter1d

    groups = [np.full(len(times_s), _CALM)]
    group = np.zeros(len(unknowns), int)
    if len(times_s) < 3:
        return Looseness(np.stack(groups, 1), group)
    rate = 1 / float(np.median(np.diff(times_s)))
    seen = np.isfinite(rays).all(-1) & (confidence >= _SEEN)
    places = lambda chosen: np.nan_to_num(rays[:, chosen]) * depth_m[:, None, None]
    hips = list(markers.indices("hip"))
    middle = places(hips).mean(1)
    seen &= seen[:, hips].all(1, keepdims=True)
    for end, chain in _ENDS.items():
        for side in ("left", "right"):
            marker = markers.indices(f"{side}_{end}")[0]
            path = places([marker])[:, 0] - middle
            speed = _speed(path, seen[:, marker], times_s, rate)
            speed = maximum_filter1d(speed, max(3, round(_AROUND_S * rate)))
            speed = gaussian_filter1d(speed, _FADE_S * rate)
            for joint in unknowns.skeleton.indices(*(f"{side}_{name}" for name in chain)):
                group[unknowns.columns(joint)] = len(groups)
            groups.append((_CALM + (speed / _STRIKE_M_S) ** 2).clip(_CALM, _LOOSEST))
    return Looseness(np.stack(groups, 1), group)


def _speed(path: np.ndarray, seen: np.ndarray, times_s: np.ndarray, rate_hz: float) -> np.ndarray:
    """(T,) m/s with which a path (T, 2) gets on over `_WAY_S`, bridged where it was not seen."""
    known = np.flatnonzero(seen)
    if len(known) < 2:
        return np.zeros(len(path))
    path = np.stack([np.interp(times_s, times_s[known], path[known, c]) for c in (0, 1)], -1)
    half = max(1, round(_WAY_S / 2 * rate_hz))
    rows = np.arange(len(path))
    after, before = (rows + half).clip(max=len(path) - 1), (rows - half).clip(min=0)
    way = np.linalg.norm(path[after] - path[before], axis=-1)
    return way / (times_s[after] - times_s[before])
