"""All rows of a table of networks, trained by one recipe and scored on one set.

    OUT/table-4.json     rows that are done, and the recipe
    OUT/table-4.md       the table so far, beside the paper's numbers
    OUT/base-apm/ ...    the runs
    OUT/maps/            kept maps of the set that is scored

A table may take days: every row is written down when it is done, and not done again.
"""

import argparse
import json
import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from staf_backend import __version__
from staf_backend.output import make_folder, replace_atomically

from . import stage_video
from .data import is_synthetic, open_sequences
from .feature_cache import FeatureCache, build_cache
from .metrics import Summary
from .networks import read_base
from .paper_tables import ABLATIONS, ablation_table
from .protocols import EvaluationError
from .recoverers import AnyEncoder
from .run_folder import LAST, RUN_FILE
from .scoring import SetScores

_log = logging.getLogger(__name__)

Score = Callable[[Path, AnyEncoder, str], SetScores]
"""Scores a run of stage 2 that reads maps of an encoder and drives a body of that name."""
Train = Callable[[Sequence[str]], None]
"""Trains one network from the options of `stage_video`."""


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

    def complete(self, options: Sequence[str], score: Score, train: Train | None = None) -> str:
        """Trains and scores the rows that are missing; the table as markdown.

        Args:
            options: of `stage_video`, but for the network and the folder.
            score: of a run.
            train: `stage_video.main`.

        Raises:
            StafError: a row cannot be trained or scored; those before it are kept.
        """
        make_folder(self.out)
        base_path, body = _base_of(options)
        base = read_base(base_path, body)
        for name in ABLATIONS[self.table]:
            if name in self.done:
                continue
            run = self.out / folder_name(name)
            _log.info("Table %d, %s: training in %s", self.table, name, run)
            row = [*options, "--network", name, "--out", str(run)]
            begun = (run / RUN_FILE).exists() or (run / LAST).exists()
            (train or stage_video.main)([*row, *(["--resume"] if begun else [])])
            scores = score(run, base.encoder, base.body)
            self.done[name] = scores.summary
            self._write()
        return self.markdown()

    def markdown(self) -> str:
        """The rows that are done, beside the paper's."""
        return ablation_table(self.table, self.done, self.data)

    def kept_maps(self, spec: str, encoder: AnyEncoder, recipe: Path | None = None) -> Path:
        """Folder of the maps of a set, made once.

        Raises:
            CacheError: it was made with another encoder, or is damaged.
            OutputError: the disk is full.
        """
        if not is_synthetic(spec) and (Path(spec) / "maps.safetensors").is_file():
            return Path(spec)
        folder = self.out / "maps"
        if not folder.exists():
            build_cache(open_sequences(spec, recipe=recipe), encoder, folder)
        FeatureCache.open(folder, encoder)
        return folder

    def _read(self) -> dict[str, Summary]:
        try:
            content = json.loads(self.path.read_text(encoding="utf-8"))
            if content["recipe"] != self.recipe:
                raise EvaluationError(f"{self.path} was made by another recipe.",
                                      "Choose another --out.")  # fmt: skip
            return {name: Summary(**row) for name, row in content["rows"].items()}
        except FileNotFoundError:
            return {}
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise EvaluationError(f"{self.path} cannot be read: {error}.",
                                  "Delete it, or choose another --out.") from error  # fmt: skip

    def _write(self) -> None:
        rows: Mapping[str, Any] = {name: asdict(summary) for name, summary in self.done.items()}
        content = {"software": __version__, "recipe": self.recipe, "rows": rows}
        with replace_atomically(self.path) as temporary:
            temporary.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")
        with replace_atomically(self.path.with_suffix(".md")) as temporary:
            temporary.write_text(self.markdown(), encoding="utf-8")


def folder_name(row: str) -> str:
    """A row's name as a folder's: "base + STAF + APM" is base-staf-apm."""
    plain = "".join(letter if letter.isalnum() else " " for letter in row.lower())
    return "-".join(plain.split())


def _base_of(options: Sequence[str]) -> tuple[Path, str]:
    """The base model that the recipe names, and its body."""
    parser = argparse.ArgumentParser(add_help=False, allow_abbrev=False)
    parser.add_argument("--run", type=Path)
    parser.add_argument("--body", default=stage_video.VideoStageConfig.body)
    found, _ = parser.parse_known_args(options)
    if found.run is None:
        raise EvaluationError("The recipe names no base model.", "Add --run RUN1 after --.")
    return found.run, found.body
