"""Sets of video in their authors' formats become prepared sets: axes, units, frames, roots."""

import shutil
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
from scipy.io import savemat

from staf_backend.body.body import load_body
from staf_backend.body.pickles import read_pickled_lists
from staf_backend.geometry import rotations, skeleton
from tests.support import make_training_sets as made
from tests.support.make_body_files import model_arrays, write_npz
from tests.training.test_prepare import SLOT, known, ready
from training.data.crops import PreparedSequences
from training.datasets import human36m, human36m_json, mpi_inf_3dhp, mpi_inf_3dhp_json, threedpw
from training.datasets.formats import tfrecord
from training.datasets.instavariety import POINTS as INSTA
from training.datasets.store import SetError
from training.targets.joints import HIPS, LSP_14, MPII3D_17

LENS = np.array([[300.0, 0, 64], [0, 300, 64], [0, 0, 1]])


def people_mm(frames: int, points: int, seed: int = 0) -> np.ndarray:
    """(frames, points, 3) millimetres in the camera: a metre about 4 m away."""
    rng = np.random.default_rng(seed)
    return rng.uniform(-500, 500, (frames, points, 3)) + np.array([0, 0, 4000])


def seen_px(points: np.ndarray) -> np.ndarray:
    image = points @ LENS.T
    return image[..., :2] / image[..., 2:]


def relative(points_mm: np.ndarray, names: tuple[str, ...], name: str) -> np.ndarray:
    """Where a point is from the middle of the hips, metres: what `joints_m` should hold."""
    middle = (points_mm[:, names.index("left_hip")] + points_mm[:, names.index("right_hip")]) / 2
    return (points_mm[:, names.index(name)] - middle) / 1000


# Human3.6M


def make_h36m(root: Path, subject: int, camera: str = "60457274", frames: int = 10) -> np.ndarray:
    points = people_mm(frames, 32)
    folder = root / f"S{subject}"
    name = f"Directions 1.{camera}"
    made.cdf(folder / f"MyPoseFeatures/D3_Positions_mono/{name}.cdf", points.reshape(frames, 96))
    planar = seen_px(points).reshape(frames, 64)
    made.cdf(folder / f"MyPoseFeatures/D2_Positions/{name}.cdf", planar)
    made.video(folder / f"Videos/{name}.mp4", frames, 50)
    return points


def test_h36m_archives(tmp_path: Path):
    """The front camera of the two test subjects, every second frame of fifty a second."""
    points = make_h36m(tmp_path / "root", 9)
    make_h36m(tmp_path / "root", 9, "54138969")
    make_h36m(tmp_path / "root", 11)
    made.cdf(tmp_path / "root/S9/MyPoseFeatures/D3_Positions_mono/_ALL.60457274.cdf",
             np.zeros((2, 96)))  # fmt: skip
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


def make_h36m_json(root: Path) -> dict[str, np.ndarray]:
    """Four frames of subjects 9 and 11 by cameras 1 and 4, with NeuralAnnot's labels."""
    rng = np.random.default_rng(1)
    turn = rotations.from_axis_angle(np.array([0.3, 1.0, -0.2]))
    facts = {"R": turn, "t": np.array([10.0, 20.0, 4000.0]), "pose": rng.normal(size=(4, 72)),
             "world": rng.uniform(-500, 500, (4, 17, 3))}  # fmt: skip
    camera = {"R": turn.tolist(), "t": facts["t"].tolist(), "f": [300, 300], "c": [64, 64]}
    for subject in (9, 11):
        images = [
            {"id": 10 * cam + f, "width": 128, "height": 128, "subject": subject, "cam_idx": cam,
             "action_idx": 2, "subaction_idx": 1, "frame_idx": f,
             "file_name": f"s_{subject:02d}_ca_{cam:02d}/s_{subject:02d}_{f + 1:06d}.jpg"}
            for cam in (1, 4) for f in range(4)
        ]  # fmt: skip
        for image in images:
            made.picture(root / "images" / image["file_name"])
        boxes = [{"id": n, "image_id": image["id"], "bbox": [4, 6, 50, 80]}
                 for n, image in enumerate(images)]  # fmt: skip
        frames = {str(f): facts["world"][f].tolist() for f in range(4)}
        smpl = {str(f): {"pose": facts["pose"][f].tolist(), "shape": [0.2] * 10, "trans": [0] * 3}
                for f in range(3)}  # fmt: skip
        name = root / f"annotations/Human36M_subject{subject}"
        made.write_json(Path(f"{name}_data.json"), {"images": images, "annotations": boxes})
        made.write_json(Path(f"{name}_camera.json"), {"1": camera, "4": camera})
        made.write_json(Path(f"{name}_joint_3d.json"), {"2": {"1": frames}})
        made.write_json(Path(f"{name}_SMPL_NeuralAnnot.json"), {"2": {"1": smpl}})
    return facts


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
        seen_px(points[:, human36m_json.POINTS.index("left_elbow")]), atol=1e-3,
    )  # fmt: skip
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


