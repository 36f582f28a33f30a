"""What the lifting network sees: landmarks on a steady clock, cut into windows, made comparable.

    landmarks of a clip ─► 30 Hz grid ─► windows of 32 frames ─► virtual camera ─► features
    (any frame rate,       (gaps filled                          that looks at     (position, size
     NaN = missing)         and marked)                          the person         and focal freed)

The product and the training both come through here, so that the network meets in use exactly what
it was trained on.  Camera axes are x right, y down, z away.  The network's own axes are those of a
camera turned towards the person, y up: network = diag(1, -1, -1) · turn · camera.  numpy only.
"""

from dataclasses import dataclass

import numpy as np

from staf_backend.body import markers
from staf_backend.geometry.camera import TO_Y_UP
from staf_backend.geometry.rotations import skew
from staf_backend.geometry.skeleton import JOINT_NAMES

GRID_HZ = 30.0
"""Frames a second that the network was trained on."""
WINDOW = 32
"""Frames of a window, about one second."""
MIRROR_X = np.array([-1.0, 1.0, 1.0], np.float32)
"""What a mirror does to a vector whose x axis crosses the body."""
FEATURES = markers.COUNT * 7 + 7
"""Numbers a frame that the network reads."""

_SWAP = {"L_": "R_", "R_": "L_"}
JOINT_MIRROR = np.array(
    [JOINT_NAMES.index(_SWAP.get(name[:2], name[:2]) + name[2:]) for name in JOINT_NAMES]
)
"""(24,) the joint on the other side of the body."""

_TORSO = markers.indices("shoulder", "hip")
_HIPS = markers.indices("hip")
# whose mean stands in for a marker that a window never saw ("same" and "other" side of the body)
_STAND_INS = {
    "nose": ("eye", "ear"),
    "eye": ("nose", "other eye", "ear"),
    "ear": ("nose", "other ear", "eye"),
    "shoulder": ("other shoulder", "same hip"),
    "elbow": ("same shoulder", "same wrist"),
    "wrist": ("same index", "same pinky", "same thumb"),
    "index": ("same pinky", "same thumb", "same wrist"),
    "pinky": ("same index", "same thumb", "same wrist"),
    "thumb": ("same index", "same pinky", "same wrist"),
    "hip": ("other hip",),
    "knee": ("same hip", "same ankle"),
    "ankle": ("same heel",),
    "heel": ("same ankle",),
    "foot_index": ("same heel", "same ankle"),
}


def _stand_in_table() -> np.ndarray:
    """(27, 27) 1 where the marker of the column may stand in for that of the row."""
    table = np.zeros((markers.COUNT, markers.COUNT), np.float32)
    sides = {"left": ("left_", "right_"), "right": ("right_", "left_")}
    for row, name in enumerate(markers.NAMES):
        side, _, bare = name.partition("_") if name[0] in "lr" else ("left", "", name)
        same, other = sides[side]
        for stand_in in _STAND_INS[bare]:
            found = stand_in.replace("same ", same).replace("other ", other)
            table[row, markers.indices(found)] = 1
    return table * (1 - np.eye(markers.COUNT, dtype=np.float32))


_STANDS_IN = _stand_in_table()
_LONGEST_BRIDGE_S = 0.11  # a shorter gap counts as seen; so does one frame at a low frame rate
_CLOSEST_Z = 0.2  # of a unit ray in the virtual camera: markers 78 degrees off its axis


@dataclass(frozen=True)
class Windows:
    """Landmarks of N windows, W frames each, K = 27 markers; no NaN anywhere.

    Attributes:
        rays: (N, W, K, 2) x/z and y/z in the camera.
        world_m: (N, W, K, 3) BlazePose's world points, x right, y down, z away, metres.
        visibility: (N, W, K) 0..1; 0 where not observed.
        observed: (N, W, K) False where `rays` was filled in.
        world_observed: (N, W, K) False where `world_m` was filled in.
    """

    rays: np.ndarray
    world_m: np.ndarray
    visibility: np.ndarray
    observed: np.ndarray
    world_observed: np.ndarray

    def __post_init__(self) -> None:
        shape = self.rays.shape[:-1]
        for name, width in (("rays", 2), ("world_m", 3)):
            if getattr(self, name).shape != (*shape, width):
                got = getattr(self, name).shape
                raise ValueError(f"{name} must be (N, W, {markers.COUNT}, {width}), got {got}")
        for name in ("visibility", "observed", "world_observed"):
            if getattr(self, name).shape != shape:
                raise ValueError(f"{name} must be {shape}, got {getattr(self, name).shape}")

    def __getitem__(self, index) -> "Windows":
        """The same along the first axes: a choice of windows, or windows out of one long run."""
        return Windows(*(getattr(self, name)[index] for name in self.__dataclass_fields__))

    def mirrored(self) -> "Windows":
        """The same windows seen in a mirror, left and right exchanged."""
        return Windows(
            self.rays[..., markers.MIRROR, :] * MIRROR_X[:2],
            self.world_m[..., markers.MIRROR, :] * MIRROR_X,
            self.visibility[..., markers.MIRROR],
            self.observed[..., markers.MIRROR],
            self.world_observed[..., markers.MIRROR],
        )


