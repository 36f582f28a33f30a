"""Human3.6M in its authors' and the JSON layout: axes, units, frames, heads."""

from pathlib import Path

import numpy as np
import pytest

from staf_backend.geometry import rotations
from tests.support import make_training_sets as made
from tests.support.make_picture_sets import SLOT, known, ready
from tests.support.make_video_sets import make_h36m, make_h36m_json, relative, seen_px
from training.data.crops import PreparedSequences
from training.datasets import SetError, human36m, human36m_json
from training.joints import LSP_14


def test_h36m_archives(tmp_path: Path):
    """The front camera of the two test subjects, every second frame of fifty a second."""
    points = make_h36m(tmp_path / "root", 9)
    make_h36m(tmp_path / "root", 9, "54138969")
    make_h36m(tmp_path / "root", 11)
    made.cdf(
        tmp_path / "root/S9/MyPoseFeatures/D3_Positions_mono/_ALL.60457274.cdf", np.zeros((2, 96))
    )
    found = ready("h36m", tmp_path, split="test")
    assert (len(found), found.fps, found.body) == (10, 25.0, "none")
    assert found.images[1] == "S9/Videos/Directions 1.60457274.mp4#2"
    assert found.frame.tolist() == [0, 1, 2, 3, 4] * 2
    assert made.extents(found).tolist() == [[0, 5], [5, 10]]
    names = human36m.POINTS
    for name in ("right_ankle", "left_wrist", "neck", "spine"):
        expected = relative(points[::2], names, name)
        np.testing.assert_allclose(found.joints_m[:5, SLOT[name], :3], expected, atol=1e-5)
    np.testing.assert_allclose(
        found.joints_m[:5, SLOT["head_top"], :3], relative(points[::2], names, "top"), atol=1e-5
    )
    np.testing.assert_allclose(
        found.keypoints_px[:5, SLOT["left_knee"], :2], seen_px(points[::2, 7]), atol=1e-4
    )
    assert (found.joints_m[0, LSP_14, 3] == 1).all(), "all fourteen that scores count are known"
    assert len(ready("h36m", tmp_path, split="test", fps=50.0)) == 20


def test_the_frames_that_are_named_are_the_frames_that_are_shown(tmp_path: Path):
    """Frame n of the video is of brightness 10 n; every second one is in the set."""
    make_h36m(tmp_path / "root", 9)
    make_h36m(tmp_path / "root", 11)
    found = ready("h36m", tmp_path, split="test")
    (part,) = PreparedSequences(found).parts(0)
    middle = part.images[:, 100:124, 100:124].mean((1, 2, 3))
    np.testing.assert_allclose(middle, [0, 20, 40, 60, 80], atol=4)
    np.testing.assert_allclose(part.times_s, np.arange(5) / 25)


def test_h36m_heads_by_spin(tmp_path: Path):
    points = make_h36m(tmp_path / "root", 9)
    make_h36m(tmp_path / "root", 11)
    found = ready("h36m", tmp_path, split="test", heads="spin")
    assert "head_top" not in known(found.joints_m[0])
    expected = relative(points[::2], human36m.POINTS, "top")
    np.testing.assert_allclose(found.joints_m[:5, SLOT["head"], :3], expected, atol=1e-5)


def test_h36m_rubbish(tmp_path: Path):
    root = tmp_path / "root"
    make_h36m(root, 9)
    with pytest.raises(SetError, match="S11"):
        ready("h36m", tmp_path, split="test")
    make_h36m(root, 11)
    video = root / "S11/Videos/Directions 1.60457274.mp4"
    made.video(video, 40, 50)
    with pytest.raises(SetError, match="has 40 frames, its labels 10"):
        ready("h36m", tmp_path, split="test")
    video.write_bytes(video.read_bytes()[:500])
    with pytest.raises(SetError, match="broken or no video"):
        ready("h36m", tmp_path, split="test")
    video.unlink()
    with pytest.raises(SetError, match=r"mp4 is missing\. Finish the download"):
        ready("h36m", tmp_path, split="test")
    planar = root / "S9/MyPoseFeatures/D2_Positions/Directions 1.60457274.cdf"
    made.cdf(planar, np.zeros((9, 64)))
    with pytest.raises(SetError, match=r"has 10 frames, .* has 9"):
        ready("h36m", tmp_path, split="test")
    made.cdf(planar, np.zeros((10, 96)))
    with pytest.raises(SetError, match=r"Pose is \(10, 96\), not \(T, 64\)"):
        ready("h36m", tmp_path, split="test")
    planar.write_bytes(planar.read_bytes()[:100])
    with pytest.raises(SetError, match="damaged or cut short"):
        ready("h36m", tmp_path, split="test")


def test_h36m_json(tmp_path: Path):
    """World to camera, SMPL's root with it; the fourth frame has no label."""
    facts = make_h36m_json(tmp_path / "root")
    found = ready("h36m", tmp_path, split="test", fps=50.0)
    assert (len(found), found.body, found.fps) == (8, "smpl-neutral", 50.0)
    assert found.images[0] == "images/s_09_ca_04/s_09_000001.jpg"
    assert found.has_pose[:4].tolist() == [1, 1, 1, 0]
    points = facts["world"] @ facts["R"].T + facts["t"]
    expected = relative(points, human36m_json.POINTS, "left_elbow")
    np.testing.assert_allclose(found.joints_m[:4, SLOT["left_elbow"], :3], expected, atol=1e-5)
    np.testing.assert_allclose(
        found.keypoints_px[:4, SLOT["left_elbow"], :2],
        seen_px(points[:, human36m_json.POINTS.index("left_elbow")]),
        atol=1e-3,
    )
    local = rotations.from_axis_angle(facts["pose"].reshape(4, 24, 3))
    turned = rotations.from_quaternions(found.quaternions_wxyz[:3])
    np.testing.assert_allclose(turned[:, 0], facts["R"] @ local[:3, 0], atol=1e-5)
    np.testing.assert_allclose(turned[:, 1:], local[:3, 1:], atol=1e-5)
    np.testing.assert_allclose(found.boxes_px[0], [29, 46, 80])
    assert len(ready("h36m", tmp_path, split="test")) == 4


def test_h36m_json_of_another_layout(tmp_path: Path):
    make_h36m_json(tmp_path / "root")
    path = tmp_path / "root/annotations/Human36M_subject9_camera.json"
    made.write_json(path, {"1": {"R": np.eye(3).tolist()}, "4": {"R": np.eye(3).tolist()}})
    with pytest.raises(SetError, match="lacks the entry 't'"):
        ready("h36m", tmp_path, split="test")
    path.unlink()
    with pytest.raises(SetError, match=r"subject9_camera\.json is missing"):
        ready("h36m", tmp_path, split="test")
