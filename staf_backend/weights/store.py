"""The user's network weights: taken from checkpoints once, checked, kept, loaded strictly.

    base_model.pt ─────────────┐ add_weights   <data folder>/weights/staf/
    3dpw_model_best.pth.tar ───┴──────────────►  encoder.safetensors   318 tensors
                                                 encoder.json          unless it is ResNet-50
                                                 network.safetensors   our names
                                                 body.npz              SMPL's layout
                                                 weights.json          what it is, checksums

A set made by `training` is written by `save_weights` in the same form.  Nothing is loaded in part:
missing, unexpected, misshapen and non-finite tensors are errors that name them.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save
from torch import Tensor, nn

from staf_backend.assets import AssetError
from staf_backend.files import replace_folder_atomically, sha256, shown
from staf_backend.staf import CROP_FACTOR, AnyConfig, StafConfig, configuration_name
from staf_backend.staf.any_network import AnyNetwork
from staf_backend.staf.body import BodyTables
from staf_backend.staf.encoders import (
    AnyEncoder,
    AnyPlan,
    FieldsPlan,
    check_landmark_network,
    read_plan,
)
from staf_backend.weights import authors_layout
from staf_backend.weights.blank import (
    blank_encoder,
    blank_network,
    undrawn_encoder,
    undrawn_network,
)
from staf_backend.weights.checkpoint_file import (
    first_bytes,
    optimised_shapes,
    read_checkpoint,
    state_dicts,
)
from staf_backend.weights.error import WeightsError
from staf_backend.weights.info import (
    ADD_AGAIN,
    BODY_FILE,
    ENCODER_FILE,
    INFO_FILE,
    NETWORK_FILE,
    OWN,
    PLAN_FILE,
    WeightsInfo,
    check_name,
    read_info,
    read_text,
    set_folder,
    weights_folder,
)
from staf_backend.weights.set_body import body_tables, check_body
from staf_backend.weights.training_evidence import gather_evidence

if TYPE_CHECKING:
    from staf_backend.body import Body

__all__ = [
    "LoadedWeights",
    "WeightsError",
    "WeightsInfo",
    "add_weights",
    "load_weights",
    "save_weights",
]

_BASE = StafConfig(frames=1, average_target=False, tcfm_stage=None, safm_stage=None)
"""A single frame through the same three stages: the paper's baseline, PyMAF."""
_FLOATS = {torch.float16, torch.bfloat16, torch.float32, torch.float64}
_WHOLE = {torch.uint8, torch.int8, torch.int16, torch.int32, torch.int64}


@dataclass(frozen=True)
class LoadedWeights:
    """Networks in eval mode on the CPU, without gradients, and the tables of the body whose
    parameters they give."""

    encoder: AnyEncoder
    network: AnyNetwork
    tables: BodyTables
    info: WeightsInfo


def add_weights(
    paths: Sequence[str | Path], *, name: str = OWN, root: Path | None = None
) -> WeightsInfo:
    """Takes the authors' checkpoints in: verify, translate, keep.

    Args:
        paths: `base_model.pt` and `3dpw_model_best.pth.tar` in any order; `base_model.pt` alone
            gives the single-frame baseline.
        name: what to call the set; one of the same name is replaced.
        root: folder of all sets; the user's data folder by default.

    Returns:
        What was stored; `notes` say what was found out about it.

    Raises:
        WeightsError: a file is unreadable or of another network, or the encoder or the network is
            in none of the files.
        OutputError: the set cannot be written.
    """
    check_name(name)
    checkpoints = {Path(path): read_checkpoint(Path(path)) for path in paths}
    states = [(path, s) for path, content in checkpoints.items() for s in state_dicts(content)]
    encoder_path, encoder = _pick(states, authors_layout.is_authors_encoder, "encoder")
    # A file with fusion modules wins over the base model, which holds everything else too
    states.sort(key=lambda pair: not any(key.startswith("tcfm.") for key in pair[1]))
    path, network = _pick(states, authors_layout.is_authors_staf, "network")
    translated, config = _translated(network, path)
    base = _translated_base(states, path)
    evidence = gather_evidence(translated, base, optimised_shapes(checkpoints[path]))
    encoder = authors_layout.encoder_tensors(encoder)
    return save_weights(
        weights_folder(root) / name,
        encoder=_strict_state(blank_encoder(None, str(encoder_path)), encoder, str(encoder_path)),
        network=translated,
        config=config,
        body=authors_layout.body_arrays(network, str(path)),
        sources={file.name: sha256(file) for file in checkpoints},
        notes=(*evidence.sentences(), *_licence_notes(network)),
    )


