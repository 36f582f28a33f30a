# SPDX-License-Identifier: GPL-3.0-or-later
"""What the user sets, per scene.  The panel shows it and the operators start from it."""

from pathlib import Path

import bpy
from bpy.props import (
    BoolProperty,
    CollectionProperty,
    EnumProperty,
    FloatProperty,
    IntProperty,
    PointerProperty,
    StringProperty,
)

from .bone_names import SCHEMES
from .character import ImportOptions
from .job import ESTIMATORS, PRESETS, SolveRequest
from .problem import Problem
from .process import no_backend
from .storage import bodies_folder, package_preferences

_SCHEME_LABELS = {
    "smpl": ("SMPL", "Pelvis, L_Hip, R_Hip, ..."),
    "smplx": ("SMPL-X", "pelvis, left_hip, right_hip, ..."),
    "mixamo": ("Mixamo", "mixamorig:Hips, mixamorig:LeftUpLeg, ..."),
    "vrm": ("VRM", "hips, leftUpperLeg, rightUpperLeg, ..."),
    "unreal": ("Unreal", "pelvis, thigh_l, thigh_r, ..."),
}
SCHEME_ITEMS = [(name, *_SCHEME_LABELS[name]) for name in SCHEMES]
AXES_ITEMS = [
    ("limbs", "Along Limbs", "Bones run from joint to joint and mirror left to right"),
    ("smpl", "SMPL Axes", "All bones share SMPL's axes, so their rotations are SMPL's own"),
]
ROOT_ITEMS = [
    ("root", "Root Bone", "Travel over the ground on the root bone, height on the pelvis"),
    ("pelvis", "Pelvis", "All travel on the pelvis"),
    ("in-place", "In Place", "No travel over the ground"),
]
ONTO_ITEMS = [
    ("AUTO", "Same Person", "Replace the action of the character this person has, else a new one"),
    ("NEW", "New Character", "Always make a new character"),
    ("ACTIVE", "Active Character", "Animate the active armature"),
]
PERSON_ITEMS = [
    ("ALL", "Everybody", "Everybody in the video"),
    ("LARGEST", "Main Person", "The person seen largest and longest"),
    ("LIST", "From List", "Choose after a quick scan"),
]
ESTIMATOR_ITEMS = [
    ("auto", "Automatic", "The best that is installed"),
    ("landmarks", "Landmarks", "The built-in estimator; works on any computer"),
    ("staf", "STAF", "The STAF network; needs its weights"),
]
PRESET_ITEMS = [
    ("fast", "Fast", "Quickest"),
    ("balanced", "Balanced", "For most videos"),
    ("best", "Best", "Slowest and most careful"),
]
assert [item[0] for item in ESTIMATOR_ITEMS] == list(ESTIMATORS)
assert [item[0] for item in PRESET_ITEMS] == list(PRESETS)

OPEN_BODY_ITEMS = [
    ("open-neutral", "Open, neutral", "The open body that comes with STAF"),
    ("open-male", "Open, male", "The open body that comes with STAF"),
    ("open-female", "Open, female", "The open body that comes with STAF"),
]
# Blender keeps no reference to the words of a dynamic enumeration; this does
_body_items = list(OPEN_BODY_ITEMS)


def body_items(_self, _context) -> list[tuple[str, str, str]]:
    """The open bodies, and the user's own that the last Check found."""
    preferences = package_preferences()
    names = preferences.known_bodies.split("\n") if preferences else []
    known = [item[0] for item in OPEN_BODY_ITEMS]
    extra = [(name, name, "Your own body file") for name in names if name and name not in known]
    _body_items[:] = OPEN_BODY_ITEMS + extra
    return _body_items


class StafPerson(bpy.types.PropertyGroup):
    """One line of the quick scan's list."""

    person: IntProperty()
    use: BoolProperty(name="Convert", default=True)
    label: StringProperty()
    thumbnail: StringProperty()


def _forget_people(self, _context) -> None:
    self.people.clear()


