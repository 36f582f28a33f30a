"""Encoders that make the feature maps which the STAF network reads."""

from staf_backend.staf.encoders.fields import AnyEncoder, FieldsEncoder, check_landmark_network
from staf_backend.staf.encoders.plan import (
    IMAGE,
    AnyPlan,
    EncoderPlan,
    FieldsPlan,
    Layer,
    read_plan,
)
from staf_backend.staf.encoders.planned import PlannedEncoder
from staf_backend.staf.encoders.resnet import Encoder

__all__ = [
    "IMAGE",
    "AnyEncoder",
    "AnyPlan",
    "Encoder",
    "EncoderPlan",
    "FieldsEncoder",
    "FieldsPlan",
    "Layer",
    "PlannedEncoder",
    "check_landmark_network",
    "read_plan",
]
