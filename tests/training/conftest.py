"""One thread for every test, and walking people: as clips and as scenes before cameras."""

from pathlib import Path

import numpy as np
import pytest
import torch

from tests.support.make_mocap import save, steps
from training.lifting import train_windows
from training.moves import Cameras, Variety, mocap, place, vary


@pytest.fixture(autouse=True)
def _one_thread():
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="module")
def motion(tmp_path_factory) -> Path:
    arrays = {}
    for number, name in enumerate(("01_01", "01_02", "02_01")):
        poses, trans_m = steps(90, number)
        arrays |= {f"{name}/poses": poses.astype(np.float16), f"{name}/trans_m": trans_m}
    path = tmp_path_factory.mktemp("mocap") / "steps.npz"
    save(path, arrays)
    return path


@pytest.fixture(scope="module")
def figure():
    return train_windows.figure_of("open-neutral")


@pytest.fixture(scope="module")
def clips(motion, figure):
    return train_windows.open_clips([motion], figure)


@pytest.fixture(scope="module")
def scenes(clips, figure):
    rng = np.random.default_rng(0)
    sampler = mocap.Sampler(clips)
    moves = vary(sampler.draw(24, rng), sampler, Variety(), rng)
    return place(moves, figure, Cameras(), rng)