# MPI-INF-3DHP


def make_mpi(root: Path, **changes: Any) -> np.ndarray:
    """Eight subjects, two sequences each, the same eight frames from every camera."""
    points = people_mm(8, 28)
    points[3, :, 0] += 4000  # out of the picture
    cells2, cells3 = np.empty((14, 1), object), np.empty((14, 1), object)
    for camera in range(14):
        cells2[camera, 0] = seen_px(points).reshape(8, 56)
        cells3[camera, 0] = points.reshape(8, 84)
    content = {"annot2": cells2, "annot3": cells3, "univ_annot3": cells3} | changes
    film = made.video(root / "film.avi", 8, 25)
    for subject in range(1, 9):
        for sequence in (1, 2):
            folder = root / f"S{subject}/Seq{sequence}"
            (folder / "imageSequence").mkdir(parents=True)
            savemat(folder / "annot.mat", content)
            for camera in mpi_inf_3dhp.CAMERAS:
                shutil.copy(film, folder / f"imageSequence/video_{camera}.avi")
    return points


def test_mpi_inf_3dhp(tmp_path: Path):
    points = make_mpi(tmp_path / "root")
    found = ready("mpi-inf-3dhp", tmp_path)
    assert len(found) == 8 * 2 * 8 * 7
    assert found.images[0] == "S1/Seq1/imageSequence/video_0.avi#0"
    assert found.frame[:7].tolist() == [0, 1, 2, 4, 5, 6, 7]
    assert made.extents(found)[:2].tolist() == [[0, 3], [3, 7]], "a gap starts a new sequence"
    names = mpi_inf_3dhp.POINTS
    for name, slot in (("right_wrist", "right_wrist"), ("spine", "spine"), ("face", "head")):
        expected = relative(points, names, name)[[0, 1, 2, 4, 5, 6, 7]]
        np.testing.assert_allclose(found.joints_m[:7, SLOT[slot], :3], expected, atol=1e-5)
    assert (found.joints_m[0, MPII3D_17, 3] == 1).all()
    assert found.report()["skipped"]["skipped: fewer than 17 known points"] == 128
    slower = ready("mpi-inf-3dhp", tmp_path, fps=12.5)
    assert slower.frame[:4].tolist() == [0, 1, 2, 3]
    assert slower.images[1] == "S1/Seq1/imageSequence/video_0.avi#2"
    with pytest.raises(SetError, match="10 does not divide it"):
        ready("mpi-inf-3dhp", tmp_path, fps=10.0)


def test_mpi_inf_3dhp_rubbish(tmp_path: Path):
    make_mpi(tmp_path / "root", annot3=np.zeros((8, 84)))
    with pytest.raises(SetError, match=r"annot\.mat: camera 0 holds \(\), not"):
        ready("mpi-inf-3dhp", tmp_path)
    (tmp_path / "root/S1/Seq1/annot.mat").unlink()
    with pytest.raises(SetError, match=r"annot\.mat is missing"):
        ready("mpi-inf-3dhp", tmp_path)


