"""The plan that the options of `staf batch` make."""

import argparse
from math import isfinite

from staf_backend import StafError
from staf_backend.batch.blend import Blending, check_rig
from staf_backend.batch.clips import PATTERNS
from staf_backend.batch.recipe import EXTRA_FILES, Recipe
from staf_backend.batch.rig import find_rig
from staf_backend.batch.run import Plan
from staf_backend.batch.schedule import Limits
from staf_backend.batch.store import Store
from staf_backend.blender.headless import find_program
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


def plan_of(options: argparse.Namespace, settings: Settings) -> Plan:
    """The plan that the options make.

    Raises:
        BatchUsageError: a number that means nothing, or words that do not go together.
        BlenderError: there is no Blender.
        BlendError, RigError: the rig cannot wear motions.
    """
    for name, least in (("workers", 1), ("depth", 0), ("max_seconds", 0), ("max_memory", 0)):
        _check(name, getattr(options, name), least)
    _check("ray_gpus", options.ray_gpus, 0)
    together = options.one_glb_per_person
    if together and options.store:
        raise BatchUsageError("--one-glb-per-person needs the motion files here, without --store.")
    outputs = {
        "bone_names": options.bone_names,
        "root_motion": options.root_motion,
        "mesh": not options.no_mesh,
        "look": options.look,
        "together": options.together,
    }
    wanted = [*(["motion"] if together else []), *(n for n in EXTRA_FILES if getattr(options, n))]
    blending = _blending(options)
    memory = None if options.max_memory is None else int(options.max_memory * 1e9)
    key = blending.key() if blending else None
    return Plan(
        given=options.given,
        out=options.out,
        recipe=Recipe.of(settings, outputs, tuple(dict.fromkeys(wanted)), key),
        patterns=tuple(options.pattern or PATTERNS),
        depth=options.depth,
        workers=options.workers,
        limits=Limits(options.max_seconds, memory),
        force=options.force,
        ray=options.ray,
        gpus=options.ray_gpus,
        store=Store(options.store) if options.store else None,
        blending=blending,
        profile=options.profile,
        one_glb_per_person=together,
    )


def _blending(options: argparse.Namespace) -> Blending | None:
    """What Blender makes of each clip, once the rig is known to wear motions."""
    if not (options.blend or options.onto):
        if options.blender:
            advice = "Add one of them, or leave it out."
            raise BatchUsageError("--blender is for --blend and --onto.", advice)
        if options.rig or options.bone_map:
            raise BatchUsageError("--rig and --bone-map are for --onto.", "Add --onto RIG.blend.")
        return None
    rig = find_rig(options.onto, options.rig, options.bone_map) if options.onto else None
    program = find_program(options.blender)
    if rig is not None:
        check_rig(program, rig)
    return Blending(program, options.blend, rig)


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
