"""Trained weights of the STAF network: reading checkpoints, keeping sets, telling what they are."""

from staf_backend.weights.appearance import (
    appearance_digest,
    appearance_in_use,
    check_appearance,
    open_appearance,
)
from staf_backend.weights.error import WeightsError
from staf_backend.weights.in_use import (
    default_weights,
    known_sets,
    preferred_weights,
    remove_weights,
    use_weights,
)
from staf_backend.weights.info import (
    BODY_FILE,
    ENCODER_FILE,
    INFO_FILE,
    NETWORK_FILE,
    OPEN,
    OWN,
    PLAN_FILE,
    WeightsInfo,
    installed_names,
    read_info,
    set_folder,
)
from staf_backend.weights.set_commands import choose_weights, drop_weights, list_weights, set_values

__all__ = [
    "BODY_FILE",
    "ENCODER_FILE",
    "INFO_FILE",
    "NETWORK_FILE",
    "OPEN",
    "OWN",
    "PLAN_FILE",
    "WeightsError",
    "WeightsInfo",
    "appearance_digest",
    "appearance_in_use",
    "check_appearance",
    "choose_weights",
    "default_weights",
    "drop_weights",
    "installed_names",
    "known_sets",
    "list_weights",
    "open_appearance",
    "preferred_weights",
    "read_info",
    "remove_weights",
    "set_folder",
    "set_values",
    "use_weights",
]
