# SPDX-License-Identifier: GPL-3.0-or-later
"""Motion onto a rig of the user's own, and the map of its bones."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import bpy
from bpy.props import (
    BoolProperty,
    CollectionProperty,
    EnumProperty,
    IntProperty,
    PointerProperty,
    StringProperty,
)
from bpy_extras.io_utils import ExportHelper, ImportHelper

from .file_choice import ReadsFiles
from .reporting import Reporting
from .retarget import kept_maps
from .retarget.guess import guess_map
from .retarget.joints import JOINTS
from .retarget.live import link, released, unlink
from .retarget.map_file import BoneMap, Switch, read_map, write_map
from .retarget.onto import Retargeted, RetargetOptions, put_onto
from .retarget.rig import check_rig, read_shape
from .retarget.shape import RetargetError
from .retarget.sources import Take, of_action, of_file
from .scene.character import characters
from .scene.layers import refuse_shown
from .scene.motion_file import MotionClip, read_motion
from .scene.timing import FrameRate, rate_of, scene_rate
from .settings import ROOT_ITEMS, absolute
from .storage import bodies_folder, user_folder


class StafBone(bpy.types.PropertyGroup):
    """One line of a bone map."""

    name: StringProperty(name="Joint", description="The joint of the body")
    bone: StringProperty(name="Bone", description="The bone of the rig; empty: none")


class StafSwitch(bpy.types.PropertyGroup):
    """A property that a map sets, such as Rigify's IK_FK."""

    bone: StringProperty()
    key: StringProperty()
    value: bpy.props.FloatProperty()


class StafBoneMap(bpy.types.PropertyGroup):
    """`object.staf_bone_map`: the map as the panel shows it; saved with the .blend."""

    bones: CollectionProperty(type=StafBone)
    switches: CollectionProperty(type=StafSwitch)
    chosen: IntProperty()
    label: StringProperty(description="Where the map comes from")


class Retarget(Reporting, ReadsFiles, bpy.types.Operator):
    """Put motion on the active rig, as an action with the rig's own bone names"""

    bl_idname = "staf.retarget"
    bl_label = "Retarget to Selected Rig"
    bl_options = {"REGISTER", "UNDO"}

    filename_ext = ".npz"
    filter_glob: StringProperty(default="*.npz", options={"HIDDEN"})
    source: StringProperty(
        name="Source",
        description="The character whose action is taken; empty: motion files, or the only one",
        options={"SKIP_SAVE"},
    )
    action: StringProperty(
        name="Action", description="What the source plays; empty: as now", options={"SKIP_SAVE"}
    )
    bone_map: StringProperty(
        name="Bone Map",
        description="A map's file; empty: the list's, the kept one, or a guess",
        subtype="FILE_PATH",
        options={"SKIP_SAVE"},
    )
    root_motion: EnumProperty(name="Root Motion", items=ROOT_ITEMS)
    feet: BoolProperty(name="Keep Feet", description="Planted feet stay planted", default=True)
    twist: BoolProperty(name="Twist Bones", description="Spread twist over them", default=True)
    nla: BoolProperty(name="Push to NLA", description="An NLA track for each take")
    start_frame: IntProperty(name="First Frame", description="Frame of second 0", default=1)
    match_scene: BoolProperty(
        name="Match Scene",
        description="Take over a motion file's rate, and the range",
        default=True,
    )

    def perform(self, context: bpy.types.Context) -> Iterable[str]:
        rig = check_rig(context, context.view_layer.objects.active)
        bone_map = self.chosen_map(rig)
        options = RetargetOptions(self.root_motion, self.feet, self.twist, self.nla)
        scene = context.scene
        clips = self.clips()
        fps = _rate_for(scene, clips if self.match_scene else [])
        takes = self.takes(context, rig, clips, fps.rate)
        with released(rig):
            made = put_onto(context, rig, bone_map, takes, options)
        if clips and self.match_scene:
            scene.render.fps, scene.render.fps_base = fps.fps, fps.base
        if self.match_scene:
            _match_range(scene, made)
        names = ", ".join(action.name for action in made.actions)
        return [*made.notes, f"{rig.name} plays {names} (bones by {bone_map.label})"]

    def chosen_map(self, rig: bpy.types.Object) -> BoneMap:
        """The map of a file, of the list, that was kept, or that is guessed.

        Raises:
            UserError: it cannot be used.
        """
        path = absolute(self.bone_map)
        return read_map(path) if path else map_of(rig)

    def clips(self) -> list[MotionClip]:
        """The motion files that are named, read; none where a character is the source."""
        if self.source or not (self.filepath or self.names()):
            return []
        return [read_motion(path) for path in self.paths()]

    def takes(
        self,
        context: bpy.types.Context,
        rig: bpy.types.Object,
        clips: list[MotionClip],
        rate: float,
    ) -> list[Take]:
        """What is to be put on the rig.

        Raises:
            UserError: there is no source, or not one alone.
        """
        if clips:
            return [of_file(clip, self.start_frame, rate, bodies_folder()) for clip in clips]
        source = source_of(context, rig, self.source)
        action = bpy.data.actions.get(self.action)
        if self.action and action is None:
            raise RetargetError(f"there is no action {self.action}.")
        return [of_action(source, action, rate)]

    def invoke(self, context: bpy.types.Context, event: bpy.types.Event) -> set[str]:
        return self.execute(context) if self.source else super().invoke(context, event)

    def draw(self, _context: bpy.types.Context) -> None:
        self.layout.use_property_split = True
        for name in (
            *("bone_map", "root_motion", "feet", "twist", "nla", "start_frame", "match_scene"),
        ):
            self.layout.prop(self, name)


