"""Speed of what stands at the end of the line; process time of one core, best of several runs."""

import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

from staf_backend.body import load_body
from staf_backend.export.gltf import write_glb
from staf_backend.motion import joints_m, load_motion, save_motion
from tests.support.sample_motions import sample_motion, swaying


def best_s(run: Callable[[], object], times: int = 3) -> float:
    """The least process time of several runs."""
    taken = []
    for _ in range(times):
        start = time.process_time()
        run()
        taken.append(time.process_time() - start)
    return min(taken)


def test_ten_thousand_keys(tmp_path: Path):
    motion = sample_motion(swaying(10_000))
    bodies = {"open-neutral": load_body("open-neutral")}
    path = tmp_path / "m.npz"
    taken = {
        "save_motion": best_s(lambda: save_motion(path, motion)),
        "load_motion": best_s(lambda: load_motion(path)),
        "joints_m": best_s(lambda: joints_m(motion)),
        "write_glb": best_s(lambda: write_glb(tmp_path / "m.glb", [motion], bodies)),
    }
    print({name: f"{seconds:.3f} s" for name, seconds in taken.items()})
    assert taken["write_glb"] < 1
    assert max(taken.values()) < 1


def test_skinning_a_frame_takes_a_few_milliseconds():
    body = load_body("open-neutral")
    rotations, root_m = swaying(200).astype(np.float32), np.zeros((200, 3))
    taken_s = best_s(lambda: body.vertices_m(rotations, np.zeros(10), root_m)) / 200
    print(f"vertices_m: {1000 * taken_s:.2f} ms a frame of {len(body.template_m)} vertices")
    assert taken_s < 0.005
