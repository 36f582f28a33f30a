"""Who is who from frame to frame: detections become tracklets, short but of one person only.

    every frame: camera step --> predict all tracklets --> assign detections (Hungarian)
                 --> look closer where a sure person was not seen --> new and lost tracklets

A tracklet ends at a cut, or when its person was not seen for half a second; `link.py` then joins
tracklets of one person.
"""

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np

from staf_backend.appearance import likeness, wear
from staf_backend.camera_motion import STILL, Step, chain, move
from staf_backend.detect import Detections, extent_px, keypoint_similarity
from staf_backend.track import LONGEST_GAP_S

# Of a pair's score: key points, boxes, clothes.  Below the least score a pair is no match.
_KEYPOINTS, _BOXES, _CLOTHES = 0.5, 0.25, 0.25
_LEAST_SCORE = 0.3
_START_SCORE = 0.25
_SURE_HITS, _SURE_SCORE = 3, 0.35
# A hit below this share of a person's usual score deserves a closer look.
_WEAK_SHARE = 0.7
# Nobody else may be this near, as a share of the size, where a look is skipped.
_APART = 0.25
# Boxes that overlap by more are in each other's way.
_IN_THE_WAY = 0.1
_VELOCITY_S = 0.1
_TORSO = [5, 6, 11, 12]

Closer = Callable[[np.ndarray, np.ndarray], Detections]


@dataclass(frozen=True)
class Frame:
    """One frame of the video: number, time, (H, W, 3) uint8 RGB, and the camera's step to it."""

    index: int
    time_s: float
    image: np.ndarray
    step: Step = STILL


@dataclass(frozen=True)
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
        hits: where he was seen.
        missed: frames on which the detector ran and he was not seen.
        points_px, box_px: of the last hit, carried along with the camera since.
        velocity_px_s: (2,) of his middle, the camera's motion taken out.
        carried: (2, 3) the camera's motion since the last hit.
    """

    shot: int
    hits: list[Hit]
    missed: set[int] = field(default_factory=set)
    points_px: np.ndarray = field(default_factory=lambda: np.zeros((17, 3)))
    box_px: np.ndarray = field(default_factory=lambda: np.zeros(4))
    velocity_px_s: np.ndarray = field(default_factory=lambda: np.zeros(2))
    score: float = 0.0
    clothes: np.ndarray = field(default_factory=lambda: np.zeros(()))

    @classmethod
    def start(cls, shot: int, hit: Hit) -> "Tracklet":
        """A tracklet of one hit."""
        return cls(
            shot, [hit], set(), hit.keypoints_px, hit.box_px, np.zeros(2), hit.score, hit.clothes
        )

    @property
    def last(self) -> Hit:
        return self.hits[-1]

    @property
    def sure(self) -> bool:
        """Seen often and clearly enough to be a real person."""
        return len(self.hits) >= _SURE_HITS and self.score >= _SURE_SCORE

    def carry(self, similarity: np.ndarray) -> None:
        """Take the camera's motion along."""
        xy = move(similarity, self.points_px[:, :2])
        self.points_px = np.column_stack([xy, self.points_px[:, 2]])
        self.box_px = move(similarity, self.box_px.reshape(2, 2)).reshape(4)
        self.velocity_px_s = similarity[:, :2] @ self.velocity_px_s

    def shift_px(self, time_s: float) -> np.ndarray:
        """(2,) how far he has probably gone since the last hit; the guess fades out."""
        gap_s = time_s - self.last.time_s
        return self.velocity_px_s * (0.3 * -np.expm1(-gap_s / 0.3))

    def predict(self, time_s: float) -> tuple[np.ndarray, np.ndarray]:
        """Key points (17, 3) and box (4,) expected at a time."""
        shift = self.shift_px(time_s)
        return self.points_px + np.append(shift, 0), self.box_px + np.tile(shift, 2)

    def add(self, hit: Hit, apart: bool) -> None:
        """Seen again: state and velocity follow; clothes only when nobody else is in the way."""
        gap_s = hit.time_s - self.last.time_s
        moved = (hit.keypoints_px - self.points_px)[_TORSO, :2].mean(0)
        share = -np.expm1(-gap_s / _VELOCITY_S)
        self.velocity_px_s = self.velocity_px_s + share * (moved / gap_s - self.velocity_px_s)
        self.points_px, self.box_px = hit.keypoints_px, hit.box_px
        self.score += 0.2 * (hit.score - self.score)
        if apart:
            self.clothes = self.clothes + 0.1 * (hit.clothes - self.clothes)
        self.hits.append(hit)


