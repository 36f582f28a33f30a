"""Finished tracks: tracklets of one person joined, gaps filled, boxes smoothed, people numbered.

tracklets ──join over gaps (way, size, looks) and cuts (looks)──► chains ──split, fill──► Tracks
"""

import logging
from collections.abc import Iterator

import numpy as np

from staf_backend.people.clothes import clothes_similarity
from staf_backend.people.fill import Filled, is_long_enough, split
from staf_backend.people.keypoints import extent_px
from staf_backend.people.likeness import CosineScale
from staf_backend.people.track import SHORTEST_S, NobodyError, Track
from staf_backend.people.tracker import Tracker
from staf_backend.people.tracklet import Tracklet

_log = logging.getLogger(__name__)

_LONGEST_ABSENCE_S = 10.0
"""Chosen: whoever comes back later is somebody new, since light and clothes will have changed."""
_LEAST_CLOTHES, _LEAST_ALIKE = 0.75, 0.4
"""Similarity of clothes, and of appearances where a network tells them, below which two tracklets
are not one person.  Chosen; measured similarities of one person's appearances are above 0.86."""
_SURE_LIKENESS, _SURE_AHEAD, _SURE_LOOKS = 2 / 3, 1 / 3, 3
"""Over a cut: least likeness of appearances, how much more alike than anybody else who is there,
and looks at each.  Measured (training/LOG.md; cosines of 0.65, and 0.15 ahead): nobody else came so
near."""
_GREATEST_SIZE_RATIO = 1.8
"""Chosen: somebody who comes nearer or bends down meanwhile."""
_REACH_AT_ONCE, _REACH_PER_S = 0.5, 2.5
"""Shares of the own size that somebody may move during an absence.  Chosen: a run across."""
_AWAY_COST, _COST_PER_S = 0.5, 0.05
"""Of the whole reach, and of each second of absence, beside what looks differ by.  Chosen: looks
say most."""
_REAL_SCORE, _FAINT_SCORE = 0.3, 0.2
"""Mean scores of people; the lower counts where nobody has the higher.  Measured (training/LOG.md):
plainly visible people reach 0.1 to 0.35, photographs without people at most 0.17."""


def finish(tracker: Tracker) -> list[Track]:
    """The tracks of all people, the main person first.

    Raises:
        NobodyError: nobody, or nobody for long enough.
    """
    tracklets = _real(tracker.tracklets())
    if not tracklets:
        advice = "Choose footage in which a person is larger, or better lit."
        raise NobodyError("Nobody was found.", advice)
    first, path = tracker.camera_path()
    times_s = tracker.times_s()
    people = []
    for chain in _join(tracklets, path, first, tracker.likeness.scale):
        stretches = [
            s for s in split(chain, times_s) if is_long_enough(s.hits["frame"], times_s, first)
        ]
        if stretches:
            people.append([Filled.make(s, times_s, first) for s in stretches])
    if not people:
        message = f"People were seen, but never for longer than {SHORTEST_S:g} s."
        raise NobodyError(
            message, "Choose a longer stretch, or one in which the person stays in sight."
        )
    people.sort(key=lambda parts: -sum(p.weight for p in parts))
    return [
        part.track(number, at)
        for number, parts in enumerate(people, 1)
        for at, part in enumerate(parts, 1)
    ]


def _real(tracklets: list[Tracklet]) -> list[Tracklet]:
    """Who was seen surely enough on the whole; where nobody was, who was seen faintly."""
    means = [float(t.hits.rows()["score"].mean()) for t in tracklets]
    if tracklets and _FAINT_SCORE <= max(means) < _REAL_SCORE:
        _log.warning("people were seen only faintly: look at the result before you use it")
    least = _REAL_SCORE if max(means, default=0.0) >= _REAL_SCORE else _FAINT_SCORE
    return [t for t, mean in zip(tracklets, means, strict=True) if mean >= least]


def _join(
    tracklets: list[Tracklet], path: np.ndarray, first: int, scale: CosineScale | None
) -> list[list[Tracklet]]:
    """Chains of tracklets of one person each, the best pairs first."""
    pairs = sorted(
        (cost, i, j)
        for i, before in enumerate(tracklets)
        for j, after in _candidates(tracklets, i)
        if (cost := _cost(before, after, path, first, scale)) is not None
    )
    pairs += _over_cuts(tracklets, scale) if scale else []
    following: dict[int, int] = {}
    taken: set[int] = set()
    for _, i, j in pairs:
        if i not in following and j not in taken:
            following[i] = j
            taken.add(j)
    return [_chain(i, following, tracklets) for i in range(len(tracklets)) if i not in taken]


