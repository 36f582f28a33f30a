"""How points of the body move with the joints above them: limb by limb, since an arm's points know
nothing of the legs, and what is nowhere else is neither computed nor multiplied.

A joint's rotation vector d_j turns everything below the joint about it, so with G_j the global
rotation, P_j the position of the joint and X a point below,

    dX / d d_j = -[X - P_j]x G_j
"""

from dataclasses import dataclass

import numpy as np

from staf_backend.body.markers import COUNT, Markers
from staf_backend.fit.unknowns import Unknowns


@dataclass(frozen=True)
class Posed:
    """A body in T poses, in camera axes.

    Attributes:
        turned: (T, J, 3, 3) global rotations.
        joints_m: (T, J, 3).
        influences_m: (T, N, 3) see `markers.Markers`.
        markers_m: (T, 27, 3).
        turns: (T, 3, 3) from the axes of the root's unknowns to these; None where both are one.
    """

    turned: np.ndarray
    joints_m: np.ndarray
    influences_m: np.ndarray
    markers_m: np.ndarray
    turns: np.ndarray | None = None

    def seen_by(self, turns: np.ndarray | None) -> "Posed":
        """The same in the axes of a camera that turns by (T, 3, 3) from these."""
        if turns is None:
            return self
        back = turns.swapaxes(1, 2)
        turned = turns[:, None] @ self.turned
        joints_m, influences_m = self.joints_m @ back, self.influences_m @ back
        return Posed(turned, joints_m, influences_m, self.markers_m @ back, turns)


class Chain:
    """Some markers, and all joints that turn any of them.

    Args:
        share: (M, J', N) how much of each influence hangs below each joint that moves.
        marker: (M,) numbers of the markers among all.
        joint: (C,) numbers of the chain's joints among those that move.
        unknowns: of the fit.
    """

    def __init__(
        self, share: np.ndarray, marker: np.ndarray, joint: np.ndarray, unknowns: Unknowns
    ) -> None:
        self.marker = marker
        angles = 3 + 3 * joint[:, None] + np.arange(3)
        self.columns = np.concatenate([np.arange(3), angles.ravel()])
        """(3 + 3 C,) where the root's position and the chain's angles stand among the unknowns."""
        self._joint = np.array(unknowns.moving)[joint]
        gather = share[:, joint]
        self._total = gather.sum(-1)  # (M, C)
        self._influences = np.flatnonzero(gather.any((0, 1)))
        self._gather = gather[..., self._influences].reshape(gather.shape[0] * len(joint), -1)

    def derivatives(self, posed: Posed) -> np.ndarray:
        """(T, M, 3, 3 + 3 C) of the markers' positions, axes of the pose, by the chain's columns.

        A marker that is blended of several influences is turned only through those below a joint.
        """
        frames, (markers, joints) = len(posed.turned), self._total.shape
        arms = self._gather @ posed.influences_m[:, self._influences]
        arms = arms.reshape(frames, markers, joints, 3)
        arms -= self._total[..., None] * posed.joints_m[:, None, self._joint]
        x, y, z = (arms[..., k, None] for k in range(3))
        a, b, c = (posed.turned[:, None, self._joint, k] for k in range(3))
        moved = np.empty((frames, markers, 3, 3 + 3 * joints))
        moved[..., :3] = np.eye(3) if posed.turns is None else posed.turns[:, None]
        turns = moved[..., 3:].reshape(frames, markers, 3, joints, 3)  # a view: axis x arm
        for row, (one, far, other, near) in enumerate(((b, z, c, y), (c, x, a, z), (a, y, b, x))):
            np.multiply(one, far, out=turns[:, :, row])
            turns[:, :, row] -= other * near
        return moved


def chains(markers: Markers, chosen: np.ndarray, unknowns: Unknowns) -> list[Chain]:
    """The fewest chains that hold the chosen markers: arms, legs, head.

    Args:
        markers: of the body.
        chosen: numbers of some of them.
        unknowns: of the fit.
    """
    below = unknowns.above[markers.joint][:, unknowns.moving]  # (N, J'): influence below joint
    share = np.zeros((COUNT, below.shape[1], len(markers.joint)))
    for n, (marker, weight) in enumerate(zip(markers.marker, markers.weight, strict=True)):
        share[marker, below[n], n] = weight
    turned = {int(k): frozenset(np.flatnonzero(share[k].any(-1)).tolist()) for k in chosen}
    longest = [one for one in dict.fromkeys(turned.values()) if not _in_another(one, turned)]
    home = {k: next(chain for chain in longest if joints <= chain) for k, joints in turned.items()}
    found = []
    for chain in longest:
        own = np.array([k for k in turned if home[k] is chain])
        found.append(Chain(share[own], own, np.array(sorted(chain)), unknowns))
    return found


def _in_another(joints: frozenset[int], turned: dict[int, frozenset[int]]) -> bool:
    return any(joints < other for other in turned.values())
