"""Where an estimator's parts compute: PyTorch may have more devices than ONNX Runtime."""

import logging
from typing import Literal

from staf_backend.estimators.settings import EstimatorSettings
from staf_backend.runtime import onnx_session

_log = logging.getLogger(__name__)

Installed = Literal["landmarks", "staf"]
"""An estimator that can run."""


def detection_device(settings: EstimatorSettings, estimator: Installed) -> str:
    """The device of what runs in ONNX Runtime: finding people, landmarks, hands."""
    known = ("auto", *onnx_session.devices())
    if estimator != "staf" or settings.device.partition(":")[0] in known:
        return settings.device
    _log.info("ONNX Runtime has no device %s; its networks run on its best", settings.device)
    return "auto"
