"""The words of `staf blender`."""

import argparse
from pathlib import Path
from typing import Any

from staf_backend.options.command import Command
from staf_backend.reporting import Reporter


def add_blender(commands: Any, command: Command) -> None:
    """Add `staf blender` and what it can do."""
    parser = commands.add_parser("blender", help="the add-on, into Blender")
    actions = parser.add_subparsers(dest="action", required=True, metavar="ACTION")
    install = command(actions, "install", _install, "install the add-on and point it at this")
    pack = command(actions, "zip", _zip, "write the zip for Blender's Install from Disk")
    pack.add_argument("output", type=Path, nargs="?", default=Path(), help="file or folder")
    repository = command(actions, "repository", _repository, "a folder that Blender updates from")
    repository.add_argument("folder", type=Path)
    repository.add_argument(
        "--wheel", type=Path, metavar="FILE", help="of staf-backend, for Set Up Backend"
    )
    listing = command(actions, "list", _list, "the Blenders on this computer")
    for one in (install, repository, listing):
        one.add_argument(
            "--blender", type=Path, metavar="PATH", help="this one (default: all that are found)"
        )


def _install(options: argparse.Namespace, reporter: Reporter) -> int:
    from staf_backend.blender.commands import install

    return install(options.blender, reporter)


def _zip(options: argparse.Namespace, reporter: Reporter) -> int:
    from staf_backend.blender.commands import write_extension

    return write_extension(options.output, reporter)


def _repository(options: argparse.Namespace, reporter: Reporter) -> int:
    from staf_backend.blender.commands import make_repository

    return make_repository(options.folder, options.wheel, options.blender, reporter)


def _list(options: argparse.Namespace, reporter: Reporter) -> int:
    from staf_backend.blender.commands import list_blenders

    return list_blenders(options.blender, reporter)
