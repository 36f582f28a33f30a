"""Evaluation of 100,000 frames: its memory after the first of them is its memory at the end.

All frames go through windows, bodies and metrics with a pooled network (Table V), which is quick;
a twentieth of them also through STAF's streaming form.

    pytest tests/benchmarks/test_evaluation_memory.py -s
"""

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent.parent
SHORT = 20
FRAMES = {"pooled": (500, 90_000), "staf": (25, 4_500)}  # of each short video, of the long one
PART = 25
WARM = 1_000
"""Frames of the long video after which everything has its size."""

SLACK_MB = {"pooled": 10, "staf": 40}
"""The allocator takes some late; STAF keeps 0.8 MB a frame, so frames that stay would show."""


def peak_mb() -> float:
    """Largest memory that this process has held."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmHWM")) / 1024


def measure(kind: str) -> dict[str, float]:
    """Many short videos, then a long one (an hour at 25 frames a second), one after the other."""
    sys.path.insert(0, str(ROOT))
    import numpy as np
    import torch

    from staf_backend.staf import PooledConfig
    from tests.support import parity_network
    from tests.support.make_training_videos import (
        FPS,
        SMALL,
        WIDTH,
        made_labels,
        made_maps,
        small_network,
    )
    from training.evaluate import Network, Options, evaluate
    from training.scoring import PROTOCOLS
    from training.scoring.scoring import Part

    torch.set_num_threads(1)
    short, long = FRAMES[kind]
    marks: dict[str, float] = {}
    maps, labels = made_maps("kept", PART), made_labels("kept", PART)

    class Stream:
        name, body, channels = "stream", "synthetic", WIDTH

        def __len__(self) -> int:
            return SHORT + 1

        def gender(self, index: int) -> str:
            return ("male", "female")[index % 2]

        def parts(self, index: int) -> Iterator[Part]:
            for first in range(0, short if index < SHORT else long, PART):
                times_s = (first + np.arange(PART)) / FPS
                yield Part(maps.clone(), labels, times_s, np.ones(PART, bool))
                if index == SHORT and first == WARM:
                    marks["after_mb"] = peak_mb()

    pooled = PooledConfig("APM", map_channels=WIDTH)
    network = small_network(pooled if kind == "pooled" else SMALL)
    given = Network("small", network, None, parity_network.body().tables)
    begun_s = time.process_time()
    scores = evaluate(given, Stream(), PROTOCOLS["mpii3d"], Options(device="cpu", batch=16))
    marks |= {"end_mb": peak_mb(), "cpu_s": time.process_time() - begun_s}
    return marks | {"frames": scores.summary.frames, "triples": scores.summary.triples}


@pytest.mark.parametrize("kind", FRAMES)
def test_memory_does_not_grow_with_the_frames(kind: str):
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    run = subprocess.run(
        [sys.executable, __file__, kind],
        capture_output=True,
        text=True,
        check=True,
        env=environment,
    )
    found = json.loads(run.stdout)
    print(found)
    short, long = FRAMES[kind]
    total = SHORT * short + long
    assert found["frames"] == total == {"pooled": 100_000, "staf": 5_000}[kind]
    assert found["triples"] == total - 2 * (SHORT + 1)
    assert found["end_mb"] - found["after_mb"] < SLACK_MB[kind]


if __name__ == "__main__":
    print(json.dumps(measure(sys.argv[1])))
