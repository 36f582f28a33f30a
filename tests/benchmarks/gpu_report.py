"""Correctness and speed of the STAF network on an accelerator, as tables, in one run.

    python tests/benchmarks/gpu_report.py                    # CUDA
    python tests/benchmarks/gpu_report.py --device cpu --quick

Prints Markdown: the parity fixtures in full float32, each precision's distance from it, streamed
against windowed, alone against batched; then frames a second against the bare encoder in the same
precision and batch, with and without CUDA graphs, the share of each step, peak memory, and the
windowed form.  Weights and inputs are the parity recipe's, so nothing is needed.
"""

import argparse
import copy
import gc
import platform
import statistics
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import numpy as np
import torch
from torch import Tensor

sys.path.insert(0, str(Path(__file__).parents[2]))

from staf_backend.devices import Graphed, Precision, choose_device, numerics, storage_type
from staf_backend.staf.encoders.resnet import FoldedEncoder
from staf_backend.staf.streaming import Arrival, StafStream, StreamConfig
from staf_backend.staf.streaming.inference import InferenceNetwork
from staf_backend.staf.streaming.settings import Acceleration
from tests.support import parity_network
from tests.support import parity_recipe as recipe
from tests.support.windows import windows

PRECISIONS: tuple[Precision, ...] = ("float32", "tf32", "bfloat16", "float16")


M = TypeVar("M", bound=torch.nn.Module)


@dataclass(frozen=True)
class Plan:
    """What is measured, and how long."""

    device: torch.device
    precisions: tuple[Precision, ...]
    tracks: tuple[int, ...]
    accelerations: tuple[Acceleration, ...]
    steps: int
    frames: int

    def __post_init__(self) -> None:
        if self.steps < 1 or self.frames < 10:
            raise ValueError("steps must be positive and frames at least 10")


def main() -> None:
    """Measures and prints."""
    parser = argparse.ArgumentParser(description="Correctness and speed of STAF on an accelerator")
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--quick", action="store_true", help="few steps: does the script work?")
    given = parser.parse_args()
    device = choose_device(given.device)
    on_cuda = device.type == "cuda"
    plan = Plan(
        device,
        PRECISIONS if on_cuda else ("float32", "bfloat16"),
        (1, 2) if given.quick else (1, 8, 64, 256),
        ("none", "graphs") if on_cuda else ("none",),
        2 if given.quick else 30,
        20 if given.quick else 100,
    )
    print_machine(device)
    correctness(plan)
    speed(plan)
    profile(plan)


def print_machine(device: torch.device) -> None:
    """What it ran on."""
    print(f"\n# STAF on {device}\n")
    print(f"- date: {time.strftime('%Y-%m-%d')}, torch {torch.__version__}, {platform.machine()}")
    if device.type == "cuda":
        found = torch.cuda.get_device_properties(device)
        memory_gib = found.total_memory / 2**30
        print(
            f"- {found.name}, {memory_gib:.0f} GiB, CUDA {torch.version.cuda}, "
            f"cuDNN {torch.backends.cudnn.version()}"
        )


def correctness(plan: Plan) -> None:
    """Item 1: fixtures, precisions, streamed and windowed, alone and batched."""
    print("\n## Correctness\n\n| check | largest difference |\n|---|---|")
    with numerics("float32"), torch.inference_mode():
        for name, value in (*_fixtures(plan.device), *_alone_and_batched(plan)):
            print(f"| {name} | {value} |")
    maps = torch.from_numpy(recipe.clip_maps("a", range(plan.frames)))
    images = _images(plan.frames)
    reference = _streamed_meshes(plan, "float32", maps)
    with_encoder = _streamed_meshes(plan, "float32", images)
    windowed = _windowed_meshes(plan, maps)
    print(f"| streamed - windowed, float32 | {_metres(reference - windowed)} |")
    print("\n| precision | mean vertex distance, from maps | from images | worst frame's mean |")
    print("|---|---|---|---|")
    for precision in plan.precisions:
        rows = [
            _streamed_meshes(plan, precision, x) - y
            for x, y in ((maps, reference), (images, with_encoder))
        ]
        means = [row.norm(dim=-1).mean(1) * 1e3 for row in rows]
        print(
            f"| {precision} | {means[0].mean():.4f} mm | {means[1].mean():.4f} mm "
            f"| {means[1].max():.3f} mm |"
        )


