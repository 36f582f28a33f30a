"""More moves than were captured: mirrored, recombined, bent, with limbs thrown about, lying down.

A few hours of walking, dancing and ball games do not show a yogi's raised leg or somebody on the
floor.  Every function takes and returns local rotations (N, W, 24, 3, 3), y up; chances and
strengths stand in `Variety`.
"""

from dataclasses import dataclass, replace

import numpy as np

from staf_backend.geometry import rotations
from staf_backend.landmarks.windows import JOINT_MIRROR, MIRROR_X, WINDOW
from training.moves.mocap import Moves, Sampler
from training.moves.smooth_noise import smooth_normals

_UPPER = np.array([12, 13, 14, 15, 16, 17, 18, 19, 20, 21, 22, 23])
_ARMS = (np.array([16, 18, 20]), np.array([17, 19, 21]))
_LEGS = (np.array([1, 4, 7]), np.array([2, 5, 8]))
_FRAMES = np.arange(WINDOW)
_KNEES, _HIPS = np.array([4, 5]), np.array([1, 2])
# deviation, radians, of a constant turn added to each joint
_BEND = np.array(
    [
        *(0.18, 0.2, 0.2, 0.12, 0.12, 0.12, 0.08, 0.15, 0.15, 0.08, 0.1, 0.1),
        *(0.12, 0.08, 0.08, 0.15, 0.35, 0.35, 0.2, 0.2, 0.2, 0.2, 0.0, 0.0),
    ],
    np.float32,
)


@dataclass(frozen=True)
class Variety:
    """How often (a chance per window) and how much moves are changed.

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
        for name, value in vars(self).items():
            if name != "bend" and not 0 <= value <= 1:
                raise ValueError(f"{name} is a chance between 0 and 1, got {value}")


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
    for side in (0, 1):
        _lead(local, _ARMS[side], (2.2, 1.3, 0.6), variety.free_arm, rng)
    contact = moves.contact.copy()
    for side in (0, 1):
        share = _lead(local, _LEGS[side], (1.3, 1.0, 0.4), variety.free_leg, rng)
        contact[:, :, 2 * side : 2 * side + 2] &= (share < 0.1)[..., None]
    tilted = rng.random(count) < variety.tilt
    local[tilted, :, 0] = _tilts(int(tilted.sum()), rng)[:, None] @ local[tilted, :, 0]
    contact[tilted] = False
    return replace(moves, rotations=local, contact=contact, contact_known=~tilted)


def _mirrored_half(moves: Moves, rng: np.random.Generator) -> Moves:
    chosen = rng.random(len(moves.rotations)) < 0.5
    wide = chosen[:, None, None]
    flip = MIRROR_X[:, None] * MIRROR_X
    mirrored = moves.rotations[:, :, JOINT_MIRROR] * flip
    return replace(
        moves,
        rotations=np.where(wide[..., None, None], mirrored, moves.rotations),
        pelvis_m=np.where(wide, moves.pelvis_m * MIRROR_X, moves.pelvis_m),
        contact=np.where(wide, moves.contact[..., [2, 3, 0, 1]], moves.contact),
    )


def _swap(local: np.ndarray, other: np.ndarray, variety: Variety, rng: np.random.Generator) -> None:
    """Put the upper body, or an arm, of other windows on some of these."""
    chosen = np.flatnonzero(rng.random(len(local)) < variety.upper_swap)
    local[np.ix_(chosen, _FRAMES, _UPPER)] = other[np.ix_(chosen, _FRAMES, _UPPER)]
    third = np.roll(other, 1, axis=0)
    for arm in _ARMS:
        chosen = np.flatnonzero(rng.random(len(local)) < variety.arm_swap)
        local[np.ix_(chosen, _FRAMES, arm)] = third[np.ix_(chosen, _FRAMES, arm)]


def _bends(count: int, variety: Variety, rng: np.random.Generator) -> np.ndarray:
    """Joint turns (N, W, 24, 3), axis-angle: constant and slowly varying, some crouching."""
    steady = rng.standard_normal((count, 1, 24, 3), np.float32)
    slow = smooth_normals(rng, count, 24 * 3, 12.0).reshape(count, WINDOW, 24, 3)
    strength = rng.random((count, 1, 1, 1), np.float32) * variety.bend
    bends = (0.8 * steady + 0.5 * slow) * _BEND[:, None] * strength
    chosen = rng.random((count, 1, 2)) < variety.crouch
    depth = chosen * rng.random((count, 1, 2)) * 1.4
    depth = depth * (0.7 + 0.5 * np.clip(smooth_normals(rng, count, 2, 12.0), -1, 1))
    bends[:, :, _KNEES, 0] += depth
    bends[:, :, _HIPS, 0] -= depth * rng.random((count, 1, 2))
    return bends


def _lead(
    local: np.ndarray,
    limb: np.ndarray,
    widths: tuple[float, float, float],
    chance: float,
    rng: np.random.Generator,
) -> np.ndarray:
    """Lead a limb, in some windows, to turns drawn at random; returns how far (N, W), 0..1.

    Args:
        local: changed in place.
        limb: (3,) its joints from the trunk outwards.
        widths: deviation of the turn, radians, at each of them.
    """
    share = np.zeros(local.shape[:2], np.float32)
    chosen = np.flatnonzero(rng.random(len(local)) < chance)
    if not len(chosen):
        return share
    target = _limb_turns(len(chosen), widths, int(limb[0]), rng)
    gate = smooth_normals(rng, len(chosen), 1, 10.0)[..., 0]
    gate = gate + rng.normal(1.0, 1.0, (len(chosen), 1))
    share[chosen] = 1 / (1 + np.exp(-4 * gate))
    at = np.ix_(chosen, _FRAMES, limb)
    wide = share[chosen][:, :, None, None, None]
    mixed = local[at] * (1 - wide) + rotations.from_axis_angle(target) * wide
    local[at] = rotations.from_6d(mixed[..., :2])
    return share


def _limb_turns(
    count: int, widths: tuple[float, float, float], first: int, rng: np.random.Generator
) -> np.ndarray:
    """Local turns (n, W, 3, 3), axis-angle, of a limb: a slow drift about a pose drawn at random.

    The limb starts at joint `first`.  Knees and elbows bend one way only: knees by +x, the left
    elbow (its arm lies along +x in the rest pose) by -y, the right one by +y.
    """
    pose = rng.standard_normal((count, 1, 3, 3), np.float32)
    drift = smooth_normals(rng, count, 9, 10.0).reshape(count, WINDOW, 3, 3)
    turns = (0.85 * pose + 0.35 * drift) * np.array(widths, np.float32)[:, None]
    bent = np.abs(turns[:, :, 1]).sum(-1) * 0.8
    turns[:, :, 1] *= 0.15
    if first in (1, 2):
        turns[:, :, 0, 0] = -np.abs(turns[:, :, 0, 0]) + 0.3
        turns[:, :, 1, 0] += bent
        turns[:, :, 0, 1] *= 0.5
    else:
        turns[:, :, 0] *= 0.6
        turns[:, :, 1, 1] += bent * (-1 if first == 16 else 1)
    return turns


def _tilts(count: int, rng: np.random.Generator) -> np.ndarray:
    """Turns (n, 3, 3) of a whole body about a horizontal axis, up to lying down and beyond."""
    heading = rng.uniform(0, 2 * np.pi, count)
    angle = rng.uniform(0.3, 1.9, count)
    axis = np.stack([np.cos(heading), np.zeros(count), np.sin(heading)], -1)
    return rotations.from_axis_angle((axis * angle[:, None]).astype(np.float32))
