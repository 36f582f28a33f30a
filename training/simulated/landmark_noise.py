"""How a landmark network errs: scenes become what BlazePose would have reported of them.

World points err limb by limb (`limb_errors`).  Image points err by about a centimetre at the joint,
more where another limb hides it or the picture ends; some are missing, and left and right change
places at times.
"""

from dataclasses import dataclass, field, replace

import numpy as np

from staf_backend.body import markers
from staf_backend.geometry import SMPL
from staf_backend.landmarks.features import rotations_to_person
from staf_backend.landmarks.grid import fill_gaps
from staf_backend.landmarks.windows import WINDOW, Windows
from training.moves import Scenes, smooth_normals, three_kinds
from training.simulated.limb_errors import LimbNoise, world_points

NEAREST_M = 0.3
"""Points nearer to the camera's plane are put there before they are divided by their depth."""
_DEFINITION_MM = 12.0  # a landmark's usual distance from the body's marker (LOG.md, 2026-11-22)
_DEFINITION_WIDER = {"shoulder": 1.4, "hip": 1.6, "ankle": 1.3, "wrist": 1.2}
_IMAGE_MM = (8.0, 6.0, 4.5)  # stays, drifts, jitters (LOG.md, 2026-11-22)
_IMAGE_WIDER = {"index": 1.6, "pinky": 1.6, "thumb": 1.6, "heel": 1.4, "foot_index": 1.4}
_OCCLUDERS_M = {
    ("Pelvis", "Spine3"): 0.13,
    ("Spine3", "Neck"): 0.12,
    ("Neck", "Head"): 0.10,
    ("L_Hip", "L_Knee"): 0.07,
    ("R_Hip", "R_Knee"): 0.07,
    ("L_Knee", "L_Ankle"): 0.05,
    ("R_Knee", "R_Ankle"): 0.05,
    ("L_Shoulder", "L_Elbow"): 0.045,
    ("R_Shoulder", "R_Elbow"): 0.045,
    ("L_Elbow", "L_Wrist"): 0.04,
    ("R_Elbow", "R_Wrist"): 0.04,
}
"""What hides markers: radius about the line between two joints; chosen."""
_TROUBLE = (2.5, 4.0)  # how much wider errors are where hidden, outside the picture; chosen
_BEHIND = 1.2  # radii behind the line at which a marker is hidden, not on the limb itself; chosen

# parts that may be missing throughout, and how often; chosen
_PARTS = (
    (("nose", "eye", "ear"), 0.15),
    (("left_ear",), 0.1),
    (("right_ear",), 0.1),
    (("index", "pinky", "thumb"), 0.25),
    (("heel", "foot_index"), 0.25),
    (("ankle", "heel", "foot_index"), 0.2),
    (("knee", "ankle", "heel", "foot_index"), 0.3),
    (("left_elbow", "left_wrist", "left_index", "left_pinky", "left_thumb"), 0.1),
    (("right_elbow", "right_wrist", "right_index", "right_pinky", "right_thumb"), 0.1),
)


@dataclass(frozen=True)
class Noise:
    """How the landmark network errs; chances are per window.

    Attributes:
        limbs: errors of world points.
        image: factor on the errors of image points.
        occluded: chance that hidden markers are hidden for the network too.
        cropped: chance that part of the person is out of the picture.
        gaps: chance of missing stretches.
        swapped: chance of a stretch with left and right exchanged.
    """

    limbs: LimbNoise = field(default_factory=LimbNoise)
    image: float = 1.0
    occluded: float = 0.8
    cropped: float = 0.18
    gaps: float = 0.2
    swapped: float = 0.08

    def __post_init__(self) -> None:
        for name in ("occluded", "cropped", "gaps", "swapped"):
            if not 0 <= getattr(self, name) <= 1:
                raise ValueError(f"{name} is a chance between 0 and 1, got {getattr(self, name)}")


MEASURED = Noise(
    limbs=LimbNoise(amplitude=(0.35, 1.15), steady=1, drift=1, depth=1, flip=1, turn=1),
    cropped=0,
    gaps=0,
    swapped=0,
)
"""The errors as measured, on whole people: what held-out numbers are given for."""


def _factors(wider: dict[str, float]) -> np.ndarray:
    factors = np.ones(markers.COUNT, np.float32)
    for name, factor in wider.items():
        factors[markers.indices(name)] = factor
    return factors


_IMAGE_FACTORS, _DEFINITION_FACTORS = _factors(_IMAGE_WIDER), _factors(_DEFINITION_WIDER)


