"""A network's scores on one set: videos in, means out, in memory that does not grow.

source or feature cache ─ parts ─┬─ crops, maps ─► Recoverer ─► points ─┐
                                 └─ labels, waiting for their result ───┴─► Scores
"""

import json
import logging
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any, NamedTuple, Protocol

import numpy as np
import torch
from torch import Tensor

from staf_backend import __version__
from staf_backend.files import make_folder, replace_atomically
from staf_backend.staf.network import StageParams
from training.data.feature_cache import FeatureCache, labelled_gender
from training.scoring.metrics import GAP, Frames, ScoreError, Scores, Summary
from training.scoring.protocols import EvaluationError
from training.scoring.recoverers import Recoverer, joined_params
from training.scoring.scored_points import ScoredPoints
from training.targets import SequenceSource, Targets

log = logging.getLogger(__name__)
_ROWS = 32
"""Frames of kept maps that are read at once (chosen: some megabytes)."""


class Part(NamedTuple):
    """Consecutive frames of one video: crops (n, 224, 224, 3) uint8 or maps (n, C, 7, 7), numpy
    labels (n, ...), times_s (n,), valid (n,) bool, and the video's name if it has one."""

    frames: Tensor
    targets: Targets
    times_s: np.ndarray
    valid: np.ndarray
    name: str = ""


class Videos(Protocol):
    """What is scored: videos of single people in parts.

    `body` names whose betas the labels are.
    """

    name: str
    body: str

    @property
    def channels(self) -> int | None:
        """Width of maps; None for crops."""
        ...

    def __len__(self) -> int: ...

    def parts(self, index: int) -> Iterator[Part]:
        """Video `index` in parts of bounded length."""
        ...

    def gender(self, index: int) -> str:
        """Of the body that the labels of video `index` are for."""
        ...


class SourceVideos:
    """A `SequenceSource` as videos."""

    channels = None

    def __init__(self, source: SequenceSource) -> None:
        self.source, self.name, self.body = source, source.name, source.body

    def __len__(self) -> int:
        return len(self.source)

    def parts(self, index: int) -> Iterator[Part]:
        for part in self.source.parts(index):
            images = torch.from_numpy(np.ascontiguousarray(part.images))
            yield Part(images, part.targets, part.times_s, part.valid, part.name)

    def gender(self, index: int) -> str:
        return _said(labelled_gender(self.source, index), self)


class CachedVideos:
    """A feature cache as videos: the encoder's work is done already."""

    def __init__(self, cache: FeatureCache) -> None:
        self.cache, self.channels = cache, cache.channels
        self.name, self.body = cache.source, cache.body

    def __len__(self) -> int:
        return len(self.cache.extents)

    def parts(self, index: int) -> Iterator[Part]:
        cache = self.cache
        first, last = cache.extents[index].tolist()
        for start in range(first, last, _ROWS):
            rows = slice(start, min(start + _ROWS, last))
            maps = torch.from_numpy(cache.maps[rows].astype(np.float32))
            targets = cache.targets.map(lambda field, rows=rows: np.array(field[rows]))
            times_s, valid = np.array(cache.times_s[rows]), np.array(cache.valid[rows])
            yield Part(maps, targets, times_s, valid, cache.names[index])

    def gender(self, index: int) -> str:
        return _said(self.cache.genders[index], self)


def _said(gender: str, videos: Videos) -> str:
    if not gender:
        raise EvaluationError(
            f"The labels ({videos.body}) do not say which body each is of.",
            "Score against the neutral body: --gender neutral.",
        )
    return gender


@dataclass(frozen=True)
class VideoScores:
    """The scores on one video by its name; nothing is counted of one that is too short."""

    name: str
    summary: Summary


@dataclass(frozen=True)
class SetScores:
    """The scores on one set.

    `short` videos were left out for being shorter than the protocol's shortest; `unlabelled` frames
    lack the labels that the protocol needs.  `each`: of every video, in the set's order.
    """

    name: str
    summary: Summary
    videos: int
    short: int
    unlabelled: int
    each: tuple[VideoScores, ...] = ()


def score(videos: Videos, recoverer: Recoverer, points: ScoredPoints) -> SetScores:
    """Runs a network over a set.  Of a video that is done, its few numbers alone are kept.

    Args:
        videos: the set.
        recoverer: runs the network, its windows' edges being the protocol's.
        points: makes what is compared, by the protocol.

    Raises:
        EvaluationError: the set is empty, or has none of the labels that the protocol needs.
        ScoreError: a prediction is not a number; names the video.
    """
    if len(videos) == 0:
        raise EvaluationError(f"{videos.name} holds no video.", "Look at how it was prepared.")
    protocol = points.protocol
    scores = Scores(protocol.root, across_joins=protocol.across_joins)
    short = unlabelled = 0
    each: list[VideoScores] = []
    for index in range(len(videos)):
        video = _Video(points, _label_gender(videos, index, points), scores)
        try:
            video.run(videos.parts(index), recoverer)
        except ScoreError as error:
            name = f"{videos.name}, video {index}"
            raise ScoreError(f"{name}: {error.message}", error.advice) from error
        short += not video.long_enough
        unlabelled += video.unlabelled
        each.append(VideoScores(video.name or f"{videos.name}/{index}", video.own.summary()))
        log.info("%s: %d of %d videos", videos.name, index + 1, len(videos))
    found = scores.summary()
    if found.frames == 0:
        why = f"{unlabelled} lack labels, {short} videos are too short"
        raise EvaluationError(
            f"{videos.name} has no frame that can be scored: {why}.",
            "Look at --truth, and at how the set was prepared.",
        )
    return SetScores(videos.name, found, len(videos), short, unlabelled, tuple(each))


