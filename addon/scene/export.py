# SPDX-License-Identifier: GPL-3.0-or-later
"""Characters to GLB, FBX and BVH through Blender's own exporters, with the settings that work.

An exporter writes what the scene shows; `staging` arranges the scene for the time of an export.
"""

from __future__ import annotations

import contextlib
import re
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import bpy
import numpy as np
from mathutils import Matrix

from ..user_error import UserError
from . import keyframes
from .glb import put_skins_at_the_root
from .staging import ExportOptions, Plan, staged
from .takes import takes_of
from .transaction import focus

FORMATS = (".glb", ".fbx", ".bvh")


class ExportError(UserError):
    """Nothing to export, or the file cannot be written."""


def export_clips(
    context: bpy.types.Context, rigs: list[bpy.types.Object], path: Path, options: ExportOptions
) -> list[str]:
    """Write characters to one file, whole or not at all.

    Returns:
        names of the animations in the file.

    Raises:
        ExportError: nothing to export, an unknown ending, or a place that cannot be written to.
    """
    _check_place(path)
    plans = [(rig, _takes(rig, options)) for rig in rigs]
    if not plans or not any(takes for _, takes in plans):
        raise ExportError("there is no animated character to export.", "Select a character.")
    if path.suffix.lower() == ".bvh" and (len(plans) > 1 or len(plans[0][1]) > 1):
        raise ExportError("a BVH file holds one take of one character.", "Export them singly.")
    temporary = path.with_name(f".{path.stem}-{uuid.uuid4().hex[:8]}{path.suffix}")
    try:
        with staged(context, plans, options) as shown:
            _write(context, path.suffix.lower(), temporary, shown)
        _replace(temporary, path)
    except RuntimeError as error:
        raise _of_exporter(path, str(error)) from None
    finally:
        with contextlib.suppress(OSError):
            temporary.unlink()
    return sorted({take.name for _, takes in plans for take in takes})


def _of_exporter(path: Path, told: str) -> ExportError:
    """What Blender's exporter says of its failure: its own words, where they came through whole.

    Those of a fault of its are a traceback that Blender may have cut, and the place of the call.
    """
    lines = [line for line in told.splitlines() if not line.startswith("Location:")]
    named = [line for line in lines if re.match(r"\w+(Error|Exception): ", line)]
    if "Traceback" in told and (not named or lines[-1].endswith("... truncated")):
        reason, advice = "Blender's exporter failed.", "Show Log has its words."
    else:
        reason, advice = (named or lines or [""])[-1].removeprefix("Error: "), ""
    message = f"{path.name} cannot be written: {reason}"
    return ExportError(message, advice, log=told)


def _takes(rig: bpy.types.Object, options: ExportOptions) -> list[bpy.types.Action]:
    data = rig.animation_data
    playing = data.action if data else None
    stripped = [s.action for t in data.nla_tracks for s in t.strips if s.action] if data else []
    if not options.all_takes:
        return [playing] if playing else stripped[:1]
    return list(dict.fromkeys([*([playing] if playing else []), *stripped, *takes_of(rig)]))


def _check_place(path: Path) -> None:
    if path.suffix.lower() not in FORMATS:
        raise ExportError(f"{path.name} must end in {', '.join(FORMATS)}.")
    if not path.parent.is_dir():
        raise ExportError(f"the folder {path.parent} does not exist.", "Create it first.")
    if path.is_dir():
        raise ExportError(f"{path} is a folder.", "Give the name of a file.")
    probe = path.with_name(f".{uuid.uuid4().hex}")
    try:
        probe.touch(exist_ok=False)
        probe.unlink()
    except OSError as error:
        reason = error.strerror or str(error)
        raise ExportError(f"{path.parent} cannot be written to: {reason}.") from None


def _replace(temporary: Path, path: Path) -> None:
    if not temporary.is_file():
        raise ExportError(f"{path.name} was not written.", "See Blender's console for the reason.")
    try:
        temporary.replace(path)
    except OSError as error:
        reason = error.strerror or str(error)
        advice = "Close the program that has it open, or choose another name."
        raise ExportError(f"{path.name} cannot be replaced: {reason}.", advice) from None


