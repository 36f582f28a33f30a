"""More processors find the same people, landmark for landmark, and one is one."""

import threading
import time
from dataclasses import fields
from typing import Any

import cv2
import numpy as np
import pytest

from staf_backend.assets import asset_path
from staf_backend.landmarks import LandmarkNetwork, landmarks_of
from staf_backend.people import NobodyError, PersonDetector, Track, find_people
from staf_backend.runtime import open_network
from staf_backend.video import Video, VideoError, open_video
from tests.support.places import FOOTAGE

SPAN = range(120, 134)
"""The man jumps, a woman passes below: calm batches, and some with a look at every frame."""


@pytest.fixture(scope="module")
def walk() -> Video:
    return open_video(FOOTAGE / "walk_two_sports2d.mp4")


@pytest.fixture(scope="module")
def landmark_network() -> LandmarkNetwork:
    return LandmarkNetwork(open_network(asset_path("pose_landmark_full.onnx"), threads=1))


@pytest.fixture(scope="module")
def tracks(walk: Video, detector: PersonDetector) -> list[Track]:
    return find_people(walk, detector, SPAN)


def equal(one: Any, other: Any) -> bool:
    """Whether all that two results hold is the same to the last bit."""
    pairs = [(getattr(one, f.name), getattr(other, f.name)) for f in fields(one)]
    return all(np.asarray(a).tobytes() == np.asarray(b).tobytes() for a, b in pairs)


def test_people_do_not_depend_on_threads(
    walk: Video, detector: PersonDetector, tracks: list[Track]
):
    done: list[tuple[int, int]] = []
    again = find_people(walk, detector, SPAN, threads=3, progress=lambda *at: done.append(at))
    assert len(again) == len(tracks) == 2
    assert all(map(equal, again, tracks))
    assert done == sorted(done)
    assert done[-1] == (len(SPAN), len(SPAN))


def test_landmarks_do_not_depend_on_threads(
    walk: Video, tracks: list[Track], landmark_network: LandmarkNetwork
):
    seen: dict[int, list[tuple[int, int]]] = {1: [], 2: []}
    shown: dict[int, list[int]] = {1: [], 2: []}
    one, two = (
        landmarks_of(
            walk,
            tracks[:2],
            landmark_network,
            lambda *at, threads=threads: seen[threads].append(at),
            lambda index, _image, threads=threads: shown[threads].append(index),
            threads=threads,
        )
        for threads in (1, 2)
    )
    assert all(map(equal, one, two))
    assert np.isfinite(one[0].points_px).any()
    assert seen[1] == seen[2] == [(n, len(SPAN)) for n in range(1, len(SPAN) + 1)]
    assert shown[1] == shown[2] == list(SPAN)


def test_one_thread_is_one_processor(walk: Video, detector: PersonDetector):
    """No library adds threads of its own: what the process takes, this thread takes."""
    process_s, thread_s = time.process_time(), time.thread_time()
    with pytest.raises(NobodyError, match="never for longer"):
        find_people(walk, detector, SPAN[:6])
    process_s, thread_s = time.process_time() - process_s, time.thread_time() - thread_s
    assert process_s < 1.03 * thread_s + 0.02


@pytest.mark.parametrize("threads", [1, 3])
def test_a_picture_that_cannot_be_read_ends_it_all(
    threads: int, tmp_path: Any, walk: Video, detector: PersonDetector
):
    for index, image in enumerate(walk.frames(120, 126)):
        small = cv2.resize(image, None, fx=0.3, fy=0.3)
        cv2.imwrite(str(tmp_path / f"{index}.jpg"), small[..., ::-1])
    (tmp_path / "4.jpg").write_bytes(b"no picture")
    with pytest.raises(VideoError, match=r"4\.jpg is no readable picture"):
        find_people(open_video(tmp_path), detector, threads=threads)
    assert not [one for one in threading.enumerate() if one.name.startswith("worker")]


def test_a_network_that_fails_in_a_worker_ends_it_all(walk: Video, detector: PersonDetector):
    class Broken:
        """The shipped network, until its memory runs out."""

        calls = 0

        def get_outputs(self) -> Any:
            return detector.session.get_outputs()

        def run(self, *words: Any) -> Any:
            self.calls += 1
            if self.calls > 2:
                raise MemoryError("no memory left for a tensor")
            return detector.session.run(*words)

    with pytest.raises(MemoryError, match="no memory left"):
        find_people(walk, PersonDetector(Broken()), SPAN, threads=2)
    assert not [one for one in threading.enumerate() if one.name.startswith("worker")]
