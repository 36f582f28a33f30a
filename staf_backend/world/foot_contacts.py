"""How likely each heel and toe stands: a small network over half a second to both sides.

    features of one foot ─► 48 numbers ─► three convolutions of 5 frames, 1, 2 and 4 apart, each
    added to what it read ─► heel, toe

Both feet go through the same network, the right one in a mirror.  It was taught by motion capture
as the lifter and the fit estimate it (`training/contacts`), in which depth jumps, legs change
places as they pass, and feet come to rest late.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache

import numpy as np

from staf_backend.assets import asset_path
from staf_backend.runtime.dilated import DilatedNetwork, dilated_of, margin
from staf_backend.world.foot_features import REACH, FootTracks, features, foot_tracks
from staf_backend.world.movement import FEET, Poses

SPACING = (1, 2, 4)
"""Frames between what a convolution reads, one after the other."""
MARGIN = margin(SPACING)
"""Frames to both sides that the network sees."""
UNUSUAL = 4.0
"""Deviations at which an unusual number is cut.  Chosen: what was never seen is not carried on."""
_BLOCK = 500
"""Frames asked at once, so that memory does not grow with the clip.  Chosen."""


@dataclass(frozen=True, eq=False)
class FootNetwork:
    """The learned network, that of one foot."""

    of_foot: DilatedNetwork

    def __call__(self, numbers: np.ndarray) -> np.ndarray:
        """Probabilities (N, 4) of `FEET`.

        Args:
            numbers: (N + 2 `MARGIN`, 2, F) features, see `foot_features.features`.
        """
        score = self.of_foot(numbers.swapaxes(0, 1), UNUSUAL)
        return (1 / (1 + np.exp(-score))).swapaxes(0, 1).reshape(-1, len(FEET))


def feet_standing(movement: Poses) -> np.ndarray:
    """(T, 4) probability that each of `FEET` stands.

    Args:
        movement: whose y axis is up, about.

    Raises:
        AssetError: the network is missing or damaged.
    """
    tracks = foot_tracks(movement)
    found = np.concatenate([_block(tracks, first) for first in range(0, len(tracks), _BLOCK)])
    columns = [np.interp(movement.times_s, tracks.times_s, column) for column in found.T]
    return np.stack(columns, 1)


def _block(tracks: FootTracks, first: int) -> np.ndarray:
    """Probabilities (n, 4) from the `first` time on; beyond its ends a clip stays as there."""
    last, wide = min(first + _BLOCK, len(tracks)), MARGIN + REACH
    begin = max(first - wide, 0)
    numbers = features(tracks.part(slice(begin, last + wide)))
    rows = np.arange(first - MARGIN, last + MARGIN).clip(0, len(tracks) - 1)
    return foot_network()(numbers[rows - begin])


@cache
def foot_network() -> FootNetwork:
    """The one that is shipped.

    Raises:
        AssetError: it is missing or damaged.
    """
    with np.load(asset_path("foot_contacts.npz"), allow_pickle=False) as file:
        return foot_network_of(file)


def foot_network_of(arrays: Mapping[str, np.ndarray]) -> FootNetwork:
    """From the arrays of its file, see `dilated_of`."""
    return FootNetwork(dilated_of(arrays, SPACING))