def _label_gender(videos: Videos, index: int, points: ScoredPoints) -> str:
    protocol = points.protocol
    asked = protocol.gender == "labelled" and protocol.poses_labels
    return videos.gender(index) if asked else "neutral"


class _Video:
    """One video on its way: results as they come, labels that wait for theirs."""

    def __init__(self, points: ScoredPoints, gender: str, scores: Scores) -> None:
        self.points, self.gender, self.scores = points, gender, scores
        self.own = Scores(points.protocol.root)
        self.name, self.seen, self.unlabelled = "", 0, 0
        self._results: list[StageParams] = []
        self._labels: list[Part] = []
        scores.start()

    @property
    def long_enough(self) -> bool:
        return self.seen >= self.points.protocol.shortest

    def run(self, parts: Iterator[Part], recoverer: Recoverer) -> None:
        clock = _Clock()
        for part in parts:
            self.name = part.name
            for begins, piece in clock.unbroken(part.times_s):
                if begins:
                    self._results.append(recoverer.finish())
                some = _cut(part, piece)
                self._results.append(recoverer.push(some.frames))
                self._labels.append(some._replace(frames=some.frames[:0]))
                self.seen += len(some.times_s)
            self._score()
        self._results.append(recoverer.finish())
        self._score()

    def _score(self) -> None:
        """Scores the frames whose results are there."""
        if not self.long_enough:
            return
        params = joined_params(self._results)
        self._results.clear()
        count = len(params.betas)
        if count == 0:
            return
        labels = _joined_labels(self._labels)
        self._labels = [_cut(labels, slice(count, None))]
        self._add(params, _cut(labels, slice(0, count)))

    def _add(self, params: StageParams, labels: Part) -> None:
        predicted = self.points.predicted(params)
        truth = self.points.truth(labels.targets, self.gender)
        used = self.points.protocol.use_valid
        counted = labels.valid.copy() if used else np.ones_like(labels.valid)
        self.unlabelled += int((counted & ~truth.known).sum())
        meshes = None
        if predicted.vertices_m is not None and truth.vertices_m is not None:
            meshes = predicted.vertices_m, truth.vertices_m
        counted &= truth.known
        joints = predicted.joints_m, truth.joints_m
        frames = Frames(*joints, labels.times_s, counted, meshes, truth.meshed)
        for scores in (self.scores, self.own):
            scores.add(frames)


class _Clock:
    """Finds where frames are missing, so that no window reaches across a gap."""

    def __init__(self) -> None:
        self._last_s: float | None = None
        self._step_s: float | None = None

    def unbroken(self, times_s: np.ndarray) -> Iterator[tuple[bool, slice]]:
        """Pieces of a part, and whether each begins after a gap."""
        before = times_s[:1] - 1e-9 if self._last_s is None else [self._last_s]
        steps = np.diff(np.concatenate([before, times_s]))
        usual = steps[1:] if self._last_s is None else steps
        if self._step_s is None and len(usual):
            self._step_s = float(np.median(usual))
        limit = np.inf if self._step_s is None else GAP * self._step_s
        begins = np.flatnonzero(steps > limit).tolist()
        bounds = sorted({0, *begins, len(times_s)})
        if len(times_s):
            self._last_s = float(times_s[-1])
        for first, last in pairwise(bounds):
            yield first in begins, slice(first, last)


def _cut(part: Part, piece: slice) -> Part:
    targets = part.targets.map(lambda field: field[piece])
    return Part(part.frames[piece], targets, part.times_s[piece], part.valid[piece], part.name)


def _joined_labels(parts: list[Part]) -> Part:
    first = parts[0]
    if len(parts) == 1:
        return first
    targets = Targets(*(np.concatenate(c) for c in zip(*(part.targets for part in parts))))
    times_s, valid = (np.concatenate([part[i] for part in parts]) for i in (2, 3))
    return first._replace(targets=targets, times_s=times_s, valid=valid)


def write_scores(folder: Path, name: str, text: str, content: dict[str, Any]) -> None:
    """Writes NAME.md and NAME.json.

    Raises:
        OutputError: the folder cannot be written to.
    """
    make_folder(folder)
    content = {"software": __version__, **content}
    for suffix, said in ((".md", text), (".json", json.dumps(content, indent=1) + "\n")):
        with replace_atomically(folder / f"{name}{suffix}") as temporary:
            temporary.write_text(said, encoding="utf-8")
