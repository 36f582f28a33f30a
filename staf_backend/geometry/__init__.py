"""Rotations, the pinhole camera and the skeleton: the arithmetic that every other wing
builds on.
"""

from staf_backend.geometry.arrays import is_finite, keep_array, require, require_unit
from staf_backend.geometry.camera import (
    TO_Y_UP,
    Camera,
    CameraMotion,
    CameraPath,
    FocalSource,
    assumed_focal_px,
)
from staf_backend.geometry.rotations import (
    continuous_signs,
    from_6d,
    from_axis_angle,
    from_quaternions,
    nearest_rotation,
    rotation_between,
    slerp,
    to_axis_angle,
    to_quaternions,
)
from staf_backend.geometry.skeleton import (
    SMPL,
    Skeleton,
    check_parents,
    counterparts,
    forward_kinematics,
    parent_relative,
)

__all__ = [
    "SMPL",
    "TO_Y_UP",
    "Camera",
    "CameraMotion",
    "CameraPath",
    "FocalSource",
    "Skeleton",
    "assumed_focal_px",
    "check_parents",
    "continuous_signs",
    "counterparts",
    "forward_kinematics",
    "from_6d",
    "from_axis_angle",
    "from_quaternions",
    "is_finite",
    "keep_array",
    "nearest_rotation",
    "parent_relative",
    "require",
    "require_unit",
    "rotation_between",
    "slerp",
    "to_axis_angle",
    "to_quaternions",
]
