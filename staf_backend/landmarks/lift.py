"""A first guess of all rotations, the shape, the up direction and the contacts, from landmarks.

    landmarks ─► windows of 32 frames at 30 Hz ─► network, four times: with and without world
    points, as seen and in a mirror ─► mean ─► windows blended ─► the clip's own times

The network is ours, trained on motion capture alone (`training.lifting.train_windows`; model card:
assets/lift.md). Its guess says what an image cannot: which way limbs point in depth.  The fit
decides the rest. numpy here; ONNX Runtime inside the session.
"""

from typing import TYPE_CHECKING

import numpy as np

from staf_backend.body import markers
from staf_backend.files import stretches
from staf_backend.geometry import SMPL, TO_Y_UP, counterparts, from_6d
from staf_backend.landmarks.blend import Blend, trust_in
from staf_backend.landmarks.facing import Facing, turned_back
from staf_backend.landmarks.features import features, rotations_to_person
from staf_backend.landmarks.grid import Grid
from staf_backend.landmarks.lifted import Guess, Lifted, LiftError
from staf_backend.landmarks.windows import MIRROR_X, WINDOW, Windows, starts, windows_at
from staf_backend.runtime import give_back_memory, run

if TYPE_CHECKING:
    from onnxruntime import InferenceSession

_STRIDE_FRAMES = 8
"""Between windows.  Chosen: four tell of every frame, so that no seam shows."""
_BATCH_WINDOWS = 16
"""A call.  Chosen: constant, so that memory is."""
_CONTACT_MIRROR = counterparts(("left_heel", "left_toe", "right_heel", "right_toe"))
"""(4,) the contact on the other side of the body."""


class Lifter:
    """The lifting network, ready to run.

    Args:
        session: of assets/lift.onnx (`runtime.open_network`).
    """

    def __init__(self, session: "InferenceSession") -> None:
        self._session = session

    def lift(
        self,
        rays: np.ndarray,
        world_m: np.ndarray,
        visibility: np.ndarray,
        times_s: np.ndarray,
        turns: np.ndarray | None = None,
    ) -> Lifted:
        """Lift one person's track.

        Args:
            rays: (T, 27, 2) each marker's x/z and y/z in the camera: pixels minus the principal
                point, over the focal length.  NaN = missing.
            world_m: (T, 27, 3) BlazePose's world points, x right, y down, z away.  NaN = missing;
                all missing is allowed.
            visibility: (T, 27) 0..1.
            times_s: (T,) increasing.
            turns: (T, 3, 3) from the answer's axes to those of each frame's camera; None where both
                are the same.

        Raises:
            LiftError: not one marker in the whole track.
            ValueError: shapes that do not belong together, or times that do not increase.
        """
        _check(rays, world_m, visibility, times_s)
        grid = Grid(rays, world_m, visibility, times_s)
        first = starts(len(grid), _STRIDE_FRAMES)
        blend = Blend(grid.times_s, times_s)
        facing = None if turns is None else Facing(turns, times_s, grid.times_s)
        for rows in stretches(len(first), _BATCH_WINDOWS):
            some = first[rows]
            stretch = grid.stretch(some[0], min(some[-1] + WINDOW, len(grid)))
            windows = windows_at(stretch, some - some[0])
            blend.add(self._guessed(windows, some, facing), some, trust_in(windows))
        give_back_memory(self._session)  # what follows a guess, a fit, needs its own
        return blend.finished()

    def _guessed(self, windows: Windows, first: np.ndarray, facing: Facing | None) -> Guess:
        """The answer for windows that begin at frames (N,) of the grid, axes of the lifted pose."""
        if facing is None:
            return self.guess(windows)
        faced, own = facing.faced(windows, first)
        return turned_back(self.guess(faced), own)

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
        turn = rotations_to_person(windows)
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
        guess.rotations[:, :, SMPL.mirror] * flip,
        guess.deviation_rad[:, :, SMPL.mirror],
        guess.contact[:, :, _CONTACT_MIRROR],
        guess.betas,
        guess.up * MIRROR_X,
        guess.up_deviation_rad,
    )


def _mean(guesses: list[Guess]) -> Guess:
    """Mean of several guesses; where they disagree on a rotation, less is expected of it."""
    mixed = Guess(*(np.mean([guess[k] for guess in guesses], 0) for k in range(len(guesses[0]))))
    turned = from_6d(mixed.rotations[..., :2])
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
