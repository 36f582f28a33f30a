"""Simulated landmarks: captured motion as a landmark network would report it, without pictures.

    moves ─► body, camera (moves.scenes) ─► BlazePose's errors (landmark_noise) ─► crop ─► landmarks
                       └───────────────────────────────────────────────► Targets

For encoders that read landmarks (`encoders.fields`): thousands of samples a second where a renderer
draws twenty, with errors as they were measured on footage, which no renderer has.  Targets mean
what `targets.squares` says: joints and the root's rotation belong to a camera that is turned
straight at the crop.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
import torch

from staf_backend.body import load_body
from staf_backend.geometry import skeleton
from staf_backend.landmarks.windows import GRID_HZ, WINDOW, Windows
from staf_backend.staf.body import tables_from_body
from training.joints import COUNT
from training.moves import BODY, Cameras, Clip, Sampler, Scenes, Variety, figure_of, place, vary
from training.simulated.landmark_noise import NEAREST_M, Noise, observe
from training.synthetic import PARTS, SyntheticError, SyntheticRecipe, clips_of
from training.targets import (
    CropSequence,
    PosedJoints,
    Targets,
    crop_turns,
    exact_targets,
    on_crops,
    tracked_squares,
)

EACH = 4
"""One frame in four stands alone as an image: neighbours show the same again."""
_BLOCK = 64  # windows drawn at once; seeds depend on it
_RAYS_FOCAL = 1.0  # picture coordinates here are viewing rays x/z, y/z
_BEYOND = 1.09  # a person's extent over that of the markers: the head's top, the hands' ends
_ROOMIER = 0.02  # logarithm of a box's side over that extent, on average; chosen
_PART = (0.5, 0.9)  # least and most of the side that a crop of a part keeps; chosen
_NEAREST_JOINT_M = 0.1  # joints nearer to the camera's plane are put there before they are divided


@dataclass(frozen=True)
class Simulation:
    """How landmarks are simulated.

    Attributes:
        variety, cameras, noise: as the lifting network learnt from, but nothing is missing, since
            the landmark network always names a place; and the proportions vary half as much beyond
            the betas, which are targets here.
        drift, jitter: deviation of a box's centre and, halved, of the logarithm of its side.
        part: chance that a crop holds a part of the person only.
    """

    variety: Variety = field(default_factory=Variety)
    cameras: Cameras = field(default_factory=lambda: Cameras(bone_width=0.5))
    noise: Noise = field(default_factory=lambda: Noise(gaps=0.0))
    drift: float = 0.04
    jitter: float = 0.008
    part: float = 0.08


class Simulator:
    """Draws blocks of windows: what is seen of them and what is true."""

    def __init__(self, clips: list[Clip], simulation: Simulation) -> None:
        self.simulation = simulation
        self._sampler, self._figure = Sampler(clips), figure_of(BODY)
        self._joints = PosedJoints(tables_from_body(load_body(BODY)))

    def draw(self, count: int, rng: np.random.Generator) -> tuple[np.ndarray, Targets]:
        """Landmarks (count, W, 27, NUMBERS) and targets (count, W, ...), float32."""
        how = self.simulation
        moves = vary(self._sampler.draw(count, rng), self._sampler, how.variety, rng)
        scenes = place(moves, self._figure, how.cameras, rng)
        windows = observe(scenes, how.noise, 0.0, rng)  # pixels know no focal length
        squares = _squares(scenes, how, rng)
        turns = crop_turns(squares, _RAYS_FOCAL)
        return _seen(windows, squares, turns), self._targets(scenes, squares, turns)

    def _targets(self, scenes: Scenes, squares: np.ndarray, turns: np.ndarray) -> Targets:
        axes = squares.shape[:2]
        local = skeleton.parent_relative(scenes.rotations)
        betas = np.repeat(scenes.betas[:, None], axes[1], 1)
        with torch.inference_mode():
            flat = (torch.from_numpy(a.reshape(-1, *a.shape[2:])) for a in (betas, local))
            joints = self._joints(*flat).numpy().reshape(*axes, COUNT, 3)
        rest = self._figure.joints_m[0] + betas @ self._figure.joints_per_beta[0].T
        joints = joints - rest[:, :, None] + scenes.pelvis_m[:, :, None]
        rays = joints[..., :2] / np.maximum(joints[..., 2:], _NEAREST_JOINT_M)
        return exact_targets(joints, on_crops(rays, squares), local, betas, turns)


def _seen(windows: Windows, squares: np.ndarray, turns: np.ndarray) -> np.ndarray:
    """Landmarks (N, W, 27, NUMBERS) as `encoders.field_maps` reads them.

    World points are turned to the crop's axes: a network that sees a crop knows of no others.
    """
    world_m = windows.world_m @ turns.swapaxes(-1, -2)
    parts = [on_crops(windows.rays, squares), world_m, windows.visibility[..., None]]
    return np.concatenate(parts, -1, dtype=np.float32)


def _squares(scenes: Scenes, how: Simulation, rng: np.random.Generator) -> np.ndarray:
    """Crops (N, W, 3), centre and side in rays: around the person, a little off, as a tracker's."""
    points = np.concatenate([scenes.markers_m, scenes.joints_m], 2) + scenes.pelvis_m[:, :, None]
    rays = points[..., :2] / np.maximum(points[..., 2:], NEAREST_M)
    low, high = rays.min(2), rays.max(2)
    count, frames = len(rays), rays.shape[1]
    side = (high - low).max(-1, keepdims=True) * _BEYOND
    wander = np.linspace(-1, 1, frames)[:, None] * rng.standard_normal((count, 1, 3)) * how.drift
    error = rng.standard_normal((count, 1, 3)) * how.drift + 0.5 * wander
    error += rng.standard_normal((count, frames, 3)) * how.jitter
    side = side * np.exp(error[..., 2:] / 2 + _ROOMIER)
    chosen = rng.random((count, 1, 1)) < how.part
    part = np.where(chosen, rng.uniform(*_PART, (count, 1, 1)), 1)
    off = rng.uniform(-1, 1, (count, 1, 2))
    return tracked_squares((low + high) / 2, side, error[..., :2], part, off)


