"""Stage 2: train the whole network on windows of kept maps of the frozen encoder.

    python -m training.stage_video --run RUN1 --data-2d INSTA --data-2d POSETRACK \\
        --data-3d H36M --data-3d MPII3D --data-3d 3DPW --validation 3DPW-VAL --out RUN2
    python -m training.stage_video --run RUN1 --data-3d synthetic:400 --share-2d 0 --out RUN2

--run is a run of stage 1, or the folder of a base model's weights.  Maps are made once for each
set and encoder and kept in --cache.  At the end, and at --minutes, the best state is also written
to RUN2/weights.
"""

import argparse
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import torch
from torch import Tensor

from staf_backend.devices import numerics
from staf_backend.files import sha256
from staf_backend.staf import TABLE_IV, TABLE_V, TABLE_VI, AnyConfig, PooledConfig, StafConfig
from staf_backend.staf.any_network import make_network
from staf_backend.staf.body import SmplBody
from staf_backend.staf.network import MeanParams, Staf
from training.command import command_line
from training.data.batches import WindowMix, threaded
from training.data.feature_cache import FeatureCache, build_cache
from training.data.sources import check_readable, is_simulated, is_synthetic, open_sequences
from training.datasets import INDEX_FILE, REPORT_FILE
from training.model import LossConfig, Losses, VideoObjective, digest, set_dropout
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
    WATCHED,
    Machine,
    Run,
    RunError,
    Validate,
    VideoStageConfig,
    networks,
    open_machine,
    score,
    train,
)
from training.targets import PosedJoints, Targets, WindowBatch

ROWS: dict[str, AnyConfig] = {
    "STAF": StafConfig(),
    **TABLE_IV,
    **TABLE_V,
    **TABLE_VI,
}
"""What may be trained, by the paper's names."""
LOSSES = {"paper": LossConfig.paper_video, "released": LossConfig.released_video}


@dataclass(frozen=True)
class VideoCaches:
    """Kept maps of sets with 2D labels alone, of sets with 3D labels, and of the validation set."""

    two_d: tuple[FeatureCache, ...] = ()
    three_d: tuple[FeatureCache, ...] = ()
    validation: FeatureCache | None = None

    def __post_init__(self) -> None:
        if not self.two_d and not self.three_d:
            raise RunError("There is nothing to train on.", "Name it: --data-2d, --data-3d.")


def train_video(
    config: VideoStageConfig,
    caches: VideoCaches,
    base: networks.Base,
    out: Path,
    machine: Machine,
    *,
    resume: bool = False,
    minutes: float | None = None,
) -> Path:
    """Trains the network of `config` and writes its weights; `networks.load_network(out)` opens
    them.

    Args:
        config: of the stage; its `base` is filled in.
        caches: made with the encoder of `base`.
        base: what stage 1 gave.
        out: folder of the run.
        machine: where.
        resume: go on with the run in `out`.
        minutes: pause after this long.

    Returns:
        The folder of the weights.

    Raises:
        RunError, OutputError: see `loop.train`; or the base does not fit.
    """
    config = replace(config, base=base.digest)
    with numerics(config.loop.precision):
        objective = make_objective(config, base, machine)
        mix = open_mix(config, caches)
        progress = train(
            Run(
                folder=out,
                stage="video",
                config=config,
                objective=objective,
                optimisers=[config.loop.adam([{"params": list(objective.network.parameters())}])],
                machine=machine,
                feed=partial(feed, mix, machine=machine),
                validate=_validation(config, caches.validation, objective, machine),
                watch=WATCHED,
                idle=_idle(config),
                resume=resume,
                minutes=minutes,
            )
        )
    if machine.first:
        steps = f"{progress.step} of {config.loop.steps} steps"
        note = f"Trained with the body {config.body}; {steps}, seed {config.loop.seed}."
        tables = networks.body_tables(config.body)
        network = make_network(config.network, tables, _means(base))
        networks.export(out, out / "weights", base.encoder, network, (note,))
    return out / "weights"


def make_objective(
    config: VideoStageConfig, base: networks.Base, machine: Machine
) -> VideoObjective:
    """What is trained, begun from the base, on the machine.

    Raises:
        RunError: the base lacks more than the fusions, or does not fit.
    """
    torch.manual_seed(config.loop.seed)
    tables = networks.body_tables(config.body)
    network = make_network(config.network, tables, _means(base))
    networks.load_base(network, base)
    if isinstance(network, Staf) and network.tcfm is not None:
        with torch.no_grad():
            network.tcfm.output.weight *= config.fusion_gain
    losses = Losses(SmplBody(tables), config.losses)
    autocast = partial(machine.autocast, config.loop.precision)
    objective = VideoObjective(network, losses, autocast)
    set_dropout(objective, config.dropout)
    machine.place(objective)
    if config.loop.compiled:
        network.compile()
    return objective


