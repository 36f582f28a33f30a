"""The commands about the STAF network.  They load PyTorch, so they have a room of their own."""

from collections.abc import Sequence
from pathlib import Path

from staf_backend.assets import AssetError
from staf_backend.body.body import add_body
from staf_backend.reporting import Reporter

try:
    from staf_backend.staf.streaming import report as network_report
    from staf_backend.weights import store
    from staf_backend.weights.adopt import adopt_weights
    from staf_backend.weights.info import BODY_FILE, OPEN, OWN, weights_folder
except ModuleNotFoundError as error:
    raise AssetError(
        f"The STAF network needs the package {error.name}.",
        "Install it with: pip install torch safetensors",
    ) from error


def take_weights(files: Sequence[Path], reporter: Reporter) -> int:
    """Verify and keep the authors' checkpoints with the body that is in them, or a trained set.

    Args:
        files: the checkpoints, or the one folder that training wrote.
        reporter: told what was kept.

    Raises:
        WeightsError: a file is not what it should be.
    """
    if len(files) == 1 and files[0].is_dir():
        info = adopt_weights(files[0], name=OWN)
    else:
        info = store.add_weights(files)
    values = {"name": info.name, "notes": list(info.notes), "sources": dict(info.sources)}
    lines = [f"added the weights {info.name!r}; --estimator staf uses them", *info.notes]
    if info.has_body:
        body = add_body(weights_folder() / info.name / BODY_FILE, "neutral")
        values["body"] = body.name
        lines.append(f"their body is {body.name}")
    elif info.body:
        values["body"] = info.body
        lines.append(f"their body is {info.body}")
    reporter.result("\n".join(lines), values)
    return 0


def list_weights(reporter: Reporter) -> int:
    """The sets at hand: the user's, and the one that came with this software."""
    own = store.installed_weights()
    lines = [f"{info.name}: from {', '.join(info.sources) or 'training'}" for info in own]
    lines.append(f"{OPEN}: comes with this software")
    if not own:
        lines.append("add others with: staf weights add base_model.pt MODEL.pth.tar")
    reporter.result("\n".join(lines), {"weights": [*(info.name for info in own), OPEN]})
    return 0


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