def calibration(turns: np.ndarray) -> str:
    """A Skeletool file of cameras 0 .. len(turns) - 1."""
    lines = ["Skeletool Camera Calibration File V1.0"]
    for number, turn in enumerate(turns):
        pose = np.eye(4)
        pose[:3, :3], pose[:3, 3] = turn, [10, 20, 4000]
        lens = np.eye(4)
        lens[:3, :3] = LENS
        words = [" ".join(f"{value:.9g}" for value in matrix.ravel()) for matrix in (lens, pose)]
        lines += [f"name          {number}", "  sensor      10 10", "  size        128 128",
                  "  animated    0", f"  intrinsic   {words[0]} ", f"  extrinsic   {words[1]} ",
                  "  radial      0"]  # fmt: skip
    return "\n".join(lines) + "\n"


def mpi_smpl(frames: int, first: int = 1) -> tuple[np.ndarray, dict[str, Any]]:
    """Poses (frames, 72) and NeuralAnnot's labels of all sequences: frames count from one."""
    poses = np.random.default_rng(2).normal(size=(frames, 72))
    of_frames = {str(first + f): {"pose": pose.tolist(), "shape": [0.2] * 10, "trans": [0] * 3}
                 for f, pose in enumerate(poses)}  # fmt: skip
    return poses, {str(s): {"1": of_frames, "2": of_frames} for s in range(1, 9)}


def test_mpi_inf_3dhp_with_neural_annot(tmp_path: Path):
    """Roots are turned from the world into each camera; the last frame has no label."""
    root = tmp_path / "root"
    make_mpi(root)
    turns = rotations.from_axis_angle(np.random.default_rng(3).normal(size=(9, 3)))
    for folder in root.glob("S*/Seq*"):
        (folder / "camera.calibration").write_text(calibration(turns))
    poses, content = mpi_smpl(7)
    labels = made.write_json(tmp_path / "labels.json", content)
    found = ready("mpi-inf-3dhp", tmp_path, labels=labels)
    assert (len(found), found.body) == (8 * 2 * 8 * 7, "smpl-neutral")
    kept = [0, 1, 2, 4, 5, 6]
    local = rotations.from_axis_angle(poses[kept].reshape(6, 24, 3))
    for video, camera in enumerate(mpi_inf_3dhp.CAMERAS[:5]):
        rows = slice(7 * video, 7 * video + 7)
        assert found.has_pose[rows].tolist() == [1, 1, 1, 1, 1, 1, 0]
        turned = rotations.from_quaternions(found.quaternions_wxyz[rows][:6])
        np.testing.assert_allclose(turned[:, 0], turns[camera] @ local[:, 0], atol=1e-5)
        np.testing.assert_allclose(turned[:, 1:], local[:, 1:], atol=1e-5)
    np.testing.assert_allclose(found.betas[0], 0.2)


def test_mpi_inf_3dhp_labels_without_what_they_need(tmp_path: Path):
    root = tmp_path / "root"
    make_mpi(root)
    labels = made.write_json(tmp_path / "labels.json", mpi_smpl(8)[1])
    with pytest.raises(SetError, match=r"camera\.calibration is missing"):
        ready("mpi-inf-3dhp", tmp_path, labels=labels)
    path = root / "S1/Seq1/camera.calibration"
    path.write_text(calibration(np.tile(np.eye(3), (8, 1, 1))))
    with pytest.raises(SetError, match=r"camera\.calibration lacks camera 8"):
        ready("mpi-inf-3dhp", tmp_path, labels=labels)
    whole = path.read_bytes()
    for rubbish in (b"<html>", b"\xff\xfe", b"", whole[: whole.index(b"extrinsic") + 20]):
        path.write_bytes(rubbish)
        with pytest.raises(SetError, match="no camera calibration, or damaged"):
            ready("mpi-inf-3dhp", tmp_path, labels=labels)
    for folder in root.glob("S*/Seq*"):
        (folder / "camera.calibration").write_text(calibration(np.tile(np.eye(3), (9, 1, 1))))
    for nobody in ({}, mpi_smpl(8, first=500)[1]):
        with pytest.raises(SetError, match=r"Not one label of .* is of anybody kept here"):
            ready("mpi-inf-3dhp", tmp_path, labels=made.write_json(labels, nobody))
    coco = {"101": {"smpl_param": {"pose": [0] * 72, "shape": [0] * 10}}}
    for other in ({"ver": 0.1, "data": []}, coco, []):
        with pytest.raises(SetError, match="is not NeuralAnnot's file of this set"):
            ready("mpi-inf-3dhp", tmp_path, labels=made.write_json(labels, other))
    with pytest.raises(SetError, match="test set has no SMPL labels"):
        ready("mpi-inf-3dhp", tmp_path, split="test", labels=labels)


