"""Small sets of video in their authors' formats, for tests of their readers."""

import shutil
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from scipy.io import savemat

from staf_backend.geometry import rotations
from tests.support import make_training_sets as made
from training.datasets import mpi_inf_3dhp

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


def make_h36m(root: Path, subject: int, camera: str = "60457274", frames: int = 10) -> np.ndarray:
    points = people_mm(frames, 32)
    folder = root / f"S{subject}"
    name = f"Directions 1.{camera}"
    made.cdf(folder / f"MyPoseFeatures/D3_Positions_mono/{name}.cdf", points.reshape(frames, 96))
    planar = seen_px(points).reshape(frames, 64)
    made.cdf(folder / f"MyPoseFeatures/D2_Positions/{name}.cdf", planar)
    made.video(folder / f"Videos/{name}.mp4", frames, 50)
    return points


def make_h36m_json(root: Path) -> dict[str, np.ndarray]:
    """Four frames of subjects 9 and 11 by cameras 1 and 4, with NeuralAnnot's labels."""
    rng = np.random.default_rng(1)
    turn = rotations.from_axis_angle(np.array([0.3, 1.0, -0.2]))
    facts = {
        "R": turn,
        "t": np.array([10.0, 20.0, 4000.0]),
        "pose": rng.normal(size=(4, 72)),
        "world": rng.uniform(-500, 500, (4, 17, 3)),
    }
    camera = {"R": turn.tolist(), "t": facts["t"].tolist(), "f": [300, 300], "c": [64, 64]}
    for subject in (9, 11):
        images = [
            {
                "id": 10 * cam + f,
                "width": 128,
                "height": 128,
                "subject": subject,
                "cam_idx": cam,
                "action_idx": 2,
                "subaction_idx": 1,
                "frame_idx": f,
                "file_name": f"s_{subject:02d}_ca_{cam:02d}/s_{subject:02d}_{f + 1:06d}.jpg",
            }
            for cam in (1, 4)
            for f in range(4)
        ]
        for image in images:
            made.picture(root / "images" / image["file_name"])
        boxes = [
            {"id": n, "image_id": image["id"], "bbox": [4, 6, 50, 80]}
            for n, image in enumerate(images)
        ]
        frames = {str(f): facts["world"][f].tolist() for f in range(4)}
        smpl = {
            str(f): {"pose": facts["pose"][f].tolist(), "shape": [0.2] * 10, "trans": [0] * 3}
            for f in range(3)
        }
        name = root / f"annotations/Human36M_subject{subject}"
        made.write_json(Path(f"{name}_data.json"), {"images": images, "annotations": boxes})
        made.write_json(Path(f"{name}_camera.json"), {"1": camera, "4": camera})
        made.write_json(Path(f"{name}_joint_3d.json"), {"2": {"1": frames}})
        made.write_json(Path(f"{name}_SMPL_NeuralAnnot.json"), {"2": {"1": smpl}})
    return facts


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


def calibration(turns: np.ndarray) -> str:
    """A Skeletool file of cameras 0 .. len(turns) - 1."""
    lines = ["Skeletool Camera Calibration File V1.0"]
    for number, turn in enumerate(turns):
        pose = np.eye(4)
        pose[:3, :3], pose[:3, 3] = turn, [10, 20, 4000]
        lens = np.eye(4)
        lens[:3, :3] = LENS
        words = [" ".join(f"{value:.9g}" for value in matrix.ravel()) for matrix in (lens, pose)]
        lines += [
            f"name          {number}",
            "  sensor      10 10",
            "  size        128 128",
            "  animated    0",
            f"  intrinsic   {words[0]} ",
            f"  extrinsic   {words[1]} ",
            "  radial      0",
        ]
    return "\n".join(lines) + "\n"


def mpi_smpl(frames: int, first: int = 1) -> tuple[np.ndarray, dict[str, Any]]:
    """Poses (frames, 72) and NeuralAnnot's labels of all sequences: frames count from one."""
    poses = np.random.default_rng(2).normal(size=(frames, 72))
    of_frames = {
        str(first + f): {"pose": pose.tolist(), "shape": [0.2] * 10, "trans": [0] * 3}
        for f, pose in enumerate(poses)
    }
    return poses, {str(s): {"1": of_frames, "2": of_frames} for s in range(1, 9)}


def make_mpi_json(root: Path) -> dict[str, np.ndarray]:
    """Three frames of two sequences by cameras 1 and 11, the second one at the ceiling."""
    turn = rotations.from_axis_angle(np.array([0.3, 1.0, -0.2]))
    world = np.random.default_rng(1).uniform(-400, 400, (3, 17, 3))
    shift = np.array([10.0, 20.0, 4000.0])
    camera = {"R": turn.tolist(), "t": shift.tolist(), "focal": [300, 300], "princpt": [64, 64]}
    images = [
        {
            "id": 10 + n,
            "width": 128,
            "height": 128,
            "subject_idx": 1,
            "seq_idx": sequence,
            "cam_idx": cam,
            "frame_idx": f,
            "file_name": f"img_{cam}_{f:06d}.jpg",
        }
        for n, (sequence, cam, f) in enumerate(
            (sequence, cam, f) for sequence in (1, 2) for cam in (1, 11) for f in (1, 2, 3)
        )
    ]
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


