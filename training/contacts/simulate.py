"""Captured motion as the product would estimate it, and which feet stand in it: cheap lessons.

    python -m training.contacts.simulate simulated.npz --mocap MOTION.npz --scenes 500 --seed 1

    captured motion ─► feet that truly stand ─► camera ─► landmarks with measured errors
                              └──► contacts                 ─► lifter ─► fit ─► tracks of feet

The view is level, as after the product's own levelling; a person below the camera stands for one
that looks down.  A core makes some three scenes a second.
"""

import argparse
import logging
import sys
from pathlib import Path

import numpy as np

from staf_backend.assets import asset_path
from staf_backend.body import SHAPE_COUNT, load_body, markers
from staf_backend.fit import Fitter
from staf_backend.geometry import TO_Y_UP, forward_kinematics, from_axis_angle
from staf_backend.landmarks import Lifter
from staf_backend.landmarks.windows import GRID_HZ, WINDOW
from staf_backend.runtime import open_network
from staf_backend.world.movement import FEET, Movement, movement_of
from training.command import command_line
from training.contacts.lessons import Lesson, lesson_of, write_lessons
from training.moves import (
    BETA_WIDTHS,
    BODY,
    CLIMBS,
    HELD_OUT,
    NONE,
    Clip,
    Scenes,
    captured,
    figure_of,
    open_clips,
    planted,
    split,
)
from training.simulated.landmark_noise import Noise, observe

FRAMES = (60, 130)
"""Shortest and longest scene.  Chosen: as long as most clips of somebody who walks."""
_DISTANCE_M, _LOOKS_DOWN_DEG = (3.0, 9.0), 30.0
"""Nearest and farthest, and how far cameras look down at most; half of them are level.  Chosen."""
_ALONG, _ALONG_RAD = 0.6, 0.3
"""How often somebody goes along the view, and within what of it.  Chosen: it is the hardest."""
_LENS_LOG = 0.15
"""Deviation of the logarithm of the lens that is assumed.  Measured: 0.8 to 1.3 of the true one."""
NOISE = Noise(image=1.3, gaps=0.0, cropped=0.0, swapped=0.15)
"""Of windows that fade into each other, which evens out a quarter of the errors."""
_HOP = WINDOW // 2
_log = logging.getLogger(__name__)


class Simulator:
    """Makes lessons of captured motion.

    Args:
        clips: of people who may be learned from.
    """

    def __init__(self, clips: list[Clip]) -> None:
        self._clips, self._body = clips, load_body(BODY)
        self._lifter = Lifter(open_network(asset_path("lift.onnx"), threads=1))
        self._fitter = Fitter(self._body)

    def lesson(self, rng: np.random.Generator) -> Lesson:
        """One scene; its randomness comes from `rng`."""
        truth, stands = self.scene(int(rng.integers(*FRAMES)), rng)
        found = self._estimated(truth, rng)
        return lesson_of(found, stands)

    def scene(self, frames: int, rng: np.random.Generator) -> tuple[Movement, np.ndarray]:
        """Somebody before a level camera at the origin, and (T, 4) bool which of `FEET` stand."""
        move = captured(self._clips, frames, GRID_HZ, NONE, rng)
        betas = rng.standard_normal(SHAPE_COUNT) * BETA_WIDTHS
        turn, place_m = _before_camera(move.pelvis_m, rng)
        return planted(move, self._body, betas, GRID_HZ, turn, place_m)

    def _estimated(self, truth: Movement, rng: np.random.Generator) -> Movement:
        """What the lifter and the fit make of what a landmark network reports."""
        rays, world_m, visibility = seen(truth, rng)
        lifted = self._lifter.lift(rays, world_m, visibility, truth.times_s)
        fitted = self._fitter.fit(rays, visibility, truth.times_s, lifted)
        return movement_of(fitted.params, truth.times_s, self._body, truth.feet_seen)