def speed(plan: Plan) -> None:
    """Item 2: frames a second of whole steps, one new frame of every track."""
    print("\n## Speed, one new frame of each track a step\n")
    print("| precision | tracks | run | ms a step | frames/s | bare encoder | ratio | peak MiB |")
    print("|---|---|---|---|---|---|---|---|")
    for precision in plan.precisions:
        for count in plan.tracks:
            for acceleration in plan.accelerations:
                _speed_row(plan, precision, count, acceleration)
    print("\n| windowed form, precision | windows at once | ms a frame |\n|---|---|---|")
    for precision in plan.precisions[:3]:
        spent = _windowed_ms(plan, precision, 2 if plan.steps < 5 else 16)
        print(f"| {precision} | {2 if plan.steps < 5 else 16} | {spent:.2f} |")


def profile(plan: Plan) -> None:
    """Where a step's time goes: by step, then by kernel."""
    precision: Precision = "bfloat16"
    count = plan.tracks[-1]
    stream, push = _prepared(plan, precision, count, "none")
    network, store = _folded(stream), stream.store
    folded = network.folded
    images = upload_images(plan, count)
    slots = torch.arange(9, device=plan.device).expand(count, 9).contiguous()
    with torch.inference_mode(), numerics(precision):
        encoder = network.encoder
        assert encoder is not None
        maps = encoder(images)
        before = folded.before_relu(maps)
        parts = {
            "encoder": lambda: encoder(images),
            "deconvolution 1": lambda: folded.before_relu(maps),
            "frame rows": lambda: folded.frame_rows(before),
            "store": lambda: store.write(
                slots[:, 0], before.float(), *folded.frame_rows(before)[0]
            ),
            "windows, all of it": lambda: stream._windows(slots),
        }
        print(f"\n## Share of each part, {precision}, batch {count}, no graphs\n")
        print("| part | ms |\n|---|---|")
        for name, run in parts.items():
            print(f"| {name} | {_median_ms(plan, run):.3f} |")
    activities = [torch.profiler.ProfilerActivity.CPU]
    if plan.device.type == "cuda":
        activities.append(torch.profiler.ProfilerActivity.CUDA)
    with torch.profiler.profile(activities=activities) as seen:
        push()
    key = "self_device_time_total" if plan.device.type == "cuda" else "self_cpu_time_total"
    print(f"\n```\n{seen.key_averages().table(sort_by=key, row_limit=25)}\n```")


