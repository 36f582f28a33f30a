# SPDX-License-Identifier: GPL-3.0-or-later
"""A motion becomes a character: armature, body, action, camera; all or nothing."""

from __future__ import annotations

import math
import uuid
from dataclasses import dataclass, field
from pathlib import Path

import bpy
import numpy as np

from . import footage, keyframes
from .armature import (
    ArmatureError,
    bone_by_joint,
    controls_of,
    make_armature,
    refuse_edit_mode,
    rest_frames,
    root_bone,
)
from .axes import to_blender
from .body import make_body
from .body_file import LOOKS, OPEN_BODIES, BodyFileError, BodyShape, open_body_path, read_body
from .bone_names import bone_names
from .bones import has_fingers, keys_of, layout, lowest_joint_lift_m, unseen_fingers
from .film_camera import add_camera
from .first_look import CONTENT_KEY, gathered, hide_startup_cube
from .footage import Clock
from .identity import clip_identity, person_identity
from .motion_file import MotionClip
from .resampling import on_whole_frames
from .size import height_m, resized, resized_body
from .takes import (
    ID_KEY,
    SOURCE_KEY,
    TRAVEL_KEY,
    new_take,
    parts,
    rest_older,
    takes_of,
)
from .timing import FrameRate, frame_rate, frames_of, rate_of, scene_rate
from .transaction import all_or_nothing, focus

PERSON_KEY, BODY_KEY, WHO_KEY = "staf_person", "staf_body", "staf_who"
_SIZE_KEY = "staf_size"
"""Custom property of a clip's collection: height that was asked for in cm, and the factor."""
_LARGEST_FACTOR = 1000.0
"""Of a person's size.  Chosen: nobody is so small."""
OWN_RATE = "CLIP"
RATES = (OWN_RATE, "24", "25", "30", "60")
KEYS = ("exact", "whole")
_PROPORTIONS_M = 5e-3
"""Between joints at rest, from which on two characters are of different build.  Chosen."""


@dataclass(frozen=True)
class ImportOptions:
    """How a motion is brought in."""

    bone_names: str = "smpl"
    axes: str = "limbs"
    root_motion: str = "root"
    mesh: bool = True
    shape_keys: bool = False
    look: str = "TEXTURED"
    """One of `body_file.LOOKS`, of new meshes."""
    nla: bool = False
    start_frame: int = 1
    """Scene frame of the video's second 0."""
    match_scene: bool = True
    """Take over the video's rate, the motion's range and the picture's size."""
    camera: bool = True
    background: bool = True
    plane: bool = False
    sound: bool = False
    onto: str = "AUTO"
    """"AUTO": the character that this person already has, else a new one; "NEW"; "ACTIVE"."""
    replace: bool = False
    """Overwrite the character's newest take of the same clip, instead of adding one."""
    scene_fps: str = OWN_RATE
    """One of `RATES`: what `match_scene` gives the scene; "CLIP" is the video's."""
    keys: str = "exact"
    """"exact": at the time of their picture; "whole": resampled to whole frames."""
    height_cm: float = 0.0
    """The main person's height, where it is known; else 0."""
    video: Path | None = None
    beside: Path | None = None
    """Folder of the motion file, where the video may be too."""
    body_folder: Path | None = None
    """Folder of exported bodies, for users' own."""

    def __post_init__(self) -> None:
        if self.onto not in ("AUTO", "NEW", "ACTIVE"):
            raise ValueError(f"onto must be AUTO, NEW or ACTIVE, got {self.onto!r}")
        if self.look not in LOOKS:
            raise ValueError(f"look must be one of {', '.join(LOOKS)}, got {self.look!r}")
        if self.scene_fps not in RATES or self.keys not in KEYS:
            raise ValueError(f"unknown rate {self.scene_fps!r} or keys {self.keys!r}")


@dataclass(eq=False)
class Character:
    """What an import made or changed."""

    rig: bpy.types.Object
    action: bpy.types.Action
    mesh: bpy.types.Object | None = None
    camera: bpy.types.Object | None = None
    notes: list[str] = field(default_factory=list)
    """What the user should know."""
    new: bool = True
    """Whether the scene did not have this character before."""


def import_clip(context: bpy.types.Context, clip: MotionClip, options: ImportOptions) -> Character:
    """Bring a motion into the scene.  On an error the scene is left as it was.

    Raises:
        UserError: the reason, for the user.
    """
    refuse_edit_mode(context)
    video = footage.find_video(clip, options.video, options.beside)
    identity = clip_identity(clip, video)
    target = _target(context, clip, options, video)
    body = _body(clip, options) if options.mesh and target is None else None
    with all_or_nothing(context):
        with gathered(context, clip, identity, target) as collection:
            clip, body = _sized(clip, body, options, collection)
            movie = footage.load_movie(video) if video and options.background else None
            rate, notes = _match_rate(context.scene, clip, movie, options, identity)
            clock = Clock(options.start_frame, rate)
            if options.keys == "whole":
                clip = on_whole_frames(clip, clock.start_frame, rate)
            made = _animate(context, clip, options, target, body, clock)
            made.notes += notes
            if target is None:
                made.rig[CONTENT_KEY] = identity
                made.rig[WHO_KEY] = person_identity(clip, video)
            if options.camera:
                _film(context, clip, options, made, video, movie, clock, identity)
        _match_range(context.scene, made.rig, made.action, options)
        focus(context, made.rig, [made.rig])
    if controls_of(made.rig) is not None:
        made.notes.append(f"the controls of {made.rig.name} show their own motion until removed.")
    made.notes += filter(None, [hide_startup_cube(context.scene, context.view_layer)])
    return made


