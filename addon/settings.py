# SPDX-License-Identifier: GPL-3.0-or-later
"""What the user sets, per scene.  The panel shows it and the operators start from it."""

import os
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

from .scene.body_file import LOOKS
from .scene.bone_names import scheme_items
from .scene.character import OWN_RATE, ImportOptions
from .scene.film_camera import SENSOR_MM
from .scene.footage import load_movie
from .solving.job import ESTIMATORS, LENSES, PRECISIONS, PRESETS, SolveRequest
from .solving.process import no_backend
from .storage import bodies_folder, package_preferences
from .user_error import UserError

SCHEME_ITEMS = scheme_items()
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
    ("AUTO", "Same Person", "A new take of the character this person has, else a new character"),
    ("NEW", "New Character", "Always make a new character"),
    ("ACTIVE", "Active Character", "Animate the active armature"),
]
FPS_ITEMS = [
    (OWN_RATE, "Clip's Own", "The video's rate; of a varying one the usual rate nearest to it"),
    ("24", "24", "Frames a second"),
    ("25", "25", "Frames a second"),
    ("30", "30", "Frames a second"),
    ("60", "60", "Frames a second"),
]
KEYS_ITEMS = [
    ("exact", "Exact", "At the time of their picture, between frames where need be"),
    ("whole", "Whole Frames", "Resampled: one key on each frame"),
]
LOOK_ITEMS = [
    ("TEXTURED", "Textured", "Coloured by its own shape, darker at joints and in hollows"),
    ("CLAY", "Clay", "A mannequin in one colour"),
]
LENS_ITEMS = [
    ("auto", "Found Out", "Read from the file or measured, else a usual one"),
    ("phone", "Phone", "A phone's main camera"),
    ("webcam", "Webcam", "A webcam or laptop"),
    ("35mm", "35 mm", "A wide photographic lens"),
    ("tele", "Tele", "A long lens"),
]
PERSON_ITEMS = [
    ("ALL", "Everybody", "Everybody in the video"),
    ("LARGEST", "Main Person", "The person seen largest and longest"),
    ("LIST", "From List", "Choose after a quick scan"),
]
ESTIMATOR_ITEMS = [
    ("auto", "Automatic", "The best that is installed"),
    ("landmarks", "Landmarks", "The built-in estimator; works on any computer"),
    ("staf", "STAF", "The STAF network, with your weights or the open ones; needs PyTorch"),
]
PRESET_ITEMS = [
    ("fast", "Fast", "Quickest"),
    ("balanced", "Balanced", "For most videos"),
    ("best", "Best", "Slowest and most careful"),
]
PRECISION_ITEMS = [
    ("auto", "Automatic", "Half as long where the device computes so: bf16; else float32"),
    ("float32", "Float 32", "Exact, on every device"),
    ("tf32", "TF32", "Of NVIDIA cards"),
    ("bf16", "BFloat 16", "Within a millimetre of float 32"),
    ("fp16", "Float 16", "Of graphics cards"),
]
assert [item[0] for item in LOOK_ITEMS] == list(LOOKS)
assert [item[0] for item in PRECISION_ITEMS] == list(PRECISIONS)
assert [item[0] for item in ESTIMATOR_ITEMS] == list(ESTIMATORS)
assert [item[0] for item in PRESET_ITEMS] == list(PRESETS)
assert [item[0] for item in LENS_ITEMS] == list(LENSES)

OPEN_BODY_ITEMS = [
    ("open-neutral", "Open, Neutral", "The open body that comes with STAF"),
    ("open-male", "Open, Male", "The open body that comes with STAF"),
    ("open-female", "Open, Female", "The open body that comes with STAF"),
]
PREFERRED = ("PREFERRED", "As Preferred", "What Preferences say")
OWN = ("OWN", "Your Own", "An SMPL, SMPL-H or SMPL-X file that you added in Preferences")
# No property here has a Python callback (dynamic items, update): bpy 4.2 crashes on exit with one.


