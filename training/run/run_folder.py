"""The folder of a run: one owner at a time, what it ran with, what it reported.

run.json              configuration, and of each start its git state, software, device
log.jsonl             one report a line
last.safetensors      see `checkpoints`; best.safetensors at the best validation
curves.png            the reports as curves, drawn after each epoch
tensorboard/          the same for TensorBoard
weights/              the network at the end, as `staf_backend.weights.store` keeps them
"""

import contextlib
import json
import logging
import platform
import subprocess
import sys
from collections.abc import Iterator, Mapping
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import torch

from staf_backend import __version__
from staf_backend.files import (
    OutputError,
    make_folder,
    open_file,
    read_json_file,
    replace_atomically,
    shown,
)
from training.run.run_error import RunError

_log = logging.getLogger(__name__)
RUN_FILE, LOG_FILE, LAST, BEST = "run.json", "log.jsonl", "last.safetensors", "best.safetensors"
CURVES = "curves.png"
FORMAT = 1
"""Of `run.json`; another number is refused."""
_RUN_BYTES = 16_000_000
"""Most of `run.json`.  Chosen: 2 kB for each of thousands of starts."""
_WRITTEN = (LAST, BEST, LOG_FILE, CURVES, "tensorboard", "weights")
"""What a run replaces or adds to."""
_LEFT = "[0-9a-f]" * 12
"""How names end of saves that were killed (`files.atomic`)."""


@contextlib.contextmanager
def claim(folder: Path) -> Iterator[None]:
    """Keeps other runs out of the folder while the block runs; makes the folder where missing.

    The lock is the operating system's and ends with the process, however that ends.

    Raises:
        RunError: another process trains there.
        OutputError: the folder cannot be made or written to.
    """
    path = make_folder(folder) / ".lock"
    try:
        file = path.open("a")
    except OSError as error:
        raise OutputError.from_os(path, error) from error
    with file:
        try:
            _lock(file.fileno())
        except OSError as error:
            raise RunError(
                f"Another process is training in {folder}.", "Wait for it or choose another --out."
            ) from error
        yield


def begin(folder: Path, stage: str, config: Any, *, resume: bool, device: str, world: int) -> None:
    """Writes what the run is, or checks that the folder's run is this one.

    Args:
        folder: claimed.
        stage: "image" or "video".
        config: a dataclass; every field must be as it was for a run to go on.
        resume: go on with the run of the folder, if there is one.
        device, world: for the record.

    Raises:
        RunError: the folder has another run, or one and `resume` is not set; or is damaged.
        OutputError: the folder cannot be written to.
    """
    before = _read(folder / RUN_FILE)
    there = [name for name in _WRITTEN if before is None and (folder / name).exists()]
    if there:
        raise RunError(f"{folder} has {there[0]} and no {RUN_FILE}.", "Choose another --out.")
    if before is not None and not resume:
        raise RunError(f"{folder} holds a run.", "Add --resume to go on, or choose another --out.")
    described = json.loads(json.dumps(asdict(config)))
    if before is not None:
        check_same(folder, before, stage, described)
    starts = [] if before is None else before["starts"]
    start = {"git": git_state(), "software": software(), "device": device, "processes": world}
    starts = [*starts, {"time": datetime.now(UTC).isoformat(timespec="seconds"), **start}]
    content = {"format": FORMAT, "stage": stage, "config": described, "starts": starts}
    write_json(folder / RUN_FILE, content)
    for name in (LAST, BEST):
        for leftover in folder.glob(f".{Path(name).stem}.{_LEFT}.safetensors"):
            leftover.unlink(missing_ok=True)


def describe(folder: Path) -> dict[str, Any]:
    """The content of a run's `run.json`.

    Raises:
        RunError: there is none, or it is damaged.
    """
    content = _read(folder / RUN_FILE)
    if content is None:
        raise RunError(f"{folder} is not the folder of a run.", "Train first, or check the path.")
    return content


