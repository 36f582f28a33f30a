"""The words of `staf weights`."""

import argparse
from pathlib import Path
from typing import Any

from staf_backend.options.command import Command
from staf_backend.reporting import Reporter


def add_weights(commands: Any, command: Command) -> None:
    """Add `staf weights` and what it can do."""
    parser = commands.add_parser("weights", help="weights and networks that you bring")
    actions = parser.add_subparsers(dest="action", required=True, metavar="ACTION")
    add = command(actions, "add", _add, "take checkpoints, or an appearance network, in")
    files = "checkpoints, the folder RUN/weights, or one FILE.onnx that tells people apart"
    add.add_argument("files", nargs="+", type=Path, metavar="FILE", help=files)
    add.add_argument("--name", help="what to call them (default staf; a network's: its file's)")
    command(actions, "list", _list, "the weights at hand, and what they can do")
    use = command(actions, "use", _use, "choose what videos are run through")
    use.add_argument("name", nargs="?", metavar="NAME", help="without it: as if never chosen")
    remove = command(actions, "remove", _remove, "delete weights that were added")
    remove.add_argument("name", metavar="NAME")


def _add(options: argparse.Namespace, reporter: Reporter) -> int:
    first = options.files[0]
    if len(options.files) == 1 and first.suffix.lower() == ".onnx":
        from staf_backend.weights.appearance_commands import take_appearance

        return take_appearance(first, options.name, reporter)
    from staf_backend.weights.commands import take_weights

    return take_weights(options.files, options.name or "staf", reporter)


def _list(_options: argparse.Namespace, reporter: Reporter) -> int:
    from staf_backend.weights import list_weights

    return list_weights(reporter)


def _use(options: argparse.Namespace, reporter: Reporter) -> int:
    from staf_backend.weights import choose_weights

    return choose_weights(options.name, reporter)


def _remove(options: argparse.Namespace, reporter: Reporter) -> int:
    from staf_backend.weights import drop_weights

    return drop_weights(options.name, reporter)
