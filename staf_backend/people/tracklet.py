"""One person while he is followed: where he was seen, where he should be, what fits him.

Tracklet --predict--> key points, box --compare with hits (key points, boxes, clothes)--> pairs
"""

from dataclasses import dataclass, field

import numpy as np

from staf_backend.people.appearance import likeness, wear
from staf_backend.people.camera_motion import STILL, Step, move
from staf_backend.people.detect import Detections, keypoint_similarity
from staf_backend.people.hit_log import HitLog

# Of a pair's score: key points, boxes, clothes.  Whom only the clothes fit is no match.
_KEYPOINTS, _BOXES, _CLOTHES = 0.5, 0.25, 0.25
_LEAST_SCORE = 0.425
_SURE_HITS, SURE_SCORE = 3, 0.35
_VELOCITY_S = 0.1
_TORSO = [5, 6, 11, 12]


@dataclass(frozen=True)
class Frame:
    """One frame of the video: number, time, (H, W, 3) uint8 RGB, and the camera's step to it."""

    index: int
    time_s: float
    image: np.ndarray
    step: Step = STILL


@dataclass(frozen=True, slots=True)
class Hit:
    """One person on one frame: box (4,) x0, y0, x1, y1, key points (17, 3), score, clothes."""

    frame: int
    time_s: float
    box_px: np.ndarray
    keypoints_px: np.ndarray
    score: float
    clothes: np.ndarray


@dataclass
class Tracklet:
    """One person while he is followed.

    Attributes:
        shot: number of the shot (cuts so far); people are never joined across shots.
        hits: where he was seen; the clothes are remembered by the tracklet alone.
        missed: frames on which the detector ran and he was not seen.
        points_px, box_px: of the last hit, carried along with the camera since.
        velocity_px_s: (2,) of his middle, the camera's motion taken out.
        carried: (2, 3) the camera's motion since the last hit.
    """

    shot: int
    hits: HitLog
    missed: set[int] = field(default_factory=set)
    points_px: np.ndarray = field(default_factory=lambda: np.zeros((17, 3)))
    box_px: np.ndarray = field(default_factory=lambda: np.zeros(4))
    velocity_px_s: np.ndarray = field(default_factory=lambda: np.zeros(2))
    score: float = 0.0
    clothes: np.ndarray = field(default_factory=lambda: np.zeros(()))

    @classmethod
    def start(cls, shot: int, hit: Hit) -> "Tracklet":
        """A tracklet of one hit."""
        tracklet = cls(
            shot, HitLog(), set(), hit.keypoints_px, hit.box_px, np.zeros(2), hit.score, hit.clothes
        )
        tracklet._keep(hit)
        return tracklet

    @property
    def last_s(self) -> float:
        """When he was last seen."""
        return float(self.hits.last["time_s"])

    @property
    def sure(self) -> bool:
        """Seen often and clearly enough to be a real person."""
        return len(self.hits) >= _SURE_HITS and self.score >= SURE_SCORE

    def carry(self, similarity: np.ndarray) -> None:
        """Take the camera's motion along."""
        xy = move(similarity, self.points_px[:, :2])
        self.points_px = np.column_stack([xy, self.points_px[:, 2]])
        self.box_px = move(similarity, self.box_px.reshape(2, 2)).reshape(4)
        self.velocity_px_s = similarity[:, :2] @ self.velocity_px_s

    def shift_px(self, time_s: float) -> np.ndarray:
        """(2,) how far he has probably gone since the last hit; the guess fades out."""
        gap_s = time_s - self.last_s
        return self.velocity_px_s * (0.3 * -np.expm1(-gap_s / 0.3))

    def predict(self, time_s: float) -> tuple[np.ndarray, np.ndarray]:
        """Key points (17, 3) and box (4,) expected at a time."""
        shift = self.shift_px(time_s)
        return self.points_px + np.append(shift, 0), self.box_px + np.tile(shift, 2)

    def add(self, hit: Hit, apart: bool) -> None:
        """Seen again: state and velocity follow; clothes only when nobody else is in the way."""
        gap_s = hit.time_s - self.last_s
        moved = (hit.keypoints_px - self.points_px)[_TORSO, :2].mean(0)
        share = -np.expm1(-gap_s / _VELOCITY_S)
        self.velocity_px_s = self.velocity_px_s + share * (moved / gap_s - self.velocity_px_s)
        self.points_px, self.box_px = hit.keypoints_px, hit.box_px
        self.score += 0.2 * (hit.score - self.score)
        if apart:
            self.clothes = self.clothes + 0.1 * (hit.clothes - self.clothes)
        self._keep(hit)

    def _keep(self, hit: Hit) -> None:
        self.hits.append(hit.frame, hit.time_s, hit.box_px, hit.keypoints_px, hit.score)


def hits_of(frame: Frame, found: Detections) -> list[Hit]:
    """The people found on a frame, with what they wear."""
    return [
        Hit(frame.index, frame.time_s, box, keypoints, float(score), wear(frame.image, keypoints))
        for box, keypoints, score in zip(
            found.boxes_px, found.keypoints_px, found.scores, strict=True
        )
    ]


def scores(tracklets: list[Tracklet], hits: list[Hit], time_s: float) -> np.ndarray:
    """How well tracklets and hits fit, (N, M), 0..1."""
    if not tracklets or not hits:
        return np.zeros((len(tracklets), len(hits)))
    predicted = [t.predict(time_s) for t in tracklets]
    points = np.array([keypoints for keypoints, _ in predicted])
    boxes = np.array([box for _, box in predicted])
    there = np.array([hit.keypoints_px for hit in hits])
    # tolerance grows with the time since a person was seen: 2 x COCO's at once, 4 x after 0.5 s
    spread = np.array([2 + 4 * (time_s - t.last_s) for t in tracklets])
    close = np.concatenate(
        [keypoint_similarity(p[None], there, s) for p, s in zip(points, spread, strict=True)]
    )
    clothes = likeness(
        np.array([t.clothes for t in tracklets])[:, None], np.array([h.clothes for h in hits])[None]
    )
    overlap = box_overlap(boxes, np.array([hit.box_px for hit in hits]))
    return _KEYPOINTS * close + _BOXES * overlap + _CLOTHES * clothes


def match(fits: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Rows and columns of the best assignment, pairs that do not fit left out."""
    from scipy.optimize import linear_sum_assignment

    good = np.where(fits >= _LEAST_SCORE, fits, 0)
    rows, cols = linear_sum_assignment(-good)
    fit = good[rows, cols] > 0
    return rows[fit], cols[fit]


def box_overlap(one_px: np.ndarray, other_px: np.ndarray) -> np.ndarray:
    """Intersection over union (P, Q) of boxes (P, 4) and (Q, 4)."""
    low = np.maximum(one_px[:, None, :2], other_px[None, :, :2])
    high = np.minimum(one_px[:, None, 2:], other_px[None, :, 2:])
    inside = np.clip(high - low, 0, None).prod(-1)
    area = [(b[:, 2:] - b[:, :2]).prod(-1) for b in (one_px, other_px)]
    return inside / np.maximum(area[0][:, None] + area[1][None] - inside, 1e-9)
