"""USD files, opened with Pixar's own library: where its skinning puts joints and skin."""

import dataclasses
from pathlib import Path

import numpy as np
import pytest
from pxr import Usd, UsdGeom, UsdShade, UsdSkel, UsdValidation, Vt

from staf_backend.body import load_body
from staf_backend.choices import BONE_SCHEMES, BoneScheme, RootMotion
from staf_backend.export.usd import write_usd
from staf_backend.files import OutputError
from staf_backend.geometry import from_axis_angle, from_quaternions
from staf_backend.motion import Motion, MotionError, joints_m
from tests.support.sample_motions import sample_motion, swaying

# pyright: reportAttributeAccessIssue=false, reportMissingImports=false

BODIES = {name: load_body(name) for name in ("open-neutral", "open-male")}


class Shown:
    """One character of a stage, as Pixar's skinning shows it."""

    def __init__(self, stage: Usd.Stage, person: str = "person_1") -> None:
        self.stage = stage  # which would go away
        self.root = UsdSkel.Root.Get(stage, f"/characters/{person}")
        self.cache = UsdSkel.Cache()
        self.cache.Populate(self.root, Usd.TraverseInstanceProxies())
        self.prim = UsdSkel.Skeleton.Get(stage, f"/characters/{person}/skeleton")
        self.skeleton = self.cache.GetSkelQuery(self.prim)
        self.names = [str(path).split("/")[-1] for path in self.prim.GetJointsAttr().Get()]

    def joints_m(self, code: float) -> np.ndarray:
        """(J + 1, 3), the root bone's first."""
        matrices = self.skeleton.ComputeJointSkelTransforms(Usd.TimeCode(code))
        return np.array([matrix.ExtractTranslation() for matrix in matrices])

    def vertices_m(self, code: float) -> np.ndarray:
        """(N, 3) of the skinned body."""
        body = self.root.GetPrim().GetChild("body")
        query = self.cache.GetSkinningQuery(body)
        points = Vt.Vec3fArray(UsdGeom.Mesh(body).GetPointsAttr().Get())
        moves = self.skeleton.ComputeSkinningTransforms(Usd.TimeCode(code))
        assert query.ComputeSkinnedPoints(moves, points, Usd.TimeCode(code))
        return np.array(points)


def opened(path: Path) -> Usd.Stage:
    stage = Usd.Stage.Open(str(path))
    assert stage
    return stage


@pytest.mark.parametrize("root_motion", ["root", "pelvis"])
@pytest.mark.parametrize("suffix", [".usda", ".usdc", ".usd"])
def test_joints_are_within_a_millimetre_on_every_key(
    tmp_path: Path, suffix: str, root_motion: RootMotion
):
    motion = sample_motion(swaying(20, scale_rad=1.2))
    write_usd(tmp_path / f"a{suffix}", [motion], BODIES, root_motion=root_motion)
    assert [path.name for path in tmp_path.iterdir()] == [f"a{suffix}"]
    stage = opened(tmp_path / f"a{suffix}")
    shown, expected = Shown(stage), joints_m(motion)
    assert shown.names == ["root", *motion.skeleton.names]
    for key in range(20):
        np.testing.assert_allclose(shown.joints_m(key)[1:], expected[key], atol=1e-4)


def test_the_skin_is_where_the_body_is(tmp_path: Path):
    motion = sample_motion(swaying(9))
    write_usd(tmp_path / "a.usdc", [motion], BODIES)
    found = Shown(opened(tmp_path / "a.usdc")).vertices_m(6)
    body = BODIES["open-neutral"]
    rotations = from_quaternions(motion.rotations_wxyz[6].astype(float))
    expected = body.vertices_m(rotations, motion.betas, motion.root_m[6])
    nearest = np.linalg.norm(found[::40, None] - expected[None], axis=-1).min(1)
    assert nearest.max() < 1e-3
    assert len(found) >= len(expected)


def test_the_stage_says_its_axes_units_and_clock(tmp_path: Path):
    write_usd(tmp_path / "a.usda", [sample_motion()], BODIES)
    stage = opened(tmp_path / "a.usda")
    assert (UsdGeom.GetStageUpAxis(stage), UsdGeom.GetStageMetersPerUnit(stage)) == ("Y", 1.0)
    assert stage.GetTimeCodesPerSecond() == pytest.approx(30)
    assert (stage.GetStartTimeCode(), stage.GetEndTimeCode()) == (0, 39)
    assert stage.GetDefaultPrim().GetPath() == "/characters"
    every = UsdValidation.ValidationRegistry().GetOrLoadAllValidators()
    assert len(every) > 20
    faults = UsdValidation.ValidationContext(every).Validate(stage)
    assert [fault.GetMessage() for fault in faults] == []


@pytest.mark.parametrize("scheme", BONE_SCHEMES)
def test_names_of_all_schemes_are_valid(tmp_path: Path, scheme: BoneScheme):
    write_usd(tmp_path / "a.usda", [sample_motion(swaying(1))], BODIES, bone_names=scheme)
    shown = Shown(opened(tmp_path / "a.usda"))
    assert shown.skeleton.GetTopology().Validate()[0]
    assert len(set(shown.names)) == 25


