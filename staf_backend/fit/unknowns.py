"""What the fit looks for in a frame: the root's place, then the turn of every joint that moves."""

from collections.abc import Mapping

import numpy as np

from staf_backend.geometry import Skeleton

ROOT = slice(0, 3)
"""The columns of the root's position, metres in camera axes."""
ANGLES = slice(3, None)
"""The columns of the joints' rotation vectors, radians."""


class Unknowns:
    """The U = 3 + 3 M unknowns of a frame, for a skeleton of J joints of which M move.

    All are small increments: root position (3, camera axes), then for each joint that moves a
    rotation vector d in the joint's own axes, R <- R exp(d).

    Args:
        skeleton: of the body.
        fixed: joints that stay as they are in the rest pose; "foot" is both feet.
    """

    def __init__(self, skeleton: Skeleton, fixed: tuple[str, ...]) -> None:
        self.skeleton = skeleton
        still = skeleton.per_joint(dict.fromkeys(fixed, 1.0), 0.0) > 0
        self.fixed = tuple(np.flatnonzero(still).tolist())
        self.moving = tuple(joint for joint in _limb_by_limb(skeleton) if not still[joint])
        self.above = _ancestry(skeleton)
        """(J, J) bool: [k, j] whether joint j is k or above k."""

    def __len__(self) -> int:
        return 3 + 3 * len(self.moving)

    def columns(self, joint: int) -> slice:
        """Where the rotation vector of a joint that moves stands."""
        first = 3 + 3 * self.moving.index(joint)
        return slice(first, first + 3)

    def spread(self, values: Mapping[str, float], default: float, root: float) -> np.ndarray:
        """(U,) a value per joint, by name, for its three angles; `root` for the position."""
        joints = self.skeleton.per_joint(values, default)[list(self.moving)]
        return np.concatenate([np.full(3, root), np.repeat(joints, 3)])


def _limb_by_limb(skeleton: Skeleton) -> list[int]:
    """Every joint, and after it at once all below it: what moves a limb stands together."""
    order, waiting = list[int](), [0]
    while waiting:
        order.append(waiting.pop())
        below = [j for j, parent in enumerate(skeleton.parents) if parent == order[-1]]
        waiting += reversed(below)
    return order


def _ancestry(skeleton: Skeleton) -> np.ndarray:
    above = np.eye(len(skeleton), dtype=bool)
    for joint, parent in enumerate(skeleton.parents[1:], start=1):
        above[joint] |= above[parent]
    return above
