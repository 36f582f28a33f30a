"""How well people are kept apart, and what each stage costs; run with `pytest tests/benchmarks`.

Crossings are drawn, with exact truth.  Times are CPU seconds of this process.
"""

import time
from itertools import chain
from typing import NamedTuple

import numpy as np
import pytest

pytest.importorskip("torch")

from staf_backend.assets import asset_path
from staf_backend.landmarks import LandmarkNetwork, Landmarks, consistent_sides, landmarks_of
from staf_backend.landmarks.names import MIRROR
from staf_backend.people import AppearanceNetwork, NobodyError, PersonDetector, find_people
from staf_backend.people.clothes import clothes_histograms, clothes_similarity
from staf_backend.runtime import open_network
from staf_backend.video import open_video
from tests.support.drawn_sides import PARTS, drawn_clips, sides_of, track_of
from tests.support.make_crossings import KINDS, RATE_HZ, write_crossing
from tests.support.places import FOOTAGE
from tests.support.plain_people import skip_without_drawing
from tests.support.scored_tracks import Kept, score_tracks

CROSSINGS, DRAWN, SIDES = 20, 6, 8
CLIPS = ("walk_two_sports2d", "multi_occl_cam01", "balance_cam01", "balance_cam02")
MOST_LEFT = 0.35
"""Share of trunks of drawn people who move at random.  Measured were 76 of 228: two of seven are
read the wrong way round from the first frame to the last, and nothing tells it (training/LOG.md).
Missed by three frames since sides are learned of how people move: 82.
"""
LEAST_AUC = 0.98
"""Of the appearance network, mean of the clips; measured are 0.985."""
APART_S = 0.5
"""Of two looks at one person that count: nearer ones are almost one picture."""


def _network(name):
    return open_network(asset_path(name), device="cpu", threads=1)


@pytest.fixture(scope="module")
def detector():
    return PersonDetector(_network("movenet_multipose.onnx"))


def test_people_who_cross_are_kept_apart(tmp_path, detector, appearance, capsys):
    skip_without_drawing()
    kept: list[Kept] = []
    searched_s, frames = 0.0, 0
    for number in range(CROSSINGS):
        folder = tmp_path / str(number)
        folder.mkdir()
        truth = write_crossing(folder, number)
        video = open_video(folder, fps=RATE_HZ)
        began = time.process_time()
        tracks = find_people(video, detector, appearance=appearance)
        searched_s += time.process_time() - began
        frames += len(video.times_s)
        kept.append(score_tracks(tracks, truth.boxes_px, truth.judged))
        with capsys.disabled():
            print(f"\n{number:3d} {truth.kind:7s} IDF1 {kept[-1].idf1:.3f} {kept[-1]}", end="")
    whole = Kept(*np.sum(kept, 0).tolist())
    with capsys.disabled():
        by_kind = {kind: Kept(*np.sum(kept[i::3], 0).tolist()) for i, kind in enumerate(KINDS)}
        print(f"\nall IDF1 {whole.idf1:.4f}, switches {whole.switches}, {by_kind}")
        print(f"finding and following people: {1e3 * searched_s / frames:.1f} ms a frame")
    assert whole.idf1 >= 0.97
    assert whole.switches == 0


@pytest.fixture(scope="module")
def appearance():
    return AppearanceNetwork(_network("appearance.onnx"))


class Alike(NamedTuple):
    """How alike pairs of looks are by one measure: at one person, and at two."""

    right: list[float]
    wrong: list[float]

    def auc(self):
        """Chance that a right pair is more alike than a wrong one."""
        right, wrong = np.array(self.right), np.sort(self.wrong)
        low, high = (np.searchsorted(wrong, right, side) for side in ("left", "right"))
        return float((low + high).mean() / 2 / len(wrong))


def test_looks_tell_people_apart(tmp_path, detector, appearance, capsys):
    """AUC of both measures of looks between pairs within a clip, real ones and drawn crossings."""
    skip_without_drawing()
    videos = {name: open_video(FOOTAGE / f"{name}.mp4") for name in CLIPS}
    for number in range(DRAWN):
        folder = tmp_path / str(number)
        folder.mkdir()
        write_crossing(folder, number)
        videos[f"drawn {number}"] = open_video(folder, fps=RATE_HZ)
    pairs = {}
    spent_s, looks = 0.0, 0
    for name, video in videos.items():
        seen = []
        for person, at_s, image, keypoints in _looks(video, detector):
            began = time.process_time()
            vector = appearance(image, keypoints)
            spent_s, looks = spent_s + time.process_time() - began, looks + 1
            seen.append((person, at_s, clothes_histograms(image, keypoints), vector))
        pairs[name] = _pairs(seen)
        with capsys.disabled():
            clothes, vectors = (one.auc() for one in pairs[name])
            print(f"\n{name:20s} clothes {clothes:.3f}, appearance {vectors:.3f}", end="")
    clothes, vectors = (
        Alike(*(list(chain.from_iterable(p[n][k] for p in pairs.values())) for k in range(2))).auc()
        for n in range(2)
    )
    within = np.mean([[one.auc() for one in both] for both in pairs.values()], axis=0)
    each_ms = 1e3 * spent_s / looks
    with capsys.disabled():
        print(f"\nmean of the clips: clothes {within[0]:.3f}, appearance {within[1]:.3f}")
        print(f"pairs of all clips: clothes {clothes:.3f}, appearance {vectors:.3f}")
        print(f"{each_ms:.2f} ms a look")
    assert within[1] > LEAST_AUC
    assert vectors > clothes
    assert each_ms < 4


