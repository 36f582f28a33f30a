"""VRM animations: played by pixiv's own player, and read by a reader that knows glTF alone."""

import json
from pathlib import Path

import numpy as np
import pytest

from staf_backend.body import load_body
from staf_backend.export.bone_names import BONE_NAMES, bone_names_of
from staf_backend.export.vrma import write_vrma
from staf_backend.geometry import from_axis_angle
from staf_backend.motion import Motion, MotionError, joints_m
from tests.support.glb_reader import read_glb
from tests.support.node_checks import run_node
from tests.support.sample_motions import sample_motion, swaying

BODY = load_body("open-neutral")
REQUIRED = "hips spine head leftUpperLeg leftLowerLeg leftFoot leftUpperArm leftLowerArm leftHand"
"""Of VRM 1.0's humanoid; and the same on the right."""


def with_fingers() -> Motion:
    body = load_body("open-neutral", fingers=True)
    turns = np.random.default_rng(3).normal(0, 0.3, (5, len(body.skeleton), 3))
    rest_m = body.rest_joints_m(np.linspace(-1, 1, 10))
    words = {"rest_joints_m": rest_m, "skeleton": body.skeleton}
    return sample_motion(from_axis_angle(turns), **words)


def humanoid(path: Path) -> dict[str, int]:
    """Node by humanoid bone."""
    told = read_glb(path).json["extensions"]["VRMC_vrm_animation"]
    assert told["specVersion"] == "1.0"
    return {name: bone["node"] for name, bone in told["humanoid"]["humanBones"].items()}


@pytest.mark.parametrize("growth", [1.0, 1.4])
def test_pixivs_player_puts_joints_where_they_are(tmp_path: Path, growth: float):
    """On a character of the same size, and on a larger one, whose way is longer by as much."""
    motion = sample_motion(swaying(40, scale_rad=1.2))
    write_vrma(tmp_path / "a.vrma", motion, BODY)
    keys = [0, 7, 39]
    times = json.dumps([float(motion.times_s[key] - motion.times_s[0]) for key in keys])
    told = run_node("vrma_joints.mjs", str(tmp_path / "a.vrma"), times, str(growth))
    assert told["duration"] == pytest.approx(39 / 30, abs=1e-5)
    expected = joints_m(motion)[keys] * growth
    names = bone_names_of("vrm", motion.skeleton)
    assert len(told["joints"]) == 22
    for name, places in told["joints"].items():
        np.testing.assert_allclose(places, expected[:, names.index(name)], atol=1e-3)


def test_the_validator_finds_no_fault(tmp_path: Path):
    write_vrma(tmp_path / "a.vrma", sample_motion(), BODY)
    write_vrma(tmp_path / "b.vrma", with_fingers(), load_body("open-neutral", fingers=True))
    for issues in run_node("validate.mjs", *map(str, tmp_path.iterdir())).values():
        assert (issues["numErrors"], issues["numWarnings"]) == (0, 0), issues["messages"][:3]


def test_all_bones_that_vrm_requires_are_there_and_their_rest_is_a_t_pose(tmp_path: Path):
    write_vrma(tmp_path / "a.vrma", sample_motion(), BODY)
    bones = humanoid(tmp_path / "a.vrma")
    required = REQUIRED.split() + REQUIRED.replace("left", "right").split()
    assert set(required) <= set(bones) <= set(BONE_NAMES["vrm"])
    assert "leftMiddleProximal" not in bones, "the palm is no finger"
    rest = read_glb(tmp_path / "a.vrma").world()
    np.testing.assert_allclose(rest[:, :3, :3], np.tile(np.eye(3), (len(rest), 1, 1)))
    place = {name: rest[node, :3, 3] for name, node in bones.items()}
    assert place["leftHand"][0] > 0.4 > -0.4 > place["rightHand"][0]
    assert 0.7 < place["hips"][1] < 1.2, "hips as high as one stands"
    assert place["leftToes"][2] > place["leftFoot"][2], "it faces +z"


def test_fingers_are_named_as_vrm_1_has_them(tmp_path: Path):
    write_vrma(tmp_path / "a.vrma", with_fingers(), load_body("open-neutral", fingers=True))
    bones = humanoid(tmp_path / "a.vrma")
    assert len(bones) == 52
    assert {"leftThumbMetacarpal", "leftIndexProximal", "rightLittleDistal"} <= set(bones)
    assert "leftThumbIntermediate" not in bones


def test_in_place_there_is_no_way_over_the_ground(tmp_path: Path):
    motion = sample_motion()
    write_vrma(tmp_path / "a.vrma", motion, BODY, root_motion="in-place")
    hips = humanoid(tmp_path / "a.vrma")["hips"]
    _, values = read_glb(tmp_path / "a.vrma").tracks("arc")[hips, "translation"]
    assert np.ptp(values[:, [0, 2]], axis=0).max() < 1e-6
    np.testing.assert_allclose(values[:, 1], motion.root_m[:, 1], atol=1e-5)


def test_another_body_is_refused(tmp_path: Path):
    with pytest.raises(MotionError, match="mm off"):
        write_vrma(tmp_path / "a.vrma", sample_motion(), load_body("open-male"))
    assert list(tmp_path.iterdir()) == []
