"""The command `staf`: arguments, progress, exit codes.

Exit codes: 0 done; 1 an error of the program; 2 wrong use; 3 the video cannot be read; 4 nobody was
found in it; 5 a result cannot be written; 6 weights or networks are missing or damaged; 7 the body
file is wrong; 8 the motion or the contacts file is wrong; 9 Blender is not there or refuses; 10
the tracks file is wrong; 130 interrupted; 143 terminated.
"""

import argparse
import dataclasses
import logging
import os
import re
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

from staf_backend import StafError, __version__
from staf_backend.choices import BONE_SCHEMES, GENDERS, LOOKS, ROOT_MOTIONS
from staf_backend.options import (
    add_batch_options,
    add_blender,
    add_contacts,
    add_file_options,
    add_known_files,
    add_pose_options,
    add_weights,
    add_world_options,
)
from staf_backend.reporting import JsonLines, Reporter, Terminal
from staf_backend.runtime import Terminated, is_isolated, listen_for_ends, run_isolated

if TYPE_CHECKING:
    from staf_backend.pipeline import Settings

_log = logging.getLogger(__name__)


class UsageError(StafError):
    """The command's words are off."""

    kind = "usage"
    exit_code = 2


class Interrupted(StafError):
    """Ctrl-C."""

    kind = "interrupted"
    exit_code = 130


