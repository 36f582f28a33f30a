"""A training run: its configuration, loop, checkpoints, folder and validation."""

from training.run.checkpoints import (
    Progress,
    load_strictly,
    read_model,
    read_progress,
    save_checkpoint,
)
from training.run.config import ImageStageConfig, LoopConfig, Schedule, VideoStageConfig
from training.run.loop import Feed, Run, Stopped, Validate, train
from training.run.machine import Machine, Precision, open_machine
from training.run.networks import Base, load_network, read_base, same_body
from training.run.run_error import RunError
from training.run.run_folder import LAST, RUN_FILE, check_same, describe, reports, write_json
from training.run.validation import WATCHED, KeptCrops, PositionScores, score

__all__ = [
    "LAST",
    "RUN_FILE",
    "WATCHED",
    "Base",
    "Feed",
    "ImageStageConfig",
    "KeptCrops",
    "LoopConfig",
    "Machine",
    "PositionScores",
    "Precision",
    "Progress",
    "Run",
    "RunError",
    "Schedule",
    "Stopped",
    "Validate",
    "VideoStageConfig",
    "check_same",
    "describe",
    "load_network",
    "load_strictly",
    "open_machine",
    "read_base",
    "read_model",
    "read_progress",
    "reports",
    "same_body",
    "save_checkpoint",
    "score",
    "train",
    "write_json",
]
