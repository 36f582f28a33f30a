"""Left stays left: undo swaps of the two sides by a landmark network.

Seen from the side or from behind, a network takes one leg or arm for the other for some frames, or
somebody's back for their front, which swaps arms, legs and trunk at once.  So does the detector, of
whose sides use is made: on drawn people, of whom all is known, the network swaps 5 % of the trunks,
the detector 7 to 9 %, by whole clips.  So it is asked whether a limb's sides are the trunk's, and
hardly which way somebody looks.

A frame has a hidden state of eight values: which of arms, legs and trunk the network swapped.
Taken is the path through time that moves the landmarks least and needs the fewest swaps, by the
network and, where a reading departs from it, by the detector (dynamic programming, Viterbi 1967).
How knees bend, feet point and people go tells sides, too, over a second or two: a small learned
network says how likely each is (`sides_network`).  Where the landmark network wavers between front
and back for a whole clip, it counts that people mostly go where they look: who shrinks walks away
and shows their back.

Of somebody seen from the side the depths of shoulders and hips tell left from right, and are right;
their places in the picture, hardly apart, may lie the wrong way round all the same.  So these are
decided once more by the picture alone.
"""

from collections.abc import Iterable, Iterator
from dataclasses import replace

import numpy as np

from staf_backend.files import long_array, stretches
from staf_backend.landmarks.names import COCO, MIRROR, indices
from staf_backend.landmarks.network import Landmarks
from staf_backend.landmarks.sides_network import exchanged_logits

_ARMS = indices("elbow", "wrist", "pinky", "index", "thumb")
_LEGS = indices("knee", "ankle", "heel", "foot_index")
_TRUNK = indices("shoulder", "hip")
LIMBS = (_ARMS, _LEGS, _TRUNK)
"""The trunk is last."""
_STATES = np.array([[a, b, c] for a in (0, 1) for b in (0, 1) for c in (0, 1)])
"""(8, 3) which of `LIMBS` are swapped."""
_TORSO_ENDS = (indices("shoulder"), indices("hip"))
"""Whose middles lie one torso length apart."""
_SHORTEST_TORSO_M = 0.2
"""Chosen: a child's; less is no torso."""
_SHOULDER_SPAN = 0.75
"""Distance of the shoulders over the torso's length.  Chosen: 0.36 m and 0.48 m are usual."""

# costs, in squared torso lengths a frame, the unit of what moves: a swap must pay for itself.
# Measured on drawn people (training/LOG.md); from half to twice as much do nearly as well
_NETWORK_BODY, _NETWORK_LIMB = 0.02, 0.014
"""Of the network's swapping the whole body, and a limb against the trunk."""
_DETECTOR_BODY, _DETECTOR_LIMB = 0.001, 0.016
"""Of the detector's."""
_LIMB_SHARE = np.array([1.0, 1.5, 1.0])
"""Weight of how far landmarks of each of `LIMBS` move.  Chosen on 133 drawn scenes
(training/LOG.md): from 1.5 to 3 do alike for legs, of which 1 leaves a quarter more wrong."""
_CROSSED = 0.005
"""Of the trunk's places in the picture, but not its depths, being the wrong way round.  Chosen on
the same scenes: from 0.003 to 0.012 do alike."""
_DEPTH_SHARE = 0.3
"""Weight of how far landmarks move in depth, by the network's metres.  Of somebody seen from the
side both hips lie on one spot of the picture, and only the depth tells which is which.  Measured by
swaps of 1 to 8 frames put into six drawn clips (training/LOG.md): of whole bodies none stays from
0.03 on, of arms none from 0.1 on; at 1 nothing is worse."""
_DETECTOR_SHARE = 0.5
"""Weight of how far landmarks are from the detector's key points."""
_LEARNED, _PRIOR = 0.003, 2.0
"""Of what the learned network says, a unit of its negative log-likelihood, and what is taken from
its logits: it was taught by far more exchanges than happen.  Chosen (training/LOG.md): of drawn
scenes kept back from its lessons, 0.002 to 0.004 do alike."""
_FACES_AWAY = 0.016
"""Of facing the camera while going away from it, and of the reverse.  Measured on drawn people
(training/LOG.md): from 0.014 on wavering networks are put right, and below `_NETWORK_BODY` one that
is sure is believed.
"""
_GOES_PER_S, _TURNED = 0.17, 0.3
"""Change of the logarithm of somebody's size from which they surely go, half a metre a second four
metres away; and share of a torso's length between left and right from which a front is not a side.
Chosen."""
_WATCHED_S, _FEWEST_WATCHED = 0.5, 8
"""Before and after a frame, in which their size is watched, and least frames.  Chosen: a step."""
_WHOLE, _FEWEST_SEEN = indices("shoulder", "hip", "knee", "ankle"), 4
"""Landmarks by which somebody's size is measured, and least that are seen.  Chosen."""


