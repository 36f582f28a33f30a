"""Many short clips with a person in them, ways to damage one, and clips that cost nothing."""

import importlib
import resource
import time
from collections.abc import Callable, Iterator
from fractions import Fraction
from itertools import chain, islice, repeat
from pathlib import Path
from typing import Any

import av
import cv2
import numpy as np

from staf_backend.batch.recipe import Recipe
from staf_backend.batch.run import Plan, run_batch
from staf_backend.batch.schedule import Limits
from staf_backend.pipeline import Settings
from staf_backend.reporting import Terminal
from tests.support.make_clips import write_clip
from tests.support.places import FOOTAGE

_HEIGHT_PX, _FRAMES, _FPS = 360, 14, 30


def short_clips(folder: Path, count: int) -> list[Path]:
    """Clips of half a second, each with other pictures: another moment, another brightness."""
    folder.mkdir(parents=True)
    pictures = list(islice(_person(), 50))
    paths = []
    for number in range(count):
        path = folder / f"clip{number:04}.mp4"
        first, light = number % 30, 0.8 + 0.4 * (number * 0.618 % 1)
        shown = (
            np.clip(picture * light, 0, 255).astype(np.uint8)
            for picture in pictures[first : first + _FRAMES]
        )
        _write(path, shown)
        paths.append(path)
    return paths


def write_long(path: Path, seconds: float, fps: int = _FPS) -> Path:
    """A clip of any length: 45 pictures of a person, forwards and backwards."""
    pictures = list(islice(_person(), 45))
    loop = chain.from_iterable(repeat([*pictures, *pictures[-2:0:-1]]))
    _write(path, islice(loop, round(seconds * fps)), fps)
    return path


def _person() -> Iterator[np.ndarray]:
    with av.open(str(FOOTAGE / "balance_cam02.mp4")) as container:
        for frame in container.decode(video=0):
            image = frame.to_ndarray(format="rgb24")
            width = round(image.shape[1] * _HEIGHT_PX / image.shape[0] / 2) * 2
            yield cv2.resize(image, (width, _HEIGHT_PX), interpolation=cv2.INTER_AREA)


def _write(path: Path, pictures: Iterator[np.ndarray], fps: int = _FPS) -> None:
    with av.open(str(path), "w") as container:
        stream: Any = container.add_stream("libx264", rate=fps, options={"preset": "ultrafast"})
        stream.time_base = Fraction(1, fps)
        stream.pix_fmt = "yuv420p"
        for number, picture in enumerate(pictures):
            if number == 0:
                stream.height, stream.width = picture.shape[:2]
            container.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
        container.mux(stream.encode(None))


def corrupt(path: Path, way: int) -> Callable[[Path], None]:
    """Damage a clip in one of ten ways; returns which."""
    chosen = WAYS[way % len(WAYS)]
    chosen(path)
    return chosen


def _empty(path: Path) -> None:
    path.write_bytes(b"")


def _text(path: Path) -> None:
    path.write_text("no video\n" * 1000)


def _cut(path: Path) -> None:
    data = path.read_bytes()
    path.write_bytes(data[: len(data) * 2 // 3])


def _head_alone(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:40])


def _zeros(path: Path) -> None:
    path.write_bytes(bytes(path.stat().st_size))


def _noise(path: Path) -> None:
    noise = np.random.default_rng(1).bytes(100_000)
    path.write_bytes(path.read_bytes()[:32] + noise)


def _no_index(path: Path) -> None:
    path.write_bytes(path.read_bytes().replace(b"moov", b"xxxx"))


def _no_pictures(path: Path) -> None:
    path.write_bytes(path.read_bytes().replace(b"avc1", b"zzzz"))


def _nobody(path: Path) -> None:
    write_clip(path)


def _nowhere(path: Path) -> None:
    path.unlink()
    path.symlink_to(path.with_name("gone.mp4"))


WAYS = (
    *(_empty, _text, _cut, _head_alone, _zeros, _noise, _no_index, _no_pictures, _nobody, _nowhere),
)

STUB_SCRIPT = """
import json, logging, resource, sys, time
from pathlib import Path
from tests.support.make_batch import run_stubs
print(json.dumps(run_stubs(sys.argv[1], int(sys.argv[2]), Path(sys.argv[3]))))
"""
"""Runs `run_stubs` in a process whose memory is its own."""


class StubSlot:
    """A slot whose clips cost nothing: a small file, and an answer as long as a real one."""

    def __init__(self, limits: Limits) -> None:  # noqa: ARG002 - nothing takes long here
        self._thumbnail = "A" * 6000

    def run(self, order: dict[str, Any]) -> dict[str, Any]:
        """One clip's answer."""
        name = f"{order['stem']}.glb"
        (Path(order["folder"]) / name).write_bytes(b"glTF")
        person = {"person": 1, "name": order["stem"], "frames": 9, "seconds": 1.0, "coverage": 1.0}
        person |= {"quality": {"jitter": 1.0}, "words": ["nothing"], "body": "open-neutral"}
        return {
            "ok": True,
            "source_sha256": "0" * 64,
            "files": {name: "0" * 64},
            "people": [person],
            "stages_s": {"open": 0.0},
            "thumbnail": self._thumbnail,
        }

    def rest(self) -> None:
        """Nothing is open."""

    def stop(self) -> None:
        """Nothing runs."""


def run_stubs(kind: str, count: int, folder: Path) -> dict[str, float]:
    """Milliseconds for each clip, and the peak of this process' memory, with all reports."""
    clips = folder / "in"
    clips.mkdir(parents=True)
    for number in range(count):
        (clips / f"{number:05}.mp4").touch()
    cluster = None
    if kind == "ray":
        utils = importlib.import_module("ray.cluster_utils")
        cluster = utils.Cluster(initialize_head=True, head_node_args={"num_cpus": 4})
    plan = Plan(
        given=[clips],
        out=folder / "out",
        recipe=Recipe.of(Settings(), {}, ()),
        patterns=("*.mp4",),
        depth=None,
        workers=4,
        limits=Limits(),
        force=False,
        ray=cluster.address if cluster else None,
        gpus=0.0,
        store=None,
        blending=None,
        profile=False,
        one_glb_per_person=False,
    )
    before = resource.getrusage(resource.RUSAGE_SELF)
    began = time.monotonic()
    code = run_batch(plan, Terminal(quiet=True), StubSlot)
    seconds = time.monotonic() - began
    after = resource.getrusage(resource.RUSAGE_SELF)
    if cluster is not None:
        cluster.shutdown()
    assert code == 0
    used = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return {
        "ms_each": round(1000 * seconds / count, 2),
        "processor_ms_each": round(1000 * used / count, 2),
        "peak_mb": round(after.ru_maxrss / 1024),
        "before_mb": round(before.ru_maxrss / 1024),
    }
