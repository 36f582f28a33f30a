# SPDX-License-Identifier: GPL-3.0-or-later
"""Where controls stand so that a body is posed as it was.  numpy only.  T keys, B bones.

The pole of a limb does not show where the joint in its middle is, which a straight limb leaves
open, but how its first bone is turned about the line from its start to its end.  That is always
known, so no pole jumps.
"""

from dataclasses import dataclass

import numpy as np

from ..retarget.rotations import quaternions, unit
from ..scene.axes import continuous

POLE_M = 0.45
"""From the limb to its pole.  Chosen: clear of the body."""


@dataclass(frozen=True, eq=False)
class Rest:
    """Bones at rest, in the armature's space.  B bones."""

    names: tuple[str, ...]
    parents: tuple[int, ...]
    """-1: none that is keyed."""
    matrices: np.ndarray
    """(B, 4, 4)"""

    def place(self, name: str) -> int:
        return self.names.index(name)


@dataclass(frozen=True, eq=False)
class BoneKeys:
    """Pose channels of one bone."""

    location_m: np.ndarray
    """(T, 3) in the bone's own axes."""
    rotation_wxyz: np.ndarray
    """(T, 4) signs continuous."""


def keys_of_bones(rest: Rest, posed: np.ndarray) -> dict[str, BoneKeys]:
    """Pose channels that put bones where they are.

    Args:
        rest: the bones.
        posed: (T, B, 4, 4) where they are, in the armature's space.
    """
    found = {}
    for place, (name, parent) in enumerate(zip(rest.names, rest.parents, strict=True)):
        below = rest.matrices[place]
        if parent >= 0:
            hanging = np.linalg.inv(rest.matrices[parent]) @ below
            below = posed[:, parent] @ hanging
        found[name] = keys_of_matrices(np.linalg.inv(below) @ posed[:, place])
    return found


def keys_of_matrices(basis: np.ndarray) -> BoneKeys:
    """Channels of a bone's own matrices (T, 4, 4)."""
    turns = basis[:, :3, :3] / np.linalg.norm(basis[:, :3, :3], axis=1, keepdims=True)
    return BoneKeys(basis[:, :3, 3], continuous(quaternions(turns)))


def poles_m(upper: np.ndarray, middle_m: np.ndarray, end_m: np.ndarray, ahead: float) -> np.ndarray:
    """Where a limb's pole stands (T, 3).

    Args:
        upper: (T, 4, 4) the limb's first bone; its z axis is the limb's front.
        middle_m: (T, 3) where the limb bends.
        end_m: (T, 3) where it ends.
        ahead: as of a `Limb`.
    """
    start_m = upper[:, :3, 3]
    along = unit(end_m - start_m)
    front = ahead * upper[:, :3, 2]
    aside = unit(front - (front * along).sum(-1, keepdims=True) * along)
    level = ((middle_m - start_m) * along).sum(-1, keepdims=True)
    return start_m + level * along + POLE_M * aside