def make_mpi_json(root: Path) -> dict[str, np.ndarray]:
    """Three frames of two sequences by cameras 1 and 11, the second one at the ceiling."""
    turn = rotations.from_axis_angle(np.array([0.3, 1.0, -0.2]))
    world = np.random.default_rng(1).uniform(-400, 400, (3, 17, 3))
    shift = np.array([10.0, 20.0, 4000.0])
    camera = {"R": turn.tolist(), "t": shift.tolist(), "focal": [300, 300], "princpt": [64, 64]}
    images = [
        {"id": 10 + n, "width": 128, "height": 128, "subject_idx": 1, "seq_idx": sequence,
         "cam_idx": cam, "frame_idx": f, "file_name": f"img_{cam}_{f:06d}.jpg"}
        for n, (sequence, cam, f) in enumerate(
            (sequence, cam, f) for sequence in (1, 2) for cam in (1, 11) for f in (1, 2, 3))
    ]  # fmt: skip
    for image in images:
        folder = f"images_1k/S1/Seq{image['seq_idx']}/imageSequence"
        made.picture(root / folder / image["file_name"])
    people = [{"id": n, "image_id": i["id"], "bbox": [4, 6, 50, 80]} for n, i in enumerate(images)]
    frames = {str(f): points.tolist() for f, points in enumerate(world, 1)}
    poses, labels = mpi_smpl(3)
    stem = root / "MPI-INF-3DHP"
    made.write_json(Path(f"{stem}_1k.json"), {"images": images, "annotations": people})
    cameras = {"1": camera, "11": camera}
    made.write_json(Path(f"{stem}_camera_1k.json"), {"1": {"1": cameras, "2": cameras}})
    made.write_json(Path(f"{stem}_joint_3d.json"), {"1": {"1": frames, "2": frames}})
    made.write_json(Path(f"{stem}_SMPL_NeuralAnnot.json"), labels)
    return {"turn": turn, "world": world, "points": world @ turn.T + shift, "poses": poses}


def test_mpi_inf_3dhp_json(tmp_path: Path):
    """World to camera, the cameras at chest height, frames that count from one."""
    facts = make_mpi_json(tmp_path / "root")
    found = ready("mpi-inf-3dhp", tmp_path)
    assert (len(found), found.body, found.fps) == (6, "smpl-neutral", 25.0)
    assert found.images[0] == "images_1k/S1/Seq1/imageSequence/img_1_000001.jpg"
    assert made.extents(found).tolist() == [[0, 3], [3, 6]]
    names = mpi_inf_3dhp_json.POINTS
    for name, slot in (("right_wrist", "right_wrist"), ("spine", "spine"), ("face", "head")):
        expected = relative(facts["points"], names, name)
        np.testing.assert_allclose(found.joints_m[:3, SLOT[slot], :3], expected, atol=1e-5)
    wrist = seen_px(facts["points"][:, names.index("right_wrist")])
    np.testing.assert_allclose(found.keypoints_px[:3, SLOT["right_wrist"], :2], wrist, atol=1e-3)
    assert (found.joints_m[0, MPII3D_17, 3] == 1).all()
    local = rotations.from_axis_angle(facts["poses"].reshape(3, 24, 3))
    turned = rotations.from_quaternions(found.quaternions_wxyz[:3])
    np.testing.assert_allclose(turned[:, 0], facts["turn"] @ local[:, 0], atol=1e-5)
    np.testing.assert_allclose(found.boxes_px[0], [29, 46, 80])
    path = tmp_path / "root/MPI-INF-3DHP_SMPL_NeuralAnnot.json"
    made.write_json(path, mpi_smpl(3, first=500)[1])
    with pytest.raises(SetError, match=r"Not one label of .* is of anybody kept here"):
        ready("mpi-inf-3dhp", tmp_path)
    path.unlink()
    assert ready("mpi-inf-3dhp", tmp_path).body == "none"
    frames = {str(f): (facts["world"] + 5000 * (f == 2)).tolist()[f - 1] for f in (1, 2, 3)}
    joints = {"1": {"1": frames, "2": frames}}
    made.write_json(tmp_path / "root/MPI-INF-3DHP_joint_3d.json", joints)
    assert len(ready("mpi-inf-3dhp", tmp_path)) == 4, "whoever leaves the image is left out"
    (tmp_path / "root/MPI-INF-3DHP_joint_3d.json").write_text("{")
    with pytest.raises(SetError, match=r"joint_3d\.json is damaged or cut short"):
        ready("mpi-inf-3dhp", tmp_path)


