"""Backends of the tests' making: a program in place of `python -m staf_backend`."""

import sys
import time
from pathlib import Path

from addon.solving.process import Command, Process

SAY = "def say(**v): print(json.dumps(v), flush=True)\n"
BEGIN = SAY + "say(event='start', protocol=1, version='9', command='convert')\n"


def imitation(folder: Path, program: str) -> dict[str, str]:
    """An environment in which `python -m staf_backend` runs the program."""
    package = folder / "staf_backend"
    package.mkdir()
    (package / "__init__.py").write_text("")
    (package / "__main__.py").write_text("import json, os, sys, time\n" + program)
    return {"PYTHONPATH": str(folder)}


def start(program: str, folder: Path) -> Process:
    """The program as a running backend."""
    environment = imitation(folder, program)
    return Process(Command(sys.executable, ("convert", "a.mp4"), environment=environment))


def alive(pid: int) -> bool:
    """Whether a process is there, and not only waiting to be buried."""
    try:
        return "Z" not in Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return False


def wait_until(condition, limit_s: float = 10.0) -> None:
    """Wait for something that must become true."""
    limit = time.monotonic() + limit_s
    while not condition():
        assert time.monotonic() < limit
        time.sleep(0.02)