def fill_gaps(values: np.ndarray, observed: np.ndarray, times: np.ndarray) -> np.ndarray:
    """Values between observed frames by straight lines, before the first and after the last held.

    Args:
        values: (..., T, K, C); what is not observed is ignored, NaN included.
        observed: (..., T, K).
        times: (T,) increasing.

    Returns:
        (..., T, K, C), zero where a column was never observed.
    """
    before, after = _neighbours(observed)
    values = np.where(observed[..., None], values, 0)
    here = times.reshape(-1, 1)
    span = times[after] - times[before]
    share = np.where(span > 0, (here - times[before]) / np.where(span > 0, span, 1), 0)
    start = np.take_along_axis(values, before[..., None], -3)
    end = np.take_along_axis(values, after[..., None], -3)
    return (start + share[..., None].astype(values.dtype) * (end - start)).astype(values.dtype)


def _neighbours(observed: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Index of the last observed frame up to each frame and of the first from it, (..., T, K).

    Where one side has none, it is the other side's; where neither has, it is frame 0.
    """
    count = observed.shape[-2]
    frames = np.arange(count).reshape(-1, 1)
    before = np.maximum.accumulate(np.where(observed, frames, -1), axis=-2)
    later = np.where(observed, frames, count)
    after = np.flip(np.minimum.accumulate(np.flip(later, -2), axis=-2), -2)
    before_or_after = np.where(before < 0, after, before)
    after_or_before = np.where(after >= count, before, after)
    none = (before < 0) & (after >= count)
    return np.where(none, 0, before_or_after), np.where(none, 0, after_or_before)


def on_grid(
    rays: np.ndarray, world_m: np.ndarray, visibility: np.ndarray, times_s: np.ndarray
) -> tuple[np.ndarray, Windows]:
    """A clip's landmarks at 30 frames a second.

    Faster clips are averaged over a triangle of one grid step to each side, which quietens the
    landmarks; slower ones are interpolated.

    Args:
        rays: (T, K, 2), NaN = missing.
        world_m: (T, K, 3), NaN = missing.
        visibility: (T, K), NaN = 0.
        times_s: (T,) increasing.

    Returns:
        grid times (G,) from the first to at least the last time, and one run of G frames
        (`Windows` without its first axis).
    """
    steps = int(np.ceil((times_s[-1] - times_s[0]) * GRID_HZ - 1e-6))
    grid_s = times_s[0] + np.arange(steps + 1) / GRID_HZ
    shape = (len(grid_s), rays.shape[1])
    run = Windows(
        np.empty((*shape, 2), np.float32),
        np.empty((*shape, 3), np.float32),
        np.empty(shape, np.float32),
        np.empty(shape, bool),
        np.empty(shape, bool),
    )
    for k in range(shape[1]):  # one marker at a time: a clip may be long
        one = slice(k, k + 1)
        seen, world_seen = np.isfinite(rays[:, one]).min(-1), np.isfinite(world_m[:, one]).min(-1)
        flat = np.concatenate([rays[:, one], np.nan_to_num(visibility[:, one, None])], -1)
        flat = _gridded(flat, seen, times_s, grid_s)
        run.rays[:, one] = flat[..., :2]
        run.world_m[:, one] = _gridded(world_m[:, one], world_seen, times_s, grid_s)
        run.observed[:, one] = _bridged(seen, times_s, grid_s)
        run.visibility[:, one] = np.where(run.observed[:, one], flat[..., 2], 0)
        run.world_observed[:, one] = _bridged(world_seen, times_s, grid_s)
    return grid_s, run


def _gridded(
    values: np.ndarray, seen: np.ndarray, times_s: np.ndarray, grid_s: np.ndarray
) -> np.ndarray:
    """Values (T, K, C) of a clip's frames, quietened and without gaps, on the grid."""
    quiet = _quietened(values.astype(float), seen, times_s)
    return _sampled(fill_gaps(quiet, seen, times_s), times_s, grid_s)


def _quietened(values: np.ndarray, seen: np.ndarray, times_s: np.ndarray) -> np.ndarray:
    """Values (T, K, C) averaged over a triangle one grid step to each side of every frame."""
    reach = np.searchsorted(times_s, times_s + 0.99 / GRID_HZ) - 1 - np.arange(len(times_s))
    values = np.where(seen[..., None], values, 0)
    total, weights = values.copy(), seen.astype(values.dtype)
    for lag in range(1, min(int(reach.max()), (len(seen) - 1) // 2) + 1):
        share = np.clip(1 - (times_s[lag:] - times_s[:-lag]) * GRID_HZ, 0, 1)[:, None]
        # both sides or neither, so that a gap's edge does not pull the average in time
        both = seen[: -2 * lag] & seen[2 * lag :]
        sides = (share[:-lag] * both, values[: -2 * lag]), (share[lag:] * both, values[2 * lag :])
        for weight, source in sides:
            total[lag:-lag] += weight[..., None] * source
            weights[lag:-lag] += weight
    return total / np.maximum(weights, 1)[..., None]


def _sampled(values: np.ndarray, times_s: np.ndarray, grid_s: np.ndarray) -> np.ndarray:
    """Values (T, ...) at the grid times by straight lines, the ends held."""
    low, share = interpolation(times_s, grid_s)
    share = share.reshape(-1, *(1,) * (values.ndim - 1))
    high = np.minimum(low + 1, len(values) - 1)
    return values[low] * (1 - share) + values[high] * share


def interpolation(times_s: np.ndarray, wanted_s: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """For each wanted time the frame before it and how far it is towards the next one, 0..1."""
    low = np.clip(np.searchsorted(times_s, wanted_s, side="right") - 1, 0, len(times_s) - 1)
    high = np.minimum(low + 1, len(times_s) - 1)
    span = times_s[high] - times_s[low]
    share = np.where(span > 0, (wanted_s - times_s[low]) / np.where(span > 0, span, 1), 0)
    return low, np.clip(share, 0, 1)


def _bridged(seen: np.ndarray, times_s: np.ndarray, grid_s: np.ndarray) -> np.ndarray:
    """Which grid frames (G, K) lie on an observed frame or in a short gap between two."""
    before, after = _neighbours(seen)
    low, share = interpolation(times_s, grid_s)
    high = np.minimum(low + (share > 0), len(times_s) - 1)
    usual = float(np.median(np.diff(times_s))) if len(times_s) > 1 else 0.0
    longest = max(_LONGEST_BRIDGE_S, 1.5 * usual)
    start, end = times_s[before[low]], times_s[after[high]]
    inside = (start <= grid_s[:, None] + 1e-9) & (end >= grid_s[:, None] - 0.5 / GRID_HZ)
    return seen.max(0) & inside & (end - start <= longest)


def starts(frames: int, stride: int) -> np.ndarray:
    """First frames of windows that cover a run: every `stride`, and one that ends at the end."""
    last = max(frames - WINDOW, 0)
    return np.unique(np.append(np.arange(0, last + 1, stride), last))


def cut(run: Windows, first: np.ndarray) -> Windows:
    """Windows (N, 32, ...) of a run; beyond its end the last frame is held and marked unobserved.

    Args:
        run: one run of G frames.
        first: (N,) first frame of each window.
    """
    frames = first[:, None] + np.arange(WINDOW)
    count = len(run.observed)
    windows = run[np.minimum(frames, count - 1)]
    inside = (frames < count)[..., None]
    return Windows(
        windows.rays,
        windows.world_m,
        windows.visibility * inside,
        windows.observed & inside,
        windows.world_observed & inside,
    )


def turns(windows: Windows) -> np.ndarray:
    """Rotations (N, 3, 3) from the camera to one that looks straight at each window's person.

    The smallest turn that does, so a mirrored window gets the mirrored turn.
    """
    weights = _weights(windows)
    middle = (windows.rays * weights[..., None]).sum((1, 2)) / weights.sum((1, 2))[:, None]
    axis = np.concatenate([middle, np.ones((len(middle), 1))], -1)
    axis /= np.linalg.norm(axis, axis=-1, keepdims=True)
    cross = skew(np.cross(axis, [0.0, 0.0, 1.0]))
    turn = np.eye(3) + cross + cross @ cross / (1 + axis[:, 2])[:, None, None]
    return turn.astype(np.float32)


def _weights(windows: Windows) -> np.ndarray:
    """How much each marker says where the person is (N, W, K): the torso, as far as it is seen."""
    torso = np.full(markers.COUNT, 1e-3, np.float32)
    torso[_TORSO] = 1
    ever = windows.observed.max(1, keepdims=True)
    seen = 0.02 + windows.observed * (0.1 + windows.visibility)
    return ((seen * ever + 1e-6) * torso).astype(np.float32)


def features(windows: Windows, turn: np.ndarray, with_world: np.ndarray) -> np.ndarray:
    """The network's input (N, W, 196), float32.

    A frame is 27 x 2 image positions about the torso over the person's size; 27 x 3 world points
    about the hips (zero without them); 27 observed and 27 visibility flags; the torso's place over
    that size and the log of that size; which way is down in the picture; whether there are world
    points.  All y up.

    Args:
        windows: N windows.
        turn: (N, 3, 3) `turns(windows)`.
        with_world: (N,) bool: show the world points.
    """
    ever = windows.observed.max(1, keepdims=True)
    flat = _turned(windows.rays, turn)
    weights = _weights(windows)
    middle = (flat * weights[..., None]).sum(2) / weights.sum(2)[..., None]
    flat = _stood_in(flat - middle[:, :, None], ever)
    size = _size(flat, windows)[:, None, None]
    world = _about_hips(windows) * with_world[:, None, None, None]
    up_image = np.array([1, -1], np.float32)
    down = np.broadcast_to((turn[:, :, 1] @ TO_Y_UP.T)[:, None], (*flat.shape[:2], 3))
    parts = [
        (flat / size[..., None] * up_image).reshape(*flat.shape[:2], -1),
        world.reshape(*flat.shape[:2], -1),
        windows.observed,
        windows.visibility,
        middle / size * up_image,
        np.broadcast_to(np.log(size) + 1.5, (*flat.shape[:2], 1)),
        down,
        np.broadcast_to(with_world[:, None, None], (*flat.shape[:2], 1)),
    ]
    return np.concatenate([np.asarray(part, np.float32) for part in parts], -1)


def _turned(rays: np.ndarray, turn: np.ndarray) -> np.ndarray:
    """Rays (N, W, K, 2) in cameras turned by (N, 3, 3)."""
    homogeneous = rays @ turn[:, None, :, :2].swapaxes(-1, -2) + turn[:, None, None, :, 2]
    return homogeneous[..., :2] / np.maximum(homogeneous[..., 2:], _CLOSEST_Z)


def _stood_in(points: np.ndarray, ever: np.ndarray) -> np.ndarray:
    """Points (N, W, K, C), those never seen (not `ever` (N, 1, K)) at their neighbours' or at 0."""
    points = points * ever[..., None]
    if ever.all():
        return points
    weights = _STANDS_IN * (ever & ~ever.swapaxes(-1, -2))
    weights /= np.maximum(weights.sum(-1, keepdims=True), 1)
    return points + weights[:, None] @ points


def _size(flat: np.ndarray, windows: Windows) -> np.ndarray:
    """Root mean square distance (N,) of the markers from the torso, by visibility, in ray units."""
    weights = windows.observed * (0.05 + windows.visibility) + 1e-6
    mean_square = ((flat**2).sum(-1) * weights).sum((1, 2)) / weights.sum((1, 2))
    return np.sqrt(np.maximum(mean_square, 1e-6))


def _about_hips(windows: Windows) -> np.ndarray:
    """World points (N, W, K, 3) about the middle of the hips, y up, half metres; unseen ones 0."""
    ever = windows.world_observed.max(1, keepdims=True)
    hips = windows.world_m[:, :, _HIPS].mean(2, keepdims=True)
    both = ever[:, :, _HIPS].min(2)[..., None, None]
    about = _stood_in(windows.world_m - np.where(both, hips, 0), ever)
    return about * np.array([2, -2, -2], np.float32)
