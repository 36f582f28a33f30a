"""Lessons with sides exchanged further, as a landmark network exchanges them.

It takes one leg for the other from one passing to the next, a limb for some frames, or the whole
body; the places in the picture with their depths or without, the face with the trunk or without.
"""

from dataclasses import replace
from typing import NamedTuple

import numpy as np

from staf_backend.landmarks.names import COCO_MIRROR, MIRROR, indices
from staf_backend.landmarks.sides import LIMBS, log_scales, torso_m, torso_px
from staf_backend.landmarks.sides_network import Read, mirrored
from training.sides.lessons import Lesson

JUDGED = {
    "arms": (indices("elbow", "wrist"), (18, 19, 20, 21)),
    "legs": (indices("knee", "ankle"), (4, 5, 7, 8)),
    "trunk": (indices("shoulder", "hip"), (16, 17, 1, 2)),
}
"""Landmarks by which the sides of each of `LIMBS` are judged, and the same of SMPL's joints."""
_DEPTH_SHARE = 0.55
"""Of depths beside places in the picture, in torso lengths.  Chosen: the square is 0.3, as where
sides are decided."""
_CLEAR = 0.1
"""Squared torso lengths between both readings from which a side is clear.  Chosen."""
_NATURAL = 5.0
"""Weight of what the network itself exchanged.  Chosen: it is rare, and what counts."""
_THROUGHOUT, _SPANS, _AT_PASSINGS, _FROM_THE_START, _FLAT = 0.06, 1.5, 0.7, 0.2, 0.4
"""Chance of a whole body exchanged throughout, mean number of further spans, and chances that one
goes from passing to passing, begins with the window, leaves depths as they are.  Chosen."""
_OF_LIMBS = (0.25, 0.4, 0.1, 0.25)
"""Chances of arms, legs, trunk and all of them.  Chosen."""
_LONGEST, _PASSES = 50, 0.35
"""Frames of a span that begins anywhere; torso lengths between two sides that pass.  Chosen."""
_FACE, _FACE_SHARE = np.arange(11), 0.7
"""Landmarks of the face, and how often they turn with the trunk.  Chosen."""
_DETECTOR_SPAN, _DETECTOR_LONGEST, _DETECTOR_ALL, _DETECTOR_SILENT = 0.3, 60, 0.15, 0.1
"""Chances of key points exchanged for some frames, throughout, and of none.  Chosen: it exchanges
whole bodies, by whole clips."""
_ROLL_RAD, _PLACE, _DEPTH, _SQUEEZE_LOG, _SIZE_LOG = 0.12, 0.02, 0.03, 0.1, 0.1
"""Deviations of turns of the picture, of places and depths in torso lengths, of the picture's
aspect and of the torso's length.  Chosen."""


class Sample(NamedTuple):
    """T frames as they are read, (T, 3) whether the sides of `LIMBS` are exchanged, and how much
    each counts."""

    read: Read
    exchanged: np.ndarray
    weight: np.ndarray


class _Seen(NamedTuple):
    """A reading, and the judged joints (T, 3, 4, 3) in torso lengths: places, depths."""

    read: Read
    joints: np.ndarray
    true_torso_px: float


def read_of(lesson: Lesson) -> Read:
    """What the network sees of a lesson."""
    return Read(
        lesson.points_px,
        lesson.world_m[..., 2],
        lesson.visibility,
        lesson.keypoints_px,
        lesson.times_s,
        log_scales(lesson.landmarks),
        torso_px(lesson.points_px),
        torso_m(lesson.world_m),
    )


def truth_of(lesson: Lesson, read: Read) -> Sample:
    """A lesson as it was read."""
    seen = _seen(lesson, read)
    apart = _apart(seen)
    return Sample(read, apart > 0, _weight(apart))


def disturbed(lesson: Lesson, read: Read, rows: np.ndarray, rng: np.random.Generator) -> Sample:
    """Some frames of a lesson, disturbed at random.

    Args:
        lesson: of T frames.
        read: the same, `read_of` it.
        rows: (N,) frames one after the other.
        rng: all of the randomness.
    """
    seen = _rows(_seen(lesson, read), rows)
    if rng.random() < 0.5:
        seen = _mirrored(seen)
    whole, flat = _spans(seen.read, rng)
    changed = _exchanged(seen.read, whole, flat, rng)
    apart = _apart(seen._replace(read=changed))
    natural = (apart > 0) & ~(whole | flat)
    weight = _weight(apart) * np.where(natural, _NATURAL, 1)
    return Sample(_shaken(changed, rng), apart > 0, weight)


def _seen(lesson: Lesson, read: Read) -> _Seen:
    hips, shoulders = (lesson.joints_px[:, pair].mean(1) for pair in ([1, 2], [16, 17]))
    length_px = max(float(np.median(np.linalg.norm(shoulders - hips, axis=-1))), 1.0)
    across = lesson.joints_m[:, [16, 17]].mean(1) - lesson.joints_m[:, [1, 2]].mean(1)
    depth = lesson.joints_m[..., 2] - lesson.joints_m[:, [1, 2], 2].mean(1, keepdims=True)
    depth = depth / max(float(np.median(np.linalg.norm(across, axis=-1))), 1e-3)
    joints = np.concatenate([lesson.joints_px / length_px, _DEPTH_SHARE * depth[..., None]], -1)
    picked = np.stack([joints[:, list(judged)] for _, judged in JUDGED.values()], 1)
    return _Seen(read, picked, length_px)


def _rows(seen: _Seen, rows: np.ndarray) -> _Seen:
    names = ("points_px", "depth_m", "visibility", "keypoints_px", "times_s", "scale")
    part = {name: getattr(seen.read, name)[rows] for name in names}
    return seen._replace(read=replace(seen.read, **part), joints=seen.joints[rows])


