# SPDX-License-Identifier: GPL-3.0-or-later
"""A live link: constraints make a rig follow a character, until it is unlinked or retargeted.

bone of the character ─► empty that hangs on it, turned as the rig's bone should be
rig ─► base, an empty that turns and scales the character's world into the rig's
bone of the rig ─► Copy Rotation (the hips: Copy Location too) of its empty, seen from the base
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

import bpy
import numpy as np
from mathutils import Matrix

from ..scene.armature import bone_by_joint
from ..scene.transaction import all_or_nothing, focus
from .fitting import Fit, fit_rig
from .joints import canonical
from .map_file import BoneMap
from .onto import set_switches
from .performance import Performance
from .probe import probe, unposed
from .rig import check_free, read_shape

LINK = "STAF Link"
"""Name of the constraints."""


def link(
    context: bpy.types.Context,
    rig: bpy.types.Object,
    source: bpy.types.Object,
    bone_map: BoneMap,
    performance: Performance,
) -> None:
    """Make a rig follow a character.  On an error nothing has changed.

    Args:
        context: Blender's.
        rig: `check_rig` let it pass; a link that it has already is replaced.
        source: the character.
        bone_map: of the rig.
        performance: any movement of the character: its body is what counts.

    Raises:
        UserError: the reason, for the user.
    """
    bone_map.check_fits(rig.data.bones.keys(), rig.name)
    check_free(rig, bone_map, "pelvis")
    shape = read_shape(rig)
    fit = fit_rig(shape, bone_map, performance)
    with released(rig), unposed(rig, list(fit.bones), bone_map.switches):
        probe(rig, shape, list(fit.bones), None, bone_map.bones["Pelvis"])  # refuses held bones
    active, selected = context.view_layer.objects.active, list(context.selected_objects)
    with all_or_nothing(context):
        base = _base(context, rig, fit)
        for place in range(len(fit.bones)):
            empty = _empty(context, source, performance, fit, place)
            empty[LINK] = rig.name
            _constrain(rig, base, empty, fit, place)
        set_switches(rig, bone_map)
        focus(context, active, selected)
    context.view_layer.update()


def unlink(rig: bpy.types.Object) -> bool:
    """Take a link away; whether there was one."""
    empties = set()
    for bone in rig.pose.bones:
        for constraint in _links(bone):
            empties |= {constraint.target, constraint.space_object}
            bone.constraints.remove(constraint)
    for empty in empties - {None}:
        bpy.data.objects.remove(empty)
    return bool(empties)


@contextlib.contextmanager
def released(rig: bpy.types.Object) -> Iterator[None]:
    """The rig without its link, which is taken away for good unless there is an error inside."""
    held = [one for bone in rig.pose.bones for one in _links(bone) if not one.mute]
    for constraint in held:
        constraint.mute = True
    try:
        yield
    except BaseException:
        for constraint in held:
            constraint.mute = False
        raise
    unlink(rig)


def is_linked(rig: bpy.types.Object) -> bool:
    """Whether a rig follows a character."""
    return any(_links(bone) for bone in rig.pose.bones)


def _links(bone: bpy.types.PoseBone) -> list[bpy.types.Constraint]:
    return [one for one in bone.constraints if one.name.startswith(LINK)]


def _base(context: bpy.types.Context, rig: bpy.types.Object, fit: Fit) -> bpy.types.Object:
    """The rig's own world: the character's, turned to the rig's front, scaled, soles on soles."""
    base = _new_empty(context, f"{rig.name} base")
    up = fit.facing.T @ [0.0, 0.0, fit.ankles + fit.ground - fit.scale * fit.ankles_m]
    matrix = Matrix((fit.scale * fit.facing.T).tolist()).to_4x4()
    matrix.translation = up
    base.parent = rig
    base.matrix_basis = matrix
    base[LINK] = rig.name
    return base


def _empty(
    context: bpy.types.Context,
    source: bpy.types.Object,
    performance: Performance,
    fit: Fit,
    place: int,
) -> bpy.types.Object:
    joint = fit.joints[place]
    bones = {canonical(name): bone for name, bone in bone_by_joint(source).items()}
    rest = Matrix((fit.aligned[place] @ fit.axes[place]).tolist()).to_4x4()
    rest.translation = performance.rest_m[performance.place(joint)]
    if joint == "Pelvis":
        hips = [performance.rest_m[performance.place(f"{side}_Hip")] for side in "LR"]
        arm = fit.middle() - fit.heads[place]
        rest.translation = np.mean(hips, axis=0) - arm / fit.scale
    bone = source.data.bones[bones[joint]]
    empty = _new_empty(context, f"{fit.bones[place]} follows {bone.name}")
    empty.parent, empty.parent_type, empty.parent_bone = source, "BONE", bone.name
    end = bone.matrix_local @ Matrix.Translation((0, bone.length, 0))
    empty.matrix_basis = end.inverted() @ rest
    return empty


def _constrain(
    rig: bpy.types.Object, base: bpy.types.Object, empty: bpy.types.Object, fit: Fit, place: int
) -> None:
    kinds = ["COPY_ROTATION"]
    if fit.joints[place] == "Pelvis":
        kinds.append("COPY_LOCATION")
    for kind in kinds:
        constraint = rig.pose.bones[fit.bones[place]].constraints.new(kind)
        constraint.name = LINK
        constraint.target, constraint.space_object = empty, base
        constraint.target_space, constraint.owner_space = "WORLD", "CUSTOM"


def _new_empty(context: bpy.types.Context, name: str) -> bpy.types.Object:
    empty = bpy.data.objects.new(name, None)
    empty.empty_display_size = 0.05
    empty.hide_render = empty.hide_select = True
    context.scene.collection.objects.link(empty)
    empty.hide_set(True)
    return empty
