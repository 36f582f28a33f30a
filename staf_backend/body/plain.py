"""The fingers of a body as plain arrays, beside its 24 joints, for programs that read no models.

fingers_joint_names, fingers_parents        (52,)
fingers_joint_template_m                    (52, 3) metres
fingers_joint_shape_directions              (52, 3, 10)
fingers_skin_joints, fingers_skin_weights   (V, 4)
fingers_skin_colours                        (V, 3) encoded as sRGB
"""

import numpy as np

from staf_backend.body.body import Body, BodyError, load_body
from staf_backend.body.look import look_arrays


def finger_arrays(name: str) -> dict[str, np.ndarray]:
    """The arrays of a body's fingers, by name; none where it has no fingers."""
    try:
        body = load_body(name, fingers=True)
    except BodyError:
        load_body(name)  # whatever else is wrong is wrong without fingers, too
        return {}
    return {f"fingers_{field}": array for field, array in _arrays(body).items()}


def _arrays(body: Body) -> dict[str, np.ndarray]:
    return {
        "joint_names": np.array(body.skeleton.names),
        "parents": np.array(body.skeleton.parents, np.int64),
        "joint_template_m": body.joint_template_m,
        "joint_shape_directions": body.joint_shape_directions,
        "skin_joints": body.skin_joints.astype(np.uint8),
        "skin_weights": body.skin_weights.astype(np.float32),
        "skin_colours": look_arrays(body)["skin_colours"],
    }