def make_mpi_test(root: Path, frames: int = 5, **changes: Any) -> np.ndarray:
    points = people_mm(frames, 17)
    for subject in range(1, 7):
        folder = root / f"mpi_inf_3dhp_test_set/TS{subject}"
        folder.mkdir(parents=True, exist_ok=True)
        content = {"annot2": seen_px(points)[:, None], "univ_annot3": points[:, None],
                   "annot3": points[:, None] * 1.1,
                   "valid_frame": np.array([[1], [1], [0], [1], [1]])} | changes  # fmt: skip
        with h5py.File(folder / "annot_data.mat", "w") as file:
            for name, values in content.items():
                file[name] = values
        for number in range(frames):
            made.picture(folder / f"imageSequence/img_{number + 1:06d}.jpg", 128, 128)
    return points


def test_mpi_inf_3dhp_test_set(tmp_path: Path):
    """The universal skeleton; every frame is kept, and which are scored is told."""
    points = make_mpi_test(tmp_path / "root")
    found = ready("mpi-inf-3dhp", tmp_path, split="test")
    assert len(found) == 30
    assert found.valid[:5].tolist() == [True, True, False, True, True]
    assert found.images[1] == "mpi_inf_3dhp_test_set/TS1/imageSequence/img_000002.jpg"
    expected = relative(points, mpi_inf_3dhp_json.POINTS, "top")
    np.testing.assert_allclose(found.joints_m[:5, SLOT["head_top"], :3], expected, atol=1e-5)
    assert (found.joints_m[:, MPII3D_17, 3] == 1).all()


def test_mpi_inf_3dhp_test_labels_disagree(tmp_path: Path):
    make_mpi_test(tmp_path / "root", valid_frame=np.ones((4, 1)))
    with pytest.raises(SetError, match=r"points are \(5, 1, 17, 2\), not \(4, 1, 17, 2\)"):
        ready("mpi-inf-3dhp", tmp_path, split="test")


# 3DPW


def make_3dpw(root: Path, frames: int = 6, **changes: Any) -> dict[str, Any]:
    """Two people; the camera is lost in the fourth frame of the first."""
    rng = np.random.default_rng(0)
    turn = rotations.from_axis_angle(np.array([3.0, 0.2, 0.1]))
    cameras = np.tile(np.eye(4), (frames, 1, 1))
    cameras[:, :3, :3], cameras[:, :3, 3] = turn, [0.1, 0.2, 4.0]
    seen = np.ones(frames, bool)
    seen[3] = False
    content = {
        "sequence": "yard_00", "genders": ["m", "f"], "cam_poses": cameras,
        "cam_intrinsics": LENS, "img_frame_ids": np.arange(frames),
        "poses": [rng.normal(size=(frames, 72)) * 0.3 for _ in range(2)],
        "betas": [rng.normal(size=10), rng.normal(size=300)],
        "jointPositions": [rng.uniform(-0.5, 0.5, (frames, 72)) for _ in range(2)],
        "campose_valid": [seen, np.ones(frames, bool)],
        "texture_maps": [[], []], "v_template_clothed": [None, None],
    } | changes  # fmt: skip
    for split in ("train", "test"):
        path = root / f"sequenceFiles/{split}/yard_00.pkl"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(made.python2_pickle(content))
    for number in range(frames):
        made.picture(root / f"imageFiles/yard_00/image_{number:05d}.jpg")
    return content


