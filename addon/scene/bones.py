# SPDX-License-Identifier: GPL-3.0-or-later
"""Where bones lie at rest, and the keys that make them move as the motion says.  numpy only.

Two ways to lay bones (`Layout.axes`):

* "limbs": a bone runs from its joint to the next, its z axis to the front (to the ceiling where the
  bone itself points to the front, as feet do).  A positive turn about x then bends any limb
  forwards, and left and right bones mirror each other as Blender's mirror tools expect.  The z axis
  of a finger points out of the palm, so that a positive turn about x curls it.
* "smpl": all bones share SMPL's axes (x to the left, y up, z to the front), so that a bone's
  quaternion is the joint's own.

The soles stand on the ground at rest, and a root bone on the ground carries the travel.
"""

from dataclasses import dataclass

import numpy as np

from .axes import FRONT, UP, quaternions_in_bones, to_blender
from .motion_file import MotionClip

AXES = ("limbs", "smpl")
ROOT_MOTIONS = ("root", "pelvis", "in-place")
ROOT_LENGTH_M = 0.2
_SHORTEST_M = 0.02
_NEAREST_M = 0.01
"""From a joint to the next one that its bone ends at.  Chosen: below the shortest finger bone."""
_FINGERS = ("index", "middle", "pinky", "ring", "thumb")
_THUMB = _FINGERS.index("thumb")
_STRAIGHT_THUMB = 0.15
"""Share of the axis across the palm in a thumb's, for thumbs that are straight.  Chosen."""


@dataclass(frozen=True, eq=False)
class Layout:
    """Bones of a skeleton at rest, in Blender's axes, metres.  The root bone is not among them."""

    heads_m: np.ndarray
    """(J, 3)"""
    tails_m: np.ndarray
    """(J, 3)"""
    z_axes: np.ndarray
    """(J, 3) where a bone's z axis should point; what is along the bone does not count."""
    connected: tuple[bool, ...]
    """(J,) True where a bone starts at its parent's tail."""

    def __post_init__(self) -> None:
        shapes = {self.heads_m.shape, self.tails_m.shape, self.z_axes.shape}
        if shapes != {(len(self.connected), 3)}:
            raise ValueError(f"arrays of a layout must be (J, 3), got {shapes}")


def layout(
    rest_joints_m: np.ndarray,
    parents: tuple[int, ...],
    lift_m: float,
    axes: str = "limbs",
    names: tuple[str, ...] = (),
) -> Layout:
    """Lay the bones.

    Args:
        rest_joints_m: (J, 3) joints at rest, the file's axes.
        parents: (J,)
        lift_m: how far the body is raised so that its soles touch the ground.
        axes: one of `AXES`.
        names: (J,) of the joints, by which fingers are known; none where they do not matter.

    Raises:
        ValueError: no such axes.
    """
    if axes not in AXES:
        raise ValueError(f"axes must be one of {', '.join(AXES)}, got {axes!r}")
    heads = to_blender(rest_joints_m) + UP * lift_m
    hands = _hands(names)
    follow = [_follower(joint, heads, parents) for joint in range(len(parents))]
    for wrist, chains in hands:
        follow[wrist] = chains[1][0]  # the middle finger
    tails = np.stack([_tail(j, heads, parents, child) for j, child in enumerate(follow)])
    if axes == "smpl":
        lengths = np.linalg.norm(tails - heads, axis=1, keepdims=True)
        z_axes = np.tile(FRONT, (len(heads), 1))
        return Layout(heads, heads + UP * lengths, z_axes, (False,) * len(heads))
    along = (tails - heads) / np.linalg.norm(tails - heads, axis=1, keepdims=True)
    z_axes = np.where((along @ FRONT > 0.6)[:, None], UP, FRONT)
    for wrist, chains in hands:
        for finger, chain in enumerate(chains):
            z_axes[chain] = _palm_side(heads, wrist, chains, finger)
    joined = [p >= 0 and bool((tails[p] == heads[j]).all()) for j, p in enumerate(parents)]
    return Layout(heads, tails, z_axes, tuple(joined))


def has_fingers(names: tuple[str, ...]) -> bool:
    """Whether joints of these names have fingers among them."""
    return bool(_hands(names))


def finger_places(names: tuple[str, ...]) -> list[int]:
    """The places of fingers among joints of these names."""
    return [place for _, chains in _hands(names) for chain in chains for place in chain]


def unseen_fingers(clip: MotionClip) -> dict[str, np.ndarray]:
    """Joint -> (T,) bool of fingers: True where their hand was not seen; empty if nobody knows."""
    if clip.hand_seen is None:
        return {}
    fingers = [clip.joint_names[place] for place in finger_places(clip.joint_names)]
    return {name: ~clip.hand_seen[:, int(name.startswith("right"))] for name in fingers}


