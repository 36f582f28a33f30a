"""Numbers on held-out motion: what the landmarks said, what the network makes of it."""

from dataclasses import replace
from pathlib import Path

import numpy as np

from staf_backend.body.markers import indices
from staf_backend.geometry import skeleton
from staf_backend.landmarks.lift import Guess, Lifter
from staf_backend.runtime.onnx_session import open_network
from training.moves.mocap import Clip, Sampler
from training.moves.scenes import Cameras, Figure, Scenes, place
from training.moves.variety import NONE, Variety, vary
from training.simulated.landmark_noise import MEASURED, Noise, observe

_MARKERS = indices("shoulder", "elbow", "wrist", "hip", "knee", "ankle")
_JOINTS = np.array([16, 17, 18, 19, 20, 21, 1, 2, 4, 5, 7, 8])
_HIPS = [6, 7]
_GROUPS = {
    "trunk": [0, 3, 6, 9, 12, 15],
    "legs": [1, 2, 4, 5],
    "feet": [7, 8, 10, 11],
    "arms": [13, 14, 16, 17, 18, 19],
    "hands": [20, 21, 22, 23],
}
_STRIDE = 12
_SEED = 5


def evaluate(network: Path, clips: list[Clip], figure: Figure) -> dict[str, dict[str, float]]:
    """The product's guess on held-out clips.

    "measured" is captured motion under the errors as measured; "varied" has moves, cameras and
    errors as in training, people partly out of the picture included.

    Returns:
        by test: MPJPE and PA-MPJPE over 12 joints about the hips, millimetres, of landmarks and
        network (also shown no world points), errors of rotations and up in degrees beside what the
        network expected, F1 of contact.
    """
    lifter = Lifter(open_network(network, threads=1))
    return {
        "measured": _test(lifter, clips, figure, NONE, MEASURED, Cameras(focal_error=0.1)),
        "varied": _test(lifter, clips, figure, Variety(), Noise(), Cameras()),
    }


def _test(
    lifter: Lifter, clips: list[Clip], figure: Figure, variety: Variety, noise: Noise,
    cameras: Cameras,
) -> dict[str, float]:  # fmt: skip
    rng = np.random.default_rng(_SEED)
    sampler = Sampler(clips)
    scenes = place(vary(sampler.every(_STRIDE), sampler, variety, rng), figure, cameras, rng)
    windows = observe(scenes, noise, cameras.focal_error, rng)
    guess = lifter.guess(windows)
    numbers = {"windows": float(len(scenes.betas))}
    numbers |= _positions("landmarks", windows.world_m[:, :, _MARKERS], scenes)
    numbers |= _positions("network", joints_m(guess, figure)[:, :, _JOINTS], scenes)
    flat = replace(windows, world_observed=np.zeros_like(windows.world_observed))
    alone = joints_m(lifter.guess(flat), figure)[:, :, _JOINTS]
    numbers |= _positions("network_without_world", alone, scenes)
    numbers |= _directions(guess, scenes) | _contacts(guess, scenes)
    return {name: round(float(value), 3) for name, value in numbers.items()}


def joints_m(guess: Guess, figure: Figure) -> np.ndarray:
    """Joints (N, W, 24, 3) of a guess about the pelvis, on the body of its betas."""
    rest = figure.joints_m + np.einsum("jcb,nb->njc", figure.joints_per_beta, guess.betas)
    joints = [np.zeros_like(guess.rotations[:, :, 0, 0])]
    for joint, parent in enumerate(skeleton.PARENTS[1:], start=1):
        bone = (rest[:, joint] - rest[:, parent])[:, None, :, None]
        joints.append(joints[parent] + (guess.rotations[:, :, parent] @ bone)[..., 0])
    return np.stack(joints, 2)


def _positions(name: str, points_m: np.ndarray, scenes: Scenes) -> dict[str, float]:
    truth = scenes.joints_m[:, :, _JOINTS]
    truth, points = (x - x[:, :, _HIPS].mean(2, keepdims=True) for x in (truth, points_m))
    error = np.linalg.norm(points - truth, axis=-1).mean()
    aligned = np.linalg.norm(procrustes(points, truth) - truth, axis=-1).mean()
    return {f"{name}_mpjpe_mm": 1000 * error, f"{name}_pa_mpjpe_mm": 1000 * aligned}


def procrustes(points: np.ndarray, truth: np.ndarray) -> np.ndarray:
    """Points (..., P, 3) after the similarity that brings them nearest to the truth."""
    middle = truth.mean(-2, keepdims=True)
    points, truth = points - points.mean(-2, keepdims=True), truth - middle
    u, s, vt = np.linalg.svd(points.swapaxes(-1, -2) @ truth)
    sign = np.sign(np.linalg.det(u @ vt))
    u[..., :, 2] *= sign[..., None]
    s[..., 2] *= sign
    scale = s.sum(-1) / (points**2).sum((-1, -2))
    return scale[..., None, None] * (points @ (u @ vt)) + middle


def _directions(guess: Guess, scenes: Scenes) -> dict[str, float]:
    cosine = (np.einsum("...ij,...ij->...", guess.rotations, scenes.rotations) - 1) / 2
    turn = np.degrees(np.arccos(np.clip(cosine, -1, 1)))
    up = np.degrees(np.arccos(np.clip((guess.up * scenes.up).sum(-1), -1, 1)))
    return {
        "rotation_deg": float(turn.mean()),
        **{f"{name}_deg": float(turn[:, :, joints].mean()) for name, joints in _GROUPS.items()},
        "rotation_expected_deg": float(np.degrees(guess.deviation_rad).mean()),
        "rotation_correlation": float(np.corrcoef(turn.ravel(), guess.deviation_rad.ravel())[0, 1]),
        "up_deg": float(up.mean()),
        "up_median_deg": float(np.median(up)),
        "up_expected_deg": float(np.degrees(guess.up_deviation_rad).mean()),
    }


def _contacts(guess: Guess, scenes: Scenes) -> dict[str, float]:
    known = scenes.contact_known
    said, true = guess.contact[known] > 0.5, scenes.contact[known]
    hits = (said & true).sum()
    return {
        "contact_f1": float(2 * hits / max(said.sum() + true.sum(), 1)),
        "contact_share": float(true.mean()),
    }
