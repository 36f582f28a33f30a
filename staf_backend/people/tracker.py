"""Who is who from frame to frame: detections become tracklets, short but of one person only.

    every frame: camera step --> predict all tracklets --> assign detections (Hungarian)
                 --> look closer where somebody is seen badly --> new and lost tracklets

A tracklet ends at a cut, or when its person was not seen for half a second; `join.py` then joins
tracklets of one person.
"""

from collections.abc import Callable

import numpy as np

from staf_backend.people.camera_motion import Step, chain, move
from staf_backend.people.detect import Detections, extent_px, keypoint_similarity
from staf_backend.people.track import LONGEST_GAP_S
from staf_backend.people.tracklet import (
    SURE_SCORE,
    Frame,
    Hit,
    Tracklet,
    box_overlap,
    hits_of,
    match,
    scores,
)

_START_SCORE = 0.25
# A hit below this share of a person's usual score deserves a closer look.
_WEAK_SHARE = 0.7
# Nobody else may be this near, as a share of the size, where a look is skipped.
_APART = 0.25
# Boxes that overlap by more are in each other's way.
_IN_THE_WAY = 0.1
# Key-point similarity of a badly seen stranger and the same person seen closer.
_SAME_PLACE = 0.2

Closer = Callable[[np.ndarray, np.ndarray], Detections]


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

    def knows_somebody(self) -> bool:
        """Whether a sure person is being followed."""
        return any(tracklet.sure for tracklet in self._active)

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
        self._close(lambda t: frame.time_s - t.last_s > LONGEST_GAP_S)

    def calm(self, time_s: float, steps: list[Step], found: Detections, tolerance: float) -> bool:
        """Whether detections, some frames ahead, show just the people and places expected.

        Args:
            time_s: of the detections.
            steps: the camera's, from the last updated frame up to theirs.
            found: the detections.
            tolerance: largest mean distance from the expected key points, as a share of the size.
        """
        promising = any(not t.sure and t.score >= SURE_SCORE for t in self._active)
        if promising or any(step.cut for step in steps):
            return False
        clear = found.take(found.scores >= SURE_SCORE)
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
        return sorted(
            [*self._done, *self._active], key=lambda t: (int(t.hits.first["frame"]), -t.score)
        )

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
        hits = hits_of(frame, found)
        rows, cols = match(scores(self._active, hits, frame.time_s))
        seen = dict(zip(rows.tolist(), (hits[col] for col in cols), strict=True))
        for row, tracklet in enumerate(self._active):
            others = [hit for other, hit in seen.items() if other != row]
            hit = self._better(frame, tracklet, seen.get(row), others)
            if hit is None:
                tracklet.missed.add(frame.index)
            else:
                tracklet.add(hit, _is_apart(hit, others))
                seen[row] = hit
        strangers = [hit for col, hit in enumerate(hits) if col not in set(cols.tolist())]
        self._greet(frame, strangers, list(seen.values()))

    def _better(
        self, frame: Frame, tracklet: Tracklet, hit: Hit | None, others: list[Hit]
    ) -> Hit | None:
        """The hit, or that of a closer look where a clear person was not found or only badly."""
        unclear = tracklet.score < SURE_SCORE
        if unclear or (hit and hit.score >= _WEAK_SHARE * tracklet.score):
            return hit
        closer = self._look_closer(frame, tracklet.predict(frame.time_s)[1], others)
        _, cols = match(scores([tracklet], closer, frame.time_s))
        both = [h for h in (hit, *(closer[col] for col in cols)) if h]
        return max(both, key=lambda h: h.score, default=None)

    def _greet(self, frame: Frame, strangers: list[Hit], taken: list[Hit]) -> None:
        """New tracklets; of the strangers seen badly, the clearest gets a closer look."""
        strangers = [hit for hit in strangers if not _overlaps(hit, taken)]
        weak = [hit for hit in strangers if hit.score < _START_SCORE]
        new = [hit for hit in strangers if hit.score >= _START_SCORE]
        if weak:
            clearest = max(weak, key=lambda hit: hit.score)
            closer = self._look_closer(frame, clearest.box_px, taken + new)
            new += [hit for hit in closer if _overlaps(hit, [clearest], _SAME_PLACE)]
        for hit in new:
            if not _overlaps(hit, taken):
                self._active.append(Tracklet.start(self._shot, hit))
                taken.append(hit)

    def _look_closer(self, frame: Frame, box_px: np.ndarray, taken: list[Hit]) -> list[Hit]:
        """Who is clear in an enlarged part of the picture around a box, and not taken yet."""
        window = _window(box_px, frame.image.shape)
        if self._closer is None or window is None:
            return []
        hits = hits_of(frame, self._closer(frame.image, window))
        return [h for h in hits if h.score >= _START_SCORE and not _overlaps(h, taken)]


def _overlaps(hit: Hit, taken: list[Hit], similarity: float = 0.5) -> bool:
    """Whether the same person was already taken on this frame."""
    if not taken:
        return False
    others = np.array([other.keypoints_px for other in taken])
    return bool(keypoint_similarity(hit.keypoints_px[None], others).max() > similarity)


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