def consistent_sides(
    landmarks: Landmarks, keypoints_px: np.ndarray, times_s: np.ndarray
) -> tuple[Landmarks, np.ndarray]:
    """Landmarks of one track with swapped limbs put back.

    Args:
        landmarks: of T consecutive frames.
        keypoints_px: (T, 17, 3) the detector's key points of the same frames.
        times_s: (T,) of the frames.

    Returns:
        the landmarks, and (T, 3) whether arms, legs and trunk of a frame were swapped back.  Where
        shoulders and hips were so in the picture alone it is not told.
    """
    size = torso_px(landmarks.points_px)
    scales = log_scales(landmarks)
    backwards = _backwards(landmarks, times_s, size, scales)
    learned = _learned(landmarks, keypoints_px, times_s, size, scales)
    undone = _swapped(landmarks, keypoints_px, size, backwards, learned)
    if undone.any():
        landmarks = _put_back(landmarks, undone)
    crossed = _crossed(landmarks.points_px, size)
    return (_uncrossed(landmarks, crossed) if crossed.any() else landmarks), undone


def _put_back(landmarks: Landmarks, undone: np.ndarray) -> Landmarks:
    """Landmarks with limbs (T, 3) of their frames swapped."""
    known = (landmarks.points_px, landmarks.world_m, landmarks.visibility)
    points, world_m, visibility = (long_array(array.shape, array.dtype) for array in known)
    for rows in stretches(len(undone)):
        order = np.tile(np.arange(len(MIRROR)), (rows.stop - rows.start, 1))
        for i, limb in enumerate(LIMBS):
            order[np.ix_(undone[rows, i], limb)] = MIRROR[limb]
        frames = np.arange(len(order))[:, None]
        for out, array in zip((points, world_m, visibility), known, strict=True):
            out[rows] = array[rows][frames, order]
    return Landmarks(points, world_m, visibility, landmarks.person)


def _crossed(points_px: np.ndarray, size: float) -> np.ndarray:
    """(T,) where shoulders and hips of points (T, 33, 2), whose sides are decided, jump to each
    other's places for some frames; `size` is the torso's in pixels."""
    costs = np.tile([0, _CROSSED], (len(points_px), 1))
    return _cheapest(costs, iter(_moves_in_picture(points_px, size))) == 1


def _moves_in_picture(points_px: np.ndarray, size: float) -> np.ndarray:
    """(T - 1, 2, 2) of the trunk, from one reading of its sides to either, a stretch at a time."""
    moves, flat = [], np.empty((0, 2, len(_TRUNK), 2))
    for rows in stretches(len(points_px)):
        flat = _held(_both_ways(points_px[rows] / size, _TRUNK), flat[-1:])
        moves.append(_moves(flat, np.zeros(flat.shape[:-1])))
    return np.concatenate(moves)


def _uncrossed(landmarks: Landmarks, crossed: np.ndarray) -> Landmarks:
    """Landmarks whose trunk's places in the picture are exchanged where `crossed` (T,) and where
    all of them are seen: an unseen one has no visibility, which stays."""
    points = long_array(landmarks.points_px.shape, landmarks.points_px.dtype)
    for rows in stretches(len(crossed)):
        points[rows] = landmarks.points_px[rows]
        seen = np.isfinite(points[rows][:, _TRUNK]).all((1, 2))
        frames = np.flatnonzero(crossed[rows] & seen)[:, None] + rows.start
        points[frames, _TRUNK] = landmarks.points_px[frames, MIRROR[_TRUNK]]
    return replace(landmarks, points_px=points)


def torso_px(points: np.ndarray) -> float:
    """Median distance of shoulders and hips: the unit of length.

    Of who shows no hips, by the distance of the shoulders.
    """
    shoulders, hips = (points[:, pair] for pair in _TORSO_ENDS)
    lengths = np.linalg.norm(shoulders.mean(1) - hips.mean(1), axis=-1)
    if not np.isfinite(lengths).any():
        lengths = np.linalg.norm(shoulders[:, 0] - shoulders[:, 1], axis=-1) / _SHOULDER_SPAN
    lengths = lengths[np.isfinite(lengths)]
    return max(float(np.median(lengths)), 1.0) if len(lengths) else 1.0


def torso_m(world_m: np.ndarray) -> float:
    """Median distance of shoulders and hips of world points (T, 33, 3): the unit of depth; infinite
    without a torso."""
    shoulders, hips = (world_m[:, pair] for pair in _TORSO_ENDS)
    lengths = np.linalg.norm(shoulders.mean(1) - hips.mean(1), axis=-1)
    lengths = lengths[np.isfinite(lengths)]
    length = float(np.median(lengths)) if len(lengths) else np.inf
    return max(length, _SHORTEST_TORSO_M)


