"""A base network and kept maps, for tests of the stages."""

from pathlib import Path

import pytest
import torch

from tests.support import make_stages as made
from training import stage_video
from training.run import networks


@pytest.fixture(autouse=True)
def _one_thread():
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


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
