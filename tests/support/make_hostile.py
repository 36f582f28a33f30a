"""Small files made to hurt whoever reads them, and a process with limits to read them in."""

import subprocess
from pathlib import Path

import pytest

from tests.support.command_line import environment, staf
from tests.support.forked import Forked

resource = pytest.importorskip("resource", reason="limits of a process are POSIX's")
MOST_BYTES = 6_000_000_000
"""Address space of the process.  Chosen: torch alone maps 4 GB."""
MOST_S = 10
"""Of the processor, which a busy machine does not stretch."""
WAIT_S = 120
"""Chosen: also a machine with ten other programs gets that much work done."""


def limit_memory() -> None:
    resource.setrlimit(resource.RLIMIT_AS, (MOST_BYTES, MOST_BYTES))


def limit_all() -> None:
    limit_memory()
    resource.setrlimit(resource.RLIMIT_CPU, (MOST_S, MOST_S))


def staf_with_limits(*words: object, cwd: Path) -> subprocess.CompletedProcess[str]:
    """Run the command in `cwd`, whose `home` is the user's; it ends after ten seconds of work."""
    env = environment(STAF_HOME=str(cwd / "home"))
    return staf(*words, cwd=cwd, env=env, before=limit_all, timeout_s=WAIT_S)


def forked_with_limits(
    forked: Forked, *words: object, cwd: Path
) -> subprocess.CompletedProcess[str]:
    """The same of a process that begins with the modules loaded."""
    env = environment(STAF_HOME=str(cwd / "home"))
    limits = {resource.RLIMIT_AS: MOST_BYTES, resource.RLIMIT_CPU: MOST_S}
    return forked.staf(*words, cwd=cwd, env=env, limits=limits, wait_s=WAIT_S)


def check_refused(done: subprocess.CompletedProcess[str], exit_code: int, home: Path) -> None:
    """One clean line of error and nothing kept."""
    assert done.returncode == exit_code, done.stderr[-2000:]
    assert done.stderr.count("\n") == 1, done.stderr[-2000:]
    assert done.stderr.rstrip("\n").isprintable()
    assert len(done.stderr) < 1000
    assert not home.exists() or not any(home.rglob("*"))


def text(words: str) -> bytes:
    """A step that puts words on the stack."""
    raw = words.encode()
    return b"X" + len(raw).to_bytes(4, "little") + raw


def get(place: int) -> bytes:
    return b"j" + place.to_bytes(4, "little")


def put(place: int) -> bytes:
    return b"r" + place.to_bytes(4, "little")


def long(number: int) -> bytes:
    raw = number.to_bytes(9, "little", signed=True)
    return b"\x8a" + bytes([len(raw)]) + raw
