"""More moves than were captured: mirrored, recombined, bent, with limbs thrown about, lying down.

A few hours of walking, dancing and ball games do not show a yogi's raised leg or somebody on the
floor.  Functions here take and return windows of local rotations (N, W, 24, 3, 3), y up, many at a
time; `movement` does the same to one sequence of any length.  Chances and strengths stand in
`Variety`; the deviations below were chosen so that most poses stay possible for a body, and never
fitted to anything.
"""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from staf_backend.geometry import SMPL, rotations
from staf_backend.landmarks.windows import MIRROR_X, WINDOW
from training.moves.limbs import (
    ARMS,
    CROUCH_RAD,
    HIPS,
    LEGS,
    UPPER_BODY,
    blended,
    crouch,
    lead_share,
    leans,
    mirrored,
)
from training.moves.mocap import Moves, Sampler
from training.moves.smooth_noise import smooth_normals

_FRAMES = np.arange(WINDOW)
_OTHER_FOOT = [2, 3, 0, 1]  # of `mocap.FEET`: left heel and toe, right heel and toe
_BEND_RAD = SMPL.per_joint(
    {
        **{"pelvis": 0.18, "spine1": 0.12, "spine2": 0.08, "spine3": 0.08, "neck": 0.12},
        **{"head": 0.15, "collar": 0.08, "shoulder": 0.35, "elbow": 0.2, "wrist": 0.2},
        **{"hip": 0.2, "knee": 0.12, "ankle": 0.15, "foot": 0.1},
    },
    0.0,
).astype(np.float32)
"""Deviation of a turn added to each joint."""
_ARM_RAD, _LEG_RAD = (2.2, 1.3, 0.6), (1.3, 1.0, 0.4)
"""Deviations of a led limb's turns, from the trunk outwards."""
_SLOW_FRAMES, _LEAD_FRAMES = 12.0, 10.0
"""How slowly bends, and led limbs, change: deviation of the smoothing Gaussian."""


def check_chances(settings: Any, names: Iterable[str]) -> None:
    """Check that these fields of some settings are chances.

    Raises:
        ValueError: names the first that is not between 0 and 1.
    """
    for name in names:
        value = getattr(settings, name)
        if not 0 <= value <= 1:
            raise ValueError(f"{name} is a chance between 0 and 1, got {value}")


@dataclass(frozen=True)
class Variety:
    """How often (a chance per window or sequence) and how much moves are changed.

    Attributes:
        upper_swap: upper body of another clip.
        arm_swap: one arm of a third clip.
        bend: factor on the deviations of added joint turns.
        crouch: knees and hips bent further.
        free_arm: per arm, led to directions drawn at random.
        free_leg: per leg, likewise.
        tilt: whole body leant far over or laid down.
    """

    upper_swap: float = 0.35
    arm_swap: float = 0.12
    bend: float = 1.2
    crouch: float = 0.25
    free_arm: float = 0.18
    free_leg: float = 0.14
    tilt: float = 0.12

    def __post_init__(self) -> None:
        check_chances(self, (name for name in vars(self) if name != "bend"))


NONE = Variety(0, 0, 0, 0, 0, 0, 0)
"""Moves as captured; only mirrored."""


def vary(moves: Moves, sampler: Sampler, variety: Variety, rng: np.random.Generator) -> Moves:
    """The moves, changed. Contact of a leg that is led elsewhere, or of a laid body, is dropped."""
    moves = _mirrored_half(moves, rng)
    count = len(moves.rotations)
    local = moves.rotations.copy()
    if variety.upper_swap or variety.arm_swap:
        _swap(local, sampler.draw(count, rng).rotations, variety, rng)
    if variety.bend:
        local = local @ rotations.from_axis_angle(_bends(count, variety, rng))
    for arm in ARMS:
        _lead(local, arm, _ARM_RAD, variety.free_arm, rng)
    contact = moves.contact.copy()
    for side, leg in enumerate(LEGS):
        share = _lead(local, leg, _LEG_RAD, variety.free_leg, rng)
        contact[:, :, 2 * side : 2 * side + 2] &= (share < 0.1)[..., None]
    tilted = rng.random(count) < variety.tilt
    tilts = rotations.from_axis_angle(leans(rng, int(tilted.sum())).astype(np.float32))
    local[tilted, :, 0] = tilts[:, None] @ local[tilted, :, 0]
    contact[tilted] = False
    return replace(moves, rotations=local, contact=contact, contact_known=~tilted)


