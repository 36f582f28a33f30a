"""A body fitted to a person's landmarks over a whole track, smooth in time."""

from staf_backend.fit.banded import BandedSystem
from staf_backend.fit.fingers import with_fingers
from staf_backend.fit.fitter import Fitted, Fitter
from staf_backend.fit.ground import FLOOR_M, PLANT_M_S, Ground, Looseness, looseness
from staf_backend.fit.settings import MARKER_TRUST, FitSettings
from staf_backend.fit.state import placed
from staf_backend.fit.terms import NEAREST_M, second_difference

__all__ = [
    "FLOOR_M",
    "MARKER_TRUST",
    "NEAREST_M",
    "PLANT_M_S",
    "BandedSystem",
    "FitSettings",
    "Fitted",
    "Fitter",
    "Ground",
    "Looseness",
    "looseness",
    "placed",
    "second_difference",
    "with_fingers",
]
