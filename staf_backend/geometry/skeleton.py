"""The skeleton: SMPL's 24 joints and forward kinematics.

Joint 0 is the root of the tree; a rotation is relative to the parent joint, joint 0's to the
world.  In the rest pose all rotations are the identity and the person stands in a T-pose, y up,
facing +z, left hand towards +x.  numpy only; torch tensors go through unchanged (`array_module`).
"""

import sys
from collections.abc import Sequence
from types import ModuleType
from typing import Any

import numpy as np

JOINT_NAMES = (
    *("Pelvis", "L_Hip", "R_Hip", "Spine1", "L_Knee", "R_Knee", "Spine2", "L_Ankle", "R_Ankle"),
    *("Spine3", "L_Foot", "R_Foot", "Neck", "L_Collar", "R_Collar", "Head", "L_Shoulder"),
    *("R_Shoulder", "L_Elbow", "R_Elbow", "L_Wrist", "R_Wrist", "L_Hand", "R_Hand"),
)
PARENTS = (-1, 0, 0, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 9, 9, 12, 13, 14, 16, 17, 18, 19, 20, 21)
JOINT_COUNT = len(JOINT_NAMES)


def array_module(array: Any) -> ModuleType:
    """`torch` for a torch tensor, `numpy` for all else; never imports torch by itself."""
    torch = sys.modules.get("torch")
    return torch if torch is not None and isinstance(array, torch.Tensor) else np


def cast_like(array: Any, like: Any) -> Any:
    """`array` as the kind (numpy or torch), float type and device of `like`."""
    if array_module(like) is np:
        return np.asarray(array, like.dtype)
    torch = array_module(like)
    source = np.array(array) if isinstance(array, np.ndarray) else array
    return torch.as_tensor(source, dtype=like.dtype, device=like.device)


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


def forward_kinematics(
    rotations: Any, rest_joints_m: Any, root_m: Any, parents: Sequence[int] = PARENTS
) -> tuple[Any, Any]:
    """Global rotations and positions of all joints.

        R_j = R_parent r_j        p_j = p_parent + R_parent (rest_j - rest_parent)

    Args:
        rotations: (..., J, 3, 3) parent-relative; joint 0 in world axes.
        rest_joints_m: (J, 3) or (..., J, 3) joints of the rest pose.
        root_m: (..., 3) world position of joint 0 (the pelvis joint, not SMPL's `trans`).
        parents: (J,) parent of each joint, -1 for joint 0, parents before children.

    Returns:
        global rotations (..., J, 3, 3) and positions in metres (..., J, 3), both of the kind and
        float type of `rotations`.

    Raises:
        ValueError: shapes that do not belong together.
    """
    module = array_module(rotations)
    count = len(parents)
    if tuple(rotations.shape[-3:]) != (count, 3, 3):
        raise ValueError(f"rotations must be (..., {count}, 3, 3), got {tuple(rotations.shape)}")
    rest, root = cast_like(rest_joints_m, rotations), cast_like(root_m, rotations)
    if tuple(rest.shape[-2:]) != (count, 3) or tuple(root.shape) != (*rotations.shape[:-3], 3):
        raise ValueError(
            f"rest_joints_m (..., {count}, 3) and root_m (..., 3) must fit rotations "
            f"{tuple(rotations.shape)}, got {tuple(rest.shape)} and {tuple(root.shape)}"
        )
    turned, placed = [rotations[..., 0, :, :]], [root]
    for joint, parent in list(enumerate(parents))[1:]:
        bone = rest[..., joint, :] - rest[..., parent, :]
        placed.append(placed[parent] + (turned[parent] @ bone[..., None])[..., 0])
        turned.append(turned[parent] @ rotations[..., joint, :, :])
    return module.stack(turned, -3), module.stack(placed, -2)


def parent_relative(turned: np.ndarray, parents: Sequence[int] = PARENTS) -> np.ndarray:
    """Rotations (..., J, 3, 3) relative to the parents, of global ones; joint 0 stays as it is."""
    local = np.array(turned)
    above = turned[..., list(parents[1:]), :, :]
    local[..., 1:, :, :] = np.swapaxes(above, -1, -2) @ turned[..., 1:, :, :]
    return local
