"""Training steps of both stages walked through on CUDA: the rules that they break.

A step uploads its batch from pinned memory, and nothing of it waits for the device before the
losses are read.  Walked is our own part, forward and losses; PyTorch's engine wants a real
accelerator for backward, which `fake_gpu` walks on PyTorch's spare device.
"""

from functools import partial

import torch
from torch import nn

from staf_backend.staf import StafConfig
from staf_backend.staf.encoders import Encoder
from tests.support import parity_network
from tests.support.cuda_walk.watch import Watch, walking
from tests.support.make_feeding import no_targets
from training.model import (
    DenseConfig,
    DenseHead,
    ImageObjective,
    LossConfig,
    Losses,
    VideoObjective,
)
from training.run import Machine, Precision
from training.targets import ImageBatch, WindowBatch

BASE = StafConfig(channels=16, frames=1, average_target=False, tcfm_stage=None, safm_stage=None)
DEVICE = torch.device("cuda:0")


def walk_training() -> dict[str, list[str]]:
    """The rules that each stage breaks in each precision."""
    precisions: tuple[Precision, ...] = ("float32", "bfloat16")
    cases = {"image": _image, "video": _video}
    return {
        f"{name} {precision}": _walk(*make(precision))
        for name, make in cases.items()
        for precision in precisions
    }


def _video(precision: Precision) -> tuple[nn.Module, WindowBatch]:
    network = parity_network.random_staf(StafConfig(channels=16)).requires_grad_(True)
    losses = Losses(parity_network.body(), LossConfig())
    maps = torch.zeros(2, 9, 2048, 7, 7, dtype=torch.float16)
    objective = VideoObjective(network, losses, partial(Machine(DEVICE).autocast, precision))
    return objective, WindowBatch(maps, no_targets(2, 9).map(torch.from_numpy))


def _image(precision: Precision) -> tuple[nn.Module, ImageBatch]:
    network = parity_network.random_staf(BASE).requires_grad_(True)
    body = parity_network.body()
    losses, dense = (
        Losses(body, LossConfig.paper_image()),
        DenseHead(16, body.tables, DenseConfig()),
    )
    crops = torch.zeros(2, 224, 224, 3, dtype=torch.uint8)
    autocast = partial(Machine(DEVICE).autocast, precision)
    objective = ImageObjective(Encoder(), network, losses, dense, autocast)
    return objective, ImageBatch(crops, no_targets(2).map(torch.from_numpy))


def _walk(objective: nn.Module, batch: ImageBatch | WindowBatch) -> list[str]:
    with walking() as watch:
        objective.to(DEVICE).train()
        for region in ("first step", "step"):
            with watch.region(region):
                total = objective(Machine(DEVICE).upload(batch))["total"]
        return _wrong(watch) + ([] if total.device == DEVICE else ["the loss is not on CUDA"])


def _wrong(watch: Watch) -> list[str]:
    seen = [event for event in watch.events if event.region == "step"]
    wrong = [f"{event.what} {event.detail}" for event in seen if event.what != "upload"]
    if not watch.of("step") or watch.operations < 500:
        wrong.append(f"too little was walked: {watch.operations} operations")
    return wrong
