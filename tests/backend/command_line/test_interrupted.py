"""`staf` as a real process: full disks, Ctrl-C, and readers that go away leave nothing half."""

import json
import resource
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from staf_backend.motion import load_motion
from tests.support.command_line import BALANCE, PART, events, one_line, staf, start
from tests.support.glb_reader import read_glb


def _small_files() -> None:
    resource.setrlimit(resource.RLIMIT_FSIZE, (60_000, 60_000))


@pytest.mark.slow
@pytest.mark.parametrize(
    "wish",
    [("-o", "a.glb"), ("-o", "a.npz", "--overlay", "o.mp4")],
    ids=["character", "overlay"],
)
def test_a_file_that_the_disk_does_not_take_is_not_left_half(wish: tuple[str, ...], place: Path):
    run = staf("convert", BALANCE, *wish, *PART, cwd=place, before=_small_files)
    assert run.returncode == 5, run.stderr
    assert wish[-1] in one_line(run.stderr)
    whole = [path.name for path in place.iterdir()]
    assert whole in ([], ["a.npz"])
    for name in whole:
        load_motion(place / name)


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A real file system of 200 kB."""
    disk = tmp_path / "disk"
    disk.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=200k", "tmpfs", str(disk)]
    if not shutil.which("mount") or subprocess.run(mount, capture_output=True).returncode:
        pytest.skip("no right to mount a file system here")
    yield disk
    subprocess.run(["umount", str(disk)], check=True)


@pytest.mark.slow
def test_a_full_disk_keeps_what_was_there(small_disk: Path):
    (small_disk / "a.glb").write_bytes(b"precious")
    run = staf("convert", BALANCE, "-o", small_disk / "a.glb", *PART, cwd=small_disk)
    assert run.returncode == 5, run.stderr
    assert "disk is full" in one_line(run.stderr)
    assert [path.name for path in small_disk.iterdir()] == ["a.glb"]
    assert (small_disk / "a.glb").read_bytes() == b"precious"


@pytest.mark.slow
@pytest.mark.parametrize("stage", ["detect", "landmarks", "overlay"])
@pytest.mark.parametrize(("name", "code"), [("SIGINT", 130), ("SIGTERM", 143)])
def test_interrupted_at_work_it_leaves_nothing_half(stage: str, name: str, code: int, place: Path):
    wish = ("-o", "a.glb", "--overlay", "o.mp4", "--preset", "fast", "--progress", "json")
    span = ("--start", 0.5, "--end", 1.0, "--largest", "--threads", 1)
    process = start("convert", BALANCE, *wish, *span, cwd=place)
    assert process.stdout is not None
    told = []
    for line in process.stdout:
        told.append(line)
        one = json.loads(line)
        if one.get("stage") == stage and 0 < one["done"] < one["total"]:
            process.send_signal(getattr(signal, name))
            break
    rest, complaints = process.communicate(timeout=60)
    error = events("".join(told) + rest)[-1]
    assert process.returncode == code, complaints
    assert (error["event"], error["kind"]) == ("error", "interrupted")
    assert error["exit_code"] == code
    assert "Traceback" not in complaints
    left = sorted(path.name for path in place.iterdir())
    assert left == (["a.glb"] if stage == "overlay" else []), "whole files or none"
    for found in left:
        read_glb(place / found)


def test_ctrl_c_at_a_terminal_is_one_line(place: Path):
    process = start("-v", "convert", BALANCE, "-o", "a.glb", "--threads", 1, cwd=place)
    assert process.stderr is not None
    assert "100 frames" in process.stderr.readline(), "it is at work"
    process.send_signal(signal.SIGINT)
    _, complaints = process.communicate(timeout=60)
    assert process.returncode == 130
    assert "staf: interrupted" in complaints
    assert "Traceback" not in complaints
    assert list(place.iterdir()) == []


@pytest.mark.parametrize("late_s", [0.02, 0.05, 0.1, 0.2, 0.3])
def test_ctrl_c_while_the_program_loads_is_one_line(late_s: float, place: Path):
    """From the moment that Python runs our first line; before it, the signal is the system's."""
    process = start("convert", BALANCE, "-o", "a.glb", "--threads", 1, cwd=place)
    loaded = Path(f"/proc/{process.pid}/maps")
    while "numpy" not in loaded.read_text() and process.poll() is None:
        time.sleep(0.001)
    time.sleep(late_s)
    process.send_signal(signal.SIGINT)
    _, complaints = process.communicate(timeout=60)
    assert process.returncode == 130
    assert complaints.startswith("staf: interrupted")
    assert complaints.count("\n") == 1
    assert list(place.iterdir()) == []


_SWALLOWED = """
import os, signal, sys, time, weakref
from staf_backend.__main__ import main


class Module:
    \"\"\"As Python's own lock of a module: what is raised in its callback goes nowhere.\"\"\"

    def find_spec(self, name, path=None, target=None):
        if name == "staf_backend.commands":
            lock = Module()
            held = weakref.ref(lock, self.let_go)
            del lock

    def let_go(self, _held):
        os.kill(os.getpid(), signal.{signal})
        time.sleep(5)


signal.signal(signal.SIGINT, signal.default_int_handler)  # a job in the background has none
sys.meta_path.insert(0, Module())
sys.exit(main())
"""


@pytest.mark.parametrize(("name", "code"), [("SIGINT", 130), ("SIGTERM", 143)])
def test_an_end_that_a_module_swallows_is_an_end(name: str, code: int, place: Path):
    words = ["convert", str(BALANCE), "-o", "a.glb", "--threads", "1", "--end", "0.2"]
    program = [sys.executable, "-c", _SWALLOWED.format(signal=name), *words]
    run = subprocess.run(program, cwd=place, capture_output=True, text=True, timeout=120)
    assert run.returncode == code, run.stderr
    assert run.stderr.count("\n") == 1
    assert list(place.iterdir()) == []


def test_a_reader_that_goes_away_is_no_crash(place: Path):
    """staf info clip.mp4 | head -0"""
    process = start("info", BALANCE, cwd=place)
    assert process.stdout is not None
    assert process.stderr is not None
    process.stdout.close()
    complaints = process.stderr.read()
    process.stderr.close()
    process.wait(timeout=60)
    assert complaints == ""
