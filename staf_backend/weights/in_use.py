"""Which set of weights videos are run through; a set that is no longer wanted goes.

What the user chose is `weights_in_use.json` in the user's data folder.  Without a choice it is the
set called `staf`, if videos can be run through it, else the open one.
"""

import logging
import tempfile
from dataclasses import dataclass
from pathlib import Path

from staf_backend.assets import open_weights_folder
from staf_backend.body import forget_below
from staf_backend.files import OutputError
from staf_backend.weights.choice import Choice
from staf_backend.weights.error import WeightsError
from staf_backend.weights.info import (
    INFO_FILE,
    OPEN,
    OWN,
    WeightsInfo,
    check_name,
    installed_names,
    read_info,
    set_folder,
    weights_folder,
)

_log = logging.getLogger(__name__)
_CHOICE = Choice("weights_in_use.json")


@dataclass(frozen=True)
class SetState:
    """A set at hand: what it is, or why that cannot be read (then `info` is None).

    `missing`: the open set, where it is not installed.
    """

    name: str
    info: WeightsInfo | None
    problem: str
    in_use: bool
    embedded: bool
    missing: bool = False

    @property
    def converts(self) -> bool:
        """Whether `staf convert` can run videos through it."""
        return self.info is not None and self.info.converts


def default_weights() -> str:
    """The set that `--estimator staf` runs: the chosen one, else the user's, else the open one.

    Raises:
        WeightsError: the choice, or the description of that set, cannot be read.
    """
    return preferred_weights() or OPEN


def preferred_weights() -> str | None:
    """The set that `--estimator auto` runs, or None: the open one must be asked for.

    Raises:
        WeightsError: the choice, or the description of that set, cannot be read.
    """
    chosen = _CHOICE.name()
    if chosen is not None:
        if _converts(chosen):
            return chosen
        _log.warning("the weights %s, chosen once, are gone or cannot convert any more", chosen)
    return OWN if _converts(OWN) else None


def use_weights(name: str | None) -> str:
    """Choose the set to run from now on; returns its name.

    Args:
        name: of a set; None takes an earlier choice back.

    Raises:
        WeightsError: there is no such set, or videos cannot be run through it.
        OutputError: the choice cannot be kept.
    """
    if name is None:
        _CHOICE.forget()
        return default_weights()
    info = read_info(name)
    if not info.converts:
        raise WeightsError(
            f"The weights {name} cannot be used for videos: they are {info.ability}.",
            "See what each set can do: staf weights list",
        )
    _CHOICE.keep(name)
    return name


def remove_weights(name: str) -> None:
    """Delete a set of the user's, with the body that came with it; damaged ones, too.

    Raises:
        WeightsError: there is no such set, or it is the one that came with this software.
        BodyError: the list of bodies cannot be read.
        OutputError: it cannot be deleted.
    """
    check_name(name)
    folder = weights_folder() / name
    if not folder.is_dir():
        if name == OPEN and open_weights_folder() is not None:
            reason = f"The weights {OPEN} are part of this software and cannot be removed."
            raise WeightsError(reason, "Choose others with: staf weights use NAME")
        raise WeightsError(f"There are no STAF weights called {name}.", "See: staf weights list")
    forget_below(folder)
    delete_folder(folder)
    _CHOICE.forget_if(name)


def delete_folder(folder: Path) -> None:
    """Delete a set's folder, from one moment to the next; raises OutputError where it stays."""
    try:
        with tempfile.TemporaryDirectory(dir=folder.parent, prefix=".") as away:
            folder.replace(Path(away) / folder.name)
    except OSError as error:
        raise OutputError.from_os(folder, error) from error


def known_sets() -> tuple[SetState, ...]:
    """Every set at hand, the open one last, also where it is missing; none is too damaged to be
    listed."""
    try:
        running = default_weights()
    except WeightsError:
        running = None
    names = [name for name in installed_names() if name != OPEN]
    return tuple(_state(name, running) for name in (*names, OPEN))


def _state(name: str, running: str | None) -> SetState:
    embedded = set_folder(name).parent != weights_folder()
    missing = embedded and open_weights_folder() is None
    try:
        return SetState(name, read_info(name), "", name == running, embedded)
    except WeightsError as error:
        problem = f"{error.message} {error.advice}" if missing else error.message
        used = name == running and not missing
        return SetState(name, None, problem, used, embedded, missing)


def _converts(name: str) -> bool:
    return (set_folder(name) / INFO_FILE).exists() and read_info(name).converts
