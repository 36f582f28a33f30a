"""The people found in one image: the type `Detections`, and keeping one of those found twice."""

from dataclasses import dataclass

import numpy as np

from staf_backend.people.keypoints import COUNT, keypoint_similarity

_SAME_OKS = 0.7
"""Of two people of one image whose key points are more similar one is a duplicate.  Chosen: two
readings of one person should lie above, neighbours in a crowd below."""


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
        for name, shape in (("boxes_px", (4,)), ("scores", ()), ("keypoints_px", (COUNT, 3))):
            if getattr(self, name).shape != (people, *shape):
                raise ValueError(f"{name} must be {(people, *shape)}")

    def __len__(self) -> int:
        return len(self.scores)

    def take(self, rows: np.ndarray) -> "Detections":
        """The people of the given rows, or of a boolean mask."""
        return Detections(self.boxes_px[rows], self.scores[rows], self.keypoints_px[rows])

    def moved(self, shift_px: np.ndarray) -> "Detections":
        """The same people, (2,) pixels further to the right and down."""
        keypoints = self.keypoints_px + np.append(shift_px, 0)
        return Detections(self.boxes_px + np.tile(shift_px, 2), self.scores, keypoints)


def suppress_duplicates(found: Detections) -> Detections:
    """Keep the surest of every group of people whose key points nearly coincide."""
    similarity = keypoint_similarity(found.keypoints_px, found.keypoints_px)
    keep: list[int] = []
    for row in np.argsort(-found.scores, kind="stable"):
        if all(similarity[row, other] <= _SAME_OKS for other in keep):
            keep.append(int(row))
    return found.take(np.array(keep, int))


def merge(one: Detections, other: Detections) -> Detections:
    """Everybody in either, the surer one of each pair that is the same person."""
    pairs = ((one.boxes_px, other.boxes_px), (one.scores, other.scores))
    joined = [np.concatenate(pair) for pair in (*pairs, (one.keypoints_px, other.keypoints_px))]
    return suppress_duplicates(Detections(*joined))
