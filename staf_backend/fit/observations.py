"""What the fit knows: a whole track as it was given, and some of its frames made ready to use."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from staf_backend.fit.ground import LANDMARK_SHARE, Ground
from staf_backend.fit.settings import MARKER_TRUST, REFERENCE_HZ, FitSettings
from staf_backend.geometry import from_quaternions

if TYPE_CHECKING:
    from staf_backend.landmarks import Lifted


_USEFUL_MARKERS = 8
"""Seen markers from which a frame says something of the body's shape.  Chosen."""


@dataclass(frozen=True)
class Seen:
    """What is known of some frames.

    `weights` are (T, 27) in 1/m^2, 0 where nothing is seen; `planted` (T, 4) is how surely heels
    and toes stand still, 0..1; `ground` is what a second pass knows; `eye_m` (T, 3) is where the
    camera stands, which the person's place is told from, `turns` (T, 3, 3) how it is turned; None
    where it stays.
    """

    times_s: np.ndarray
    rays: np.ndarray
    weights: np.ndarray
    prior: np.ndarray
    prior_weights: np.ndarray
    planted: np.ndarray
    ground: Ground | None = None
    eye_m: np.ndarray | None = None
    turns: np.ndarray | None = None

    def __getitem__(self, chosen: slice | np.ndarray) -> "Seen":
        fields = {name: getattr(self, name) for name in self.__dataclass_fields__}
        given = {name: value for name, value in fields.items() if value is not None}
        return Seen(**{name: value[chosen] for name, value in given.items()})


@dataclass(frozen=True)
class SeenTrack:
    """A whole track as it was given, which is as small as it can be: a clip may be long."""

    rays: np.ndarray
    confidence: np.ndarray
    times_s: np.ndarray
    lifted: "Lifted"
    settings: FitSettings
    least_deviation_rad: np.ndarray
    ground: Ground | None = None
    eye_m: np.ndarray | None = None
    turns: np.ndarray | None = None

    def frames(self, chosen: slice | np.ndarray) -> Seen:
        """What is known of some frames; closer ones than `REFERENCE_HZ` share what they know."""
        rays, confidence = self.rays[chosen], self.confidence[chosen]
        present = _present(rays, confidence)
        gaps = np.gradient(self.times_s) if len(self.times_s) > 1 else np.array([1 / REFERENCE_HZ])
        share = np.minimum(gaps[chosen] * REFERENCE_HZ, 1.0)[:, None]
        weights = np.where(present, confidence, 0) * MARKER_TRUST * share
        lifted, settings = self.lifted, self.settings
        ground = None if self.ground is None else self.ground[chosen]
        landmark_m = settings.landmark_m * (1.0 if ground is None else LANDMARK_SHARE)
        deviation = settings.prior * np.maximum(
            lifted.deviation_rad[chosen], self.least_deviation_rad
        )
        return Seen(
            self.times_s[chosen],
            np.where(present[..., None], rays, 0),
            weights / landmark_m**2,
            from_quaternions(lifted.rotations_wxyz[chosen].astype(float)),
            share / deviation**2,
            (2 * lifted.contact[chosen] - 1).clip(0, 1) if ground is None else ground.planted,
            ground,
            None if self.eye_m is None else self.eye_m[chosen],
            None if self.turns is None else self.turns[chosen].astype(float),
        )

    def useful(self) -> np.ndarray:
        """Numbers of the frames that show enough of the body."""
        counts = (_present(self.rays, self.confidence) & (self.confidence > 0)).sum(1)
        return np.flatnonzero(counts >= _USEFUL_MARKERS)


def _present(rays: np.ndarray, confidence: np.ndarray) -> np.ndarray:
    return np.isfinite(rays).all(-1) & np.isfinite(confidence)
