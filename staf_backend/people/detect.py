"""People in a picture: a box and 17 key points each (MoveNet MultiPose through ONNX Runtime).

    image --resize, pad--> network --six heads at stride 4--> peaks --> boxes, key points

The network sees the picture in the top left corner of a black one whose sides are multiples of 32.
Coordinates are continuous: an image covers [0, W] x [0, H], the middle of its first pixel is
(0.5, 0.5).  Key points are in COCO's order.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from staf_backend.runtime.onnx_session import run

KEYPOINTS: tuple[str, ...] = (
    "nose",
    "left_eye",
    "right_eye",
    "left_ear",
    "right_ear",
    "left_shoulder",
    "right_shoulder",
    "left_elbow",
    "right_elbow",
    "left_wrist",
    "right_wrist",
    "left_hip",
    "right_hip",
    "left_knee",
    "right_knee",
    "left_ankle",
    "right_ankle",
)
# COCO's deviation of human annotators, as a share of the person's size (cocoeval.py: 2 sigma)
_HEAD_SPREAD = (0.026, 0.025, 0.025, 0.035, 0.035)
_LIMB_SPREAD = (0.079, 0.079, 0.072, 0.072, 0.062, 0.062, 0.107, 0.107, 0.087, 0.087, 0.089, 0.089)
OKS_SPREAD = 2 * np.array(_HEAD_SPREAD + _LIMB_SPREAD)
_STRIDE, _MULTIPLE = 4, 32
# Constants of the decoder inside Google's graph (float16 there).
_GUESS_SPREAD = np.float32(0.300048828125)
_KEYPOINT_MIN = np.float32(0.126953125)
_PEAK_RADIUS, _PEAK_TOLERANCE = 2, np.float32(1.0132789611816406e-06)


@dataclass(frozen=True)
class Detections:
    """People found in one image, the surest first.

    Attributes:
        boxes_px: (P, 4) x0, y0, x1, y1 in continuous image coordinates.
        scores: (P,) 0..1, how surely it is a person.
        keypoints_px: (P, 17, 3) x, y in image coordinates and a score 0..1.
    """

    boxes_px: np.ndarray
    scores: np.ndarray
    keypoints_px: np.ndarray

    def __post_init__(self) -> None:
        people = len(self.scores)
        for name, shape in (("boxes_px", (4,)), ("scores", ()), ("keypoints_px", (17, 3))):
            if getattr(self, name).shape != (people, *shape):
                raise ValueError(f"{name} must be {(people, *shape)}")

    def __len__(self) -> int:
        return len(self.scores)

    def take(self, rows: np.ndarray) -> "Detections":
        """The people of the given rows, or of a boolean mask."""
        return Detections(self.boxes_px[rows], self.scores[rows], self.keypoints_px[rows])


@dataclass(frozen=True)
class PersonDetector:
    """Finds people with an open session of movenet_multipose.onnx.

    Attributes:
        session: onnxruntime.InferenceSession of the network.
        long_side_px: the picture's long side as the network sees it; 512 finds people from about
            a tenth of the picture up.
        min_score: people below are dropped.
        same_oks: of two people with more key-point similarity than this one is a duplicate.
    """

    session: Any
    long_side_px: int = 512
    min_score: float = 0.1
    same_oks: float = 0.7

    def __post_init__(self) -> None:
        if self.long_side_px < _MULTIPLE:
            raise ValueError(f"long_side_px must be at least {_MULTIPLE}")

    def detect(self, image: np.ndarray) -> Detections:
        """Every person in an upright (H, W, 3) uint8 RGB image."""
        if image.ndim != 3 or image.shape[2] != 3 or image.dtype != np.uint8:
            raise ValueError(f"image must be (H, W, 3) uint8, not {image.shape} {image.dtype}")
        blob, scale = letterbox(image, self.long_side_px)
        heads = {name: output[0] for name, output in run(self.session, image=blob).items()}
        found = decode(heads, min_score=self.min_score)
        return suppress_duplicates(_to_image(found, scale, image.shape), self.same_oks)


def letterbox(image: np.ndarray, long_side_px: int) -> tuple[np.ndarray, np.ndarray]:
    """What the network gets, and how to come back.

    Args:
        image: (H, W, 3) uint8 RGB.
        long_side_px: of the resized picture, before padding.

    Returns:
        The network's input (1, 3, h, w) float32, 0..255, h and w multiples of 32; and the factor
        (2,) for x and y from its pixels to those of the image.
    """
    import cv2

    size = np.array(image.shape[1::-1])
    resized = np.maximum(1, np.round(size * (long_side_px / size.max()))).astype(int)
    shrinks = long_side_px <= size.max()
    small = cv2.resize(image, resized.tolist(), interpolation=cv2.INTER_AREA if shrinks else 1)
    width, height = -(-resized // _MULTIPLE) * _MULTIPLE
    blob = np.zeros((1, 3, height, width), np.float32)
    blob[0, :, : resized[1], : resized[0]] = small.transpose(2, 0, 1)
    return blob, size / resized


def decode(
    heads: Mapping[str, np.ndarray], *, min_center: float = 0.1, min_score: float = 0.2
) -> Detections:
    """People in the network's output for one image, in pixels of the network's input.

    A person is a peak of the centre map.  The regression at the peak guesses every key point; the
    key point itself is the best heat-map cell near that guess and inside the person's box.

    Args:
        heads: the six outputs, channels first, without the batch axis.
        min_center: smallest centre probability of a peak.
        min_score: smallest centre probability times mean score of the visible key points.
    """
    row, col = _peaks(heads["center"][0], min_center)
    center = heads["center"][0, row, col]
    low, high = _boxes(heads, row, col)
    guess = np.stack([row, col], 1)[:, None] + heads["kpt_regress"][:, row, col].T.reshape(
        -1, 17, 2
    ).astype(np.float32)
    cells, values = _keypoint_cells(heads["kpt_heatmap"], guess, low, high)
    points = cells + _at_cells(heads["kpt_offset"], cells)

    visible = values > _KEYPOINT_MIN
    mean = np.where(visible, values, 0).sum(1) / np.maximum(visible.sum(1), 1)
    order = np.argsort(-center * mean, kind="stable")
    order = order[(center * mean)[order] >= min_score]
    boxes = np.concatenate([low[:, ::-1], high[:, ::-1]], 1) * _STRIDE
    keypoints = np.concatenate([points[..., ::-1] * _STRIDE, values[..., None]], -1)
    return Detections(boxes[order], (center * mean)[order], keypoints[order])


def _peaks(center: np.ndarray, min_center: float) -> tuple[np.ndarray, np.ndarray]:
    """Rows and columns of the cells that are the largest of their 5x5 neighbourhood."""
    import cv2

    window = np.ones((2 * _PEAK_RADIUS + 1,) * 2, np.uint8)
    largest = cv2.dilate(center, window, borderValue=-np.inf)
    row, col = np.nonzero((largest - center < _PEAK_TOLERANCE) & (center >= min_center))
    return row, col


def _boxes(heads: Mapping[str, np.ndarray], row: np.ndarray, col: np.ndarray):
    """Corners (P, 2) y, x in cells, cut to the map."""
    limit = np.array(heads["center"].shape[1:], np.float32)
    middle = np.stack([row, col], 1) + heads["box_offset"][:, row, col].T.astype(np.float32)
    half = np.maximum(heads["box_scale"][:, row, col].T, 0) / 2
    return (
        np.clip(middle - half, 0, limit).astype(np.float32),
        np.clip(middle + half, 0, limit).astype(np.float32),
    )


def _keypoint_cells(
    heat: np.ndarray, guess: np.ndarray, low: np.ndarray, high: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Best cells (P, 17, 2) y, x and their values (P, 17): heat times closeness to the guess."""
    people = len(guess)
    cells, values = np.zeros((people, 17, 2), int), np.zeros((people, 17), np.float32)
    spread = _GUESS_SPREAD * min(heat.shape[1:])
    for p, ((y0, x0), (y1, x1)) in enumerate(
        zip(np.ceil(low).astype(int), np.ceil(high).astype(int), strict=True)
    ):
        if y0 >= y1 or x0 >= x1:
            continue
        near_y = np.exp(-((np.arange(y0, y1) - guess[p, :, :1]) ** 2) / spread)
        near_x = np.exp(-((np.arange(x0, x1) - guess[p, :, 1:]) ** 2) / spread)
        product = (heat[:, y0:y1, x0:x1] * near_y[:, :, None] * near_x[:, None]).reshape(17, -1)
        best = product.argmax(1)
        values[p] = product[np.arange(17), best]
        found = np.stack([y0 + best // (x1 - x0), x0 + best % (x1 - x0)], 1)
        cells[p] = np.where(values[p, :, None] > 0, found, 0)
    return cells, values


def _at_cells(offsets: np.ndarray, cells: np.ndarray) -> np.ndarray:
    """The (y, x) offsets (P, 17, 2) that the map (34, h, w) holds for each key point's cell."""
    pairs = offsets.reshape(17, 2, *offsets.shape[1:])
    return pairs[np.arange(17), :, cells[..., 0], cells[..., 1]]


def _to_image(found: Detections, scale: np.ndarray, shape: tuple[int, ...]) -> Detections:
    limit = np.array(shape[1::-1])
    boxes = np.clip(found.boxes_px * np.tile(scale, 2), 0, np.tile(limit, 2))
    keypoints = found.keypoints_px * np.append(scale, 1)
    return Detections(boxes, found.scores, keypoints)


def suppress_duplicates(found: Detections, same_oks: float) -> Detections:
    """Keep the surest of every group of people whose key points nearly coincide."""
    similarity = keypoint_similarity(found.keypoints_px, found.keypoints_px)
    keep: list[int] = []
    for row in np.argsort(-found.scores, kind="stable"):
        if all(similarity[row, other] <= same_oks for other in keep):
            keep.append(int(row))
    return found.take(np.array(keep, int))


def merge(one: Detections, other: Detections, same_oks: float) -> Detections:
    """Everybody in either, the surer one of each pair that is the same person."""
    pairs = ((one.boxes_px, other.boxes_px), (one.scores, other.scores))
    joined = [np.concatenate(pair) for pair in (*pairs, (one.keypoints_px, other.keypoints_px))]
    return suppress_duplicates(Detections(*joined), same_oks)


def keypoint_similarity(
    one_px: np.ndarray, other_px: np.ndarray, spread: float = 1.0
) -> np.ndarray:
    """Object key-point similarity (P, Q), 0..1, of two sets of people (COCO's OKS).

    Args:
        one_px, other_px: (P, 17, 3), (Q, 17, 3) x, y, score.
        spread: factor on COCO's tolerances.

    Each key point weighs by the product of its two scores; the size is the mean of both people's
    extents, so that a limb hidden on one side does not decide.
    """
    gap2 = ((one_px[:, None, :, :2] - other_px[None, :, :, :2]) ** 2).sum(-1)
    size = (extent_px(one_px)[:, None] + extent_px(other_px)[None]) / 2
    close = np.exp(-gap2 / (2 * (spread * OKS_SPREAD * size[..., None]) ** 2 + 1e-9))
    weight = one_px[:, None, :, 2] * other_px[None, :, :, 2] + 1e-6
    return (close * weight).sum(-1) / weight.sum(-1)


def extent_px(keypoints_px: np.ndarray) -> np.ndarray:
    """Size (...,) in pixels, about sqrt(area): 0.7 of the diagonal around all key points."""
    points = keypoints_px[..., :2]
    span = points.max(-2) - points.min(-2)
    return 0.7 * np.hypot(span[..., 0], span[..., 1])
