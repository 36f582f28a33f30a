"""The open bodies' fingers: joints and skin weights that turn their 24 joints into SMPL-H's 52.

Mesh, shapes and the first 22 joints stay bit for bit, so that betas and characters carry over.
"""

import dataclasses
from pathlib import Path

import numpy as np

from staf_backend.body.files import BodyArrays
from staf_backend.body.fingers import WITH_FINGERS, finger_joints

_WHOLE = 1024
"""What the file's skin weights of a vertex add up to."""


def with_open_fingers(arrays: BodyArrays, gender: str, path: Path) -> BodyArrays:
    """An open body with 52 joints.

    Args:
        arrays: of the body with 24 joints.
        gender: whose.
        path: the file of fingers.
    """
    with np.load(path, allow_pickle=False) as file:
        vertices, joints = file["vertices"].astype(int), file["joints"].astype(int)
        shares = file["weights"] / _WHOLE
        places, parts = file[f"{gender}_regressor_vertices"], file[f"{gender}_regressor"]
    fingers = [*finger_joints("left"), *finger_joints("right")]
    weights = np.zeros((len(arrays.template_m), len(WITH_FINGERS)))
    weights[:, : fingers[0]] = arrays.weights[:, : fingers[0]]
    weights[vertices] = 0
    np.add.at(weights, (vertices[:, None], joints), shares)
    regressor = np.zeros((len(WITH_FINGERS), len(arrays.template_m)))
    regressor[: fingers[0]] = arrays.regressor[: fingers[0]]
    np.add.at(regressor, (np.array(fingers)[:, None], places.astype(int)), parts.astype(float))
    return dataclasses.replace(arrays, weights=weights, regressor=regressor, skeleton=WITH_FINGERS)