def _carriers() -> np.ndarray:
    """The joint in whose frame each marker's definition offset is constant."""
    joints = {
        **{name: SMPL.indices(name) for name in ("shoulder", "elbow", "wrist", "knee", "ankle")},
        **{name: SMPL.indices("wrist") for name in ("index", "pinky", "thumb")},
        **{name: SMPL.indices("ankle") for name in ("heel", "foot_index")},
        "hip": SMPL.indices("pelvis", "pelvis"),
    }
    carriers = np.full(markers.COUNT, SMPL.index("head"))
    for name, both in joints.items():
        carriers[markers.indices(name)] = both
    return carriers


_CARRIERS = _carriers()


def observe(scenes: Scenes, noise: Noise, focal_error: float, rng: np.random.Generator) -> Windows:
    """What the landmark network reports of the scenes, cut as `Windows`, in the camera's axes.

    Args:
        scenes: N windows.
        noise: how much it errs.
        focal_error: deviation of the logarithm of the assumed focal length.
        rng: where randomness comes from.
    """
    count = len(scenes.betas)
    defined = _defined(scenes, rng)
    placed = defined + scenes.pelvis_m[:, :, None]
    hidden = _hidden(scenes, noise, rng) | (smooth_normals(rng, count, markers.COUNT, 5.0) > 2.0)
    outside = _outside(placed, noise, rng)
    visibility = _visibility(hidden, outside, rng)
    trouble = 1 + _TROUBLE[0] * hidden + _TROUBLE[1] * outside
    rays = _image(placed, trouble, noise, rng)
    world_m = world_points(defined, trouble, noise.limbs, rng)
    rays *= np.exp(rng.normal(0, focal_error, (count, 1, 1, 1))).astype(np.float32)
    windows = Windows(rays, world_m, visibility, *_seen(outside, noise, rng))
    return _filled(_swapped(windows, noise, rng))


def as_cropped(windows: Windows) -> Windows:
    """The windows with world points as a landmark network gives them: in the axes of its crops.

    It sees a crop and knows of no camera, so its points belong to one turned to the person.
    """
    turn = rotations_to_person(windows)[:, None]
    return replace(windows, world_m=windows.world_m @ turn.swapaxes(-1, -2))


def _defined(scenes: Scenes, rng: np.random.Generator) -> np.ndarray:
    """Markers (N, W, K, 3) about the pelvis as the landmark network understands them."""
    count = len(scenes.betas)
    offset = rng.standard_normal((count, 1, markers.COUNT, 3, 1), np.float32)
    offset *= _DEFINITION_MM / 1000 * _DEFINITION_FACTORS[:, None, None]
    return scenes.markers_m + (scenes.rotations[:, :, _CARRIERS] @ offset)[..., 0]


def _image(
    placed: np.ndarray, trouble: np.ndarray, noise: Noise, rng: np.random.Generator
) -> np.ndarray:
    """Rays (N, W, K, 2)."""
    depth = np.maximum(placed[..., 2:], NEAREST_M)
    amplitude = rng.uniform(0.5, 1.4, (len(placed), 1, 1, 1)) * noise.image
    error_m = three_kinds(len(placed), 2 * markers.COUNT, np.array(_IMAGE_MM) / 1000, 5.0, rng)
    error_m = error_m.reshape(*placed.shape[:3], 2) * amplitude
    error_m *= (_IMAGE_FACTORS * trouble)[..., None]
    return (placed[..., :2] / depth + error_m / np.maximum(depth, 0.5)).astype(np.float32)


def _hidden(scenes: Scenes, noise: Noise, rng: np.random.Generator) -> np.ndarray:
    """Markers (N, W, K) that another part of the body hides from the camera."""
    points = scenes.markers_m + scenes.pelvis_m[:, :, None]
    joints = scenes.joints_m + scenes.pelvis_m[:, :, None]
    hidden = np.zeros(points.shape[:3], bool)
    flat = points[..., :2] / np.maximum(points[..., 2:], NEAREST_M)
    ends = joints[..., :2] / np.maximum(joints[..., 2:], NEAREST_M)
    for (first, last), radius_m in _OCCLUDERS_M.items():
        start, end = SMPL.indices(first, last)
        along = (ends[:, :, end] - ends[:, :, start])[:, :, None]
        to = flat - ends[:, :, start, None]
        share = _dot(to, along) / np.maximum(_dot(along, along), 1e-8)
        share = np.clip(share, 0, 1)
        depth = joints[:, :, start, 2, None] * (1 - share) + joints[:, :, end, 2, None] * share
        away = to - share[..., None] * along
        near = _dot(away, away) * depth**2 < radius_m**2
        hidden |= near & (points[..., 2] > depth + _BEHIND * radius_m)
    return hidden & (rng.random((len(points), 1, 1)) < noise.occluded)


