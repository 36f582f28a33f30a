"""A run talks to nobody and leaves no file but its results, as README and manifest promise."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.command_line import environment
from tests.support.places import FOOTAGE

_OPENS = ("open", "openat")
_MAKES = (
    "creat",
    "mkdir",
    "mkdirat",
    "rename",
    "renameat",
    "renameat2",
    "link",
    "linkat",
    "symlink",
)
_FOR_WRITING = re.compile("O_CREAT|O_WRONLY|O_RDWR")
_CALL = re.compile(r"^\d+ +(\w+)\((.*)\) += (-?\d+)")
_QUOTED = re.compile(r'"((?:[^"\\]|\\.)*)"')


@pytest.fixture(scope="module")
def traced(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[str]]:
    """The system calls of a whole conversion with all kinds of output, children too."""
    if shutil.which("strace") is None:
        if os.environ.get("CI"):
            pytest.fail("CI must have strace")
        pytest.skip("needs strace")
    place = tmp_path_factory.mktemp("home")
    trace = tmp_path_factory.mktemp("trace") / "calls"
    words = [str(FOOTAGE / "balance_cam02.mp4"), "--end", "0.42", "--largest"]
    words += ["-o", "m.glb", "--amass", "a.npz", "--overlay", "o.mp4"]
    tracer = ["strace", "-f", "-qq", "-s", "500", "-o", str(trace)]
    tracer += ["-e", f"trace=network,{','.join(_OPENS + _MAKES)}"]
    usual = environment(HOME=str(place), TMPDIR=str(place))
    kept = {name: value for name, value in usual.items() if not name.startswith(("XDG_", "ORT_"))}
    ran = subprocess.run(
        [*tracer, sys.executable, "-B", "-m", "staf_backend", "convert", *words],
        cwd=place,
        env=kept,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert ran.returncode == 0, ran.stderr
    assert {path.name for path in place.iterdir()} == {"m.glb", "a.npz", "o.mp4"}
    return place, trace.read_text(errors="replace").splitlines()


def test_no_socket(traced: tuple[Path, list[str]]):
    _, calls = traced
    assert [call for call in calls if re.search(r"\b(socket|connect|sendto|bind)\(", call)] == []


def test_no_file_outside(traced: tuple[Path, list[str]]):
    place, calls = traced
    written: set[Path] = set()
    for name, words, code in (m.groups() for m in map(_CALL.match, calls) if m):
        made = name in _MAKES or (name in _OPENS and _FOR_WRITING.search(words))
        if made and code != "-1":
            written |= {(place / path).resolve() for path in _QUOTED.findall(words)}
    assert place / "m.glb" in written, "the trace shows what is written"
    allowed = (place, Path("/dev"), Path("/proc"))
    assert {path for path in written if not any(path.is_relative_to(a) for a in allowed)} == set()
