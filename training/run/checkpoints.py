"""A run's state in one file: safetensors whose header holds the rest as JSON.

    model/NAME              parameters and buffers of what is trained
    optimiser/NAME/KEY      what the optimiser of parameter NAME keeps (exp_avg, exp_avg_sq, step)
    header "progress"       step, schedule, best score, sums of the report that is under way
    header "run"            configuration, git state, versions

One file is replaced at once, so a run that is killed while saving has its former state.  No random
state is stored: batches and dropout are functions of the seed and the step (`machine.seed`).
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor, nn

from staf_backend.files import OutputError, open_file, replace_atomically, shown
from training.run.run_error import RunError

FORMAT = "staf-run-1"
_MODEL, _OPTIMISER = "model/", "optimiser/"


@dataclass
class Progress:
    """Where a run is.

    Attributes:
        step: optimiser steps done.
        best: lowest watched score of a validation so far, and `best_step` when.
        scores: of the latest validation.
        sums: losses summed since the latest report, over `summed` steps.
        schedule: the learning rate schedule's own state.
        minutes: of training so far, of a run whose length is a time; else 0.
        finished: whether the run is over.
    """

    step: int = 0
    best: float | None = None
    best_step: int = 0
    scores: dict[str, float] = field(default_factory=dict)
    sums: dict[str, float] = field(default_factory=dict)
    summed: int = 0
    schedule: dict[str, Any] = field(default_factory=dict)
    minutes: float = 0.0
    finished: bool = False


_BEGUN = Progress()
_NUMBERS = (int, float, type(None))


def save_checkpoint(
    path: Path,
    model: nn.Module,
    optimisers: Sequence[torch.optim.Optimizer],
    progress: Progress,
    run: Mapping[str, Any],
) -> None:
    """Writes the state of a run; what was at `path` stays if that fails.

    Args:
        path: the file, .safetensors.
        model: whose parameters the optimisers move.
        optimisers: of one parameter group or more each, no parameter in two of them.
        progress: where the run is.
        run: what describes the run, for JSON.

    Raises:
        OutputError: the disk is full, the folder is not writable.
    """
    tensors = {_MODEL + name: tensor for name, tensor in model.state_dict().items()}
    tensors |= _optimiser_tensors(model, optimisers)
    groups = [
        {key: value for key, value in group.items() if key != "params"}
        for optimiser in optimisers
        for group in optimiser.param_groups
    ]
    header = {"progress": asdict(progress), "groups": groups, "run": dict(run)}
    metadata = {"format": FORMAT, **{key: json.dumps(value) for key, value in header.items()}}
    contiguous = {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}
    with replace_atomically(path) as temporary:
        try:
            save_file(contiguous, temporary, metadata)
        except SafetensorError as error:  # it words the operating system's errors itself
            raise OutputError(
                f"cannot write {path}: {error}.", "Free some space or choose another place."
            ) from error


def load_checkpoint(
    path: Path, model: nn.Module, optimisers: Sequence[torch.optim.Optimizer]
) -> Progress:
    """Puts a stored state into the model and the optimisers; returns where the run was.

    Raises:
        RunError: the file is missing, damaged or of another network.
    """
    header, tensors = read_checkpoint(path)
    progress = _progress(header, path)
    own = {n.removeprefix(_MODEL): t for n, t in tensors.items() if n.startswith(_MODEL)}
    load_strictly(model, own, path)
    try:
        groups = header["groups"]
        for optimiser in optimisers:
            count = len(optimiser.param_groups)
            _load_optimiser(model, optimiser, groups[:count], tensors)
            groups = groups[count:]
    except (LookupError, TypeError, ValueError, AttributeError) as error:
        raise _damaged(path, f"the optimiser's state: {error}") from error
    return progress


def _progress(header: Mapping[str, Any], path: Path) -> Progress:
    try:
        found = Progress(**header["progress"])
    except (LookupError, TypeError) as error:
        raise _damaged(path, str(error)) from error
    for entry in fields(Progress):
        kinds = _NUMBERS if entry.name in ("best", "minutes") else type(getattr(_BEGUN, entry.name))
        if not isinstance(getattr(found, entry.name), kinds):
            raise _damaged(path, f"{entry.name} of another type")
    return found


def _damaged(path: Path, what: str) -> RunError:
    return RunError(f"{path} is damaged ({shown(what)}).", "Give a run that has saved.")


def read_progress(path: Path) -> Progress:
    """Where the run of a stored state was; no tensor is read.

    Raises:
        RunError: see `read_checkpoint`.
    """
    header, _ = read_checkpoint(path, start="\0")
    return _progress(header, path)


def read_model(path: Path, prefix: str = "") -> dict[str, Tensor]:
    """The model's tensors of a stored state whose names begin with `prefix`, without it.

    Raises:
        RunError: see `read_checkpoint`.
    """
    start = _MODEL + prefix
    _, tensors = read_checkpoint(path, start)
    return {name.removeprefix(start): tensor for name, tensor in tensors.items()}


def read_checkpoint(path: Path, start: str = "") -> tuple[dict[str, Any], dict[str, Tensor]]:
    """Header ("progress", "groups", "run") and tensors of a stored state, on the CPU.

    Only tensors whose names begin with `start` are read.

    Raises:
        RunError: the file is missing, damaged, or no checkpoint of a run.
    """
    try:
        open_file(path).close()  # no pipe, for whose other end `safe_open` would wait
        with safe_open(path, "pt") as file:
            metadata = file.metadata() or {}
            names = [name for name in file.keys() if name.startswith(start)]  # noqa: SIM118
            tensors = {name: file.get_tensor(name) for name in names}
        if metadata.pop("format", None) != FORMAT:
            raise ValueError("it is no checkpoint of this version")
        return {key: _said(value) for key, value in metadata.items()}, tensors
    except (OSError, SafetensorError, ValueError) as error:
        message = f"{path} cannot be read: {shown(str(error))}."
        raise RunError(message, "Give a run that has saved.") from error


def _said(text: str) -> Any:
    """Of the header; a schedule that has seen no score yet says Infinity, which JSON has not."""
    try:
        return json.loads(text)
    except RecursionError:
        raise ValueError("it is nested too deeply") from None


def load_strictly(
    model: nn.Module,
    tensors: Mapping[str, Tensor],
    source: Path,
    *,
    fresh: tuple[str, ...] = (),
) -> None:
    """Copies tensors into a model whose state dict they must match.

    Args:
        model: to fill.
        tensors: by the model's names.
        source: the file, for messages.
        fresh: prefixes of names that `tensors` must lack; they keep their initial values.

    Raises:
        RunError: names or shapes differ from what is expected, or a value is not finite.
    """
    own = model.state_dict()
    wanted = {name: tensor for name, tensor in own.items() if not name.startswith(fresh or "\0")}
    problems = {
        "missing": sorted(wanted.keys() - tensors.keys()),
        "unexpected": sorted(tensors.keys() - wanted.keys()),
        "misshapen": [n for n in wanted if n in tensors and tensors[n].shape != wanted[n].shape],
        "not finite": [n for n in wanted if n in tensors and not tensors[n].isfinite().all()],
    }
    found = [f"{what}: {_listed(names)}" for what, names in problems.items() if names]
    if found:
        message = f"{source} does not fit this network ({'; '.join(found)})."
        raise RunError(message, "Give a run with the same configuration; nothing was loaded.")
    model.load_state_dict({**own, **tensors}, strict=True)


def _optimiser_tensors(
    model: nn.Module, optimisers: Sequence[torch.optim.Optimizer]
) -> dict[str, Tensor]:
    return {
        f"{_OPTIMISER}{name}/{key}": value
        for optimiser in optimisers
        for name, parameter in model.named_parameters()
        for key, value in optimiser.state.get(parameter, {}).items()
    }


def _load_optimiser(
    model: nn.Module,
    optimiser: torch.optim.Optimizer,
    groups: list[dict[str, Any]],
    tensors: Mapping[str, Tensor],
) -> None:
    """Numbers parameters as the optimiser does: in the order of its groups."""
    names = {id(parameter): name for name, parameter in model.named_parameters()}
    state: dict[int, dict[str, Tensor]] = {}
    stored = []
    for group, numbers in zip(groups, optimiser.param_groups, strict=True):
        first = sum(len(done["params"]) for done in stored)
        ids = range(first, first + len(numbers["params"]))
        for number, parameter in zip(ids, numbers["params"]):
            prefix = f"{_OPTIMISER}{names[id(parameter)]}/"
            kept = {n.removeprefix(prefix): t for n, t in tensors.items() if n.startswith(prefix)}
            if kept:
                state[number] = kept
        pairs = {key: tuple(one) for key, one in group.items() if isinstance(one, list)}
        stored.append({**group, **pairs, "params": list(ids)})
    optimiser.load_state_dict({"state": state, "param_groups": stored})


def _listed(names: list[str]) -> str:
    more = f" and {len(names) - 3} more" if len(names) > 3 else ""
    return ", ".join(map(shown, names[:3])) + more