def _mirrored(seen: _Seen) -> _Seen:
    frames = len(seen.joints)
    joints = seen.joints.reshape(frames, 3, 2, 2, 3)[:, :, :, ::-1].reshape(frames, 3, 4, 3)
    return seen._replace(read=mirrored(seen.read), joints=joints * [-1, 1, 1])


def _apart(seen: _Seen) -> np.ndarray:
    """(T, 3) by how much the other side's joints are nearer, squared torso lengths; 0 where
    nothing is read."""
    read, found = seen.read, []
    for limb, (picked, _) in enumerate(JUDGED.values()):
        flat = read.points_px[:, picked] / seen.true_torso_px
        deep = _DEPTH_SHARE * read.depth_m[:, picked] / read.torso_m
        ours, truth = np.concatenate([flat, deep[..., None]], -1), seen.joints[:, limb]
        other = truth.reshape(-1, 2, 2, 3)[:, :, ::-1].reshape(truth.shape)
        found.append(((ours - truth) ** 2 - (ours - other) ** 2).sum((1, 2)))
    return np.nan_to_num(np.stack(found, 1))


def _weight(apart: np.ndarray) -> np.ndarray:
    return np.clip(np.abs(apart) / _CLEAR, 0, 1)


def _spans(read: Read, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """(T, 3) bool, of which limbs all is exchanged, and of which the places alone."""
    frames = len(read.times_s)
    whole, flat = (np.zeros((frames, len(LIMBS)), bool) for _ in range(2))
    whole[:] = rng.random() < _THROUGHOUT
    for _ in range(rng.poisson(_SPANS)):
        limb = int(rng.choice(len(LIMBS) + 1, p=_OF_LIMBS))
        rows = _span(read, min(limb, len(LIMBS) - 1), rng)
        if limb == len(LIMBS):
            whole[rows] ^= True
        elif rng.random() < _FLAT:
            flat[rows, limb] ^= True
        else:
            whole[rows, limb] ^= True
    return whole, flat


def _span(read: Read, limb: int, rng: np.random.Generator) -> slice:
    frames = len(read.times_s)
    passings = _passings(read, LIMBS[limb])
    if rng.random() < _AT_PASSINGS and len(passings):
        place = int(rng.integers(len(passings)))
        later = passings[place + 1 : place + 4]
        first = 0 if rng.random() < _FROM_THE_START else int(passings[place])
        return slice(first, int(rng.choice(later)) if len(later) else frames)
    length = int(np.ceil(np.exp(rng.uniform(0, np.log(_LONGEST)))))
    first = int(rng.integers(1 - length, frames))
    return slice(max(first, 0), first + length)


def _passings(read: Read, limb: np.ndarray) -> np.ndarray:
    """Frames in which both sides of a limb are nearest to each other in the picture."""
    pairs = read.points_px[:, limb[:4:2]] - read.points_px[:, limb[1:4:2]]
    apart = np.nan_to_num(np.linalg.norm(pairs, axis=-1).mean(1) / read.torso_px, nan=np.inf)
    inner = (apart[1:-1] <= apart[:-2]) & (apart[1:-1] <= apart[2:]) & (apart[1:-1] < _PASSES)
    return np.flatnonzero(inner) + 1


def _exchanged(read: Read, whole: np.ndarray, flat: np.ndarray, rng: np.random.Generator) -> Read:
    places, depths = (np.tile(np.arange(len(MIRROR)), (len(whole), 1)) for _ in range(2))
    for number, limb in enumerate(LIMBS):
        places[np.ix_(whole[:, number] ^ flat[:, number], limb)] = MIRROR[limb]
        depths[np.ix_(whole[:, number], limb)] = MIRROR[limb]
    if rng.random() < _FACE_SHARE:
        for order in (places, depths):
            order[np.ix_(whole[:, -1], _FACE)] = MIRROR[_FACE]
    rows = np.arange(len(whole))[:, None]
    return replace(
        read,
        points_px=read.points_px[rows, places],
        visibility=read.visibility[rows, places],
        depth_m=read.depth_m[rows, depths],
        keypoints_px=_detector(read.keypoints_px, rng),
    )


def _detector(keypoints_px: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    found = keypoints_px.copy()
    if rng.random() < _DETECTOR_SPAN:
        first = int(rng.integers(len(found)))
        rows = slice(first, first + int(rng.integers(1, _DETECTOR_LONGEST)))
        found[rows] = found[rows][:, COCO_MIRROR]
    if rng.random() < _DETECTOR_ALL:
        found = found[:, COCO_MIRROR]
    if rng.random() < _DETECTOR_SILENT:
        found[..., 2] = 0
    return found


def _shaken(read: Read, rng: np.random.Generator) -> Read:
    """As a slightly other camera and network would have read it."""
    roll = rng.normal(0, _ROLL_RAD)
    turn = np.array([[np.cos(roll), -np.sin(roll)], [np.sin(roll), np.cos(roll)]])
    squeeze = np.exp(rng.normal(0, _SQUEEZE_LOG)) ** np.array([1.0, -1.0])
    points = read.points_px @ turn.T
    points = points + _PLACE * read.torso_px * rng.standard_normal(points.shape)
    keypoints = read.keypoints_px.copy()
    keypoints[..., :2] = keypoints[..., :2] @ turn.T * squeeze
    return replace(
        read,
        points_px=points * squeeze,
        keypoints_px=keypoints,
        depth_m=read.depth_m + _DEPTH * read.torso_m * rng.standard_normal(read.depth_m.shape),
        torso_px=read.torso_px * float(np.exp(rng.normal(0, _SIZE_LOG))),
    )
