"""The quality card: what a motion says of itself, words first, then numbers and the worst frames.

Everything is measured on the finished motion: no truth is needed.  Lengths are in the unit that a
name ends in; heights are those of the motion's axes, in which a grounded motion's floor is y = 0.
"""

import dataclasses
import itertools
from dataclasses import dataclass
from typing import Any

import numpy as np

from staf_backend.body import Body
from staf_backend.files import long_array, stretches
from staf_backend.geometry import FocalSource, from_quaternions
from staf_backend.landmarks import Outlines
from staf_backend.motion import ContactSpan, Motion
from staf_backend.world.movement import FEET, Movement
from staf_backend.world.overlap import overlaps

_SLIDES_CM_PER_S = 3.0
"""A standing foot slower than this is not spoken of.  Chosen: motion capture leaves up to 10, eyes
begin to see it at about 3."""
_SINKS_MM = 15.0
"""A sole less far below its floor is not spoken of.  Chosen: a shoe's sole is thicker."""
_COVERS = 0.5
"""Overlap of body and outline from which nothing is said.  Measured (training/LOG.md)."""
_WORST = 5
"""Frames named as the worst.  Chosen: what a person looks at."""
_STRIKE_M_PER_S = 3.0
"""Speed about the root from which a limb's end strikes.  Chosen: faster than gestures and the feet
of a walk (2), slower than punches and kicks (5 to 10)."""
_STRIKE_GAP_S = 0.2
"""Between two strikes of one limb, at least.  Chosen: the fastest punches are 0.3 s apart."""
_FOCAL: dict[FocalSource, str] = {
    "given": "the one given",
    "metadata": "read from the file",
    "phone": "that of the phone which the file names, about",
    "lens": "that of the kind of lens named, about",
    "travel": "assumed, and corrected by how the background moves past the camera",
    "walk": "assumed, and corrected by how somebody walks",
    "assumed": "assumed",
    "unknown": "known",
}
_ENDS = ("left_wrist", "right_wrist", "left_ankle", "right_ankle")


@dataclass(frozen=True)
class Bad:
    """One place that deserves a look: time in seconds, frame of the video, what, and how much."""

    time_s: float
    frame: int
    what: str
    value: float


@dataclass(frozen=True)
class Card:
    """What a motion says of its own quality.

    Attributes:
        words: sentences, the gravest first.
        numbers: by name, each with its unit in the name.
        worst: frames to look at, by time.
    """

    words: tuple[str, ...]
    numbers: dict[str, float]
    worst: tuple[Bad, ...]

    def to_json(self) -> dict[str, Any]:
        """What a file's header, a .glb's extras and `--progress json` carry."""
        worst = [dataclasses.asdict(bad) for bad in self.worst]
        return {"words": list(self.words), "numbers": dict(self.numbers), "worst": worst}


@dataclass(frozen=True)
class _Feet:
    """Of heels and toes of a motion: points (T, 4, 3) on the soles, and who stands (T, 4)."""

    points_m: np.ndarray
    stands: np.ndarray
    floor_m: np.ndarray
    """(T, 4) height of the ground below; NaN where a point does not stand."""

    def speed_m_per_s(self, times_s: np.ndarray) -> np.ndarray:
        """(T - 1, 4) of points that stand at both keys, along the ground; NaN of others."""
        moved = np.linalg.norm(np.diff(self.points_m[..., [0, 2]], axis=0), axis=-1)
        both = self.stands[1:] & self.stands[:-1]
        return np.where(both, moved / np.diff(times_s)[:, None], np.nan)