class Tracker:
    """Feed every frame in order, with detections where the detector ran; then `finish()`.

    Args:
        closer: looks for people in a window (x0, y0, x1, y1) of an image more closely than the
            detector does; used where a sure person was not found.  None: not done.
    """

    def __init__(self, closer: Closer | None = None) -> None:
        self._closer = closer
        self._active: list[Tracklet] = []
        self._done: list[Tracklet] = []
        self._paths: list[np.ndarray] = []
        self._frames: list[tuple[int, float]] = []
        self._shot = 0

    def boxes_px(self) -> np.ndarray:
        """(P, 4) where people are believed to be on the last frame."""
        return np.array([t.box_px for t in self._active]).reshape(-1, 4)

    def update(self, frame: Frame, detections: Detections | None) -> None:
        """Take the next frame; `detections` is None where the detector did not run."""
        if self._frames and frame.index != self._frames[-1][0] + 1:
            raise ValueError(f"frame {frame.index} follows {self._frames[-1][0]}")
        self._frames.append((frame.index, frame.time_s))
        self._paths.append(
            chain(self._paths[-1] if self._paths else np.eye(2, 3), frame.step.similarity)
        )
        if frame.step.cut:
            self._shot += 1
            self._close(lambda _: True)
        for tracklet in self._active:
            tracklet.carry(frame.step.similarity)
        if detections is not None:
            self._assign(frame, detections)
        self._close(lambda t: frame.time_s - t.last.time_s > LONGEST_GAP_S)

    def calm(self, time_s: float, steps: list[Step], found: Detections, tolerance: float) -> bool:
        """Whether detections, some frames ahead, show just the people and places expected.

        Args:
            time_s: of the detections.
            steps: the camera's, from the last updated frame up to theirs.
            found: the detections.
            tolerance: largest mean distance from the expected key points, as a share of the size.
        """
        promising = any(not t.sure and t.score >= _SURE_SCORE for t in self._active)
        if promising or any(step.cut for step in steps):
            return False
        clear = found.take(found.scores >= _SURE_SCORE)
        sure = [t for t in self._active if t.sure]
        if not sure:
            return not len(clear)
        way = np.eye(2, 3)
        for step in steps:
            way = chain(way, step.similarity)
        predicted = np.array([t.predict(time_s)[0] for t in sure])
        predicted[..., :2] = move(way, predicted[..., :2])
        return _all_expected(predicted, found, clear, tolerance)

    def tracklets(self) -> list[Tracklet]:
        """All tracklets so far, by their first frame; call when the last frame was fed."""
        return sorted([*self._done, *self._active], key=lambda t: (t.hits[0].frame, -t.score))

    def camera_path(self) -> tuple[int, np.ndarray]:
        """First frame number, and (F, 2, 3) similarities from it to every frame."""
        first = self._frames[0][0] if self._frames else 0
        return first, np.array(self._paths).reshape(-1, 2, 3)

    def times_s(self) -> np.ndarray:
        """(F,) times of the fed frames."""
        return np.array([time for _, time in self._frames])

    def _close(self, ended: Callable[[Tracklet], bool]) -> None:
        self._done += [t for t in self._active if ended(t)]
        self._active = [t for t in self._active if not ended(t)]

    def _assign(self, frame: Frame, found: Detections) -> None:
        clothes = [wear(frame.image, keypoints) for keypoints in found.keypoints_px]
        hits = [_hit(frame, found, row, clothes[row]) for row in range(len(found))]
        rows, cols = _match(_scores(self._active, hits, frame.time_s))
        seen = dict(zip(rows.tolist(), (hits[col] for col in cols), strict=True))
        for row, tracklet in enumerate(self._active):
            others = [hit for other, hit in seen.items() if other != row]
            hit = self._better(frame, tracklet, seen.get(row), others)
            if hit is None:
                tracklet.missed.add(frame.index)
            else:
                tracklet.add(hit, _is_apart(hit, others))
                seen[row] = hit
        taken = list(seen.values())
        for col in sorted(set(range(len(hits))) - set(cols.tolist())):
            if hits[col].score >= _START_SCORE and not _overlaps(hits[col], taken):
                self._active.append(Tracklet.start(self._shot, hits[col]))
                taken.append(hits[col])

    def _better(
        self, frame: Frame, tracklet: Tracklet, hit: Hit | None, others: list[Hit]
    ) -> Hit | None:
        """The hit, or that of a closer look where a sure person was not found or only badly."""
        if not tracklet.sure or (hit and hit.score >= _WEAK_SHARE * tracklet.score):
            return hit
        closer = self._look_closer(frame, tracklet, others)
        return max((h for h in (hit, closer) if h), key=lambda h: h.score, default=None)

    def _look_closer(self, frame: Frame, tracklet: Tracklet, taken: list[Hit]) -> Hit | None:
        """The person in an enlarged part of the picture around where he should be."""
        if self._closer is None:
            return None
        window = _window(tracklet.predict(frame.time_s)[1], frame.image.shape)
        if window is None:
            return None
        found = self._closer(frame.image, window)
        hits = [
            _hit(frame, found, row, wear(frame.image, found.keypoints_px[row]))
            for row in range(len(found))
            if found.scores[row] >= _START_SCORE
        ]
        hits = [hit for hit in hits if not _overlaps(hit, taken)]
        _, cols = _match(_scores([tracklet], hits, frame.time_s))
        return hits[cols[0]] if len(cols) else None


