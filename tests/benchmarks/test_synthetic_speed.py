"""How many synthetic crops a second, and where the time goes.

    pytest tests/benchmarks/test_synthetic_speed.py -s

Process time of one core where Mesa draws on the processor (LP_NUM_THREADS=1 keeps it to one);
wall-clock time where a GPU draws, since the processor waits for it.  STAF_MOCAP names a motion
capture file; without it motion is sampled, which costs the same.
"""

import os
import time
from collections import defaultdict
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

pytest.importorskip("torch")
pytest.importorskip("moderngl")

from training.synthetic import SyntheticImages, SyntheticRecipe, SyntheticSequences
from training.synthetic.degrade import degrade
from training.synthetic.draw import renderer

RECIPE = SyntheticRecipe(mocap=os.environ.get("STAF_MOCAP", ""), frames=(60, 60))
SHOTS, FRAMES = 6, 10


class Clock:
    """Seconds by stage; every stage ends only when the renderer has finished."""

    def __init__(self) -> None:
        self.context = renderer(RECIPE.pixels).context
        software = "llvmpipe" in self.context.info["GL_RENDERER"]
        self.now: Callable[[], float] = time.process_time if software else time.perf_counter
        self.spent_s: dict[str, float] = defaultdict(float)

    def stage(self, name: str, work: Callable[[], Any]) -> Any:
        self.context.finish()
        begun = self.now()
        done = work()
        self.context.finish()
        self.spent_s[name] += self.now() - begun
        return done


@pytest.fixture(scope="module", autouse=True)
def _warm():
    """Textures are made once in a process: count them apart."""
    begun = time.process_time()
    source, rng = SyntheticImages(RECIPE, 150, 1), np.random.default_rng(0)
    for index in range(150):
        source.take(index, rng)
    print(f"\n{renderer(RECIPE.pixels).name}, {RECIPE.pixels} px")
    print(f"filling the bank of textures: {time.process_time() - begun:.1f} s, once a process")


def test_stages_of_a_frame():
    source, drawing, clock = SyntheticSequences(RECIPE, SHOTS, 0), renderer(RECIPE.pixels), Clock()
    rng = np.random.default_rng(0)
    for index in range(SHOTS):
        take = clock.stage("sample*", lambda index=index: source.take(index))
        clock.stage("upload*", lambda shot=take.shot: drawing.begin(shot))
        with drawing.context:
            for frame in range(FRAMES):
                _frame(clock, take, frame, rng)
    for name, spent in clock.spent_s.items():
        count = SHOTS if name.endswith("*") else SHOTS * FRAMES
        print(f"{name:10s} {1000 * spent / count:7.2f} ms a {'shot' if '*' in name else 'frame'}")
    frame_s = sum(s for name, s in clock.spent_s.items() if "*" not in name) / SHOTS / FRAMES
    assert 1 / frame_s > 25


def _frame(clock: Clock, take: Any, frame: int, rng: np.random.Generator) -> None:
    drawing, shot = renderer(RECIPE.pixels), take.shot
    clock.stage("skin", lambda: drawing._skinned(frame))
    drawing._sun_view = clock.stage("shadow", lambda: drawing._shadowed(shot, frame))
    clock.stage("clear", lambda: drawing._aim(shot, frame, frame))
    clock.stage("draw", drawing._draw)
    picture = clock.stage("read back", drawing._read)
    clock.stage("degrade", lambda: degrade(picture, take.flaws, shot.squares[frame], rng))


def test_video_crops_a_second():
    source, clock = SyntheticSequences(RECIPE, SHOTS + 1, 5), Clock()
    for _ in source.parts(SHOTS):
        pass
    begun = time.perf_counter()
    crops = clock.stage(
        "video", lambda: sum(len(p.images) for i in range(SHOTS) for p in source.parts(i))
    )
    rate, wall = crops / clock.spent_s["video"], crops / (time.perf_counter() - begun)
    print(f"video: {rate:.1f} crops/s of one core's time, {wall:.1f} by the wall clock")
    assert rate > 20


def test_image_crops_a_second():
    source, clock, rng = SyntheticImages(RECIPE, 60, 5), Clock(), np.random.default_rng(0)
    begun = time.perf_counter()
    clock.stage("images", lambda: [source.image(i, rng) for i in range(60)])
    rate, wall = 60 / clock.spent_s["images"], 60 / (time.perf_counter() - begun)
    print(f"images: {rate:.1f} crops/s of one core's time, {wall:.1f} by the wall clock")
    assert rate > 5