class LabelledSets(WindowMix):
    """Windows of which only some sets keep their pose and shape labels."""

    losses = LossConfig()
    """Whose `smpl_sets` say which."""

    def batch(self, step: int, rank: int = 0, world: int = 1) -> WindowBatch:
        batch = super().batch(step, rank, world)
        if self.losses.smpl_sets is None:
            return batch
        caches = [cache for cache, _ in self.samples(step)][rank::world]
        kept = torch.tensor([float(self.losses.has_smpl(cache.source)) for cache in caches])[
            :, None
        ]
        targets = batch.targets
        targets = targets._replace(
            has_pose=targets.has_pose * kept, has_betas=targets.has_betas * kept
        )
        return batch._replace(targets=targets)


def open_mix(config: VideoStageConfig, caches: VideoCaches) -> LabelledSets:
    """The windows of a run's sets in the shares of its configuration.

    Raises:
        RunError: there is no window, or the caches are of several encoders.
    """
    loop = config.loop
    try:
        mix = LabelledSets(
            caches.two_d,
            caches.three_d,
            config.share_2d,
            loop.batch,
            loop.seed,
            config.network.frames,
            config.stride,
            body=config.body,
            foreign_betas=config.losses.foreign_betas,
        )
    except ValueError as error:
        raise RunError(f"The data cannot be mixed: {error}.", "Change the data.") from error
    mix.losses = config.losses
    return mix


def feed(mix: WindowMix, first: int, last: int, *, machine: Machine) -> Iterator[WindowBatch]:
    """This process's batches of steps `first` to before `last`, copied by threads."""
    return threaded(mix, range(first, last), machine.rank, machine.world)


