"""Motions to binary glTF (.glb): skeletons, skinned bodies, one animation per clip.

    scene
    ├── person-1            armature, at identity
    │   └── root            a bone on the ground, between the feet in the rest pose
    │       └── Pelvis ─ L_Hip, R_Hip, Spine1 ...        SMPL's tree
    └── person-1-body       skinned mesh, at the scene's root as glTF asks

Metres, y up.  The rest pose is the body's T-pose with the shape baked in, lifted so that its
soles are at y = 0 and `root` is on the ground below it; the keys put the pelvis where the motion
says.  Rotations are keyed on all joints, translation on `root` and the pelvis alone, scale never.
SMPL's pose blend shapes cannot be carried by glTF and are left out.
"""

import colorsys
import dataclasses
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from staf_backend import __version__
from staf_backend.body.body import Body
from staf_backend.body.fingers import WITH_FINGERS
from staf_backend.choices import ROOT_MOTIONS, RootMotion
from staf_backend.export.bone_names import BONE_NAMES, ROOT_BONE, bone_names_of
from staf_backend.export.gltf_buffer import INDICES, VERTICES, Buffer
from staf_backend.export.mesh import SkinnedMesh, body_mesh, proxy_mesh
from staf_backend.files.atomic import replace_atomically
from staf_backend.geometry.rotations import continuous_signs
from staf_backend.geometry.skeleton import SMPL
from staf_backend.motion.motion import Motion, MotionError

_REST_TOLERANCE_M = 1e-3
_CLAY_HUE, _GOLDEN_TURN = 0.06, 0.381966


@dataclass(frozen=True, eq=False)
class _Character:
    """One armature with its mesh, and the clips that move it."""

    name: str
    motions: tuple[Motion, ...]
    body: Body
    rest_m: np.ndarray
    """(J, 3) joints of the lifted rest pose"""
    lift_m: float


@dataclass(frozen=True)
class _Style:
    bone_names: tuple[str, ...]
    root_motion: RootMotion
    mesh: bool


def write_glb(
    path: str | os.PathLike[str],
    motions: Sequence[Motion],
    bodies: Mapping[str, Body],
    *,
    bone_names: str = "smpl",
    root_motion: RootMotion = "root",
    mesh: bool = True,
) -> None:
    """Write motions as one .glb, whole or not at all.  Equal input gives equal bytes.

    Motions of one person with one body and shape share an armature and become several animations.
    Motions of different people that share a clip name share one animation and keep their timing
    to each other; every animation starts at t = 0 (the time taken off is `start_s` in its extras).

    Args:
        path: the file.
        motions: at least one, all of SMPL's 24 joints or all of SMPL-H's 52.
        bodies: the body of every motion, by name.
        bone_names: a scheme of `bone_names.BONE_NAMES`.
        root_motion: "root": horizontal travel on the root bone, height on the pelvis;
            "pelvis": all travel on the pelvis; "in-place": the horizontal travel is removed, and
            people who share an animation stay where they were when they first appeared.
        mesh: False writes a thin octahedron per bone instead of the body.

    Raises:
        OutputError: the file cannot be written.
        MotionError: a motion's skeleton is neither, or not that of its body.
        ValueError: no motions, an unknown scheme or kind of root motion, a body that is missing.
    """
    style = _checked_style(motions, bodies, bone_names, root_motion, mesh)
    data = _encode(_characters(motions, bodies), style)
    with replace_atomically(path) as temporary:
        temporary.write_bytes(data)


def _checked_style(
    motions: Sequence[Motion],
    bodies: Mapping[str, Body],
    bone_names: str,
    root_motion: RootMotion,
    mesh: bool,
) -> _Style:
    if not motions:
        raise ValueError("motions must hold at least one")
    if bone_names not in BONE_NAMES:
        raise ValueError(f"bone_names must be one of {', '.join(BONE_NAMES)}, got {bone_names!r}")
    if root_motion not in ROOT_MOTIONS:
        kinds = ", ".join(ROOT_MOTIONS)
        raise ValueError(f"root_motion must be one of {kinds}, got {root_motion!r}")
    for motion in motions:
        if motion.body not in bodies:
            raise ValueError(f"bodies lacks {motion.body!r}, the body of clip {motion.name!r}")
        names = motion.skeleton.names
        if names not in (SMPL.names, WITH_FINGERS.names):
            raise MotionError(f"clip {motion.name!r} has another skeleton than SMPL's.")
        if names != bodies[motion.body].skeleton.names or names != motions[0].skeleton.names:
            raise MotionError(f"clip {motion.name!r} has another skeleton than its body.")
    return _Style(bone_names_of(bone_names, motions[0].skeleton), root_motion, mesh)


def _characters(motions: Sequence[Motion], bodies: Mapping[str, Body]) -> list[_Character]:
    groups: dict[tuple[Any, ...], list[Motion]] = {}
    for motion in motions:
        key = (motion.person, motion.body, motion.betas.tobytes(), motion.rest_joints_m.tobytes())
        groups.setdefault(key, []).append(motion)
    names: list[str] = []
    return [
        _character(_unused(f"person-{group[0].person}", names), group, bodies[group[0].body])
        for group in groups.values()
    ]


