"""The field's four numbers, frame by frame, and sums over any number of frames.

    MPJPE        mean distance of joints about the root                          mm
    PA-MPJPE     the same after the similarity that fits best, frame by frame     mm
    PVE          mean distance of vertices, about nothing (the model's own root)  mm
    acceleration mean length of the difference of second differences              mm/frame^2, m/s^2

The authors' code and paper call the acceleration error mm/s^2; it is per frame squared (at 30
frames a second a factor of 900).  `Scores` keeps sums and two frames: its memory does not grow.
"""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from staf_backend import StafError

MM_PER_M = 1000.0
GAP = 1.5
"""A step of this many usual ones means that a frame is missing."""


class ScoreError(StafError):
    """A score cannot be had: predictions that are no numbers, or nothing that counts."""

    kind = "scores"
    exit_code = 1


def mpjpe_mm(predicted_m: np.ndarray, truth_m: np.ndarray) -> np.ndarray:
    """Mean distance over the joints of each frame.

    Args:
        predicted_m, truth_m: (N, J, 3) metres, about the same root; see `rooted`.

    Returns:
        (N,) millimetres.
    """
    return MM_PER_M * np.linalg.norm(predicted_m - truth_m, axis=-1).mean(-1)


def pa_mpjpe_mm(predicted_m: np.ndarray, truth_m: np.ndarray) -> np.ndarray:
    """`mpjpe_mm` of predictions (N, J, 3) after `aligned`: (N,) millimetres."""
    return mpjpe_mm(aligned(predicted_m, truth_m), truth_m)


def pve_mm(predicted_m: np.ndarray, truth_m: np.ndarray) -> np.ndarray:
    """Mean distance of vertices (N, V, 3): (N,) millimetres.  Not root-aligned, as the authors'."""
    return mpjpe_mm(predicted_m, truth_m)


def rooted(points_m: np.ndarray, root: tuple[int, ...]) -> np.ndarray:
    """Points (N, J, 3) about the middle of those numbered in `root`."""
    return points_m - points_m[:, list(root)].mean(1, keepdims=True)


def aligned(predicted_m: np.ndarray, truth_m: np.ndarray) -> np.ndarray:
    """Predictions after the rotation, scale and shift that bring them nearest to the truth.

    Umeyama 1991: no reflections.  Points that all coincide have no scale and stay in the middle.

    Args:
        predicted_m, truth_m: (N, J, 3).

    Returns:
        (N, J, 3) float64.
    """
    predicted = np.asarray(predicted_m, np.float64)
    truth = np.asarray(truth_m, np.float64)
    centre = truth.mean(1, keepdims=True)
    predicted, truth = predicted - predicted.mean(1, keepdims=True), truth - centre
    u, s, vt = np.linalg.svd(predicted.swapaxes(1, 2) @ truth)
    sign = np.sign(np.linalg.det(u) * np.linalg.det(vt))
    u[:, :, 2] *= sign[:, None]
    s[:, 2] *= sign
    spread = (predicted**2).sum((1, 2))
    scale = np.divide(s.sum(1), spread, out=np.zeros_like(spread), where=spread > 1e-12)
    return scale[:, None, None] * (predicted @ u @ vt) + centre


def acceleration_mm_per_frame2(predicted_m: np.ndarray, truth_m: np.ndarray) -> np.ndarray:
    """Mean length over joints of the difference of second differences.

    Args:
        predicted_m, truth_m: (N, J, 3) metres, consecutive frames.

    Returns:
        (N - 2,) millimetres per frame squared; empty for fewer than three frames.
    """
    off = np.asarray(predicted_m, np.float64) - truth_m
    return MM_PER_M * np.linalg.norm(off[:-2] - 2 * off[1:-1] + off[2:], axis=-1).mean(-1)


def acceleration_m_per_s2(
    predicted_m: np.ndarray, truth_m: np.ndarray, times_s: np.ndarray
) -> np.ndarray:
    """The same by the clock: times_s (N,) may be uneven.  (N - 2,) metres per second squared."""
    off = np.asarray(predicted_m, np.float64) - truth_m
    steps = np.diff(np.asarray(times_s, np.float64))[:, None, None]
    speeds = np.diff(off, axis=0) / steps
    accelerations = 2 * np.diff(speeds, axis=0) / (steps[1:] + steps[:-1])
    return np.linalg.norm(accelerations, axis=-1).mean(-1)


class Frames(NamedTuple):
    """Consecutive frames of one sequence, joints (N, J, 3) metres, as `Scores` takes them.

    `times_s` (N,) increase, `valid` (N,) bool says which frames count; `vertices_m` is a pair
    (predicted, true) of meshes (N, V, 3), or None where PVE is not asked for; `meshed` (N,) bool
    says which frames have a true mesh, None if all do.
    """

    predicted_m: np.ndarray
    truth_m: np.ndarray
    times_s: np.ndarray
    valid: np.ndarray
    vertices_m: tuple[np.ndarray, np.ndarray] | None = None
    meshed: np.ndarray | None = None


@dataclass(frozen=True)
class Summary:
    """Means over frames that count; None where there was nothing to measure.

    `frames` counted for positions, `triples` of consecutive frames for accelerations.
    """

    frames: int
    triples: int
    mpjpe_mm: float | None
    pa_mpjpe_mm: float | None
    pve_mm: float | None
    acceleration_mm_per_frame2: float | None
    acceleration_m_per_s2: float | None


class _Mean:
    """Sum and count, in double precision."""

    def __init__(self) -> None:
        self.sum, self.count = 0.0, 0

    def add(self, values: np.ndarray) -> None:
        self.sum += float(values.sum(dtype=np.float64))
        self.count += values.size

    @property
    def value(self) -> float | None:
        return self.sum / self.count if self.count else None