class Stopped(Interrupted):
    """SIGTERM, as an error to report."""

    exit_code = 143


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; returns its exit code."""
    # sums in another order give other last digits, and the same input must give the same bytes;
    # matrices here are too small to gain from threads
    os.environ["OPENBLAS_NUM_THREADS"] = "1"
    words = sys.argv[1:] if arguments is None else list(arguments)
    try:
        _refuse_empty(words)
        options = _parser().parse_args(words)
    except UsageError as error:
        _reporter_before_parsing(words).error(error)
        return error.exit_code
    level = (logging.WARNING, logging.INFO, logging.DEBUG)[min(options.verbose, 2)]
    logging.basicConfig(level=level, format="%(name)s: %(message)s", stream=sys.stderr)
    as_json = getattr(options, "progress", "bar") == "json"
    if getattr(options, "isolate", False) and not is_isolated():
        told = JsonLines(options.command, begun=True) if as_json else Terminal(options.quiet)
        return run_isolated(words, told.error)
    reporter = JsonLines(options.command) if as_json else Terminal(options.quiet)
    end_asked = options.end_asked = listen_for_ends()
    try:
        return options.run(options, reporter)
    except StafError as error:
        _log.debug("in full:", exc_info=True)
        reporter.error(error)
        return error.exit_code
    except (KeyboardInterrupt, Terminated) as end:
        return _ended(end, reporter)
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except Exception as error:
        end = end_asked()
        if end is not None:  # behind the error: modules that are being loaded make one of it
            return _ended(end, reporter)
        _log.exception("unexpected")
        advice = "This is a fault of the program; please report it with the text above."
        reporter.error(StafError(f"{type(error).__name__}: {error}", advice))
        return StafError.exit_code


def _ended(end: BaseException, reporter: Reporter) -> int:
    """Tell that a signal ended the command; its exit code."""
    kind, word = (
        (Stopped, "terminated") if isinstance(end, Terminated) else (Interrupted, "interrupted")
    )
    reporter.error(kind(f"{word}; nothing half-written is left."))
    return kind.exit_code


def _refuse_empty(words: Sequence[str]) -> None:
    """An empty path would be the folder where one stands: files would be strewn there."""
    if any(not word or re.fullmatch("--[a-z-]+=", word) for word in words):
        raise UsageError("A word of the command is empty.", "Is a variable of the shell not set?")


def _reporter_before_parsing(words: Sequence[str]) -> Reporter:
    """Programs learn of wrong use in their own language, even when the words do not parse."""
    pairs = list(zip(words, [*words[1:], ""]))
    as_json = ("--progress", "json") in pairs or "--progress=json" in words
    return JsonLines(words[0]) if as_json else Terminal()


class _Parser(argparse.ArgumentParser):
    """Errors are raised, not printed."""

    def error(self, message: str) -> NoReturn:
        raise UsageError(f"{message[:1].upper()}{message[1:]}.", f"See: {self.prog} --help")


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(
        prog="staf", description="Turn video of people into animated SMPL-style characters."
    )
    parser.add_argument("--version", action="version", version=f"staf {__version__}")
    parser.add_argument("-v", "--verbose", action="count", default=0, help="more log lines")
    parser.add_argument("-q", "--quiet", action="store_true", help="no progress bar")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    _add_convert(commands)
    _add_batch(commands)
    for add in (_add_people, _add_tracks, _add_info, _add_doctor, _add_body):
        add(commands)
    add_weights(commands, _command)
    add_blender(commands, _command)
    add_contacts(commands, _command)
    return parser


def _command(
    commands: Any, name: str, run: Callable[[argparse.Namespace, Reporter], int], text: str
) -> argparse.ArgumentParser:
    parser = commands.add_parser(name, help=text, description=text[0].upper() + text[1:] + ".")
    parser.set_defaults(run=run)
    parser.add_argument(
        "--progress", choices=("bar", "json"), default="bar", help="json: one JSON object a line"
    )
    return parser


def _add_clip_options(parser: argparse.ArgumentParser, threads: bool = True) -> None:
    parser.add_argument(
        "--start", dest="start_s", type=float, metavar="S", help="first second of the clip"
    )
    parser.add_argument(
        "--end", dest="end_s", type=float, metavar="S", help="last second of the clip"
    )
    parser.add_argument(
        "--fps", type=float, default=30.0, help="rate of a folder of pictures (default 30)"
    )
    parser.add_argument("--device", default="auto", help="auto, cpu, cuda, ... for the networks")
    if threads:
        parser.add_argument(
            "--threads", type=int, help="most cores that a clip takes (default: all)"
        )


def _add_convert(commands: Any) -> None:
    parser = _command(commands, "convert", _convert, "video to animated characters")
    parser.add_argument("videos", nargs="+", type=Path, metavar="VIDEO", help="file or folder")
    parser.add_argument(
        "-o",
        "--output",
        required=True,
        metavar="FILE",
        help=".glb, .npz (motion file), .html (page), .bvh, .fbx, .usd, .usda, .usdc or .vrma; or "
        "a folder for .glb files",
    )
    _add_clip_options(parser)
    _add_conversion_options(parser)
    add_known_files(parser)
    add_file_options(parser)
    parser.add_argument(
        "--isolate", action="store_true", help="in a process of its own, whose crash is told"
    )


def _add_batch(commands: Any) -> None:
    parser = _command(commands, "batch", _batch, "folders of videos, each clip exactly once")
    add_batch_options(parser)
    _add_clip_options(parser, threads=False)
    _add_conversion_options(parser)


def _add_conversion_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--person", default="all", help="all, largest, or numbers: 1,3 (default all)"
    )
    parser.add_argument(
        "--largest", dest="person", action="store_const", const="largest", help="the main person"
    )
    add_pose_options(parser)
    add_world_options(parser)
    parser.add_argument(
        "--bone-names", choices=BONE_SCHEMES, default="smpl", help="of the character (default smpl)"
    )
    parser.add_argument(
        "--root-motion",
        choices=ROOT_MOTIONS,
        default="root",
        help="which bone carries the travel (default root)",
    )
    parser.add_argument(
        "--look", choices=LOOKS, default="textured", help="of the skin (default textured)"
    )
    parser.add_argument("--no-mesh", action="store_true", help="skeleton with a thin proxy mesh")
    parser.add_argument("--together", action="store_true", help="all people in one file")


def _add_people(commands: Any) -> None:
    parser = _command(commands, "people", _people, "list who is in a video, to choose from")
    parser.add_argument("video", type=Path)
    _add_clip_options(parser)
    parser.add_argument("--thumbnails", type=Path, metavar="DIR", help="write a picture of each")


def _add_tracks(commands: Any) -> None:
    parser = _command(commands, "tracks", _tracks, "write who is where in a video, to correct it")
    parser.add_argument("video", type=Path)
    parser.add_argument("-o", "--output", type=Path, required=True, metavar="FILE.json")
    _add_clip_options(parser)


def _add_info(commands: Any) -> None:
    parser = _command(commands, "info", _info, "what a video is")
    parser.add_argument("video", type=Path, nargs="?")
    parser.add_argument("--network", action="store_true", help="size and cost of STAF instead")
    parser.add_argument("--fps", type=float, default=30.0, help="rate of a folder of pictures")


def _add_doctor(commands: Any) -> None:
    _command(commands, "doctor", _doctor, "what is installed, and what is missing")


def _add_body(commands: Any) -> None:
    parser = commands.add_parser("body", help="the bodies that can be animated")
    actions = parser.add_subparsers(dest="action", required=True, metavar="ACTION")
    add = _command(actions, "add", _body_add, "remember your SMPL, SMPL-H or SMPL-X file")
    add.add_argument("file", type=Path)
    add.add_argument("--gender", choices=GENDERS, help="where the file's name does not tell")
    _command(actions, "list", _body_list, "the bodies at hand")
    export = _command(actions, "export", _body_export, "write a body as plain arrays")
    export.add_argument("name")
    export.add_argument("-o", "--output", type=Path, required=True, metavar="FILE.npz")


def _settings(options: argparse.Namespace) -> "Settings":
    """The options that are settings, each under its setting's name."""
    from staf_backend.pipeline import Settings
    from staf_backend.world import WorldSettings

    world = WorldSettings(**_of(WorldSettings, options))
    return Settings(**_of(Settings, options), world=world)


