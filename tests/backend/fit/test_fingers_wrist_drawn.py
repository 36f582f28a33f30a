"""Wrists and forearms of drawn people, whose truth is exact: a whole conversion with hands."""

from pathlib import Path

import cv2
import numpy as np
import pytest

from staf_backend.choices import Hands
from staf_backend.geometry import SMPL, TO_Y_UP, forward_kinematics, from_quaternions, to_axis_angle
from staf_backend.motion import Motion
from staf_backend.pipeline import Settings, solve
from tests.support.draw_hands import draw_whole

pytestmark = pytest.mark.slow
GESTURES = ("relaxed", "grip")
SIZE, FRAMES, FIRST_SEED = 900, 14, 90_000


def errors_deg(motion: Motion, turned: np.ndarray, joints: tuple[str, ...]) -> np.ndarray:
    """(T, J) degrees between a motion's joints and the true ones (T, 52, 3, 3), camera axes."""
    local = from_quaternions(motion.rotations_wxyz.astype(float))
    rest = motion.rest_joints_m.astype(float)
    found, _ = forward_kinematics(local, rest, motion.root_m, motion.skeleton)
    camera = TO_Y_UP @ from_quaternions(motion.camera.rotation_wxyz).T
    places = list(SMPL.indices(*joints))
    off = (camera @ found[:, places]).swapaxes(-1, -2) @ turned[motion.frames][:, places]
    return np.degrees(np.linalg.norm(to_axis_angle(off), axis=-1))


def test_wrists_and_forearms_are_nearer_to_the_truth_with_hands(tmp_path: Path):
    off: dict[Hands, list[np.ndarray]] = {"off": [], "auto": []}
    for number, gesture in enumerate(GESTURES):
        rng = np.random.default_rng(FIRST_SEED + number)
        images, turned, focal = draw_whole(rng, gesture, SIZE, FRAMES)
        folder = tmp_path / gesture
        folder.mkdir()
        for frame, image in enumerate(images):
            assert cv2.imwrite(str(folder / f"{frame:03d}.png"), image[..., ::-1])
        for hands, found in off.items():
            settings = Settings(person="largest", hands=hands, focal_px=focal, threads=1)
            motion = solve(folder, settings, lambda *_: None).motions[0]
            joints = ("left_wrist", "right_wrist", "left_elbow", "right_elbow")
            found.append(errors_deg(motion, turned, joints).mean(0))
    before, after = np.array(off["off"]), np.array(off["auto"])
    for name, part in (("wrists", slice(0, 2)), ("forearms", slice(2, 4))):
        print(f"{name}: {before[:, part].mean():.0f} to {after[:, part].mean():.0f} degrees off")
    assert after[:, :2].mean() < 0.5 * before[:, :2].mean()
    assert after[:, 2:].mean() < 0.75 * before[:, 2:].mean()
    assert after[:, :2].mean() < 18
