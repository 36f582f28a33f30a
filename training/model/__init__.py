"""The networks as they are trained: encoders, losses, auxiliary heads."""

from training.model.dense import DenseConfig, DenseHead
from training.model.dilated import TrainedDilated, dilated_arrays
from training.model.encoders import FIELDS, NAMES, AnyEncoder, digest, make_encoder, plan_of
from training.model.losses import TERMS, LossConfig, Losses
from training.model.objectives import ImageObjective, VideoObjective, set_dropout

__all__ = [
    "FIELDS",
    "NAMES",
    "TERMS",
    "AnyEncoder",
    "DenseConfig",
    "DenseHead",
    "ImageObjective",
    "LossConfig",
    "Losses",
    "TrainedDilated",
    "VideoObjective",
    "digest",
    "dilated_arrays",
    "make_encoder",
    "plan_of",
    "set_dropout",
]
