"""The commands about the sets of weights at hand: what they are, which one runs.  No PyTorch."""

from typing import Any

from staf_backend.files import shown
from staf_backend.reporting import Reporter
from staf_backend.weights.appearance import knows_appearance, remove_appearance, use_appearance
from staf_backend.weights.appearance_commands import appearance_line, appearance_values
from staf_backend.weights.in_use import SetState, known_sets, remove_weights, use_weights
from staf_backend.weights.info import read_info


def list_weights(reporter: Reporter) -> int:
    """The sets at hand, the user's and the open one; then the appearance networks."""
    sets, networks = known_sets(), appearance_values()
    lines = [_line(one) for one in sets]
    if all(one.embedded and not one.missing for one in sets):
        lines.append("add others with: staf weights add base_model.pt MODEL.pth.tar")
    lines += [appearance_line(one) for one in networks]
    values = {"weights": [set_values(one) for one in sets], "appearance": networks}
    reporter.result("\n".join(lines), values)
    return 0


def choose_weights(name: str | None, reporter: Reporter) -> int:
    """Run videos through a set, or have people told apart by a network, from now on.

    Without a name it is as if none had ever been chosen.

    Raises:
        WeightsError: there is no such set, or videos cannot be run through it.
        OutputError: the choice cannot be kept.
    """
    if name is None or knows_appearance(name):
        use_appearance(name)
    if name is not None and knows_appearance(name):
        reporter.result(f"{name} tells people apart from now on", {"name": name, "chosen": True})
        return 0
    running = use_weights(name)
    if name is None and (opened := known_sets()[-1]).missing and running == opened.name:
        reporter.result(f"no weights are in use: {opened.problem}", {"name": None, "chosen": False})
        return 0
    info = read_info(running)
    wanted = "--estimator staf and auto" if name else "--estimator staf"
    text = f"{running} is in use by {wanted}: {info.ability}"
    values = {"name": running, "configuration": info.configuration, "can": info.ability}
    reporter.result(text, {**values, "chosen": name is not None})
    return 0


def drop_weights(name: str, reporter: Reporter) -> int:
    """Delete a set, or an appearance network.

    Raises:
        WeightsError: there is no such set, or it came with this software.
        BodyError: the list of bodies cannot be read.
        OutputError: it cannot be deleted.
    """
    if knows_appearance(name):
        remove_appearance(name)
        reporter.result(f"removed the network {name}", {"name": name})
        return 0
    remove_weights(name)
    running = next((one.name for one in known_sets() if one.in_use), None)
    text = f"removed the weights {name}" + (f"; in use is {running}" if running else "")
    reporter.result(text, {"name": name, "in_use": running})
    return 0


def set_values(one: SetState) -> dict[str, Any]:
    """What is told to programs about a set."""
    return {
        "name": one.name,
        "sources": sorted(one.info.sources) if one.info else [],
        "configuration": one.info.configuration if one.info else "",
        "can": one.info.ability if one.info else "",
        "can_convert": one.converts,
        "in_use": one.in_use,
        "embedded": one.embedded,
        "problem": one.problem,
    }


def _line(one: SetState) -> str:
    if one.missing:
        return f"{one.name}: {one.problem}"
    if one.info is None:
        return f"{one.name}: damaged: {one.problem}"
    origin = f"from {shown(', '.join(one.info.sources)) or 'training'}"
    origin = "comes with this software" if one.embedded else origin
    return f"{one.name}: {origin}; {one.info.ability}" + ("; in use" if one.in_use else "")