class StafPerson(bpy.types.PropertyGroup):
    """One line of the quick scan's list."""

    person: IntProperty()
    use: BoolProperty(name="Convert", default=True)
    called: StringProperty(name="Name")
    label: StringProperty()
    thumbnail: StringProperty()


class StafSettings(bpy.types.PropertyGroup):
    """`scene.staf`"""

    video: StringProperty(name="Video", description="The video to convert", subtype="FILE_PATH")
    start_s: FloatProperty(name="Start", description="First second", min=0, unit="TIME_ABSOLUTE")
    end_s: FloatProperty(
        name="End", description="Last second; 0 is the video's end", min=0, unit="TIME_ABSOLUTE"
    )
    person: EnumProperty(name="Person", items=PERSON_ITEMS)
    people: CollectionProperty(type=StafPerson)
    scanned: StringProperty(description="The video and the seconds that `people` is about")
    tracks: StringProperty(description="The tracks file that `people` shows")
    edits: StringProperty(description="What was corrected in it, a line each")
    estimator: EnumProperty(name="Estimator", items=ESTIMATOR_ITEMS)
    precision: EnumProperty(name="Precision", items=PRECISION_ITEMS)
    preset: EnumProperty(name="Quality", items=PRESET_ITEMS, default="balanced")
    lens: EnumProperty(name="Lens", items=LENS_ITEMS)
    focal_mm: FloatProperty(
        name="Focal, mm",
        description="Millimetres on a picture 36 mm long, where you know it; 0: as Lens says",
        min=0,
        max=2000,
    )
    body: EnumProperty(name="Body", items=[PREFERRED, *OPEN_BODY_ITEMS, OWN])
    fingers: BoolProperty(
        name="Fingers",
        description="Solve reads fingers, too, where hands are near and clear; takes longer",
    )
    own_body: StringProperty(name="Own Body", description="Name of a body file you added")
    mesh: BoolProperty(name="Mesh", description="Skinned mesh; off: skeleton only", default=True)
    shape_keys: BoolProperty(
        name="Shape Keys",
        description="A shape key for each of the ten shape numbers; the skeleton does not follow",
    )
    look: EnumProperty(name="Look", items=LOOK_ITEMS)
    bone_names: EnumProperty(name="Bone Names", items=[PREFERRED, *SCHEME_ITEMS])
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
    replace: BoolProperty(
        name="Replace Take",
        description="Overwrite the newest take of the same clip, edits and all; off: add a take",
    )
    scene_fps: EnumProperty(name="Frame Rate", items=FPS_ITEMS)
    keys: EnumProperty(name="Keys", items=KEYS_ITEMS)
    height_cm: FloatProperty(
        name="Height, cm",
        description="Of the main person; 0: as estimated",
        min=0,
        max=300,
        precision=1,
    )


IMPORT_FIELDS = (
    *("mesh", "look", "shape_keys", "bone_names", "axes", "root_motion", "nla", "start_frame"),
    *("match_scene", "camera", "background", "plane", "sound", "onto"),
    *("replace", "scene_fps", "keys", "height_cm"),
)
"""Settings that are fields of `ImportOptions` of the same name."""


def absolute(path: str) -> Path | None:
    """A path as Blender writes it ("//" is the .blend's folder); None for nothing."""
    # `resolve` fails on a loop of links
    return Path(os.path.realpath(bpy.path.abspath(path))) if path else None


def import_options(source, video: Path | None, beside: Path | None) -> ImportOptions:
    """The options of an operator or of a scene's settings.

    Args:
        source: has the properties `IMPORT_FIELDS`.
        video: the video, where known.
        beside: the motion file's folder.
    """
    values = {name: getattr(source, name) for name in IMPORT_FIELDS}
    values["bone_names"] = bone_names_of(values["bone_names"])
    return ImportOptions(**values, video=video, beside=beside, body_folder=bodies_folder())