def _mirrored_half(moves: Moves, rng: np.random.Generator) -> Moves:
    wide = (rng.random(len(moves.rotations)) < 0.5)[:, None, None]
    turned = mirrored(moves.rotations)
    return replace(
        moves,
        rotations=np.where(wide[..., None, None], turned, moves.rotations),
        pelvis_m=np.where(wide, moves.pelvis_m * MIRROR_X, moves.pelvis_m),
        contact=np.where(wide, moves.contact[..., _OTHER_FOOT], moves.contact),
    )


def _swap(local: np.ndarray, other: np.ndarray, variety: Variety, rng: np.random.Generator) -> None:
    """Put the upper body, or an arm, of other windows on some of these."""
    chosen = np.flatnonzero(rng.random(len(local)) < variety.upper_swap)
    local[np.ix_(chosen, _FRAMES, UPPER_BODY)] = other[np.ix_(chosen, _FRAMES, UPPER_BODY)]
    third = np.roll(other, 1, axis=0)
    for arm in ARMS:
        chosen = np.flatnonzero(rng.random(len(local)) < variety.arm_swap)
        local[np.ix_(chosen, _FRAMES, arm)] = third[np.ix_(chosen, _FRAMES, arm)]


def _bends(count: int, variety: Variety, rng: np.random.Generator) -> np.ndarray:
    """Joint turns (N, W, 24, 3), axis-angle: constant and slowly varying, some crouching."""
    joints = len(SMPL)
    steady = rng.standard_normal((count, 1, joints, 3), np.float32)
    slow = smooth_normals(rng, count, joints * 3, _SLOW_FRAMES).reshape(count, WINDOW, joints, 3)
    strength = rng.random((count, 1, 1, 1), np.float32) * variety.bend
    bends = (0.8 * steady + 0.5 * slow) * _BEND_RAD[:, None] * strength
    chosen = rng.random((count, 1, 2)) < variety.crouch
    depth = chosen * rng.random((count, 1, 2)) * CROUCH_RAD
    depth = depth * (0.7 + 0.5 * np.clip(smooth_normals(rng, count, 2, _SLOW_FRAMES), -1, 1))
    crouch(bends, depth, rng.random((count, 1, 2)))
    return bends


def _lead(
    local: np.ndarray,
    limb: np.ndarray,
    widths_rad: tuple[float, float, float],
    chance: float,
    rng: np.random.Generator,
) -> np.ndarray:
    """Lead a limb, in some windows, to turns drawn at random; returns how far (N, W), 0..1.

    Args:
        local: changed in place.
        limb: (3,) its joints from the trunk outwards.
        widths_rad: deviation of the turn at each of them.
        chance: of a window.
        rng: where randomness comes from.
    """
    share = np.zeros(local.shape[:2], np.float32)
    chosen = np.flatnonzero(rng.random(len(local)) < chance)
    if not len(chosen):
        return share
    target = rotations.from_axis_angle(_limb_turns(len(chosen), widths_rad, limb, rng))
    gate = smooth_normals(rng, len(chosen), 1, _LEAD_FRAMES)[..., 0]
    share[chosen] = lead_share(gate + rng.normal(1.0, 1.0, (len(chosen), 1)))
    at = np.ix_(chosen, _FRAMES, limb)
    local[at] = blended(local[at], target, share[chosen][:, :, None, None, None])
    return share


def _limb_turns(
    count: int, widths_rad: tuple[float, float, float], limb: np.ndarray, rng: np.random.Generator
) -> np.ndarray:
    """Local turns (n, W, 3, 3), axis-angle, of a limb: a slow drift about a pose drawn at random.

    Knees and elbows bend one way only (see `limbs`).
    """
    pose = rng.standard_normal((count, 1, 3, 3), np.float32)
    drift = smooth_normals(rng, count, 9, _LEAD_FRAMES).reshape(count, WINDOW, 3, 3)
    turns = (0.85 * pose + 0.35 * drift) * np.array(widths_rad, np.float32)[:, None]
    bent = np.abs(turns[:, :, 1]).sum(-1) * 0.8
    turns[:, :, 1] *= 0.15
    if limb[0] in HIPS:
        turns[:, :, 0, 0] = -np.abs(turns[:, :, 0, 0]) + 0.3
        turns[:, :, 1, 0] += bent
        turns[:, :, 0, 1] *= 0.5
    else:
        turns[:, :, 0] *= 0.6
        turns[:, :, 1, 1] += bent * (-1 if limb[0] == ARMS[0][0] else 1)
    return turns
