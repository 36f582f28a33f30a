"""Characters as files want them: skeletons in their rest pose, and the clips that move them.

    person-1            armature
    └── root            a bone on the ground, between the feet in the rest pose
        └── Pelvis ─ L_Hip, R_Hip, Spine1 ...        SMPL's tree

Metres, y up.  The rest pose is the body's T-pose with the shape baked in, lifted so that its soles
are at y = 0; all rotations of it are the identity.
"""

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from staf_backend.body import WITH_FINGERS, Body
from staf_backend.choices import LOOKS, ROOT_MOTIONS, Look, RootMotion
from staf_backend.export.bone_names import BONE_NAMES, bone_names_of
from staf_backend.export.mesh import SkinnedMesh, body_mesh, proxy_mesh
from staf_backend.geometry import SMPL, continuous_signs
from staf_backend.motion import Motion, MotionError

_REST_TOLERANCE_M = 1e-3
"""That a motion's rest joints may be off its body's.  Chosen: what nobody sees."""


@dataclass(frozen=True, eq=False)
class Character:
    """One armature with its mesh, and the clips that move it."""

    name: str
    motions: tuple[Motion, ...]
    body: Body
    rest_m: np.ndarray
    """(J, 3) joints of the lifted rest pose"""
    lift_m: float

    def rest_offset_m(self, joint: int) -> np.ndarray:
        """(3,) a joint's place relative to its parent's in the rest pose; the pelvis' to the
        root."""
        parent = self.body.skeleton.parents[joint]
        return self.rest_m[joint] - (self.rest_m[parent] if parent >= 0 else 0)

    def children(self, joint: int) -> list[int]:
        """The joints that hang on one."""
        return [child for child, p in enumerate(self.body.skeleton.parents) if p == joint]

    def mesh(self, style: "Style") -> SkinnedMesh:
        """The body in its lifted rest pose, coloured where it is textured; or a thin octahedron per
        bone."""
        if not style.mesh:
            return proxy_mesh(self.rest_m, self.body.skeleton.parents)
        coloured = style.look == "textured"
        mesh = body_mesh(self.body, self.motions[0].betas, coloured=coloured)
        lifted = mesh.positions_m + np.array([0, self.lift_m, 0], np.float32)
        return dataclasses.replace(mesh, positions_m=lifted)


@dataclass(frozen=True)
class Style:
    """What all characters of a file have in common: see `gltf.write_glb`."""

    bone_names: tuple[str, ...]
    root_motion: RootMotion
    mesh: bool
    look: Look


def checked_style(
    motions: Sequence[Motion],
    bodies: Mapping[str, Body],
    bone_names: str,
    root_motion: RootMotion,
    mesh: bool,
    look: Look,
) -> Style:
    """The style that the words make, for these motions.

    Raises:
        MotionError: a motion's skeleton is neither SMPL's nor SMPL-H's, or not that of its body.
        ValueError: no motions, an unknown scheme, look or kind of root motion, or a body that
            is missing.
    """
    if not motions:
        raise ValueError("motions must hold at least one")
    if bone_names not in BONE_NAMES:
        raise ValueError(f"bone_names must be one of {', '.join(BONE_NAMES)}, got {bone_names!r}")
    if root_motion not in ROOT_MOTIONS:
        kinds = ", ".join(ROOT_MOTIONS)
        raise ValueError(f"root_motion must be one of {kinds}, got {root_motion!r}")
    if look not in LOOKS:
        raise ValueError(f"look must be one of {', '.join(LOOKS)}, got {look!r}")
    for motion in motions:
        if motion.body not in bodies:
            raise ValueError(f"bodies lacks {motion.body!r}, the body of clip {motion.name!r}")
        names = motion.skeleton.names
        if names not in (SMPL.names, WITH_FINGERS.names):
            raise MotionError(f"clip {motion.name!r} has another skeleton than SMPL's.")
        if names != bodies[motion.body].skeleton.names or names != motions[0].skeleton.names:
            raise MotionError(f"clip {motion.name!r} has another skeleton than its body.")
    return Style(bone_names_of(bone_names, motions[0].skeleton), root_motion, mesh, look)


def characters(motions: Sequence[Motion], bodies: Mapping[str, Body]) -> list[Character]:
    """Motions of one person with one body and shape share a character.

    Raises:
        MotionError: a motion's rest joints are not those of its body.
    """
    groups: dict[tuple[Any, ...], list[Motion]] = {}
    for motion in motions:
        key = (motion.person, motion.body, motion.betas.tobytes(), motion.rest_joints_m.tobytes())
        groups.setdefault(key, []).append(motion)
    names: list[str] = []
    return [
        _character(unused(f"person-{group[0].person}", names), group, bodies[group[0].body])
        for group in groups.values()
    ]


def _character(name: str, motions: Sequence[Motion], body: Body) -> Character:
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
    return Character(name, tuple(motions), body, rest_m, lift_m)


def clips(cast: Sequence[Character]) -> dict[str, list[tuple[int, Motion]]]:
    """Place in the cast and motion of each clip, by name: different people may share one, one
    person's never do."""
    found: dict[str, list[tuple[int, Motion]]] = {}
    for place, character in enumerate(cast):
        used: list[str] = []
        for motion in character.motions:
            name = unused(motion.name, used)
            found.setdefault(name, []).append((place, motion))
    return found


def travel(
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


def quaternions_wxyz(rotations_wxyz: np.ndarray) -> np.ndarray:
    """(T, 4) float64 of one joint: unit, without jumps of sign."""
    quaternions = continuous_signs(rotations_wxyz.astype(np.float64))
    return quaternions / np.linalg.norm(quaternions, axis=-1, keepdims=True)


def unused(name: str, used: list[str]) -> str:
    """`name`, or with -2, -3 ... where it is taken; remembers what it gave."""
    candidate, number = name, 1
    while candidate in used:
        number += 1
        candidate = f"{name}-{number}"
    used.append(candidate)
    return candidate
