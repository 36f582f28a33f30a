"""Captured motion as landmark network and detector would read it: cheap lessons.

    python -m training.sides.simulate simulated.npz --mocap MOTION.npz MORE.npz --scenes 1000

Sides are never exchanged here; the trainer does that.
"""

import argparse
import logging
import sys
from pathlib import Path

import numpy as np

from staf_backend.body import markers
from staf_backend.geometry import TO_Y_UP
from staf_backend.landmarks.names import COCO, COUNT, NAMES
from training.command import command_line
from training.contacts.simulate import Simulator, posed_markers, seen
from training.moves import BODY, CLIMBS, HELD_OUT, figure_of, open_clips, smooth_series, split
from training.sides.lessons import Lesson, write_lessons
from training.simulated.landmark_noise import Noise

_FRAMES = (75, 135)
"""Shortest and longest.  Chosen: as drawn scenes have it."""
_NOISE = Noise(image=1.5, gaps=0.0, cropped=0.0, swapped=0.0)
_FOCAL_PX = 800.0
_DRIFTS, _DRIFT_FRAMES, _JITTERS = 0.05, 8.0, 0.05
"""Errors of the detector's key points in torso lengths: those that stay for some frames, and those
that are anew in each.  Chosen: near what it shows on drawn people."""
_SCORE = (0.6, 0.2)
"""Mean and deviation of its scores.  Chosen, likewise."""
_WHERE = np.array([NAMES.index(name) for name in markers.NAMES])
"""Landmarks that markers stand for."""
_DETECTED = np.array([markers.NAMES.index(NAMES[k]) for k in COCO])
"""Markers that the detector's key points stand for."""
_log = logging.getLogger(__name__)


def lesson(simulator: Simulator, rng: np.random.Generator) -> Lesson:
    """One scene; its randomness comes from `rng`."""
    truth, _ = simulator.scene(int(rng.integers(_FRAMES[0], _FRAMES[1] + 1)), rng)
    rays, world_m, visibility = seen(truth, rng, _NOISE)
    joints_m, markers_m = (points_m @ TO_Y_UP.T for points_m in posed_markers(truth)[1:])
    joints_px, markers_px = (_FOCAL_PX * m[..., :2] / m[..., 2:] for m in (joints_m, markers_m))
    return Lesson(
        _placed(rays * _FOCAL_PX, np.nan),
        _placed(world_m, np.nan),
        _placed(visibility[..., None], 0.0)[..., 0],
        np.ones(len(truth)),
        _detected(markers_px[:, _DETECTED], _torso_px(joints_px), rng),
        truth.times_s,
        joints_px,
        joints_m,
    )


def _placed(values: np.ndarray, missing: float) -> np.ndarray:
    """Landmarks (T, 33, D) of markers (T, 27, D)."""
    found = np.full((len(values), COUNT, values.shape[-1]), missing)
    found[:, _WHERE] = values
    return found


def _torso_px(joints_px: np.ndarray) -> float:
    hips, shoulders = joints_px[:, [1, 2]].mean(1), joints_px[:, [16, 17]].mean(1)
    return float(np.median(np.linalg.norm(shoulders - hips, axis=-1)))


def _detected(points_px: np.ndarray, torso_px: float, rng: np.random.Generator) -> np.ndarray:
    """(T, 17, 3) of points (T, 17, 2)."""
    frames, count = points_px.shape[:2]
    drift = smooth_series(rng, frames, 2 * count, _DRIFT_FRAMES).reshape(points_px.shape)
    off = _DRIFTS * drift + _JITTERS * rng.standard_normal(points_px.shape)
    score = rng.normal(*_SCORE, (frames, count, 1)).clip(0, 1)
    return np.concatenate([points_px + off * torso_px, score], -1)


def arguments() -> argparse.ArgumentParser:
    """The options of this command."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("out", type=Path, help="the .npz file to write")
    parser.add_argument("--mocap", type=Path, nargs="+", required=True, help="motion capture, .npz")
    parser.add_argument("--scenes", type=int, default=1000, help="how many (1000)")
    parser.add_argument("--seed", type=int, default=1, help="of the first scene (1)")
    return parser


def main() -> None:
    """Simulate scenes of people who are not held out."""
    given = arguments().parse_args()
    clips, _ = split(open_clips(given.mocap, figure_of(BODY)), HELD_OUT)
    simulator = Simulator([clip for clip in clips if clip.subject != CLIMBS])
    seeds = range(given.seed, given.seed + given.scenes)
    write_lessons(given.out, [lesson(simulator, np.random.default_rng(seed)) for seed in seeds])
    _log.info("%d scenes", given.scenes)


if __name__ == "__main__":
    sys.exit(command_line(main))