def _looks(video, detector):
    """Person, time, picture and key points, on every eighth frame."""
    tracks = find_people(video, detector)
    for frame in range(0, len(video.times_s), 8):
        image = next(video.frames(frame, frame + 1))
        for track in tracks:
            row = frame - int(track.frames[0])
            if 0 <= row < len(track) and track.observed[row]:
                yield track.person, float(video.times_s[frame]), image, track.keypoints_px[row]


def _pairs(seen):
    """By clothes and by appearance."""
    both = Alike([], []), Alike([], [])
    for i, (person, at_s, histogram, vector) in enumerate(seen):
        for other, then_s, second, another in seen[:i]:
            alike = float(clothes_similarity(histogram, second)), float(vector @ another)
            for measure, value in zip(both, alike, strict=True):
                if person != other:
                    measure.wrong.append(value)
                elif at_s - then_s >= APART_S:
                    measure.right.append(value)
    return both


def test_landmarks_keep_their_sides(detector, capsys):
    """Swaps of whole bodies for 1 to 8 frames, put into what the network reads of a real clip."""
    video = open_video(FOOTAGE / "balance_cam02.mp4")
    track = find_people(video, detector)[0]
    network = LandmarkNetwork(_network("pose_landmark_heavy.onnx"))
    began = time.process_time()
    (read,) = landmarks_of(video, [track], network)
    read_s = time.process_time() - began
    read, _ = consistent_sides(read, track.keypoints_px, track.times_s)
    rng = np.random.default_rng(1)
    swapped = np.zeros(len(track), bool)
    for begin in range(5, len(track) - 10, 12):
        swapped[begin : begin + rng.integers(1, 9)] = True
    points, metres, visibility = (
        getattr(read, name).copy() for name in ("points_px", "world_m", "visibility")
    )
    for array in (points, metres, visibility):
        array[swapped] = array[swapped][:, MIRROR]
    wrong = Landmarks(points, metres, visibility, read.person)
    began = time.process_time()
    _, undone = consistent_sides(wrong, track.keypoints_px, track.times_s)
    sides_s = time.process_time() - began
    left = int((undone[:, 2] != swapped).sum())
    with capsys.disabled():
        coverage = float((read.visibility.max(1) > 0).mean())
        print(f"\ntrunks on the wrong side: {left} of {len(track)}; coverage {coverage:.3f}")
        each = [1e3 * s / len(track) for s in (read_s, sides_s)]
        print(f"landmarks {each[0]:.1f} ms a frame, sides {each[1]:.2f}")
    assert left <= 0.002 * len(track)


def test_sides_of_drawn_people(tmp_path, detector, appearance, capsys):
    """How many parts the network, and we, take for their other side; all is known of the drawn.

    Of parts seen from the side it is told, too, whose depths are exchanged with their places: a
    trunk that is turned by some degrees too few or too many may only look so in the picture.
    """
    skip_without_drawing()
    network = LandmarkNetwork(_network("pose_landmark_heavy.onnx"))
    known, read, left, deep = (dict.fromkeys(PARTS, 0) for _ in range(4))
    for clip in drawn_clips(tmp_path, SIDES, seed=31):
        video = open_video(clip.folder, fps=clip.rate_hz)
        try:
            track = track_of(find_people(video, detector, appearance=appearance), clip.joints_px)
        except NobodyError:
            continue
        if track is None:
            continue
        (seen,) = landmarks_of(video, [track], network)
        decided, _ = consistent_sides(seen, track.keypoints_px, track.times_s)
        truth = clip.joints_px[track.frames], clip.joints_m[track.frames]
        before, after = (sides_of(one, *truth) for one in (seen, decided))
        for part in PARTS:
            known[part] += int(before.known[part].sum())
            read[part] += int(before.wrong[part].sum())
            left[part] += int(after.wrong[part].sum())
            deep[part] += int(after.exchanged[part].sum())
    with capsys.disabled():
        for part in PARTS:
            told = f"{read[part]} read wrong, {left[part]} left so, {deep[part]} with their depths"
            print(f"\n{part}: of {known[part]} drawn frames {told}", end="")
    assert known["trunk"] > 100
    assert left["trunk"] <= MOST_LEFT * known["trunk"]
