"""Write the open bodies into the add-on: python .ci/make_addon_bodies.py

The add-on may not import the backend, so it carries the open bodies (CC0) as plain arrays.
"""

import sys
from pathlib import Path

import numpy as np

REPOSITORY = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(REPOSITORY))

from staf_backend.body.body import OPEN_BODIES, load_body  # noqa: E402
from staf_backend.files.npz import write_arrays  # noqa: E402


def main() -> None:
    folder = REPOSITORY / "addon" / "bodies"
    folder.mkdir(exist_ok=True)
    for name in OPEN_BODIES:
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
        write_arrays(folder / f"{name}.npz", arrays)
        print(name, (folder / f"{name}.npz").stat().st_size)


if __name__ == "__main__":
    main()
