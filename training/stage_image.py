"""Stage 1: train the encoder and the base network on single crops.

    python -m training.stage_image --data COCO --out RUN                         1a
    python -m training.stage_image --preset mixed --begin RUN --out RUN2 \\
        --data H36M=0.5 --data MPII3D=0.2 --data COCO=0.15 ...                   1b
    python -m training.stage_image --data synthetic --encoder blazepose-heavy --out RUN

A source is the folder of a prepared set, "synthetic[:count[:seed]]" or, for an encoder that reads
landmarks, "simulated[:count[:seed]]", with the share of the batch
that it makes up; without shares, sources count by their size.  At the end, and at --minutes, the
best state is also written to RUN/weights.
"""

import argparse
import logging
import math
import os
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from staf_backend.devices import numerics
from staf_backend.files import sha256
from staf_backend.staf import RESNET50
from staf_backend.staf.any_network import make_network
from staf_backend.staf.network import Staf
from training.command import command_line
from training.data.batches import ImageMix, loaded
from training.data.sources import check_readable, is_simulated, open_images, open_sequences
from training.model import (
    NAMES,
    DenseHead,
    ImageObjective,
    Losses,
    digest,
    make_encoder,
    set_dropout,
    whitening,
)
from training.options import (
    add_loop_options,
    add_loss_weights,
    add_recipes,
    configured,
    loop_of,
    plan,
    recipes,
    weighed,
)
from training.run import (
    LAST,
    WATCHED,
    ImageStageConfig,
    KeptCrops,
    Machine,
    Run,
    RunError,
    linear_start,
    load_strictly,
    networks,
    open_machine,
    read_model,
    score,
    train,
)
from training.targets import ImageBatch, ImageSource, PosedJoints

_log = logging.getLogger(__name__)

PRESETS = {"coco": ImageStageConfig.coco, "mixed": ImageStageConfig.mixed}
_VALIDATED = 1024
"""Images that a validation looks at.  Chosen."""
_RANDOM = (
    "ResNet-50 starts from random numbers: no --encoder-weights are given. "
    "The paper starts from ImageNet's: give torchvision's resnet50 file."
)


@dataclass(frozen=True)
class Share:
    """A source of images and how much of each batch it makes up; None: by its size."""

    spec: str
    share: float | None = None

    @classmethod
    def parse(cls, text: str) -> "Share":
        """ "SPEC" or "SPEC=SHARE".

        Raises:
            RunError: the share is not a number above 0.
        """
        spec, sign, number = text.rpartition("=")
        if not sign:
            return cls(text)
        try:
            share = float(number)
        except ValueError:
            return cls(text)  # a folder with "=" in its name
        if not 0 < share < math.inf:
            raise RunError(f"The share in {text} is not above 0.", "Write for example SET=0.5.")
        return cls(spec, share)


def open_mix(config: ImageStageConfig, recipe: Path | None = None) -> tuple[ImageMix, int]:
    """The sources of a configuration as one, and how many images they have.

    Raises:
        RunError: no source, or some shares given and some not.
    """
    shares = [Share.parse(text) for text in config.data]
    if not shares:
        raise RunError("There is nothing to train on.", "Name it: --data SPEC.")
    given = [one.share is not None for one in shares]
    if any(given) and not all(given):
        raise RunError("Some sources have a share and some have none.", "Give all or none.")
    sources: list[ImageSource] = [open_images(one.spec, recipe=recipe) for one in shares]
    weights = [one.share or float(len(source)) for one, source in zip(shares, sources)]
    loop = config.loop
    try:
        mix = ImageMix(sources, weights, loop.batch, loop.seed, body=config.body)
    except ValueError as error:
        raise RunError(f"The data cannot be mixed: {error}.", "Change --data.") from error
    return mix, sum(map(len, sources))


def feed(
    mix: ImageMix, first: int, last: int, *, machine: Machine, workers: int
) -> Iterator[ImageBatch]:
    """This process's batches of steps `first` to before `last`, made by worker processes."""
    pinned = machine.device.type == "cuda"
    return loaded(
        mix, range(first, last), machine.rank, machine.world, workers=workers, pin_memory=pinned
    )


class BaseNetwork(nn.Module):
    """Encoder and base network as one, for validation."""

    def __init__(self, objective: ImageObjective) -> None:
        super().__init__()
        self.objective = objective

    def forward(self, crops_u8: Tensor) -> Any:
        """StafOutputs of crops (N, 224, 224, 3) uint8."""
        encoder, network = self.objective.encoder, self.objective.network
        with self.objective.autocast():
            return network(encoder(encoder.normalise(crops_u8))[:, None])


