"""Networks at the beginning and at the end of a run: made, taken from stage 1, written out."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from staf_backend.body import load_body
from staf_backend.files import ArchiveError, read_arrays, sha256, shown
from staf_backend.staf import PooledConfig, StafConfig, configuration_name, read_config
from staf_backend.staf.any_network import AnyNetwork, make_network
from staf_backend.staf.body import BodyTables, tables_from_body
from staf_backend.staf.network import MeanParams
from staf_backend.staf.pooled import PooledNetwork
from staf_backend.weights import INFO_FILE, NETWORK_FILE, read_info
from staf_backend.weights.store import load_weights, save_weights
from training.model import AnyEncoder, make_encoder, plan_of
from training.run.checkpoints import load_strictly, read_model
from training.run.run_error import RunError
from training.run.run_folder import BEST, LAST, describe
from training.targets import CROP_SCALE

FRESH = ("tcfm.", "safm.")
"""What stage 2 adds to the base network."""
CAMERA_START = (0.9, 0.0, 0.0)
"""Scale, and shift in metres, where regression starts (SPIN's mean parameters)."""


@dataclass(frozen=True)
class Base:
    """What stage 2 begins with.

    `tensors` are the base network's, `network` its configuration, `source` and `digest` the file
    they came from and its SHA-256.  The encoder is frozen, in eval mode.
    """

    encoder: AnyEncoder
    tensors: Mapping[str, Tensor]
    network: StafConfig
    body: str
    source: Path
    digest: str


def body_tables(name: str) -> BodyTables:
    """The tables of a body by name.

    Raises:
        BodyError: there is no such body.
    """
    return tables_from_body(load_body(name))


def start_values(path: Path | None = None) -> MeanParams:
    """Where regression starts: SPIN's `smpl_mean_params.npz`, or the rest pose without it.

    The rest pose stands upright before the camera: joint 0 turned by half a turn about x.

    Args:
        path: .npz with `pose` (144,), `shape` (10,) and `cam` (3,).

    Raises:
        RunError: the file cannot be read or holds something else.
    """
    if path is None:
        pose6d = torch.tensor([1.0, 0, 0, 1, 0, 0]).repeat(24)
        pose6d[3] = -1
        return MeanParams(pose6d, torch.zeros(10), torch.tensor(CAMERA_START))
    names = ("pose", "shape", "cam")
    try:
        found = read_arrays(path, dict.fromkeys(names, "f"))
        arrays = [found[name].astype(np.float32) for name in names]
    except (OSError, ArchiveError, KeyError) as error:
        raise RunError(f"{path} holds no mean parameters: {error}.", "Check the path.") from error
    if [array.shape for array in arrays] != [(144,), (10,), (3,)]:
        raise RunError(f"{path} holds mean parameters of another form.", "Take SPIN's file.")
    return MeanParams(*map(torch.from_numpy, arrays))


def read_base(path: Path, body: str = "") -> Base:
    """The base model of a finished or unfinished run of stage 1, or of a set of weights.

    Args:
        path: the run's folder, or the folder of a set of weights of a network that looks at single
            frames: of stage 1, or of the row "base" of Table IV.
        body: which it was trained with; needed for a set of weights that does not say so.

    Raises:
        RunError: it is neither, has not saved yet, or was trained with another body.
        WeightsError: the set is damaged.
    """
    if (path / INFO_FILE).exists():
        return _base_of_weights(path, body)
    config = _config_of(path, "image", "Give a run of stage 1.")
    file = best_state(path)
    with _reading(path):
        encoder = make_encoder(config["encoder"])
        network = StafConfig(
            frames=1,
            channels=config["channels"],
            average_target=False,
            tcfm_stage=None,
            safm_stage=None,
            map_channels=encoder.channels,
        )
        own = str(config["body"])
    load_strictly(encoder, read_model(file, "encoder."), file)
    encoder.eval().requires_grad_(False)
    tensors = read_model(file, "network.")
    body = same_body(path, own, body)
    return Base(encoder, tensors, network, body, file, sha256(file))


def _config_of(run: Path, stage: str, advice: str) -> Mapping[str, Any]:
    content = describe(run)
    if content["stage"] != stage:
        raise RunError(f"{run} is a run of the {shown(content['stage'])} stage.", advice)
    return content["config"]


@contextmanager
def _reading(run: Path) -> Iterator[None]:
    """What a run's configuration of an unexpected form lets fail is the file's fault."""
    try:
        yield
    except (LookupError, TypeError, ValueError, AttributeError) as error:
        what = f"{type(error).__name__}: {error}"
        message = f"The configuration in {run} is damaged ({shown(what)})."
        raise RunError(message, "Give another run.") from error


def same_body(path: Path, own: str, said: str) -> str:
    """The body that a network was trained with.

    Args:
        path: of the network, for messages.
        own: the body's name that lies with it, or "".
        said: what the user says it is, or "".

    Raises:
        RunError: neither is known, or they differ.
    """
    if own and said and own != said:
        raise RunError(f"{path} was trained with the body {own}, not {said}.", "Omit --body.")
    if not own and not said:
        raise RunError(f"{path} does not say its body.", "Name it: --body NAME.")
    return own or said


def load_base(network: AnyNetwork, base: Base) -> None:
    """Puts the base network into a new one: all but the fusions, strictly.

    A row of Table V has no part in common with the base but the mean parameters.

    Raises:
        RunError: something else than the fusions is missing, or does not fit.
    """
    if isinstance(network, PooledNetwork):
        return
    load_strictly(network, base.tensors, base.source, fresh=FRESH)


def best_state(folder: Path) -> Path:
    """A run's best state where it validated, else its last.

    Raises:
        RunError: it has not saved yet.
    """
    for name in (BEST, LAST):
        if (folder / name).exists():
            return folder / name
    raise RunError(f"The run in {folder} has saved nothing yet.", "Let it train longer.")


def export(
    run: Path, folder: Path, encoder: AnyEncoder | None, network: AnyNetwork, notes: tuple[str, ...]
) -> Path:
    """Writes the best state of a run as a set of weights.

    Args:
        run: the run's folder.
        folder: of the set.
        encoder: frozen one, or None where the run trained it: then `network`'s run holds it.
        network: of the run's kind; its tensors are replaced.
        notes: for the user.

    Raises:
        RunError: the run has not saved.
        OutputError: the folder cannot be written to.
    """
    file = best_state(run)
    tensors = read_model(file, "network.")
    load_strictly(network, tensors, file)
    if encoder is None:
        encoder = make_encoder(describe(run)["config"]["encoder"])
        load_strictly(encoder, read_model(file, "encoder."), file)
    save_weights(
        folder,
        encoder=encoder.state_dict(),
        network=tensors,
        config=network.config,
        plan=plan_of(encoder),
        body_name=describe(run)["config"]["body"],
        crop_factor=CROP_SCALE,
        sources={file.name: sha256(file)},
        notes=notes,
    )
    return folder


def _base_of_weights(path: Path, body: str) -> Base:
    info = read_info(path.name, path.parent)
    body = same_body(path, info.body, body)
    given = None if info.has_body else load_body(body)
    loaded = load_weights(path.name, root=path.parent, body=given)
    config = info.config
    if isinstance(config, PooledConfig) or configuration_name(config) != "base":
        raise RunError(
            f"{path} holds {info.configuration}, a network of stage 2.", "Give a base model."
        )
    state = loaded.network.state_dict()
    digest = info.files[NETWORK_FILE]
    return Base(loaded.encoder, state, replace(config, frames=1), info.body or body, path, digest)


def load_network(run: Path) -> AnyNetwork:
    """The best network of a run of stage 2, in eval mode on the CPU.

    Raises:
        RunError: it is no such run, or has saved nothing.
        BodyError: its body is not here.
    """
    stored = _config_of(run, "video", "Give one of stage 2.")
    with _reading(run):
        tables = body_tables(stored["body"])
        network = make_network(read_config(stored["network"]), tables, start_values())
    file = best_state(run)
    load_strictly(network, read_model(file, "network."), file)
    return network.eval().requires_grad_(False)
