"""Finger angles of single frames -> over time: smooth, robust, relaxed where nothing is seen.

    sum_t  w_t |x_t - seen_t|^2 + r_t |x_t - rest|^2 + |speed|^2 / v^2 + |acceleration|^2 / a^2

Every term is linear in the angles and the same for all of them: one banded system a pass, solved
for all angles together.  What leaves a frame's hand far from its neighbours counts less (Cauchy).
"""

import numpy as np

from staf_backend.fit.fingers_hand import Hand

_SEEN_RAD = 0.2
"""Expected error of a frame's angles.  From 400 drawn hands: 12 degrees."""
_REST_RAD = 0.6
"""Deviation from the resting hand where nothing is seen.  Chosen with `_SPEED`: a hand that is lost
relaxes within about 0.15 s."""
_HELD_RAD = 3.0
"""The same where it is seen.  Chosen: hardly any pull."""
_SPEED, _ACCELERATION = 4.0, 60.0
"""Deviations, rad/s and rad/s^2.  Chosen: a quick fist closes in 0.3 s."""
_OUTLIER_RAD = 0.35
"""Distance of a frame's angles from the smooth ones, root mean square, beyond which it counts less.
Chosen: two expected errors."""
_PASSES = 4
_HABIT_S = 1.0
"""Seconds of a seen hand that count as much as what hands in general do.  Chosen."""
_LONGEST_STEP_S = 0.1
"""Of the clock.  Chosen: where frames are missing, speeds are not carried on for longer."""


def over_time(hand: Hand, times_s: np.ndarray, angles: np.ndarray, trust: np.ndarray) -> np.ndarray:
    """Angles (T, 21) of all frames, within the hand's limits.

    Args:
        hand: whose limits and resting angles.
        times_s: (T,) of the frames.
        angles: (T, 21) of single frames; any finite numbers where nothing is trusted.
        trust: (T,) 0..1, 0 where the hand was not seen.
    """
    rest = resting(hand, times_s, angles, trust)
    smooth, robust = np.tile(rest, (len(times_s), 1)), trust
    for number in range(_PASSES):
        smooth = _solved(times_s, angles, robust, rest)
        if number < _PASSES - 1:
            off = np.sqrt(((angles - smooth) ** 2).mean(1))
            robust = trust / (1 + (off / _OUTLIER_RAD) ** 2)
    return smooth.clip(*hand.limits_rad)


def resting(hand: Hand, times_s: np.ndarray, angles: np.ndarray, trust: np.ndarray) -> np.ndarray:
    """(21,) what a hand returns to: up to half its own habit, else a relaxed hand."""
    seen = trust > 0
    if not seen.any():
        return hand.relaxed_rad
    steps = np.gradient(times_s) if len(times_s) > 1 else np.zeros(1)
    seconds = float((trust * steps.clip(0, _LONGEST_STEP_S)).sum())
    share = 0.5 * seconds / (seconds + _HABIT_S)
    habit = np.median(angles[seen], axis=0)
    return ((1 - share) * hand.relaxed_rad + share * habit).clip(*hand.limits_rad)


def _solved(
    times_s: np.ndarray, angles: np.ndarray, trust: np.ndarray, rest: np.ndarray
) -> np.ndarray:
    from scipy.linalg import solveh_banded

    count = len(times_s)
    seen = trust / _SEEN_RAD**2
    pull = (1 - trust) / _REST_RAD**2 + trust / _HELD_RAD**2
    band = np.zeros((3, count))  # LAPACK's lower form: band[k, t] ties t + k to t
    band[0] = seen + pull
    right = seen[:, None] * angles + pull[:, None] * rest
    steps = np.diff(times_s).clip(1e-4, _LONGEST_STEP_S)
    speed = 1 / (_SPEED * steps) ** 2
    band[0, :-1] += speed
    band[0, 1:] += speed
    band[1, :-1] -= speed
    if count > 2:
        before, after = 1 / steps[:-1], 1 / steps[1:]
        half = (steps[:-1] + steps[1:]) / 2
        terms = np.stack([before, -before - after, after]) / half / _ACCELERATION
        for i in range(3):
            for k in range(3 - i):
                band[k, i : i + count - 2] += terms[i] * terms[i + k]
    return solveh_banded(band[: min(3, count)], right, lower=True, check_finite=False)
