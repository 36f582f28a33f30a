"""From a video and its tracks to SMPL parameters: by landmarks and a fit, or by
the STAF network.
"""

from staf_backend.estimators.choose import (
    check_device,
    chosen_body,
    chosen_estimator,
    used_precision,
)
from staf_backend.estimators.device import Installed, detection_device
from staf_backend.estimators.estimate import Estimate, Evidence
from staf_backend.estimators.hands import hand_networks, with_seen_fingers
from staf_backend.estimators.landmarks import estimate_by_landmarks
from staf_backend.estimators.settings import EstimatorSettings, SettingsError
from staf_backend.estimators.shot import Shot, open_shot

__all__ = [
    "Estimate",
    "EstimatorSettings",
    "Evidence",
    "Installed",
    "SettingsError",
    "Shot",
    "check_device",
    "chosen_body",
    "chosen_estimator",
    "detection_device",
    "estimate_by_landmarks",
    "hand_networks",
    "open_shot",
    "used_precision",
    "with_seen_fingers",
]