def characters(scene: bpy.types.Scene) -> list[bpy.types.Object]:
    """The armatures of a scene that this add-on made."""
    return [item for item in scene.objects if item.type == "ARMATURE" and ID_KEY in item]


def _target(
    context: bpy.types.Context, clip: MotionClip, options: ImportOptions, video: Path | None
) -> bpy.types.Object | None:
    if options.onto == "NEW":
        return None
    if options.onto == "AUTO":
        wanted = person_identity(clip, video)
        same = [
            rig
            for rig in characters(context.scene)
            if rig.get(WHO_KEY) == wanted
            and rig.library is None
            and set(clip.joint_names) <= set(bone_by_joint(rig))
            and root_bone(rig) is not None
        ]
        return same[0] if same else None
    rig = context.view_layer.objects.active
    if rig is None or rig.type != "ARMATURE":
        raise ArmatureError("no armature is active.", "Select the character to import onto.")
    if rig.library is not None:
        advice = "Make a library override of it first (Object > Library Override)."
        raise ArmatureError(f"{rig.name} is linked from another file.", advice)
    missing = sorted(set(clip.joint_names) - set(bone_by_joint(rig)))
    missing += ["a root bone"] if root_bone(rig) is None else []
    if missing:
        words = ", ".join(missing[:3]) + (" ..." if len(missing) > 3 else "")
        raise ArmatureError(f"{rig.name} is no character of this add-on: it lacks {words}.")
    return rig


def _body(clip: MotionClip, options: ImportOptions) -> BodyShape:
    path = body_path(clip.body, options.body_folder)
    body = read_body(path, clip.body, fingers=has_fingers(clip.joint_names))
    body.check_fits(clip)
    return body


def body_path(name: str, folder: Path | None) -> Path:
    """Where the arrays of a body lie.

    Raises:
        BodyFileError: nowhere.
    """
    if name in OPEN_BODIES:
        return open_body_path(name)
    path = folder / f"{name}.npz" if folder else None
    if path is None or not path.is_file():
        advice = "Set up the backend to fetch it, or import the skeleton only."
        raise BodyFileError(f"the body {name} is not at hand.", advice)
    return path


def _sized(
    clip: MotionClip,
    body: BodyShape | None,
    options: ImportOptions,
    collection: bpy.types.Collection,
) -> tuple[MotionClip, BodyShape | None]:
    """Motion and body in the size that makes the clip's first person as tall as said."""
    if not options.height_cm:
        return clip, body
    factor = _known_factor(collection, options.height_cm)
    if factor is None:
        tall_m = height_m(body or _body(clip, options), clip.betas)
        factor = options.height_cm / 100 / tall_m
        collection[_SIZE_KEY] = [options.height_cm, factor]
    return resized(clip, factor), body and resized_body(body, factor)


def _known_factor(collection: bpy.types.Collection, height_cm: float) -> float | None:
    """What made the clip's first person so tall; None where nothing has, or somebody edited it."""
    try:
        tall_cm, factor = map(float, collection[_SIZE_KEY])
    except (KeyError, TypeError, ValueError):
        return None
    return factor if tall_cm == height_cm and 0 < factor < _LARGEST_FACTOR else None


def _match_rate(
    scene: bpy.types.Scene,
    clip: MotionClip,
    movie: bpy.types.MovieClip | None,
    options: ImportOptions,
    identity: str,
) -> tuple[float, list[str]]:
    """Scene frames a second, after taking over the rate that is wanted, where that is safe."""
    wanted = _wanted_rate(clip, movie, options.scene_fps)
    render = scene.render
    current = render.fps / render.fps_base
    if abs(current - wanted.rate) < 1e-6 * wanted.rate:
        return current, []
    if not options.match_scene:
        return current, []
    others = [rig for rig in characters(scene) if rig.get(CONTENT_KEY) != identity]
    if others:
        note = f"the scene keeps {current:.5g} frames per second, for {others[0].name}; "
        return current, [note + f"{clip.source or clip.name} has {wanted.rate:.5g}."]
    render.fps, render.fps_base = wanted.fps, wanted.base
    return render.fps / render.fps_base, []


def _wanted_rate(clip: MotionClip, movie: bpy.types.MovieClip | None, chosen: str) -> FrameRate:
    if chosen != OWN_RATE:
        return frame_rate(float(chosen))
    told_fps = movie.fps if movie else rate_of(clip.times_s, clip.source_fps)
    return scene_rate(clip.times_s, clip.frames, told_fps)