def quality_card(motion: Motion, body: Body, outlines: Outlines | None = None) -> Card:
    """Measure a motion; sentences that its card already holds stay, before the new ones.

    Args:
        motion: finished, with contacts where it has them.
        body: the one it was estimated on.
        outlines: of people in the footage, where an estimator kept them.
    """
    numbers = {"coverage": float(motion.observed.mean())}
    numbers["filled_frames"] = float((~motion.observed).sum())
    numbers |= _of_camera(motion)
    words, worst = list(motion.card.get("words", ())), []
    movement = _movement(motion, body)
    numbers |= _of_movement(motion, movement.posed.joints_m)
    if motion.contacts:
        feet = _feet(motion, movement)
        more, said, bad = _of_feet(motion, feet)
        numbers |= more
        words += said
        worst += bad
    if outlines is not None:
        more, said, bad = _of_outlines(motion, *overlaps(motion, body, outlines))
        numbers |= more
        words = [*said, *words]
        worst += bad
    words += _of_seeing(motion, numbers)
    ordered = tuple(sorted(worst, key=lambda bad: bad.time_s))
    return Card(tuple(dict.fromkeys(words)), numbers, ordered)


def with_card(motion: Motion, body: Body, outlines: Outlines | None = None) -> Motion:
    """The motion that carries its card; `outlines` as for `quality_card`."""
    return dataclasses.replace(motion, card=quality_card(motion, body, outlines).to_json())


def _of_camera(motion: Motion) -> dict[str, float]:
    """Focal length and how it is known, tilt and its doubt, landmarks' distance."""
    camera = motion.camera
    numbers = {"focal_px": float(camera.focal_px), "focal_assumed": float(camera.focal_assumed)}
    copied = {
        "camera_pitch_deg": "tilt_pitch_deg",
        "camera_roll_deg": "tilt_roll_deg",
        "up_doubt_deg": "tilt_doubt_deg",
        "landmark_distance_mm": "reprojection_mm",
        "left_hand_seen": "left_hand_seen",
        "right_hand_seen": "right_hand_seen",
    }
    found = {new: motion.quality[old] for old, new in copied.items() if old in motion.quality}
    return numbers | found


def _of_movement(motion: Motion, joints: np.ndarray) -> dict[str, float]:
    """Jitter in GVHMR's unit (third difference, 10 m/s^3), and how often limbs strike."""
    times = motion.times_s
    if len(times) < 4:
        return {}
    rate_hz = 1 / float(np.median(np.diff(times)))
    third = np.empty((len(joints) - 3, joints.shape[1]), joints.dtype)
    for rows in stretches(len(third)):
        some = np.diff(joints[rows.start : rows.stop + 3], 3, axis=0)
        third[rows] = np.linalg.norm(some, axis=-1)
    jitter = float(third.mean()) * rate_hz**3 / 10
    strikes = sum(len(strike_rows(motion, joints, name)) for name in _ENDS)
    return {"jitter_10m_per_s3": jitter, "strikes": float(strikes)}


def strike_rows(motion: Motion, joints: np.ndarray, end: str) -> list[int]:
    """Keys at which an end of a limb is fastest, about the root and above `_STRIKE_M_PER_S`.

    Args:
        motion: whose times and names count.
        joints: (T, J, 3) of it, metres.
        end: one of left_wrist, right_wrist, left_ankle, right_ankle.
    """
    side, _, joint = end.partition("_")
    index = motion.skeleton.index(f"{side[0].upper()}_{joint.title()}")
    path = joints[:, index] - joints[:, 0]
    speed = np.linalg.norm(np.gradient(path, motion.times_s, axis=0), axis=-1)
    inner = speed[1:-1]
    peak = (inner >= speed[:-2]) & (inner > speed[2:]) & (inner > _STRIKE_M_PER_S)
    rows: list[int] = []
    for row in (np.flatnonzero(peak) + 1).tolist():
        if not rows or motion.times_s[row] - motion.times_s[rows[-1]] >= _STRIKE_GAP_S:
            rows.append(row)
        elif speed[row] > speed[rows[-1]]:
            rows[-1] = row
    return rows


def _movement(motion: Motion, body: Body) -> Movement:
    count, joints = motion.rotations_wxyz.shape[:2]
    turns = long_array((count, joints, 3, 3))
    for some in stretches(count):
        turns[some] = from_quaternions(motion.rotations_wxyz[some].astype(float))
    eye_m, seen = np.zeros((count, 3)), np.ones((count, 2), bool)
    return Movement(motion.times_s, turns, motion.root_m, motion.betas, body, eye_m, seen)


