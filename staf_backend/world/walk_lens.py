"""The lens as a walk toward the camera, or away from it, tells it.

A lens that is taken for longer than it is moves a person farther along the view than they walked,
and nobody takes steps of any length: what is a step too long for the body tells the lens.  Where
feet stand on the way tells it less: the lifter bends the legs as the lens would have it.  Of 33
simulated walks, half of a change of the lens shows in the feet's way, nine tenths in the steps.
"""

import dataclasses
import logging
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from staf_backend.estimators import Estimate
from staf_backend.fit import Fitter
from staf_backend.world import view
from staf_backend.world.movement import Movement, movement_of
from staf_backend.world.seen import feet_seen

if TYPE_CHECKING:
    from staf_backend.body import Body
    from staf_backend.estimators import EstimatorSettings, Shot

_log = logging.getLogger(__name__)

_WINDOW_S, _HOP_S = 3.0, 1.0
"""Stretches of film that are looked at.  Chosen: five steps, and most of a short walk."""
_STRAIGHT = 0.95
"""Of a way's length that its ends are apart.  Chosen: people sway by 2 % of it."""
_ALONG = np.cos(np.radians(30))
"""Cosine of the angle to the view within which a walk tells the lens.  Chosen: across the view, the
lens hardly matters."""
_LEAST_SEEN = 0.75
"""Share of a window in which feet must be seen.  Chosen: the rest is in the middle of it or at an
end, and evenness tells."""
_FEWEST_STEPS, _MOST_UNEVEN = 3, 0.25
"""Whole steps in a window, and the deviation of their times over their mean.  Chosen: a walk."""
_STEPS_HZ = (1.2, 2.4)
"""Steps a second of a walk; faster is a run.  Chosen: capture has 1.3 to 2.1."""
_LEAST_STRIDE = 0.07
"""Of the body's height, that one foot passes the other by.  Chosen: below it is shuffling."""
_STEP = 0.36
"""A step over the body's height.  Between 0.32 of those walks, in motion capture studios, and 0.41
on the street, the usual rule of pedometers."""
_TRUST = 0.65
"""Share of the found error that is corrected.  From deviations of logarithms: 0.2 of lenses about
the assumed one (chosen), 0.15 of steps (0.09 measured within studios, the rest between them and the
street)."""
_LEAST_CHANGE = 0.03
"""A smaller one is not worth fitting again for.  Chosen."""
_MOST_CHANGE = (-0.35, 0.35)
"""Logarithms; more is no lens but an unusual step.  Chosen: from a phone's to a 50 mm lens."""
_SMOOTH_S = 0.1
"""Deviation of the smoothing of the feet's distance.  Chosen: a fifth of a step."""

TOLD = "The lens was corrected by how somebody walks toward the camera or away from it."


class _Steps(NamedTuple):
    """seconds of a step, deviation over mean, and how many whole ones."""

    seconds: float
    uneven: float
    whole: int


def corrected_lens(
    shot: "Shot", estimates: Sequence[Estimate], body: "Body", settings: "EstimatorSettings"
) -> tuple["Shot", list[Estimate]]:
    """The shot with the lens that walks tell, and its estimates made again with it.

    Nothing changes where the lens is known, nobody walks along the view, the camera does not stand
    still, or an estimate cannot be made again.

    Args:
        shot: the footage and its camera.
        estimates: of all its tracks.
        body: what was estimated.
        settings: what the fit trusts, and its threads.
    """
    kept = list(estimates)
    still = all(shot.watch.kind(estimate.track.frames) == "still" for estimate in kept)
    again = all(estimate.evidence is not None for estimate in kept)
    if shot.camera.focal_source != "assumed" or not still or not again:
        return shot, kept
    factor = _factor(shot, kept, body)
    if factor is None:
        return shot, kept
    _log.info(TOLD)
    focal_px = shot.camera.focal_px * factor
    camera = dataclasses.replace(shot.camera, focal_px=focal_px, focal_source="walk")
    return dataclasses.replace(shot, camera=camera), _again(kept, factor, body, settings)


