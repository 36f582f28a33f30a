"""When the frames of a movie are shown."""

from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import numpy as np

USUAL_RATE = 30
"""Frames a second where a file says nothing.  Chosen: phones' rate."""


@dataclass(frozen=True)
class Origin:
    """How a container's time stamps become the clip's seconds, for its sound.

    Attributes:
        first_s: time stamp of the first picture.
        joins_s: (J,) what is added to time stamps after each place where they begin again.
    """

    first_s: float = 0.0
    joins_s: tuple[float, ...] = ()


@dataclass(frozen=True)
class Clock:
    """When the frames of a movie are shown.

    Attributes:
        pts: (F,) int64, sorted, in units of `time_base`.  Equal neighbours occur in broken files.
        keys: (K,) int64, sorted: pts at which decoding can start, shown or not.
        time_base: seconds per unit.
        labelled: whether decoded pictures carry these pts.  False where a file has none, or where
            they begin again: pictures are then counted, never sought.
        joins: (J,) units added to the file's own pts after each place where they begin again.
    """

    pts: np.ndarray
    keys: np.ndarray
    time_base: Fraction
    labelled: bool
    joins: tuple[int, ...] = ()

    @property
    def times_s(self) -> np.ndarray:
        """(F,) seconds from the first frame, strictly increasing."""
        ticks = (self.pts - self.pts[0]).astype(np.float64)
        new = np.flatnonzero(np.diff(ticks, prepend=-1))
        if len(new) < len(ticks):  # spread frames of one time over the time until the next
            step = float(np.median(np.diff(ticks[new]))) if len(new) > 1 else 1.0
            ends = np.append(new, len(ticks))
            ticks = np.interp(
                np.arange(len(ticks)), ends, np.append(ticks[new], ticks[new[-1]] + step)
            )
        return ticks * self.time_base.numerator / self.time_base.denominator

    @property
    def origin(self) -> Origin:
        """For the sound beside the pictures."""
        joins_s = tuple(float(units * self.time_base) for units in self.joins)
        return Origin(float(int(self.pts[0]) * self.time_base), joins_s)


def nominal_rate(stream: Any) -> Fraction:
    """Frames a second as the file says; the usual rate where it does not."""
    return Fraction(stream.guessed_rate or stream.average_rate or USUAL_RATE)


def mean_rate(clock: Clock, stream: Any) -> float:
    """Frames a second on the whole; the nominal rate for a single frame."""
    times_s = clock.times_s
    if len(times_s) > 1:
        return float((len(times_s) - 1) / (times_s[-1] - times_s[0]))
    return float(stream.average_rate or stream.guessed_rate or USUAL_RATE)