def make_objective(
    config: ImageStageConfig,
    machine: Machine,
    *,
    mean: Path | None = None,
    encoder_weights: Path | None = None,
) -> ImageObjective:
    """What is trained, with fresh or given weights, on the CPU.

    Raises:
        EncoderError, BodyError, RunError: a name or a file is wrong.
    """
    torch.manual_seed(config.loop.seed)
    encoder = make_encoder(config.encoder, encoder_weights)
    tables = networks.body_tables(config.body)
    network = make_network(config.network(encoder.channels), tables, networks.start_values(mean))
    assert isinstance(network, Staf)
    losses = Losses(network.body, config.losses)
    dense = DenseHead(config.channels, tables, config.dense) if config.dense else None
    autocast = partial(machine.autocast, config.loop.precision)
    objective = ImageObjective(encoder, network, losses, dense, autocast)
    set_dropout(objective, config.dropout)
    return objective


def train_images(
    config: ImageStageConfig,
    mix: ImageMix,
    objective: ImageObjective,
    out: Path,
    machine: Machine,
    *,
    validation: KeptCrops | None = None,
    resume: bool = False,
    minutes: float | None = None,
    workers: int = 0,
) -> Path:
    """Trains the base model and writes its weights; returns their folder.

    Raises:
        RunError, OutputError: see `loop.train`.
    """
    with numerics(config.loop.precision):
        objective = machine.place(objective)  # pyright: ignore[reportAssignmentType]
        if config.loop.compiled:
            objective.encoder.compile()
            objective.network.compile()
        joints = PosedJoints(objective.network.body.tables).to(machine.device)

        def validate() -> dict[str, float]:
            assert validation is not None
            return score(BaseNetwork(objective), joints, validation, machine)

        progress = train(
            Run(
                folder=out,
                stage="image",
                config=config,
                objective=objective,
                optimisers=[config.loop.adam(_groups(config, objective))],
                machine=machine,
                watch=WATCHED,
                feed=partial(feed, mix, machine=machine, workers=workers),
                validate=validate if machine.agree(validation is not None) else None,
                idle=config.losses.supervise == "last",
                resume=resume,
                minutes=minutes,
            )
        )
    folder = out / "weights"
    if machine.first:
        note = f"Base model after {progress.step} of {config.loop.steps} steps on {config.body}."
        blank = make_network(
            objective.network.config, objective.network.body.tables, networks.start_values()
        )
        assert isinstance(blank, Staf)
        networks.export(out, folder, None, blank, (note,))
    return folder


def begin_from(objective: ImageObjective, run: Path) -> None:
    """Takes the weights of another run of this stage, dense head included if both have one.

    Raises:
        RunError: the run has not saved, or its network is another.
    """
    file = networks.best_state(run)
    tensors = read_model(file)
    if objective.dense is None:
        tensors = {n: tensor for n, tensor in tensors.items() if not n.startswith("dense.")}
    load_strictly(objective, tensors, file)


def _groups(config: ImageStageConfig, objective: ImageObjective) -> list[dict[str, Any]]:
    """The encoder's parameters with their own rate, then all others."""
    encoder = list(objective.encoder.parameters())
    theirs = {id(parameter) for parameter in encoder}
    rest = [p for p in objective.parameters() if id(p) not in theirs]
    rate = config.loop.learning_rate
    groups = [{"params": rest, "lr": rate}]
    if config.encoder_rate > 0:
        return [{"params": encoder, "lr": rate * config.encoder_rate}, *groups]
    objective.encoder.requires_grad_(False)
    return groups


def arguments(preset: ImageStageConfig) -> argparse.ArgumentParser:
    """The command line's options, with the defaults of a preset."""
    parser = argparse.ArgumentParser(prog="python -m training.stage_image", description=__doc__)
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("--data", action="append", default=[], metavar="SPEC[=SHARE]")
    parser.add_argument("--validation", default="", metavar="SPEC", help="decides which is best")
    add_recipes(parser)
    parser.add_argument("--preset", choices=PRESETS, default="coco", help="1a or 1b of the paper")
    parser.add_argument("--encoder", choices=NAMES, default=ImageStageConfig.encoder)
    parser.add_argument(
        "--encoder-weights",
        type=Path,
        help="its state dict, .safetensors; for resnet50 torchvision's .pth, too",
    )
    parser.add_argument("--encoder-rate", type=float, default=1.0, help="times --rate; 0: frozen")
    parser.add_argument("--begin", type=Path, metavar="RUN", help="take that run's weights")
    parser.add_argument("--channels", type=int, default=ImageStageConfig.channels)
    parser.add_argument("--body", default=ImageStageConfig.body)
    parser.add_argument("--mean", type=Path, help="SPIN's smpl_mean_params.npz")
    parser.add_argument("--dropout", type=float, default=ImageStageConfig.dropout)
    parser.add_argument(
        "--linear-start", action="store_true", help="fit the first regressor in closed form first"
    )
    parser.add_argument(
        "--workers",
        type=int,
        default=min(4, os.cpu_count() or 1),
        help="processes that make batches",
    )
    parser.add_argument("--no-dense", action="store_true", help="without the auxiliary head")
    add_loss_weights(parser)
    add_loop_options(parser, preset.loop)
    return parser