def target_windows(
    cache: FeatureCache, frames: int, stride: int, batch: int
) -> Iterator[tuple[Tensor, Targets]]:
    """Maps (B, T, C, 7, 7) float32 of a cache's windows and the targets (B, ...) of their middle
    frames."""
    starts = cache.windows(frames, stride)
    for first in range(0, len(starts), batch):
        windows = cache.batch(starts[first : first + batch], frames)
        yield windows.maps.float(), windows.targets.map(lambda field: field[:, frames // 2])


def open_cache(
    spec: str,
    recipe: Path | None = None,
    *,
    folder: Path,
    base: networks.Base,
    machine: Machine,
) -> FeatureCache:
    """The kept maps of a set under `folder`, made where missing, by the first process.

    Raises:
        CacheError: they are damaged, or cannot be made.
        OutputError: the disk is full.
    """
    check_readable([spec], base.encoder)
    source = open_sequences(spec, recipe=recipe)
    place = folder / "-".join([_plain(spec), digest(base.encoder)[:12], *_marks(spec, recipe)])
    if machine.first and not place.exists():
        encoder = base.encoder.to(machine.device)
        build_cache(source, encoder, place, device=machine.device)
        base.encoder.to("cpu")
    machine.agree(None)
    return FeatureCache.open(place, base.encoder)


def _validation(
    config: VideoStageConfig,
    cache: FeatureCache | None,
    objective: VideoObjective,
    machine: Machine,
) -> Validate | None:
    if cache is None:
        return None
    joints = PosedJoints(networks.body_tables(config.body)).to(machine.device)

    def validate() -> dict[str, float]:
        loop, frames = config.loop, config.network.frames
        windows = target_windows(cache, frames, config.stride, loop.batch)
        with machine.autocast(loop.precision):
            return score(objective.network, joints, windows, machine)

    return validate


def _means(base: networks.Base) -> MeanParams:
    names = ("mean_pose6d", "mean_betas", "mean_camera")
    return MeanParams(*(base.tensors[name] for name in names))


def _idle(config: VideoStageConfig) -> bool:
    """Whether part of the network learns nothing."""
    return config.losses.supervise == "last" and isinstance(config.network, StafConfig)


def _marks(spec: str, recipe: Path | None) -> list[str]:
    """What tells the maps of one name apart: a set prepared anew, or another recipe."""
    files = [recipe] if recipe else []
    if not is_synthetic(spec) and not is_simulated(spec):
        files = [Path(spec) / name for name in (INDEX_FILE, REPORT_FILE)]
    return [sha256(file)[:12] for file in files if file.is_file()]


def _plain(name: str) -> str:
    return "".join(c if c.isalnum() or c in "-_." else "-" for c in name)


def row(name: str, base: networks.Base) -> AnyConfig:
    """The network of that name, as wide as the base.

    Raises:
        RunError: there is no such name.
    """
    if name not in ROWS:
        raise RunError(f"There is no network called {name!r}.", f"Known: {', '.join(ROWS)}.")
    config, wide = ROWS[name], base.network.map_channels
    if isinstance(config, PooledConfig):
        return replace(config, map_channels=wide)
    return replace(config, channels=base.network.channels, map_channels=wide)


def arguments() -> argparse.ArgumentParser:
    """The command line's options."""
    parser = argparse.ArgumentParser(prog="python -m training.stage_video", description=__doc__)
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("--run", type=Path, required=True, help="run of stage 1, or its weights")
    parser.add_argument("--data-2d", action="append", default=[], metavar="SPEC")
    parser.add_argument("--data-3d", action="append", default=[], metavar="SPEC")
    parser.add_argument("--validation", default="", metavar="SPEC", help="decides which is best")
    add_recipes(parser)
    parser.add_argument("--cache", type=Path, help="folder of kept maps; OUT/../maps by default")
    parser.add_argument("--network", default="STAF", metavar="NAME", help="STAF or a table's row")
    parser.add_argument("--losses", choices=LOSSES, default="paper")
    parser.add_argument("--supervise", choices=("every", "last"), help="instead of the losses' own")
    parser.add_argument("--share-2d", type=float, default=VideoStageConfig.share_2d)
    parser.add_argument("--stride", type=int, default=VideoStageConfig.stride)
    parser.add_argument("--body", default="", help="of weights that do not say theirs")
    parser.add_argument("--dropout", type=float, default=VideoStageConfig.dropout)
    parser.add_argument(
        "--fusion-gain",
        type=float,
        default=VideoStageConfig.fusion_gain,
        help="factor on what the fresh TCFM adds",
    )
    add_loss_weights(parser)
    add_loop_options(parser, VideoStageConfig().loop)
    return parser


def config_of(options: argparse.Namespace, base: networks.Base) -> VideoStageConfig:
    """The configuration that the options describe, for a base.

    Raises:
        RunError: there is no network of that name, or a recipe is missing.
        ValueError: an option is out of its range.
    """
    default = VideoStageConfig()
    losses = weighed(LOSSES[options.losses](), options)
    if options.supervise:
        losses = replace(losses, supervise=options.supervise)
    return VideoStageConfig(
        loop=loop_of(options, default.loop),
        network=row(options.network, base),
        body=base.body,
        base=base.digest,
        share_2d=options.share_2d if options.data_2d else 0.0,
        stride=options.stride,
        dropout=options.dropout,
        fusion_gain=options.fusion_gain,
        losses=losses,
        data_2d=tuple(options.data_2d),
        data_3d=tuple(options.data_3d),
        validation=options.validation,
        recipes=recipes(options),
    )


def main(argv: Sequence[str] | None = None) -> None:
    """The command line."""
    parser = arguments()
    options = parser.parse_args(argv)
    if not options.data_2d and not options.data_3d:
        parser.error("there is nothing to train on: --data-2d, --data-3d")
    if options.schedule == "plateau" and not options.validation:
        parser.error("the plateau schedule needs --validation, or choose another --schedule")
    with open_machine(options.device) as machine:
        base = networks.read_base(options.run, options.body)
        config = configured(parser, lambda: config_of(options, base))
        if options.dry_run:
            print(plan("video", config, {"processes": machine.world}))
            return
        folder = options.cache or options.out.parent / "maps"
        opened = partial(open_cache, folder=folder, base=base, machine=machine)
        caches = VideoCaches(
            tuple(opened(spec, options.recipe) for spec in config.data_2d),
            tuple(opened(spec, options.recipe) for spec in config.data_3d),
            opened(config.validation, options.validation_recipe) if config.validation else None,
        )
        train_video(
            config,
            caches,
            base,
            options.out,
            machine,
            resume=options.resume,
            minutes=options.minutes,
        )


if __name__ == "__main__":
    sys.exit(command_line(main))
