"""Odd names, odd numbers, odd streams and odd files: one sentence, and the documented exit code."""

import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from staf_backend.estimators import SettingsError
from staf_backend.estimators.settings import MOST_THREADS
from staf_backend.export.deliver import Outputs, is_folder
from staf_backend.files import OutputError
from staf_backend.pipeline import Settings
from staf_backend.reporting import one_line
from tests.support.command_line import environment, staf, staf_here
from tests.support.places import FOOTAGE, REPOSITORY

CLIP = FOOTAGE / "balance_cam02.mp4"
LONG = "x" * 256


def shell(line: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    """A line of sh, in which $STAF runs the command."""
    env = environment(STAF=f"{sys.executable} -m staf_backend")
    return subprocess.run(
        ["sh", "-c", line],
        cwd=cwd,
        env=env,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


@pytest.mark.parametrize(
    "options",
    [
        *({name: value} for name in ("start_s", "end_s") for value in (float("nan"), 1e308)),
        *({"fps": value} for value in (float("nan"), 1e308, 1e-308, 0, -1)),
        *({"focal_px": value} for value in (float("nan"), 1e308, 1e-308, 0, -1)),
        *({"threads": value} for value in (0, -1, MOST_THREADS + 1, 10**30)),
        {"person": "0"},
        {"person": "\x1b[2J"},
    ],
)
def test_absurd_numbers_are_told(options):
    with pytest.raises(SettingsError) as caught:
        Settings(**options)
    assert len(str(caught.value)) < 300
    assert str(caught.value).isprintable()


def test_a_name_too_long_for_the_disk_is_told(tmp_path):
    path = tmp_path / f"{LONG}.glb"
    with pytest.raises(OutputError, match="too long"):
        is_folder(path)
    with pytest.raises(OutputError, match="too long"):
        Outputs(path).check()


def test_a_name_too_long_ends_the_command_with_its_code(tmp_path):
    ran = staf_here("convert", CLIP, "-o", f"{LONG}.glb", cwd=tmp_path)
    assert (ran.returncode, ran.stderr.count("\n")) == (5, 1)
    assert not list(tmp_path.iterdir())


def test_a_terminal_obeys_no_name():
    assert one_line("a\x1b[2J\nb\udcff") == "a\\x1b[2J\\nb\\udcff"
    assert len(one_line("x" * 100_000)) < 5000


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="Linux")
@pytest.mark.parametrize(
    ("line", "code", "sentences"),
    [
        ("$STAF info clip.mp4 > /dev/full", 5, 1),
        ("$STAF info clip.mp4 --progress json > /dev/full", 5, 1),
        ("$STAF info clip.mp4 >&-", 0, 0),
        ("$STAF info nothing.mp4 2>&-", 3, 0),
        ("$STAF info nothing.mp4 2> /dev/full", 3, 0),
        ("$STAF info nothing.mp4 >&- 2>&- <&-", 3, 0),
        ("$STAF info $(printf 'x\\033[2J').mp4", 3, 1),
    ],
)
def test_closed_and_full_streams(tmp_path, line, code, sentences):
    shutil.copy(CLIP, tmp_path / "clip.mp4")
    ran = shell(line, tmp_path)
    assert (ran.returncode, ran.stderr.count("\n")) == (code, sentences), ran.stderr
    assert "\x1b" not in ran.stderr + ran.stdout
    assert [path.name for path in tmp_path.iterdir()] == ["clip.mp4"]


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="POSIX")
def test_what_has_no_end_is_no_clip(tmp_path):
    os.mkfifo(tmp_path / "pipe.mp4")
    (tmp_path / "link.mp4").symlink_to("/dev/zero")
    (tmp_path / "loop.mp4").symlink_to("loop.mp4")
    ran = staf("batch", tmp_path, "--out", tmp_path / "out", cwd=tmp_path, timeout_s=120)
    assert ran.returncode == 3
    assert ran.stdout.count("failed: ") == 6  # a line each, and in the summary
    assert "Traceback" not in ran.stdout + ran.stderr


def installed_elsewhere(folder: Path) -> Path:
    """The package once more, its large files as links."""
    shutil.copytree(
        REPOSITORY / "staf_backend",
        folder / "staf_backend",
        copy_function=lambda source, target: (
            shutil.copy2(source, target)
            if source.endswith((".py", "SUMS", ".json"))
            else Path(target).symlink_to(source)
        ),
        ignore=shutil.ignore_patterns("*.pyc.*"),  # what is being written
    )
    return folder


@pytest.mark.parametrize("damage", ["missing", "empty", "rubbish"])
def test_damaged_checksums_are_told(tmp_path, damage):
    home = installed_elsewhere(tmp_path / "there")
    sums = home / "staf_backend" / "assets" / "SHA256SUMS"
    sums.unlink()
    if damage != "missing":
        sums.write_bytes(b"" if damage == "empty" else b"\xff\xfe\x00" * 1000)
    env = environment(PYTHONPATH=str(home))
    for words in (("convert", CLIP, "-o", "a.glb"), ("batch", CLIP, "--out", "out")):
        ran = staf(*words, cwd=tmp_path, env=env)
        assert ran.returncode == 6, ran.stderr
        assert ran.stderr.count("\n") == 1
        assert "Traceback" not in ran.stderr
    assert not (tmp_path / "a.glb").exists()


def _interrupted(folder: Path, wait_s: float) -> tuple[int, str]:
    """Exit code and errors of a program that is interrupted so soon after our first line."""
    code = "import staf_backend.__main__ as m, sys; print(flush=True); sys.exit(m.main())"
    running = subprocess.Popen(
        [sys.executable, "-c", code, "info", str(CLIP)],
        cwd=folder,
        env=environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
    )
    assert running.stdout is not None
    running.stdout.readline()
    time.sleep(wait_s)
    running.send_signal(signal.SIGINT)
    _, errors = running.communicate(timeout=60)
    return running.returncode, errors


@pytest.mark.slow
def test_ctrl_c_at_once(tmp_path):
    """From the moment that our own first line runs; before it, Python itself answers."""
    for wait_s in (0.0, 0.01, 0.02, 0.05, 0.1, 0.2):
        runs = (_interrupted(tmp_path, wait_s) for _ in range(10))
        code, errors = next(run for run in runs if not _before_our_first_line(run[1]))
        assert code == 130, errors
        assert errors.count("\n") == 1, errors


def _before_our_first_line(errors: str) -> bool:
    """Whether the line of `-c` alone was interrupted, as on a machine that is busy."""
    return 'File "<string>"' in errors and errors.count("File ") == 1
