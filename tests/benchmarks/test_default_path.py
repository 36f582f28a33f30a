"""Speed and memory of the default path.  Processor time of one core; ratios within one run."""

import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from staf_backend.video import open_video
from tests.benchmarks.measured import FOOTAGE, measured

FRAMES_A_SECOND = int(os.environ.get("STAF_LONG_CLIP_FPS", "4"))
"""Of the long clip: 2,400 frames take four to seven minutes, at 30 a second seven times as long."""

CLIPS_WITH_HANDS = os.environ.get("STAF_HANDS_CLIPS", "balance_cam02.mp4").split(",")


HELD = ("held_mb", "disk_mb")


def told(title: str, values: dict[str, float]) -> None:
    print(f"\n{title}: " + "  ".join(f"{name} {value:.3g}" for name, value in values.items()))


def test_fitting_a_thousand_frames_takes_less_than_three_seconds():
    runs = [measured("after_networks", 1000) for _ in range(2)]
    best = min(runs, key=lambda run: run["fit_s"])
    told("1,000 frames, one core", best)
    assert best["fit_s"] < 3


def test_ten_minutes_of_landmarks_fit_into_little_memory():
    """Everything behind the networks, at 30 frames a second."""
    short, long = measured("after_networks", 300), measured("after_networks", 18_000)
    told("10 s", short)
    told("10 min", long)
    assert long["peak_mb"] < 700
    assert long["peak_mb"] < 1.2 * short["peak_mb"]


def test_a_frame_of_a_long_clip_takes_little_memory_from_its_landmarks_to_the_files():
    """What is held at most grows by so many bytes a frame, in memory and on the disk; what is
    written has 1,300."""
    short, long = (measured("landmarks_to_files", keys) for keys in (2000, 6000))
    grown = {f"{where}_bytes_a_frame": (long[where] - short[where]) * 1e6 / 4000 for where in HELD}
    told("2,000 frames", short)
    told("6,000 frames", long)
    told("growth", grown)
    hour = {name: short[name] + grown[f"{name}_bytes_a_frame"] * 0.106 for name in HELD}
    told("so an hour at 30 fps", hour)
    assert grown["held_mb_bytes_a_frame"] < 800


@pytest.mark.parametrize("network", ["pose_landmark_heavy.onnx", "pose_landmark_full.onnx"])
def test_the_landmark_stage_is_hardly_more_than_its_network(network: str):
    best = min(
        (measured("landmark_stage", network) for _ in range(2)),
        key=lambda run: run["stage_s"] / run["network_s"],
    )
    best["ratio"] = best["stage_s"] / best["network_s"]
    best["ratio_without_reading"] = (best["stage_s"] - best["frames_s"]) / best["network_s"]
    told(network, best)
    if "heavy" in network:
        assert best["ratio"] < 1.15
    else:  # the same 2 to 3 ms a frame on top of a network of a third of the size
        assert best["stage_s"] - best["network_s"] < 0.5, "5 ms a frame"


@pytest.mark.parametrize("clip", CLIPS_WITH_HANDS)
def test_a_hand_costs_hardly_more_than_its_network(clip: str):
    """With one thread, everything that `--hands auto` adds: a second reading of the clip, too."""
    runs = [measured("hands", FOOTAGE / clip, 8) for _ in range(2)]
    best = min(runs, key=lambda run: run["hand_ms"] / run["look_ms"])
    best["ratio"] = best["hand_ms"] / best["look_ms"]
    told(clip, best)
    assert best["hands"] > 150
    assert best["ratio"] < 2.4, "1.5 on 720 lines, 2.0 on 1,920"


def looped(path: Path, seconds: int, size: tuple[int, int] = (180, 320)) -> Path:
    """The balance clip forwards and backwards, small, for as long as asked."""
    import av
    import cv2

    source = open_video(FOOTAGE / "balance_cam02.mp4")
    small = (np.asarray(cv2.resize(image, size), np.uint8) for image in source.frames())
    images = list(small)[:: 60 // FRAMES_A_SECOND]
    order = np.concatenate([np.arange(len(images)), np.arange(len(images) - 2, 0, -1)])
    with av.open(str(path), "w") as out:
        options = {"preset": "ultrafast", "crf": "20"}
        stream: Any = out.add_stream("libx264", rate=FRAMES_A_SECOND, options=options)
        stream.width, stream.height = size
        stream.pix_fmt = "yuv420p"
        for i in np.resize(order, seconds * FRAMES_A_SECOND):
            out.mux(stream.encode(av.VideoFrame.from_ndarray(images[i], format="rgb24")))
        out.mux(stream.encode(None))
    return path


def test_ten_minutes_need_hardly_more_memory_than_ten_seconds(tmp_path: Path):
    """The whole conversion, by its resident memory.

    40 frames against 2,400: of 40 MB that are allowed 30 are a window of the fit, which 40 frames
    do not fill.  What a frame adds is measured above.
    """
    peaks = {}
    for seconds in (10, 600):
        clip = looped(tmp_path / f"{seconds}.mp4", seconds)
        words = ("-o", tmp_path / f"{seconds}.glb", "--preset", "fast", "--threads", 1)
        run = measured("peak_of", "-m", "staf_backend", "convert", clip, "--largest", *words)
        told(f"{seconds} s at {FRAMES_A_SECOND} fps", run)
        assert run["code"] == 0
        assert (tmp_path / f"{seconds}.glb").exists()
        peaks[seconds] = run["peak_mb"]
    assert peaks[600] < 400
    assert peaks[600] < 1.15 * peaks[10]


def test_help_comes_at_once():
    runs = [measured("peak_of", "-m", "staf_backend", "--help") for _ in range(7)]
    best = min(runs, key=lambda run: run["wall_s"])
    told("staf --help", best)
    assert best["wall_s"] < 0.2


@pytest.mark.parametrize(
    ("module", "limit_s"),
    [("staf_backend", 0.02), ("staf_backend.cli", 0.12), ("staf_backend.motion.motion", 0.3)],
)
def test_importing_costs_little(module: str, limit_s: float):
    """Beyond what an empty Python costs."""
    empty, full = (
        min(measured("peak_of", "-c", code)["cpu_s"] for _ in range(5))
        for code in ("pass", f"import {module}")
    )
    told(f"import {module}", {"seconds": full - empty})
    assert full - empty < limit_s