def _write(context: bpy.types.Context, suffix: str, path: Path, plans: list[Plan]) -> None:
    write = {".glb": _write_glb, ".fbx": _write_fbx, ".bvh": _write_bvh}[suffix]
    write(context, path, plans)


def _write_glb(_context: bpy.types.Context, path: Path, plans: list[Plan]) -> None:
    # without its object a character would lose the place where the animator put it
    unmoved = all(np.allclose(rig.matrix_world, np.eye(4), atol=1e-7) for rig, _ in plans)
    wanted = {
        "export_format": "GLB",
        "use_selection": True,
        "export_yup": True,
        "export_apply": False,
        "export_skins": True,
        "export_morph": False,
        "export_animations": True,
        "export_animation_mode": "ACTIONS",
        "export_merge_animation": "ACTION",
        "export_nla_strips": True,
        "export_force_sampling": True,
        "export_frame_step": 1,
        "export_anim_slide_to_zero": True,
        "export_reset_pose_bones": True,
        "export_rest_position_armature": True,
        "export_optimize_animation_size": True,
        "export_optimize_animation_keep_anim_armature": True,
        "export_armature_object_remove": unmoved,
        "export_anim_single_armature": False,
        "export_leaf_bone": False,
        "export_extras": False,
        "export_frame_range": False,
    }
    known = bpy.ops.export_scene.gltf.get_rna_type().properties.keys()
    words = {name: value for name, value in wanted.items() if name in known}
    bpy.ops.export_scene.gltf(filepath=str(path), **words)
    put_skins_at_the_root(path)


def _write_fbx(_context: bpy.types.Context, path: Path, plans: list[Plan]) -> None:
    """Blender's FBX exporter makes one stack of each strip that is not muted."""
    for rig, takes in plans:
        rig.animation_data_clear()
        for take in takes:
            keyframes.stash(rig, take)
    bpy.ops.export_scene.fbx(
        filepath=str(path),
        use_selection=True,
        object_types={"ARMATURE", "MESH"},
        add_leaf_bones=False,
        bake_anim=True,
        bake_anim_use_all_bones=True,
        bake_anim_use_nla_strips=True,
        bake_anim_use_all_actions=False,
        bake_anim_force_startend_keying=True,
        bake_anim_simplify_factor=0.0,
        armature_nodetype="NULL",
        mesh_smooth_type="OFF",
    )


def _write_bvh(context: bpy.types.Context, path: Path, plans: list[Plan]) -> None:
    rig, takes = plans[0]
    first, last = takes[0].frame_range
    focus(context, rig, [rig])
    with _placed(rig, takes[0]):
        bpy.ops.export_anim.bvh(
            filepath=str(path),
            global_scale=1.0,
            frame_start=int(np.floor(first)),
            frame_end=int(np.ceil(last)),
            rotate_mode="NATIVE",
            root_transform_only=False,
        )


@contextlib.contextmanager
def _placed(rig: bpy.types.Object, take: bpy.types.Action) -> Iterator[None]:
    """Move a twin's placing into bones of its own: a BVH file knows bones and no objects.

    Raises:
        ExportError: the object is stretched, which bones cannot be.
    """
    matrix = rig.matrix_world.copy()
    scales = matrix.to_scale()
    if max(scales) - min(scales) > 1e-4 * max(scales) or matrix.determinant() <= 0:
        advice = "Apply the scale of the object (Ctrl-A), or export .glb."
        raise ExportError(f"{rig.name} is stretched or mirrored as a whole.", advice)
    shared, moved, scaled = rig.data, rig.data.copy(), take.copy()
    try:
        moved.transform(matrix)
        rig.data, rig.parent, rig.matrix_world = moved, None, Matrix()
        rig.constraints.clear()
        keyframes.assign(rig, scaled)
        for curve in keyframes.curves(scaled, rig):
            if curve.data_path.endswith(".location"):
                _multiply(curve, scales[0])
        yield
    finally:
        keyframes.assign(rig, take)
        rig.data = shared
        bpy.data.armatures.remove(moved)
        bpy.data.actions.remove(scaled)


def _multiply(curve: Any, factor: float) -> None:
    """Make the values of a curve so many times as large, handles too."""
    for key in curve.keyframe_points:
        for point in (key.co, key.handle_left, key.handle_right):
            point[1] *= factor
    curve.update()
