"""PoseTrack, and the names of the points of every reader."""

from pathlib import Path

import numpy as np
import pytest

from tests.support import make_training_sets as made
from tests.support.make_picture_sets import SLOT, known, ready
from tests.support.make_video_sets import make_posetrack
from training.datasets import (
    SetError,
    human36m,
    human36m_json,
    mpi_inf_3dhp,
    mpi_inf_3dhp_json,
    threedpw,
)
from training.datasets.instavariety import POINTS as INSTA


def test_posetrack(tmp_path: Path):
    points = make_posetrack(tmp_path / "root")
    found = ready("posetrack", tmp_path)
    assert len(found) == 4
    assert found.frame.tolist() == [0, 1, 3, 4]
    assert made.extents(found).tolist() == [[0, 2], [2, 4]]
    assert found.image_of(2).endswith("/000003.jpg")
    np.testing.assert_allclose(found.boxes_px[0], [35, 55, 100])
    np.testing.assert_allclose(found.keypoints_px[2, SLOT["neck"]], points[3, 1], rtol=1e-6)
    np.testing.assert_allclose(found.keypoints_px[2, SLOT["right_ankle"]], points[3, 16], rtol=1e-6)
    assert not known(found.keypoints_px[0]) & {"left_ear", "right_ear"}
    assert found.report()["skipped"]["skipped: fewer than 8 known points"] == 4


def test_posetrack_of_another_year(tmp_path: Path):
    make_posetrack(tmp_path / "root", categories=[{"name": "person", "keypoints": ["head"]}])
    with pytest.raises(SetError, match="its points are head"):
        ready("posetrack", tmp_path)


def test_names_of_readers_are_among_the_49():
    """A misspelt name would be left out without a word."""
    for points in (
        human36m.POINTS,
        human36m_json.POINTS,
        mpi_inf_3dhp.POINTS,
        INSTA,
        mpi_inf_3dhp_json.POINTS,
        threedpw.POINTS,
    ):
        named = {point for point in points if point not in ("", "face", "top")}
        assert named <= set(SLOT)
        assert len(named) == sum(point in named for point in points)
