"""Finger angles of single frames -> over time: smooth, robust, relaxed where nothing is seen.
Each finger is seen or not by itself.

    sum_t  w_t |x_t - seen_t|^2 + r_t |x_t - rest|^2 + |speed|^2 / v^2 + |acceleration|^2 / a^2

Every term is linear in the angles and the same for those of a finger: one banded system a pass and
finger.  What leaves a frame's finger far from its neighbours counts less (Cauchy).
"""

import numpy as np

from staf_backend.fit.fingers_hand import TWIST, Hand

_SEEN_RAD = 0.14
"""Expected error of a frame's angles.  Chosen on 24 drawn tracks: 0.2 lags, 0.1 trembles."""
_REST_RAD = 0.6
"""Deviation from the resting hand where nothing is seen.  Chosen with `_SPEED`: a hand that is lost
relaxes within about 0.15 s."""
_HELD_RAD = 3.0
"""The same where any of the hand is seen.  Chosen: hardly any pull, which would cost 2 mm at the
tips of drawn hands; a finger that is lost for a while keeps what it did."""
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
        trust: (T, 5) of each finger, 0..1, 0 where it was not seen.
    """
    found, there = np.empty_like(angles), trust.max(1) > 0
    for finger in range(5):
        own = _angles_of(finger)
        rest = resting(hand.relaxed_rad[own], times_s, angles[:, own], trust[:, finger])
        found[:, own] = smoothed(times_s, angles[:, own], trust[:, finger], rest, there)
    return found.clip(*hand.limits_rad)


def _angles_of(finger: int) -> list[int]:
    """Places of a finger's angles; the twist is the thumb's."""
    own = list(range(4 * finger, 4 * finger + 4))
    return [*own, TWIST] if finger == 4 else own


def resting(
    relaxed_rad: np.ndarray, times_s: np.ndarray, angles: np.ndarray, trust: np.ndarray
) -> np.ndarray:
    """(A,) what a finger returns to: up to half its own habit, else a relaxed hand's.

    Args:
        relaxed_rad: (A,) of the relaxed hand.
        times_s: (T,) of the frames.
        angles: (T, A) of the finger.
        trust: (T,) in them.
    """
    seen = trust > 0
    if not seen.any():
        return relaxed_rad
    steps = np.gradient(times_s) if len(times_s) > 1 else np.zeros(1)
    seconds = float((trust * steps.clip(0, _LONGEST_STEP_S)).sum())
    share = 0.5 * seconds / (seconds + _HABIT_S)
    return (1 - share) * relaxed_rad + share * np.median(angles[seen], axis=0)


def smoothed(
    times_s: np.ndarray,
    angles: np.ndarray,
    trust: np.ndarray,
    rest: np.ndarray,
    there: np.ndarray,
) -> np.ndarray:
    """Angles (T, A) of one finger, or whatever else, over time.

    Args:
        times_s: (T,) of the frames.
        angles: (T, A) of single frames.
        trust: (T,) in them, 0..1.
        rest: (A,) what they return to.
        there: (T,) where they are held rather than let go.
    """
    smooth = _solved(times_s, angles, trust, rest, there)
    for _ in range(_PASSES - 1):
        off = np.sqrt(((angles - smooth) ** 2).mean(1))
        robust = trust / (1 + (off / _OUTLIER_RAD) ** 2)
        smooth = _solved(times_s, angles, robust, rest, there)
    return smooth


def _solved(
    times_s: np.ndarray,
    angles: np.ndarray,
    trust: np.ndarray,
    rest: np.ndarray,
    there: np.ndarray,
) -> np.ndarray:
    from scipy.linalg import solveh_banded

    count = len(times_s)
    seen = trust / _SEEN_RAD**2
    pull = np.where(there, 1 / _HELD_RAD**2, 1 / _REST_RAD**2)
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
