"""Motion capture, varied and put before cameras: where all made-up data begins."""

from training.moves.mocap import HELD_OUT, Clip, MocapError, Sampler, split
from training.moves.movement import Movement, captured, sampled
from training.moves.planting import CLIMBS, planted
from training.moves.scenes import (
    BETA_WIDTHS,
    BODY,
    Cameras,
    Figure,
    Scenes,
    figure_of,
    open_clips,
    place,
)
from training.moves.smooth_noise import smooth_normals, smooth_series, smoothed, three_kinds
from training.moves.variety import NONE, Variety, check_chances, vary

__all__ = [
    "BETA_WIDTHS",
    "BODY",
    "CLIMBS",
    "HELD_OUT",
    "NONE",
    "Cameras",
    "Clip",
    "Figure",
    "MocapError",
    "Movement",
    "Sampler",
    "Scenes",
    "Variety",
    "captured",
    "check_chances",
    "figure_of",
    "open_clips",
    "place",
    "planted",
    "sampled",
    "smooth_normals",
    "smooth_series",
    "smoothed",
    "split",
    "three_kinds",
    "vary",
]
