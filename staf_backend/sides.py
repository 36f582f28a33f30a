"""Left stays left: undo swaps of the two sides by a landmark network.

Seen from the side or from behind, a network takes one leg or arm for the other for some frames.
Whether the limbs of a frame are swapped is a hidden state with two values; the path through time
that moves the landmarks least, and departs least from the detector's own left and right, is found
by dynamic programming (Viterbi, 1967), for arms, legs and trunk apart: who is taken for their own
back has all three swapped.
"""

import numpy as np

from staf_backend.landmarks import COCO, MIRROR, Landmarks

_LIMBS = (
    tuple(range(13, 23)),  # elbows, wrists, hands
    tuple(range(25, 33)),  # knees, ankles, feet
    (11, 12, 23, 24),  # shoulders, hips
)
_SWAP_COST = 0.02  # squared torso lengths a frame: a swap must pay for itself
_DETECTOR_SHARE = 0.5
_TORSO = ((11, 12), (23, 24))


def consistent_sides(
    landmarks: Landmarks, keypoints_px: np.ndarray
) -> tuple[Landmarks, np.ndarray]:
    """Landmarks of one track with swapped limbs put back.

    Args:
        landmarks: of T consecutive frames.
        keypoints_px: (T, 17, 3) the detector's key points of the same frames.

    Returns:
        the landmarks, and (T, 3) whether arms, legs and trunk of a frame were swapped back.
    """
    points = landmarks.points_px
    size = _torso_px(points)
    undone = np.zeros((len(points), len(_LIMBS)), bool)
    order = np.tile(np.arange(points.shape[1]), (len(points), 1))
    for i, limb in enumerate(_LIMBS):
        undone[:, i] = _swapped(points, keypoints_px, size, np.array(limb))
        columns = np.array(limb)
        order[np.ix_(undone[:, i], columns)] = MIRROR[columns]
    if not undone.any():
        return landmarks, undone
    rows = np.arange(len(points))[:, None]
    world, visibility = landmarks.world_m[rows, order], landmarks.visibility[rows, order]
    return Landmarks(points[rows, order], world, visibility, landmarks.person), undone


def _torso_px(points: np.ndarray) -> float:
    """Median distance of shoulders and hips: the unit of length."""
    shoulders, hips = (points[:, pair].mean(1) for pair in _TORSO)
    lengths = np.linalg.norm(shoulders - hips, axis=-1)
    lengths = lengths[np.isfinite(lengths)]
    return max(float(np.median(lengths)), 1.0) if len(lengths) else 1.0


def _swapped(
    points: np.ndarray, keypoints_px: np.ndarray, size: float, limb: np.ndarray
) -> np.ndarray:
    """(T,) whether the limb's two sides are taken for each other."""
    both = np.stack([points[:, limb], points[:, MIRROR[limb]]], 1) / size  # (T, 2, K, 2)
    state = _against_detector(both, keypoints_px, size, limb)
    state[:, 1] += _SWAP_COST
    moves = both[1:, None] - both[:-1, :, None]  # (T - 1, from, to, K, 2)
    moves = np.nan_to_num((moves**2).sum(-1)).mean(-1)
    return _cheapest(state, moves) == 1


def _against_detector(
    both: np.ndarray, keypoints_px: np.ndarray, size: float, limb: np.ndarray
) -> np.ndarray:
    """(T, 2) how far each reading is from the detector's sides."""
    shared = [k for k, landmark in enumerate(COCO) if landmark in limb]
    where = [int(np.flatnonzero(limb == COCO[k])[0]) for k in shared]
    seen = keypoints_px[:, shared]
    distance = ((both[:, :, where] - seen[:, None, :, :2] / size) ** 2).sum(-1)
    return _DETECTOR_SHARE * np.nan_to_num(distance * seen[:, None, :, 2]).mean(-1)


def _cheapest(state_costs: np.ndarray, move_costs: np.ndarray) -> np.ndarray:
    """The path of least cost (Viterbi, 1967).

    Args:
        state_costs: (T, S) of being in each state in each frame.
        move_costs: (T - 1, S, S) of going from one state to another between two frames.

    Returns:
        (T,) the state of each frame.
    """
    total, came_from = state_costs[0], []
    for state, move in zip(state_costs[1:], move_costs, strict=True):
        reached = total[:, None] + move
        came_from.append(reached.argmin(0))
        total = reached.min(0) + state
    path = [int(total.argmin())]
    for back in reversed(came_from):
        path.append(int(back[path[-1]]))
    return np.array(path[::-1])
