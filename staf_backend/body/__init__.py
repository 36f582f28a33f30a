"""Body models: reading and keeping them, their meshes and how these look, the markers on their
skin, and the SMPL parameters of a person.
"""

from staf_backend.body.body import (
    OPEN_BODIES,
    Body,
    BodyError,
    add_body,
    body_path,
    known_bodies,
    load_body,
)
from staf_backend.body.files import read_body_file
from staf_backend.body.fingers import WITH_FINGERS, finger_joints
from staf_backend.body.look import (
    CLAY_ROUGHNESS,
    SKIN_ROUGHNESS,
    clay,
    look_arrays,
    skin_colours,
    vertex_normals,
)
from staf_backend.body.params import SHAPE_COUNT, SmplParams
from staf_backend.body.plain import finger_arrays
from staf_backend.body.user_bodies import data_folder, forget_below

__all__ = [
    "CLAY_ROUGHNESS",
    "OPEN_BODIES",
    "SHAPE_COUNT",
    "SKIN_ROUGHNESS",
    "WITH_FINGERS",
    "Body",
    "BodyError",
    "SmplParams",
    "add_body",
    "body_path",
    "clay",
    "data_folder",
    "finger_arrays",
    "finger_joints",
    "forget_below",
    "known_bodies",
    "load_body",
    "look_arrays",
    "read_body_file",
    "skin_colours",
    "vertex_normals",
]
