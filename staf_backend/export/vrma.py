"""Motions to VRM animations (.vrma), which play on any VRM character.

A binary glTF of a bare skeleton in its T-pose, facing +z, whose nodes the extension
`VRMC_vrm_animation` 1.0 gives the names of VRM 1.0's humanoid bones.  The hips carry all travel,
the only one that a VRM animation has.  The palm joints of a body without fingers are left out: they
would bend the middle finger alone.

Source: https://github.com/vrm-c/vrm-specification, VRMC_vrm_animation-1.0.
"""

import os
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from staf_backend import __version__
from staf_backend.body import Body
from staf_backend.choices import RootMotion
from staf_backend.export.bone_names import bone_names_of
from staf_backend.export.character import Character, characters, quaternions_wxyz, travel
from staf_backend.export.gltf import add_bone, add_channels, animation_extras
from staf_backend.export.gltf_buffer import collected
from staf_backend.files import replace_atomically
from staf_backend.geometry import SMPL
from staf_backend.motion import Motion

_EXTENSION = "VRMC_vrm_animation"
_PALMS = ("L_Hand", "R_Hand")


def write_vrma(
    path: str | os.PathLike[str], motion: Motion, body: Body, *, root_motion: RootMotion = "root"
) -> None:
    """Write one motion, whole or not at all.  Equal input gives equal bytes.

    Args:
        path: the file.
        motion: of SMPL's 24 joints or SMPL-H's 52; its first key is at 0 s.
        body: the motion's.
        root_motion: "in-place" leaves the travel over the ground out; else the hips have it.

    Raises:
        OutputError: the file cannot be written.
        MotionError: the motion is of another body.
        ValueError: another skeleton.
    """
    from pygltflib import GLTF2, Animation, Asset, Scene

    names = bone_names_of("vrm", motion.skeleton)
    (character,) = characters([motion], {motion.body: body})
    document = GLTF2(asset=Asset(generator=f"staf-backend {__version__}"), scene=0)
    kept = [j for j, name in enumerate(motion.skeleton.names) if name not in _left_out(motion)]
    nodes = _add_skeleton(document, character, kept, names)
    document.scenes = [Scene(nodes=[nodes[0]])]
    bones = {names[joint]: {"node": node} for joint, node in nodes.items()}
    document.extensions = {_EXTENSION: {"specVersion": "1.0", "humanoid": {"humanBones": bones}}}
    document.extensionsUsed = [_EXTENSION]
    start_s = float(motion.times_s[0])
    extras = animation_extras([(0, motion)], [character], start_s)
    animation = Animation(name=motion.name, extras=extras)
    rest_m = character.rest_m[0]
    hips_m = np.add(*travel(motion.root_m, rest_m, root_motion, motion.root_m[0] - rest_m))
    times_s = (motion.times_s - start_s).astype(np.float32)
    document.animations.append(animation)
    with (
        replace_atomically(path) as temporary,
        collected(document, temporary.parent) as buffer,
    ):
        add_channels(animation, buffer, times_s, _tracks(motion, nodes, hips_m))
        buffer.write(temporary)


def _tracks(
    motion: Motion, nodes: dict[int, int], hips_m: np.ndarray
) -> Iterator[tuple[int, str, np.ndarray]]:
    """(node, path, values) of the hips' way and of all joints that have a node."""
    yield nodes[0], "translation", hips_m
    for joint, node in nodes.items():
        turns = quaternions_wxyz(motion.rotations_wxyz[:, joint])
        yield node, "rotation", np.roll(turns, -1, axis=-1)


def _left_out(motion: Motion) -> tuple[str, ...]:
    return _PALMS if motion.skeleton.names == SMPL.names else ()


def _add_skeleton(
    document: Any, character: Character, kept: Sequence[int], names: Sequence[str]
) -> dict[int, int]:
    """A node for each joint that is kept; joint -> node."""
    nodes = {joint: node for node, joint in enumerate(kept)}
    for joint in kept:
        children = [nodes[child] for child in character.children(joint) if child in nodes]
        add_bone(document, names[joint], character.rest_offset_m(joint), children)
    return nodes