def _character(name: str, motions: Sequence[Motion], body: Body) -> _Character:
    first = motions[0]
    difference_m = abs(body.rest_joints_m(first.betas) - first.rest_joints_m).max()
    if difference_m > _REST_TOLERANCE_M:
        raise MotionError(
            f"clip {first.name!r}: its rest joints are {difference_m * 1000:.0f} mm off those of "
            f"body {body.name}.",
            "Convert the video again with this body.",
        )
    lift_m = -float(body.rest_vertices_m(first.betas)[:, 1].min())
    rest_m = first.rest_joints_m + np.array([0, lift_m, 0])
    return _Character(name, tuple(motions), body, rest_m, lift_m)


def _encode(characters: Sequence[_Character], style: _Style) -> bytes:
    from pygltflib import GLTF2, Asset, Scene

    document = GLTF2(asset=Asset(generator=f"staf-backend {__version__}"), scene=0)
    document.scenes = [Scene(nodes=[])]
    buffer = Buffer(document)
    joints = [_add_character(document, buffer, c, k, style) for k, c in enumerate(characters)]
    _add_animations(document, buffer, characters, joints, style)
    buffer.finish()
    return b"".join(document.save_to_bytes())


def _add_character(
    document: Any, buffer: Buffer, character: _Character, place: int, style: _Style
) -> list[int]:
    """Nodes, skin and mesh of one person; returns the joints' node numbers, the root's first."""
    from pygltflib import Mesh, Node, Skin

    armature = len(document.nodes)
    document.nodes.append(Node(name=character.name, children=[armature + 1]))
    joints = _add_bones(document, character, style.bone_names)
    bind = np.tile(np.eye(4, dtype=np.float32), (len(joints), 1, 1))
    bind[1:, :3, 3] = -character.rest_m
    skin = Skin(name=character.name, inverseBindMatrices=buffer.add(bind), joints=joints)
    skin.skeleton = joints[0]
    name = f"{character.name}-body"
    primitive = _add_primitive(buffer, _mesh_of(character, style), len(document.materials))
    document.materials.append(_material(name, place))
    document.meshes.append(Mesh(name=name, primitives=[primitive], extras=_shape_extras(character)))
    document.skins.append(skin)
    document.nodes.append(Node(name=name, mesh=place, skin=place))
    document.scenes[0].nodes += [armature, len(document.nodes) - 1]
    return joints


def _add_bones(document: Any, character: _Character, names: Sequence[str]) -> list[int]:
    from pygltflib import Node

    first = len(document.nodes)
    document.nodes.append(Node(name=ROOT_BONE, children=[first + 1]))
    for joint, name in enumerate(names):
        parents = character.body.skeleton.parents
        children = [first + 1 + c for c, parent in enumerate(parents) if parent == joint]
        rest = _rest_offset_m(character, joint)
        document.nodes.append(Node(name=name, translation=rest.tolist(), children=children))
    return list(range(first, first + 1 + len(names)))


def _rest_offset_m(character: _Character, joint: int) -> np.ndarray:
    """(3,) a joint's place relative to its parent's in the rest pose; the pelvis' to the root."""
    parent = character.body.skeleton.parents[joint]
    return character.rest_m[joint] - (character.rest_m[parent] if parent >= 0 else 0)


def _mesh_of(character: _Character, style: _Style) -> SkinnedMesh:
    if not style.mesh:
        return proxy_mesh(character.rest_m, character.body.skeleton.parents)
    mesh = body_mesh(character.body, character.motions[0].betas)
    lifted = mesh.positions_m + np.array([0, character.lift_m, 0], np.float32)
    return dataclasses.replace(mesh, positions_m=lifted)


def _add_primitive(buffer: Buffer, mesh: SkinnedMesh, material: int) -> Any:
    from pygltflib import Attributes, Primitive

    attributes = Attributes(
        POSITION=buffer.add(mesh.positions_m, target=VERTICES, bounds=True),
        NORMAL=buffer.add(mesh.normals, target=VERTICES),
        JOINTS_0=buffer.add(mesh.joints, target=VERTICES),
        WEIGHTS_0=buffer.add(mesh.weights, target=VERTICES, normalized=True),
    )
    if mesh.uvs is not None:
        attributes.TEXCOORD_0 = buffer.add(mesh.uvs, target=VERTICES)
    indices = buffer.add(mesh.triangles.reshape(-1), target=INDICES)
    return Primitive(attributes=attributes, indices=indices, material=material)


def _material(name: str, place: int) -> Any:
    """Matt clay; each further person in the file has another hue."""
    from pygltflib import Material, PbrMetallicRoughness

    encoded = colorsys.hsv_to_rgb((_CLAY_HUE + place * _GOLDEN_TURN) % 1, 0.30, 0.78)
    linear = [round(value**2.2, 4) for value in encoded]
    surface = PbrMetallicRoughness(
        baseColorFactor=[*linear, 1.0], metallicFactor=0.0, roughnessFactor=0.75
    )
    return Material(name=name, pbrMetallicRoughness=surface, alphaCutoff=None)


