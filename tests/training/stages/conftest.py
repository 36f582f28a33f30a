"""A base network and kept maps, for tests of the stages."""

from pathlib import Path

import pytest

from tests.support import make_stages as made
from training import stage_video
from training.run import networks


@pytest.fixture(scope="module")
def base() -> networks.Base:
    return made.base()


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    """Of kept maps."""
    return tmp_path_factory.mktemp("maps")


@pytest.fixture(scope="module")
def caches(base, folder) -> stage_video.VideoCaches:
    return made.caches(base, folder)
