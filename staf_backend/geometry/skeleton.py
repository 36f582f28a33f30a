"""The skeleton: joints by name, each with its parent and its counterpart on the other side.

Joint 0 is the root of the tree; a rotation is relative to the parent joint, joint 0's to the
world.  In the rest pose all rotations are the identity and the person stands in a T-pose, y up,
facing +z, left hand towards +x.  A `Skeleton` travels with the body and the motion that have it.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

_SIDES = (("L_", "R_"), ("left", "right"), ("Left", "Right"))
_SPELLED_OUT = {"l_": "left_", "r_": "right_"}


@dataclass(frozen=True)
class Skeleton:
    """A tree of J joints.

    Attributes:
        names: (J,) different from each other.
        parents: (J,) parent of each joint, -1 for joint 0, parents before children.
        mirror: (J,) int, read-only: the joint on the other side of the body, its own place for a
            joint in the middle.  Read from the names ("L_Hip", "left_hip") unless given.

    Raises:
        ValueError: no joints, a name twice, or parents that are no tree or not as many.
    """

    names: tuple[str, ...]
    parents: tuple[int, ...]
    mirror: np.ndarray = field(default_factory=lambda: np.zeros(0, int), compare=False, repr=False)

    def __post_init__(self) -> None:
        names = tuple(str(name) for name in self.names)
        if not len(set(names)) == len(names) > 0:
            raise ValueError("joint_names must be different words, at least one")
        if len(self.parents) != len(names):
            raise ValueError(f"parents must be {len(names)} numbers")
        mirror = np.array(self.mirror, int) if np.size(self.mirror) else counterparts(names)
        if not _is_mirror(mirror, len(names)):
            raise ValueError(f"mirror must pair {len(names)} joints")
        mirror.setflags(write=False)
        object.__setattr__(self, "names", names)
        object.__setattr__(self, "parents", check_parents(self.parents))
        object.__setattr__(self, "mirror", mirror)

    def __len__(self) -> int:
        return len(self.names)

    def __contains__(self, name: str) -> bool:
        """Whether there is such a joint; spelled as for `index`."""
        return _plain(name) in map(_plain, self.names)

    def index(self, name: str) -> int:
        """The joint of this name, in SMPL's spelling or spelled out: "L_Wrist" or "left_wrist".

        Raises:
            ValueError: no such joint.
        """
        if name not in self:
            raise ValueError(f"no joint {name!r} among {', '.join(self.names)}")
        return [_plain(one) for one in self.names].index(_plain(name))

    def indices(self, *names: str) -> tuple[int, ...]:
        """The joints of these names, in order; "hip" is both hips, left first.

        Raises:
            ValueError: no such joint.
        """
        both = [[name] if name in self else [f"left_{name}", f"right_{name}"] for name in names]
        return tuple(self.index(name) for pair in both for name in pair)

    def per_joint(self, values: Mapping[str, float], default: float) -> np.ndarray:
        """(J,) a value for each joint: its own, that of both sides ("hip"), or the default."""
        plain = [_plain(name) for name in self.names]
        bare = [name.removeprefix("left_").removeprefix("right_") for name in plain]
        both = zip(plain, bare, strict=True)
        return np.array([values.get(name, values.get(end, default)) for name, end in both], float)


def counterparts(names: Sequence[str]) -> np.ndarray:
    """(N,) for each name the place of its counterpart on the other side, or its own."""
    places = {name: place for place, name in enumerate(names)}
    other = np.array([places.get(_other_side(name), places[name]) for name in names], int)
    here = np.arange(len(names))
    return np.where(other[other] == here, other, here)


def _is_mirror(mirror: np.ndarray, count: int) -> bool:
    here = np.arange(count)
    return bool(np.array_equal(np.sort(mirror), here) and (mirror[mirror] == here).all())


def _other_side(name: str) -> str:
    for left, right in _SIDES:
        if left in name:
            return name.replace(left, right, 1)
        if right in name:
            return name.replace(right, left, 1)
    return name


def _plain(name: str) -> str:
    """The name in small letters, its side spelled out: "L_Wrist" is "left_wrist"."""
    small = name.lower()
    return _SPELLED_OUT.get(small[:2], small[:2]) + small[2:]


def check_parents(parents: Sequence[int]) -> tuple[int, ...]:
    """The parents as a tuple, after checking that joint 0 is the only root and parents come first.

    Raises:
        ValueError: some joint has no parent before it.
    """
    checked = tuple(int(parent) for parent in parents)
    wrong = [j for j, parent in enumerate(checked) if not (0 <= parent < j or j == 0 > parent)]
    if wrong or not checked:
        raise ValueError(f"parents must start with -1 and come before their joints, got {checked}")
    return checked


SMPL = Skeleton(
    names=(
        *("Pelvis", "L_Hip", "R_Hip", "Spine1", "L_Knee", "R_Knee", "Spine2", "L_Ankle"),
        *("R_Ankle", "Spine3", "L_Foot", "R_Foot", "Neck", "L_Collar", "R_Collar", "Head"),
        *("L_Shoulder", "R_Shoulder", "L_Elbow", "R_Elbow", "L_Wrist", "R_Wrist"),
        *("L_Hand", "R_Hand"),
    ),
    parents=(-1, 0, 0, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 9, 9, 12, 13, 14, 16, 17, 18, 19, 20, 21),
)
"""SMPL's 24 joints (Loper et al., "SMPL: A Skinned Multi-Person Linear Model", 2015)."""


