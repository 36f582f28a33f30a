"""Errors of a landmark network's world points, limb by limb.

They were measured on real clips against triangulated views (LOG.md): points err along limbs, mostly
in depth, with a part that stays, a part that drifts and a jitter; depth is shortened; limbs have
the lengths of an average person whoever is seen; at times a limb points to the wrong side.
"""

from dataclasses import dataclass

import numpy as np

from staf_backend.body import markers
from staf_backend.geometry import rotations
from training.moves import smooth_normals, three_kinds

_HIPS, _SHOULDERS, _HEAD = markers.COUNT, markers.COUNT + 1, markers.COUNT + 2

# millimetres: depth error that stays, drifts, jitters; sideways the same; BlazePose's usual length
# (0: the true one).  Then: share of depth that is kept, its deviation, chance of the wrong side
_LIMBS = {
    "hip": (12, 8, 4, 6, 4, 3, 100, 0.95, 0.20, 0.0),
    "thigh": (60, 40, 16, 18, 15, 6, 392, 0.87, 0.25, 0.03),
    "shank": (80, 40, 15, 24, 16, 7, 412, 1.02, 0.25, 0.03),
    "heel": (20, 15, 6, 10, 6, 4, 46, 0.80, 0.30, 0.0),
    "toe": (40, 20, 8, 20, 10, 5, 120, 0.80, 0.30, 0.0),
    "torso": (75, 50, 10, 18, 18, 5, 497, 0.80, 0.20, 0.02),
    "shoulder": (35, 15, 5, 15, 8, 3, 168, 0.85, 0.20, 0.0),
    "upper_arm": (65, 45, 13, 22, 15, 5, 256, 0.72, 0.30, 0.06),
    "forearm": (75, 60, 15, 25, 16, 7, 246, 0.67, 0.30, 0.06),
    "index": (35, 25, 10, 15, 10, 7, 65, 0.50, 0.40, 0.08),
    "pinky": (35, 25, 10, 15, 10, 7, 50, 0.50, 0.40, 0.08),
    "thumb": (35, 25, 10, 15, 10, 7, 38, 0.50, 0.40, 0.08),
    "neck": (50, 30, 8, 20, 10, 4, 185, 0.80, 0.20, 0.0),
    "face": (20, 10, 4, 8, 4, 3, 0, 0.90, 0.15, 0.0),
}
# of BlazePose heavy, on every clip looked at: left thigh and forearm long, right shank, arm long
_ASYMMETRY = {"thigh": 0.085, "shank": -0.045, "upper_arm": -0.10, "forearm": 0.03, "toe": -0.1}


@dataclass(frozen=True)
class LimbNoise:
    """Factors on the measured errors.

    Attributes:
        amplitude: smallest and largest common factor of a window.
        steady, drift, jitter: on errors that stay, drift, jitter.
        depth: on the shortening of depth and its spread.
        flip: on the chance of a limb on the wrong side.
        turn: on the rotation of all world points together.
    """

    amplitude: tuple[float, float] = (0.3, 1.15)
    steady: float = 1.5
    drift: float = 1.35
    jitter: float = 1.0
    depth: float = 1.35
    flip: float = 1.7
    turn: float = 1.5

    def __post_init__(self) -> None:
        if not 0 <= self.amplitude[0] <= self.amplitude[1]:
            raise ValueError(f"amplitude must be two growing factors, got {self.amplitude}")


def _tree() -> list[tuple[int, int, str]]:
    """Limb vectors (from, to, kind) from the middle of the hips out to every marker."""
    tree = [(_HIPS, _SHOULDERS, "torso"), (_SHOULDERS, _HEAD, "neck")]
    chain = (
        *(("hip", "knee", "thigh"), ("knee", "ankle", "shank"), ("ankle", "heel", "heel")),
        *(("ankle", "foot_index", "toe"), ("shoulder", "elbow", "upper_arm")),
        *(("elbow", "wrist", "forearm"), ("wrist", "index", "index")),
        *(("wrist", "pinky", "pinky"), ("wrist", "thumb", "thumb")),
    )
    for side in (0, 1):
        tree.append((_HIPS, markers.indices("hip")[side], "hip"))
        tree.append((_SHOULDERS, markers.indices("shoulder")[side], "shoulder"))
        for start, end, kind in chain:
            tree.append((markers.indices(start)[side], markers.indices(end)[side], kind))
    for name in ("nose", "left_eye", "right_eye", "left_ear", "right_ear"):
        tree.append((_HEAD, markers.indices(name)[0], "face"))
    return tree


def _end_names() -> list[str]:
    """The marker at the end of each limb; empty for a middle."""
    return [markers.NAMES[end] if end < markers.COUNT else " " for _, end, _ in _TREE]