def make_mpi_test(root: Path, frames: int = 5, **changes: Any) -> np.ndarray:
    points = people_mm(frames, 17)
    for subject in range(1, 7):
        folder = root / f"mpi_inf_3dhp_test_set/TS{subject}"
        folder.mkdir(parents=True, exist_ok=True)
        content = {
            "annot2": seen_px(points)[:, None],
            "univ_annot3": points[:, None],
            "annot3": points[:, None] * 1.1,
            "valid_frame": np.array([[1], [1], [0], [1], [1]]),
        } | changes
        with h5py.File(folder / "annot_data.mat", "w") as file:
            for name, values in content.items():
                file[name] = values
        for number in range(frames):
            made.picture(folder / f"imageSequence/img_{number + 1:06d}.jpg", 128, 128)
    return points


def make_3dpw(root: Path, frames: int = 6, **changes: Any) -> dict[str, Any]:
    """Two people; the camera is lost in the fourth frame of the first."""
    rng = np.random.default_rng(0)
    turn = rotations.from_axis_angle(np.array([3.0, 0.2, 0.1]))
    cameras = np.tile(np.eye(4), (frames, 1, 1))
    cameras[:, :3, :3], cameras[:, :3, 3] = turn, [0.1, 0.2, 4.0]
    seen = np.ones(frames, bool)
    seen[3] = False
    content = {
        "sequence": "yard_00",
        "genders": ["m", "f"],
        "cam_poses": cameras,
        "cam_intrinsics": LENS,
        "img_frame_ids": np.arange(frames),
        "poses": [rng.normal(size=(frames, 72)) * 0.3 for _ in range(2)],
        "betas": [rng.normal(size=10), rng.normal(size=300)],
        "jointPositions": [rng.uniform(-0.5, 0.5, (frames, 72)) for _ in range(2)],
        "campose_valid": [seen, np.ones(frames, bool)],
        "texture_maps": [[], []],
        "v_template_clothed": [None, None],
    } | changes
    for split in ("train", "test"):
        path = root / f"sequenceFiles/{split}/yard_00.pkl"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(made.python2_pickle(content))
    for number in range(frames):
        made.picture(root / f"imageFiles/yard_00/image_{number:05d}.jpg")
    return content


def insta_example(folder: Path, changes: dict[str, Any] | None = None) -> tuple[bytes, np.ndarray]:
    frames = 5
    rng = np.random.default_rng(0)
    points = np.concatenate([rng.uniform(20, 200, (frames, 25, 2)), np.ones((frames, 25, 1))], 2)
    points[:, 14, 2] = 0  # the nose is never seen
    crops = [made.picture(folder / "crop.jpg", seed=n).read_bytes() for n in range(frames)]
    axes = points.transpose(0, 2, 1)
    features = {
        "meta/N": [frames],
        "image/encoded": crops,
        "image/xys": axes[:, :2, :14].ravel().tolist(),
        "image/visibilities": axes[:, 2, :14].astype(int).ravel().tolist(),
        "image/face_pts": axes[..., 14:19].ravel().tolist(),
        "image/toe_pts": axes[..., 19:].ravel().tolist(),
        "image/filenames": [b"a.jpg"] * frames,
        "mosh/poses": [-1],
    } | (changes or {})
    return made.example({k: v for k, v in features.items() if v}), points


def make_posetrack(root: Path, **changes: Any) -> np.ndarray:
    """A video of five frames: one person in all but the third, one with few points in all."""
    rng = np.random.default_rng(0)
    names = [f"images/train/000001_bonn_train/{number:06d}.jpg" for number in range(5)]
    images = [
        {
            "id": 10000010000 + n,
            "frame_id": 10000010000 + n,
            "vid_id": "000001",
            "file_name": name,
            "is_labeled": True,
            "nframes": 5,
        }
        for n, name in enumerate(names)
    ]
    for name in names:
        made.picture(root / name)
    points = np.concatenate([rng.uniform(10, 100, (5, 17, 2)), np.ones((5, 17, 1))], 2)
    points[:, 3:5] = 0  # the ears
    few = points.copy()
    few[:, 7:] = 0
    people = [
        {
            "id": 10 * track + n,
            "image_id": images[n]["id"],
            "track_id": track,
            "category_id": 1,
            "keypoints": values[n].ravel().tolist(),
            "bbox": [5, 5, 60, 100],
            "scores": [],
        }
        for track, values in enumerate((points, few))
        for n in (0, 1, 3, 4)
    ]
    categories = [{"name": "person", "keypoints": list(made.POSETRACK)}]
    content = {"images": images, "annotations": people, "categories": categories} | changes
    made.write_json(root / "posetrack_data/annotations/train/000001_bonn_train.json", content)
    return points
