"""Match: which of the people followed is which of the people seen on a frame.

key points, boxes, looks ──► score of every pair ──Hungarian algorithm──► pairs

Looks are the colours of clothes; where more than one way leads to somebody, or somebody was away,
the appearance network is asked as well.
"""

from collections.abc import Sequence

import numpy as np

from staf_backend.people.clothes import clothes_similarity
from staf_backend.people.hits import Hit
from staf_backend.people.keypoints import keypoint_similarity
from staf_backend.people.likeness import CosineScale
from staf_backend.people.tracklet import Tracklet

_KEYPOINTS, _BOXES, _LOOKS = 0.5, 0.25, 0.25
"""Shares of a pair's score.  Chosen: poses tell most; looks alone must not make a match."""
_LEAST_SCORE = 0.425
"""Of a pair that may match.  Chosen: above the share of looks and a little of the rest."""
_NO_WAY = 0.1
"""Score of key points and boxes below which somebody cannot have got there.  Chosen."""
_TOLERANCE, _TOLERANCE_PER_S = 2, 4
"""On COCO's annotators at once, and each second since a person was seen.  Chosen: 4 after 0.5 s."""
_AWAY_S, _SURELY_AWAY_S = 0.14, 0.22
"""Unseen for longer, looks begin to decide, and decide.  Chosen: more than the longest stride
from look to look, and two frames beyond."""
_SAME_OKS = 0.5
"""Key-point similarity above which two hits of a frame are one person.  Chosen: half of all."""
_IN_THE_WAY_IOU = 0.1
"""Boxes that overlap by more are in each other's way.  Chosen: a hand or a foot may."""


def pair_scores(
    tracklets: Sequence[Tracklet],
    hits: Sequence[Hit],
    time_s: float,
    scale: CosineScale | None = None,
) -> np.ndarray:
    """How well tracklets and hits of a time fit, (N, M), 0..1.

    Args:
        tracklets, hits: who is followed, and who was seen.
        time_s: of the frame.
        scale: of appearances; None: they are not asked.
    """
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
    overlap = box_overlap(boxes, np.array([hit.box_px for hit in hits]))
    ways = _KEYPOINTS * close + _BOXES * overlap
    away_s = time_s - np.array([t.prediction.last_s for t in tracklets])
    contested = _is_contested(ways, away_s)
    looks = _similarity(tracklets, hits, scale if contested else None)
    return ways + _LOOKS * looks - _of_another(looks, away_s)


def _is_contested(ways: np.ndarray, away_s: np.ndarray) -> bool:
    """Whether ways (N, M) may lead to somebody else, or somebody was away."""
    open_ways = ways > _NO_WAY
    crowded = open_ways.sum(0).max() > 1 or open_ways.sum(1).max() > 1
    return bool(crowded or (len(ways) > 1 and away_s.max() > _AWAY_S))


def _similarity(
    tracklets: Sequence[Tracklet], hits: Sequence[Hit], scale: CosineScale | None
) -> np.ndarray:
    """How alike people and hits look, (N, M), 0..1; by clothes alone without a scale."""
    similarity = clothes_similarity(
        np.array([t.clothes for t in tracklets])[:, None], np.array([h.clothes for h in hits])[None]
    )
    if scale and all(t.gallery for t in tracklets):
        for col, hit in enumerate(hits):
            if hit.look:
                vector = hit.look.vector
                cosines = [t.gallery.cosine(vector) for t in tracklets]
                similarity[:, col] *= [scale.similarity(cosine) for cosine in cosines]
    return similarity


def _of_another(looks: np.ndarray, away_s: np.ndarray) -> np.ndarray:
    """(N, M) by how much a hit looks rather like somebody else than a person who was away.

    Who comes out from behind something is expected where they went in, and so is everybody else who
    went in there.

    Args:
        looks: (N, M) similarity of the people followed and the hits.
        away_s: (N,) for how long each person was not seen.
    """
    if len(looks) == 1:
        return np.zeros_like(looks)
    others = np.stack([np.delete(looks, n, 0).max(0) for n in range(len(looks))])
    share = np.clip((away_s - _AWAY_S) / (_SURELY_AWAY_S - _AWAY_S), 0, 1)
    return share[:, None] * np.maximum(others - looks, 0)


def match(
    tracklets: Sequence[Tracklet],
    hits: Sequence[Hit],
    time_s: float,
    scale: CosineScale | None = None,
) -> list[tuple[int, int]]:
    """Rows of tracklets and of hits that belong together; the best assignment on the whole."""
    from scipy.optimize import linear_sum_assignment

    scores = pair_scores(tracklets, hits, time_s, scale)
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
