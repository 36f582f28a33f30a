"""What the lifting network reads of a window: landmarks as a camera facing the person sees them.

    window ──rotate towards the person──► positions about the torso over the size ──► 196 numbers
                                          world points about the hips                 a frame

Position, size and focal length are freed that way.  Camera axes are x right, y down, z away.  The
network's own axes are those of a camera turned towards the person, y up: network =
diag(1, -1, -1) · turn · camera.  numpy only.
"""

import numpy as np

from staf_backend.body import markers
from staf_backend.geometry import TO_Y_UP, rotation_between
from staf_backend.landmarks.windows import Windows

FEATURES = markers.COUNT * 7 + 7
"""Numbers a frame that the network reads."""

_CLOSEST_Z = 0.2
"""Of a unit ray in the virtual camera: markers 78 degrees off its axis.  Chosen: no division by
almost nothing."""
_LOG_SIZE_SHIFT = 1.5
"""Added to the log of the size in ray units.  Chosen: about 0 for somebody who is seen whole."""
_WORLD_SCALE = 2
"""Half metres.  Chosen: limbs are about one long."""
_ELSEWHERE_WEIGHT = 1e-3
"""Of markers beside the torso's, where the torso was never seen.  Chosen: small."""
_TORSO = markers.indices("shoulder", "hip")
_HIPS = markers.indices("hip")
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
"""Whose mean stands in for a marker that a window never saw, on the same or the other side."""


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


def rotations_to_person(windows: Windows) -> np.ndarray:
    """Rotations (N, 3, 3) from the camera to one that looks straight at each window's person.

    The smallest turn that does, so a mirrored window gets the mirrored turn.
    """
    weights = _weights(windows)
    middle = (windows.rays * weights[..., None]).sum((1, 2)) / weights.sum((1, 2))[:, None]
    axis = np.concatenate([middle, np.ones((len(middle), 1))], -1)
    axis /= np.linalg.norm(axis, axis=-1, keepdims=True)
    return rotation_between(axis, np.array([0.0, 0.0, 1.0])).astype(np.float32)


def _weights(windows: Windows) -> np.ndarray:
    """How much each marker says where the person is (N, W, K): the torso, as far as it is seen."""
    torso = np.full(markers.COUNT, _ELSEWHERE_WEIGHT, np.float32)
    torso[_TORSO] = 1
    ever = windows.observed.max(1, keepdims=True)
    seen = 0.02 + windows.observed * (0.1 + windows.visibility)
    return ((seen * ever + 1e-6) * torso).astype(np.float32)


def features(windows: Windows, turn: np.ndarray, with_world: np.ndarray) -> np.ndarray:
    """The network's input (N, W, 196), float32.

    A frame is 27 x 2 image positions about the torso over the person's size; 27 x 3 world points
    about the hips (zero without them); 27 observed and 27 visibility flags; the torso's middle over
    that size and the log of that size; which way is down in the picture; whether there are world
    points.  All y up.

    Args:
        windows: N windows.
        turn: (N, 3, 3) `rotations_to_person(windows)`.
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
        np.broadcast_to(np.log(size) + _LOG_SIZE_SHIFT, (*flat.shape[:2], 1)),
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
    return about * _WORLD_SCALE * np.array([1, -1, -1], np.float32)
