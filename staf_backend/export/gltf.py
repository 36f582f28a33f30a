"""Motions to binary glTF (.glb): skeletons, skinned bodies, one animation per clip.

    scene
    ├── person-1            armature, at identity
    │   └── root            a bone on the ground, between the feet in the rest pose
    │       └── Pelvis ─ L_Hip, R_Hip, Spine1 ...        SMPL's tree
    └── person-1-body       skinned mesh, at the scene's root as glTF asks

Metres, y up.  The rest pose is the body's T-pose with the shape baked in, lifted so that its
soles are at y = 0 and `root` is on the ground below it; the keys put the pelvis where the motion
says.  Rotations are keyed on all joints, translation on `root` and the pelvis alone, scale never.
The skin is coloured at its vertices (COLOR_0) or of clay, in another hue for each person.
SMPL's pose blend shapes cannot be carried by glTF and are left out.
"""

import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from staf_backend import __version__
from staf_backend.body import CLAY_ROUGHNESS, SKIN_ROUGHNESS, Body, clay
from staf_backend.choices import Look, RootMotion
from staf_backend.export.bone_names import ROOT_BONE
from staf_backend.export.character import (
    Character,
    Style,
    characters,
    checked_style,
    clips,
    quaternions_wxyz,
    travel,
)
from staf_backend.export.gltf_buffer import INDICES, VERTICES, Buffer, collected
from staf_backend.export.mesh import SkinnedMesh
from staf_backend.files import give_back_pages, replace_atomically
from staf_backend.motion import Motion


def write_glb(
    path: str | os.PathLike[str],
    motions: Sequence[Motion],
    bodies: Mapping[str, Body],
    *,
    bone_names: str = "smpl",
    root_motion: RootMotion = "root",
    mesh: bool = True,
    look: Look = "textured",
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
        look: "textured" gives vertices the colours of `body.skin_colours`; "clay", and what is no
            body, has one colour, another for each person.

    Raises:
        OutputError: the file cannot be written.
        MotionError: a motion's skeleton is neither, or not that of its body.
        ValueError: no motions, an unknown scheme, look or kind of root motion, or a body that
            is missing.
    """
    style = checked_style(motions, bodies, bone_names, root_motion, mesh, look)
    cast = characters(motions, bodies)
    with replace_atomically(path) as temporary:
        _write(temporary, cast, style)


def _write(path: Path, cast: Sequence[Character], style: Style) -> None:
    from pygltflib import GLTF2, Asset, Scene

    document = GLTF2(asset=Asset(generator=f"staf-backend {__version__}"), scene=0)
    document.scenes = [Scene(nodes=[])]
    with collected(document, path.parent) as buffer:
        joints = [_add_character(document, buffer, c, k, style) for k, c in enumerate(cast)]
        _add_animations(document, buffer, cast, joints, style)
        buffer.write(path)


def _add_character(
    document: Any, buffer: Buffer, character: Character, place: int, style: Style
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
    mesh = character.mesh(style)
    primitive = _add_primitive(buffer, mesh, len(document.materials))
    document.materials.append(_material(name, place, textured=mesh.colours is not None))
    document.meshes.append(Mesh(name=name, primitives=[primitive], extras=_shape_extras(character)))
    document.skins.append(skin)
    document.nodes.append(Node(name=name, mesh=place, skin=place))
    document.scenes[0].nodes += [armature, len(document.nodes) - 1]
    return joints


def _add_bones(document: Any, character: Character, names: Sequence[str]) -> list[int]:
    first = len(document.nodes)
    add_bone(document, ROOT_BONE, None, [first + 1])
    for joint, name in enumerate(names):
        children = [first + 1 + child for child in character.children(joint)]
        rest = character.rest_offset_m(joint)
        add_bone(document, name, rest, children)
    return list(range(first, first + 1 + len(names)))


def add_bone(document: Any, name: str, rest_m: np.ndarray | None, children: list[int]) -> None:
    """Append a node: its place (3,) in its parent in the rest pose, and its children's numbers."""
    from pygltflib import Node

    place = None if rest_m is None else rest_m.tolist()
    document.nodes.append(Node(name=name, translation=place, children=children))


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
    if mesh.colours is not None:
        attributes.COLOR_0 = buffer.add(mesh.colours, target=VERTICES, normalized=True)
    indices = buffer.add(mesh.triangles.reshape(-1), target=INDICES)
    return Primitive(attributes=attributes, indices=indices, material=material)


def _material(name: str, place: int, *, textured: bool) -> Any:
    """White, which the vertices' colours are multiplied with, or clay."""
    from pygltflib import Material, PbrMetallicRoughness

    surface = PbrMetallicRoughness(
        baseColorFactor=[1.0] * 4 if textured else [*clay(place), 1.0],
        metallicFactor=0.0,
        roughnessFactor=SKIN_ROUGHNESS if textured else CLAY_ROUGHNESS,
    )
    return Material(name=name, pbrMetallicRoughness=surface, alphaCutoff=None)


def _add_animations(
    document: Any,
    buffer: Buffer,
    cast: Sequence[Character],
    joints: Sequence[list[int]],
    style: Style,
) -> None:
    from pygltflib import Animation

    for name, members in clips(cast).items():
        start_s = min(float(motion.times_s[0]) for _, motion in members)
        extras = animation_extras(members, cast, start_s)
        animation = Animation(name=name, extras=extras | {"root_motion": style.root_motion})
        first_m = members[0][1].root_m[0] - cast[members[0][0]].rest_m[0]
        for place, motion in members:
            character, root_motion = cast[place], style.root_motion
            moved = travel(motion.root_m, character.rest_m[0], root_motion, first_m)
            tracks = _tracks(character, motion, joints[place], moved)
            times_s = (motion.times_s - start_s).astype(np.float32)
            add_channels(animation, buffer, times_s, tracks)
        document.animations.append(animation)


def _tracks(
    character: Character,
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
        yield node, "rotation", np.roll(quaternions_wxyz(motion.rotations_wxyz[:, j]), -1, axis=-1)


def add_channels(
    animation: Any,
    buffer: Buffer,
    times_s: np.ndarray,
    tracks: Iterable[tuple[int, str, np.ndarray]],
) -> None:
    """Key properties of nodes: tracks of (node, path, values) at times (T,) in float32."""
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
        give_back_pages()


def _shape_extras(character: Character) -> dict[str, Any]:
    first = character.motions[0]
    return {"body": first.body, "gender": first.gender, "betas": first.betas.tolist()}


def animation_extras(
    members: list[tuple[int, Motion]], cast: Sequence[Character], start_s: float
) -> dict[str, Any]:
    """Where an animation comes from and how good it is, one entry a person."""
    people = {cast[place].name: motion_extras(motion) for place, motion in members}
    return {"start_s": start_s, "people": people, "version": members[0][1].version}


def motion_extras(motion: Motion) -> dict[str, Any]:
    """What a file of characters says of one motion."""
    camera = motion.camera
    return {
        "estimator": motion.estimator,
        **({"configuration": motion.configuration} if motion.configuration else {}),
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
