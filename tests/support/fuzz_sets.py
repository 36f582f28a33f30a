"""Damaged data sets of every kind, one after the other.

python -m tests.support.fuzz_sets 3000 --seed 1

Each case is read in a forked process with limits, of which a crash or a hang is counted, too.
"""

import argparse
import os
import select
import shutil
import signal
import tempfile
import time
import traceback
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any, NamedTuple, Protocol

import numpy as np
import scipy.io

from tests.support import make_picture_sets as pictures
from tests.support import make_training_sets as made
from tests.support import make_video_sets as videos
from tests.support.damage import damaged
from training import prepare
from training.datasets import Request, SetError, human36m, mpi_inf_3dhp

_MOST_S = 20
"""Of the processor, which a busy machine does not stretch."""
_WAIT_S = 300.0
"""Chosen: also a machine with ten other programs gets that much work done."""
_MOST_BYTES = 4_000_000_000
"""Of address space beyond what the process has that it is forked from: libraries take much."""


class Sample(NamedTuple):
    """A small whole set.

    Attributes:
        reader: one of `prepare.READERS`.
        split: that is read.
        files: patterns below the root, of the files to damage.
        make: writes it below a root.
        labels: the name of a file of SMPL labels below the root.
        native: whether a native library reads the files.
    """

    reader: str
    split: str
    files: tuple[str, ...]
    make: Callable[[Path], Any]
    labels: str | None = None
    native: bool = False


def _smpl(pose: Any) -> dict[str, Any]:
    return {"pose": np.asarray(pose).tolist(), "shape": [0.1] * 10, "trans": [0] * 3}


def _coco_eft(root: Path) -> None:
    pictures.make_coco(root)
    made.write_json(
        root / "eft.json",
        {
            "data": [
                {
                    "imageName": "COCO_train2014_000000000025.jpg",
                    "annotId": number,
                    "parm_pose": np.tile(np.eye(3), (24, 1, 1)).tolist(),
                    "parm_shape": [0.5] * 10,
                    "bbox_center": [50.0, 55.0],
                }
                for number in (103, -1)
            ]
        },
    )


def _coco_annot(root: Path) -> None:
    pictures.make_coco(root)
    made.write_json(root / "na.json", {"101": {"smpl_param": _smpl(np.full(72, 0.2))}})


def _lsp(root: Path) -> None:
    root.mkdir(parents=True)
    joints = np.random.default_rng(0).uniform(10, 100, (3, 14, 1001))
    scipy.io.savemat(root / "joints.mat", {"joints": joints})
    made.picture(root / "images/im1001.jpg")


def _lsp_extended(root: Path) -> None:
    joints = np.random.default_rng(0).uniform(10, 100, (14, 3, 3))
    root.mkdir(parents=True)
    scipy.io.savemat(root / "joints.mat", {"joints": joints}, do_compression=True)
    made.picture(root / "images/im00001.jpg")


def _mpi(root: Path) -> None:
    videos.make_mpi(root)
    turns = np.tile(np.eye(3), (9, 1, 1))
    (root / "S1/Seq1/camera.calibration").write_text(videos.calibration(turns))
    made.write_json(root / "labels.json", videos.mpi_smpl(8)[1])


def _h36m(root: Path) -> None:
    videos.make_h36m(root, 9)


def _insta(root: Path) -> None:
    root.mkdir(parents=True)
    message, _ = videos.insta_example(root)
    made.tfrecord(root / "a.tfrecord", [message])


SAMPLES = {
    "coco-eft": Sample("coco", "train", ("annotations/*", "eft.json"), _coco_eft, "eft.json"),
    "coco-annot": Sample("coco", "train", ("na.json",), _coco_annot, "na.json"),
    "lsp": Sample("lsp", "test", ("joints.mat",), _lsp, native=True),
    "lsp-extended": Sample("lsp-extended", "train", ("joints.mat",), _lsp_extended, native=True),
    "mpii": Sample("mpii", "train", ("*.mat",), pictures.make_mpii, native=True),
    "mpii-json": Sample("mpii", "train", ("annotations/*",), pictures.make_mpii_json),
    "h36m": Sample("h36m", "test", ("S9/MyPoseFeatures/*/*",), _h36m, native=True),
    "h36m-json": Sample("h36m", "test", ("annotations/*",), videos.make_h36m_json),
    "mpi": Sample("mpi-inf-3dhp", "train", ("S1/Seq1/annot.mat",), _mpi, "labels.json", True),
    "mpi-labels": Sample(
        "mpi-inf-3dhp", "train", ("labels.json", "S1/Seq1/*n"), _mpi, "labels.json", True
    ),
    "mpi-json": Sample("mpi-inf-3dhp", "train", ("*.json",), videos.make_mpi_json),
    "mpi-test": Sample("mpi-inf-3dhp", "test", ("*/TS1/*.mat",), videos.make_mpi_test, native=True),
    "3dpw": Sample("3dpw", "train", ("sequenceFiles/train/*",), videos.make_3dpw),
    "insta": Sample("insta-variety", "train", ("*.tfrecord",), _insta),
    "posetrack": Sample("posetrack", "train", ("posetrack_data/*/*/*",), videos.make_posetrack),
}


