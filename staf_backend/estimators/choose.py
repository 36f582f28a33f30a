"""Which estimator runs here, on which body."""

import importlib.util
import logging
from pathlib import Path

from staf_backend.assets import AssetError
from staf_backend.body import Body, BodyError, known_bodies, load_body
from staf_backend.estimators.device import Installed, detection_device
from staf_backend.estimators.settings import EstimatorSettings, SettingsError
from staf_backend.runtime import onnx_session
from staf_backend.weights import WeightsError, default_weights, preferred_weights, read_info

_log = logging.getLogger(__name__)


def chosen_estimator(settings: EstimatorSettings) -> Installed:
    """The estimator that will run: "auto" is STAF where PyTorch and the user's weights are there.

    The open weights must be asked for: the landmark estimator is nearer to the truth.

    Raises:
        AssetError: STAF was asked for, and PyTorch is not installed.
    """
    if settings.estimator == "landmarks":
        return "landmarks"
    has_torch = all(importlib.util.find_spec(name) for name in ("torch", "safetensors"))
    if settings.estimator == "staf" and not has_torch:
        advice = "Install it with: pip install torch safetensors"
        raise AssetError("The estimator staf needs PyTorch.", advice)
    if settings.estimator == "staf":
        return "staf"
    return "staf" if has_torch and _is_preferred(settings.body) else "landmarks"


def check_device(settings: EstimatorSettings, estimator: Installed) -> None:
    """Refuses a device that is not here, or a precision that it has not, before a video is read.

    Raises:
        AssetError: ONNX Runtime cannot start on it.
        DeviceError: PyTorch has no such device, or it does not compute in the precision.
        SettingsError: the estimator has no such precision.
    """
    used_precision(settings, estimator)
    device = detection_device(settings, estimator)
    if device != "auto":
        onnx_session.started_device(device)


def used_precision(settings: EstimatorSettings, estimator: Installed) -> str:
    """What the estimator's large layers compute in, in the user's words.

    Raises:
        DeviceError: PyTorch has no such device, or it does not compute in the precision.
        SettingsError: the estimator has no such precision.
    """
    if estimator == "staf":
        from staf_backend.devices import choose_device, choose_precision, user_word

        device = choose_device(settings.device)
        return user_word(choose_precision(settings.precision, device))
    if settings.precision not in ("auto", "float32"):
        reason = f"The landmark estimator does not compute in {settings.precision}."
        raise SettingsError(reason, "Leave --precision out, or use --estimator staf.")
    return "float32"


def chosen_body(
    settings: EstimatorSettings, estimator: Installed, *, fingers: bool = False
) -> Body:
    """The body to animate.

    Args:
        settings: name it.
        estimator: that runs.
        fingers: with 52 joints instead of 24.

    Raises:
        BodyError: no such body, one that the weights' betas mean nothing to, or one without the
            fingers that are asked for.
        WeightsError: STAF's weights are missing.
    """
    if estimator == "landmarks":
        name = "open-neutral" if settings.body == "auto" else settings.body
        return load_body(name, fingers=fingers)
    from staf_backend.estimators.staf import own_body

    own = own_body(default_weights())
    if settings.body == "auto" and own is None:
        raise BodyError("These STAF weights came without a body.", "Name one with --body.")
    name = own if settings.body == "auto" and own is not None else settings.body
    body = load_body(name, fingers=fingers)
    foreign = body.kind != "smpl" if isinstance(own, Path) else own not in (None, body.name)
    if foreign:
        suited = "an SMPL body" if isinstance(own, Path) else own
        advice = f"Leave --body out, or name {suited}; or use --estimator landmarks."
        raise BodyError(f"STAF's shape numbers mean nothing to the body {body.name}.", advice)
    return body


def _is_preferred(body: str) -> bool:
    """Whether "auto" takes STAF: its weights are the user's or chosen, and have their body."""
    try:
        weights = preferred_weights()
        if weights is None:
            return False
        info = read_info(weights)
    except WeightsError as error:
        _log.warning("%s  Poses are read from landmarks.", error)
        return False
    return body != "auto" or info.has_body or info.body in known_bodies()
