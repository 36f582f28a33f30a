"""Damaged files of strangers, through every reader of the backend, one after the other.

    python -m tests.support.fuzz_readers 3000 --only videos --seed 1
    python -m tests.support.fuzz_readers 20000

Each case is read in a forked process with limits of memory and time, of which a crash or a hang is
counted, too.  A sentence or an answer is right; everything else is "BAD", with its case's number.
"""

import argparse
import contextlib
import shutil
import tempfile
import time
import traceback
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np

from staf_backend import StafError
from staf_backend.batch.clips import PATTERNS, find_clips
from staf_backend.batch.journal import Journal
from staf_backend.batch.people_list import PeopleList, Take, read_people, write_people
from staf_backend.files.checksum import content_digest
from staf_backend.files.identify import describe_file
from staf_backend.motion.file import load_motion, save_motion
from staf_backend.video.video import open_video
from staf_backend.weights.info import read_info
from tests.support.damage import damaged
from tests.support.fuzz_sets import forked
from tests.support.make_clips import picture, write_clip
from tests.support.places import REPOSITORY
from tests.support.sample_motions import with_all


class Sample(NamedTuple):
    """A small whole file.

    Attributes:
        file: its name below a folder.
        make: writes it there.
        read: reads it.
        text: whether it is JSON or the like.
    """

    file: str
    make: Callable[[Path], Path]
    read: Callable[[Path], object]
    text: bool = False


def _video(path: Path) -> Path:
    return write_clip(path, ticks=range(8), sound=path.suffix not in (".avi", ".webm"))


def _webm(path: Path) -> Path:
    return write_clip(path, ticks=range(8), codec="libvpx")


def _all_frames(path: Path) -> object:
    return [frame.shape for frame in open_video(path).frames()]


def _pictures(path: Path) -> Path:
    path.parent.mkdir(exist_ok=True)
    cv2.imwrite(str(path), picture(1))
    return path


def _motion(path: Path) -> Path:
    save_motion(path, with_all())
    return path


def _weights(path: Path) -> Path:
    path.parent.mkdir(parents=True)
    shutil.copy(REPOSITORY / "staf_backend" / "assets" / "staf-open" / "weights.json", path)
    return path


def _people(path: Path) -> Path:
    people = PeopleList({"hero": [Take("x/a", 1), Take("x/b", 2)]}, [Take("c", 3)])
    write_people(path.parent, people)
    return path


def _journal(path: Path) -> Path:
    journal = Journal(path.parents[1])
    for place in ("a", "x/b"):
        journal.write({"event": "moving", "place": place, "files": [f"{place}.glb"]})
        journal.write({"event": "done", "place": place, "files": {f"{place}.glb": "0" * 64}})
    journal.close()
    return path


def _read_journal(path: Path) -> object:
    journal = Journal(path.parents[1])
    with contextlib.closing(journal):
        return [journal.last(place) for place in journal.places("")]


def _list(path: Path) -> Path:
    path.write_text("# tonight\na.mp4\nx/b.mp4\ny/c.mp4\n", encoding="utf-8")
    return path


def _any(path: Path) -> Path:
    path.write_bytes(b"PK\x03\x04" + bytes(100))
    return path


_JSON = True
SAMPLES = {
    **{
        f"clip{suffix}": Sample(f"clip{suffix}", make, _all_frames)
        for make, suffixes in ((_video, (".mp4", ".mov", ".mkv", ".avi")), (_webm, (".webm",)))
        for suffix in suffixes
    },
    **{
        f"pictures{suffix}": Sample(
            f"frames{suffix}/1{suffix}", _pictures, lambda path: _all_frames(path.parent)
        )
        for suffix in (".png", ".jpg")
    },
    "motion": Sample("motion.npz", _motion, load_motion),
    "weights.json": Sample(
        "home/odd/weights.json", _weights, lambda path: read_info("odd", path.parents[1]), _JSON
    ),
    "people.json": Sample("people.json", _people, lambda path: read_people(path.parent), _JSON),
    "journal": Sample("out/.staf-batch/journal.jsonl", _journal, _read_journal, _JSON),
    "list": Sample(
        "list.txt", _list, lambda path: find_clips([path], PATTERNS, None, path.parent), _JSON
    ),
    "describe": Sample("any", _any, describe_file),
    "digest": Sample("digest", _any, content_digest),
}
VIDEOS = [name for name in SAMPLES if name.startswith(("clip", "pictures"))]


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
    except StafError as error:
        plain = error.exit_code != 1 and len(str(error)) < 1000
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
