"""What MoveNet's six output maps say: peaks of the centre map become people with key points.

    centre ─► peaks ─► box (offset, scale)
                  └──► guess of each key point (regression) ─► best heat-map cell near it (+ offset)

Maps lie at a stride of 4 pixels of the network's input.
"""

from collections.abc import Mapping

import numpy as np

from staf_backend.people.detections import Detections
from staf_backend.people.keypoints import COUNT

_STRIDE_PX = 4
"""Pixels of the network's input to a cell of its maps."""
_MIN_CENTER = 0.1
"""Smallest centre probability of a peak.  Chosen: the detector's least score, which a person
whose centre lies below cannot reach."""
# Read from the decoder inside Google's graph, whose numbers are float16
_GUESS_SPREAD = np.float32(0.300048828125)
"""Squared cells for each cell of the map's shorter side: how far key points lie from guesses."""
_KEYPOINT_MIN = np.float32(0.126953125)
"""Score above which a key point counts as visible."""
_PEAK_RADIUS_CELLS = 2
"""Of the neighbourhood whose largest cell a peak is."""
_PEAK_TOLERANCE = np.float32(1.0132789611816406e-06)
"""By how much a peak's probability may lie below the largest of its neighbourhood."""


def decode(heads: Mapping[str, np.ndarray], min_score: float) -> Detections:
    """People in the network's output for one image, in pixels of the network's input.

    A person is a peak of the centre map.  The regression at the peak guesses every key point; the
    key point itself is the best heat-map cell near that guess and inside the person's box.

    Args:
        heads: the six outputs, channels first, without the batch axis.
        min_score: smallest centre probability times mean score of the visible key points.
    """
    row, col = _peaks(heads["center"][0])
    center = heads["center"][0, row, col]
    low, high = _boxes(heads, row, col)
    guess = np.stack([row, col], 1)[:, None] + heads["kpt_regress"][:, row, col].T.reshape(
        -1, COUNT, 2
    ).astype(np.float32)
    cells, values = _keypoint_cells(heads["kpt_heatmap"], guess, low, high)
    points = cells + _at_cells(heads["kpt_offset"], cells)

    visible = values > _KEYPOINT_MIN
    mean = np.where(visible, values, 0).sum(1) / np.maximum(visible.sum(1), 1)
    order = np.argsort(-center * mean, kind="stable")
    order = order[(center * mean)[order] >= min_score]
    boxes = np.concatenate([low[:, ::-1], high[:, ::-1]], 1) * _STRIDE_PX
    keypoints = np.concatenate([points[..., ::-1] * _STRIDE_PX, values[..., None]], -1)
    return Detections(boxes[order], (center * mean)[order], keypoints[order])


def _peaks(center: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Rows and columns of the cells that are the largest of their 5x5 neighbourhood."""
    import cv2

    window = np.ones((2 * _PEAK_RADIUS_CELLS + 1,) * 2, np.uint8)
    largest = cv2.dilate(center, window, borderValue=-np.inf)
    row, col = np.nonzero((largest - center < _PEAK_TOLERANCE) & (center >= _MIN_CENTER))
    return row, col


def _boxes(
    heads: Mapping[str, np.ndarray], row: np.ndarray, col: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Corners (P, 2) y, x in cells, within the map."""
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
    cells, values = np.zeros((people, COUNT, 2), int), np.zeros((people, COUNT), np.float32)
    spread = _GUESS_SPREAD * min(heat.shape[1:])
    for p, ((y0, x0), (y1, x1)) in enumerate(
        zip(np.ceil(low).astype(int), np.ceil(high).astype(int), strict=True)
    ):
        if y0 >= y1 or x0 >= x1:
            continue
        near_y = np.exp(-((np.arange(y0, y1) - guess[p, :, :1]) ** 2) / spread)
        near_x = np.exp(-((np.arange(x0, x1) - guess[p, :, 1:]) ** 2) / spread)
        product = (heat[:, y0:y1, x0:x1] * near_y[:, :, None] * near_x[:, None]).reshape(COUNT, -1)
        best = product.argmax(1)
        values[p] = product[np.arange(COUNT), best]
        found = np.stack([y0 + best // (x1 - x0), x0 + best % (x1 - x0)], 1)
        cells[p] = np.where(values[p, :, None] > 0, found, 0)
    return cells, values


def _at_cells(offsets: np.ndarray, cells: np.ndarray) -> np.ndarray:
    """The (y, x) offsets (P, 17, 2) that the map (34, h, w) holds for each key point's cell."""
    pairs = offsets.reshape(COUNT, 2, *offsets.shape[1:])
    return pairs[np.arange(COUNT), :, cells[..., 0], cells[..., 1]]