class Scores:
    """Sums over sequences that come part by part.

    Args:
        root: numbers of the joints whose middle is the root, among the joints given to `add`.
        across_joins: second differences also reach from one sequence into the next, as the authors'
            `validate` has them; otherwise never.
    """

    def __init__(self, root: tuple[int, ...], *, across_joins: bool = False) -> None:
        if not root:
            raise ValueError("root must name at least one joint")
        self.root, self.across_joins = root, across_joins
        self._means = {name: _Mean() for name in _METRICS}
        self._tail: Frames | None = None
        self._frames_seen = 0

    def start(self) -> None:
        """The next frames belong to another sequence."""
        if self.across_joins:
            self._tail = self._tail and _later(self._tail)
        else:
            self._tail = None
        self._frames_seen = 0

    def add(self, frames: Frames) -> None:
        """The next frames of the sequence.

        Raises:
            ScoreError: a prediction or a truth that counts is not a number.
            ValueError: shapes that do not belong together, or times that do not increase.
        """
        _check(frames, self._frames_seen)
        if self._frames_seen and self._tail and frames.times_s[:1] <= self._tail.times_s[-1]:
            raise ValueError("times_s must go on increasing from part to part")
        predicted_m, truth_m = (
            rooted(frames.predicted_m, self.root),
            rooted(frames.truth_m, self.root),
        )
        frames = frames._replace(predicted_m=predicted_m, truth_m=truth_m)
        self._positions(frames)
        self._accelerations(frames)
        self._frames_seen += len(frames.valid)

    def summary(self) -> Summary:
        """The means so far."""
        values = {name: mean.value for name, mean in self._means.items()}
        return Summary(
            self._means["mpjpe_mm"].count, self._means["acceleration_m_per_s2"].count, **values
        )

    def _positions(self, frames: Frames) -> None:
        keep = frames.valid
        predicted_m, truth_m = frames.predicted_m[keep], frames.truth_m[keep]
        self._means["mpjpe_mm"].add(mpjpe_mm(predicted_m, truth_m))
        self._means["pa_mpjpe_mm"].add(pa_mpjpe_mm(predicted_m, truth_m))
        if frames.vertices_m is not None:
            keep = keep if frames.meshed is None else keep & frames.meshed
            self._means["pve_mm"].add(pve_mm(*(mesh[keep] for mesh in frames.vertices_m)))

    def _accelerations(self, frames: Frames) -> None:
        """Of every three frames in a row, all of which count, with none missing between them."""
        frames = _joined(self._tail, frames._replace(vertices_m=None))
        valid = frames.valid[:-2] & frames.valid[1:-1] & frames.valid[2:]
        valid &= _even(frames.times_s)
        off = frames.predicted_m, frames.truth_m
        per_frame = acceleration_mm_per_frame2(*off)[valid]
        self._means["acceleration_mm_per_frame2"].add(per_frame)
        per_s = acceleration_m_per_s2(*off, frames.times_s)[valid]
        self._means["acceleration_m_per_s2"].add(per_s)
        predicted_m, truth_m, times_s, valid = (field[-2:].copy() for field in frames[:4])
        self._tail = Frames(predicted_m, truth_m, times_s, valid)


_METRICS = (
    *("mpjpe_mm", "pa_mpjpe_mm", "pve_mm"),
    *("acceleration_mm_per_frame2", "acceleration_m_per_s2"),
)


def _joined(tail: Frames | None, frames: Frames) -> Frames:
    if tail is None:
        return frames
    times_s = tail.times_s
    if np.isnan(times_s).any():  # another sequence's: set the clocks one step apart
        step_s = float(np.diff(frames.times_s).mean()) if len(frames.times_s) > 1 else 1.0
        times_s = frames.times_s[0] - step_s * np.arange(len(times_s), 0, -1)
    pairs = zip(tail._replace(times_s=times_s)[:4], frames[:4], strict=True)
    predicted_m, truth_m, times_s, valid = (np.concatenate(pair) for pair in pairs)
    return Frames(predicted_m, truth_m, times_s, valid)


def _even(times_s: np.ndarray) -> np.ndarray:
    """(N - 2,) whether no frame is missing between three, which would double a step."""
    steps = np.diff(times_s)
    return np.maximum(steps[1:], steps[:-1]) < GAP * np.minimum(steps[1:], steps[:-1])


def _later(tail: Frames) -> Frames:
    """The tail as the next sequence's beginning: its clock means nothing there."""
    return tail._replace(times_s=np.full_like(tail.times_s, np.nan))


def _check(frames: Frames, seen: int) -> None:
    count = len(frames.valid)
    shape = frames.predicted_m.shape
    if len(shape) != 3 or shape[0] != count or shape != frames.truth_m.shape:
        raise ValueError(f"joints of {shape} and {frames.truth_m.shape} for {count} frames")
    if frames.times_s.shape != (count,) or (np.diff(frames.times_s) <= 0).any():
        raise ValueError(f"times_s must be ({count},) and increase")
    _check_numbers("prediction", frames.predicted_m, frames.valid, seen)
    _check_numbers("ground truth", frames.truth_m, frames.valid, seen)
    if frames.vertices_m is not None:
        counted = frames.valid if frames.meshed is None else frames.valid & frames.meshed
        for what, mesh in zip(("prediction", "ground truth"), frames.vertices_m, strict=True):
            _check_numbers(what, mesh, counted, seen)


def _check_numbers(what: str, points_m: np.ndarray, counted: np.ndarray, seen: int) -> None:
    bad = ~np.isfinite(points_m).reshape(len(points_m), -1).all(1) & counted
    if bad.any():
        raise ScoreError(
            f"The {what} of frame {seen + int(bad.argmax())} is not a number.",
            "Look at the weights and at the labels.",
        )
