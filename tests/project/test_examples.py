"""The examples, which people copy: what goes wrong is one sentence."""

import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.places import REPOSITORY


@pytest.mark.parametrize(
    ("words", "told"),
    [
        ((), "01_convert.py examples/footage"),
        (("absent.mp4", "out"), "absent.mp4 does not exist"),
        (("absent.mp4", "file/out"), "file"),
        (("line\nbreak.mp4", "out", "more"), "01_convert.py examples/footage"),
    ],
)
def test_converting_says_what_is_wrong(tmp_path: Path, words: tuple[str, ...], told: str):
    (tmp_path / "file").write_text("no folder")
    command = [sys.executable, REPOSITORY / "examples" / "01_convert.py", *words]
    ran = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert ran.returncode == 1
    assert told in ran.stderr
    assert "Traceback" not in ran.stderr
