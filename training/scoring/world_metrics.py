"""Where a motion stands in the world against the truth: the field's numbers, and a stage's.

Axes are y up unless said; positions (T, J, 3) metres, predicted and true, of the same T frames.
After WHAM (Shin et al., CVPR 2024) and GVHMR (Shen et al., SIGGRAPH Asia 2024):

    WA-MPJPE   segments of 100 frames, one similarity over all of a segment's frames       mm
    W-MPJPE    segments of 100 frames, one similarity over a segment's first two frames     mm
    RTE        root's path after one rigid alignment, over the path's length                %
    jitter     mean length of the third difference times rate^3                     10 m/s^3
    sliding    mean way a frame of feet that stand                                         mm
"""

import numpy as np

from training.scoring.metrics import MM_PER_M, mpjpe_mm

SEGMENT_FRAMES = 100
"""Of WA- and W-MPJPE, as those papers have them."""
_SHORTEST_PATH_M = 0.3
"""Of a root, below which an error over its length means nothing.  Chosen."""
_STILL_M = 0.0025
"""Way a frame of a true foot that stands: captured feet slide by up to this.  Chosen."""
_PEAK_FRAMES, _NEAR_FRAMES = 4, 3
"""About a peak of speed: no frame so near is faster; the predicted peak may be so far.  Chosen."""

Similarity = tuple[float, np.ndarray, np.ndarray]


def similarity(points_m: np.ndarray, target_m: np.ndarray, *, scaled: bool = True) -> Similarity:
    """Scale s, rotation R and shift t with s R p + t nearest to the target, (N, 3) both.

    Umeyama 1991: no reflections.

    Args:
        points_m, target_m: (N, 3).
        scaled: False is a rigid one.
    """
    middle, there = points_m.mean(0), target_m.mean(0)
    u, sizes, vt = np.linalg.svd((target_m - there).T @ (points_m - middle))
    sign = np.array([1, 1, np.sign(np.linalg.det(u @ vt))])
    rotation = (u * sign) @ vt
    spread = ((points_m - middle) ** 2).sum()
    scale = float((sizes * sign).sum() / spread) if scaled and spread > 1e-12 else 1.0
    return scale, rotation, there - scale * rotation @ middle


def moved(by: Similarity, points_m: np.ndarray) -> np.ndarray:
    """Points (..., 3) after a similarity."""
    scale, rotation, shift = by
    return scale * points_m @ rotation.T + shift


def world_mpjpe_mm(
    predicted_m: np.ndarray, true_m: np.ndarray, aligned_frames: int | None
) -> float:
    """WA-MPJPE where `aligned_frames` is None, W-MPJPE where it is 2.

    Args:
        predicted_m, true_m: (T, J, 3).
        aligned_frames: at a segment's start, over which the similarity is taken; None is all.
    """
    errors = []
    for first in range(0, len(predicted_m), SEGMENT_FRAMES):
        ours, theirs = (p[first : first + SEGMENT_FRAMES] for p in (predicted_m, true_m))
        if len(ours) < 2:
            continue
        some = slice(aligned_frames)
        by = similarity(ours[some].reshape(-1, 3), theirs[some].reshape(-1, 3))
        errors.append(mpjpe_mm(moved(by, ours), theirs))
    return float(np.concatenate(errors).mean()) if errors else np.nan


def path_error_percent(predicted_m: np.ndarray, true_m: np.ndarray) -> float:
    """RTE of root paths (T, 3); NaN for people who stay in place."""
    length_m = np.linalg.norm(np.diff(true_m, axis=0), axis=-1).sum()
    if length_m < _SHORTEST_PATH_M:
        return np.nan
    off = moved(similarity(predicted_m, true_m, scaled=False), predicted_m) - true_m
    return float(100 * np.linalg.norm(off, axis=-1).mean() / length_m)


def drift_m(predicted_m: np.ndarray, true_m: np.ndarray) -> float:
    """How far the last root of paths (T, 3) is off, seen from the first; axes of one camera."""
    return float(np.linalg.norm((predicted_m[-1] - predicted_m[0]) - (true_m[-1] - true_m[0])))


def angle_deg(one: np.ndarray, other: np.ndarray) -> float:
    """Between two vectors (3,)."""
    cosine = one @ other / (np.linalg.norm(one) * np.linalg.norm(other))
    return float(np.degrees(np.arccos(np.clip(cosine, -1, 1))))


def jitter(points_m: np.ndarray, rate_hz: float) -> float:
    """In 10 m/s^3, of (T, J, 3); NaN below four frames."""
    if len(points_m) < 4:
        return np.nan
    return float(np.linalg.norm(np.diff(points_m, 3, axis=0), axis=-1).mean() * rate_hz**3 / 10)


def sliding_mm(
    feet_m: np.ndarray, stands: np.ndarray, true_feet_m: np.ndarray | None = None
) -> float:
    """Mean way from frame to frame of feet that stand in both; NaN where none does.

    Args:
        feet_m: (T, F, 3).
        stands: (T, F) bool.
        true_feet_m: (T, F, 3); where given, only steps count in which they are still.
    """
    both = stands[1:] & stands[:-1]
    if true_feet_m is not None:
        both &= np.linalg.norm(np.diff(true_feet_m, axis=0), axis=-1) < _STILL_M
    way_m = np.linalg.norm(np.diff(feet_m, axis=0), axis=-1)
    return MM_PER_M * float(way_m[both].mean()) if both.any() else np.nan


def spread_mm(heights_m: np.ndarray) -> float:
    """From the 5 % to the 95 % quantile; NaN of none."""
    return (
        MM_PER_M * float(np.ptp(np.quantile(heights_m, [0.05, 0.95]))) if len(heights_m) else np.nan
    )


def penetration_mm(low_m: np.ndarray, floor_m: float | np.ndarray = 0.0) -> float:
    """Mean depth below the floor of lowest points (T,); 0 where none is below it."""
    return MM_PER_M * float(np.maximum(floor_m - low_m, 0).mean()) if len(low_m) else np.nan


def f1(found: np.ndarray, true: np.ndarray) -> float:
    """2 hits / (found + true) of bools; NaN where there is neither."""
    count = int(found.sum() + true.sum())
    return 2 * int((found & true).sum()) / count if count else np.nan


def peaks_kept(
    predicted_m: np.ndarray, true_m: np.ndarray, rate_hz: float, least_m_s: float
) -> np.ndarray:
    """Share of the truth's speed that is kept near each of its peaks: (P,).

    Args:
        predicted_m, true_m: (T, 3) paths in axes that do not turn, about the root.
        rate_hz: of both.
        least_m_s: speed from which a peak counts.
    """
    if len(true_m) < 2:
        return np.zeros(0)
    ours, theirs = (
        np.linalg.norm(np.gradient(path, 1 / rate_hz, axis=0), axis=-1)
        for path in (predicted_m, true_m)
    )
    kept = []
    for row in range(2, len(theirs) - 2):
        about = theirs[max(row - _PEAK_FRAMES, 0) : row + _PEAK_FRAMES + 1]
        if theirs[row] >= least_m_s and theirs[row] == about.max():
            near = ours[max(row - _NEAR_FRAMES, 0) : row + _NEAR_FRAMES + 1]
            kept.append(near.max() / theirs[row])
    return np.array(kept)
