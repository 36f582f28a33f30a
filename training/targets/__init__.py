"""What is learnt: joints and their names, the samples of a batch and their labels."""

from training.targets.body_joints import BodyJoints
from training.targets.posed_joints import PosedJoints
from training.targets.samples import (
    CROP_SCALE,
    TARGET_SHAPES,
    CropSequence,
    ImageBatch,
    ImageSource,
    SequenceSource,
    Targets,
    WindowBatch,
)
from training.targets.squares import crop_turns, exact_targets, on_crops, tracked_squares

__all__ = [
    "CROP_SCALE",
    "TARGET_SHAPES",
    "BodyJoints",
    "CropSequence",
    "ImageBatch",
    "ImageSource",
    "PosedJoints",
    "SequenceSource",
    "Targets",
    "WindowBatch",
    "crop_turns",
    "exact_targets",
    "on_crops",
    "tracked_squares",
]
