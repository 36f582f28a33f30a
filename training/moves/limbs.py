"""SMPL's joints in groups, and what is done to their rotations to make new moves.

Rotations are parent-relative, y up: (..., 24, 3, 3) with any leading axes.  In the rest pose, a
T-pose that faces +z, knees bend by +x, the left elbow by -y and the right one by +y.
"""

import numpy as np

from staf_backend.geometry import SMPL, rotations
from staf_backend.landmarks.windows import MIRROR_X

ARMS = np.array(SMPL.indices("shoulder", "elbow", "wrist")).reshape(3, 2).T
LEGS = np.array(SMPL.indices("hip", "knee", "ankle")).reshape(3, 2).T
"""(2, 3) left and right, each from the trunk outwards."""
KNEES, HIPS = np.array(SMPL.indices("knee")), np.array(SMPL.indices("hip"))
UPPER_BODY = np.arange(SMPL.index("neck"), len(SMPL))
"""Neck, collars, head and arms; the spine stays with the legs."""

CROUCH_RAD = 1.4
"""The most that a crouch adds to a knee; chosen: a captured stand becomes a squat."""
_LEAN_RAD = (0.3, 1.9)  # least and most; chosen: half of pi lies flat, beyond it the head is down
_LEAD_SLOPE = 4.0  # of the logistic curve that leads a limb away and back; chosen


def mirrored(local: np.ndarray) -> np.ndarray:
    """The rotations of the person in the mirror."""
    return local[..., SMPL.mirror, :, :] * (MIRROR_X[:, None] * MIRROR_X)


def blended(one: np.ndarray, other: np.ndarray, share: np.ndarray) -> np.ndarray:
    """Rotations on the way from one to the other: the mean of their matrices, made a rotation.

    Args:
        one: (..., 3, 3).
        other: (..., 3, 3).
        share: (..., 1, 1) how far, 0..1.
    """
    mixed = one * (1 - share) + other * share
    return rotations.from_6d(mixed[..., :2])


def lead_share(gate: np.ndarray) -> np.ndarray:
    """How far a limb is led away, 0..1, by a number that wanders about 0."""
    return 1 / (1 + np.exp(-_LEAD_SLOPE * gate))


def crouch(turns: np.ndarray, depth: np.ndarray, hips: np.ndarray) -> None:
    """Bend the knees further, and the hips by a share of that, in place.

    Args:
        turns: (..., 24, 3) axis-angle, added to the joints' rotations.
        depth: (..., 2) of the left and the right knee, radians.
        hips: (..., 2) share.
    """
    turns[..., KNEES, 0] += depth
    turns[..., HIPS, 0] -= depth * hips


def leans(rng: np.random.Generator, *shape: int) -> np.ndarray:
    """Turns (*shape, 3), axis-angle, of whole bodies about a horizontal axis, to lying and more."""
    heading = rng.uniform(0, 2 * np.pi, shape)
    angle = rng.uniform(*_LEAN_RAD, shape)
    axis = np.stack([np.cos(heading), np.zeros(shape), np.sin(heading)], -1)
    return axis * np.asarray(angle)[..., None]