def _add_animations(
    document: Any,
    buffer: Buffer,
    characters: Sequence[_Character],
    joints: Sequence[list[int]],
    style: _Style,
) -> None:
    from pygltflib import Animation

    for name, members in _animations(characters).items():
        start_s = min(float(motion.times_s[0]) for _, motion in members)
        extras = _animation_extras(members, characters, start_s)
        animation = Animation(name=name, extras=extras | {"root_motion": style.root_motion})
        first_m = members[0][1].root_m[0] - characters[members[0][0]].rest_m[0]
        for place, motion in members:
            character, root_motion = characters[place], style.root_motion
            travel = _travel(motion.root_m, character.rest_m[0], root_motion, first_m)
            tracks = _tracks(character, motion, joints[place], travel)
            times_s = (motion.times_s - start_s).astype(np.float32)
            _add_channels(animation, buffer, times_s, tracks)
        document.animations.append(animation)


def _animations(characters: Sequence[_Character]) -> dict[str, list[tuple[int, Motion]]]:
    """Clips by animation name: different people may share one, one person's never do."""
    animations: dict[str, list[tuple[int, Motion]]] = {}
    for place, character in enumerate(characters):
        used: list[str] = []
        for motion in character.motions:
            name = _unused(motion.name, used)
            animations.setdefault(name, []).append((place, motion))
    return animations


def _tracks(
    character: _Character,
    motion: Motion,
    joints: Sequence[int],
    travel_m: tuple[np.ndarray, np.ndarray],
) -> Iterator[tuple[int, str, np.ndarray]]:
    """(node, path, values) of all keyed properties; what stays as in the rest pose is left out.

    One after another, so that the copies of a long clip do not add up.
    """
    rest_m = (np.zeros(3), character.rest_m[0])
    for node, values, rest in zip(joints[:2], travel_m, rest_m, strict=True):
        if (values.astype(np.float32) != rest.astype(np.float32)).any():
            yield node, "translation", values
    for j, node in enumerate(joints[1:]):
        quaternions = continuous_signs(motion.rotations_wxyz[:, j].astype(np.float64))
        quaternions /= np.linalg.norm(quaternions, axis=-1, keepdims=True)
        yield node, "rotation", np.roll(quaternions, -1, axis=-1)


def _travel(
    pelvis_m: np.ndarray, rest_m: np.ndarray, root_motion: RootMotion, first_m: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Keys (T, 3) of the root bone and of the pelvis in it; but for "in-place" they add up to
    `pelvis_m`.

    The root stays on the ground plane y = 0, below where the pelvis' rest place would be.  In
    place, it stands where it began, seen from where the animation's first person began, `first_m`.
    """
    if root_motion == "pelvis":
        return np.zeros_like(pelvis_m), pelvis_m
    ground = np.array([1.0, 0.0, 1.0])
    local_m = np.where(ground > 0, rest_m, pelvis_m)
    travel_m = (pelvis_m - rest_m) * ground
    if root_motion == "in-place":
        travel_m[:] = travel_m[0] - first_m * ground
    return travel_m, local_m


def _add_channels(
    animation: Any,
    buffer: Buffer,
    times_s: np.ndarray,
    tracks: Iterable[tuple[int, str, np.ndarray]],
) -> None:
    from pygltflib import AnimationChannel, AnimationChannelTarget, AnimationSampler

    keys = buffer.add(times_s, bounds=True)
    for node, path, values in tracks:
        output = buffer.add(values.astype(np.float32))
        target = AnimationChannelTarget(node=node, path=path)
        channel = AnimationChannel(sampler=len(animation.samplers), target=target)
        animation.channels.append(channel)
        animation.samplers.append(
            AnimationSampler(input=keys, output=output, interpolation="LINEAR")
        )


def _shape_extras(character: _Character) -> dict[str, Any]:
    first = character.motions[0]
    return {"body": first.body, "gender": first.gender, "betas": first.betas.tolist()}


def _animation_extras(
    members: list[tuple[int, Motion]], characters: Sequence[_Character], start_s: float
) -> dict[str, Any]:
    """Where an animation comes from and how good it is, one entry a person."""
    people = {characters[place].name: _motion_extras(motion) for place, motion in members}
    return {"start_s": start_s, "people": people, "version": members[0][1].version}


def _motion_extras(motion: Motion) -> dict[str, Any]:
    camera = motion.camera
    return {
        "estimator": motion.estimator,
        "source": motion.source,
        "source_fps": motion.source_fps,
        "person": motion.person,
        "body": motion.body,
        "quality": dict(motion.quality),
        "card": dict(motion.card),
        "observed_keys": int(motion.observed.sum()),
        "focal_px": camera.focal_px,
        "focal_assumed": camera.focal_assumed,
        "focal_source": camera.focal_source,
        "image_px": [camera.width_px, camera.height_px],
    }


def _unused(name: str, used: list[str]) -> str:
    """`name`, or with -2, -3 ... where it is taken; remembers what it gave."""
    candidate, number = name, 1
    while candidate in used:
        number += 1
        candidate = f"{name}-{number}"
    used.append(candidate)
    return candidate
