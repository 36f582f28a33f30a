"""All rows of a table of networks, trained by one recipe and scored on one set.

    OUT/table-4.json     the recipe, and the rows that are done
    OUT/table-4.md       the table so far, beside the paper's numbers
    OUT/base-apm/ ...    the runs
    OUT/maps/            kept maps of all sets, unless the recipe says --cache

A table may take days: every row is written down when it is done, and not done again; a row that
was interrupted goes on, one that has finished training is only scored.
"""

import argparse
import json
import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from staf_backend import __version__
from staf_backend.devices import choose_device
from staf_backend.files import make_folder, replace_atomically
from training import stage_video
from training.data.feature_cache import FeatureCache
from training.data.sources import is_synthetic
from training.options import configured
from training.run import (
    LAST,
    RUN_FILE,
    Base,
    Machine,
    check_same,
    describe,
    read_base,
    read_progress,
)
from training.scoring import EvaluationError, SetScores, Summary
from training.scoring.paper_tables import ABLATIONS, PUBLISHED, ablation_table

_log = logging.getLogger(__name__)

Score = Callable[[Path, Base], SetScores]
"""Scores a run of stage 2 that began with a base."""
Train = Callable[[Sequence[str]], None]
"""Trains one network from the options of `stage_video`."""

DECIDED = ("--network", "--out", "--resume")
"""Options that no recipe has, since the rows differ in them."""


class TableRun:
    """The rows of one table in one folder."""

    def __init__(self, table: int, out: Path, data: str, recipe: Sequence[str]) -> None:
        """Reads what is done.

        Args:
            table: 4, 5 or 6.
            out: the folder.
            data: name of the protocol.
            recipe: words that decide the numbers; a folder holds one recipe's rows.

        Raises:
            EvaluationError: the folder holds another recipe's rows, or cannot be read.
        """
        self.table, self.out, self.data, self.recipe = table, out, data, list(recipe)
        self.done = self._read()

    @property
    def path(self) -> Path:
        """Where the rows are written down."""
        return self.out / f"table-{self.table}.json"

    def complete(self, words: Sequence[str], score: Score, train: Train = stage_video.main) -> str:
        """Trains and scores the rows that are missing; the table as markdown.

        A row that pauses (--minutes) ends it early; with --dry-run nothing is done.

        Args:
            words: options of `stage_video`, but for `DECIDED`.
            score: of a run.
            train: of a run.

        Raises:
            StafError: a row cannot be trained or scored; those before it are kept.
        """
        options = read_recipe(words, self.out)
        base = read_base(options.run, options.body)
        if not options.dry_run:
            make_folder(self.out)
            self._write()  # so that the recipe is known before the first row is done
        for name in ABLATIONS[self.table]:
            row = [*words, "--network", name, "--out", str(self.out / folder_name(name))]
            self._check(row, base)
            if name in self.done:
                continue
            if options.dry_run:
                train(row)
            elif not self._trained(name, row, train):
                break
            else:
                self.done[name] = score(self.out / folder_name(name), base).summary
                self._write()
        return self.markdown()

    def markdown(self) -> str:
        """The rows that are done, beside the paper's."""
        return ablation_table(self.table, self.done, self.data)

    def kept_maps(
        self, spec: str, base: Base, recipe: Path | None = None, device: str = "auto"
    ) -> FeatureCache:
        """The maps of a set by a base's encoder, made once.

        Raises:
            CacheError: they are damaged, or were made with another encoder.
            OutputError: the disk is full.
        """
        if not is_synthetic(spec) and (Path(spec) / "maps.safetensors").is_file():
            return FeatureCache.open(Path(spec), base.encoder)
        machine = Machine(choose_device(device))
        return stage_video.open_cache(
            spec, recipe, folder=self.out / "maps", base=base, machine=machine
        )

    def _trained(self, name: str, row: list[str], train: Train) -> bool:
        """Trains a row where it is not trained; whether it is now, and has not paused."""
        run = self.out / folder_name(name)
        if not finished(run):
            _log.info("Table %d, %s: training in %s", self.table, name, run)
            begun = (run / RUN_FILE).exists() or (run / LAST).exists()
            train([*row, *(["--resume"] if begun else [])])
        if finished(run):
            return True
        _log.info("Table %d, %s: paused; the same command goes on", self.table, name)
        return False

    def _check(self, row: list[str], base: Base) -> None:
        """Refuses a run that the row's options would not have made."""
        parser = stage_video.arguments()
        options = parser.parse_args(row)
        config = configured(parser, lambda: stage_video.config_of(options, base))
        if (options.out / RUN_FILE).exists():
            plain = json.loads(json.dumps(asdict(config)))
            check_same(options.out, describe(options.out), "video", plain)

    def _read(self) -> dict[str, Summary]:
        try:
            content = json.loads(self.path.read_text(encoding="utf-8"))
            if content["recipe"] != self.recipe:
                raise EvaluationError(
                    f"{self.path} was made by another recipe.", "Choose another --out."
                )
            return {name: Summary(**row) for name, row in content["rows"].items()}
        except FileNotFoundError:
            return {}
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise EvaluationError(
                f"{self.path} cannot be read: {error}.", "Delete it, or choose another --out."
            ) from error

    def _write(self) -> None:
        rows: Mapping[str, Any] = {name: asdict(summary) for name, summary in self.done.items()}
        content: dict[str, Any] = {"software": __version__, "recipe": self.recipe, "rows": rows}
        paper = PUBLISHED[self.table]
        content["paper"] = {name: asdict(row) for name, row in paper.items()}
        with replace_atomically(self.path) as temporary:
            temporary.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")
        with replace_atomically(self.path.with_suffix(".md")) as temporary:
            temporary.write_text(self.markdown(), encoding="utf-8")


def folder_name(row: str) -> str:
    """A row's name as a folder's: "base + STAF + APM" is base-staf-apm."""
    plain = "".join(letter if letter.isalnum() else " " for letter in row.lower())
    return "-".join(plain.split())


def finished(run: Path) -> bool:
    """Whether a run has trained to its end.

    Raises:
        RunError: its checkpoint is damaged.
    """
    return (run / LAST).exists() and read_progress(run / LAST).finished


def read_recipe(words: Sequence[str], out: Path) -> argparse.Namespace:
    """The options of `stage_video` that a recipe gives; wrong ones end the program as usual.

    Raises:
        EvaluationError: the recipe decides what the table decides.
    """
    taken = sorted({word.partition("=")[0] for word in words}.intersection(DECIDED))
    if taken:
        raise EvaluationError(
            f"The recipe sets {', '.join(taken)}, which the table decides.", "Leave it out."
        )
    return stage_video.arguments().parse_args([*words, "--out", str(out)])