def check_same(
    folder: Path, before: Mapping[str, Any], stage: str, config: Mapping[str, Any]
) -> None:
    """Refuses to go on with another configuration.

    Raises:
        RunError: naming the fields that differ.
    """
    if before["stage"] != stage:
        was = shown(before["stage"])
        message = f"{folder} holds a run of the {was} stage, not the {stage} stage."
        raise RunError(message, "Choose another --out.")
    was, now = _flat(before["config"]), _flat(config)
    differ = [key for key in sorted(was | now) if was.get(key) != now.get(key)]
    if differ:
        changes = ", ".join(
            f"{shown(key)} was {shown(str(was.get(key)))}, now {now.get(key)}" for key in differ[:5]
        )
        more = f" and {len(differ) - 5} more" if len(differ) > 5 else ""
        raise RunError(
            f"{folder} holds a run of another configuration: {changes}{more}.",
            "Resume with the same options, or choose another --out.",
        )


def cut_log(folder: Path, step: int) -> None:
    """Drops reports after a step: what a killed run reported and will report again."""
    path = folder / LOG_FILE
    if path.exists():
        lines = [line for line in _lines(path) if _whole(line)]
        kept = [line for line in lines if json.loads(line)["step"] <= step]
        with replace_atomically(path) as temporary:
            temporary.write_text("".join(f"{line}\n" for line in kept), encoding="utf-8")


def report(folder: Path, entry: Mapping[str, Any]) -> None:
    """Adds one report to the log.

    Raises:
        OutputError: it cannot be written.
    """
    path = folder / LOG_FILE
    try:
        with path.open("a", encoding="utf-8") as file:
            file.write(json.dumps(entry) + "\n")
    except OSError as error:
        raise OutputError.from_os(path, error) from error


def reports(folder: Path) -> list[dict[str, Any]]:
    """The reports of a run so far; none before its first."""
    path = folder / LOG_FILE
    if not path.exists():
        return []
    return [json.loads(line) for line in _lines(path)]


def _lines(path: Path) -> list[str]:
    try:
        with open_file(path) as file:
            return file.read().decode("utf-8", "replace").splitlines()
    except OSError as error:
        raise RunError(f"{path} cannot be read: {error.strerror}.", "Check the path.") from error


def git_state() -> dict[str, Any]:
    """Commit of this code and whether files differ from it; commit None where git cannot tell."""
    try:
        commit = _git("rev-parse", "HEAD")
        return {"commit": commit, "changed": _git("status", "--porcelain").splitlines()}
    except (OSError, subprocess.SubprocessError) as error:
        _log.warning("git does not tell the state of this code (%s)", error)
        return {"commit": None, "changed": []}


def software() -> dict[str, str]:
    """Versions that a result may depend on."""
    gpu = torch.cuda.get_device_name() if torch.cuda.is_available() else ""
    return {
        "staf_backend": __version__,
        "torch": torch.__version__,
        "python": platform.python_version(),
        "cuda": str(torch.version.cuda or ""),
        "gpu": gpu,
    }


def write_json(path: Path, content: Mapping[str, Any]) -> None:
    """One JSON file, replaced as a whole.

    Raises:
        OutputError: it cannot be written.
    """
    with replace_atomically(path) as temporary:
        temporary.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")


def _git(*arguments: str) -> str:
    command = ["git", "-C", str(Path(__file__).parent), *arguments]
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=20)
    return done.stdout.rstrip()


def _read(path: Path) -> dict[str, Any] | None:
    try:
        content = read_json_file(path, _RUN_BYTES)
        if content["format"] != FORMAT:
            raise ValueError(f"format {content['format']}, this version reads {FORMAT}")
        kinds = {"stage": str, "config": dict, "starts": list}
        for key, kind in kinds.items():
            if not isinstance(content[key], kind):
                raise TypeError(f"{key} is of another type")
        return {key: content[key] for key in kinds}
    except FileNotFoundError:
        return None
    except (OSError, ValueError, KeyError, TypeError) as error:
        message = f"{path} cannot be read: {shown(str(error))}."
        raise RunError(message, "Choose another folder.") from error


def _flat(config: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    found: dict[str, Any] = {}
    for key, value in config.items():
        inner = isinstance(value, Mapping)
        found |= _flat(value, f"{prefix}{key}.") if inner else {prefix + key: value}
    return found


def _whole(line: str) -> bool:
    """Whether a line was written to its end."""
    try:
        entry = json.loads(line)
        return isinstance(entry, dict) and isinstance(entry.get("step"), int)
    except (ValueError, RecursionError):
        return False


def _lock(descriptor: int) -> None:
    if sys.platform == "win32":
        import msvcrt

        msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)
    else:
        import fcntl

        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