def save_weights(
    folder: Path,
    *,
    encoder: Mapping[str, Tensor],
    network: Mapping[str, Tensor],
    config: AnyConfig,
    plan: AnyPlan | None = None,
    body: Mapping[str, np.ndarray] | None = None,
    body_name: str = "",
    crop_factor: float = CROP_FACTOR,
    sources: Mapping[str, str] | None = None,
    notes: Sequence[str] = (),
) -> WeightsInfo:
    """Writes a set of weights; one that is there is replaced once the new one is complete.

    Args:
        folder: where; its name becomes the set's name.
        encoder: state dict of `Encoder`, or of what the `plan` describes.
        network: state dict of the network after the encoder.
        config: what the network was built with.
        plan: the encoder's, None for ResNet-50.
        body: arrays under SMPL's names with `vids_431`, or None.
        body_name: whose betas the network gives, where no body comes with it.
        crop_factor: side of the crop over the side of the person's box.
        sources: SHA-256 of the files it was made from.
        notes: sentences for the user.

    Raises:
        WeightsError: the tensors are not those networks', not finite, the network does not read
            what the encoder gives, or the body is none.
        OutputError: the folder cannot be written.
    """
    blank = blank_encoder(plan, str(folder))
    _check_width(blank, config, str(folder))
    encoder = _strict_state(blank, encoder, "the encoder")
    network = _strict_state(blank_network(config), network, "the network", config)
    with replace_folder_atomically(folder) as new:
        (new / ENCODER_FILE).write_bytes(save(encoder))
        (new / NETWORK_FILE).write_bytes(save(network))
        if plan is not None:
            (new / PLAN_FILE).write_text(plan.to_json(), encoding="utf-8")
        if body is not None:
            np.savez_compressed(new / BODY_FILE, **dict(body))  # pyright: ignore[reportArgumentType]
            check_body(new / BODY_FILE)
        digests = {file.name: sha256(file) for file in sorted(new.iterdir())}
        info = WeightsInfo(
            folder.name,
            config,
            digests,
            dict(sources or {}),
            tuple(notes),
            encoder=blank.name,
            crop_factor=crop_factor,
            body=body_name,
        )
        (new / INFO_FILE).write_text(info.to_json(), encoding="utf-8")
    return info


def load_weights(
    name: str = OWN,
    *,
    root: Path | None = None,
    body: "Body | None" = None,
    config: AnyConfig | None = None,
) -> LoadedWeights:
    """Builds the encoder and the network of a stored set, once its tensors are known to be theirs.

    Args:
        name: of the set.
        root: folder of all sets; the user's data folder by default.
        body: used instead of the set's own; by default the one that came with the set, or the
            one of the name that the set gives.
        config: replaces the stored one where tensors are the same, e.g. `tcfm_batching`.

    Raises:
        WeightsError: no such set, changed or damaged files, tensors that do not fit, or no body.
    """
    info = read_info(name, root)
    folder = set_folder(name, root)
    _check_digests(folder, info)
    config = config or info.config
    plan = _read_plan(folder / PLAN_FILE) if PLAN_FILE in info.files else None
    blank = blank_encoder(plan, str(folder))
    _check_width(blank, config, str(folder))
    states = [
        _strict_state(module, _read_tensors(folder / file), str(folder / file), of)
        for module, file, of in (
            (blank, ENCODER_FILE, None),
            (blank_network(config), NETWORK_FILE, config),
        )
    ]
    tables = body_tables(folder, info, body)
    encoder, network = undrawn_encoder(plan), undrawn_network(config, tables, str(folder))
    for module, state in zip((encoder, network), states, strict=True):
        module.load_state_dict(state, strict=True)
        module.eval().requires_grad_(False)
    return LoadedWeights(encoder, network, tables, info)


def _pick(states: list[tuple[Path, dict]], fits: Any, what: str) -> tuple[Path, dict[str, Tensor]]:
    for path, state in states:
        if fits(state):
            return path, state
    names = ", ".join(dict.fromkeys(str(path) for path, _ in states)) or "The files"
    raise WeightsError(
        f"{names} hold no STAF {what}.",
        "Give both base_model.pt (the encoder) and 3dpw_model_best.pth.tar (the network).",
    )


