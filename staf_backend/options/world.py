"""The words of `staf convert` and `staf batch` about the camera and where the motion stands, and
those of `staf contacts`."""

import argparse
from pathlib import Path
from typing import Any

from staf_backend.choices import CAMERAS, FEET, LENSES
from staf_backend.options.command import Command
from staf_backend.reporting import Reporter


def add_world_options(parser: argparse.ArgumentParser) -> None:
    """The lens, as `pipeline.Settings` has it, and the fields of `world.settings.WorldSettings`."""
    add = parser.add_argument
    add("--focal-px", type=float, help="focal length in pixels, where known")
    add("--lens", choices=LENSES, help="kind of lens, where the length is not known")
    add(
        "--camera", choices=CAMERAS, default="auto", help="how it behaved (default auto: found out)"
    )
    add(
        "--level",
        default="auto",
        metavar="auto|off|PITCH,ROLL",
        help="which way is up: found, as the camera, or its tilt in degrees (default auto)",
    )
    add(
        "--grounding",
        type=float,
        default=1.0,
        metavar="SHARE",
        help="0: as estimated, 1: standing on the floor (default 1)",
    )
    add("--feet", choices=FEET, default="auto", help="which feet are held in place (default auto)")


def add_known_files(parser: argparse.ArgumentParser) -> None:
    """What the user corrected of one video."""
    add = parser.add_argument
    add("--tracks", type=Path, metavar="FILE.json", help="who is where, see: staf tracks")
    add("--contacts", type=Path, metavar="FILE.json", help="when feet stand, see: staf contacts")


def add_contacts(commands: Any, command: Command) -> None:
    """Add `staf contacts`."""
    text = "write when feet stand in motion files, to correct it"
    parser = command(commands, "contacts", _contacts, text)
    parser.add_argument("motions", nargs="+", type=Path, metavar="MOTION.npz", help="of one clip")
    parser.add_argument("-o", "--output", type=Path, required=True, metavar="FILE.json")


def _contacts(options: argparse.Namespace, reporter: Reporter) -> int:
    from staf_backend.motion import load_motion
    from staf_backend.world import write_contacts

    motions = [load_motion(path) for path in options.motions]
    write_contacts(options.output, motions)
    text = f"{options.output}: change it, and use it with staf convert --contacts"
    reporter.result(text, {"files": [str(options.output.resolve())]})
    return 0
