"""The words of `staf batch`: what they are, and the plan that they make."""

import argparse
from math import isfinite
from pathlib import Path
from typing import TYPE_CHECKING

from staf_backend import StafError

if TYPE_CHECKING:
    from staf_backend.batch.run import Plan
    from staf_backend.pipeline import Settings

_MOST = {
    "workers": 10_000,
    "depth": 1_000,
    "max_seconds": 1e9,
    "max_memory": 1e6,
    "ray_gpus": 1_000,
}
"""Of each number.  Chosen: beyond any machine, and small enough to be computed with."""


class BatchUsageError(StafError):
    """An option of a batch that means nothing."""

    kind = "usage"
    exit_code = 2


def add_words(parser: argparse.ArgumentParser) -> None:
    """What to take, where to, how much at once."""
    add = parser.add_argument
    add("given", nargs="+", type=Path, metavar="PATH", help="folders, videos, or LIST.txt")
    add("--out", type=Path, required=True, metavar="DIR", help="folder for all results")
    add("--store", metavar="URL", help="put clips' files there instead: s3://BUCKET/FOLDER, ...")
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
    add("--report", action="store_true", help="a page for each clip to look at the motion in, too")
    add("--blend", action="store_true", help="a Blender file of each clip, too")
    add("--blender", type=Path, metavar="PATH", help="Blender, or a Python that has bpy")
    add("--one-glb-per-person", action="store_true", help="takes of a person in one file, too")
    add("--profile", action="store_true", help="tell in each clip's log where its time went")


def plan_of(options: argparse.Namespace, settings: "Settings") -> "Plan":
    """The plan that the options make.

    Raises:
        BatchUsageError: a number that means nothing, or words that do not go together.
        BlenderError: there is no Blender.
    """
    from staf_backend.batch.blend import find_program
    from staf_backend.batch.clips import PATTERNS
    from staf_backend.batch.recipe import EXTRA_FILES, Recipe
    from staf_backend.batch.run import Plan
    from staf_backend.batch.schedule import Limits
    from staf_backend.batch.store import Store

    for name, least in (("workers", 1), ("depth", 0), ("max_seconds", 0), ("max_memory", 0)):
        _check(name, getattr(options, name), least)
    _check("ray_gpus", options.ray_gpus, 0)
    together = options.one_glb_per_person
    if together and options.store:
        raise BatchUsageError("--one-glb-per-person needs the motion files here, without --store.")
    if options.blender and not options.blend:
        raise BatchUsageError("--blender is for --blend.", "Add --blend, or leave it out.")
    outputs = {
        "bone_names": options.bone_names,
        "root_motion": options.root_motion,
        "mesh": not options.no_mesh,
        "together": options.together,
    }
    wanted = [*(["motion"] if together else []), *(n for n in EXTRA_FILES if getattr(options, n))]
    blender = find_program(options.blender) if options.blend else None
    memory = None if options.max_memory is None else int(options.max_memory * 1e9)
    name = blender.name if blender else ""
    return Plan(
        given=options.given,
        out=options.out,
        recipe=Recipe.of(settings, outputs, tuple(dict.fromkeys(wanted)), name),
        patterns=tuple(options.pattern or PATTERNS),
        depth=options.depth,
        workers=options.workers,
        limits=Limits(options.max_seconds, memory),
        force=options.force,
        ray=options.ray,
        gpus=options.ray_gpus,
        store=Store(options.store) if options.store else None,
        blender=blender,
        profile=options.profile,
        one_glb_per_person=together,
    )


def _check(name: str, value: float | None, least: float) -> None:
    if value is None:
        return
    positive = name.startswith("max_")
    good = isfinite(value) and least <= value <= _MOST[name]
    if good and not (positive and value == 0):
        return
    word = "--" + name.replace("_", "-")
    bound = "more than 0" if positive else f"{least} or more"
    raise BatchUsageError(f"{word} must be {bound} and at most {_MOST[name]:g}, not {value:g}.")
