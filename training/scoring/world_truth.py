"""What is known exactly of a drawn scene, and a motion's scores against it.

A truth file is an .npz of arrays: `joints_m` (T, 24, 3) and `feet_m` (T, 4, 3; left heel, left toe,
right heel, right toe) in a world that is y up, `contact` (T, 4) bool, `low_m` (T,) the lowest point
of both soles, `view` (T, 3, 3) from the world to camera axes (x right, y down, z away), `place_m`
(T, 3) of the camera, `rate_hz`; and, if it says which feet are in the picture, `focal_px` and
`size_px` (2,) of the picture, width first.
"""

import dataclasses
from dataclasses import dataclass, field, fields
from pathlib import Path

import numpy as np

from staf_backend.body import load_body
from staf_backend.files import read_arrays, shown, write_arrays
from staf_backend.geometry import TO_Y_UP, from_quaternions
from staf_backend.motion import PARTS, Motion
from staf_backend.world.movement import FEET, Movement
from training.scoring import world_metrics as metrics
from training.scoring.metrics import aligned, mpjpe_mm, rooted
from training.scoring.protocols import EvaluationError

_BODY = slice(0, 22)
"""Joints that count: those of the hands are guesses."""
_HIPS = (1, 2)
_ENDS = {"wrist": (20, 21), "ankle": (7, 8)}
_FAST_M_S = 2.0
"""Speed about the root from which a wrist or an ankle strikes.  Chosen: faster than gestures."""
_SOLE_M = 0.02
"""Height of the rest pose's skin over its lowest point that belongs to a sole.  Chosen."""
_LEAST_STANDING = 6
"""Frames of standing from which a floor's spread means something.  Chosen."""
_OF_A_CLIP = ("rate_hz", "focal_px", "size_px")
"""What a truth has once."""


@dataclass(frozen=True)
class WorldTruth:
    """See the module's head.

    Raises:
        ValueError: arrays that do not belong together.
    """

    joints_m: np.ndarray
    feet_m: np.ndarray
    contact: np.ndarray
    low_m: np.ndarray
    view: np.ndarray
    place_m: np.ndarray
    rate_hz: float
    focal_px: float = 1.0
    size_px: np.ndarray = field(default_factory=lambda: np.full(2, np.inf))

    def __post_init__(self) -> None:
        frames = len(self.joints_m)
        shapes = {
            **{"joints_m": (frames, 24, 3), "feet_m": (frames, 4, 3), "contact": (frames, 4)},
            **{"low_m": (frames,), "view": (frames, 3, 3), "place_m": (frames, 3), "size_px": (2,)},
        }
        for name, shape in shapes.items():
            if getattr(self, name).shape != shape:
                raise ValueError(f"{name} must be {shape}, not {getattr(self, name).shape}")
        if not self.rate_hz > 0:
            raise ValueError(f"rate_hz must be positive, not {self.rate_hz}")

    def rows(self, frames: np.ndarray) -> "WorldTruth":
        """Of some frames of the clip."""
        names = [one.name for one in fields(self) if one.name not in _OF_A_CLIP]
        return dataclasses.replace(self, **{name: getattr(self, name)[frames] for name in names})

    def seen_m(self) -> np.ndarray:
        """(T, 24, 3) joints in each frame's camera axes."""
        return self._before_camera(self.joints_m)

    def feet_seen(self) -> np.ndarray:
        """(T, 4) bool, which heels and toes are in the picture."""
        x, y, z = np.moveaxis(self._before_camera(self.feet_m), -1, 0)
        width, height = self.size_px / (2 * self.focal_px)
        return (z > 0) & (np.abs(x) < width * z) & (np.abs(y) < height * z)

    def _before_camera(self, points_m: np.ndarray) -> np.ndarray:
        return (points_m - self.place_m[:, None]) @ self.view.swapaxes(1, 2)


def read_truth(path: Path) -> WorldTruth:
    """
    Raises:
        EvaluationError: not such a file.
    """
    try:
        arrays = read_arrays(path, {one.name: "fiub" for one in fields(WorldTruth)})
        scalars = {name: float(arrays[name]) for name in _OF_A_CLIP[:2] if name in arrays}
        return WorldTruth(**{**arrays, **scalars})
    except (OSError, KeyError, ValueError, TypeError) as error:
        advice = "training/scoring/world_truth.py says what belongs in it."
        message = f"{path} holds no truth of a scene: {shown(str(error))}"
        raise EvaluationError(message, advice) from None


def write_truth(path: Path, truth: WorldTruth) -> None:
    """Write what `read_truth` reads.

    Raises:
        OutputError: the file cannot be written.
    """
    write_arrays(path, {one.name: getattr(truth, one.name) for one in fields(WorldTruth)})