def shorten() -> None:
    """Of sets of many videos the first is enough here."""
    human36m.SUBJECTS["test"] = (9,)  # pyright: ignore[reportArgumentType]
    mpi_inf_3dhp.SUBJECTS, mpi_inf_3dhp.SEQUENCES = range(1, 2), (1,)  # pyright: ignore
    mpi_inf_3dhp.CAMERAS, mpi_inf_3dhp.TEST_SUBJECTS = (0,), range(1, 2)  # pyright: ignore


class AnyFuzz(Protocol):
    """Cases by number; the name of a case's sample is `names[number % len(names)]`."""

    names: list[str]

    def outcome(self, number: int, seed: int) -> str: ...


class Fuzz:
    """Cases of samples that are made once, below a folder."""

    def __init__(self, folder: Path, names: list[str]) -> None:
        self.folder, self.names = folder, names
        for name in names:
            SAMPLES[name].make(folder / name / "root")

    def outcome(self, number: int, seed: int) -> str:
        """Damage one file, prepare the set, mend the file: "taken", "refused", or what is wrong."""
        rng = np.random.default_rng((seed, number))
        name = self.names[number % len(self.names)]
        sample, root = SAMPLES[name], self.folder / name / "root"
        files = sorted(path for pattern in sample.files for path in root.glob(pattern))
        path = files[rng.integers(len(files))]
        whole = path.read_bytes()
        path.write_bytes(damaged(whole, path.suffix in (".json", ".calibration"), rng))
        try:
            return f"{name}: {self._prepared(sample, root, number)}"
        finally:
            path.write_bytes(whole)

    def _prepared(self, sample: Sample, root: Path, number: int) -> str:
        out = self.folder / f"out-{number}"
        try:
            labels = root / sample.labels if sample.labels else None
            request = Request(root, sample.split, labels=labels, allow_missing=True)
            prepare.prepare(sample.reader, request, out)
        except SetError as error:
            plain = str(error).isprintable() and len(str(error)) < 1000
            left = out.exists() or out.with_name(f"{out.name}.partial").exists()
            here = str(self.folder) in str(error) or "every row was skipped" in str(error)
            good = plain and here and not left
            return "refused" if good else f"BAD sentence: {str(error)[:300]!r} left {left}"
        except Exception as error:
            where = traceback.extract_tb(error.__traceback__)[-1]
            return f"BAD {type(error).__name__} {Path(where.filename).name}:{where.lineno}"
        finally:
            shutil.rmtree(out, ignore_errors=True)
        return "taken"


def forked(fuzz: AnyFuzz, numbers: Iterable[int], seed: int) -> Iterator[tuple[int, str]]:
    """Outcomes, each in a process that may die over it."""
    import resource

    pending = list(numbers)
    while pending:
        reading, writing = os.pipe()
        child = os.fork()
        if child == 0:
            most_bytes = _held_bytes() + _MOST_BYTES
            resource.setrlimit(resource.RLIMIT_AS, (most_bytes, most_bytes))
            quiet = os.open(os.devnull, os.O_WRONLY)
            os.dup2(quiet, 2)
            for number in pending[:100]:
                _limit_work()
                os.write(writing, f"{number}\t{fuzz.outcome(number, seed)}\n".encode())
            os._exit(0)
        os.close(writing)
        yield from _told(reading, child, fuzz, pending)


def _limit_work() -> None:
    """The next case may take so much of the processor; more is SIGXCPU."""
    import resource

    limit = int(time.process_time()) + 1 + _MOST_S
    resource.setrlimit(resource.RLIMIT_CPU, (limit, resource.RLIM_INFINITY))


def _held_bytes() -> int:
    """Address space of this process; 0 where the kernel does not tell."""
    import resource

    statm = Path("/proc/self/statm")
    pages = int(statm.read_text().split()[0]) if statm.exists() else 0
    return pages * resource.getpagesize()


def _told(reading: int, child: int, fuzz: AnyFuzz, pending: list[int]) -> Iterator[tuple[int, str]]:
    hung = False
    with os.fdopen(reading) as lines:
        for _ in range(100):
            hung = not select.select([lines], [], [], _WAIT_S)[0]
            line = "" if hung else lines.readline()
            if not line:
                break
            number, said = line.rstrip("\n").split("\t", 1)
            pending.remove(int(number))
            yield int(number), said
        else:
            os.waitpid(child, 0)
            return
    if hung:
        os.kill(child, 9)
    status = os.waitpid(child, 0)[1]
    hung = hung or (os.WIFSIGNALED(status) and os.WTERMSIG(status) == signal.SIGXCPU)
    if pending and (hung or status):
        number = pending.pop(0)
        name = fuzz.names[number % len(fuzz.names)]
        yield number, f"{name}: BAD {'hang' if hung else f'death by {status}'}"


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("cases", type=int)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--only", nargs="*", default=sorted(SAMPLES), help="names of samples")
    options = parser.parse_args()
    shorten()
    start, counts = time.perf_counter(), Counter()
    with tempfile.TemporaryDirectory(prefix="fuzz-sets-") as folder:
        fuzz = Fuzz(Path(folder), options.only)
        for number, said in forked(fuzz, range(options.cases), options.seed):
            name, outcome = said.split(": ", 1)
            counts[outcome.split(" ")[0] if "BAD" not in outcome else "BAD"] += 1
            if "BAD" in outcome:
                print(f"case {number}, {name}: {outcome}", flush=True)
    print(dict(counts), f"{time.perf_counter() - start:.0f} s")


if __name__ == "__main__":
    main()
