"""Motion of any length and frame rate for synthetic people: captured and varied, or sampled.

`moves.variety` does the same for the fixed windows of the lifting network, many at a time; here one
sequence of T frames is made at a time.  Local rotations (T, 24, 3, 3), y up.
"""

from dataclasses import dataclass

import numpy as np

from staf_backend.geometry import rotations
from staf_backend.landmarks.windows import GRID_HZ, JOINT_MIRROR, MIRROR_X
from training.moves.mocap import Clip
from training.moves.variety import Variety

_UPPER = [12, 13, 14, 15, 16, 17, 18, 19, 20, 21, 22, 23]
_ARMS = ([16, 18, 20], [17, 19, 21])
_LEGS = ([1, 4, 7], [2, 5, 8])
_SPEEDS = (0.6, 1.25)
# deviation, radians, of turns added to each joint
_BEND = np.array(
    [
        *(0.15, 0.18, 0.18, 0.12, 0.12, 0.12, 0.08, 0.15, 0.15, 0.08, 0.08, 0.08),
        *(0.15, 0.08, 0.08, 0.2, 0.3, 0.3, 0.2, 0.2, 0.2, 0.2, 0.0, 0.0),
    ]
)
# sampled motion: mean turn and deviation about x, y, z of each joint, radians; left limbs, whose
# mirror images the right ones are.  Knees bend by +x, the left elbow by -y
_MEANS = {1: (-0.3, 0.0, 0.1), 4: (0.5, 0.0, 0.0), 16: (0.0, -0.3, -0.9), 18: (0.0, -0.7, 0.0)}
_WIDTHS = {
    1: (0.55, 0.3, 0.25), 4: (0.6, 0.03, 0.03), 7: (0.25, 0.1, 0.1), 13: (0.05, 0.1, 0.12),
    16: (0.4, 0.6, 0.6), 18: (0.3, 0.7, 0.1), 20: (0.35, 0.15, 0.35),
}  # fmt: skip
_SPINE = {3: 0.18, 6: 0.12, 9: 0.1, 12: 0.18, 15: 0.25}


@dataclass(frozen=True)
class Movement:
    """T frames of somebody's motion, y up.

    Attributes:
        local: (T, 24, 3, 3) parent-relative rotations, joint 0 in the world.
        pelvis_m: (T, 3), the pelvis joint; its height is as captured, the floor is not known.
    """

    local: np.ndarray
    pelvis_m: np.ndarray


def smooth_series(rng: np.random.Generator, frames: int, columns: int, width: float) -> np.ndarray:
    """Normal numbers (T, columns) of unit variance, correlated over about `width` frames."""
    reach = int(np.ceil(3 * width))
    kernel = np.exp(-0.5 * (np.arange(-reach, reach + 1) / width) ** 2)
    kernel /= np.linalg.norm(kernel)
    white = rng.standard_normal((frames + 2 * reach, columns))
    smooth = [np.convolve(white[:, column], kernel, "valid") for column in range(columns)]
    return np.stack(smooth, -1)


def captured(
    clips: list[Clip], frames: int, rate_hz: float, variety: Variety, rng: np.random.Generator
) -> Movement:
    """Captured motion, varied: mirrored, recombined, bent, limbs led elsewhere, laid down."""
    base = _cut(clips, frames, rate_hz, rng)
    local = base.local
    if rng.random() < variety.upper_swap:
        local[:, _UPPER] = _cut(clips, frames, rate_hz, rng).local[:, _UPPER]
    for arm in _ARMS:
        if rng.random() < variety.arm_swap:
            local[:, arm] = _cut(clips, frames, rate_hz, rng).local[:, arm]
    local = local @ rotations.from_axis_angle(_bends(frames, rate_hz, variety, rng))
    poses = _limb_poses(frames, rate_hz, rng)
    for limbs, chance in ((_ARMS, variety.free_arm), (_LEGS, variety.free_leg)):
        for limb in limbs:
            if rng.random() < chance:
                _lead(local, limb, poses[:, limb], rate_hz, rng)
    return _placed(Movement(local, base.pelvis_m), variety.tilt, rng)


def sampled(frames: int, rate_hz: float, variety: Variety, rng: np.random.Generator) -> Movement:
    """Motion between poses drawn at random, on the spot: no capture is needed."""
    local = _limb_poses(frames, rate_hz, rng)
    path = smooth_series(rng, frames, 3, rate_hz) * (0.15, 0.0, 0.15)
    return _placed(Movement(local, path), variety.tilt, rng)


