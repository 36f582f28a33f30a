"""Runs of frames: when something holds, from when to when."""

import numpy as np

Span = tuple[int, int]
"""First frame, and the one after the last."""


def spans(mask: np.ndarray, least: int = 1, bridge: int = 0) -> list[Span]:
    """The runs of True of a mask (T,).

    Args:
        mask: (T,) bool.
        least: frames of the shortest run to keep.
        bridge: frames of the longest gap between two runs to close.
    """
    edges = np.flatnonzero(np.diff(np.concatenate([[0], np.asarray(mask, int), [0]])))
    joined: list[Span] = []
    for first, last in edges.reshape(-1, 2).tolist():
        if joined and first - joined[-1][1] <= bridge:
            joined[-1] = joined[-1][0], last
        else:
            joined.append((first, last))
    return [span for span in joined if span[1] - span[0] >= least]


def nearest_known(known: np.ndarray) -> np.ndarray:
    """(T,) for each frame the number of the nearest one that is known.

    Args:
        known: (T,) bool, at least one of them True.
    """
    frames, at = np.arange(len(known)), np.flatnonzero(known)
    after = at[np.searchsorted(at, frames).clip(max=len(at) - 1)]
    before = at[(np.searchsorted(at, frames, side="right") - 1).clip(min=0)]
    return np.where(np.abs(after - frames) < np.abs(frames - before), after, before)


def faded(values: np.ndarray, known: np.ndarray, frames: float) -> np.ndarray:
    """Values (T, C) where they are known; beyond, those of the ends, smoothly fading to nothing.

    Args:
        values: (T, C).
        known: (T,) bool.
        frames: over how many frames.
    """
    if not known.any():
        return np.zeros_like(values)
    now, at = np.arange(len(known)), np.flatnonzero(known)
    after = at[np.searchsorted(at, now).clip(max=len(at) - 1)]
    before = at[(np.searchsorted(at, now, side="right") - 1).clip(min=0)]
    ahead, behind = (_left(np.abs(now - end), frames)[:, None] for end in (after, before))
    mixed = ahead * values[after] + behind * values[before]
    mixed = mixed / np.maximum(ahead + behind, 1)
    return np.where(known[:, None], values, mixed)


def _left(distance: np.ndarray, frames: float) -> np.ndarray:
    """How much is left of a value at a distance in frames: 1 to 0, level at both ends."""
    share = (1 - distance / frames).clip(0, 1)
    return share**2 * (3 - 2 * share)
