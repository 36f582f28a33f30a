"""Match: which of the people followed is which of the people seen on a frame.

key points, boxes, clothes ──► score of every pair ──Hungarian algorithm──► pairs
"""

from collections.abc import Sequence

import numpy as np

from staf_backend.people.clothes import clothes_similarity
from staf_backend.people.hits import Hit
from staf_backend.people.keypoints import keypoint_similarity
from staf_backend.people.tracklet import Tracklet

_KEYPOINTS, _BOXES, _CLOTHES = 0.5, 0.25, 0.25
"""Shares of a pair's score.  Chosen: poses tell most; clothes alone must not make a match."""
_LEAST_SCORE = 0.425
"""Of a pair that may match.  Chosen: above the share of clothes and a little of the rest."""
_TOLERANCE, _TOLERANCE_PER_S = 2, 4
"""On COCO's annotators at once, and each second since a person was seen.  Chosen: 4 after 0.5 s."""
_AWAY_S, _SURELY_AWAY_S = 0.14, 0.22
"""Unseen for longer, clothes begin to decide, and decide.  Chosen: more than the longest stride
from look to look, and two frames beyond."""
_SAME_OKS = 0.5
"""Key-point similarity above which two hits of a frame are one person.  Chosen: half of all."""
_IN_THE_WAY_IOU = 0.1
"""Boxes that overlap by more are in each other's way.  Chosen: a hand or a foot may."""


def pair_scores(tracklets: Sequence[Tracklet], hits: Sequence[Hit], time_s: float) -> np.ndarray:
    """How well tracklets and hits of a time fit, (N, M), 0..1."""
    if not tracklets or not hits:
        return np.zeros((len(tracklets), len(hits)))
    predicted = [t.prediction.at(time_s) for t in tracklets]
    points = np.array([keypoints for keypoints, _ in predicted])
    boxes = np.array([box for _, box in predicted])
    there = np.array([hit.keypoints_px for hit in hits])
    tolerances = np.array(
        [_TOLERANCE + _TOLERANCE_PER_S * (time_s - t.prediction.last_s) for t in tracklets]
    )
    close = np.concatenate(
        [keypoint_similarity(p[None], there, t) for p, t in zip(points, tolerances, strict=True)]
    )
    clothes = clothes_similarity(
        np.array([t.clothes for t in tracklets])[:, None], np.array([h.clothes for h in hits])[None]
    )
    overlap = box_overlap(boxes, np.array([hit.box_px for hit in hits]))
    scores = _KEYPOINTS * close + _BOXES * overlap + _CLOTHES * clothes
    away_s = time_s - np.array([t.prediction.last_s for t in tracklets])
    return scores - _of_another(clothes, away_s)


def _of_another(clothes: np.ndarray, away_s: np.ndarray) -> np.ndarray:
    """(N, M) by how much a hit's clothes are rather somebody else's than a person's who was away.

    Who comes out from behind something is expected where they went in, and so is everybody else who
    went in there.

    Args:
        clothes: (N, M) similarity of the people followed and the hits.
        away_s: (N,) for how long each person was not seen.
    """
    if len(clothes) == 1:
        return np.zeros_like(clothes)
    others = np.stack([np.delete(clothes, n, 0).max(0) for n in range(len(clothes))])
    share = np.clip((away_s - _AWAY_S) / (_SURELY_AWAY_S - _AWAY_S), 0, 1)
    return share[:, None] * np.maximum(others - clothes, 0)


def match(
    tracklets: Sequence[Tracklet], hits: Sequence[Hit], time_s: float
) -> list[tuple[int, int]]:
    """Rows of tracklets and of hits that belong together; the best assignment on the whole."""
    from scipy.optimize import linear_sum_assignment

    scores = pair_scores(tracklets, hits, time_s)
    good = np.where(scores >= _LEAST_SCORE, scores, 0)
    rows, cols = linear_sum_assignment(-good)
    fit = good[rows, cols] > 0
    return list(zip(rows[fit].tolist(), cols[fit].tolist(), strict=True))


def is_same_person(hit: Hit, others: Sequence[Hit], least_oks: float = _SAME_OKS) -> bool:
    """Whether a hit is the same person as one of the others, on one frame."""
    if not others:
        return False
    keypoints = np.array([other.keypoints_px for other in others])
    return bool(keypoint_similarity(hit.keypoints_px[None], keypoints).max() > least_oks)


def is_unobstructed(hit: Hit, others: Sequence[Hit]) -> bool:
    """Whether nobody of the others is in front of or behind a person."""
    boxes = np.array([other.box_px for other in others]).reshape(-1, 4)
    return not np.any(box_overlap(hit.box_px[None], boxes) > _IN_THE_WAY_IOU)


def box_overlap(one_px: np.ndarray, other_px: np.ndarray) -> np.ndarray:
    """Intersection over union (P, Q) of boxes (P, 4) and (Q, 4)."""
    low = np.maximum(one_px[:, None, :2], other_px[None, :, :2])
    high = np.minimum(one_px[:, None, 2:], other_px[None, :, 2:])
    inside = np.clip(high - low, 0, None).prod(-1)
    area = [(b[:, 2:] - b[:, :2]).prod(-1) for b in (one_px, other_px)]
    return inside / np.maximum(area[0][:, None] + area[1][None] - inside, 1e-9)
