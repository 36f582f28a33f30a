"""A command in a process of its own: codes and signals pass, a crash is told."""

import json
import os
import signal
import sys
import time
from pathlib import Path

import pytest

from staf_backend.runtime import isolated
from tests.support.command_line import environment, staf, start
from tests.support.places import FOOTAGE

CLIP = FOOTAGE / "balance_cam02.mp4"


def crashing(folder: Path) -> dict[str, str]:
    """An environment in which the child, and not its parent, dies as a decoder may."""
    (folder / "sitecustomize.py").write_text(
        f"import os, signal\nif {isolated._LIFELINE!r} in os.environ:\n"
        "    print('half a line', end='', flush=True)\n"
        "    os.kill(os.getpid(), signal.SIGSEGV)\n"
    )
    mine = environment()
    return mine | {"PYTHONPATH": os.pathsep.join((str(folder), mine["PYTHONPATH"]))}


def test_exit_codes_pass(tmp_path):
    ran = staf("convert", "nothing.mp4", "-o", "a.glb", "--isolate", cwd=tmp_path)
    assert (ran.returncode, ran.stderr.count("\n")) == (3, 1)


@pytest.mark.skipif(sys.platform == "win32", reason="signals are POSIX's")
def test_a_crash_is_a_sentence(tmp_path):
    ran = staf("convert", CLIP, "-o", "a.glb", "--isolate", cwd=tmp_path, env=crashing(tmp_path))
    assert ran.returncode == 3
    assert ran.stderr.strip().splitlines()[-1].startswith("staf: The process that read the file")
    words = ("convert", CLIP, "-o", "a.glb", "--isolate", "--progress", "json")
    ran = staf(*words, cwd=tmp_path, env=crashing(tmp_path))
    told = json.loads(ran.stdout.removeprefix("half a line"))
    assert (told["event"], told["kind"], told["exit_code"]) == ("error", "crash", 3)


@pytest.mark.skipif(not Path("/proc").exists(), reason="Linux")
@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_signals_pass_and_nobody_is_left(tmp_path, number, code):
    running = start("convert", CLIP, "-o", "a.glb", "--isolate", cwd=tmp_path)
    child = _child_of(running.pid)
    time.sleep(0.3)
    running.send_signal(number)
    running.communicate(timeout=60)
    assert running.returncode == code
    assert not Path(f"/proc/{child}").exists()
    assert not (tmp_path / "a.glb").exists()


@pytest.mark.skipif(not Path("/proc").exists(), reason="Linux")
def test_a_child_ends_with_its_parent(tmp_path):
    running = start("convert", CLIP, "-o", "a.glb", "--isolate", cwd=tmp_path)
    child = _child_of(running.pid)
    running.kill()
    running.communicate()
    limit = time.monotonic() + 30
    while Path(f"/proc/{child}").exists() and time.monotonic() < limit:
        time.sleep(0.1)
    assert not Path(f"/proc/{child}").exists()


def _child_of(pid: int) -> int:
    """The number of a program's child, once its own first lines run."""
    path = Path(f"/proc/{pid}/task/{pid}/children")
    limit = time.monotonic() + 60
    while time.monotonic() < limit:
        for word in path.read_text().split():
            if "libavcodec" in Path(f"/proc/{word}/maps").read_text():
                return int(word)
        time.sleep(0.05)
    raise AssertionError("no child")
