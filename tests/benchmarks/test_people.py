"""How well people are kept apart, and what each stage costs; run with `pytest tests/benchmarks`.

Crossings are drawn, with exact truth.  Times are CPU seconds of this process.
"""

import time

import numpy as np
import pytest

pytest.importorskip("torch")

from staf_backend.assets import asset_path
from staf_backend.landmarks.names import MIRROR
from staf_backend.landmarks.network import LandmarkNetwork, Landmarks
from staf_backend.landmarks.of_tracks import landmarks_of
from staf_backend.landmarks.sides import consistent_sides
from staf_backend.people.clothes import clothes_histograms, clothes_similarity
from staf_backend.people.detect import PersonDetector
from staf_backend.people.follow import find_people
from staf_backend.runtime.onnx_session import open_network
from staf_backend.video import open_video
from tests.support.make_crossings import KINDS, RATE_HZ, write_crossing
from tests.support.places import FOOTAGE
from tests.support.plain_people import skip_without_drawing
from tests.support.scored_tracks import Kept, score_tracks

CROSSINGS = 20
APART_S = 0.5
"""Of two looks at one person that count: nearer ones are almost one picture."""


def _network(name):
    return open_network(asset_path(name), device="cpu", threads=1)


@pytest.fixture(scope="module")
def detector():
    return PersonDetector(_network("movenet_multipose.onnx"))


def test_people_who_cross_are_kept_apart(tmp_path, detector, capsys):
    skip_without_drawing()
    kept: list[Kept] = []
    searched_s, frames = 0.0, 0
    for number in range(CROSSINGS):
        folder = tmp_path / str(number)
        folder.mkdir()
        truth = write_crossing(folder, number)
        video = open_video(folder, fps=RATE_HZ)
        began = time.process_time()
        tracks = find_people(video, detector)
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


def test_clothes_tell_people_apart(detector, capsys):
    """AUC of the measure of appearance between looks at the same clip."""
    right, wrong = [], []
    spent_s, looks = 0.0, 0
    for name in ("walk_two_sports2d", "multi_occl_cam01", "balance_cam01", "balance_cam02"):
        video = open_video(FOOTAGE / f"{name}.mp4")
        tracks = find_people(video, detector)
        seen = []
        for frame in range(0, len(video.times_s), 8):
            image = next(video.frames(frame, frame + 1))
            for track in tracks:
                row = frame - int(track.frames[0])
                if 0 <= row < len(track) and track.observed[row]:
                    began = time.process_time()
                    histogram = clothes_histograms(image, track.keypoints_px[row])
                    spent_s, looks = spent_s + time.process_time() - began, looks + 1
                    seen.append((track.person, float(video.times_s[frame]), histogram))
        for i, (person, at_s, histogram) in enumerate(seen):
            for other, then_s, second in seen[:i]:
                alike = float(clothes_similarity(histogram, second))
                if person != other:
                    wrong.append(alike)
                elif at_s - then_s >= APART_S:
                    right.append(alike)
    auc = _auc(np.array(right), np.array(wrong))
    with capsys.disabled():
        print(f"\nclothes: AUC {auc:.3f}, {1e3 * spent_s / looks:.2f} ms a look")
    assert auc > 0.8


def _auc(right, wrong):
    """Chance that a right pair is more alike than a wrong one."""
    low, high = (np.searchsorted(np.sort(wrong), right, side) for side in ("left", "right"))
    return float((low + high).mean() / 2 / len(wrong))


def test_landmarks_keep_their_sides(detector, capsys):
    """Swaps of whole bodies for 1 to 8 frames, put into what the network reads of a real clip."""
    video = open_video(FOOTAGE / "balance_cam02.mp4")
    track = find_people(video, detector)[0]
    network = LandmarkNetwork(_network("pose_landmark_heavy.onnx"))
    began = time.process_time()
    (read,) = landmarks_of(video, [track], network)
    read_s = time.process_time() - began
    read, _ = consistent_sides(read, track.keypoints_px)
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
    _, undone = consistent_sides(wrong, track.keypoints_px)
    sides_s = time.process_time() - began
    left = int((undone[:, 2] != swapped).sum())
    with capsys.disabled():
        coverage = float((read.visibility.max(1) > 0).mean())
        print(f"\ntrunks on the wrong side: {left} of {len(track)}; coverage {coverage:.3f}")
        each = [1e3 * s / len(track) for s in (read_s, sides_s)]
        print(f"landmarks {each[0]:.1f} ms a frame, sides {each[1]:.2f}")
    assert left <= 0.002 * len(track)