def _backwards(
    landmarks: Landmarks, times_s: np.ndarray, size: float, scales: np.ndarray
) -> np.ndarray:
    """(T,) -1..1 how surely somebody goes where their back is, by the sides that are read."""
    left, right = (landmarks.points_px[:, _TRUNK[k::2], 0].mean(1) for k in (0, 1))
    front = np.clip(np.nan_to_num(left - right) / (_TURNED * size), -1, 1)
    return front * np.clip(_recedes(scales, times_s) / _GOES_PER_S, -1, 1)


def log_scales(landmarks: Landmarks) -> np.ndarray:
    """(T,) logarithms of pixels a metre about their median, whatever the pose; NaN where too little
    is seen."""
    points, world_m = landmarks.points_px, landmarks.world_m
    parts = stretches(len(points))
    found = np.concatenate([_log_scales_of(points[rows], world_m[rows]) for rows in parts])
    return found - np.nanmedian(found) if np.isfinite(found).any() else found


def _log_scales_of(points: np.ndarray, world_m: np.ndarray) -> np.ndarray:
    flat = points[:, _WHOLE], world_m[:, _WHOLE, :2]
    seen = np.isfinite(np.concatenate(flat, -1)).all(-1, keepdims=True)
    count = seen.sum(1, keepdims=True)
    spreads = []
    for points in flat:
        known = np.where(seen, points, 0)
        about = (known - known.sum(1, keepdims=True) / np.maximum(count, 1)) * seen
        spreads.append(np.maximum((about**2).sum((1, 2)), 1e-6))
    enough = count[:, 0, 0] >= _FEWEST_SEEN
    return np.where(enough, np.log(spreads[0] / spreads[1]) / 2, np.nan)


def _recedes(scales: np.ndarray, times_s: np.ndarray) -> np.ndarray:
    """(T,) loss of the logarithm of somebody's size a second, by lines fitted to a second each."""
    seen = np.isfinite(scales)
    time, value = times_s - times_s[0], np.where(seen, scales, 0)
    first = np.searchsorted(time, time - _WATCHED_S)
    last = np.searchsorted(time, time + _WATCHED_S, side="right")
    rows = np.stack([np.ones_like(time), time, value, time**2, time * value]) * seen
    sums = np.concatenate([np.zeros((5, 1)), np.cumsum(rows, 1)], 1)
    count, t, v, tt, tv = sums[:, last] - sums[:, first]
    spread = count * tt - t**2
    known = (count >= _FEWEST_WATCHED) & (spread > 0)
    return -np.divide(count * tv - t * v, spread, out=np.zeros_like(t), where=known)


def _learned(
    landmarks: Landmarks,
    keypoints_px: np.ndarray,
    times_s: np.ndarray,
    size: float,
    scales: np.ndarray,
) -> np.ndarray:
    """(T, 3, 2) costs of each of `LIMBS` as read and swapped, by what the learned network says."""
    torso = size, torso_m(landmarks.world_m)
    found = exchanged_logits(landmarks, keypoints_px, times_s, scales, torso)
    signs = np.array([1.0, -1.0])
    return _LEARNED * np.logaddexp(0, signs * (found - _PRIOR)[..., None])


def _swapped(
    landmarks: Landmarks,
    keypoints_px: np.ndarray,
    size: float,
    backwards: np.ndarray,
    learned: np.ndarray,
) -> np.ndarray:
    """(T, 3) which limbs' two sides are taken for each other."""
    metres = torso_m(landmarks.world_m)
    limbs = [_of_limb(landmarks, limb, keypoints_px, size, metres) for limb in LIMBS]
    moves, departs = zip(*limbs, strict=True)
    costs = _state_costs(np.stack(departs, 1), backwards, learned)
    shares = _LIMB_SHARE[:, None, None]
    path = _cheapest(costs, _move_costs(shares * np.stack(moves, 1)))
    return _STATES[path] == 1


def _of_limb(
    landmarks: Landmarks, limb: np.ndarray, keypoints_px: np.ndarray, size: float, metres: float
) -> tuple[np.ndarray, np.ndarray]:
    """How far a limb moves (T - 1, 2, 2) from one reading of its sides to either, and `_departs`;
    a stretch at a time, each from where the one before ended."""
    moves, departs = [], []
    flat, deep = np.empty((0, 2, len(limb), 2)), np.empty((0, 2, len(limb), 1))
    for rows in stretches(len(landmarks.points_px)):
        points = landmarks.points_px[rows]
        depths = landmarks.world_m[rows, :, 2:] / metres
        both, depth = (_both_ways(values, limb) for values in (points / size, depths))
        flat, deep = _held(both, flat[-1:]), _held(depth, deep[-1:])
        moves.append(_moves(flat, deep[..., 0]))
        departs.append(_departs(both, keypoints_px[rows], size, limb))
    return np.concatenate(moves), np.concatenate(departs)