def _dot(one: np.ndarray, other: np.ndarray) -> np.ndarray:
    """Dot products of vectors (..., 2); numpy sums short axes slowly."""
    return one[..., 0] * other[..., 0] + one[..., 1] * other[..., 1]


def _outside(placed: np.ndarray, noise: Noise, rng: np.random.Generator) -> np.ndarray:
    """Markers (N, W, K) beyond an edge of the picture, most often the lower one."""
    flat = placed[..., :2] / np.maximum(placed[..., 2:], NEAREST_M)
    low, high = flat.min((1, 2)), flat.max((1, 2))
    span = high - low
    cut = rng.random((len(placed), 4)) * np.array([0.25, 0.25, 0.2, 0.65])
    cut *= (rng.random((len(placed), 4)) < np.array([0.3, 0.3, 0.15, 0.7])).astype(float)
    cut *= rng.random((len(placed), 1)) < noise.cropped
    left, right = low[:, 0] + cut[:, 0] * span[:, 0], high[:, 0] - cut[:, 1] * span[:, 0]
    top, bottom = low[:, 1] + cut[:, 2] * span[:, 1], high[:, 1] - cut[:, 3] * span[:, 1]
    x, y = flat[..., 0], flat[..., 1]
    edges = (edge[:, None, None] for edge in (left, right, top, bottom))
    first, last, upper, lower = edges
    return (x < first) | (x > last) | (y < upper) | (y > lower)


def _visibility(hidden: np.ndarray, outside: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """BlazePose's visibility (N, W, K): near 1, lower and unsteady where hidden or outside."""
    wander = 1 / (1 + np.exp(-smooth_normals(rng, len(hidden), markers.COUNT, 4.0)))
    good = 1 - 0.12 * wander**2
    bad = np.clip(0.15 + 0.8 * wander * rng.random((len(hidden), 1, 1)), 0, 1)
    return np.where(outside, 0.4 * wander**2, np.where(hidden, bad, good)).astype(np.float32)


def _seen(
    outside: np.ndarray, noise: Noise, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """Which image and which world points (N, W, K) are there at all."""
    count, frames = len(outside), np.arange(WINDOW)
    some = rng.random((count, 1)) < noise.gaps
    gap, short, flicker, limbs, edge = (some & (rng.random((count, 5)) < 0.3)).T[..., None]
    first, length = rng.integers(0, WINDOW, (count, 1)), rng.integers(1, 13, (count, 1))
    lost = gap & (frames >= first) & (frames < first + length)
    # clips shorter than a window end anywhere in it
    lost |= short & (frames >= rng.integers(1, WINDOW, (count, 1)))
    single = flicker & (rng.random((count, markers.COUNT)) < 0.2)
    absent = limbs & _absent(count, rng)
    away = smooth_normals(rng, count, markers.COUNT, 3.0) > 0.8
    seen = ~(lost[..., None] | (away & single[:, None]) | absent[:, None])
    seen &= ~(outside & edge[..., None])
    seen[:, 0] |= ~seen.any((1, 2))[:, None]
    return seen, seen.copy()


def _absent(count: int, rng: np.random.Generator) -> np.ndarray:
    """Markers (N, K) of parts of the body, each with some chance."""
    absent = np.zeros((count, markers.COUNT), bool)
    for part, chance in _PARTS:
        absent[:, markers.indices(*part)] |= rng.random((count, 1)) < chance
    return absent


def _swapped(windows: Windows, noise: Noise, rng: np.random.Generator) -> Windows:
    """Left and right of legs, or of everything, exchanged for a stretch."""
    count, frames = len(windows.rays), np.arange(WINDOW)
    first = rng.integers(0, WINDOW, (count, 1))
    stretch = (frames >= first) & (frames < first + rng.integers(1, 11, (count, 1)))
    stretch &= rng.random((count, 1)) < noise.swapped
    legs = np.isin(np.arange(markers.COUNT), markers.indices("knee", "ankle", "heel", "foot_index"))
    which = legs | (rng.random((count, 1)) < 0.3)
    swap = stretch[:, :, None] & which[:, None]

    def exchanged(values: np.ndarray) -> np.ndarray:
        wide = swap.reshape(*swap.shape, *(1,) * (values.ndim - 3))
        return np.where(wide, values[:, :, markers.MIRROR], values)

    return Windows(*(exchanged(getattr(windows, name)) for name in windows.__dataclass_fields__))


def _filled(windows: Windows) -> Windows:
    """The windows with unobserved values as the product fills them."""
    frames = np.arange(WINDOW, dtype=np.float32)
    return Windows(
        fill_gaps(windows.rays, windows.observed, frames),
        fill_gaps(windows.world_m, windows.world_observed, frames),
        windows.visibility * windows.observed,
        windows.observed,
        windows.world_observed,
    )