class LinkRig(Reporting, bpy.types.Operator):
    """Make the active rig follow a character live; Retarget turns the link into keys"""

    bl_idname = "staf.link_rig"
    bl_label = "Link Rig"
    bl_options = {"REGISTER", "UNDO"}

    source: StringProperty(
        name="Source", description="The character; empty: the only one", options={"SKIP_SAVE"}
    )

    def perform(self, context: bpy.types.Context) -> Iterable[str]:
        rig = check_rig(context, context.view_layer.objects.active)
        source = source_of(context, rig, self.source)
        fps = context.scene.render.fps / context.scene.render.fps_base
        link(context, rig, source, map_of(rig), of_action(source, None, fps).performance)
        return [f"{rig.name} follows {source.name} until you unlink or retarget it"]


class UnlinkRig(Reporting, bpy.types.Operator):
    """Take the live link away"""

    bl_idname = "staf.unlink_rig"
    bl_label = "Unlink Rig"
    bl_options = {"REGISTER", "UNDO"}

    def perform(self, context: bpy.types.Context) -> Iterable[str]:
        rig = check_rig(context, context.view_layer.objects.active)
        if not unlink(rig):
            raise RetargetError(f"{rig.name} follows no character.")
        return [f"{rig.name} is on its own"]


class GuessBones(Reporting, bpy.types.Operator):
    """Fill the list with the likeliest bones of the active rig"""

    bl_idname = "staf.guess_bones"
    bl_label = "Guess Bones"
    bl_options = {"REGISTER", "UNDO"}

    def perform(self, context: bpy.types.Context) -> Iterable[str]:
        rig = check_rig(context, context.view_layer.objects.active)
        found = guess_map(read_shape(rig), rig.name)
        show_map(rig, found)
        return [f"{len(found.bones)} joints of {rig.name} found by {found.label}"]


class SaveBoneMap(Reporting, bpy.types.Operator, ExportHelper):
    """Save the active rig's bone map; it is found again for rigs with the same bones"""

    bl_idname = "staf.save_bone_map"
    bl_label = "Save Bone Map"
    bl_options = {"REGISTER"}

    filename_ext = ".json"
    filter_glob: StringProperty(default="*.json", options={"HIDDEN"})

    def perform(self, context: bpy.types.Context) -> Iterable[str]:
        rig = check_rig(context, context.view_layer.objects.active)
        bone_map, bones = map_of(rig), rig.data.bones.keys()
        bone_map.check_fits(bones, rig.name)
        path = absolute(self.filepath)
        if path:
            path = path if path.suffix.lower() == ".json" else Path(f"{path}.json")
            write_map(path, bone_map, rig.name)
        kept = kept_maps.keep(maps_folder(), bones, bone_map, rig.name)
        return [f"saved {(path or kept).name}, and it is found again for {rig.name}"]

    def invoke(self, context: bpy.types.Context, _event: bpy.types.Event) -> set[str]:
        rig = context.view_layer.objects.active
        if not self.filepath and rig:
            folder = Path(bpy.data.filepath).parent if bpy.data.filepath else Path.home()
            self.filepath = str(folder / f"{bpy.path.clean_name(rig.name)} bones.json")
        context.window_manager.fileselect_add(self)
        return {"RUNNING_MODAL"}