def _both_ways(values: np.ndarray, limb: np.ndarray) -> np.ndarray:
    """(T, 2, K, D) of a limb's landmarks of values (T, 33, D): as read, and swapped."""
    return np.stack([values[:, limb], values[:, MIRROR[limb]]], 1)


def _moves(flat: np.ndarray, deep: np.ndarray) -> np.ndarray:
    """(T - 1, from, to) of landmarks (T, 2, K, 2) and their depths (T, 2, K)."""
    steps = flat[1:, None] - flat[:-1, :, None]
    deeper = deep[1:, None] - deep[:-1, :, None]
    return np.nan_to_num((steps**2).sum(-1) + _DEPTH_SHARE * deeper**2).mean(-1)


def _held(values: np.ndarray, before: np.ndarray) -> np.ndarray:
    """The frame before (0 or 1, 2, K, D) and values (T, 2, K, D), with the last ones seen where
    nothing is: sides outlast a gap."""
    values = np.concatenate([before.astype(values.dtype), values])
    seen = np.isfinite(values).all(-1, keepdims=True)
    frames = np.arange(len(values)).reshape(-1, 1, 1, 1)
    last = np.maximum.accumulate(np.where(seen, frames, 0), axis=0)
    return np.take_along_axis(values, np.broadcast_to(last, values.shape), axis=0)


def _departs(
    both: np.ndarray, keypoints_px: np.ndarray, size: float, limb: np.ndarray
) -> np.ndarray:
    """(T, 2) how far each reading of a limb is from the detector's sides."""
    shared = [k for k, landmark in enumerate(COCO) if landmark in limb]
    where = [int(np.flatnonzero(limb == COCO[k])[0]) for k in shared]
    seen = keypoints_px[:, shared]
    distance = ((both[:, :, where] - seen[:, None, :, :2] / size) ** 2).sum(-1)
    return _DETECTOR_SHARE * np.nan_to_num(distance * seen[:, None, :, 2]).mean(-1)


def _state_costs(departs: np.ndarray, backwards: np.ndarray, learned: np.ndarray) -> np.ndarray:
    """(T, 8) of each state: the network's swaps, the detector's, and what they would mean.

    Args:
        departs: (T, 3, 2) of `_departs`.
        backwards: (T,) of `_backwards`, as the network reads the trunk.
        learned: (T, 3, 2) of `_learned`.
    """
    limbs = np.arange(len(LIMBS))
    costs = np.empty((len(departs), len(_STATES)))
    for number, state in enumerate(_STATES):
        seen = [
            _DETECTOR_BODY * turned
            + np.minimum(
                departs[:, limbs, state ^ turned],
                departs[:, limbs, 1 - (state ^ turned)] + _DETECTOR_LIMB,
            ).sum(1)
            for turned in (0, 1)
        ]
        apart = (state[:-1] != state[-1]).sum()
        own = _NETWORK_BODY * state[-1] + _NETWORK_LIMB * apart
        goes = _FACES_AWAY * np.maximum(0, -backwards if state[-1] else backwards)
        likely = learned[:, limbs, state].sum(1)
        costs[:, number] = own + goes + likely + np.minimum(*seen)
    return costs


def _move_costs(moves: np.ndarray) -> Iterator[np.ndarray]:
    """(8, 8) from state to state, a frame after the other, of the limbs' moves (T - 1, 3, 2, 2)."""
    start, end = _STATES[:, None], _STATES[None]
    limbs = np.arange(len(LIMBS))
    for move in moves:
        yield move[limbs, start, end].sum(-1)


def _cheapest(state_costs: np.ndarray, move_costs: Iterable[np.ndarray]) -> np.ndarray:
    """The path of least cost.

    Args:
        state_costs: (T, S) of being in each state in each frame.
        move_costs: T - 1 times (S, S) of going from one state to another between two frames.

    Returns:
        (T,) the state of each frame.
    """
    total, came_from = state_costs[0], np.empty(state_costs[1:].shape, np.uint8)
    for back, state, move in zip(came_from, state_costs[1:], move_costs, strict=True):
        reached = total[:, None] + move
        back[:] = reached.argmin(0)
        total = reached.min(0) + state
    path = [int(total.argmin())]
    for back in came_from[::-1]:
        path.append(int(back[path[-1]]))
    return np.array(path[::-1])
