"""The commands about the STAF network.  They load PyTorch, so they have a room of their own."""

from collections.abc import Sequence
from pathlib import Path

from staf_backend.assets import AssetError
from staf_backend.body import add_body, forget_below
from staf_backend.reporting import Reporter
from staf_backend.weights.appearance import knows_appearance
from staf_backend.weights.error import WeightsError
from staf_backend.weights.in_use import default_weights
from staf_backend.weights.info import BODY_FILE, OPEN, WeightsInfo, set_folder

try:
    from staf_backend.staf.streaming import report as network_report
    from staf_backend.weights import store
    from staf_backend.weights.adopt import adopt_weights
except ModuleNotFoundError as error:
    raise AssetError(
        f"The STAF network needs the package {error.name}.",
        "Install it with: pip install torch safetensors",
    ) from error


def take_weights(files: Sequence[Path], name: str, reporter: Reporter) -> int:
    """Verify and keep the authors' checkpoints with the body that is in them, or a trained set.

    Args:
        files: the checkpoints, or the one folder that training wrote.
        name: what to call the set.
        reporter: told what was kept, what it can do and which set is in use.

    Raises:
        WeightsError: a file is not what it should be, or the name is the open set's.
    """
    if name == OPEN:
        reason = f"The weights {OPEN} are part of this software; others cannot have their name."
        raise WeightsError(reason, "Choose another --name.")
    if knows_appearance(name):
        reason = f"There is an appearance network called {name}."
        raise WeightsError(reason, "Choose another --name.")
    if len(files) == 1 and files[0].is_dir():
        info = adopt_weights(files[0], name=name)
    else:
        info = store.add_weights(files, name=name)
    body, running = _kept_body(info), default_weights()
    values = {
        "name": info.name,
        "notes": list(info.notes),
        "sources": dict(info.sources),
        "configuration": info.configuration,
        "can": info.ability,
        "can_convert": info.converts,
        "in_use": running,
        **({"body": body} if body else {}),
    }
    lines = [f"added the weights {name!r}: {info.ability}", _use(info, running), *info.notes]
    reporter.result("\n".join([*lines, f"their body is {body}"] if body else lines), values)
    return 0


def _use(info: WeightsInfo, running: str) -> str:
    """Who uses a set that was added."""
    if info.name == running:
        return "--estimator staf and auto use them"
    how = f"; to use these: staf weights use {info.name}" if info.converts else ""
    return f"--estimator staf uses {running}{how}"


def _kept_body(info: WeightsInfo) -> str:
    """The name of a new set's body, which is remembered if it came with the set; may be ""."""
    folder = set_folder(info.name)
    forget_below(folder)
    return add_body(folder / BODY_FILE, "neutral").name if info.has_body else info.body


def describe_network(reporter: Reporter) -> int:
    """Parameters and cost of the paper's configuration, part by part."""
    report = network_report.describe_network()
    values = {
        "parameters": report.parameters,
        "parameters_as_published": report.parameters_as_published,
        "multiply_adds": report.multiply_adds,
        "streamed_multiply_adds": report.streamed_multiply_adds,
        "parts": [vars(part) for part in report.parts],
    }
    reporter.result("\n".join(report.lines()), values)
    return 0