def _translated_base(states: list[tuple[Path, dict]], network: Path) -> dict[str, Tensor] | None:
    """The base model's stages, if it is a file apart from the network's."""
    for path, state in states:
        both = authors_layout.is_authors_staf(state) and authors_layout.is_authors_encoder(state)
        if both and path != network:
            return _translated(state, path)[0]
    return None


def _translated(state: Mapping[str, Tensor], path: Path) -> tuple[dict[str, Tensor], StafConfig]:
    """The tensors of a network in the authors' layout under our names, all and only those."""
    tensors = authors_layout.network_tensors(state, str(path))
    config = _config_of(tensors)
    return _strict_state(blank_network(config), tensors, str(path), config), config


def _licence_notes(state: Mapping[str, Tensor]) -> tuple[str, ...]:
    if "regressor.0.smpl.v_template" not in state:
        return ("The file holds no body; give one when converting.",)
    return ("The SMPL body came out of the checkpoint; SMPL's licence applies to it.",)


def _config_of(tensors: Mapping[str, Tensor]) -> StafConfig:
    """The paper's network if there is a fusion, else the single-frame baseline; strictness follows
    when the tensors are compared with it."""
    fused = any(name.startswith(("tcfm.", "safm.")) for name in tensors)
    return StafConfig() if fused else _BASE


def _strict_state(
    module: nn.Module,
    tensors: Mapping[str, Tensor],
    source: str,
    config: AnyConfig | None = None,
) -> dict[str, Tensor]:
    """The tensors, if they are exactly the module's: names, shapes, kinds of numbers, finite.

    `config` is what a network after the encoder was built with, for the message.
    """
    expected = module.state_dict()
    shared = [name for name in expected if name in tensors]
    numbers = [n for n in shared if tensors[n].dtype in _alike(expected[n].dtype)]
    wrong = {
        "missing": [name for name in expected if name not in tensors],
        "unexpected": [name for name in tensors if name not in expected],
        "misshapen": [name for name in shared if tensors[name].shape != expected[name].shape],
        "of another type": [name for name in shared if name not in numbers],
        "not finite": [name for name in numbers if not torch.isfinite(tensors[name]).all()],
    }
    problems = [f"{what}: {authors_layout.listed(names)}" for what, names in wrong.items() if names]
    if problems:
        found = "; ".join(problems)
        reason = f"{source} does not hold this network's weights ({found})."
        if config is not None:
            name = configuration_name(config)
            reason = f"{source} does not hold the weights of the configuration {name} ({found})."
        advice = "The file is damaged or of another network; nothing was loaded."
        raise WeightsError(reason, advice)
    return {name: tensors[name].contiguous() for name in expected}


def _check_digests(folder: Path, info: WeightsInfo) -> None:
    for file, digest in info.files.items():
        path = folder / file
        if not path.is_file() or sha256(path) != digest:
            raise WeightsError(f"{path} is missing or has changed since it was added.", ADD_AGAIN)


def _read_tensors(path: Path) -> dict[str, Tensor]:
    first_bytes(path)
    try:
        return load_file(path)
    except (SafetensorError, ValueError, KeyError, TypeError, RuntimeError, OSError) as error:
        reason = shown(str(error).split("\n")[0])
        raise WeightsError(f"{path} is not a safetensors file: {reason}.", ADD_AGAIN) from error


def _alike(dtype: torch.dtype) -> set[torch.dtype]:
    """The types that may be stored for one."""
    return _FLOATS if dtype in _FLOATS else _WHOLE


def _check_width(encoder: AnyEncoder, config: AnyConfig, source: str) -> None:
    if encoder.channels != config.map_channels:
        raise WeightsError(
            f"The encoder {encoder.name} gives {encoder.channels} channels, but the network of "
            f"{source} reads {config.map_channels}.",
            "Take the encoder and the network from one training run.",
        )


def _read_plan(path: Path) -> AnyPlan:
    try:
        plan = read_plan(read_text(path))
        if isinstance(plan, FieldsPlan):
            check_landmark_network(plan)
        return plan
    except (OSError, ValueError, AssetError) as error:
        raise WeightsError(
            f"{path} cannot be read: {shown(str(error).rstrip('.'))}.", ADD_AGAIN
        ) from error
