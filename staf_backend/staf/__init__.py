"""The STAF network in PyTorch: its configuration, its parts, its body and its crop of a picture."""

from staf_backend.staf.config import (
    BETAS,
    CROP_PX,
    FOCAL_PX,
    JOINTS,
    MAP_PX,
    POSE_6D,
    RESNET50,
    AnyConfig,
    PooledConfig,
    StafConfig,
    read_config,
)
from staf_backend.staf.configurations import TABLE_IV, TABLE_V, TABLE_VI, configuration_name
from staf_backend.staf.crop import CROP_FACTOR, cut, place, squares_around

__all__ = [
    "BETAS",
    "CROP_FACTOR",
    "CROP_PX",
    "FOCAL_PX",
    "JOINTS",
    "MAP_PX",
    "POSE_6D",
    "RESNET50",
    "TABLE_IV",
    "TABLE_V",
    "TABLE_VI",
    "AnyConfig",
    "PooledConfig",
    "StafConfig",
    "configuration_name",
    "cut",
    "place",
    "read_config",
    "squares_around",
]
