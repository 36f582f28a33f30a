"""The open bodies as plain arrays, as the add-on reads them: it may import nothing of ours."""

from pathlib import Path

import numpy as np

from staf_backend.body import OPEN_BODIES, finger_arrays, load_body, look_arrays
from staf_backend.files import write_arrays


def write_bodies(folder: Path) -> list[Path]:
    """Write every open body into a folder; equal bodies give equal bytes on every processor.

    Raises:
        OutputError: they cannot be written.
    """
    return [_write_body(name, folder / f"{name}.npz") for name in OPEN_BODIES]


def _write_body(name: str, path: Path) -> Path:
    body = load_body(name)
    assert body.uvs is not None
    assert body.uv_faces is not None
    arrays = {
        "template_m": body.template_m.astype(np.float32),
        "faces": body.faces.astype(np.uint16),
        "shape_directions": body.shape_directions.astype(np.float16),
        "joint_template_m": body.joint_template_m,
        "joint_shape_directions": body.joint_shape_directions,
        "skin_joints": body.skin_joints.astype(np.uint8),
        "skin_weights": body.skin_weights.astype(np.float32),
        "uvs": body.uvs.astype(np.float16),
        "uv_faces": body.uv_faces.astype(np.uint16),
        "joint_names": np.array(body.skeleton.names),
        "parents": np.array(body.skeleton.parents, np.int64),
    }
    arrays |= look_arrays(body) | finger_arrays(name)
    write_arrays(path, {field: _to_the_nanometre(array) for field, array in arrays.items()})
    return path


def _to_the_nanometre(array: np.ndarray) -> np.ndarray:
    """Without the last bits: in what order vertices are summed is up to the processor."""
    return array.round(9) if array.dtype == np.float64 else array