def _cut(clips: list[Clip], frames: int, rate_hz: float, rng: np.random.Generator) -> Movement:
    """A stretch of one clip at varied speed, half of them mirrored."""
    wanted = frames * GRID_HZ / rate_hz
    lengths = np.array([len(clip.rotations) for clip in clips])
    # clips that would have to be slowed below the usual are left out where others are there
    odds = np.where(lengths >= min(wanted * _SPEEDS[0], lengths.max()), lengths**0.7, 0)
    clip = clips[rng.choice(len(clips), p=odds / odds.sum())]
    room = len(clip.rotations) - 1.001
    step = min(rng.uniform(*_SPEEDS) * GRID_HZ / rate_hz, room / max(frames - 1, 1))
    at = rng.random() * (room - step * (frames - 1)) + step * np.arange(frames)
    low, share = np.floor(at).astype(int), at % 1
    wide = share[:, None, None, None]
    mixed = clip.rotations[low] * (1 - wide) + clip.rotations[low + 1] * wide
    path = clip.pelvis_m[low] * (1 - share[:, None]) + clip.pelvis_m[low + 1] * share[:, None]
    local = rotations.from_6d(mixed[..., :2])
    if rng.random() < 0.5:
        return Movement(mirrored(local), path * MIRROR_X)
    return Movement(local, path)


def mirrored(local: np.ndarray) -> np.ndarray:
    """The motion (T, 24, 3, 3) of the person in the mirror."""
    return local[:, JOINT_MIRROR] * (MIRROR_X[:, None] * MIRROR_X)


def _bends(frames: int, rate_hz: float, variety: Variety, rng: np.random.Generator) -> np.ndarray:
    """Joint turns (T, 24, 3), axis-angle: constant and slowly varying, some crouching."""
    steady = rng.standard_normal((24, 3))
    slow = smooth_series(rng, frames, 72, 0.4 * rate_hz).reshape(frames, 24, 3)
    bends = (0.8 * steady + 0.5 * slow) * _BEND[:, None] * rng.random() * variety.bend
    if rng.random() < variety.crouch:
        drift = smooth_series(rng, frames, 1, 0.5 * rate_hz)
        depth = rng.random(2) * 1.4 * (0.7 + 0.4 * np.clip(drift, -1, 1))
        bends[:, [4, 5], 0] += depth
        bends[:, [1, 2], 0] -= depth * rng.random(2)
    return bends


def _lead(
    local: np.ndarray, limb: list[int], poses: np.ndarray, rate_hz: float, rng: np.random.Generator
) -> None:
    """Lead one limb of `local`, in place, to the poses (T, 3, 3, 3) and perhaps back."""
    gate = smooth_series(rng, len(local), 1, 0.5 * rate_hz)[:, 0] + rng.normal(1.0, 1.0)
    share = (1 / (1 + np.exp(-4 * gate)))[:, None, None, None]
    mixed = local[:, limb] * (1 - share) + poses * share
    local[:, limb] = rotations.from_6d(mixed[..., :2])


def _limb_poses(frames: int, rate_hz: float, rng: np.random.Generator) -> np.ndarray:
    """Rotations (T, 24, 3, 3) that drift about a pose drawn at random; the root looks anywhere."""
    drift = smooth_series(rng, frames, 72, rng.uniform(0.25, 0.8) * rate_hz).reshape(frames, 24, 3)
    noise = 0.85 * rng.standard_normal((24, 3)) + 0.4 * drift
    turns = np.zeros((frames, 24, 3))
    for joint, width in _SPINE.items():
        turns[:, joint] = noise[:, joint] * width
    for joint, width in _WIDTHS.items():
        mean = np.array(_MEANS.get(joint, (0.0, 0.0, 0.0)))
        turns[:, joint] = mean + noise[:, joint] * width
        other = JOINT_MIRROR[joint]
        turns[:, other] = (mean + noise[:, other] * width) * (1, -1, -1)
    turns[:, [4, 5], 0] = np.abs(turns[:, [4, 5], 0])
    turns[:, 18, 1], turns[:, 19, 1] = -np.abs(turns[:, 18, 1]), np.abs(turns[:, 19, 1])
    turns[:, 0] = noise[:, 0] * (0.15, 0.3, 0.1)
    return rotations.from_axis_angle(turns)


def _placed(movement: Movement, tilt: float, rng: np.random.Generator) -> Movement:
    """Turned to any side, some leant over or laid down; the path begins above the origin."""
    turn = rotations.from_axis_angle(np.array([0, rng.uniform(0, 2 * np.pi), 0]))
    path = (movement.pelvis_m - movement.pelvis_m.mean(0) * (1, 0, 1)) @ turn.T
    if rng.random() < tilt:
        heading = rng.uniform(0, 2 * np.pi)
        axis = np.array([np.cos(heading), 0, np.sin(heading)])
        turn = rotations.from_axis_angle(axis * rng.uniform(0.3, 1.9)) @ turn
    local = np.array(movement.local, np.float64)
    local[:, 0] = turn @ local[:, 0]
    return Movement(local, path)
