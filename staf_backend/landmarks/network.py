"""Crops of a person -> 33 landmarks in pixels and in metres, by the BlazePose GHUM networks.

World landmarks are metres about the hip centre, turned from the crop's axes to the camera's
(x right, y down, z away from the camera).  "left" is the person's left.

Source: the MediaPipe models `pose_landmark_{heavy,full}`; decoding as in its graphs
`tensors_to_pose_landmarks_and_segmentation` and `refine_landmarks_from_heatmap`.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from staf_backend.landmarks.crop import SIDE, cut, steady_squares, to_image, turn
from staf_backend.runtime.onnx_session import run

if TYPE_CHECKING:
    from onnxruntime import InferenceSession

    from staf_backend.people.track import Track
    from staf_backend.video.video import Video

COUNT = 33
NAMES = (
    *("nose", "left_eye_inner", "left_eye", "left_eye_outer"),
    *("right_eye_inner", "right_eye", "right_eye_outer", "left_ear", "right_ear"),
    *("mouth_left", "mouth_right", "left_shoulder", "right_shoulder", "left_elbow"),
    *("right_elbow", "left_wrist", "right_wrist", "left_pinky", "right_pinky"),
    *("left_index", "right_index", "left_thumb", "right_thumb", "left_hip", "right_hip"),
    *("left_knee", "right_knee", "left_ankle", "right_ankle", "left_heel", "right_heel"),
    *("left_foot_index", "right_foot_index"),
)
MIRROR = np.array(
    [0, 4, 5, 6, 1, 2, 3, 8, 7, 10, 9, *(i + 1 if i % 2 else i - 1 for i in range(11, 33))]
)
"""(33,) the landmark on the other side of the body."""

COCO = np.array([0, 2, 5, 7, 8, 11, 12, 13, 14, 15, 16, 23, 24, 25, 26, 27, 28])
"""(17,) the landmark that is the same point as each of the detector's key points."""

_MAP = 64  # cells along a heat map; column c is crop pixel 4 c
_REACH = 3  # cells around a landmark that refine it
_CONFIDENT = 0.5  # heat above which they do
_PERSON = 0.5  # probability below which a crop shows nobody


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
            squares_px: (N, 4) what was cut, see `crop`.
        """
        decoded = self._decode(crops)
        if self._mirrored:
            other = _unmirror(self._decode(crops[:, :, ::-1]))
            decoded = tuple((a + b) / 2 for a, b in zip(decoded, other))
        points, world, visibility, person = decoded
        for one_points, one_world, square in zip(points, world, squares_px):
            one_points[:] = to_image(one_points, square)
            one_world[:, :2] = one_world[:, :2] @ turn(square[3]).T
        return Landmarks(points, world, visibility, person)

    def _decode(self, crops: np.ndarray) -> tuple[np.ndarray, ...]:
        """Points in crop pixels, world in crop axes, visibility, person."""
        image = np.multiply(crops, np.float32(1 / 255), dtype=np.float32)
        found = run(self._session, image=np.ascontiguousarray(image.transpose(0, 3, 1, 2)))
        landmarks = found["landmarks"][:, :COUNT]
        points = _refine(landmarks[..., :2].astype(float), found["heatmap"])
        visibility = _sigmoid(landmarks[..., 3]) * _sigmoid(landmarks[..., 4])
        world = found["world"][:, :COUNT].astype(float)
        return points, world, visibility, found["presence"][:, 0].astype(float)


def _unmirror(decoded: tuple[np.ndarray, ...]) -> tuple[np.ndarray, ...]:
    points, world, visibility, person = decoded
    points, world = points[:, MIRROR], world[:, MIRROR]
    points[..., 0] = SIDE - points[..., 0]
    world[..., 0] *= -1
    return points, world, visibility[:, MIRROR], person


def _refine(points: np.ndarray, heatmaps: np.ndarray) -> np.ndarray:
    """Move each point (N, K, 2) to the centroid of the confident heat around it.

    heatmaps: (N, >= K, 64, 64) logits.
    """
    cells = np.trunc(points * (_MAP / SIDE)).astype(int)
    inside = ((cells >= 0) & (cells < _MAP)).all(-1)
    around = np.arange(-_REACH, _REACH + 1)
    columns, rows = (cells[..., axis, None] + around for axis in (0, 1))
    n, k = np.ogrid[: points.shape[0], : points.shape[1]]
    window = heatmaps[
        n[..., None, None],
        k[..., None, None],
        rows.clip(0, _MAP - 1)[..., :, None],
        columns.clip(0, _MAP - 1)[..., None, :],
    ]
    on_map = ((rows >= 0) & (rows < _MAP))[..., :, None] & ((columns >= 0) & (columns < _MAP))[
        ..., None, :
    ]
    heat = _sigmoid(window) * on_map
    total = heat.sum((-1, -2))
    sure = inside & (heat.max((-1, -2)) >= _CONFIDENT)
    x = (heat.sum(-2) * columns).sum(-1)
    y = (heat.sum(-1) * rows).sum(-1)
    centroid = np.stack([x, y], -1) / np.maximum(total, 1e-9)[..., None] * (SIDE / _MAP)
    return np.where(sure[..., None], centroid, points)


def _sigmoid(logits: np.ndarray) -> np.ndarray:
    return 0.5 + 0.5 * np.tanh(0.5 * logits.astype(float))


def landmarks_of(
    video: "Video",
    tracks: Sequence["Track"],
    network: LandmarkNetwork,
    progress: Callable[[int, int], None] | None = None,
) -> list[Landmarks]:
    """Landmarks of every track, in one pass through the video.

    Args:
        video: the footage.
        tracks: whom to look at; all of a frame's people go through the network together.
        network: finds landmarks in crops.
        progress: called with frames done and frames in all.

    Returns:
        one per track, of the track's frames; NaN and no visibility where the network sees nobody.
    """
    squares = [steady_squares(t.times_s, t.keypoints_px, t.boxes_px) for t in tracks]
    found = [_empty(len(track)) for track in tracks]
    first = min(int(track.frames[0]) for track in tracks)
    last = max(int(track.frames[-1]) for track in tracks) + 1
    for index, image in enumerate(video.frames(first, last), first):
        here = [(i, index - int(t.frames[0])) for i, t in enumerate(tracks)]
        here = [(i, row) for i, row in here if 0 <= row < len(tracks[i])]
        if here:
            cuts = np.array([squares[i][row] for i, row in here])
            seen = network(np.stack([cut(image, square) for square in cuts]), cuts)
            for n, (i, row) in enumerate(here):
                _keep(found[i], row, seen, n)
        if progress:
            progress(index + 1 - first, last - first)
    return found


def _empty(frames: int) -> Landmarks:
    """Nothing seen; 4-byte floats, since a clip may be long."""
    shapes = ((COUNT, 2), (COUNT, 3), (COUNT,), ())
    arrays = [np.full((frames, *shape), np.nan, np.float32) for shape in shapes]
    return Landmarks(*arrays)


def _keep(track: Landmarks, row: int, seen: Landmarks, n: int) -> None:
    """Store crop n's landmarks as the track's frame `row`, unless no person is in the crop."""
    track.person[row] = seen.person[n]
    present = seen.person[n] >= _PERSON
    track.visibility[row] = seen.visibility[n] if present else 0
    if present:
        track.points_px[row] = seen.points_px[n]
        track.world_m[row] = seen.world_m[n]
