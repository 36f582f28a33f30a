"""Motions whose every joint is known, written by the backend's own writer.

The person walks to the right of the picture (+x) with the left arm raised; other joints swing at
incommensurate rates so that no two frames, bones or axes are alike.
"""

from pathlib import Path

import numpy as np

from addon.scene.body_file import open_body_path, read_body
from staf_backend.geometry import SMPL, Camera, from_axis_angle, to_quaternions
from staf_backend.motion import Motion, save_motion

WIDTH_PX, HEIGHT_PX, FOCAL_PX = 640, 480, 700.0
LEFT_SHOULDER, LEFT_ELBOW = SMPL.index("L_Shoulder"), SMPL.index("L_Elbow")


def known_motion(count: int = 60, fps: float = 30.0, **changes) -> Motion:
    """A motion of `count` keys at a constant rate, unless `times_s` is among the changes.

    Args:
        count: number of keys T.
        fps: keys a second.
        changes: fields of `Motion` to replace.
    """
    betas = np.array([1.0, -0.5, 0.8, 0.3, -0.2, 0.1, 0.0, 0.4, -0.3, 0.2])
    body = read_body(open_body_path("open-neutral"), "open-neutral")
    phase = np.arange(count)[:, None, None] * (0.05 + 0.01 * np.arange(24))[None, :, None]
    vectors = 0.35 * np.sin(phase + np.array([0.0, 1.0, 2.0]) + np.arange(24)[None, :, None])
    vectors[:, LEFT_SHOULDER] = (0, 0, 1.2)
    vectors[:, LEFT_ELBOW] = 0
    vectors[:, 0] = np.array([0, 0.3, 0]) * np.sin(phase[:, 0])
    seconds = np.arange(count) / fps
    travel = np.stack([seconds * 0.8 - 0.5, 0.02 * np.sin(seconds * 9), 0.1 * seconds - 4.0], -1)
    fields = {
        "times_s": seconds,
        "frames": np.arange(count),
        "rotations_wxyz": to_quaternions(from_axis_angle(vectors)).astype(np.float32),
        "root_m": travel,
        "observed": np.ones(count, bool),
        "body": "open-neutral",
        "betas": betas,
        "rest_joints_m": body.rest_joints_m(betas),
        "camera": Camera(FOCAL_PX, WIDTH_PX, HEIGHT_PX, focal_assumed=False),
        "name": "walk",
        "source": "walk.mp4",
        "source_fps": fps,
        "estimator": "landmarks",
    }
    return Motion(**(fields | changes))


def write(path: Path, count: int = 60, fps: float = 30.0, **changes) -> Path:
    """Write a known motion; returns the path."""
    save_motion(path, known_motion(count, fps, **changes))
    return path


def rewrite(path: Path, **members) -> Path:
    """The file again with some members replaced, or removed where None: for bad files."""
    with np.load(path, allow_pickle=False) as archive:
        arrays = {name: archive[name] for name in archive.files} | members
    np.savez(path, **{name: array for name, array in arrays.items() if array is not None})
    return path
