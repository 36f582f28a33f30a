# SPDX-License-Identifier: GPL-3.0-or-later
"""A rig at rest as arrays, in the armature's own space and unit.  N bones."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from ..user_error import UserError


class RetargetError(UserError):
    """A motion cannot be put on a rig."""


@dataclass(frozen=True, eq=False)
class RigShape:
    """Bones of an armature at rest; a bone comes after its parent."""

    names: tuple[str, ...]
    parents: tuple[int, ...]
    """(N,) -1 for a bone without."""
    heads: np.ndarray
    """(N, 3)"""
    tails: np.ndarray
    """(N, 3) where bones end, as far as that can be believed (`believed_tails`)."""
    axes: np.ndarray
    """(N, 3, 3) the bones' axes as columns."""

    def __post_init__(self) -> None:
        count = len(self.names)
        sizes = (len(self.parents), self.heads.shape, self.tails.shape, self.axes.shape)
        if sizes != (count, (count, 3), (count, 3), (count, 3, 3)):
            raise ValueError(f"a rig of {count} bones has arrays of {sizes}")

    @cached_property
    def places(self) -> Mapping[str, int]:
        """Place of each bone by its name."""
        return {name: place for place, name in enumerate(self.names)}

    @cached_property
    def children(self) -> tuple[tuple[int, ...], ...]:
        """(N,) children of each bone."""
        found: list[list[int]] = [[] for _ in self.names]
        for place, parent in enumerate(self.parents):
            if parent >= 0:
                found[parent].append(place)
        return tuple(map(tuple, found))

    def root_of(self, place: int) -> int:
        """The bone at the top of a bone's tree."""
        while self.parents[place] >= 0:
            place = self.parents[place]
        return place

    def above(self, place: int) -> list[int]:
        """A bone's parents, nearest first."""
        found = []
        while self.parents[place] >= 0:
            place = self.parents[place]
            found.append(place)
        return found
