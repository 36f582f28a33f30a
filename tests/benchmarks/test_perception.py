"""How fast, how frugal and how faithful people are found; run with `pytest tests/benchmarks`.

Times are CPU seconds of this process, as ratios within one run wherever that says more.
"""

import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from staf_backend.assets import asset_path
from staf_backend.people import PersonDetector, find_people, follow
from staf_backend.people.camera_motion import CameraMotion
from staf_backend.people.keypoints import extent_px
from staf_backend.runtime import open_network
from staf_backend.video import ReadyPicture, open_video

ROOT = Path(__file__).parents[2]
FOOTAGE = ROOT / "examples" / "footage"
CLIPS = ("balance_cam01", "balance_cam02", "multi_occl_cam01", "walk_two_sports2d")


@pytest.fixture(scope="module")
def detector():
    network = asset_path("movenet_multipose.onnx")
    return PersonDetector(open_network(network, device="cpu", threads=1))


def _searched(video, detector, monkeypatch, every):
    """Tracks, looks at a whole frame, and CPU seconds."""
    looks = []
    original = follow._follow
    monkeypatch.setattr(follow, "_follow", lambda *a: looks.append(original(*a)) or looks[-1])
    start = time.process_time()
    tracks = find_people(video, detector, every=every)
    cpu_s = time.process_time() - start
    monkeypatch.undo()
    return tracks, sum(looks), cpu_s


@pytest.mark.parametrize("name", CLIPS)
def test_fewer_looks_find_the_same_people_in_the_same_places(name, detector, monkeypatch, capsys):
    video = open_video(FOOTAGE / f"{name}.mp4")
    full, _, full_s = _searched(video, detector, monkeypatch, 1)
    auto, looks, auto_s = _searched(video, detector, monkeypatch, "auto")
    assert [(t.person, t.part) for t in auto] == [(t.person, t.part) for t in full]
    for one, other in zip(full, auto, strict=True):
        assert abs(len(one) - len(other)) <= 4
        first, last = max(one.frames[0], other.frames[0]), min(one.frames[-1], other.frames[-1])
        points, others = (
            t.keypoints_px[first - t.frames[0] : last + 1 - t.frames[0]] for t in (one, other)
        )
        off = np.linalg.norm(points[..., :2] - others[..., :2], axis=-1)
        off = (off / extent_px(points)[:, None])[points[..., 2] > 0.3]
        assert np.percentile(off, 90) < 0.06
    frames = len(video.times_s)
    with capsys.disabled():
        print(f"\n{name}: {looks} looks on {frames} frames, {auto_s:.1f} s against {full_s:.1f} s")
    # backlight and a somersault in the walk clip ask for a look at nearly every frame
    assert looks <= (0.9 if name.startswith("walk") else 0.5) * frames


def test_the_man_and_the_woman_of_the_walk_are_two_tracks_from_first_to_last(detector):
    tracks = find_people(open_video(FOOTAGE / "walk_two_sports2d.mp4"), detector)
    assert [(t.person, t.part) for t in tracks] == [(1, 1), (2, 1)]
    man, woman = sorted(tracks, key=lambda t: t.frames[0])
    assert (man.frames[0], woman.frames[0]) == (0, pytest.approx(38, abs=3))
    assert man.frames[-1] >= 222
    assert woman.frames[-1] >= 197
    assert (~man.observed).sum() <= 30
    assert (~woman.observed).sum() <= 3
    # he starts on the roof and ends on the grass, she walks from right to left
    assert man.boxes_px[0, 1] < 300 < 700 < man.boxes_px[-1, 1]
    assert woman.boxes_px[0, 0] > 1450
    assert woman.boxes_px[-1, 0] < 200


def test_all_that_is_not_the_network_costs_less_than_a_look(detector, capsys):
    """Per frame: decoding, camera motion; per look: resizing, decoding the heads."""
    video = open_video(FOOTAGE / "balance_cam01.mp4")
    start = time.process_time()
    images = list(video.frames(0, 40))
    decode_s = (time.process_time() - start) / 40
    camera = CameraMotion()
    start = time.process_time()
    for image in images:
        camera.step(ReadyPicture(image), np.zeros((0, 4)))
    camera_s = (time.process_time() - start) / 40
    start = time.process_time()
    for image in images[::4]:
        detector.detect(image)
    look_s = (time.process_time() - start) / 10
    with capsys.disabled():
        parts = {"decode": decode_s, "camera": camera_s, "look": look_s}
        print("\n" + ", ".join(f"{name} {1e3 * s:.1f} ms" for name, s in parts.items()))
    assert decode_s + camera_s < look_s


_PEAK = """
import sys
from pathlib import Path
from staf_backend.video.video import open_video
video = open_video(sys.argv[1])
for image in video.frames():
    pass
# not getrusage: its peak includes that of the process that started this one
status = Path("/proc/self/status").read_text()
print(len(video.times_s), status.split("VmHWM:")[1].split()[0])
"""


def test_memory_does_not_grow_with_the_clip(tmp_path, capsys):
    """The same pictures, ten times as many."""
    import av

    if not Path("/proc/self/status").exists():
        pytest.skip("peak memory is read from /proc")

    peaks = []
    for turns in (1, 10):
        path = tmp_path / f"{turns}.mp4"
        images = list(open_video(FOOTAGE / "walk_two_sports2d.mp4").frames(0, 30))
        with av.open(str(path), "w") as out:
            stream = out.add_stream("libx264", rate=30, options={"preset": "ultrafast"})
            stream.height, stream.width = images[0].shape[:2]
            for i in range(30 * turns):
                frame = av.VideoFrame.from_ndarray(images[i % 30], format="rgb24")
                out.mux(stream.encode(frame))
            out.mux(stream.encode())
        command = [sys.executable, "-c", _PEAK, str(path)]
        answer = subprocess.run(command, capture_output=True, text=True, check=True, cwd=ROOT)
        frames, peak_kb = map(int, answer.stdout.split())
        assert frames == 30 * turns
        peaks.append(peak_kb)
    with capsys.disabled():
        print(f"\npeak memory {peaks[0] / 1024:.0f} and {peaks[1] / 1024:.0f} MB")
    assert peaks[1] < 1.1 * peaks[0]