def _of(kind: Any, options: argparse.Namespace) -> dict[str, Any]:
    """The options that are fields of a dataclass."""
    names = {field.name for field in dataclasses.fields(kind)}
    return {name: value for name, value in vars(options).items() if name in names}


def _convert(options: argparse.Namespace, reporter: Reporter) -> int:
    from staf_backend.commands import convert
    from staf_backend.export.deliver import Outputs, is_folder
    from staf_backend.files import make_folder

    end = options.end_asked()
    if end is not None:  # a module that was being loaded took it for an error of its own
        raise end
    several = len(options.videos) > 1
    for word in ("tracks", "contacts"):
        if several and getattr(options, word):
            raise UsageError(f"A {word} file is of one video; give one video with --{word}.")
    names = ("output", "motion", "amass", "overlay", "report")
    paths = {name: getattr(options, name) for name in names}
    for name, path in paths.items():
        if several and path and not is_folder(path):
            raise UsageError(f"With several videos, --{name} must be a folder, not {path}.")
        if path and is_folder(path):
            make_folder(path)
    more = {name: Path(path) if path else None for name, path in paths.items() if name != "output"}
    outputs = Outputs(
        Path(options.output),
        **more,
        overlay_view=options.overlay_view,
        bone_names=options.bone_names,
        root_motion=options.root_motion,
        mesh=not options.no_mesh,
        look=options.look,
        together=options.together,
        bvh_unit=options.bvh_unit,
        blender=options.blender,
    )
    return convert(options.videos, _settings(options), outputs, reporter)


def _batch(options: argparse.Namespace, reporter: Reporter) -> int:
    from staf_backend.batch.plan_of import plan_of
    from staf_backend.batch.run import run_batch

    return run_batch(plan_of(options, _settings(options)), reporter)


def _people(options: argparse.Namespace, reporter: Reporter) -> int:
    from staf_backend.commands import list_people

    return list_people(options.video, _settings(options), options.thumbnails, reporter)


def _tracks(options: argparse.Namespace, reporter: Reporter) -> int:
    from staf_backend.commands import write_people

    return write_people(options.video, _settings(options), options.output, reporter)


def _info(options: argparse.Namespace, reporter: Reporter) -> int:
    if options.network:
        from staf_backend.weights.commands import describe_network

        return describe_network(reporter)
    if options.video is None:
        raise UsageError("Name a video, or use --network.")
    from staf_backend.commands import describe_video

    return describe_video(options.video, options.fps, reporter)


def _doctor(_options: argparse.Namespace, reporter: Reporter) -> int:
    from staf_backend.doctor import examine

    return examine(reporter)


def _body_add(options: argparse.Namespace, reporter: Reporter) -> int:
    from staf_backend.commands import remember_body

    return remember_body(options.file, options.gender, reporter)


def _body_list(_options: argparse.Namespace, reporter: Reporter) -> int:
    from staf_backend.commands import list_bodies

    return list_bodies(reporter)


def _body_export(options: argparse.Namespace, reporter: Reporter) -> int:
    from staf_backend.commands import export_body

    return export_body(options.name, options.output, reporter)
