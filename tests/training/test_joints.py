"""The 49 joints are the reference's, by name and by place on the body."""

import numpy as np
import pytest
import torch

from staf_backend.body import load_body
from staf_backend.geometry import rotations
from staf_backend.staf.body import JOINTS_49 as PICKS
from staf_backend.staf.body import LANDMARK_VERTICES, SmplBody, tables_from_body
from tests.support import parity_network
from tests.support import parity_recipe as recipe
from tests.support.reference_body import joints_49
from training import joints
from training.targets import BodyJoints

# SPIN's table as the reference gives it: name, then which of 24 joints, 21 vertices, 9 regressed
TABLE = """
OP Nose 24, OP Neck 12, OP RShoulder 17, OP RElbow 19, OP RWrist 21, OP LShoulder 16,
OP LElbow 18, OP LWrist 20, OP MidHip 0, OP RHip 2, OP RKnee 5, OP RAnkle 8, OP LHip 1,
OP LKnee 4, OP LAnkle 7, OP REye 25, OP LEye 26, OP REar 27, OP LEar 28, OP LBigToe 29,
OP LSmallToe 30, OP LHeel 31, OP RBigToe 32, OP RSmallToe 33, OP RHeel 34, Right Ankle 8,
Right Knee 5, Right Hip 45, Left Hip 46, Left Knee 4, Left Ankle 7, Right Wrist 21,
Right Elbow 19, Right Shoulder 17, Left Shoulder 16, Left Elbow 18, Left Wrist 20, Neck 47,
Head Top 48, Pelvis 49, Thorax 50, Spine 51, Jaw 52, Head 53, Nose 24, Left Eye 26,
Right Eye 25, Left Ear 28, Right Ear 27
"""
ROWS = [entry.strip().rsplit(" ", 1) for entry in TABLE.split(",")]
VERTICES = {"nose": 332, "right_eye": 6260, "left_eye": 2800, "right_ear": 4071, "left_ear": 583}


def squeezed(name: str) -> str:
    """ "op_left_big_toe", "OP LBigToe" and "Left Ear" without what is only spelling."""
    text = name.lower().replace("right", "r").replace("left", "l")
    return text.replace("_", "").replace(" ", "")


def test_the_table_is_the_references():
    assert [squeezed(name) for name in joints.JOINTS_49] == [squeezed(name) for name, _ in ROWS]
    assert list(PICKS) == [int(pick) for _, pick in ROWS]


def test_the_face_is_where_spin_has_it():
    for name, vertex in VERTICES.items():
        for slot in (name, f"op_{name}"):
            pick = PICKS[joints.JOINTS_49.index(slot)]
            assert LANDMARK_VERTICES[pick - 24] == vertex, slot


def test_sets_of_joints():
    names = joints.JOINTS_49
    assert len(set(names)) == joints.COUNT == 49
    assert names[joints.ANNOTATED] == (*joints.LSP, *joints.OTHERS)
    assert [names[index] for index in joints.HIPS] == ["right_hip", "left_hip"]
    assert [index - len(joints.OPENPOSE) for index in joints.HIPS] == [2, 3], (
        "the reference counts from the 25th"
    )
    assert [index - len(joints.OPENPOSE) for index in joints.LSP_14] == list(range(14))
    # section 7: head top, neck, right arm, left arm, right leg, left leg, hip, spine, head
    assert [index - len(joints.OPENPOSE) for index in joints.MPII3D_17] == [
        *(13, 12, 8, 7, 6, 9, 10, 11, 2, 1, 0, 3, 4, 5, 14, 16, 18),
    ]


def test_the_mirror_swaps_sides():
    assert (joints.MIRROR[joints.MIRROR] == np.arange(49)).all()
    middle = {joints.JOINTS_49[index] for index in np.flatnonzero(np.arange(49) == joints.MIRROR)}
    assert middle == {
        *("op_nose", "op_neck", "op_mid_hip", "neck", "head_top", "pelvis", "thorax", "spine"),
        *("jaw", "head", "nose"),
    }


@pytest.fixture(scope="module")
def posed() -> tuple[torch.Tensor, torch.Tensor]:
    betas, axis_angle = zip(*(recipe.smpl_input(sample) for sample in range(2)), strict=True)
    matrices = rotations.from_axis_angle(np.stack(axis_angle).astype(np.float64))
    return torch.from_numpy(np.stack(betas)), torch.from_numpy(matrices).float()


def test_body_joints_with_spins_regressor(posed):
    """The parity body has it: the same 49 points as the authors' model gives."""
    body, data = parity_network.body(), recipe.parity_data()
    module = BodyJoints(body.tables)
    points = body(*posed)
    assert module.exact
    expected = joints_49(points, data["J_regressor_extra"])
    torch.testing.assert_close(module(points), expected, atol=1e-6, rtol=0)
    authors = recipe.fixture("units")["smpl/joints49"]
    np.testing.assert_allclose(module(points), authors, atol=1e-6)


def test_body_joints_of_the_open_body_are_where_their_names_say():
    """A person upright, y up, facing z: each composed point lies where its name says."""
    body = SmplBody(tables_from_body(load_body("open-neutral")))
    rest = torch.eye(3).expand(1, 24, 3, 3)
    module = BodyJoints(body.tables)
    assert not module.exact
    points = module(body(torch.zeros(1, 10), rest))[0].numpy()
    at = dict(zip(joints.JOINTS_49, points))
    heights = [at[name][1] for name in ("pelvis", "spine", "thorax", "neck", "jaw", "head_top")]
    assert np.diff(heights).min() > 0.02, heights
    assert at["jaw"][1] - 0.02 < at["head"][1] < at["head_top"][1]
    assert at["left_hip"][0] > 0.03 > -0.03 > at["right_hip"][0]
    assert 1.4 < at["head_top"][1] - at["op_left_heel"][1] < 2.0
    mirrored = points[joints.MIRROR] * [-1, 1, 1]
    assert np.abs(mirrored - points).max() < 0.03, "the body is nearly the same on both sides"