def upload_images(plan: Plan, count: int) -> Tensor:
    """Normalised crops (N, 3, 224, 224) on the device."""
    return _images(min(count, 9)).repeat(-(-count // 9), 1, 1, 1)[:count].to(plan.device)


def _fixtures(device: torch.device) -> list[tuple[str, str]]:
    network, encoder = _on(parity_network.staf(), device), _on(parity_network.encoder(), device)
    expected, found = recipe.fixture("staf"), []
    for name, (clip, first) in {
        "full_a4": ("a", 0),
        "full_a9": ("a", 5),
        "full_b4": ("b", 0),
    }.items():
        result = network(parity_network.window(clip, first).to(device)).result
        mesh = network.body(result.betas, result.rotations).vertices_m.cpu()
        worst = np.abs(mesh[0, ::13].numpy() - expected[f"{name}/verts"]).max()
        found.append((f"fixture {name}, vertices (1e-5 m)", f"{worst:.1e} m"))
    maps = encoder(torch.from_numpy(recipe.network_image("crop0"))[None].to(device)).cpu().numpy()
    worst = np.abs(recipe.every(maps, 29) - recipe.fixture("encoder")["crop0/feature"]).max()
    return [*found, ("fixture encoder (1e-4)", f"{worst:.1e}")]


def _alone_and_batched(plan: Plan) -> list[tuple[str, str]]:
    network = _on(parity_network.staf(), plan.device)
    both = torch.cat([parity_network.window(clip, 0) for clip in "ab"]).to(plan.device)
    together, alone = network(both).result, network(both[:1]).result
    difference = (together.pose6d[:1] - alone.pose6d).abs().max()
    return [("alone - in a batch of two, pose", f"{difference:.1e}")]


def _streamed_meshes(plan: Plan, precision: Precision, inputs: Tensor) -> Tensor:
    config = StreamConfig(device=str(plan.device), precision=precision, vertices=True)
    stream = StafStream(parity_network.staf(), parity_network.encoder(), config)
    track, meshes = stream.open(), []
    for start in range(0, len(inputs), 7):  # an odd size: padded batches are exercised
        part = slice(start, start + 7)
        arrival = Arrival(track, np.arange(len(inputs))[part], inputs[part])
        meshes.append(stream.push([arrival]).vertices_m)
    meshes.append(stream.finish([track]).vertices_m)
    return torch.cat(meshes)


def _windowed_meshes(plan: Plan, maps: Tensor) -> Tensor:
    network, meshes = _on(parity_network.staf(), plan.device), []
    with numerics("float32"), torch.inference_mode():
        for rows in torch.from_numpy(windows(len(maps), 9)).split(8):
            result = network(maps[rows].to(plan.device)).result
            meshes.append(network.body(result.betas, result.rotations).vertices_m.cpu())
    return torch.cat(meshes)


def _speed_row(plan: Plan, precision: Precision, count: int, acceleration: Acceleration) -> None:
    on_cuda = plan.device.type == "cuda"
    if on_cuda:
        gc.collect()
        torch.cuda.empty_cache()
        torch.cuda.reset_peak_memory_stats(plan.device)
    stream, push = _prepared(plan, precision, count, acceleration)
    step_ms = _median_ms(plan, push)
    bare_ms = _bare_encoder_ms(plan, precision, count, stream)
    peak_mib = torch.cuda.max_memory_allocated(plan.device) / 2**20 if on_cuda else float("nan")
    cells = (
        precision,
        count,
        acceleration,
        f"{step_ms:.2f}",
        f"{count / step_ms * 1e3:.0f}",
        f"{bare_ms:.2f} ms",
        f"{step_ms / bare_ms:.2f}",
        f"{peak_mib:.0f}",
    )
    print("| " + " | ".join(map(str, cells)) + " |", flush=True)


def _prepared(
    plan: Plan, precision: Precision, count: int, acceleration: Acceleration
) -> tuple[StafStream, Callable[[], object]]:
    """A stream whose tracks are in mid-clip, and a function that pushes one frame of each."""
    config = StreamConfig(
        device=str(plan.device),
        precision=precision,
        batch=count,
        acceleration=acceleration,
    )
    stream = StafStream(parity_network.staf(), parity_network.encoder(), config)
    tracks, images = [stream.open() for _ in range(count)], upload_images(plan, count)
    frame = 0

    def push() -> None:
        nonlocal frame
        numbers = np.array([frame])
        arrivals = [Arrival(t, numbers, images[i : i + 1]) for i, t in enumerate(tracks)]
        stream.push(arrivals)
        frame += 1

    for _ in range(10):
        push()
    return stream, push


def _folded(stream: StafStream) -> InferenceNetwork:
    """The network of a stream of the paper's."""
    network = stream.network
    assert isinstance(network, InferenceNetwork)
    return network


def _bare_encoder_ms(plan: Plan, precision: Precision, count: int, stream: StafStream) -> float:
    """The encoder alone on the same batch, run in the same way as inside the stream."""
    images = upload_images(plan, count).to(storage_type(precision))
    encoder = stream.network.encoder
    assert isinstance(encoder, FoldedEncoder)
    enabled = _folded(stream).frames.enabled
    step = Graphed(lambda x: (encoder(x),), enabled=enabled, most=count)
    with torch.inference_mode(), numerics(precision):
        return _median_ms(plan, lambda: step(images))


def _windowed_ms(plan: Plan, precision: Precision, count: int) -> float:
    """Encoder and windowed network, a frame; low precision by autocast."""
    network = _on(parity_network.staf(), plan.device)
    encoder = _on(parity_network.encoder(), plan.device)
    images = upload_images(plan, count)
    dtype = storage_type(precision)
    autocast = torch.autocast(plan.device.type, dtype, enabled=dtype != torch.float32)

    def run() -> None:
        with autocast:
            maps = encoder(images)
            network(maps[:, None].expand(-1, 9, -1, -1, -1))

    with torch.inference_mode(), numerics(precision):
        return _median_ms(plan, run) / count


def _median_ms(plan: Plan, run: Callable[[], object]) -> float:
    for _ in range(3):
        run()
    spent = []
    for _ in range(plan.steps):
        _wait(plan.device)
        start = time.perf_counter()
        run()
        _wait(plan.device)
        spent.append((time.perf_counter() - start) * 1e3)
    return statistics.median(spent)


def _wait(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def _images(count: int) -> Tensor:
    names = [f"clip{number % 9}" for number in range(count)]
    drawn = {name: torch.from_numpy(recipe.network_image(name)) for name in set(names)}
    return torch.stack([drawn[name] for name in names])


def _on(module: M, device: torch.device) -> M:
    """The shared module itself on the CPU, a copy elsewhere."""
    return module if device.type == "cpu" else copy.deepcopy(module).to(device)


def _metres(difference: Tensor) -> str:
    return f"{difference.abs().max():.1e} m"


if __name__ == "__main__":
    main()