def world_scores(motion: Motion, truth: WorldTruth) -> dict[str, float]:
    """All numbers of one motion, units in their names; NaN where there is nothing to measure.

    Args:
        motion: of one person, whose `frames` number the truth's.
        truth: of the whole clip.

    Raises:
        EvaluationError: the motion has frames that the truth does not know.
    """
    if len(motion.frames) and motion.frames.max() >= len(truth.joints_m):
        known, last = len(truth.joints_m), int(motion.frames.max())
        raise EvaluationError(
            f"The motion has a frame {last}, the truth {known} frames.", "Give the clip's truth."
        )
    true, movement = truth.rows(motion.frames), _movement(motion)
    joints = movement.posed.joints_m
    scores = _of_pose(motion, joints, true) | _of_path(motion, joints, true)
    return scores | _of_feet(motion, movement, true)


def _of_pose(motion: Motion, joints: np.ndarray, true: WorldTruth) -> dict[str, float]:
    ours, theirs = (
        rooted(points[:, _BODY], _HIPS) for points in (motion.to_camera_axes(joints), true.seen_m())
    )
    level, level_true = (points - points[:, :1] for points in (joints, true.joints_m))
    turn = metrics.similarity(*(p[:, _BODY].reshape(-1, 3) for p in (level, level_true)))[1]
    scores = {
        "mpjpe_mm": float(mpjpe_mm(ours, theirs).mean()),
        "pa_mpjpe_mm": float(mpjpe_mm(aligned(ours, theirs), theirs).mean()),
        "jitter_10m_per_s3": metrics.jitter(joints[:, _BODY], true.rate_hz),
        "jitter_true_10m_per_s3": metrics.jitter(true.joints_m[:, _BODY], true.rate_hz),
    }
    for name, ends in _ENDS.items():
        paths = [(level[:, end] @ turn.T, level_true[:, end]) for end in ends]
        kept = [metrics.peaks_kept(*path, true.rate_hz, _FAST_M_S) for path in paths]
        both = np.concatenate(kept)
        scores[f"{name}_speed_kept"] = float(np.median(both)) if len(both) else np.nan
    return scores


def _of_path(motion: Motion, joints: np.ndarray, true: WorldTruth) -> dict[str, float]:
    ours, theirs = joints[:, _BODY], true.joints_m[:, _BODY]
    first = from_quaternions(motion.camera.rotation_wxyz) @ TO_Y_UP  # camera axes -> the motion's
    return {
        "up_deg": metrics.angle_deg(first.T @ [0, 1.0, 0], true.view[0] @ [0, 1.0, 0]),
        "path_percent": metrics.path_error_percent(ours[:, 0], theirs[:, 0]),
        "drift_m": metrics.drift_m(ours[:, 0] @ first, theirs[:, 0] @ true.view[0].T),
        "wa_mpjpe_mm": metrics.world_mpjpe_mm(ours, theirs, None),
        "w_mpjpe_mm": metrics.world_mpjpe_mm(ours, theirs, 2),
    }


def _of_feet(motion: Motion, movement: Movement, true: WorldTruth) -> dict[str, float]:
    feet, found = movement.posed.points_m[:, : len(FEET)], _found(motion)
    low, seen = lowest_m(movement), true.feet_seen()
    standing = true.contact.any(1)
    if standing.sum() < _LEAST_STANDING:
        standing = np.ones(len(low), bool)
    return {
        "slide_mm": metrics.sliding_mm(feet, true.contact, true.feet_m),
        "slide_seen_mm": metrics.sliding_mm(feet, true.contact & seen, true.feet_m),
        "slide_true_mm": metrics.sliding_mm(true.feet_m, true.contact, true.feet_m),
        "slide_found_mm": metrics.sliding_mm(feet, found),
        "floor_spread_mm": metrics.spread_mm(low[standing]),
        "floor_spread_true_mm": metrics.spread_mm(true.low_m[standing]),
        "penetration_mm": metrics.penetration_mm(low),
        "contact_f1": metrics.f1(found, true.contact),
        "contact_seen_f1": metrics.f1(found & seen, true.contact & seen),
    }


def lowest_m(movement: Movement) -> np.ndarray:
    """(T,) height of the lowest point of both soles' skin."""
    body, rest = movement.body, movement.body.rest_vertices_m(movement.betas)
    soles = np.flatnonzero(rest[:, 1] < rest[:, 1].min() + _SOLE_M)
    skin = body.vertices_m(movement.rotations, movement.betas, movement.root_m, soles)
    return skin[..., 1].min(1)


def _found(motion: Motion) -> np.ndarray:
    """(T, 4) bool: the feet that the motion says stand."""
    found = np.zeros((len(motion.times_s), len(FEET)), bool)
    for span in motion.contacts:
        if span.part in FEET:
            within = (motion.times_s >= span.start_s - 1e-6) & (motion.times_s <= span.end_s + 1e-6)
            found[within, PARTS.index(span.part)] = True
    return found


def _movement(motion: Motion) -> Movement:
    turns = from_quaternions(motion.rotations_wxyz.astype(np.float64))
    count, body = len(motion.times_s), load_body(motion.body)
    none, seen = np.zeros((count, 3)), np.ones((count, 2), bool)
    return Movement(motion.times_s, turns, motion.root_m, motion.betas, body, none, seen)