def test_3dpw(tmp_path: Path):
    """A pickle of Python 2, read without running it; the camera turns root and joints alike."""
    content = make_3dpw(tmp_path / "root")
    found = ready("3dpw", tmp_path)
    assert (len(found), found.body, found.fps) == (11, "smpl-gendered", 30.0)
    assert found.gender.tolist() == [1] * 5 + [2] * 6
    assert found.frame.tolist() == [0, 1, 2, 4, 5, 0, 1, 2, 3, 4, 5]
    assert made.extents(found).tolist() == [[0, 3], [3, 5], [5, 11]]
    assert found.image_of(3) == "imageFiles/yard_00/image_00004.jpg"
    np.testing.assert_allclose(found.betas[5], content["betas"][1][:10], rtol=1e-6)
    camera = content["cam_poses"][0]
    local = rotations.from_axis_angle(content["poses"][1].reshape(6, 24, 3))
    turned = rotations.from_quaternions(found.quaternions_wxyz[5:])
    np.testing.assert_allclose(turned[:, 0], camera[:3, :3] @ local[:, 0], atol=1e-5)
    np.testing.assert_allclose(turned[:, 1:], local[:, 1:], atol=1e-5)
    joints = content["jointPositions"][1].reshape(6, 24, 3) @ camera[:3, :3].T + camera[:3, 3]
    expected = joints[:, 20] - joints[:, 1:3].mean(1)  # left wrist
    for name in ("left_wrist", "op_left_wrist"):
        np.testing.assert_allclose(found.joints_m[5:, SLOT[name], :3], expected, atol=1e-5)
    np.testing.assert_allclose(
        found.keypoints_px[5:, SLOT["left_wrist"], :2], seen_px(joints[:, 20]), atol=1e-3
    )
    assert "right_hip" not in known(found.joints_m[0]), "LSP's hips are not SMPL's"


def test_3dpw_keeps_every_frame_of_the_test_split(tmp_path: Path):
    make_3dpw(tmp_path / "root")
    found = ready("3dpw", tmp_path, split="test")
    assert len(found) == 12
    assert found.valid.tolist() == [True] * 3 + [False] + [True] * 8


def test_3dpw_with_bodies(tmp_path: Path):
    """All 49 joints from the user's SMPL files; those that the sequence lists lie as listed."""
    bodies = tmp_path / "bodies"
    bodies.mkdir()
    models = {"MALE": model_arrays(seed=1), "FEMALE": model_arrays(seed=2)}
    write_npz(bodies / "SMPL_MALE.npz", models["MALE"])
    content = make_3dpw(tmp_path / "root")
    with pytest.raises(SetError, match=r"holds no female SMPL file \(only male\)"):
        ready("3dpw", tmp_path, bodies=bodies)
    write_npz(bodies / "SMPL_FEMALE.npz", models["FEMALE"])
    found = ready("3dpw", tmp_path, bodies=bodies)
    assert (found.joints_m[..., 3] == 1).all()
    hips = found.joints_m[:, HIPS, :3].mean(1)
    np.testing.assert_allclose(hips, 0, atol=1e-5)
    body = load_body(bodies / "SMPL_FEMALE.npz")
    turn = rotations.from_axis_angle(content["poses"][1].reshape(6, 24, 3))
    turn[:, 0] = content["cam_poses"][0, :3, :3] @ turn[:, 0]
    rest_m = body.rest_joints_m(content["betas"][1][:10])
    joints = skeleton.forward_kinematics(turn, rest_m, np.zeros((6, 3)))[1]
    expected = joints[:, 20] - joints[:, 1:3].mean(1)  # left wrist, hips composed of SMPL's
    np.testing.assert_allclose(found.joints_m[5:, SLOT["left_wrist"], :3], expected, atol=1e-4)


