"""The sets' points have the right names: against tables that are not ours.

SPIN's preprocessing tells where each set's points go among the last 24 of the 49; the others are
told by number, as the sets' authors describe them.
"""

import pytest

from staf_backend.geometry import SMPL
from tests.support.make_training_sets import POSETRACK
from training.datasets import (
    coco,
    human36m,
    human36m_json,
    instavariety,
    mpi_inf_3dhp,
    mpi_inf_3dhp_json,
    mpii,
    posetrack,
    threedpw,
)
from training.datasets.head_points import named
from training.joints import JOINTS_49

SPIN = {
    "coco": (coco.POINTS, range(17), (19, 20, 21, 22, 23, 9, 8, 10, 7, 11, 6, 3, 2, 4, 1, 5, 0)),
    "mpii": (mpii.POINTS, range(16), (0, 1, 2, 3, 4, 5, 14, 15, 12, 13, 6, 7, 8, 9, 10, 11)),
    "h36m": (  # SPIN takes the pelvis from 11, which repeats 0, and the neck from 24, 13 again
        human36m.POINTS,
        (0, 6, 7, 8, 1, 2, 3, 12, 13, 14, 15, 17, 18, 19, 25, 26, 27),
        (14, 3, 4, 5, 2, 1, 0, 16, 12, 17, 18, 9, 10, 11, 8, 7, 6),
    ),
    "mpi-inf-3dhp": (
        mpi_inf_3dhp.POINTS,
        (4, 18, 19, 20, 23, 24, 25, 3, 5, 6, 7, 9, 10, 11, 14, 15, 16),
        (14, 3, 4, 5, 2, 1, 0, 16, 12, 17, 18, 9, 10, 11, 8, 7, 6),
    ),
    "mpi-inf-3dhp's test": (
        mpi_inf_3dhp_json.POINTS,
        (14, 11, 12, 13, 8, 9, 10, 15, 1, 16, 0, 5, 6, 7, 2, 3, 4),
        (14, 3, 4, 5, 2, 1, 0, 16, 12, 17, 18, 9, 10, 11, 8, 7, 6),
    ),
}


@pytest.mark.parametrize("name", SPIN)
def test_as_spin_has_it(name: str):
    points, sources, places = SPIN[name]
    ours = {
        index: JOINTS_49.index(point) - 25
        for index, point in enumerate(named(points, "spin"))
        if point
    }
    assert ours == dict(zip(sources, places, strict=True))


def test_heads_by_the_paper():
    """VIBE calls the point in the face "head" and the top of the head "head top"."""
    assert named(human36m.POINTS, "paper")[14:16] == ("head", "head_top")
    assert named(mpi_inf_3dhp.POINTS, "paper")[6:8] == ("head", "head_top")
    assert named(mpi_inf_3dhp_json.POINTS, "paper")[0] == "head_top"


def test_the_two_editions_of_h36m_agree():
    """The JSON edition's seventeen: pelvis, right leg, left leg, torso, head, left arm, right."""
    picked = (0, 1, 2, 3, 6, 7, 8, 12, 13, 14, 15, 17, 18, 19, 25, 26, 27)
    assert tuple(human36m.POINTS[index] for index in picked) == human36m_json.POINTS


def test_insta_variety():
    """As the HMMR authors list them: R Heel first, R Ankle last."""
    listed = (
        "R Heel,R Knee,R Hip,L Hip,L Knee,L Heel,R Wrist,R Elbow,R Shoulder,L Shoulder,L Elbow,"
        "L Wrist,Neck,Head,Nose,L Eye,R Eye,L Ear,R Ear,L Big Toe,R Big Toe,L Small Toe,"
        "R Small Toe,L Ankle,R Ankle"
    )
    ours = [name.removeprefix("op_").replace("head_top", "head") for name in instavariety.POINTS]
    sides = {"R ": "right ", "L ": "left "}
    theirs = [sides.get(name[:2], name[:2]) + name[2:] for name in listed.split(",")]
    assert ours == [name.lower().replace(" ", "_") for name in theirs]


def test_posetrack():
    for ours, theirs in zip(posetrack.POINTS, POSETRACK, strict=True):
        assert ours in ("", theirs) or (ours, theirs) == ("neck", "head_bottom")
    assert [name for name, ours in zip(POSETRACK, posetrack.POINTS) if not ours] == [
        "left_ear",
        "right_ear",
    ]


def test_3dpw_lists_smpls_joints():
    for ours, smpl in zip(threedpw.POINTS, SMPL.names, strict=True):
        if ours in ("op_mid_hip", "op_neck", ""):
            continue
        side = "left" if smpl.lower().startswith("l") else "right"
        assert ours.removeprefix("op_") == f"{side}_{smpl.split('_')[-1].lower()}"
    assert threedpw.POINTS[0] == "op_mid_hip"
    assert threedpw.POINTS[12] == "op_neck"
