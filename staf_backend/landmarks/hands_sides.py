"""Whether the hand seen at the end of an arm is that arm's: decided over a whole track.

A single look errs: of drawn hands that were asked for as the other one, 3 to 9 in 100 pass.  Where
the pose has exchanged its arms, or one arm's square lies on the other hand, it does so for a while,
and the first befalls both hands:

    each look's odds ─► two hidden states, own or other hand, that seldom change ─► odds of own

Forward-backward of a two-state Markov chain (Rabiner 1989), in log odds.
"""

import numpy as np

_MOST = 3.0
"""Log odds that one look can give at most.  Of 300 drawn hands looks beyond 3 were wrong in 1 % of
the right hands and 1 % of the others."""
_ALIKE_S = 0.2
"""Looks within this time err alike and count together as one.  Chosen on 24 drawn tracks with the
constants below: none of 296 exchanged hands is believed, of a real juggler's hands 1 % are lost."""
_OTHERS = 0.5
"""Weight of the other hand's look.  Chosen: arms are exchanged both at once, squares one by one."""
_EXCHANGED_PER_S, _BACK_PER_S = 0.5, 1.0
"""How often the hand becomes the other one, and its own again.  Chosen: warily, a third"""
_BELIEVED = 3.0
"""Log odds from which the hand is taken for the arm's own: 20 to 1.  Chosen."""


def own_hand(odds: np.ndarray, times_s: np.ndarray) -> np.ndarray:
    """(T, 2) whether what is seen of a person's hands over a track are the hands asked for.

    Args:
        odds: (T, 2) log odds of it by each look alone; NaN where nothing was seen.
        times_s: (T,) of the frames, increasing.
    """
    steps_s = np.diff(times_s, prepend=times_s[0] - _ALIKE_S)
    share = np.minimum(1.0, steps_s / _ALIKE_S)[:, None]
    looks = np.where(np.isfinite(odds), odds.clip(-_MOST, _MOST), 0.0) * share
    looks = looks + _OTHERS * looks[:, ::-1]
    prior = np.log(_BACK_PER_S / _EXCHANGED_PER_S)
    forth = np.empty_like(looks)
    forth[0] = prior
    for row in range(1, len(looks)):
        forth[row] = _later(forth[row - 1] + looks[row - 1], steps_s[row])
    back = np.zeros_like(looks)
    for row in range(len(looks) - 2, -1, -1):
        back[row] = _earlier(back[row + 1] + looks[row + 1], steps_s[row + 1])
    return forth + looks + back > _BELIEVED


def _changes(step_s: float) -> tuple[float, float]:
    """Probabilities of becoming the other hand, and the own one again, within a time."""
    both = _EXCHANGED_PER_S + _BACK_PER_S
    share = (1 - np.exp(-both * step_s)) / both
    return _EXCHANGED_PER_S * share, _BACK_PER_S * share


def _later(odds: np.ndarray, step_s: float) -> np.ndarray:
    """Log odds (N,) of the own hand a step later."""
    lost, found = _changes(step_s)
    own = 1 / (1 + np.exp(-odds))
    own = own * (1 - lost) + (1 - own) * found
    return np.log(own) - np.log1p(-own)


def _earlier(ratio: np.ndarray, step_s: float) -> np.ndarray:
    """Log ratio (N,) of what is seen later, given the own and the other hand a step before."""
    lost, found = _changes(step_s)
    more = np.exp(ratio)
    return np.log(more * (1 - lost) + lost) - np.log(more * found + 1 - found)
