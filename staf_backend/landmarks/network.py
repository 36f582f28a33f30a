"""Crops of a person -> 33 landmarks in pixels and in metres, by the BlazePose GHUM networks.

World landmarks are metres about the hip centre, turned from the crop's axes to the camera's
(x right, y down, z away from the camera).  "left" is the person's left.

Source: the MediaPipe models `pose_landmark_{heavy,full}`; decoding as in its graphs
`tensors_to_pose_landmarks_and_segmentation` and `refine_landmarks_from_heatmap`.
"""

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from staf_backend.landmarks.crop import CROP_SIDE_PX, to_image, turn
from staf_backend.landmarks.names import COUNT, MIRROR
from staf_backend.runtime import run

if TYPE_CHECKING:
    from onnxruntime import InferenceSession

# from MediaPipe's graph `refine_landmarks_from_heatmap`
_MAP_CELLS = 64
"""Along a heat map's side; column c is crop pixel 4 c."""
_REACH_CELLS = 3
"""Around a landmark, those that refine it."""
_CONFIDENT_HEAT = 0.5
"""Above which they do."""


@dataclass(frozen=True)
class Landmarks:
    """Landmarks of one person over T frames; NaN where nothing was found.

    Attributes:
        points_px: (T, 33, 2) image pixels.
        world_m: (T, 33, 3) metres about the hip centre, camera axes.
        visibility: (T, 33) probability of being in the frame and not hidden, 0..1.
        person: (T,) probability that the crop shows a person at all.
    """

    points_px: np.ndarray
    world_m: np.ndarray
    visibility: np.ndarray
    person: np.ndarray

    def __post_init__(self) -> None:
        frames = len(self.points_px)
        for name, shape in (
            ("points_px", (frames, COUNT, 2)),
            ("world_m", (frames, COUNT, 3)),
            ("visibility", (frames, COUNT)),
            ("person", (frames,)),
        ):
            if getattr(self, name).shape != shape:
                raise ValueError(f"Landmarks.{name} must be {shape}")


@dataclass(frozen=True, eq=False)
class Mask:
    """Which pixels of a crop are the person's: made when it is first asked for, which few are.

    Attributes:
        logits: (256, 256) of each pass through the network.
    """

    logits: tuple[np.ndarray, ...]

    @cached_property
    def pixels(self) -> np.ndarray:
        """(256, 256), 0..1."""
        first, *others = (_sigmoid(one) for one in self.logits)
        return sum(others, first) / len(self.logits)


class LandmarkNetwork:
    """BlazePose for batches of crops.

    Args:
        session: `pose_landmark_heavy.onnx` or `pose_landmark_full.onnx`.
        mirrored: average with a second pass over the mirrored crops (twice the time).
    """

    def __init__(self, session: "InferenceSession", *, mirrored: bool = False) -> None:
        self._session = session
        self._mirrored = mirrored

    def __call__(self, crops: np.ndarray, squares_px: np.ndarray) -> Landmarks:
        """Landmarks of N crops.

        Args:
            crops: (N, 256, 256, 3) uint8 RGB.
            squares_px: (N, 4) where they lie in the image, see `crop`.
        """
        return self.with_masks(crops, squares_px)[0]

    def with_masks(self, crops: np.ndarray, squares_px: np.ndarray) -> tuple[Landmarks, list[Mask]]:
        """Landmarks of N crops, and as many masks."""
        *decoded, logits = self._decode(crops)
        passes = [logits]
        if self._mirrored:
            *other, logits = self._decode(crops[:, :, ::-1])
            both = zip(decoded, _unmirror(tuple(other)), strict=True)
            decoded = [(a + b) / 2 for a, b in both]
            passes.append(logits[:, :, ::-1])
        points, world, visibility, person = decoded
        for one_points, one_world, square in zip(points, world, squares_px, strict=True):
            one_points[:] = to_image(one_points, square)
            one_world[:, :2] = one_world[:, :2] @ turn(square[3]).T
        masks = [Mask(logits) for logits in zip(*passes, strict=True)]
        return Landmarks(points, world, visibility, person), masks

    def _decode(self, crops: np.ndarray) -> tuple[np.ndarray, ...]:
        """Points in crop pixels, world in crop axes, visibility, person, masks' logits."""
        planes = np.ascontiguousarray(crops.transpose(0, 3, 1, 2))
        image = np.multiply(planes, np.float32(1 / 255), dtype=np.float32)
        found = run(self._session, image=image)
        landmarks = found["landmarks"][:, :COUNT]
        points = _refine(landmarks[..., :2].astype(float), found["heatmap"])
        visibility = _sigmoid(landmarks[..., 3]) * _sigmoid(landmarks[..., 4])
        world = found["world"][:, :COUNT].astype(float)
        logits = found["mask"].reshape(-1, CROP_SIDE_PX, CROP_SIDE_PX)
        return points, world, visibility, found["presence"][:, 0].astype(float), logits


def _unmirror(decoded: tuple[np.ndarray, ...]) -> tuple[np.ndarray, ...]:
    points, world, visibility, person = decoded
    points, world = points[:, MIRROR], world[:, MIRROR]
    points[..., 0] = CROP_SIDE_PX - points[..., 0]
    world[..., 0] *= -1
    return points, world, visibility[:, MIRROR], person


def _refine(points: np.ndarray, heatmaps: np.ndarray) -> np.ndarray:
    """Move each point (N, K, 2) to the centroid of the confident heat around it.

    heatmaps: (N, >= K, 64, 64) logits.
    """
    cells = np.trunc(points * (_MAP_CELLS / CROP_SIDE_PX)).astype(int)
    inside = ((cells >= 0) & (cells < _MAP_CELLS)).all(-1)
    around = np.arange(-_REACH_CELLS, _REACH_CELLS + 1)
    columns, rows = (cells[..., axis, None] + around for axis in (0, 1))
    n, k = np.ogrid[: points.shape[0], : points.shape[1]]
    window = heatmaps[
        n[..., None, None],
        k[..., None, None],
        rows.clip(0, _MAP_CELLS - 1)[..., :, None],
        columns.clip(0, _MAP_CELLS - 1)[..., None, :],
    ]
    on_map = ((rows >= 0) & (rows < _MAP_CELLS))[..., :, None] & (
        (columns >= 0) & (columns < _MAP_CELLS)
    )[..., None, :]
    heat = _sigmoid(window) * on_map
    total = heat.sum((-1, -2))
    sure = inside & (heat.max((-1, -2)) >= _CONFIDENT_HEAT)
    x = (heat.sum(-2) * columns).sum(-1)
    y = (heat.sum(-1) * rows).sum(-1)
    centroid = (
        np.stack([x, y], -1) / np.maximum(total, 1e-9)[..., None] * (CROP_SIDE_PX / _MAP_CELLS)
    )
    return np.where(sure[..., None], centroid, points)


def _sigmoid(logits: np.ndarray) -> np.ndarray:
    return 0.5 + 0.5 * np.tanh(0.5 * logits.astype(float))