def forward_kinematics(
    rotations: np.ndarray, rest_joints_m: np.ndarray, root_m: np.ndarray, skeleton: Skeleton = SMPL
) -> tuple[np.ndarray, np.ndarray]:
    """Global rotations and positions of all joints.

        R_j = R_parent r_j        p_j = p_parent + R_parent (rest_j - rest_parent)

    Args:
        rotations: (..., J, 3, 3) parent-relative; joint 0 in world axes.
        rest_joints_m: (J, 3) or (..., J, 3) joints of the rest pose.
        root_m: (..., 3) world position of joint 0 (the pelvis joint, not SMPL's `trans`).
        skeleton: whose joints these are.

    Returns:
        global rotations (..., J, 3, 3) and positions in metres (..., J, 3), both of the float type
        of `rotations`.

    Raises:
        ValueError: shapes that do not belong together.
    """
    count = len(skeleton)
    if rotations.shape[-3:] != (count, 3, 3):
        raise ValueError(f"rotations must be (..., {count}, 3, 3), got {rotations.shape}")
    rest, root = np.asarray(rest_joints_m, rotations.dtype), np.asarray(root_m, rotations.dtype)
    if rest.shape[-2:] != (count, 3) or root.shape != (*rotations.shape[:-3], 3):
        raise ValueError(
            f"rest_joints_m (..., {count}, 3) and root_m (..., 3) must fit rotations "
            f"{rotations.shape}, got {rest.shape} and {root.shape}"
        )
    turned, placed = [rotations[..., 0, :, :]], [root]
    for joint, parent in enumerate(skeleton.parents[1:], start=1):
        bone = rest[..., joint, :] - rest[..., parent, :]
        placed.append(placed[parent] + (turned[parent] @ bone[..., None])[..., 0])
        turned.append(turned[parent] @ rotations[..., joint, :, :])
    return np.stack(turned, -3), np.stack(placed, -2)


def parent_relative(turned: np.ndarray, skeleton: Skeleton = SMPL) -> np.ndarray:
    """Rotations (..., J, 3, 3) relative to the parents, of global ones; joint 0 stays as it is."""
    local = np.array(turned)
    above = turned[..., list(skeleton.parents[1:]), :, :]
    local[..., 1:, :, :] = np.swapaxes(above, -1, -2) @ turned[..., 1:, :, :]
    return local
