"""The words of `staf batch`: what they are, and the plan that they make."""

import argparse
from math import isfinite
from pathlib import Path
from typing import TYPE_CHECKING

from staf_backend import StafError

if TYPE_CHECKING:
    from staf_backend.batch.run import Plan
    from staf_backend.pipeline import Settings


class BatchUsageError(StafError):
    """An option of a batch that means nothing."""

    kind = "usage"
    exit_code = 2


def add_words(parser: argparse.ArgumentParser) -> None:
    """What to take, where to, how much at once."""
    add = parser.add_argument
    add("given", nargs="+", type=Path, metavar="PATH", help="folders, videos, or LIST.txt")
    add("--out", type=Path, required=True, metavar="DIR", help="folder for all results")
    add("--pattern", action="append", metavar="GLOB", help="names in folders, as *.mp4; repeatable")
    add("--depth", type=int, metavar="N", help="how deep to go into folders (default: all the way)")
    add("--workers", type=int, metavar="N", help="clips at a time (default: one a core)")
    add("--max-seconds", type=float, metavar="S", help="the longest that a clip may take")
    add("--max-memory", type=float, metavar="GB", help="the most memory that a clip may take")
    add("--force", action="store_true", help="do again what is done")
    add("--ray", metavar="ADDRESS", help="run on a Ray cluster; auto: the one on this computer")
    add("--ray-gpus", type=float, default=0.0, metavar="SHARE", help="of a GPU for each worker")
    add("--motion", action="store_true", help="motion files, too")
    add("--amass", action="store_true", help="AMASS-style arrays, too")
    add("--overlay", action="store_true", help="the bodies over the footage, too")


def plan_of(options: argparse.Namespace, settings: "Settings") -> "Plan":
    """The plan that the options make.

    Raises:
        BatchUsageError: a number that means nothing.
    """
    from staf_backend.batch.clips import PATTERNS
    from staf_backend.batch.recipe import EXTRA_FILES, Recipe
    from staf_backend.batch.run import Plan
    from staf_backend.batch.slot import Limits

    for name, least in (("workers", 1), ("depth", 0), ("max_seconds", 0), ("max_memory", 0)):
        _check(name, getattr(options, name), least)
    _check("ray_gpus", options.ray_gpus, 0)
    outputs = {
        "bone_names": options.bone_names,
        "root_motion": options.root_motion,
        "mesh": not options.no_mesh,
        "together": options.together,
    }
    extras = tuple(name for name in EXTRA_FILES if getattr(options, name))
    memory = None if options.max_memory is None else int(options.max_memory * 1e9)
    return Plan(
        given=options.given,
        out=options.out,
        recipe=Recipe.of(settings, outputs, extras),
        patterns=tuple(options.pattern or PATTERNS),
        depth=options.depth,
        workers=options.workers,
        limits=Limits(options.max_seconds, memory),
        force=options.force,
        ray=options.ray,
        gpus=options.ray_gpus,
    )


def _check(name: str, value: float | None, least: float) -> None:
    positive = name.startswith("max_")
    if value is None or (isfinite(value) and value >= least and not (positive and value == 0)):
        return
    word = "--" + name.replace("_", "-")
    bound = "more than 0" if positive else f"{least} or more"
    raise BatchUsageError(f"{word} must be {bound}, not {value}.")