def _candidates(tracklets: list[Tracklet], i: int) -> Iterator[tuple[int, Tracklet]]:
    """Tracklets of the same shot that start after tracklet i ends, within ten seconds."""
    end = tracklets[i].hits.last
    for j in range(i + 1, len(tracklets)):
        start = tracklets[j].hits.first
        if start["time_s"] - end["time_s"] > _LONGEST_ABSENCE_S:
            return
        if start["frame"] > end["frame"] and tracklets[j].shot == tracklets[i].shot:
            yield j, tracklets[j]


def _cost(
    before: Tracklet, after: Tracklet, path: np.ndarray, first: int, scale: CosineScale | None
) -> float | None:
    """How unlikely it is that both are one person, 0..; None: impossible."""
    end, start = before.hits.last, after.hits.first
    gap_s = float(start["time_s"] - end["time_s"])
    looks = _looks(before, after, scale)
    sizes = [float(np.median(extent_px(t.hits.rows()["keypoints_px"]))) for t in (before, after)]
    ratio = max(sizes) / max(min(sizes), 1e-6)
    guess = _still(end, path, first) + before.prediction.shift_px(float(start["time_s"]))
    away = float(np.linalg.norm(_still(start, path, first) - guess)) / max(sizes)
    reach = _REACH_AT_ONCE + _REACH_PER_S * gap_s
    if looks is None or ratio > _GREATEST_SIZE_RATIO or away > reach:
        return None
    return (1 - looks) + _AWAY_COST * away / reach + _COST_PER_S * gap_s


def _looks(before: Tracklet, after: Tracklet, scale: CosineScale | None) -> float | None:
    """How alike both look, 0..1; None: not one person."""
    clothes = float(clothes_similarity(before.clothes, after.clothes))
    if not (scale and before.gallery and after.gallery):
        return clothes if clothes >= _LEAST_CLOTHES else None
    similarity = scale.similarity(before.gallery.cosine_to(after.gallery))
    return similarity * clothes if similarity >= _LEAST_ALIKE else None


def _over_cuts(tracklets: list[Tracklet], scale: CosineScale) -> list[tuple[float, int, int]]:
    """Costs of pairs on both sides of a cut that are surely one person, the best first.

    A cut changes place and size, so looks alone say it: the last of one shot and the first of a
    later one must be alike, and less so with everybody who is beside the other.
    """
    known = [n for n, one in enumerate(tracklets) if len(one.gallery) >= _SURE_LOOKS]
    alike = {
        (i, j): scale.likeness(tracklets[i].gallery.cosine_to(tracklets[j].gallery))
        for i in known
        for j in known
        if tracklets[i].shot < tracklets[j].shot and _away_s(tracklets[i], tracklets[j]) is not None
    }
    pairs = []
    for (i, j), likeness in alike.items():
        rivals = [
            other
            for (a, b), other in alike.items()
            if (a == i and _together(tracklets[b], tracklets[j]) and b != j)
            or (b == j and _together(tracklets[a], tracklets[i]) and a != i)
        ]
        ahead = likeness - max(rivals, default=-np.inf)
        if likeness >= _SURE_LIKENESS and ahead >= _SURE_AHEAD:
            away_s = _away_s(tracklets[i], tracklets[j]) or 0.0
            pairs.append((1 - likeness + _COST_PER_S * away_s, i, j))
    return sorted(pairs)


def _away_s(before: Tracklet, after: Tracklet) -> float | None:
    """Seconds from the end of one to the start of the other; None: not one after the other."""
    away_s = float(after.hits.first["time_s"] - before.hits.last["time_s"])
    return away_s if 0 < away_s <= _LONGEST_ABSENCE_S else None


def _together(one: Tracklet, other: Tracklet) -> bool:
    """Whether both are seen at once, as two people."""
    begin = max(one.hits.first["frame"], other.hits.first["frame"])
    return bool(begin <= min(one.hits.last["frame"], other.hits.last["frame"]))


def _still(hit: np.void, path: np.ndarray, first: int) -> np.ndarray:
    """Middle (2,) of a hit where it would be on the first frame, had only the camera moved."""
    linear, shift = np.split(path[hit["frame"] - first], [2], axis=1)
    middle = (hit["box_px"][:2] + hit["box_px"][2:]) / 2
    return np.linalg.solve(linear, middle - shift[:, 0])


def _chain(i: int, following: dict[int, int], tracklets: list[Tracklet]) -> list[Tracklet]:
    chain = [tracklets[i]]
    while i in following:
        i = following[i]
        chain.append(tracklets[i])
    return chain