class StafSettings(bpy.types.PropertyGroup):
    """`scene.staf`"""

    video: StringProperty(
        name="Video", description="The video to convert", subtype="FILE_PATH", update=_forget_people
    )
    start_s: FloatProperty(name="Start", description="First second", min=0, unit="TIME_ABSOLUTE")
    end_s: FloatProperty(
        name="End", description="Last second; 0 is the video's end", min=0, unit="TIME_ABSOLUTE"
    )
    person: EnumProperty(name="Person", items=PERSON_ITEMS)
    people: CollectionProperty(type=StafPerson)
    estimator: EnumProperty(name="Estimator", items=ESTIMATOR_ITEMS)
    preset: EnumProperty(name="Quality", items=PRESET_ITEMS, default="balanced")
    body: EnumProperty(name="Body", items=body_items)
    mesh: BoolProperty(name="Mesh", description="Skinned mesh; off: skeleton only", default=True)
    shape_keys: BoolProperty(
        name="Shape Keys",
        description="A shape key for each of the ten shape numbers; the skeleton does not follow",
    )
    bone_names: EnumProperty(name="Bone Names", items=SCHEME_ITEMS)
    axes: EnumProperty(name="Bone Axes", items=AXES_ITEMS)
    root_motion: EnumProperty(name="Root Motion", items=ROOT_ITEMS)
    nla: BoolProperty(name="Push to NLA", description="Put the action on an NLA track of its own")
    start_frame: IntProperty(
        name="First Frame", description="Scene frame of the video's first picture", default=1
    )
    match_scene: BoolProperty(
        name="Match Scene", description="Take over frame rate, range and picture size", default=True
    )
    camera: BoolProperty(name="Camera", description="The camera that filmed", default=True)
    background: BoolProperty(
        name="Footage", description="The video behind what the camera sees", default=True
    )
    plane: BoolProperty(name="Image Plane", description="The video on a plane, for renders")
    sound: BoolProperty(name="Sound", description="The video's sound in the sequencer")
    onto: EnumProperty(name="Onto", items=ONTO_ITEMS)


IMPORT_WORDS = (
    *("mesh", "shape_keys", "bone_names", "axes", "root_motion", "nla", "start_frame"),
    *("match_scene", "camera", "background", "plane", "sound", "onto"),
)
"""Settings that are fields of `ImportOptions` of the same name."""


def absolute(path: str) -> Path | None:
    """A path as Blender writes it ("//" is the .blend's folder); None for nothing."""
    return Path(bpy.path.abspath(path)).resolve() if path else None


def import_options(source, video: Path | None, beside: Path | None) -> ImportOptions:
    """The options of an operator or of a scene's settings.

    Args:
        source: has the properties `IMPORT_WORDS`.
        video: the video, where known.
        beside: the motion file's folder.
    """
    values = {name: getattr(source, name) for name in IMPORT_WORDS}
    return ImportOptions(**values, video=video, beside=beside, body_folder=bodies_folder())


def person_words(settings: StafSettings) -> str:
    """What `--person` says."""
    if settings.person == "LIST" and len(settings.people):
        chosen = [str(one.person) for one in settings.people if one.use]
        return ",".join(chosen) or "none"
    return "largest" if settings.person == "LARGEST" else "all"


def solve_request(settings: StafSettings, video: Path | None = None) -> SolveRequest:
    """What the settings ask of the backend.

    Raises:
        Problem: no video, no such video, or settings that mean nothing.
    """
    chosen = video or absolute(settings.video)
    if chosen is None:
        raise Problem("no video is chosen.", "Choose one in the sidebar, tab STAF.")
    preferences = package_preferences()
    return SolveRequest(
        video=chosen,
        start_s=settings.start_s,
        end_s=settings.end_s,
        person=person_words(settings),
        estimator=settings.estimator,
        preset=settings.preset,
        body=settings.body,
        device=preferences.device if preferences else "auto",
        threads=preferences.threads if preferences else 0,
    )


def backend_python() -> str:
    """The backend's Python: of the preferences, else of the variable STAF_BACKEND_PYTHON.

    Raises:
        BackendError: neither says.
    """
    import os

    preferences = package_preferences()
    chosen = preferences.backend_python if preferences else ""
    python = bpy.path.abspath(chosen) if chosen else os.environ.get("STAF_BACKEND_PYTHON", "")
    if not python:
        raise no_backend()
    return python


CLASSES = (StafPerson, StafSettings)


def register() -> None:
    for one in CLASSES:
        bpy.utils.register_class(one)
    bpy.types.Scene.staf = PointerProperty(type=StafSettings)


def unregister() -> None:
    del bpy.types.Scene.staf
    for one in reversed(CLASSES):
        bpy.utils.unregister_class(one)