def _factor(shot: "Shot", estimates: Sequence[Estimate], body: "Body") -> float | None:
    """By which the lens is longer than assumed; None where nobody's walk tells it."""
    ratios: list[float] = []
    for estimate in estimates:
        seen = feet_seen(estimate, shot.camera)
        movement = movement_of(estimate.params, estimate.track.times_s, body, seen)
        ratios += _step_ratios(movement)
    if not ratios:
        return None
    change = _TRUST * (np.log(_STEP) - float(np.median(np.log(ratios))))
    return None if abs(change) < _LEAST_CHANGE else float(np.exp(np.clip(change, *_MOST_CHANGE)))


def _step_ratios(movement: Movement) -> Iterator[float]:
    """Length of a step over the body's height, in each window in which the person walks so that it
    tells."""
    window, hop = (max(2, round(s * movement.rate_hz)) for s in (_WINDOW_S, _HOP_S))
    if len(movement) < window:
        return
    height_m = float(np.ptp(movement.body.rest_vertices_m(movement.betas)[:, 1]))
    joints, feet = movement.posed.joints_m, movement.posed.points_m[:, :4].reshape(-1, 2, 2, 3)
    apart_m = (feet[:, 0] - feet[:, 1]).mean(1)
    for first in range(0, len(movement) - window + 1, hop):
        rows = slice(first, first + window)
        way = joints[rows, 0]
        if movement.feet_seen[rows].mean() < _LEAST_SEEN or not _along_the_view(way):
            continue
        travel = way[-1] - way[0]
        ahead = apart_m[rows] @ (travel / np.linalg.norm(travel))
        steps = _steps(ahead / height_m, movement.rate_hz)
        if steps is None or steps.uneven > _MOST_UNEVEN or steps.whole < _FEWEST_STEPS:
            continue
        if _STEPS_HZ[0] <= 1 / steps.seconds <= _STEPS_HZ[1]:
            seconds = float(np.ptp(movement.times_s[rows]))
            yield float(np.linalg.norm(travel)) / seconds * steps.seconds / height_m


def _along_the_view(way: np.ndarray) -> bool:
    """Whether a way (T, 3), the camera at the origin, is straight and leads to it or away."""
    travel = way[-1] - way[0]
    length, walked = np.linalg.norm(travel), np.linalg.norm(np.diff(way, axis=0), axis=-1).sum()
    if length < 1e-6 or length < _STRAIGHT * walked:
        return False
    ray = way.mean(0) / np.linalg.norm(way.mean(0))
    return bool(abs(travel @ ray) >= _ALONG * length)


def _steps(ahead: np.ndarray, rate_hz: float) -> _Steps | None:
    """Steps of one foot ahead of the other (T,), over the height; None where there are too few."""
    from scipy.ndimage import gaussian_filter1d

    steady = gaussian_filter1d(ahead, _SMOOTH_S * rate_hz)
    steady = steady - np.median(steady)
    passing = np.flatnonzero(np.sign(steady[1:]) != np.sign(steady[:-1]))
    kept = passing[:1].tolist()
    for at in passing[1:].tolist():
        if np.abs(steady[kept[-1] : at + 1]).max() > _LEAST_STRIDE:
            kept.append(at)
    if len(kept) <= _FEWEST_STEPS:
        return None
    seconds = np.diff(kept) / rate_hz
    return _Steps(float(np.median(seconds)), float(seconds.std() / seconds.mean()), len(seconds))


def _again(
    estimates: Sequence[Estimate], factor: float, body: "Body", settings: "EstimatorSettings"
) -> list[Estimate]:
    """Estimates lifted and fitted as a lens longer by a factor saw them."""
    fitter = Fitter(body, settings.fit)
    betas: dict[int, np.ndarray] = {}
    made: dict[int, Estimate] = {}
    longest_first = sorted(range(len(estimates)), key=lambda i: -len(estimates[i].track))
    for i in longest_first:
        estimate = estimates[i]
        track, known = estimate.track, estimate.evidence
        assert known is not None
        evidence = dataclasses.replace(known, rays=known.rays / np.float32(factor))
        evidence = view.lifted_again(evidence, np.eye(3), track.times_s)
        evidence = dataclasses.replace(evidence, world_m=known.world_m)
        params, distance_mm = view.fitted_again(
            evidence, track.times_s, fitter, betas.get(track.person)
        )
        betas.setdefault(track.person, params.betas)
        quality = {**estimate.quality, "landmark_distance_mm": distance_mm}
        made[i] = dataclasses.replace(estimate, params=params, evidence=evidence, quality=quality)
    return [made[i] for i in range(len(estimates))]