def _animate(
    context: bpy.types.Context,
    clip: MotionClip,
    options: ImportOptions,
    target: bpy.types.Object | None,
    body: BodyShape | None,
    clock: Clock,
) -> Character:
    mesh, notes = None, []
    if target is None:
        rig, mesh, notes = _new_character(context, clip, options, body)
    else:
        rig = target
    root = root_bone(rig)
    assert root is not None  # of those that `_target` gives
    names = [bone_by_joint(rig)[joint] for joint in clip.joint_names]
    heads, axes = rest_frames(rig, [root, *names])
    notes += _proportions(clip, rig, heads[1:])
    keys = keys_of(clip, heads[1:], axes[1:], axes[0], options.root_motion)
    frames = frames_of(clip.times_s, clock.start_frame, clock.rate)
    channels = [
        keyframes.bone_channel(root, "location", keys.root_m),
        keyframes.bone_channel(names[0], "location", keys.pelvis_m),
    ]
    unseen = unseen_fingers(clip)
    for place, (joint, name) in enumerate(zip(clip.joint_names, names, strict=True)):
        rig.pose.bones[name].rotation_mode = "QUATERNION"
        values = keys.rotations_wxyz[:, place]
        filled = unseen.get(joint)
        channels.append(keyframes.bone_channel(name, "rotation_quaternion", values, filled))
    rig.pose.bones[root].location = rig.pose.bones[names[0]].location = (0.0, 0.0, 0.0)
    action = new_take(rig, clip, clock, options.replace)
    action[TRAVEL_KEY] = options.root_motion
    keyframes.write(rig, action, frames, channels, ~clip.observed)
    others = parts(rig, action)
    if options.nla or others or keyframes.strips_of(rig, action):
        for take in sorted([*others, action], key=lambda take: take.frame_range[0]):
            keyframes.push_down(rig, take)
        rest_older(rig, action)
    return Character(rig, action, mesh, notes=notes, new=target is None)


def _new_character(
    context: bpy.types.Context, clip: MotionClip, options: ImportOptions, body: BodyShape | None
) -> tuple[bpy.types.Object, bpy.types.Object | None, list[str]]:
    lift_m = lowest_joint_lift_m(clip.rest_joints_m)
    if body is not None:
        lift_m = -float(body.rest_vertices_m(clip.betas)[:, 1].min())
    bones = layout(clip.rest_joints_m, clip.parents, lift_m, options.axes, clip.joint_names)
    names = bone_names(clip.joint_names, options.bone_names)
    rig = make_armature(context, clip.name, clip.joint_names, names, clip.parents, bones)
    notes = []
    if rig.name != clip.name:
        notes.append(f"the name {clip.name} is taken, so the character is called {rig.name}.")
    rig[ID_KEY] = uuid.uuid4().hex
    rig[SOURCE_KEY], rig[PERSON_KEY], rig[BODY_KEY] = clip.source, clip.person, clip.body
    mesh = None
    if body is not None:
        label = f"{rig.name} body"
        form = (body, clip.betas, lift_m, names)
        mesh = make_body(context, label, rig, *form, options.shape_keys, options.look)
    return rig, mesh, notes


def _proportions(clip: MotionClip, rig: bpy.types.Object, heads_m: np.ndarray) -> list[str]:
    """A note where the motion was made for a body of other proportions than the character."""
    rest = to_blender(clip.rest_joints_m)
    off_m = np.abs((heads_m - heads_m[0]) - (rest - rest[0])).max()
    if off_m < _PROPORTIONS_M:
        return []
    return [f"{rig.name} keeps its own proportions, up to {off_m * 100:.0f} cm from the motion's."]


def _match_range(
    scene: bpy.types.Scene, rig: bpy.types.Object, action: bpy.types.Action, options: ImportOptions
) -> None:
    if not options.match_scene:
        return
    first, last = (float(frame) for frame in action.frame_range)
    start, end = math.floor(first), max(math.floor(first), math.ceil(last))
    if len(characters(scene)) > 1 or len(takes_of(rig)) > 1:
        start, end = min(start, scene.frame_start), max(end, scene.frame_end)
    scene.frame_start, scene.frame_end = max(0, start), end
    scene.frame_set(scene.frame_start)


def _film(
    context: bpy.types.Context,
    clip: MotionClip,
    options: ImportOptions,
    made: Character,
    video: Path | None,
    movie: bpy.types.MovieClip | None,
    clock: Clock,
    identity: str,
) -> None:
    resolution = context.scene.render.resolution_x, context.scene.render.resolution_y
    made.camera = add_camera(context, clip, clock, identity)
    if not options.match_scene:
        context.scene.render.resolution_x, context.scene.render.resolution_y = resolution
    if video is None:
        if options.background and clip.source:
            made.notes.append(f"{clip.source} is not beside the motion, so no footage is shown.")
        return
    if movie is not None:
        made.notes += filter(None, [footage.add_background(made.camera, movie, clip.camera, clock)])
    if options.plane:
        footage.add_plane(context, made.camera, video, clip, clock)
    if options.sound:
        made.notes += filter(None, [footage.add_sound(context.scene, video, clock.start_frame)])
