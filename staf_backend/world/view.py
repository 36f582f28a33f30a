"""The same footage as a camera that is held level would have seen it, lifted and fitted again."""

import dataclasses

import numpy as np

from staf_backend.body import SmplParams
from staf_backend.estimators import Evidence
from staf_backend.files import long_array, long_copy, stretches
from staf_backend.fit import NEAREST_M, Fitter, Ground
from staf_backend.geometry import TO_Y_UP, from_quaternions, to_quaternions
from staf_backend.landmarks import Lifted, LiftError
from staf_backend.world.gravity import to_level
from staf_backend.world.posed import turned_roots


def turned_params(
    params: SmplParams, turn: np.ndarray, out: np.ndarray | None = None
) -> SmplParams:
    """Parameters in the axes of a camera at the same place that is turned by (3, 3); `out` is as
    for `movement.movement_of`."""
    rotations = turned_roots(long_copy(params.rotations) if out is None else out, turn)
    return SmplParams(rotations, params.root_m @ turn.T, params.betas)


def lifted_again(evidence: Evidence, turn: np.ndarray, times_s: np.ndarray) -> Evidence:
    """What a camera turned by (3, 3) would have seen, and what the lifter makes of that.

    Raises:
        ValueError: it was lifted again already.
    """
    if evidence.world_m is None:
        raise ValueError("evidence is lifted again once")
    rays, world_m, turns = evidence.rays, evidence.world_m, evidence.turns
    if turns is None:
        rays, world_m = _turned_rays(rays, turn), long_array(evidence.world_m.shape)
        for rows in stretches(len(rays)):
            world_m[rows] = evidence.world_m[rows] @ turn.T.astype(np.float32)
    else:
        turns = turns @ turn.T
    try:
        lifted = evidence.lifter.lift(rays, world_m, evidence.visibility, times_s, turns)
    except LiftError:  # everything lies behind the turned camera
        return turned_evidence(evidence, turn)
    return dataclasses.replace(evidence, rays=rays, world_m=None, lifted=lifted, turns=turns)


def turned_evidence(evidence: Evidence, turn: np.ndarray) -> Evidence:
    """The same, without asking the lifter again: its answer is turned."""
    lifted = _turned_lifted(evidence.lifted, turn)
    known = dataclasses.replace(evidence, world_m=None, lifted=lifted)
    if evidence.turns is None:
        return dataclasses.replace(known, rays=_turned_rays(evidence.rays, turn))
    return dataclasses.replace(known, turns=evidence.turns @ turn.T)


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
        evidence.rays,
        evidence.visibility,
        times_s,
        evidence.lifted,
        betas,
        ground,
        eye_m,
        evidence.turns,
    )
    seen = fitted.distance_m[np.isfinite(fitted.distance_m)]
    return fitted.params, float(np.median(seen, overwrite_input=True)) * 1e3 if len(seen) else 0.0


def _turned_rays(rays: np.ndarray, turn: np.ndarray) -> np.ndarray:
    """Rays (T, 27, 2) in the turned axes; NaN where they point behind the camera."""
    turned = long_array(rays.shape, rays.dtype)
    for rows in stretches(len(rays)):
        some = rays[rows].astype(float)
        ways = np.concatenate([some, np.ones_like(some[..., :1])], -1) @ turn.T
        depth = np.where(ways[..., 2:] > NEAREST_M, ways[..., 2:], np.nan)
        turned[rows] = ways[..., :2] / depth
    return turned


def _turned_lifted(lifted: Lifted, turn: np.ndarray) -> Lifted:
    rotations = long_array(lifted.rotations_wxyz.shape, lifted.rotations_wxyz.dtype)
    for some in stretches(len(rotations)):
        matrices = from_quaternions(lifted.rotations_wxyz[some].astype(float))
        rotations[some] = to_quaternions(turn @ matrices)
    return dataclasses.replace(lifted, rotations_wxyz=rotations, up=turn @ lifted.up)


def level_turn(up: np.ndarray) -> np.ndarray:
    """The shortest turn (3, 3), camera axes, after which `up` (y-up axes) is up."""
    return TO_Y_UP @ to_level(up) @ TO_Y_UP
