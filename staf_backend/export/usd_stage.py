"""The stage of a USD file: what `usd.write_usd` puts on it, and how.  Needs usd-core."""
# its types are told to nobody
# pyright: reportAttributeAccessIssue=false

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from pxr import Gf, Sdf, Tf, Usd, UsdGeom, UsdShade, UsdSkel, Vt

from staf_backend import __version__
from staf_backend.body import CLAY_ROUGHNESS, SKIN_ROUGHNESS, clay
from staf_backend.export.bone_names import ROOT_BONE
from staf_backend.export.character import Character, Style, quaternions_wxyz, travel
from staf_backend.export.constant_rate import nearest_rate
from staf_backend.export.gltf import motion_extras
from staf_backend.export.mesh import SkinnedMesh
from staf_backend.files import OutputError
from staf_backend.motion import Motion

_WHOLE = 0.01
"""Of a frame: keys this near to a whole time code are on it.  Chosen: time stamps are rounded."""


def write_stage(temporary: Path, path: Path, cast: Sequence[Character], style: Style) -> None:
    try:
        stage = Usd.Stage.CreateNew(str(temporary))
        UsdGeom.SetStageUpAxis(stage, UsdGeom.Tokens.y)
        UsdGeom.SetStageMetersPerUnit(stage, 1.0)
        stage.GetRootLayer().documentation = f"staf-backend {__version__}"
        top = UsdGeom.Xform.Define(stage, "/characters")
        stage.SetDefaultPrim(top.GetPrim())
        clock = _Clock(stage, [motion for one in cast for motion in one.motions])
        for place, character in enumerate(cast):
            _add_character(stage, character, place, style, clock)
        stage.GetRootLayer().Save()
    except Tf.ErrorException as error:
        reason = str(error).strip().split("\n")[0]
        raise OutputError(f"cannot write {path}: {reason}", "Choose another place.") from error


class _Clock:
    """From seconds of the clip to the stage's time codes.

    Args:
        stage: gets its rate and range.
        motions: all of it.
    """

    def __init__(self, stage: Any, motions: Sequence[Motion]) -> None:
        self.start_s = min(float(motion.times_s[0]) for motion in motions)
        self.rate = nearest_rate(motions[0].times_s)
        self.end = max(float(self.codes(motion)[-1]) for motion in motions)
        stage.SetTimeCodesPerSecond(self.rate)
        stage.SetFramesPerSecond(self.rate)
        stage.SetStartTimeCode(0.0)
        stage.SetEndTimeCode(self.end)

    def codes(self, motion: Motion) -> np.ndarray:
        """(T,) of a motion's keys; whole numbers where a key is next to one."""
        codes = (motion.times_s - self.start_s) * self.rate
        whole = np.round(codes)
        return np.where(abs(codes - whole) < _WHOLE, whole, codes)


def _add_character(
    stage: Any, character: Character, place: int, style: Style, clock: _Clock
) -> None:
    path = f"/characters/{Tf.MakeValidIdentifier(character.name)}"
    root = UsdSkel.Root.Define(stage, path)
    told = {motion.name: motion_extras(motion) for motion in character.motions}
    root.GetPrim().SetCustomDataByKey("staf", json.dumps(told))
    _add_visibility(root, character, clock)
    joints = _joint_paths(character, [Tf.MakeValidIdentifier(name) for name in style.bone_names])
    skeleton = _add_skeleton(stage, f"{path}/skeleton", character, joints)
    animation = _add_animation(stage, f"{path}/animation", character, joints, style, clock)
    UsdSkel.BindingAPI.Apply(skeleton.GetPrim()).CreateAnimationSourceRel().SetTargets(
        [animation.GetPath()]
    )
    shape = character.mesh(style)
    body = _add_mesh(stage, f"{path}/body", shape, skeleton)
    _add_material(stage, f"{path}/material", body, place, textured=shape.colours is not None)


def _joint_paths(character: Character, names: Sequence[str]) -> list[str]:
    """As USD names joints: each with all above it, the root bone first."""
    paths = [ROOT_BONE]
    for name, parent in zip(names, character.body.skeleton.parents, strict=True):
        paths.append(f"{paths[parent + 1]}/{name}")
    return paths


def _add_visibility(root: Any, character: Character, clock: _Clock) -> None:
    """Hide the character where it has no motion."""
    spans = sorted((clock.codes(motion)[[0, -1]] for motion in character.motions), key=min)
    shown = {float(first): "inherited" for first, _ in spans}
    for (_, last), following in zip(spans, [*(first for first, _ in spans[1:]), clock.end + 1]):
        if last + 1 < following:
            shown[float(last) + 1] = "invisible"
    if min(shown) > 0:
        shown[0.0] = "invisible"
    if "invisible" in shown.values():
        visibility = root.CreateVisibilityAttr()
        for code, word in sorted(shown.items()):
            visibility.Set(word, code)


def _add_skeleton(stage: Any, path: str, character: Character, joints: Sequence[str]) -> Any:
    rest_m = np.concatenate([np.zeros((1, 3)), character.rest_m])
    local_m = [np.zeros(3)]
    local_m += [character.rest_offset_m(joint) for joint in range(len(character.rest_m))]
    skeleton = UsdSkel.Skeleton.Define(stage, path)
    skeleton.CreateJointsAttr(joints)
    for create, places in (
        (skeleton.CreateBindTransformsAttr, rest_m),
        (skeleton.CreateRestTransformsAttr, local_m),
    ):
        create([Gf.Matrix4d(1.0).SetTranslate(Gf.Vec3d(*map(float, one))) for one in places])
    return skeleton


