# SPDX-License-Identifier: GPL-3.0-or-later
"""File > Import > STAF motion (.npz); footage for a character that has none."""

from collections.abc import Iterable
from pathlib import Path

import bpy
from bpy.props import (
    BoolProperty,
    EnumProperty,
    FloatProperty,
    IntProperty,
    StringProperty,
)
from bpy_extras.io_utils import ImportHelper

from .file_choice import VIDEO_FILTER, ReadsFiles
from .reporting import Reporting
from .scene import footage
from .scene.armature import refuse_edit_mode
from .scene.character import characters
from .scene.film_camera import add_camera
from .scene.first_look import CONTENT_KEY, gathered
from .scene.identity import clip_identity
from .scene.motion_file import MotionClip, read_motion
from .scene.transaction import all_or_nothing
from .settings import (
    AXES_ITEMS,
    FPS_ITEMS,
    IMPORT_FIELDS,
    KEYS_ITEMS,
    LOOK_ITEMS,
    ONTO_ITEMS,
    ROOT_ITEMS,
    SCHEME_ITEMS,
    absolute,
    backend_python,
    bone_names_of,
    import_options,
)
from .solving.process import BackendError
from .solving.solve import MOTION_KEY, import_motion_file
from .user_error import UserError


class ImportMotion(Reporting, ReadsFiles, bpy.types.Operator):
    """Import motion files as animated characters"""

    bl_idname = "staf.import_motion"
    bl_label = "Import STAF Motion"
    bl_options = {"REGISTER", "UNDO"}

    filename_ext = ".npz"
    filter_glob: StringProperty(default="*.npz", options={"HIDDEN"})
    video: StringProperty(
        name="Video",
        description="The video; empty: the one of the same name beside the motion",
        subtype="FILE_PATH",
        options={"SKIP_SAVE"},
    )
    mesh: BoolProperty(name="Mesh", description="Skinned mesh; off: skeleton only", default=True)
    look: EnumProperty(name="Look", items=LOOK_ITEMS)
    shape_keys: BoolProperty(name="Shape Keys", description="A key for each shape number")
    bone_names: EnumProperty(name="Bone Names", items=SCHEME_ITEMS)
    axes: EnumProperty(name="Bone Axes", items=AXES_ITEMS)
    root_motion: EnumProperty(name="Root Motion", items=ROOT_ITEMS)
    nla: BoolProperty(name="Push to NLA", description="An NLA track for each action")
    start_frame: IntProperty(name="First Frame", description="Frame of second 0", default=1)
    match_scene: BoolProperty(name="Match Scene", description="Rate, range, size", default=True)
    camera: BoolProperty(name="Camera", description="The camera that filmed", default=True)
    background: BoolProperty(name="Footage", description="Video behind the view", default=True)
    plane: BoolProperty(name="Image Plane", description="The video on a plane")
    sound: BoolProperty(name="Sound", description="The video's sound in the sequencer")
    onto: EnumProperty(name="Onto", items=ONTO_ITEMS)
    replace: BoolProperty(name="Replace Take", description="Overwrite the newest take of the clip")
    scene_fps: EnumProperty(name="Frame Rate", items=FPS_ITEMS)
    keys: EnumProperty(name="Keys", items=KEYS_ITEMS)
    height_cm: FloatProperty(name="Height, cm", description="0: as estimated", min=0, max=300)

    def perform(self, context: bpy.types.Context) -> Iterable[str]:
        paths = self.paths()
        notes = []
        video = absolute(self.video)
        with all_or_nothing(context):
            for path in paths:
                options = import_options(self, video, path.parent)
                made = import_motion_file(context, path, options, python_if_any())
                notes += made.notes
        return [*notes, f"imported {', '.join(path.name for path in paths)}"]

    def invoke(self, context: bpy.types.Context, event: bpy.types.Event) -> set[str]:
        for name in IMPORT_FIELDS:
            if not self.properties.is_property_set(name):
                value = getattr(context.scene.staf, name)
                setattr(self, name, bone_names_of(value) if name == "bone_names" else value)
        return super().invoke(context, event)

    def draw(self, _context: bpy.types.Context) -> None:
        self.layout.use_property_split = True
        for name in (*IMPORT_FIELDS, "video"):
            self.layout.prop(self, name)


class AddFootage(Reporting, bpy.types.Operator, ImportHelper):
    """Show the video of a motion behind its camera"""

    bl_idname = "staf.add_footage"
    bl_label = "Add Footage"
    bl_options = {"REGISTER", "UNDO"}

    filter_glob: StringProperty(default=VIDEO_FILTER, options={"HIDDEN"})
    motion: StringProperty(name="Motion", description="Motion file", subtype="FILE_PATH")
    start_frame: IntProperty(name="First Frame", description="Frame of second 0", default=1)
    plane: BoolProperty(name="Image Plane", description="The video on a plane")
    sound: BoolProperty(name="Sound", description="The video's sound in the sequencer")

    def perform(self, context: bpy.types.Context) -> Iterable[str]:
        refuse_edit_mode(context)
        motion = absolute(self.motion)
        if motion is None:
            raise UserError("no motion file is named.", "It says what the camera was like.")
        clip = read_motion(motion)
        video = footage.find_video(clip, absolute(self.filepath), None)
        assert video is not None
        with all_or_nothing(context):
            movie = footage.load_movie(video)
            render = context.scene.render
            clock = footage.Clock(self.start_frame, render.fps / render.fps_base)
            identity = _filmed_as(context, clip, motion)
            with gathered(context, clip, identity):
                camera = add_camera(context, clip, clock, identity)
                note = footage.add_background(camera, movie, clip.camera, clock)
                if self.plane:
                    footage.add_plane(context, camera, video, clip, clock)
            sound = footage.add_sound(context.scene, video, self.start_frame) if self.sound else ""
        return [text for text in (note, sound) if text]


def _filmed_as(context: bpy.types.Context, clip: MotionClip, motion: Path) -> str:
    """The identity that the characters of a motion file have; else the one they would get."""
    for rig in characters(context.scene):
        if rig.get(MOTION_KEY) == str(motion) and CONTENT_KEY in rig:
            return rig[CONTENT_KEY]
    return clip_identity(clip, None)


def python_if_any() -> str:
    """The backend's Python, or nothing where none is set."""
    try:
        return backend_python()
    except BackendError:
        return ""


CLASSES = (ImportMotion, AddFootage)
