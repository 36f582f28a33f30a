"""What bodies are compared with: the stand-in body by SMPL's paper, one at a time and in double
precision, and SPIN's joints of a mesh."""

import numpy as np
import torch
from torch import Tensor

from staf_backend.staf.body import JOINTS_49, LANDMARK_VERTICES, BodyPoints
from tests.support import parity_recipe as recipe


def body_points(betas: np.ndarray, rotations: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Mesh and 49 joints of one body, by SMPL's paper with matrices 4 x 4."""
    data, arrays = recipe.parity_data(), recipe.smpl_arrays()
    rest = arrays["v_template"] + arrays["shapedirs"] @ betas
    rest_joints = arrays["J_regressor"] @ rest
    rest = rest + arrays["posedirs"] @ (rotations[1:] - np.eye(3)).reshape(207)
    worlds: list[np.ndarray] = []
    parents = arrays["kintree_table"][0].astype(np.int64)
    for joint in range(24):
        local = np.eye(4)
        local[:3, :3], local[:3, 3] = rotations[joint], rest_joints[joint]
        if joint:
            local[:3, 3] -= rest_joints[parents[joint]]
            local = worlds[parents[joint]] @ local
        worlds.append(local)
    posed = np.stack(worlds)
    back = np.tile(np.eye(4), (24, 1, 1))
    back[:, :3, 3] = -rest_joints
    skin = np.tensordot(arrays["weights"], posed @ back, 1)
    mesh = np.einsum("vij,vj->vi", skin[:, :3, :3], rest) + skin[:, :3, 3]
    landmarks = [332, 6260, 2800, 4071, 583, 3216, 3226, 3387, 6617, 6624, 6787, 2746, 2319]
    landmarks += [2445, 2556, 2673, 6191, 5782, 5905, 6016, 6133]
    every = [*posed[:, :3, 3], *mesh[landmarks], *(data["J_regressor_extra"] @ mesh)]
    order = [24, 12, 17, 19, 21, 16, 18, 20, 0, 2, 5, 8, 1, 4, 7, 25, 26, 27, 28, 29, 30, 31, 32]
    order += [33, 34, 8, 5, 45, 46, 4, 7, 21, 19, 17, 16, 18, 20, 47, 48, 49, 50, 51, 52, 53]
    order += [24, 26, 25, 28, 27]
    return mesh, np.stack([every[index] for index in order])


def joints_49(points: BodyPoints, extra_regressor: np.ndarray) -> Tensor:
    """SPIN's 49 joints (N, 49, 3) of full meshes by its regressor (9, 6890), as SPIN writes it."""
    landmarks = points.vertices_m[:, list(LANDMARK_VERTICES)]
    regressed = torch.matmul(torch.from_numpy(extra_regressor).float(), points.vertices_m)
    return torch.cat([points.joints_m, landmarks, regressed], 1)[:, list(JOINTS_49)]


def camera_points(points: np.ndarray, camera: np.ndarray) -> np.ndarray:
    scale, x, y = camera
    moved = points + np.array([x, y, 2 * 5000 / (224 * scale)])
    return 5000 * moved[:, :2] / moved[:, 2:] / 112