def config_of(options: argparse.Namespace) -> ImageStageConfig:
    """The configuration that the options describe.

    Raises:
        RunError: a recipe is missing.
        ValueError: an option is out of its range.
    """
    preset = PRESETS[options.preset]()
    return replace(
        preset,
        loop=loop_of(options, preset.loop),
        encoder=options.encoder,
        encoder_rate=options.encoder_rate,
        channels=options.channels,
        body=options.body,
        dropout=options.dropout,
        linear_start=options.linear_start,
        dense=None if options.no_dense else preset.dense,
        data=tuple(options.data),
        validation=options.validation,
        recipes=recipes(options),
        losses=weighed(preset.losses, options),
    )


def main(argv: Sequence[str] | None = None) -> None:
    """The command line."""
    first = argparse.ArgumentParser(add_help=False)  # the preset has the defaults of the rest
    first.add_argument("--preset", choices=PRESETS, default="coco")
    parser = arguments(PRESETS[first.parse_known_args(argv)[0].preset]())
    options = parser.parse_args(argv)
    config = configured(parser, lambda: config_of(options))
    with open_machine(options.device) as machine:
        _run(config, options, machine)


def _run(config: ImageStageConfig, options: argparse.Namespace, machine: Machine) -> None:
    mix, images = open_mix(config, options.recipe)
    if options.iterations is None:  # an epoch is one pass over the images
        passes = max(1, images // config.loop.batch)
        config = replace(config, loop=replace(config.loop, iterations=passes))
    objective = make_objective(
        config, machine, mean=options.mean, encoder_weights=options.encoder_weights
    )
    if machine.first and _is_random(options):
        _log.warning(_RANDOM)
    check_readable([Share.parse(text).spec for text in config.data], objective.encoder)
    if not options.dry_run and _is_to_be_fitted(objective.encoder, options):
        batches = math.ceil(whitening.PICTURES / config.loop.batch)
        whitening.fit(objective.encoder, (mix.batch(step).images for step in range(batches)))
    if config.linear_start and not options.dry_run and not _is_begun(options, machine):
        samples = min(linear_start.SAMPLES, images)
        batches = range(math.ceil(samples / config.loop.batch))
        linear_start.fit(objective.network, objective.encoder, (mix.batch(n) for n in batches))
    config = replace(config, encoder_weights=digest(objective.encoder))
    if options.begin is not None:
        begin_from(objective, options.begin)
        begun = sha256(networks.best_state(options.begin))
        config = replace(config, begun_from=begun)
    if options.dry_run:
        print(plan("image", config, {"images": images, "processes": machine.world}))
        return
    validation = None
    if config.validation and machine.first:
        check_readable([config.validation], objective.encoder)
        source = open_sequences(config.validation, recipe=options.validation_recipe)
        validation = KeptCrops(source, _VALIDATED, config.loop.batch)
    train_images(
        config,
        mix,
        objective,
        options.out,
        machine,
        validation=validation,
        resume=options.resume,
        minutes=options.minutes,
        workers=0 if is_simulated(config.data[0]) else options.workers,  # they lie in memory
    )


def _is_begun(options: argparse.Namespace, machine: Machine) -> bool:
    """Whether the network begins with what a run has learnt; one that was killed before it saved
    has learnt nothing."""
    saved = (options.out / LAST).exists()
    return bool(options.begin) or machine.agree(options.resume and saved)


def _is_random(options: argparse.Namespace) -> bool:
    """Whether the encoder starts from random numbers."""
    given = options.encoder_weights or options.begin or options.resume
    return options.encoder == RESNET50 and not given


def _is_to_be_fitted(encoder: nn.Module, options: argparse.Namespace) -> bool:
    """Whether no weights were given that hold the layer which makes maps white; ONNX never does."""
    file = options.encoder_weights
    given = options.begin or (file is not None and file.suffix != ".onnx")
    return whitening.is_white(encoder) and not given


if __name__ == "__main__":
    sys.exit(command_line(main))
