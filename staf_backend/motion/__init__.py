"""One person's motion over time: the type that all estimators make and all writers take."""

from staf_backend.motion.contacts import PARTS, ContactSpan
from staf_backend.motion.file import load_motion, save_motion
from staf_backend.motion.motion import Motion, MotionError, joints_m
from staf_backend.motion.names import part_names, person_name, plain_name
from staf_backend.motion.quality import motion_quality

__all__ = [
    "PARTS",
    "ContactSpan",
    "Motion",
    "MotionError",
    "joints_m",
    "load_motion",
    "motion_quality",
    "part_names",
    "person_name",
    "plain_name",
    "save_motion",
]