def _hit(frame: Frame, found: Detections, row: int, clothes: np.ndarray) -> Hit:
    box, keypoints = found.boxes_px[row], found.keypoints_px[row]
    return Hit(frame.index, frame.time_s, box, keypoints, float(found.scores[row]), clothes)


def _scores(tracklets: list[Tracklet], hits: list[Hit], time_s: float) -> np.ndarray:
    """How well tracklets and hits fit, (N, M), 0..1."""
    if not tracklets or not hits:
        return np.zeros((len(tracklets), len(hits)))
    predicted = [t.predict(time_s) for t in tracklets]
    points = np.array([keypoints for keypoints, _ in predicted])
    boxes = np.array([box for _, box in predicted])
    there = np.array([hit.keypoints_px for hit in hits])
    # tolerance grows with the time since a person was seen: 2 x COCO's at once, 4 x after 0.5 s
    spread = np.array([2 + 4 * (time_s - t.last.time_s) for t in tracklets])
    close = np.concatenate(
        [keypoint_similarity(p[None], there, s) for p, s in zip(points, spread, strict=True)]
    )
    clothes = likeness(
        np.array([t.clothes for t in tracklets])[:, None], np.array([h.clothes for h in hits])[None]
    )
    overlap = box_overlap(boxes, np.array([hit.box_px for hit in hits]))
    return _KEYPOINTS * close + _BOXES * overlap + _CLOTHES * clothes


def _match(scores: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Rows and columns of the best assignment, pairs that do not fit left out."""
    from scipy.optimize import linear_sum_assignment

    fit = np.where(scores >= _LEAST_SCORE + _CLOTHES / 2, scores, 0)
    rows, cols = linear_sum_assignment(-fit)
    good = fit[rows, cols] > 0
    return rows[good], cols[good]


def _overlaps(hit: Hit, taken: list[Hit]) -> bool:
    """Whether the same person was already taken on this frame."""
    if not taken:
        return False
    others = np.array([other.keypoints_px for other in taken])
    return bool(keypoint_similarity(hit.keypoints_px[None], others).max() > 0.5)


def _is_apart(hit: Hit, others: list[Hit]) -> bool:
    boxes = np.array([other.box_px for other in others]).reshape(-1, 4)
    return not np.any(box_overlap(hit.box_px[None], boxes) > _IN_THE_WAY)


def _window(box_px: np.ndarray, shape: tuple[int, ...]) -> np.ndarray | None:
    """Square part (x0, y0, x1, y1) of the picture in which the person fills about 60 %."""
    middle = (box_px[:2] + box_px[2:]) / 2
    half = max(16.0, 0.85 * (box_px[2:] - box_px[:2]).max())
    limit = np.array(shape[1::-1])
    low = np.clip(np.floor(middle - half), 0, limit).astype(int)
    high = np.clip(np.ceil(middle + half), 0, limit).astype(int)
    return None if (high - low).min() < 16 else np.concatenate([low, high])


def box_overlap(one_px: np.ndarray, other_px: np.ndarray) -> np.ndarray:
    """Intersection over union (P, Q) of boxes (P, 4) and (Q, 4)."""
    low = np.maximum(one_px[:, None, :2], other_px[None, :, :2])
    high = np.minimum(one_px[:, None, 2:], other_px[None, :, 2:])
    inside = np.clip(high - low, 0, None).prod(-1)
    area = [(b[:, 2:] - b[:, :2]).prod(-1) for b in (one_px, other_px)]
    return inside / np.maximum(area[0][:, None] + area[1][None] - inside, 1e-9)


def _all_expected(
    predicted: np.ndarray, found: Detections, clear: Detections, tolerance: float
) -> bool:
    """Each sure person is where predicted, apart from the others, and nobody else is clear."""
    if not len(found):
        return False
    gap = np.linalg.norm(predicted[:, None, :, :2] - found.keypoints_px[None, ..., :2], axis=-1)
    weight = predicted[:, None, :, 2] * found.keypoints_px[None, ..., 2] + 1e-6
    off = (gap * weight).sum(-1) / weight.sum(-1) / np.maximum(extent_px(predicted), 1)[:, None]
    nearest = off.argmin(1)
    second = np.sort(off, 1)[:, 1:2]
    if off.min(1).max() > tolerance or np.any(second < _APART):
        return False
    strangers = set(range(len(clear))) - set(nearest.tolist())
    return not strangers
