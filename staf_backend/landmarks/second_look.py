"""A second look at somebody whom somebody else hides: paint out who stands in front, look again.

    landmarks of a frame ──nearer to one's own key points?──► who is read, who is hidden by whom
    crop of the hidden ──the other's mask filled from around it──► the network once more

In a crop with two people the network reads the clearer one.  The detector tells who is who: their
key points are compared with the landmarks (OKS).  The thresholds come from the measurements of a
prototype on other clips; they were not measured again on this code.
"""

from collections.abc import Iterable

import numpy as np

from staf_backend.landmarks.crop import CROP_SIDE_PX, to_image, turn
from staf_backend.landmarks.names import COCO
from staf_backend.landmarks.network import Landmarks
from staf_backend.people.keypoints import keypoint_similarity

_SURE = 0.7
"""Agreement with the own key points of who may be painted out.  Of the prototype."""
_CLEARER = 0.06
"""By how much theirs exceeds that of whom they hide: never paint out who is behind.  Prototype."""
_REACH = 0.1
"""Of a box's longer side, by which boxes are widened before they meet.  Of the prototype."""
_SEEN_SCORE = 0.2
"""Above which a key point counts for the box.  Chosen: as for crops."""
_FEWEST_SEEN = 4
"""Key points that make a box; of fewer all are taken.  Chosen."""
_MASK, _WIDEN_PX = 0.5, 2
"""Probability above which a pixel is painted over, and how far beyond.  Of the prototype."""
_TOUCH_PX = 8
"""From somebody's mask to what it may hide of another, in pixels of the crop.  Chosen: a hand's
width."""
_COARSE_PX = 64
"""Side at which the surroundings are carried in.  Prototype: a blurred filling does as well."""
_INPAINT_RADIUS_PX = 3
"""Of cv2.inpaint.  Chosen: the function's usual value."""


def agreement(landmarks: Landmarks, keypoints_px: np.ndarray) -> np.ndarray:
    """(N, N) how near each person's landmarks are to each person's key points, 0..1.

    Args:
        landmarks: N people of one frame.
        keypoints_px: (N, 17, 3) of the same people, by the detector.
    """
    points = landmarks.points_px[:, COCO]
    read = np.concatenate([points, landmarks.visibility[:, COCO, None]], -1)
    return keypoint_similarity(read, keypoints_px)


def meet(one_px: np.ndarray, other_px: np.ndarray) -> bool:
    """Whether the boxes around two people's key points (17, 3), widened, overlap."""
    one, other = _box(one_px), _box(other_px)
    reach = _REACH * (one[1] - one[0]).max()
    return bool(np.all((one[1] + reach > other[0]) & (other[1] > one[0] - reach)))


def in_front(agreed: np.ndarray, keypoints_px: np.ndarray) -> list[list[int]]:
    """For each of N people the neighbours who are read more clearly and whose boxes they meet.

    Args:
        agreed: (N, N) of `agreement`.
        keypoints_px: (N, 17, 3).
    """
    own = agreed.diagonal()
    sure = (own > _SURE) & (agreed.argmax(1) == np.arange(len(own)))
    return [
        [
            m
            for m in np.flatnonzero(sure & (own > own[n] + _CLEARER)).tolist()
            if m != n and meet(keypoints_px[n], keypoints_px[m])
        ]
        for n in range(len(own))
    ]


def is_own(agreed: np.ndarray) -> np.ndarray:
    """(N,) whether nobody else's key points are nearer to a person's landmarks than the own."""
    return agreed.argmax(1) == np.arange(len(agreed))


def hides(
    mask: np.ndarray, square_px: np.ndarray, points_px: np.ndarray, keypoints_px: np.ndarray
) -> bool:
    """Whether somebody's mask reaches another's landmarks or key points: only then do they slip.

    Args:
        mask, square_px: (256, 256) 0..1 of who stands in front, and (4,) where it lies.
        points_px: (33, 2) landmarks of who is behind.
        keypoints_px: (17, 3) of theirs, of which the seen ones count.
    """
    import cv2

    seen = keypoints_px[keypoints_px[:, 2] > _SEEN_SCORE, :2]
    about = (np.concatenate([points_px, seen]) - square_px[:2]) @ turn(square_px[3])
    at = np.floor((about / square_px[2] + 0.5) * CROP_SIDE_PX).astype(int)
    column, row = at[((at >= 0) & (at < CROP_SIDE_PX)).all(1)].T
    reach = np.ones((2 * _TOUCH_PX + 1,) * 2, np.uint8)
    return bool(cv2.dilate((mask > _MASK).astype(np.uint8), reach)[row, column].any())


def painted(
    crop: np.ndarray, square_px: np.ndarray, masks: Iterable[np.ndarray], squares_px: np.ndarray
) -> np.ndarray | None:
    """A crop (256, 256, 3) with other people filled from what is around them.

    Args:
        crop, square_px: of who is hidden.
        masks, squares_px: M of (256, 256) 0..1 of who stands in front, and (M, 4) where they lie.

    Returns:
        the crop, or None where none of the others' pixels lie in it.
    """
    import cv2

    over = np.zeros(crop.shape[:2], np.float32)
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    for mask, other in zip(masks, squares_px, strict=True):
        way = (np.linalg.inv(_to_image(other)) @ _to_image(square_px))[:2]
        carried = cv2.warpAffine(mask.astype(np.float32), way, over.shape, flags=flags)
        over = np.maximum(over, carried)
    widen = np.ones((2 * _WIDEN_PX + 1,) * 2, np.uint8)
    hidden = cv2.dilate((over > _MASK).astype(np.uint8), widen)
    if not hidden.any() or hidden.all():
        return None
    return np.where(hidden[..., None] > 0, _filling(crop, hidden), crop)


def _filling(crop: np.ndarray, hidden: np.ndarray) -> np.ndarray:
    """The crop, coarse, where `hidden` (256, 256) filled from the surroundings."""
    import cv2

    size = (_COARSE_PX, _COARSE_PX)
    small = cv2.resize(crop, size, interpolation=cv2.INTER_AREA)
    share = cv2.resize(hidden.astype(np.float32), size, interpolation=cv2.INTER_AREA)
    unknown = cv2.dilate((share > 0).astype(np.uint8), np.ones((3, 3), np.uint8))
    filled = cv2.inpaint(small, unknown, _INPAINT_RADIUS_PX, cv2.INPAINT_TELEA)
    return cv2.resize(filled, crop.shape[1::-1])


def _to_image(square_px: np.ndarray) -> np.ndarray:
    """(3, 3) from pixel numbers of a crop to those of the image, counted as cv2 does."""
    matrix = np.eye(3)
    matrix[:2, :2] = turn(square_px[3]) * (square_px[2] / CROP_SIDE_PX)
    matrix[:2, 2] = to_image(np.array([0.5, 0.5]), square_px) - 0.5
    return matrix


def _box(keypoints_px: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Corners of the box around the key points that are seen."""
    seen = keypoints_px[:, 2] > _SEEN_SCORE
    points = keypoints_px[seen if seen.sum() >= _FEWEST_SEEN else slice(None), :2]
    return points.min(0), points.max(0)
