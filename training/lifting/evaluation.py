"""Numbers on held-out motion: what the landmarks said, what the network makes of it."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import torch

from staf_backend.body.markers import indices
from staf_backend.geometry import SMPL, forward_kinematics, parent_relative
from staf_backend.landmarks import Guess, Lifter
from staf_backend.runtime import open_network
from training.lifting.losses import bends
from training.moves import NONE, Cameras, Clip, Figure, Sampler, Scenes, Variety, place, vary
from training.scoring import mpjpe_mm, pa_mpjpe_mm
from training.simulated.landmark_noise import MEASURED, Noise, as_cropped, observe

_SCORED = ("shoulder", "elbow", "wrist", "hip", "knee", "ankle")
_MARKERS = indices(*_SCORED)
_JOINTS = np.array(SMPL.indices(*_SCORED))
_HIPS = [2 * _SCORED.index("hip"), 2 * _SCORED.index("hip") + 1]
_GROUPS = {
    "trunk": list(SMPL.indices("pelvis", "spine1", "spine2", "spine3", "neck", "head")),
    "legs": list(SMPL.indices("hip", "knee")),
    "feet": list(SMPL.indices("ankle", "foot")),
    "arms": list(SMPL.indices("collar", "shoulder", "elbow")),
    "hands": list(SMPL.indices("wrist", "hand")),
}
_STRIDE = 12
"""Frames between the starts of windows (chosen: windows of 32 then overlap by two thirds)."""
_SEED = 5
"""Of the draws, so that all networks are shown the same (chosen)."""
_STRAIGHT_DEG, _BENT_DEG = 20.0, 60.0
"""Knees and elbows bent by less are called straight, by more bent (chosen: a stance, a squat)."""
_STANDS = 0.5
"""Probability of contact from which a foot is said to stand (chosen: the even one)."""


def evaluate(network: Path, clips: list[Clip], figure: Figure) -> dict[str, dict[str, float]]:
    """The product's guess on held-out clips.

    "measured" is captured motion under the errors as measured; "varied" has moves, cameras and
    errors as in training, people partly out of the picture included.

    Returns:
        by test: MPJPE and PA-MPJPE over 12 joints about the hips, millimetres, of landmarks and
        network (also shown no world points), errors of rotations and up in degrees beside what the
        network expected, degrees by which straight and bent knees and elbows come out too bent
        (negative: too straight), F1 of contact.
    """
    lifter = Lifter(open_network(network, threads=1))
    return {
        "measured": _test(lifter, clips, figure, NONE, MEASURED, Cameras(focal_error=0.1)),
        "varied": _test(lifter, clips, figure, Variety(), Noise(), Cameras()),
    }


def _test(
    lifter: Lifter,
    clips: list[Clip],
    figure: Figure,
    variety: Variety,
    noise: Noise,
    cameras: Cameras,
) -> dict[str, float]:
    rng = np.random.default_rng(_SEED)
    sampler = Sampler(clips)
    scenes = place(vary(sampler.every(_STRIDE), sampler, variety, rng), figure, cameras, rng)
    windows = as_cropped(observe(scenes, noise, cameras.focal_error, rng))
    guess = lifter.guess(windows)
    numbers = {"windows": float(len(scenes.betas))}
    numbers |= _positions("landmarks", windows.world_m[:, :, _MARKERS], scenes)
    placed = joints_m(guess, figure)
    numbers |= _positions("network", placed[:, :, _JOINTS], scenes)
    flat = replace(windows, world_observed=np.zeros_like(windows.world_observed))
    alone = joints_m(lifter.guess(flat), figure)[:, :, _JOINTS]
    numbers |= _positions("network_without_world", alone, scenes)
    numbers |= _directions(guess, scenes) | _bent(placed, scenes) | _contacts(guess, scenes)
    return {name: round(float(value), 3) for name, value in numbers.items()}


def joints_m(guess: Guess, figure: Figure) -> np.ndarray:
    """Joints (N, W, 24, 3) of a guess about the pelvis, on the body of its betas."""
    rest = figure.joints_m + np.einsum("jcb,nb->njc", figure.joints_per_beta, guess.betas)
    local, pelvis_m = parent_relative(guess.rotations), np.zeros_like(guess.rotations[:, :, 0, 0])
    return forward_kinematics(local, rest[:, None], pelvis_m)[1]


def _positions(name: str, points_m: np.ndarray, scenes: Scenes) -> dict[str, float]:
    truth = scenes.joints_m[:, :, _JOINTS]
    truth, points = (x - x[:, :, _HIPS].mean(2, keepdims=True) for x in (truth, points_m))
    points, truth = (x.reshape(-1, *x.shape[2:]) for x in (points, truth))
    error, best = mpjpe_mm(points, truth).mean(), pa_mpjpe_mm(points, truth).mean()
    return {f"{name}_mpjpe_mm": error, f"{name}_pa_mpjpe_mm": best}


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


def _bent(placed_m: np.ndarray, scenes: Scenes) -> dict[str, float]:
    """By how much knees and elbows are too bent, where they are straight and where they are bent.

    Args:
        placed_m: (N, W, 24, 3) the network's joints.
        scenes: the truth; what it holds none of has no number.
    """
    found, true = (
        np.degrees(bends(torch.from_numpy(np.float32(points))).numpy())
        for points in (placed_m, scenes.joints_m)
    )
    numbers = {}
    for name, columns in (("knees", slice(0, 2)), ("elbows", slice(2, 4))):
        off, bend = (found - true)[..., columns], true[..., columns]
        for how, which in (("straight", bend < _STRAIGHT_DEG), ("bent", bend > _BENT_DEG)):
            if which.any():
                numbers[f"{how}_{name}_off_deg"] = float(off[which].mean())
    return numbers


def _contacts(guess: Guess, scenes: Scenes) -> dict[str, float]:
    known = scenes.contact_known
    found, true = guess.contact[known] > _STANDS, scenes.contact[known]
    hits = (found & true).sum()
    return {
        "contact_f1": float(2 * hits / max(found.sum() + true.sum(), 1)),
        "contact_share": float(true.mean()),
    }
