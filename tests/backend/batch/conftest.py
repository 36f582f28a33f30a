"""What the tests of batches share."""

from pathlib import Path

import pytest

from staf_backend.batch.journal import Journal


@pytest.fixture
def out(tmp_path: Path) -> Path:
    """An output folder after a batch of no clips."""
    Journal(tmp_path / "out").close()
    return tmp_path / "out"