def lowest_joint_lift_m(rest_joints_m: np.ndarray) -> float:
    """Lift for a skeleton whose body is not at hand: the lowest joint goes to the ground."""
    return -float(rest_joints_m[:, 1].min())


@dataclass(frozen=True, eq=False)
class Keys:
    """What is written to f-curves.  T keys, J bones."""

    rotations_wxyz: np.ndarray
    """(T, J, 4) pose-bone quaternions, signs continuous."""
    root_m: np.ndarray
    """(T, 3) location of the root bone in its own axes."""
    pelvis_m: np.ndarray
    """(T, 3) location of joint 0's bone in its own axes."""


def keys_of(
    clip: MotionClip, heads_m: np.ndarray, rest_axes: np.ndarray, root_axes: np.ndarray, travel: str
) -> Keys:
    """Pose-bone keys that put every joint where the motion has it.

    Args:
        clip: the motion.
        heads_m: (J, 3) bone heads at rest, Blender's axes.
        rest_axes: (J, 3, 3) the bones' rest axes as columns, as Blender has them.
        root_axes: (3, 3) the root bone's.
        travel: "root": horizontal travel on the root bone, height on the pelvis; "pelvis": all on
            the pelvis; "in-place": horizontal travel is dropped.

    Raises:
        ValueError: no such travel.
    """
    if travel not in ROOT_MOTIONS:
        raise ValueError(f"travel must be one of {', '.join(ROOT_MOTIONS)}, got {travel!r}")
    offset_m = to_blender(clip.root_m) - heads_m[0]
    ground = offset_m * [1.0, 1.0, 0.0]
    root_m = ground if travel == "root" else np.zeros_like(ground)
    pelvis_m = offset_m if travel == "pelvis" else offset_m - ground
    rotations = quaternions_in_bones(clip.rotations_wxyz, rest_axes)
    return Keys(rotations, root_m @ root_axes, pelvis_m @ rest_axes[0])


def _follower(joint: int, heads: np.ndarray, parents: tuple[int, ...]) -> int | None:
    """The child that a bone points to: the one nearest to the middle of the body, else the only."""
    children = [c for c, parent in enumerate(parents) if parent == joint]
    if not children:
        return None
    middle = [c for c in children if abs(heads[c][0] - heads[joint][0]) < 0.02]
    if middle or len(children) == 1:
        return (middle or children)[0]
    return None


def _tail(
    joint: int, heads: np.ndarray, parents: tuple[int, ...], follower: int | None
) -> np.ndarray:
    head = heads[joint]
    if follower is not None and np.linalg.norm(heads[follower] - head) >= _NEAREST_M:
        return heads[follower]
    parent = parents[joint]
    step = head - heads[parent] if parent >= 0 else UP * ROOT_LENGTH_M
    length = np.linalg.norm(step)
    direction = step / length if length > 1e-6 else UP
    return head + direction * max(0.6 * length, _SHORTEST_M)


def _hands(names: tuple[str, ...]) -> list[tuple[int, list[list[int]]]]:
    """Of each hand among joints: its wrist, and the three joints of each of its fingers."""
    places, found = {name: place for place, name in enumerate(names)}, []
    for side, wrist in (("left", "L_Wrist"), ("right", "R_Wrist")):
        chains = [[f"{side}_{finger}{k}" for k in (1, 2, 3)] for finger in _FINGERS]
        if {wrist, *(name for chain in chains for name in chain)} <= set(places):
            found.append((places[wrist], [[places[n] for n in chain] for chain in chains]))
    return found


def _palm_side(heads: np.ndarray, wrist: int, chains: list[list[int]], finger: int) -> np.ndarray:
    """(3,) where the inside of a finger points at rest, in the plane that it bends in."""
    index, pinky = (heads[chains[k][0]] - heads[wrist] for k in (0, 2))
    palm = np.cross(index, pinky)
    palm *= -np.sign(palm @ UP) / np.linalg.norm(palm)  # palms look down in a T-pose
    if finger != _THUMB:
        return palm
    first, second, third = heads[chains[finger]]
    along, across = third - second, heads[chains[2][0]] - first
    plane = np.cross(_unit(second - first), _unit(along))
    axis = plane + _STRAIGHT_THUMB * _unit(np.cross(_unit(along), across))
    return np.cross(_unit(axis), _unit(along))


def _unit(vector: np.ndarray) -> np.ndarray:
    return vector / max(float(np.linalg.norm(vector)), 1e-9)
