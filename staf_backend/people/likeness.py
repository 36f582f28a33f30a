"""From the cosine of two looks to how alike they are: by known cosines, or by those of the clip.

Every network has its own cosines for one person and for two.  0 is as little alike as other people
are, 1 as much as one person usually is; all thresholds are said on this scale.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

_PAIRS = 12
"""Of each kind, before a clip's cosines say anything.  Chosen: three seconds of two people."""
_OTHER_SHARE, _SAME_SHARE = 0.6, 0.25
"""Shares of a clip's cosines, of other people and of one, that are 0 and 1 on the scale.  Chosen so
that our own network gets about the scale that was measured for it."""
_LEAST_APART = 0.1
"""Of the two cosines.  Chosen: a network that tells no more than this tells nobody apart."""


@dataclass(frozen=True)
class CosineScale:
    """Cosines of other people and of one person, between which a likeness runs from 0 to 1."""

    other: float
    same: float

    def __post_init__(self) -> None:
        if not -1 <= self.other < self.same <= 1:
            raise ValueError("cosines must rise from other to same, within -1 and 1")

    def likeness(self, cosine: float) -> float:
        """Of a cosine: 0 for somebody else, 1 for the same person; below and above it goes on."""
        return (cosine - self.other) / (self.same - self.other)

    def similarity(self, cosine: float) -> float:
        """The likeness within 0..1."""
        return float(np.clip(self.likeness(cosine), 0, 1))


class ClipScale:
    """The scale of one clip: the network's, or learnt from people whom nobody hides.

    Two people on one frame are two, and who is followed without anybody near stays one person.

    Args:
        known: the network's, where it has one.
    """

    def __init__(self, known: CosineScale | None) -> None:
        self._known = known
        self._same: list[float] = []
        self._other: list[float] = []

    @property
    def scale(self) -> CosineScale | None:
        """None before enough was seen, or where the network tells nobody apart."""
        if self._known or min(len(self._same), len(self._other)) < _PAIRS:
            return self._known
        other = float(np.quantile(self._other, _OTHER_SHARE))
        same = float(np.quantile(self._same, _SAME_SHARE))
        return CosineScale(other, same) if same - other >= _LEAST_APART else None

    def note(self, own: float, others: Sequence[float]) -> None:
        """Take a look's cosines to the gallery of its person, and to those of others."""
        if self._known is None:
            self._same.append(min(own, 1.0))
            self._other.extend(others)
