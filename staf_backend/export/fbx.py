"""Motions to FBX, written by Blender, whose exporter is the open one that other programs read well.

motions ─► motion files ─► the add-on in Blender (or Python with bpy) ─► .fbx

Takes are stacks, each from 0 s on, with a key on each whole frame of the usual rate nearest to the
clip's.
"""

import dataclasses
import io
import os
import tempfile
from collections.abc import Sequence
from functools import cache
from pathlib import Path

from staf_backend.blender.error import BlenderError
from staf_backend.blender.headless import Program, find_program, run_inside
from staf_backend.choices import BoneScheme, Look, RootMotion
from staf_backend.files import replace_atomically
from staf_backend.motion import Motion, save_motion

_SCRIPT = "staf_fbx.py"
"""Of the add-on, for inside Blender."""


@cache
def program_for_fbx(given: Path | None) -> Program:
    """What writes FBX here: the Blender (or Python with bpy) given, else one that is found.

    Raises:
        BlenderError: there is none.
    """
    try:
        return find_program(given)
    except BlenderError as error:
        if given is not None:
            raise
        advice = "Install Blender 4.2 or newer, name one with --blender PATH, or: pip install bpy"
        raise BlenderError(f"Writing .fbx needs Blender: {error.message}", advice) from error


def write_fbx(
    path: str | os.PathLike[str],
    motions: Sequence[Motion],
    *,
    bone_names: BoneScheme = "smpl",
    root_motion: RootMotion = "root",
    mesh: bool = True,
    look: Look = "textured",
    blender: Path | None = None,
) -> None:
    """Write motions as one .fbx, whole or not at all.

    Args:
        path: the file.
        motions, bone_names, root_motion, mesh, look: see `gltf.write_glb`.
        blender: a Blender, or a Python that has bpy; None: one that is found.

    Raises:
        BlenderError: there is no Blender.
        BlendError: Blender refuses.
        OutputError: the file cannot be written.
    """
    program = program_for_fbx(blender)
    start_s = min(float(motion.times_s[0]) for motion in motions)
    with replace_atomically(path) as temporary, tempfile.TemporaryDirectory() as folder:
        files = [Path(folder) / f"{number}.npz" for number in range(len(motions))]
        for file, motion in zip(files, motions, strict=True):
            # contacts would be of another clock, and no FBX has them
            from_zero = motion.times_s - start_s
            save_motion(file, dataclasses.replace(motion, times_s=from_zero, contacts=()))
        order = {
            "motions": [str(file) for file in files],
            "bone_names": bone_names,
            "root_motion": root_motion,
            "mesh": mesh,
            "look": look.upper(),
            "output": str(temporary.resolve()),
        }
        run_inside(program, _SCRIPT, Path(folder), order, io.StringIO())