def test_3dpw_rubbish(tmp_path: Path):
    root = tmp_path / "root"
    make_3dpw(root, genders=["m"])
    with pytest.raises(SetError, match="disagrees on how many people"):
        ready("3dpw", tmp_path)
    make_3dpw(root, cam_poses=np.zeros((5, 4, 4)))
    with pytest.raises(SetError, match=r"cam_poses is \(5, 4, 4\), not \(6, 4, 4\)"):
        ready("3dpw", tmp_path)
    make_3dpw(root, poses=None)
    with pytest.raises(SetError, match="lacks the entry 'poses'"):
        ready("3dpw", tmp_path)
    path = root / "sequenceFiles/train/yard_00.pkl"
    path.write_bytes(b"cos\nsystem\n(S'touch " + str(tmp_path / "run").encode() + b"'\ntR.")
    with pytest.raises(SetError, match=r"asks to run code \(os\.system\); it was not run"):
        ready("3dpw", tmp_path)
    assert not (tmp_path / "run").exists()
    path.write_bytes(made.python2_pickle({"a": 1})[:9])
    with pytest.raises(SetError, match="damaged or cut short"):
        ready("3dpw", tmp_path)


def test_a_list_that_repeats_itself_takes_no_memory():
    """A megabyte array named ten thousand times over: ten gigabytes if each were a copy."""
    array = made.python2_pickle(np.zeros(1 << 17))[2:-1]
    data = b"\x80\x02}(T\x01\x00\x00\x00a](" + array + b"q\x07" + b"h\x07" * 9_999 + b"eu."
    found = read_pickled_lists(data)["a"]
    assert len(found) == 10_000
    assert len({id(entry) for entry in found}) == 1
    assert "a" not in read_pickled_lists(made.python2_pickle({"a": [[[1]]]})), "one level only"


# InstaVariety


def insta_example(folder: Path, changes: dict[str, Any] | None = None) -> tuple[bytes, np.ndarray]:
    frames = 5
    rng = np.random.default_rng(0)
    points = np.concatenate([rng.uniform(20, 200, (frames, 25, 2)), np.ones((frames, 25, 1))], 2)
    points[:, 14, 2] = 0  # the nose is never seen
    crops = [made.picture(folder / "crop.jpg", seed=n).read_bytes() for n in range(frames)]
    axes = points.transpose(0, 2, 1)
    features = {
        "meta/N": [frames], "image/encoded": crops,
        "image/xys": axes[:, :2, :14].ravel().tolist(),
        "image/visibilities": axes[:, 2, :14].astype(int).ravel().tolist(),
        "image/face_pts": axes[..., 14:19].ravel().tolist(),
        "image/toe_pts": axes[..., 19:].ravel().tolist(),
        "image/filenames": [b"a.jpg"] * frames, "mosh/poses": [-1],
    } | (changes or {})  # fmt: skip
    return made.example({k: v for k, v in features.items() if v}), points


def test_insta_variety(tmp_path: Path):
    """Crops are unpacked as they are; the axis of x, y, seen comes before that of the points."""
    message, points = insta_example(tmp_path)
    name = "insta_variety_00_copy00_hmr_noS5.ckpt-642561.tfrecord"
    made.tfrecord(tmp_path / "root/train" / name, [message, message])
    found = ready("insta-variety", tmp_path)
    assert (len(found), len(made.extents(found)), found.root.resolve()) == (
        10, 2, (tmp_path / "set").resolve(),
    )  # fmt: skip
    assert found.images[6] == "images/insta_variety_00_copy00_hmr_noS5/001/000001.jpg"
    picture = made.picture(tmp_path / "crop.jpg", seed=1).read_bytes()
    assert (found.root / found.images[6]).read_bytes() == picture
    for joint in ("op_left_big_toe", "op_right_wrist", "head_top", "op_left_ear"):
        expected = points[:, INSTA.index(joint)]
        np.testing.assert_allclose(found.keypoints_px[:5, SLOT[joint]], expected, rtol=1e-5)
    assert known(found.keypoints_px[0]) == set(INSTA) - {"op_nose"}


def test_insta_variety_test_split(tmp_path: Path):
    """Nineteen points, without toes; the track's place in its video stands with it."""
    message, points = insta_example(tmp_path, {"image/toe_pts": [], "meta/time_pts": [3, 8]})
    made.tfrecord(tmp_path / "root/test/insta_variety_00.tfrecord", [message])
    found = ready("insta-variety", tmp_path, split="test")
    assert (len(found), found.split) == (5, "test")
    wrist = points[:, INSTA.index("op_right_wrist")]
    np.testing.assert_allclose(found.keypoints_px[:, SLOT["op_right_wrist"]], wrist, rtol=1e-5)
    assert known(found.keypoints_px[0]) == set(INSTA[:19]) - {"op_nose"}
    with pytest.raises(SetError, match=r"holds no \.tfrecord files"):
        ready("insta-variety", tmp_path)


