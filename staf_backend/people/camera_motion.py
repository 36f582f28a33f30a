"""How the picture as a whole moves from frame to frame, and where the footage is cut.

    corners outside the people ─┬─one step of it: none of them moved?──► nothing moved
      on a small grey picture   └─optical flow there and back──────────► similarity (RANSAC)

A hand-held camera moves everybody at once; taking that out leaves each person's own motion.  A cut
is where neither the corners can be followed nor the pictures look alike once aligned.
"""

from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from staf_backend.video import Picture

_LONG_SIDE_PX = 320
"""Of the small grey picture.  Chosen: a pixel of it is a small share of a person's size."""
_CORNERS, _FEWEST_CORNERS, _FEWEST_FOLLOWED = 160, 8, 6
"""Looked for, and needed.  Chosen: a similarity has four unknowns, two corners fix it."""
_CORNER_QUALITY, _CORNER_DISTANCE_PX = 0.01, 5
"""Of cv2.goodFeaturesToTrack: share of the best corner's strength, and least distance.  Chosen:
the function's usual values; corners close together say the same."""
_FLOW_WINDOW_PX = (15, 15)
"""Of cv2.calcOpticalFlowPyrLK.  Chosen: three times the distance of corners."""
_REST_PX, _REST_MOST_PX = 0.05, 0.2
"""Half of the corners, and four fifths, move by less where the camera rests.  Measured on a tripod:
0.02 and 0.15 at most; what flow and RANSAC find there is 0.07 of noise."""
_RETURN_PX = 1.0
"""A corner followed there and back must end this near, and RANSAC's inliers likewise.  Chosen."""
_ZOOM = (0.7, 1.4)
"""Factors between which the picture may grow in a frame.  Chosen: no lens zooms faster."""
_CUT_FOLLOWED, _CUT_CORRELATION = 0.06, 0.65
"""Share of corners that can be followed, and correlation of the aligned pictures.  Measured at
cuts: at most 0.02 and 0.59; in violent shakes (6 % of the picture a frame, blur, changing exposure)
at least 0.09 followed; within shots, 16 frames apart, at least 0.5 and 0.8."""
_COMPARED_PX = (32, 32)
"""Size of the pictures whose correlation is taken.  Chosen: details of a scene move."""
_SHARP_SHIFT = 0.05
"""Response of cv2.phaseCorrelate, 0..1, above which its shift is believed.  Chosen."""


@dataclass(frozen=True)
class Step:
    """From the previous frame to this one.

    Attributes:
        similarity: (2, 3) maps image points of the previous frame to where they are now.
        cut: whether this frame starts another shot.
    """

    similarity: np.ndarray
    cut: bool

    def __post_init__(self) -> None:
        if self.similarity.shape != (2, 3) or not np.isfinite(self.similarity).all():
            raise ValueError("similarity must be finite (2, 3)")


STILL = Step(np.eye(2, 3), False)
"""Nothing moved."""


def move(similarity: np.ndarray, points_px: np.ndarray) -> np.ndarray:
    """Points (..., 2) after a similarity (2, 3)."""
    return points_px @ similarity[:, :2].T + similarity[:, 2]


def chain(first: np.ndarray, then: np.ndarray) -> np.ndarray:
    """The similarity (2, 3) that does `first`, and then `then`."""
    return np.column_stack([then[:, :2] @ first[:, :2], move(then, first[:, 2])])


def small_grey(picture: Picture) -> np.ndarray:
    """What `CameraMotion` looks at of a picture: (h, w) uint8."""
    factor = min(1.0, _LONG_SIDE_PX / max(picture.shape[:2]))
    width, height = (max(8, round(n * factor)) for n in picture.shape[1::-1])
    return picture.grey(width, height)


class CameraMotion:
    """Feed every frame in order; each call compares with the one before."""

    def __init__(self) -> None:
        self._grey: np.ndarray | None = None

    def step(self, picture: Picture, boxes_px: np.ndarray) -> Step:
        """The motion since the last call.

        Args:
            picture: of the same size at every call.
            boxes_px: (P, 4) x0, y0, x1, y1 of people in the *previous* frame, to be left out.
        """
        return self.step_to(small_grey(picture), picture.shape, boxes_px)

    def step_to(self, grey: np.ndarray, shape: tuple[int, ...], boxes_px: np.ndarray) -> Step:
        """The same from a picture's `small_grey`, and the shape (H, W, 3) of the picture."""
        before, self._grey = self._grey, grey
        if before is None:
            return STILL
        scale = np.array(grey.shape[::-1]) / shape[1::-1]
        moved, followed = _follow(before, grey, np.asarray(boxes_px).reshape(-1, 4), scale)
        cut = followed < _CUT_FOLLOWED and _correlation(before, grey, moved) < _CUT_CORRELATION
        return Step(np.eye(2, 3) if cut else _to_image(moved, scale), cut)