def test_the_stage_has_the_colours_of_the_skin_and_its_material_reads_them(tmp_path: Path):
    write_usd(tmp_path / "a.usdc", [sample_motion(swaying(1))], BODIES)
    stage = opened(tmp_path / "a.usdc")
    prim = stage.GetPrimAtPath("/characters/person_1/body")
    colours = UsdGeom.Gprim(prim).GetDisplayColorPrimvar()
    assert colours.GetInterpolation() == "vertex"
    assert len(colours.Get()) == len(UsdGeom.Mesh(prim).GetPointsAttr().Get())
    (source,), _ = diffuse(stage).GetConnectedSources()
    reader = UsdShade.Shader(source.source.GetPrim())
    assert reader.GetInput("varname").Get() == "displayColor"
    write_usd(tmp_path / "c.usdc", [sample_motion(swaying(1))], BODIES, look="clay")
    stage = opened(tmp_path / "c.usdc")
    assert not diffuse(stage).GetConnectedSources()[0]


def diffuse(stage: Usd.Stage) -> UsdShade.Input:
    """What the material of the first person has for a colour."""
    surface = UsdShade.Shader(stage.GetPrimAtPath("/characters/person_1/material/surface"))
    return surface.GetInput("diffuseColor")


def test_fingers_are_joints_like_others(tmp_path: Path):
    body = load_body("open-neutral", fingers=True)
    turns = np.random.default_rng(3).normal(0, 0.3, (3, len(body.skeleton), 3))
    rest_m = body.rest_joints_m(np.linspace(-1, 1, 10))
    words = {"rest_joints_m": rest_m, "skeleton": body.skeleton}
    motion = sample_motion(from_axis_angle(turns), **words)
    write_usd(tmp_path / "a.usdc", [motion], {"open-neutral": body})
    found = Shown(opened(tmp_path / "a.usdc")).joints_m(2)[1:]
    np.testing.assert_allclose(found, joints_m(motion)[2], atol=1e-4)


class TestSeveral:
    def test_people_keep_their_timing_to_each_other(self, tmp_path: Path):
        later = sample_motion(swaying(25, seed=5), body="open-male", person=2, name="b")
        later = moved_later(later, 0.5)
        write_usd(tmp_path / "a.usdc", [sample_motion(), later], BODIES)
        stage = opened(tmp_path / "a.usdc")
        found = Shown(stage, "person_2").joints_m(15 + 7)[1:]
        np.testing.assert_allclose(found, joints_m(later)[7], atol=1e-4)
        seen = UsdGeom.Imageable.Get(stage, "/characters/person_2").GetVisibilityAttr()
        assert [seen.Get(code) for code in (0, 14, 15, 39)] == ["invisible"] * 2 + ["inherited"] * 2

    def test_parts_of_one_person_follow_each_other(self, tmp_path: Path):
        """Away for a second: hidden meanwhile."""
        second = moved_later(sample_motion(swaying(10, seed=4), name="arc.2"), 2.5)
        write_usd(tmp_path / "a.usdc", [sample_motion(), second], BODIES)
        stage = opened(tmp_path / "a.usdc")
        assert len(stage.GetDefaultPrim().GetChildren()) == 1
        found = Shown(stage).joints_m(75 + 4)[1:]
        np.testing.assert_allclose(found, joints_m(second)[4], atol=1e-4)
        seen = UsdGeom.Imageable.Get(stage, "/characters/person_1").GetVisibilityAttr()
        words = [seen.Get(code) for code in (0, 39, 40, 74, 75, 84)]
        assert words == ["inherited"] * 2 + ["invisible"] * 2 + ["inherited"] * 2


def moved_later(motion: Motion, seconds: float) -> Motion:
    return dataclasses.replace(motion, times_s=motion.times_s + seconds)


def test_in_place_there_is_no_way_over_the_ground(tmp_path: Path):
    write_usd(tmp_path / "a.usdc", [sample_motion()], BODIES, root_motion="in-place", mesh=False)
    shown = Shown(opened(tmp_path / "a.usdc"))
    places = np.array([shown.joints_m(code)[1] for code in range(0, 40, 5)])
    assert np.ptp(places[:, [0, 2]], axis=0).max() < 1e-6
    assert len(shown.vertices_m(0)) < 1000, "a thin proxy, not the body"


class TestRefusals:
    def test_a_place_that_is_not_there(self, tmp_path: Path):
        with pytest.raises(OutputError, match="folder does not exist"):
            write_usd(tmp_path / "gone" / "a.usda", [sample_motion()], BODIES)

    def test_another_body_leaves_nothing(self, tmp_path: Path):
        swapped = {"open-neutral": BODIES["open-male"]}
        with pytest.raises(MotionError, match="mm off"):
            write_usd(tmp_path / "a.usda", [sample_motion()], swapped)
        assert list(tmp_path.iterdir()) == []

    def test_what_was_there_stays_when_the_disk_refuses(self, tmp_path: Path):
        (tmp_path / "a.usda").mkdir()
        with pytest.raises(OutputError, match="folder"):
            write_usd(tmp_path / "a.usda", [sample_motion(swaying(1))], BODIES)
        assert [path.name for path in tmp_path.iterdir()] == ["a.usda"]
