"""Which frames each window of a track holds.  numpy only.

A window has the target in its middle.  Near the ends of an unbroken stretch the middle cannot be
had; `Edges` says what is done there.  A gap in the frames, or a cut, ends a stretch: neighbours in
a window are always neighbours in time.
"""

from collections.abc import Iterable
from typing import Literal

import numpy as np

Edges = Literal["repeat", "replicate", "demo"]
"""What a window too near an end holds.

"repeat": the target again and again, as the paper says.  "replicate": the stretch's first or last
frame in place of those that are missing.  "demo": "repeat" with the slip of the authors' demo, only
for reproducing it: the last targets take the frame after them, the very last takes the first.
"""


def stretches(frames: np.ndarray, cuts: Iterable[int] = ()) -> list[slice]:
    """Unbroken runs of a track.

    Args:
        frames: (T,) increasing frame numbers.
        cuts: frame numbers at which a new shot begins.

    Returns:
        Slices of `frames`, in order, that together cover it.

    Raises:
        ValueError: frames do not increase.
    """
    frames = np.asarray(frames)
    steps = np.diff(frames)
    if (steps <= 0).any():
        raise ValueError("frames must increase")
    breaks = np.flatnonzero((steps > 1) | np.isin(frames[1:], list(cuts))) + 1
    bounds = [0, *breaks.tolist(), len(frames)]
    return [slice(*bounds[i : i + 2]) for i in range(len(bounds) - 1) if bounds[i] < bounds[i + 1]]


def windows(count: int, length: int, edges: Edges = "repeat") -> np.ndarray:
    """Windows of a stretch.

    Args:
        count: frames in the stretch, T.
        length: frames in a window, odd.
        edges: what windows near the ends hold.

    Returns:
        (T, length) indices into the stretch, one row a target.

    Raises:
        ValueError: length is not a positive odd number, or edges is unknown.
    """
    if length < 1 or length % 2 == 0:
        raise ValueError(f"length must be odd, not {length}")
    reach = length // 2
    targets = np.arange(count)
    table = targets[:, None] + np.arange(-reach, reach + 1)
    if edges == "replicate":
        return table.clip(0, max(count - 1, 0))
    near_end = (targets < reach) | (targets >= count - reach)
    table[near_end] = targets[near_end, None]
    if edges == "demo":
        tail = targets[max(count - reach, 0) :]
        table[tail] = ((tail + 1) % max(count, 1))[:, None]
    elif edges != "repeat":
        raise ValueError(f"edges must be 'repeat', 'replicate' or 'demo', not {edges!r}")
    return table