def test_insta_variety_rubbish(tmp_path: Path):
    path = tmp_path / "root/a.tfrecord"
    made.tfrecord(path, [insta_example(tmp_path, {"image/face_pts": []})[0]])
    with pytest.raises(SetError, match="example 0 lacks the entry 'image/face_pts'"):
        ready("insta-variety", tmp_path)
    made.tfrecord(path, [insta_example(tmp_path, {"meta/N": [4]})[0]])
    with pytest.raises(SetError, match="its points do not fit 4 frames"):
        ready("insta-variety", tmp_path)
    message, _ = insta_example(tmp_path)
    made.tfrecord(path, [message])
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(SetError, match="is cut short"):
        ready("insta-variety", tmp_path)
    path.write_bytes(b"<html>" * 10)
    with pytest.raises(SetError, match="is no TFRecord file"):
        ready("insta-variety", tmp_path)
    made.tfrecord(path, [b"\x0a\xff\xff\xff\xff\x0f"])
    with pytest.raises(SetError, match="example 0 is damaged"):
        ready("insta-variety", tmp_path)
    broken = [b"\xff\xd8 no end"] * 5
    made.tfrecord(path, [message, insta_example(tmp_path, {"image/encoded": broken})[0]])
    assert len(ready("insta-variety", tmp_path)) == 5


def test_examples_are_read_as_protobuf_reads_them():
    values = {"a": [b"x" * 300, b""], "b": [1.5, -2.0], "c": [-3, 0, 1 << 40]}
    found = tfrecord.example(made.example(values))
    assert found["a"] == values["a"]
    assert np.asarray(found["b"]).tolist() == values["b"]
    assert np.asarray(found["c"]).tolist() == values["c"]


def test_records_are_read_as_tensorboard_writes_them(tmp_path: Path):
    writer = pytest.importorskip("tensorboard.summary.writer.record_writer")
    messages = [b"one", b"", b"three" * 1000]
    with (tmp_path / "a.tfrecord").open("wb") as file:
        records = writer.RecordWriter(file)
        for message in messages:
            records.write(message)
        records.flush()
        assert list(tfrecord.records(tmp_path / "a.tfrecord")) == messages


# PoseTrack


def make_posetrack(root: Path, **changes: Any) -> np.ndarray:
    """A video of five frames: one person in all but the third, one with few points in all."""
    rng = np.random.default_rng(0)
    names = [f"images/train/000001_bonn_train/{number:06d}.jpg" for number in range(5)]
    images = [{"id": 10000010000 + n, "frame_id": 10000010000 + n, "vid_id": "000001",
               "file_name": name, "is_labeled": True, "nframes": 5}
              for n, name in enumerate(names)]  # fmt: skip
    for name in names:
        made.picture(root / name)
    points = np.concatenate([rng.uniform(10, 100, (5, 17, 2)), np.ones((5, 17, 1))], 2)
    points[:, 3:5] = 0  # the ears
    few = points.copy()
    few[:, 7:] = 0
    people = [
        {"id": 10 * track + n, "image_id": images[n]["id"], "track_id": track, "category_id": 1,
         "keypoints": values[n].ravel().tolist(), "bbox": [5, 5, 60, 100], "scores": []}
        for track, values in enumerate((points, few)) for n in (0, 1, 3, 4)
    ]  # fmt: skip
    categories = [{"name": "person", "keypoints": list(made.POSETRACK)}]
    content = {"images": images, "annotations": people, "categories": categories} | changes
    made.write_json(root / "posetrack_data/annotations/train/000001_bonn_train.json", content)
    return points


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
    for points in (human36m.POINTS, human36m_json.POINTS, mpi_inf_3dhp.POINTS, INSTA,
                   mpi_inf_3dhp_json.POINTS, threedpw.POINTS):  # fmt: skip
        named = {point for point in points if point not in ("", "face", "top")}
        assert named <= set(SLOT)
        assert len(named) == sum(point in named for point in points)
