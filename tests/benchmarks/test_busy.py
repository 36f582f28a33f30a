"""Whether a conversion keeps the processors busy that it is given, and takes no more.

    pytest tests/benchmarks/test_busy.py -s

A machine that does other things as well makes everything slower, but a thread that wants to run and
a thread that waits for another can still be told apart (Linux does).  So speed is given as on a
quiet machine: processor time over the mean number of threads that wanted to run.
"""

import os
import resource
import subprocess
import sys
import time
import zlib
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest

from staf_backend.assets import asset_path
from staf_backend.estimators import open_shot
from staf_backend.people import PersonDetector, find_people
from staf_backend.runtime import Workers, open_network
from staf_backend.staf import cut, squares_around
from staf_backend.video import open_video
from staf_backend.world import CameraFollower
from tests.benchmarks.measured import FOOTAGE, environment

EVERY_S = 0.01
"""Between looks at the threads' states."""


class Busy(NamedTuple):
    """A process's processor time, time, and how many of its threads wanted to run, on average."""

    cpu_s: float
    wall_s: float
    running: float

    @property
    def quiet_s(self) -> float:
        """How long it takes where nothing else runs."""
        return self.cpu_s / self.running


def running_threads(pid: int) -> int:
    """Threads of a process that run or wait for a processor."""
    states = []
    for task in Path(f"/proc/{pid}/task").glob("*/stat"):
        try:
            states.append(task.read_text().rpartition(")")[2].split()[0])
        except OSError:  # it has just ended
            continue
    return sum(state in "RD" for state in states)


def convert(clip: str, threads: int, folder: Path) -> Busy:
    words = [FOOTAGE / f"{clip}.mp4", "--threads", threads, "-o", folder / f"{threads}.glb"]
    command = [sys.executable, "-m", "staf_backend", "convert", *map(str, words)]
    before, begin_s = resource.getrusage(resource.RUSAGE_CHILDREN), time.monotonic()
    process = subprocess.Popen(command, env=environment(), stdout=subprocess.DEVNULL)
    seen = []
    while process.poll() is None:
        seen.append(running_threads(process.pid))
        time.sleep(EVERY_S)
    assert process.returncode == 0
    after, wall_s = resource.getrusage(resource.RUSAGE_CHILDREN), time.monotonic() - begin_s
    cpu_s = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return Busy(cpu_s, wall_s, float(np.mean(seen)))


@pytest.mark.skipif(not Path("/proc/self/task").exists(), reason="threads are read from /proc")
def test_two_processors_are_1_7_times_one(tmp_path: Path):
    if len(os.sched_getaffinity(0)) < 2:
        pytest.skip("this machine has one processor")
    one, two = (convert("walk_two_sports2d", threads, tmp_path) for threads in (1, 2))
    for threads, run in ((1, one), (2, two)):
        print(f"\n{threads}: " + ", ".join(f"{k} {v:.2f}" for k, v in run._asdict().items()))
    ratio = one.quiet_s / two.quiet_s
    print(f"{ratio:.2f} times as fast ({one.wall_s / two.wall_s:.2f} by the clock)")
    assert one.running < 1.05, "one thread is one processor"
    assert two.running < 2.1
    assert ratio >= 1.7
    for file in tmp_path.glob("1-*.glb"):
        assert file.read_bytes() == (tmp_path / f"2{file.name[1:]}").read_bytes()


class Remembered:
    """A network that costs nothing: it gives again what it once gave for the same picture."""

    def __init__(self, session: Any) -> None:
        self._session, self._known = session, {}

    def get_outputs(self) -> Any:
        return self._session.get_outputs()

    def run(self, names: Any, inputs: dict[str, np.ndarray]) -> Any:
        key = zlib.crc32(inputs["image"].data)
        if key not in self._known:
            self._known[key] = self._session.run(names, inputs)
        return self._known[key]


def seconds_without_networks(
    clip: str, frames: int, threads: int, detector: PersonDetector
) -> tuple[float, float, float]:
    """What the STAF estimator does with a clip but for its networks: processor seconds, those of
    the main thread, seconds."""
    video = open_video(FOOTAGE / f"{clip}.mp4")
    begin = time.process_time(), time.thread_time(), time.monotonic()
    tracks = find_people(video, detector, range(frames), threads=threads)
    watch = CameraFollower(open_shot(video, None, None).camera, tracks, "auto")
    squares = [squares_around(track.boxes_px, 1.1) for track in tracks]
    with Workers(threads) as workers:
        pictures = video.in_advance(0, frames, workers, lambda _, one: (one, one.rgb()))
        for index, (picture, image) in enumerate(pictures):
            watch.see(index, picture)
            for track, square in zip(tracks, squares, strict=True):
                row = index - int(track.frames[0])
                if 0 <= row < len(track):
                    cut(image, square[row])
    end = time.process_time(), time.thread_time(), time.monotonic()
    cpu_s, main_s, wall_s = (b - a for a, b in zip(begin, end, strict=True))
    return cpu_s, main_s, wall_s


def decoding_seconds(clip: str, frames: int) -> float:
    """Processor time of decoding alone, as often as a conversion does it, with nothing made."""
    video = open_video(FOOTAGE / f"{clip}.mp4")
    begin_s = time.process_time()
    with Workers(1) as workers:
        for _ in range(2):
            assert len(list(video.in_advance(0, frames, workers, lambda index, _: index))) == frames
    return time.process_time() - begin_s


@pytest.mark.parametrize("clip", ["balance_cam02", "walk_two_sports2d"])
def test_all_but_the_networks_is_shared_between_two(clip: str):
    """1080 x 1920 and 1768 x 994.  A stand-in for a GPU that takes no time."""
    frames = 100
    session = open_network(asset_path("movenet_multipose.onnx"), device="cpu", threads=1)
    detector = PersonDetector(Remembered(session))
    for threads in (1, 2):  # what is looked at in advance, too
        seconds_without_networks(clip, frames, threads, detector)
    floor_s = decoding_seconds(clip, frames)
    print(f"\n{clip}, decoding twice: {frames / floor_s:.0f} frames a second a core")
    for threads in (1, 2):
        cpu_s, main_s, wall_s = seconds_without_networks(clip, frames, threads, detector)
        print(
            f"{clip}, {threads}: {1e3 * cpu_s / frames:.1f} ms a frame "
            f"({frames / cpu_s:.0f} frames a second a core, were it decoded once "
            f"{frames / (cpu_s - floor_s / 2):.0f}), {1e3 * main_s / frames:.1f} in the "
            f"main thread; {frames / wall_s:.0f} frames a second by the clock"
        )
        if threads == 1:
            assert cpu_s < 1.05 * main_s, "one thread is one processor"
            assert cpu_s < 3.2 * floor_s, "what decoding costs, and 2.2 times as much"
        else:
            assert main_s < 0.65 * cpu_s, "the main thread's is the larger half by little"
