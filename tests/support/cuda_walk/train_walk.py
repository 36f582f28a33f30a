"""Training steps of both stages walked through on CUDA: the rules that they break.

A step uploads its batch from pinned memory, and nothing of it waits for the device but the reading
of the losses, and then of the gradient's length, which `training.run.loop` does.  Walked are
forward, losses, backward and the gradient's length; the optimisers are PyTorch's.
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
        weights = [one for one in objective.parameters() if one.requires_grad]
        for forward, backward in (("first step", "first backward"), ("step", "backward")):
            objective.zero_grad(set_to_none=True)
            with watch.region(forward):
                total = objective(Machine(DEVICE).upload(batch))["total"]
            before = watch.operations
            with watch.region(backward):
                total.backward()
                norm = nn.utils.clip_grad_norm_(weights, 1.0)
        placed = [
            total.device,
            norm.device,
            *(one.grad.device for one in weights if one.grad is not None),
        ]
        wrong = [] if set(placed) == {DEVICE} else ["losses or gradients are not on CUDA"]
        if len(placed) < 2 + 0.9 * len(weights):
            wrong.append(f"{len(placed) - 2} of {len(weights)} weights have gradients")
        return wrong + _wrong(watch, before)


def _wrong(watch: Watch, before: int) -> list[str]:
    """Rules that the second step broke, whose backward began after so many operations."""
    seen = [event for event in watch.events if event.region in ("step", "backward")]
    wrong = [f"{one.region}: {one.what} {one.detail}" for one in seen if one.what != "upload"]
    wrong += [f"backward: {what}" for what in watch.of("backward") if what == "upload"]
    if not watch.of("step") or min(before, watch.operations - before) < 500:
        wrong.append(f"too little was walked: {before}, then {watch.operations - before}")
    return wrong


def backward_mistakes() -> dict[str, list[str]]:
    """What the walk says of backwards that are wrong on purpose."""
    steps = {
        "backward waits": lambda gradient: gradient * gradient.nonzero().shape[0],
        "backward uploads": lambda gradient: gradient * torch.full((3,), 2.0).to(DEVICE),
        "backward left on the CPU": lambda gradient: gradient + torch.ones(3),
    }
    found = {}
    for name, step in steps.items():
        with walking() as watch:
            weights = torch.ones(3, device=DEVICE, requires_grad=True)
            weights.register_hook(step)
            try:
                with watch.region("backward"):
                    weights.sum().backward()
                found[name] = watch.of("backward")
            except RuntimeError as error:
                found[name] = [str(error).split("\n")[0]]
    return found