def bone_names_of(chosen: str) -> str:
    """The scheme, after asking the preferences where nothing is chosen."""
    preferences = package_preferences()
    if chosen != PREFERRED[0]:
        return chosen
    return preferences.default_bone_names if preferences else SCHEME_ITEMS[0][0]


def body_of(settings: StafSettings) -> str:
    """The body's name.

    Raises:
        UserError: the user's own is chosen, but which one is not.
    """
    preferences = package_preferences()
    if settings.body == OWN[0]:
        if not settings.own_body:
            raise UserError("no body of your own is chosen.", "Add one in Preferences.")
        return settings.own_body
    if settings.body == PREFERRED[0]:
        return preferences.default_body if preferences else OPEN_BODY_ITEMS[0][0]
    return settings.body


def scan_key(settings: StafSettings) -> str:
    """What a scan is about: the video and the seconds of it."""
    return f"{settings.video} {settings.start_s:.3f} {settings.end_s:.3f}"


def scanned_people(settings: StafSettings) -> list[StafPerson]:
    """The people of the last scan, if that was of this video and these seconds."""
    return list(settings.people) if settings.scanned == scan_key(settings) else []


def tracks_file(settings: StafSettings) -> Path | None:
    """Who is where, as the last scan of this video found and the animator corrected it."""
    path = Path(settings.tracks)
    fits = settings.tracks and settings.scanned == scan_key(settings) and path.is_file()
    return path if fits else None


def refuse_other_seconds(settings: StafSettings) -> None:
    """People of a list are known by numbers and corrections, which hold for its seconds alone.

    Raises:
        UserError: the list is of the panel's video, and of other seconds than the panel's.
    """
    scanned_video = settings.scanned.rsplit(" ", 2)[0]
    listed = settings.person == "LIST" and scanned_video == settings.video
    if listed and settings.scanned != scan_key(settings):
        advice = "Press Find People, or choose Everybody."
        raise UserError("the list of people is of other seconds of the video.", advice)


def person_argument(settings: StafSettings, video: Path | None) -> str:
    """What `--person` says for a video; who is listed of the panel's is nobody in another."""
    people = scanned_people(settings) if video == absolute(settings.video) else []
    if settings.person == "LIST" and people:
        return ",".join(str(one.person) for one in people if one.use) or "none"
    return "largest" if settings.person == "LARGEST" else "all"


def solve_request(settings: StafSettings, video: Path | None = None) -> SolveRequest:
    """What the settings ask of the backend.

    Raises:
        UserError: no video, no such video, or settings that mean nothing.
    """
    chosen = video or absolute(settings.video)
    if chosen is None:
        raise UserError("no video is chosen.", "Choose one in the sidebar, tab STAF.")
    preferences = package_preferences()
    return SolveRequest(
        video=chosen,
        start_s=settings.start_s,
        end_s=settings.end_s,
        person=person_argument(settings, chosen),
        estimator=settings.estimator,
        preset=settings.preset,
        precision=settings.precision,
        tracks=tracks_file(settings) if chosen == absolute(settings.video) else None,
        lens=settings.lens,
        focal_px=focal_px_of(settings, chosen),
        body=body_of(settings),
        fingers=settings.fingers,
        device=preferences.device if preferences else "auto",
        threads=preferences.threads if preferences else 0,
    )


def focal_px_of(settings: StafSettings, video: Path) -> float:
    """The focal length that the user knows, in pixels; 0 where none is said.

    Raises:
        UserError: Blender cannot tell the size of the video's pictures.
    """
    if not settings.focal_mm or not video.is_file():
        return 0.0
    return settings.focal_mm * max(load_movie(video).size) / SENSOR_MM


def backend_python() -> str:
    """The backend's Python: of the preferences, else of the variable STAF_BACKEND_PYTHON.

    Raises:
        BackendError: neither says.
    """
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