def _add_animation(
    stage: Any, path: str, character: Character, joints: Sequence[str], style: Style, clock: _Clock
) -> Any:
    animation = UsdSkel.Animation.Define(stage, path)
    animation.CreateJointsAttr(joints)
    animation.CreateScalesAttr(Vt.Vec3hArray.FromNumpy(np.ones((len(joints), 3), np.float16)))
    places, turns = animation.CreateTranslationsAttr(), animation.CreateRotationsAttr()
    for code, place_m, turn_xyzw in _poses(character, style, clock):
        places.Set(Vt.Vec3fArray.FromNumpy(place_m), code)
        turns.Set(Vt.QuatfArray.FromNumpy(turn_xyzw), code)
    return animation


def _poses(
    character: Character, style: Style, clock: _Clock
) -> Iterator[tuple[float, np.ndarray, np.ndarray]]:
    """Time code, translations (J + 1, 3) and rotations (J + 1, 4) of each key, the root's first."""
    count, rest_m = len(character.rest_m), character.rest_m[0]
    local_m = np.zeros((count + 1, 3), np.float32)
    local_m[1:] = [character.rest_offset_m(joint) for joint in range(count)]
    for motion in sorted(character.motions, key=lambda one: one.times_s[0]):
        first_m = character.motions[0].root_m[0] - rest_m
        root_m, pelvis_m = travel(motion.root_m, rest_m, style.root_motion, first_m)
        joints = [quaternions_wxyz(motion.rotations_wxyz[:, joint]) for joint in range(count)]
        still = np.tile([1.0, 0.0, 0.0, 0.0], (len(root_m), 1))
        turns = np.roll(np.stack([still, *joints], 1), -1, axis=-1).astype(np.float32)
        for key, code in enumerate(clock.codes(motion)):
            local_m[0], local_m[1] = root_m[key], pelvis_m[key]
            yield float(code), local_m, turns[key]


def _add_mesh(stage: Any, path: str, shape: SkinnedMesh, skeleton: Any) -> Any:
    triangles = shape.triangles.astype(np.int32)
    mesh = UsdGeom.Mesh.Define(stage, path)
    mesh.CreateSubdivisionSchemeAttr(UsdGeom.Tokens.none)
    mesh.CreatePointsAttr(Vt.Vec3fArray.FromNumpy(shape.positions_m))
    mesh.CreateExtentAttr(
        [tuple(map(float, f(shape.positions_m, axis=0))) for f in (np.min, np.max)]
    )
    mesh.CreateFaceVertexCountsAttr(Vt.IntArray.FromNumpy(np.full(len(triangles), 3, np.int32)))
    mesh.CreateFaceVertexIndicesAttr(Vt.IntArray.FromNumpy(triangles.reshape(-1)))
    mesh.CreateNormalsAttr(Vt.Vec3fArray.FromNumpy(shape.normals))
    mesh.SetNormalsInterpolation(UsdGeom.Tokens.vertex)
    if shape.uvs is not None:
        kind = Sdf.ValueTypeNames.TexCoord2fArray
        st = UsdGeom.PrimvarsAPI(mesh).CreatePrimvar("st", kind, UsdGeom.Tokens.vertex)
        lower_left = (shape.uvs * [1, -1] + [0, 1]).astype(np.float32)
        st.Set(Vt.Vec2fArray.FromNumpy(lower_left))
    if shape.colours is not None:
        colour = mesh.CreateDisplayColorPrimvar(UsdGeom.Tokens.vertex)
        colour.Set(Vt.Vec3fArray.FromNumpy(shape.colours[:, :3] / np.float32(255)))
    weights = (shape.weights / np.float32(65535)).astype(np.float32)
    binding = UsdSkel.BindingAPI.Apply(mesh.GetPrim())
    binding.CreateSkeletonRel().SetTargets([skeleton.GetPath()])
    binding.CreateJointIndicesPrimvar(False, 4).Set(
        Vt.IntArray.FromNumpy(shape.joints.astype(np.int32).reshape(-1))
    )
    binding.CreateJointWeightsPrimvar(False, 4).Set(Vt.FloatArray.FromNumpy(weights.reshape(-1)))
    return mesh


def _add_material(stage: Any, path: str, mesh: Any, place: int, *, textured: bool) -> None:
    material = UsdShade.Material.Define(stage, path)
    shader = UsdShade.Shader.Define(stage, f"{path}/surface")
    shader.CreateIdAttr("UsdPreviewSurface")
    colour, number = Sdf.ValueTypeNames.Color3f, Sdf.ValueTypeNames.Float
    diffuse = shader.CreateInput("diffuseColor", colour)
    shader.CreateInput("roughness", number).Set(SKIN_ROUGHNESS if textured else CLAY_ROUGHNESS)
    if textured:
        reader = UsdShade.Shader.Define(stage, f"{path}/colours")
        reader.CreateIdAttr("UsdPrimvarReader_float3")
        reader.CreateInput("varname", Sdf.ValueTypeNames.String).Set("displayColor")
        diffuse.ConnectToSource(reader.CreateOutput("result", Sdf.ValueTypeNames.Float3))
    else:
        diffuse.Set(Gf.Vec3f(*clay(place)))
    material.CreateSurfaceOutput().ConnectToSource(shader.ConnectableAPI(), "surface")
    UsdShade.MaterialBindingAPI.Apply(mesh.GetPrim()).Bind(material)