def _feet(motion: Motion, movement: Movement) -> _Feet:
    points = (
        movement.posed.points_m[:, : len(FEET)]
        - [0.0, 1.0, 0.0] * (movement.rest_heights_m[: len(FEET), None])
    )
    floor = np.full((len(motion.times_s), len(FEET)), np.nan)
    for span in motion.contacts:
        if span.part in FEET:
            floor[_rows(motion, span), FEET.index(span.part)] = span.floor_m
    return _Feet(points, np.isfinite(floor), floor)


def _rows(motion: Motion, span: ContactSpan) -> slice:
    first, last = np.searchsorted(motion.times_s, [span.start_s - 1e-6, span.end_s + 1e-6])
    return slice(int(first), int(last))


def _of_feet(motion: Motion, feet: _Feet) -> tuple[dict[str, float], list[str], list[Bad]]:
    speed = feet.speed_m_per_s(motion.times_s)
    above_mm = 1e3 * (feet.points_m[..., 1] - feet.floor_m)
    numbers: dict[str, float] = {}
    words: list[str] = []
    bad: list[Bad] = []
    if np.isfinite(speed).any():
        steps_mm = 1e3 * speed * np.diff(motion.times_s)[:, None]
        numbers["feet_slide_mm_per_contact_frame"] = float(np.nanmean(steps_mm))
        more, worst = _slides(motion, speed)
        words += more
        bad += worst
    if np.isfinite(above_mm).any():
        known = above_mm[np.isfinite(above_mm)]
        numbers["floor_spread_mm"] = float(np.ptp(np.quantile(known, [0.05, 0.95])))
        numbers["penetration_mm"] = float(max(0.0, -known.min()))
        if numbers["penetration_mm"] > _SINKS_MM:
            row = int(np.nanargmin(np.where(feet.stands, above_mm, np.nan))) // len(FEET)
            bad.append(_bad(motion, row, "foot below the floor, mm", numbers["penetration_mm"]))
            words.append(
                f"A foot is {numbers['penetration_mm'] / 10:.0f} cm below its floor "
                f"at {motion.times_s[row]:.1f} s."
            )
    return numbers, words, bad


def _slides(motion: Motion, speed: np.ndarray) -> tuple[list[str], list[Bad]]:
    """A sentence for the longest stretch of sliding, and the worst frames."""
    fastest = 100 * np.nan_to_num(speed).max(1)
    sliding = np.flatnonzero(fastest > _SLIDES_CM_PER_S)
    if not len(sliding):
        return [], []
    cuts = np.flatnonzero(np.diff(sliding) > 1) + 1
    runs = np.split(sliding, cuts)
    longest = max(runs, key=lambda run: (len(run), fastest[run].max()))
    begin, end = motion.times_s[longest[0]], motion.times_s[longest[-1] + 1]
    mean = fastest[longest].mean()
    sentence = f"Feet slide {mean:.0f} cm/s {_when(float(begin), float(end))}."
    tops = [int(run[fastest[run].argmax()]) for run in runs]
    tops = sorted(tops, key=lambda row: -fastest[row])[:_WORST]
    what = "foot slides, cm/s"
    return [sentence], [_bad(motion, row, what, float(fastest[row])) for row in tops]


