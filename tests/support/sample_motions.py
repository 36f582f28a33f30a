"""Motions for tests: made by formula, with every joint moving differently."""

import dataclasses
from typing import Any

import numpy as np

from staf_backend.body import load_body
from staf_backend.geometry import SMPL, Camera, CameraPath, from_axis_angle, to_quaternions
from staf_backend.motion import ContactSpan, Motion


def swaying(keys: int = 40, *, seed: int = 0, scale_rad: float = 0.5) -> np.ndarray:
    """Smooth parent-relative rotations (keys, J, 3, 3), no two joints alike."""
    rng = np.random.default_rng(seed)
    rate, phase = rng.uniform(0.5, 2, (2, len(SMPL), 3))
    angles = np.sin(np.arange(keys)[:, None, None] / 30 * 2 * np.pi * rate + 6 * phase)
    return from_axis_angle(scale_rad * angles)


def sample_motion(
    rotations: np.ndarray | None = None,
    *,
    body: str = "open-neutral",
    betas: np.ndarray | None = None,
    **changes: Any,
) -> Motion:
    """A person who walks an arc while swaying; `changes` replace fields."""
    rotations = swaying() if rotations is None else rotations
    betas = np.linspace(-1, 1, 10) if betas is None else betas
    time = np.arange(len(rotations)) / 30
    fields: dict[str, Any] = {
        "times_s": 2.5 + time,
        "frames": 75 + np.arange(len(rotations)),
        "rotations_wxyz": to_quaternions(rotations),
        "root_m": np.stack([np.sin(time), 0.05 * np.cos(9 * time), -3 - time], -1),
        "observed": np.arange(len(rotations)) % 7 != 3,
        "body": body,
        "betas": betas,
        "camera": Camera(focal_px=1200.0, width_px=1280, height_px=720),
        "name": "arc",
        "source": "arc.mp4",
        "source_fps": 30.0,
        "estimator": "landmarks",
        "quality": {"coverage": 0.85},
    }
    if "rest_joints_m" not in changes:
        fields["rest_joints_m"] = load_body(body).rest_joints_m(betas)
    return Motion(**(fields | changes))


def with_all() -> Motion:
    """The same with every optional part: a camera that pans, contacts, the raw layer, a card."""
    angles = np.linspace(0, 0.5, 40)
    turns = to_quaternions(from_axis_angle(angles[:, None] * [0.0, 1.0, 0.0]))
    places = np.array([0, 1.4, 0]) + np.outer(angles, [0.2, 0.0, 0.1])
    pose = {"rotation_wxyz": turns[0], "position_m": places[0]}
    return sample_motion(
        camera=Camera(1200.0, 1280, 720, motion="moving", **pose),
        camera_path=CameraPath(turns.astype(np.float32), places),
        contact_probability=np.random.default_rng(2).uniform(0, 1, (40, 2)),
        contact_names=("left_heel", "seat"),
        contacts=(
            ContactSpan("left_toe", 2.8, 2.9, 0.0),
            ContactSpan("left_heel", 2.5, 2.7, -0.25),
        ),
        raw_rotations_wxyz=to_quaternions(swaying(seed=1)),
        raw_root_m=np.outer(angles, [1.0, 2.0, 3.0]),
        hand_seen=np.arange(80).reshape(40, 2) % 3 > 0,
        card={"words": ["feet slide"], "numbers": {"tilt_deg": 3.5}, "worst": []},
        configuration="base + APM",
    )


def raised_left_arm(keys: int = 2) -> np.ndarray:
    """Rotations (keys, J, 3, 3): T-pose but for the left arm, which points straight up."""
    rotations = np.tile(np.eye(3), (keys, len(SMPL), 1, 1))
    quarter_turn = from_axis_angle(np.array([0, 0, np.pi / 2]))
    rotations[:, SMPL.index("L_Shoulder")] = quarter_turn
    return rotations


def with_keypoints() -> Motion:
    """A sample that carries three key points."""
    points = np.random.default_rng(1).uniform(0, 700, (40, 3, 3))
    return sample_motion(keypoints_px=points, keypoint_names=("nose", "left_eye", "right_eye"))


def assert_equal(first: Any, second: Any) -> None:
    """Two motions are equal to the bit, field by field."""
    for field in dataclasses.fields(first):
        a, b = getattr(first, field.name), getattr(second, field.name)
        if isinstance(a, Camera | CameraPath):
            assert_equal(a, b)
        elif isinstance(a, np.ndarray):
            assert a.dtype == b.dtype
            np.testing.assert_array_equal(a, b)
        else:
            assert a == b, field.name