class SimulatedSequences:
    """Windows of 32 frames, 30 a second (a `SequenceSource`)."""

    def __init__(self, recipe: SyntheticRecipe, count: int, seed: int) -> None:
        """`count` windows; `seed` chooses which, the recipe whose motion.

        Raises:
            MocapError, SyntheticError: the motion cannot be read, or none is named.
        """
        self.name, self.body = f"simulated-{recipe.part}-{seed}", BODY
        self.recipe, self.count, self.seed = recipe, count, seed
        self._simulator = _simulator(recipe)
        self._kept: tuple[int, np.ndarray, Targets] | None = None

    def __len__(self) -> int:
        return self.count

    def parts(self, index: int) -> Iterator[CropSequence]:
        """Window `index`."""
        number, row = divmod(index, _BLOCK)
        if self._kept is None or self._kept[0] != number:
            self._kept = (number, *_block(self._simulator, self.recipe, self.seed, number))
        _, seen, targets = self._kept
        yield CropSequence(
            name=f"{self.name}/{index:06d}",
            images=seen[row],
            targets=targets.map(lambda field: field[row]),
            times_s=np.arange(WINDOW) / GRID_HZ,
            valid=np.ones(WINDOW, bool),
        )


class SimulatedFrames:
    """Single frames, all drawn when the first is asked for (an `ImageSource`); 3 KB each."""

    def __init__(self, recipe: SyntheticRecipe, count: int, seed: int) -> None:
        """`count` frames; `seed` chooses which, the recipe whose motion.

        Raises:
            MocapError, SyntheticError: the motion cannot be read, or none is named.
        """
        self.name, self.body = f"simulated-frames-{recipe.part}-{seed}", BODY
        self.recipe, self.count, self.seed = recipe, count, seed
        self._simulator = _simulator(recipe)

    def __len__(self) -> int:
        return self.count

    def __reduce__(self) -> tuple:
        """Other processes draw the frames anew instead of getting copies of them."""
        return SimulatedFrames, (self.recipe, self.count, self.seed)

    def image(self, index: int, rng: np.random.Generator) -> tuple[np.ndarray, Targets]:
        """Landmarks (27, 6) and targets without leading axes; every draw of a frame is the same."""
        del rng
        seen, targets = self._frames
        return seen[index], targets.map(lambda field: field[index])

    @cached_property
    def _frames(self) -> tuple[np.ndarray, Targets]:
        blocks = -(-self.count * EACH // (_BLOCK * WINDOW))
        drawn = [
            frames_of(*_block(self._simulator, self.recipe, self.seed, number), number % EACH)
            for number in range(blocks)
        ]
        seen = np.concatenate([one for one, _ in drawn])
        return seen, Targets(*map(np.concatenate, zip(*(targets for _, targets in drawn))))


def frames_of(seen: np.ndarray, targets: Targets, first: int = 0) -> tuple[np.ndarray, Targets]:
    """Every fourth frame of windows (N, W, ...) as frames (M, ...)."""

    def flat(field: np.ndarray) -> np.ndarray:
        chosen = field[:, first::EACH]
        return chosen.reshape(-1, *chosen.shape[2:])

    return flat(seen), targets.map(flat)


def _simulator(recipe: SyntheticRecipe) -> Simulator:
    clips = clips_of(recipe)
    if not clips:
        advice = 'Give --recipe a file with {"mocap": "MOTION.npz"}.'
        raise SyntheticError(
            "Simulated landmarks need captured motion, and the recipe names none.", advice
        )
    return Simulator(clips, Simulation())


def _block(
    simulator: Simulator, recipe: SyntheticRecipe, seed: int, number: int
) -> tuple[np.ndarray, Targets]:
    """Windows by number."""
    part = PARTS.index(recipe.part)
    return simulator.draw(_BLOCK, np.random.default_rng([seed, part, 3, number]))
