"""The same footage as a camera that is held level would have seen it, lifted and fitted again."""

import dataclasses

import numpy as np

from staf_backend.body import SmplParams
from staf_backend.estimators import Evidence
from staf_backend.fit import NEAREST_M, Fitter, Ground
from staf_backend.geometry import TO_Y_UP, from_quaternions, to_quaternions
from staf_backend.landmarks import Lifted, LiftError
from staf_backend.world.gravity import to_level

_BLOCK = 1000
"""Frames turned at once, so that memory does not grow with the clip.  Chosen."""


def turned_params(
    params: SmplParams, turn: np.ndarray, out: np.ndarray | None = None
) -> SmplParams:
    """Parameters in the axes of a camera at the same place that is turned by (3, 3); `out` is as
    for `movement.movement_of`."""
    rotations = params.rotations.copy() if out is None else out
    rotations[:, 0] = turn @ rotations[:, 0]
    return SmplParams(rotations, params.root_m @ turn.T, params.betas)


def lifted_again(evidence: Evidence, turn: np.ndarray, times_s: np.ndarray) -> Evidence:
    """What a camera turned by (3, 3) would have seen, and what the lifter makes of that.

    Raises:
        ValueError: it was lifted again already.
    """
    if evidence.world_m is None:
        raise ValueError("evidence is lifted again once")
    rays, world_m = _turned_rays(evidence.rays, turn), evidence.world_m @ turn.T.astype(np.float32)
    try:
        lifted = evidence.lifter.lift(rays, world_m, evidence.visibility, times_s)
    except LiftError:  # everything lies behind the turned camera
        return turned_evidence(evidence, turn)
    return dataclasses.replace(evidence, rays=rays, world_m=None, lifted=lifted)


def turned_evidence(evidence: Evidence, turn: np.ndarray) -> Evidence:
    """The same, without asking the lifter again: its answer is turned."""
    rays, lifted = _turned_rays(evidence.rays, turn), _turned_lifted(evidence.lifted, turn)
    return dataclasses.replace(evidence, rays=rays, world_m=None, lifted=lifted)


def fitted_again(
    evidence: Evidence,
    times_s: np.ndarray,
    fitter: Fitter,
    betas: np.ndarray | None,
    ground: Ground | None = None,
    eye_m: np.ndarray | None = None,
) -> tuple[SmplParams, float]:
    """The parameters, and the landmarks' median distance in mm.

    Args:
        evidence: of T frames.
        times_s: (T,).
        fitter: of the body.
        betas: the person's shape where it is known.
        ground, eye_m: see `Fitter.fit`.
    """
    fitted = fitter.fit(
        evidence.rays, evidence.visibility, times_s, evidence.lifted, betas, ground, eye_m
    )
    seen = fitted.distance_m[np.isfinite(fitted.distance_m)]
    return fitted.params, float(np.median(seen)) * 1e3 if len(seen) else 0.0


def _turned_rays(rays: np.ndarray, turn: np.ndarray) -> np.ndarray:
    """Rays (T, 27, 2) in the turned axes; NaN where they point behind the camera."""
    turned = np.empty_like(rays)
    for begin in range(0, len(rays), _BLOCK):
        some = rays[begin : begin + _BLOCK].astype(float)
        ways = np.concatenate([some, np.ones_like(some[..., :1])], -1) @ turn.T
        depth = np.where(ways[..., 2:] > NEAREST_M, ways[..., 2:], np.nan)
        turned[begin : begin + _BLOCK] = ways[..., :2] / depth
    return turned


def _turned_lifted(lifted: Lifted, turn: np.ndarray) -> Lifted:
    rotations = np.empty_like(lifted.rotations_wxyz)
    for begin in range(0, len(rotations), _BLOCK):
        some = slice(begin, begin + _BLOCK)
        matrices = from_quaternions(lifted.rotations_wxyz[some].astype(float))
        rotations[some] = to_quaternions(turn @ matrices)
    return dataclasses.replace(lifted, rotations_wxyz=rotations, up=turn @ lifted.up)


def level_turn(up: np.ndarray) -> np.ndarray:
    """The shortest turn (3, 3), camera axes, after which `up` (y-up axes) is up."""
    return TO_Y_UP @ to_level(up) @ TO_Y_UP
