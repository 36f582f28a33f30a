"""Damaged files of strangers, through every reader of backend and add-on, one after the other.

    python -m tests.support.fuzz_readers 3000 --only videos --seed 1
    python -m tests.support.fuzz_readers 20000

Each case is read in a forked process with limits of memory and time, of which a crash or a hang is
counted, too.  A sentence or an answer is right; everything else is "BAD", with its case's number.
"""

import argparse
import tempfile
import time
import traceback
from collections import Counter
from pathlib import Path

import numpy as np

from addon.user_error import UserError
from staf_backend import StafError
from tests.support.damage import damaged
from tests.support.fuzz_samples import SAMPLES, VIDEOS, Sample
from tests.support.fuzz_sets import forked


class Fuzz:
    """Cases of samples that are made once, below a folder."""

    def __init__(self, folder: Path, names: list[str]) -> None:
        self.folder, self.names = folder, names
        for name in names:
            SAMPLES[name].make(folder / SAMPLES[name].file)
        # kept: a process that is killed over a case mends nothing
        self._whole = {name: (folder / SAMPLES[name].file).read_bytes() for name in names}
        self._there = self._files()

    def outcome(self, number: int, seed: int) -> str:
        """Damage a file, read it, mend it: "taken", "refused", or what is wrong."""
        rng = np.random.default_rng((seed, number))
        name = self.names[number % len(self.names)]
        sample = SAMPLES[name]
        path = self.folder / sample.file
        whole = self._whole[name]
        path.write_bytes(damaged(whole, sample.text, rng))
        try:
            said = _said(sample, path)
            strays = self._files() - self._there
            return f"{name}: {f'BAD left {sorted(strays)}' if strays else said}"
        finally:
            path.write_bytes(whole)

    def _files(self) -> set[Path]:
        return {path for path in self.folder.rglob("*") if path.is_file()}


def _said(sample: Sample, path: Path) -> str:
    try:
        sample.read(path)
    except (StafError, UserError) as error:
        plain = str(error).isprintable() and len(str(error)) < 1000
        plain = plain and getattr(error, "exit_code", 2) != 1
        return "refused" if plain else f"BAD sentence: {str(error)[:300]!r}"
    except Exception as error:
        where = traceback.extract_tb(error.__traceback__)[-1]
        return f"BAD {type(error).__name__} {Path(where.filename).name}:{where.lineno}"
    return "taken"


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("cases", type=int)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--only", nargs="*", default=list(SAMPLES), help="or: videos")
    options = parser.parse_args()
    names = VIDEOS if options.only == ["videos"] else options.only
    start, counts = time.perf_counter(), Counter()
    with tempfile.TemporaryDirectory(prefix="fuzz-readers-") as folder:
        for number, said in forked(Fuzz(Path(folder), names), range(options.cases), options.seed):
            name, outcome = said.split(": ", 1)
            counts["BAD" if "BAD" in outcome else outcome] += 1
            if "BAD" in outcome:
                print(f"case {number}, {name}: {outcome}", flush=True)
    print(dict(counts), f"{time.perf_counter() - start:.0f} s")


if __name__ == "__main__":
    main()