def _to_image(small: np.ndarray, scale: np.ndarray) -> np.ndarray:
    """The motion in image pixels.  cv2 counts pixel middles at integers, we at halves."""
    factor = float(np.sqrt(scale.prod()))
    linear = small[:, :2]
    half = np.full(2, 0.5)
    return np.column_stack([linear, (small[:, 2] + half - linear @ half) / factor])


def _follow(
    before: np.ndarray, now: np.ndarray, boxes_px: np.ndarray, scale: np.ndarray
) -> tuple[np.ndarray, float]:
    """Similarity in small pixels and the share of corners that move along with it."""
    import cv2

    mask = np.full(before.shape, 255, np.uint8)
    for x0, y0, x1, y1 in (boxes_px * np.tile(scale, 2)).astype(int):
        mask[max(y0, 0) : y1 + 1, max(x0, 0) : x1 + 1] = 0
    corners = cv2.goodFeaturesToTrack(
        before, _CORNERS, _CORNER_QUALITY, _CORNER_DISTANCE_PX, mask=mask
    )
    if corners is None or len(corners) < _FEWEST_CORNERS:
        return np.eye(2, 3), 0.0
    now = _exposed_like(now, before)
    if _rests(before, now, corners):
        return np.eye(2, 3), 1.0
    guess = corners + np.array(_shift(before, now), np.float32)
    window, flags = _FLOW_WINDOW_PX, cv2.OPTFLOW_USE_INITIAL_FLOW
    there, found, _ = cv2.calcOpticalFlowPyrLK(
        before, now, corners, guess, winSize=window, flags=flags
    )
    back, _, _ = cv2.calcOpticalFlowPyrLK(
        now, before, there, corners.copy(), winSize=window, flags=flags
    )
    good = (found[:, 0] == 1) & (np.abs(back - corners).max((1, 2)) < _RETURN_PX)
    if good.sum() < _FEWEST_FOLLOWED:
        return np.eye(2, 3), 0.0
    fit, inliers = cv2.estimateAffinePartial2D(
        corners[good], there[good], method=cv2.RANSAC, ransacReprojThreshold=_RETURN_PX
    )
    if fit is None or not _ZOOM[0] < np.hypot(fit[0, 0], fit[1, 0]) < _ZOOM[1]:
        return np.eye(2, 3), 0.0
    return fit, float(inliers.sum()) / len(corners)


def _rests(before: np.ndarray, now: np.ndarray, corners: np.ndarray) -> bool:
    """Whether corners (N, 1, 2) are where they were, by one step of Lucas and Kanade (1981)."""
    import cv2

    along, down = (
        cv2.Sobel(before, cv2.CV_32F, *way, ksize=3, scale=1 / 8) for way in ((1, 0), (0, 1))
    )
    change = cv2.subtract(now, before, dtype=cv2.CV_32F)
    columns, rows = corners[:, 0].astype(int).T
    pairs = ((along, along), (along, down), (down, down), (along, change), (down, change))
    aa, ad, dd, ac, dc = (
        cv2.boxFilter(one * other, -1, _FLOW_WINDOW_PX, normalize=False)[rows, columns]
        for one, other in pairs
    )
    ways = np.stack([dd * ac - ad * dc, aa * dc - ad * ac]) / np.maximum(aa * dd - ad * ad, 1e-6)
    half, most = np.quantile(np.hypot(*ways), (0.5, 0.8))
    return bool(half < _REST_PX and most < _REST_MOST_PX)


def _exposed_like(grey: np.ndarray, other: np.ndarray) -> np.ndarray:
    """The picture with the mean and the contrast of another: flow must not see a flash."""
    import cv2

    (mean, deviation), (wanted, spread) = (
        (values.item() for values in cv2.meanStdDev(one)) for one in (grey, other)
    )
    gain = spread / max(deviation, 1.0)
    return cv2.convertScaleAbs(grey, None, gain, wanted - gain * mean)


def _shift(before: np.ndarray, now: np.ndarray) -> tuple[float, float]:
    """Whole-picture shift x, y by phase correlation, for pans that outrun the optical flow."""
    import cv2

    window = _hanning(before.shape[1::-1])
    shift, sharpness = cv2.phaseCorrelate(before.astype(np.float32), now.astype(np.float32), window)
    return (shift[0], shift[1]) if sharpness > _SHARP_SHIFT else (0.0, 0.0)


@lru_cache(1)
def _hanning(size: tuple[int, ...]) -> np.ndarray:
    import cv2

    return cv2.createHanningWindow(size, cv2.CV_32F)


def _correlation(before: np.ndarray, now: np.ndarray, moved: np.ndarray) -> float:
    """Correlation -1..1 of two grey pictures after moving the first: brightness does not matter."""
    import cv2

    size = now.shape[1::-1]
    shifted = cv2.warpAffine(before, moved, size, borderMode=cv2.BORDER_REPLICATE)
    small = [cv2.resize(g, _COMPARED_PX, interpolation=cv2.INTER_AREA) for g in (shifted, now)]
    one, other = (s.astype(np.float64) - s.mean() for s in small)
    return float((one * other).sum() / np.sqrt((one**2).sum() * (other**2).sum() + 1e-9))