def _of_outlines(
    motion: Motion, rows: np.ndarray, overlap: np.ndarray
) -> tuple[dict[str, float], list[str], list[Bad]]:
    """Of the overlaps (N,) at rows (N,) of a motion with what was seen of the person."""
    if not len(rows):
        return {}, [], []
    numbers = {
        "outline_overlap": float(overlap.mean()),
        "outline_overlap_least": float(overlap.min()),
    }
    off = np.flatnonzero(overlap < _COVERS)
    if not len(off):
        return numbers, [], []
    runs = np.split(off, np.flatnonzero(np.diff(off) > 1) + 1)
    longest = max(runs, key=lambda run: (len(run), -overlap[run].min()))
    begin, end = motion.times_s[rows[longest[[0, -1]]]]
    share = 100 * overlap[longest].mean()
    seen = "of what is seen of the person"
    words = [f"The body covers only {share:.0f} % {seen} {_when(begin, end)}."]
    lowest = sorted((int(run[overlap[run].argmin()]) for run in runs), key=lambda n: overlap[n])
    what = "body beside the person, overlap"
    return (
        numbers,
        words,
        [_bad(motion, int(rows[n]), what, float(overlap[n])) for n in lowest[:_WORST]],
    )


def _when(begin_s: float, end_s: float) -> str:
    """A stretch of time, in tenths of a second."""
    begin, end = f"{begin_s:.1f}", f"{end_s:.1f}"
    return f"at {begin} s" if begin == end else f"between {begin} and {end} s"


def _bad(motion: Motion, row: int, what: str, value: float) -> Bad:
    return Bad(float(motion.times_s[row]), int(motion.frames[row]), what, round(value, 2))


def _of_seeing(motion: Motion, numbers: dict[str, float]) -> list[str]:
    """Sentences about frames that were filled in, the camera and the focal length."""
    words = []
    unseen = np.flatnonzero(~motion.observed)
    if len(unseen):
        runs = np.split(unseen, np.flatnonzero(np.diff(unseen) > 1) + 1)
        longest = max(runs, key=len)
        begin, end = motion.times_s[longest[0]], motion.times_s[longest[-1]]
        verb = "is" if len(unseen) == 1 else "are"
        which = "the longest stretch of them " if len(runs) > 1 else ""
        told = f"{len(unseen)} of {len(motion.observed)} frames {verb} filled in"
        words.append(f"{told}, {which}{_when(float(begin), float(end))}.")
    kinds = {
        "moving": "The camera travels: the person's path may be wrong.",
        "unsure": "Whether the camera moved is not clear.",
        "rotating": "The camera turns; the motion is freed of its turning.",
    }
    if motion.camera_path is not None and np.ptp(motion.camera_path.positions_m, axis=0).any():
        kinds["moving"] = "The camera travels; the motion is freed of its turning and of its way."
    words += [kinds[motion.camera.motion]] if motion.camera.motion in kinds else []
    known = _FOCAL[motion.camera.focal_source]
    if motion.camera.focal_source == "unknown" and motion.camera.focal_assumed:
        known = _FOCAL["assumed"]
    return [*words, f"The focal length ({numbers['focal_px']:.0f} px) is {known}."]


def contact_rows(motion: Motion) -> dict[str, list[list[float]]]:
    """Stretches, start and end in seconds, of each part that stands; for strips and plots."""
    grouped = itertools.groupby(motion.contacts, key=lambda span: span.part)
    return {part: [[span.start_s, span.end_s] for span in spans] for part, spans in grouped}


def key_series(motion: Motion, body: Body) -> dict[str, np.ndarray]:
    """What a plot over time shows, (T,) each, NaN where there is nothing to say.

    Args:
        motion: any.
        body: the one it was estimated on.
    """
    movement = _movement(motion, body)
    joints, times = movement.posed.joints_m, motion.times_s
    count = len(times)
    speed = np.zeros(count)
    if count > 1:
        ends = joints - joints[:, :1]
        speed = np.linalg.norm(np.gradient(ends, times, axis=0), axis=-1).max(1)
    feet = _feet(motion, movement)
    series = {"fastest joint, m/s": speed, "lowest sole, cm": 100 * feet.points_m[..., 1].min(1)}
    sliding = np.full(count, np.nan)
    if count > 1 and feet.stands.any():
        steps = feet.speed_m_per_s(times)
        known = np.isfinite(steps).any(1)
        sliding[1:][known] = 100 * np.nanmax(steps[known], axis=1)
    return series | {"foot slides, cm/s": sliding}
