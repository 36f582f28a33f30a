"""`--threads`: the same files whatever the number, and Ctrl-C ends all of them at once."""

import json
import signal
import time
from pathlib import Path

import pytest

from tests.support.command_line import BALANCE, staf, start


@pytest.mark.slow
def test_files_do_not_depend_on_threads(place: Path):
    files = {}
    for threads in (1, 2, 3):
        folder = place / str(threads)
        folder.mkdir()
        run = staf(
            "convert", BALANCE, "-o", "a.glb", "--end", 0.5, "--threads", threads, cwd=folder
        )
        assert run.returncode == 0, run.stderr
        files[threads] = {path.name: path.read_bytes() for path in folder.iterdir()}
    assert files[1]
    assert files[1] == files[2] == files[3]


@pytest.mark.parametrize("stage", ["detect", "landmarks"])
def test_ctrl_c_ends_all_threads_at_once(stage: str, place: Path):
    wish = ("-o", "a.glb", "--preset", "fast", "--progress", "json", "--threads", 3)
    span = ("--start", 0.5, "--end", 1.0, "--largest")
    process = start("convert", BALANCE, *wish, *span, cwd=place)
    assert process.stdout is not None
    for line in process.stdout:
        one = json.loads(line)
        if one.get("stage") == stage and 0 < one["done"] < one["total"]:
            break
    process.send_signal(signal.SIGINT)
    sent_s = time.monotonic()
    rest, complaints = process.communicate(timeout=60)
    assert time.monotonic() - sent_s < 10, "seconds, on a machine that does much else"
    assert process.returncode == 130, complaints
    assert json.loads(rest.splitlines()[-1])["kind"] == "interrupted"
    assert "Traceback" not in complaints
    assert list(place.iterdir()) == []