def seen(
    truth: Movement, rng: np.random.Generator, noise: Noise = NOISE
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Rays (T, 27, 2), world points (T, 27, 3) and visibility (T, 27) of somebody's landmarks.

    Errors are those of windows (`landmark_noise.observe`) that fade into each other.
    """
    count = len(truth)
    first = np.arange(0, max(count - WINDOW, 0) + _HOP, _HOP)
    rows = (first[:, None] + np.arange(WINDOW)).clip(max=count - 1)
    windows = observe(_scenes(truth, rows), noise, 0.0, rng)
    weights = np.sin(np.pi * (np.arange(WINDOW) + 0.5) / WINDOW) ** 2
    fading = np.broadcast_to(weights, rows.shape)
    total = np.zeros(count)
    np.add.at(total, rows, fading)
    blended = []
    for values in (windows.rays, windows.world_m, windows.visibility):
        share = (fading / total[rows]).reshape(*rows.shape, *(1,) * (values.ndim - 2))
        sums = np.zeros((count, *values.shape[2:]))
        np.add.at(sums, rows, values * share)
        blended.append(sums.astype(np.float32))
    rays, world_m, visibility = blended
    middle = np.array([0.0, rays[..., 1].mean()], np.float32)
    lens = np.float32(np.exp(rng.normal(0, _LENS_LOG)))
    return middle + (rays - middle) * lens, world_m, visibility


def posed_markers(truth: Movement) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Global rotations (T, 24, 3, 3), joints (T, 24, 3) and markers (T, 27, 3), y up."""
    body, betas = truth.body, truth.betas
    turned, joints_m = forward_kinematics(truth.rotations, body.rest_joints_m(betas), truth.root_m)
    shared = markers.markers_of(body)
    return turned, joints_m, shared.blend(shared.influences_m(turned, joints_m, betas))


def _scenes(truth: Movement, rows: np.ndarray) -> Scenes:
    """Windows of a movement, whose frames are rows (N, W), in camera axes."""
    turned, joints_m, points_m = posed_markers(truth)
    pelvis_m = joints_m[:, :1]
    of_camera = lambda vectors: (vectors @ TO_Y_UP.T).astype(np.float32)[rows]
    count, frames = rows.shape
    return Scenes(
        rotations=(TO_Y_UP @ turned).astype(np.float32)[rows],
        pelvis_m=of_camera(pelvis_m[:, 0]),
        joints_m=of_camera(joints_m - pelvis_m),
        markers_m=of_camera(points_m - pelvis_m),
        bones_m=np.zeros((count, *joints_m.shape[1:])),
        betas=np.tile(truth.betas, (count, 1)),
        up=np.tile([0.0, -1.0, 0.0], (count, 1)),
        contact=np.zeros((count, frames, len(FEET)), bool),
        contact_known=np.zeros(count, bool),
    )


def _before_camera(path_m: np.ndarray, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """A turn (3, 3) about up, and where the middle of the path (T, 3) comes to lie."""
    way = path_m[-1] - path_m[0]
    heading = rng.uniform(-np.pi, np.pi)
    if rng.random() < _ALONG:
        heading = rng.choice([0.0, np.pi]) + rng.normal(0, _ALONG_RAD)
    turn = from_axis_angle(np.array([0.0, heading - np.arctan2(way[0], way[2]), 0.0]))
    down = np.radians(rng.uniform(0, _LOOKS_DOWN_DEG)) * (rng.random() < 0.5)
    far_m = rng.uniform(*_DISTANCE_M) + np.hypot(way[0], way[2]) / 2
    aside = rng.normal(0, 0.1)
    return turn, far_m * np.array([aside, -np.sin(down), -np.cos(down)])


def arguments() -> argparse.ArgumentParser:
    """The options of this command."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("out", type=Path, help="the .npz file to write")
    parser.add_argument("--mocap", type=Path, nargs="+", required=True, help="motion capture, .npz")
    parser.add_argument("--scenes", type=int, default=500, help="how many (500)")
    parser.add_argument("--seed", type=int, default=1, help="of the first scene (1)")
    return parser


def main() -> None:
    """Simulate scenes of people who are not held out, and write what they teach."""
    given = arguments().parse_args()
    clips, _ = split(open_clips(given.mocap, figure_of(BODY)), HELD_OUT)
    simulator = Simulator([clip for clip in clips if clip.subject != CLIMBS])
    seeds = range(given.seed, given.seed + given.scenes)
    write_lessons(given.out, [simulator.lesson(np.random.default_rng(seed)) for seed in seeds])
    _log.info("%d scenes", given.scenes)


if __name__ == "__main__":
    sys.exit(command_line(main))