class LoadBoneMap(Reporting, bpy.types.Operator, ImportHelper):
    """Fill the list from a bone map's file"""

    bl_idname = "staf.load_bone_map"
    bl_label = "Load Bone Map"
    bl_options = {"REGISTER", "UNDO"}

    filename_ext = ".json"
    filter_glob: StringProperty(default="*.json", options={"HIDDEN"})

    def perform(self, context: bpy.types.Context) -> Iterable[str]:
        rig = check_rig(context, context.view_layer.objects.active)
        path = absolute(self.filepath)
        if path is None:
            raise RetargetError("no bone map is chosen.")
        bone_map = read_map(path)
        bone_map.check_fits(rig.data.bones.keys(), rig.name)
        show_map(rig, bone_map)
        return [f"{len(bone_map.bones)} joints of {rig.name} from {path.name}"]


def source_of(context: bpy.types.Context, rig: bpy.types.Object, name: str) -> bpy.types.Object:
    """The character that moves: the one named, selected, or alone in the scene.

    Raises:
        RetargetError: there is none, or not one alone.
    """
    if name:
        named = context.scene.objects.get(name)
        if named is None or named.type != "ARMATURE":
            raise RetargetError(f"there is no armature {name} in the scene.")
        if named == rig:
            raise RetargetError(f"{rig.name} is source and target.", "Make the other active.")
        refuse_shown(named)
        return named
    every = [one for one in characters(context.scene) if one != rig]
    selected = [one for one in every if one.select_get()]
    found = selected or every
    if len(found) != 1:
        what = f"{len(found)} characters" if found else "no character of this add-on"
        advice = "Select one beside the rig, or name a motion file."
        raise RetargetError(f"there is {what} to take motion from.", advice)
    refuse_shown(found[0])
    return found[0]


def maps_folder() -> Path:
    """Where saved bone maps are kept."""
    return user_folder("bone_maps")


def map_of(rig: bpy.types.Object) -> BoneMap:
    """The list's map, else the one that was kept for such a rig, else a guess.

    Raises:
        UserError: none of them can be used.
    """
    shown = rig.staf_bone_map
    bones = {line.name: line.bone for line in shown.bones if line.bone}
    if bones:
        switches = tuple(Switch(one.bone, one.key, one.value) for one in shown.switches)
        return BoneMap(bones, switches, shown.label or "the list")
    kept = kept_maps.find(maps_folder(), rig.data.bones.keys())
    return kept or guess_map(read_shape(rig), rig.name)


def show_map(rig: bpy.types.Object, bone_map: BoneMap) -> None:
    """Fill the rig's list, with a line for every joint."""
    shown = rig.staf_bone_map
    shown.bones.clear()
    shown.switches.clear()
    shown.label = bone_map.label
    for joint in JOINTS:
        line = shown.bones.add()
        line.name, line.bone = joint, bone_map.bones.get(joint, "")
    for switch in bone_map.switches:
        line = shown.switches.add()
        line.bone, line.key, line.value = switch.bone, switch.property, switch.value


def _rate_for(scene: bpy.types.Scene, clips: list[MotionClip]) -> FrameRate:
    """The first file's rate, but the scene's own where characters play by it already."""
    if not clips or characters(scene):
        return FrameRate(scene.render.fps, scene.render.fps_base)
    clip = clips[0]
    return scene_rate(clip.times_s, clip.frames, rate_of(clip.times_s, clip.source_fps))


def _match_range(scene: bpy.types.Scene, made: Retargeted) -> None:
    ranges = [action.frame_range for action in made.actions]
    scene.frame_start = max(0, int(min(first for first, _ in ranges)))
    scene.frame_end = int(-(-max(last for _, last in ranges) // 1))
    scene.frame_set(scene.frame_start)


CLASSES = (
    *(StafBone, StafSwitch, StafBoneMap),
    *(Retarget, LinkRig, UnlinkRig, GuessBones, SaveBoneMap, LoadBoneMap),
)


def add_properties() -> None:
    """What objects get; call after the classes are registered."""
    bpy.types.Object.staf_bone_map = PointerProperty(type=StafBoneMap)


def remove_properties() -> None:
    """Take it back."""
    del bpy.types.Object.staf_bone_map
