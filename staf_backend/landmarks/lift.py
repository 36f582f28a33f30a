"""A first guess of all rotations, the shape, the up direction and the contacts, from landmarks.

    landmarks ─► windows of 32 frames at 30 Hz ─► network, four times: with and without world
    points, as seen and in a mirror ─► mean ─► windows blended ─► the clip's own times

The network is ours, trained on motion capture alone (`training.lifting.train_windows`; model card:
assets/lift.md). Its guess says what an image cannot: which way limbs point in depth.  The fit
decides the rest. numpy here; ONNX Runtime inside the session.
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from staf_backend import StafError
from staf_backend.body import markers
from staf_backend.geometry import rotations
from staf_backend.geometry.camera import TO_Y_UP
from staf_backend.landmarks.windows import (
    JOINT_MIRROR,
    MIRROR_X,
    WINDOW,
    Windows,
    cut,
    features,
    interpolation,
    on_grid,
    starts,
    turns,
)
from staf_backend.runtime.onnx_session import run

if TYPE_CHECKING:
    from onnxruntime import InferenceSession

_STRIDE = 8  # frames between windows: four tell of every frame, so that no seam shows
_BATCH = 16  # windows a call: constant, so that memory is
_BLOCK = 1024  # frames turned from the grid to the clip's times at once
_FEET_MIRROR = [2, 3, 0, 1]


class LiftError(StafError):
    """Landmarks that cannot be lifted."""

    kind = "landmarks"
    exit_code = 4


@dataclass(frozen=True)
class Lifted:
    """The network's guess for one person's track of T frames, camera axes (x right, y down).

    Attributes:
        rotations_wxyz: (T, 24, 4) global: a person who stands upright and faces the camera has
            (0, 1, 0, 0) everywhere.
        deviation_rad: (T, 24) the angle by which the network expects each rotation to err.
        betas: (10,) of the open neutral body.
        up: (3,) unit vector against gravity, one for the clip.
        up_deviation_rad: the angle by which the network expects `up` to err.
        contact: (T, 4) probability that left heel, left toe, right heel, right toe stand still on
            the ground.
    """

    rotations_wxyz: np.ndarray
    deviation_rad: np.ndarray
    betas: np.ndarray
    up: np.ndarray
    up_deviation_rad: float
    contact: np.ndarray

    def __post_init__(self) -> None:
        frames = len(self.rotations_wxyz)
        shapes = {
            "rotations_wxyz": (frames, 24, 4),
            "deviation_rad": (frames, 24),
            "betas": (10,),
            "up": (3,),
            "contact": (frames, 4),
        }
        for name, shape in shapes.items():
            if getattr(self, name).shape != shape:
                raise ValueError(f"{name} must be {shape}, got {getattr(self, name).shape}")

    @property
    def rotations(self) -> np.ndarray:
        """(T, 24, 3, 3) the same rotations as matrices."""
        return rotations.from_quaternions(self.rotations_wxyz)


class Guess(NamedTuple):
    """The network's answer for N windows, camera axes; see `Lifted` for units.

    rotations (N, 32, 24, 3, 3), deviation_rad (N, 32, 24), contact (N, 32, 4), betas (N, 10),
    up (N, 3), up_deviation_rad (N,).
    """

    rotations: np.ndarray
    deviation_rad: np.ndarray
    contact: np.ndarray
    betas: np.ndarray
    up: np.ndarray
    up_deviation_rad: np.ndarray


class Lifter:
    """The lifting network, ready to run.

    Args:
        session: of assets/lift.onnx (`runtime.open_network`).
    """

    def __init__(self, session: "InferenceSession") -> None:
        self._session = session

    def lift(
        self, rays: np.ndarray, world_m: np.ndarray, visibility: np.ndarray, times_s: np.ndarray
    ) -> Lifted:
        """Lift one person's track.

        Args:
            rays: (T, 27, 2) each marker's x/z and y/z in the camera: pixels minus the principal
                point, over the focal length.  NaN = missing.
            world_m: (T, 27, 3) BlazePose's world points, x right, y down, z away.  NaN = missing;
                all missing is allowed.
            visibility: (T, 27) 0..1.
            times_s: (T,) increasing.

        Raises:
            LiftError: not one marker in the whole track.
            ValueError: shapes that do not belong together, or times that do not increase.
        """
        _check(rays, world_m, visibility, times_s)
        grid_s, seen = on_grid(rays, world_m, visibility, times_s)
        first = starts(len(grid_s), _STRIDE)
        blend = _Blend(len(grid_s))
        for begin in range(0, len(first), _BATCH):
            some = first[begin : begin + _BATCH]
            windows = cut(seen, some)
            blend.add(self.guess(windows), some, _trust(windows))
        del seen  # a clip may be long
        return blend.at(grid_s, times_s)

    def guess(self, windows: Windows) -> Guess:
        """The answer for windows of 32 frames: the mean of both modes, as seen and mirrored."""
        with_world: np.ndarray = windows.world_observed.max((1, 2))
        asked = [self._ask(windows, np.zeros(len(with_world), bool))]
        asked.append(_mirrored(self._ask(windows.mirrored(), np.zeros(len(with_world), bool))))
        if with_world.any():
            asked.append(self._ask(windows, with_world))
            asked.append(_mirrored(self._ask(windows.mirrored(), with_world)))
        return _mean(asked)

    def _ask(self, windows: Windows, with_world: np.ndarray) -> Guess:
        """One call of the network, its answer turned back to the camera."""
        turn = turns(windows)
        answer = run(self._session, features=features(windows, turn, with_world))
        back = (turn.swapaxes(-1, -2) @ TO_Y_UP).astype(np.float32)
        return Guess(
            back[:, None, None] @ answer["rotations"],
            answer["deviation_rad"],
            answer["contact"],
            answer["betas"],
            (back @ answer["up"][..., None])[..., 0],
            answer["up_deviation_rad"],
        )


def _check(
    rays: np.ndarray, world_m: np.ndarray, visibility: np.ndarray, times_s: np.ndarray
) -> None:
    count = len(times_s)
    for name, array, shape in (
        ("rays", rays, (count, markers.COUNT, 2)),
        ("world_m", world_m, (count, markers.COUNT, 3)),
        ("visibility", visibility, (count, markers.COUNT)),
    ):
        if array.shape != shape:
            raise ValueError(f"{name} must be {shape}, got {array.shape}")
    if not count or not np.isfinite(times_s).all() or (np.diff(times_s) <= 0).any():
        raise ValueError("times_s must be one or more finite, increasing times")
    if not np.isfinite(rays).all(-1).any():
        advice = "The person may be too small, hidden, or not a person."
        raise LiftError("No landmark of the person was found in any frame.", advice)


def _mirrored(guess: Guess) -> Guess:
    """The guess for the windows whose mirror images it was made for."""
    flip = MIRROR_X[:, None] * MIRROR_X
    return Guess(
        guess.rotations[:, :, JOINT_MIRROR] * flip,
        guess.deviation_rad[:, :, JOINT_MIRROR],
        guess.contact[:, :, _FEET_MIRROR],
        guess.betas,
        guess.up * MIRROR_X,
        guess.up_deviation_rad,
    )


def _mean(guesses: list[Guess]) -> Guess:
    """Mean of several guesses; where they disagree on a rotation, less is expected of it."""
    mixed = Guess(*(np.mean([guess[k] for guess in guesses], 0) for k in range(len(guesses[0]))))
    turned = rotations.from_6d(mixed.rotations[..., :2])
    apart = np.mean([_angles(guess.rotations, turned) for guess in guesses], 0)
    return mixed._replace(
        rotations=turned,
        deviation_rad=np.maximum(mixed.deviation_rad, apart),
        up=mixed.up / np.linalg.norm(mixed.up, axis=-1, keepdims=True),
    )


def _angles(one: np.ndarray, other: np.ndarray) -> np.ndarray:
    """Angles in radians between rotations (..., 3, 3)."""
    cosine = (np.einsum("...ij,...ij->...", one, other) - 1) / 2
    return np.arccos(np.clip(cosine, -1, 1))


def _trust(windows: Windows) -> np.ndarray:
    """How much frames of windows (N, 32) count: the middle, where there is motion to both sides."""
    middle = 1 - np.abs(np.arange(WINDOW) - (WINDOW - 1) / 2) / (WINDOW / 2 + 1)
    return middle * (0.01 + windows.observed.mean(-1))


class _Blend:
    """Overlapping windows, added up along a run of G grid frames."""

    def __init__(self, frames: int) -> None:
        self._weights = np.zeros(frames)
        self._columns = np.zeros((frames, 24, 3, 2), np.float32)
        self._deviation = np.zeros((frames, 24), np.float32)
        self._contact = np.zeros((frames, 4), np.float32)
        # betas and up: sums of value times weight, and of weights
        self._betas, self._betas_weight = np.zeros(10), 0.0
        self._up, self._up_weight = np.zeros(3), 0.0

    def add(self, guess: Guess, first: np.ndarray, trust: np.ndarray) -> None:
        """Add guesses for windows that begin at grid frames `first`, frames weighted (N, 32)."""
        for k, start in enumerate(first):
            stop = min(start + WINDOW, len(self._weights))
            here, weight = slice(start, stop), trust[k, : stop - start]
            self._weights[here] += weight
            columns = guess.rotations[k, : stop - start, :, :, :2]
            self._columns[here] += weight[:, None, None, None] * columns
            self._deviation[here] += weight[:, None] * guess.deviation_rad[k, : stop - start]
            self._contact[here] += weight[:, None] * guess.contact[k, : stop - start]
        seen = trust.sum(1)
        self._betas += seen @ guess.betas
        self._betas_weight += seen.sum()
        sure = seen / guess.up_deviation_rad**2
        self._up += sure @ guess.up
        self._up_weight += sure.sum()

    def at(self, grid_s: np.ndarray, times_s: np.ndarray) -> Lifted:
        """The blend at the times of the clip's frames."""
        weights = self._weights[:, None]
        low, share = interpolation(grid_s, times_s)
        high = np.minimum(low + 1, len(grid_s) - 1)

        def between(values: np.ndarray) -> np.ndarray:
            mixed = values[low] * (1 - share[:, None]) + values[high] * share[:, None]
            return mixed.astype(np.float32)

        turned = np.empty((len(times_s), 24, 4), np.float32)
        for begin in range(0, len(times_s), _BLOCK):
            rows = slice(begin, begin + _BLOCK)
            ends = (self._quaternions(low[rows]), self._quaternions(high[rows]))
            turned[rows] = _slerp(*ends, share[rows, None, None])
        length = float(np.linalg.norm(self._up))
        return Lifted(
            turned,
            between(self._deviation / weights),
            self._betas / self._betas_weight,
            self._up / length,
            self._up_spread(length),
            np.clip(between(self._contact / weights), 0, 1),
        )

    def _quaternions(self, frames: np.ndarray) -> np.ndarray:
        """Blended rotations (n, 24, 4) of some grid frames."""
        return rotations.to_quaternions(rotations.from_6d(self._columns[frames]))

    def _up_spread(self, length: float) -> float:
        """Expected error of the mean direction: what windows expect, and how far they disagree."""
        expected = np.sqrt(self._betas_weight / self._up_weight)
        apart = np.arccos(np.clip(length / self._up_weight, -1, 1))
        return float(np.hypot(expected, apart))


def _slerp(start: np.ndarray, end: np.ndarray, share: np.ndarray) -> np.ndarray:
    """Quaternions (..., 4) a share of the short way from one to another."""
    cosine = (start * end).sum(-1, keepdims=True)
    end = np.where(cosine < 0, -end, end)
    angle = np.arccos(np.clip(np.abs(cosine), 0, 1))
    sine = np.sin(angle)
    near = sine < 1e-6
    safe = np.where(near, 1, sine)
    first = np.where(near, 1 - share, np.sin((1 - share) * angle) / safe)
    return first * start + np.where(near, share, np.sin(share * angle) / safe) * end
