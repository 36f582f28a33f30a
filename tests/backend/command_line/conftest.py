"""What tests of the command line share."""

from pathlib import Path

import pytest


@pytest.fixture
def place(tmp_path: Path) -> Path:
    """Where the output goes; starts empty."""
    folder = tmp_path / "out"
    folder.mkdir()
    return folder