_TREE = _tree()
_STARTS, _ENDS = (np.array([limb[k] for limb in _TREE]) for k in (0, 1))
_TABLE = np.array([_LIMBS[limb[2]] for limb in _TREE], np.float32).T
_DEPTH_M, _SIDE_M = _TABLE[0:3] / 1000, _TABLE[3:6] / 1000
_USUAL_M, _DEPTH_KEPT, _DEPTH_SPREAD, _FLIPS = _TABLE[6] / 1000, *_TABLE[7:]
"""Columns of `_LIMBS`, a row a limb; millimetres become metres."""
_SIDES = np.array([{"l": 1, "r": -1}.get(name[0], 0) for name in _end_names()])
_LEANING = np.array([_ASYMMETRY.get(limb[2], 0) for limb in _TREE]) * _SIDES


def _accumulation() -> np.ndarray:
    """(27, L) sums limb vectors to markers."""
    sums = np.zeros((markers.COUNT + 3, len(_TREE)), np.float32)
    for row, (start, end, _) in sorted(enumerate(_TREE), key=lambda item: _depth(item[1][1])):
        sums[end] = sums[start]
        sums[end, row] = 1
    return sums[: markers.COUNT]


def _depth(node: int) -> int:
    """Limbs between a node and the hips."""
    above = {end: start for start, end, _ in _TREE}
    return 0 if node == _HIPS else 1 + _depth(above[node])


_SUMS = _accumulation()


def world_points(
    defined: np.ndarray, trouble: np.ndarray, noise: LimbNoise, rng: np.random.Generator
) -> np.ndarray:
    """World points (N, W, K, 3) about the middle of the hips, camera axes."""
    count, limbs = len(defined), _limbs(defined, noise, rng)
    true_m = np.linalg.norm(limbs, axis=-1).mean(1, keepdims=True)
    limbs = limbs * _lengths(true_m, rng)[..., None]
    limbs[..., 2] *= _depth_kept(count, noise, rng)
    amplitude = rng.uniform(*noise.amplitude, (count, 1, 1)).astype(np.float32)
    trouble = np.concatenate([trouble, np.ones((*trouble.shape[:2], 3))], -1)[..., _ENDS]
    amplitude = amplitude * (0.6 + 0.4 * trouble)
    kinds = np.array([noise.steady, noise.drift, noise.jitter], np.float32)
    depth = three_kinds(count, len(_TREE), kinds[:, None] * _DEPTH_M, 6.0, rng)
    side = [three_kinds(count, len(_TREE), kinds[:, None] * _SIDE_M, 6.0, rng) for _ in range(2)]
    limbs = limbs + np.stack([*side, depth], -1) * amplitude[..., None]
    scale = 1 + 0.05 * rng.standard_normal((count, 1, 1, 1))
    return ((_SUMS @ limbs) * scale).astype(np.float32)


def _limbs(defined: np.ndarray, noise: LimbNoise, rng: np.random.Generator) -> np.ndarray:
    """True limb vectors (N, W, L, 3), turned as a whole by a small random rotation."""
    middles = [
        defined[:, :, markers.indices(name)].mean(2, keepdims=True)
        for name in ("hip", "shoulder", "ear")
    ]
    nodes = np.concatenate([defined, *middles], 2)
    limbs = nodes[:, :, _ENDS] - nodes[:, :, _STARTS]
    turn = rng.standard_normal((len(defined), 3), np.float32) * noise.turn
    turn = rotations.from_axis_angle(turn * np.array([0.06, 0.07, 0.03], np.float32))
    return limbs @ turn[:, None].swapaxes(-1, -2)


def _lengths(true_m: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Factors (N, 1, L) on limb lengths: towards BlazePose's usual ones, and its lopsidedness."""
    usual = np.where(_USUAL_M > 0, _USUAL_M / np.maximum(true_m, 1e-3), 1)
    follow = rng.uniform(0.5, 1.0, (len(true_m), 1, 1))
    leaning = rng.choice([-1, 1], (len(true_m), 1, 1)) * rng.uniform(0, 1.3, (len(true_m), 1, 1))
    spread = 1 + 0.06 * rng.standard_normal(true_m.shape)
    factor = usual**follow * spread * (1 + leaning * _LEANING)
    return np.clip(factor, 0.3, 1.7).astype(np.float32)


def _depth_kept(count: int, noise: LimbNoise, rng: np.random.Generator) -> np.ndarray:
    """Factors (N, W, L) on the depth of limbs: mostly below 1, below 0 where a limb is flipped."""
    steady = rng.standard_normal((count, 1, len(_TREE)), np.float32)
    drift = smooth_normals(rng, count, len(_TREE), 8.0)
    kept = 1 + noise.depth * ((_DEPTH_KEPT - 1) + _DEPTH_SPREAD * steady + 0.2 * drift)
    kept = np.clip(kept, -0.3, 1.7)
    chance = np.clip(_FLIPS * noise.flip, 1e-5, 0.5)
    gate = 1 / (1 + np.exp(-6 * (smooth_normals(rng, count, len(_TREE), 7.0) - _upper(chance))))
    return kept * (1 - gate) - 0.7 * np.abs(kept) * gate


def _upper(chance: np.ndarray) -> np.ndarray:
    """What a normal number exceeds with a given chance (Abramowitz & Stegun 26.2.22, to 0.003)."""
    t = np.sqrt(-2 * np.log(chance))
    return t - (2.30753 + 0.27061 * t) / (1 + 0.99229 * t + 0.04481 * t**2)
