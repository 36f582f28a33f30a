"""Options that both stages share, and what surrounds a run on the command line."""

import argparse
import json
from collections.abc import Callable
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any, get_args

from staf_backend.files import sha256
from training.model import TERMS, LossConfig
from training.run import LoopConfig, Precision, RunError, Schedule


def add_loop_options(parser: argparse.ArgumentParser, default: LoopConfig) -> None:
    """How long, how fast, where."""
    loop = parser.add_argument_group("training")
    loop.add_argument("--seed", type=int, default=default.seed)
    loop.add_argument("--epochs", type=int, default=default.epochs)
    loop.add_argument("--iterations", type=int, help="steps an epoch")
    loop.add_argument("--batch", type=int, default=default.batch, help="over all processes")
    loop.add_argument("--rate", type=float, default=default.learning_rate, help="learning rate")
    loop.add_argument("--schedule", choices=get_args(Schedule), default=default.schedule)
    loop.add_argument("--clip-norm", type=float, help="longest gradient")
    loop.add_argument("--precision", choices=get_args(Precision), default=default.precision)
    loop.add_argument("--compile", action="store_true", help="through torch.compile")
    loop.add_argument("--save-every", type=int, default=default.save_every, help="steps")
    loop.add_argument("--report-every", type=int, default=default.report_every, help="steps")
    run = parser.add_argument_group("run")
    run.add_argument("--out", type=Path, required=True, help="folder of the run")
    run.add_argument("--resume", action="store_true", help="go on with the run in --out")
    run.add_argument("--minutes", type=float, help="save and pause after this long")
    run.add_argument("--device", default="auto", help="auto, cpu, cuda, cuda:1, ...")
    run.add_argument("--dry-run", action="store_true", help="say what would be done, and stop")


def add_loss_weights(parser: argparse.ArgumentParser) -> None:
    """How much each term of the loss counts."""
    parser.add_argument(
        "--weight",
        action="append",
        default=[],
        type=_weight,
        metavar="TERM=VALUE",
        help=f"of a term of the loss: {', '.join(TERMS)}",
    )


def weighed(losses: LossConfig, options: argparse.Namespace) -> LossConfig:
    """Losses with the weights that the options give.

    Raises:
        ValueError: a weight is negative or not finite.
    """
    return replace(losses, **dict(options.weight))


def _weight(words: str) -> tuple[str, float]:
    term, _, value = words.partition("=")
    if term not in TERMS:
        raise argparse.ArgumentTypeError(f"{term!r} is none of {', '.join(TERMS)}")
    try:
        return term, float(value)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{words!r} is not {term}=NUMBER") from None


def add_recipes(parser: argparse.ArgumentParser) -> None:
    """What synthetic data is like."""
    parser.add_argument("--recipe", type=Path, help="of synthetic data, JSON")
    parser.add_argument("--validation-recipe", type=Path, help="of synthetic validation data")


def recipes(options: argparse.Namespace) -> tuple[str, str]:
    """SHA-256 of both recipes, for the configuration; empty for the default recipe.

    Raises:
        RunError: a file is missing.
    """
    try:
        paths = (options.recipe, options.validation_recipe)
        return tuple("" if path is None else sha256(path) for path in paths)  # pyright: ignore
    except OSError as error:
        raise RunError(f"{error.filename} cannot be read.", "Check --recipe.") from error


def loop_of(options: argparse.Namespace, default: LoopConfig) -> LoopConfig:
    """The configuration that the options describe."""
    return replace(
        default,
        seed=options.seed,
        epochs=options.epochs,
        iterations=default.iterations if options.iterations is None else options.iterations,
        batch=options.batch,
        learning_rate=options.rate,
        schedule=options.schedule,
        clip_norm=options.clip_norm,
        precision=options.precision,
        compiled=options.compile,
        save_every=options.save_every,
        report_every=options.report_every,
    )


def configured(parser: argparse.ArgumentParser, make: Callable[[], Any]) -> Any:
    """A configuration; what it refuses is the user's mistake."""
    try:
        return make()
    except ValueError as error:
        parser.error(str(error))


def plan(stage: str, config: Any, facts: dict[str, Any]) -> str:
    """What a run would do, as JSON for people."""
    loop: LoopConfig = config.loop
    content = {"stage": stage, "steps": loop.steps, **facts, "config": asdict(config)}
    return json.dumps(content, indent=1)
