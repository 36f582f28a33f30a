"""The whole command with the paper's network, on weights made by the parity recipe."""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from staf_backend.motion import joints_m, load_motion
from tests.support import parity_network
from tests.support import parity_recipe as recipe
from tests.support.places import FOOTAGE

CLIP = FOOTAGE / "balance_cam02.mp4"

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A user's data folder after `staf weights add` of files in the authors' layout."""
    folder = tmp_path_factory.mktemp("authors")
    state = parity_network.tensors(recipe.staf_state())
    encoder = parity_network.tensors(recipe.encoder_state())
    torch.save({"model": encoder}, folder / "base_model.pt")
    torch.save({"gen_state_dict": state}, folder / "3dpw_model_best.pth.tar")
    home = tmp_path_factory.mktemp("home")
    files = [str(path) for path in sorted(folder.iterdir())]
    result = staf(home, "weights", "add", *files, "--progress", "json")
    assert result.returncode == 0, result.stderr
    last = json.loads(result.stdout.splitlines()[-1])
    assert last["body"].startswith("smpl-neutral-")
    return home


def staf(home: Path, *arguments: str) -> subprocess.CompletedProcess:
    return subprocess.run(
        [sys.executable, "-m", "staf_backend", *arguments],
        env={**os.environ, "STAF_HOME": str(home)},
        capture_output=True,
        text=True,
        check=False,
        timeout=600,
    )


def test_a_clip_goes_through_the_network(home: Path, tmp_path: Path):
    out = tmp_path / "clip.glb"
    words = ("--estimator", "auto", "--largest", "--end", "0.55", "--motion", tmp_path / "m.npz")
    result = staf(home, "convert", str(CLIP), "-o", str(out), *map(str, words))
    assert result.returncode == 0, result.stderr
    assert "estimator staf" in result.stdout
    assert out.read_bytes()[:4] == b"glTF"
    motion = load_motion(tmp_path / "m.npz")
    assert motion.estimator == "staf"
    assert motion.body.startswith("smpl-neutral-")
    assert len(motion.frames) == 33
    assert np.isfinite(joints_m(motion)).all()
    assert np.all(motion.root_m[:, 2] < 0), "in front of the camera, which looks along -z"


def test_the_pelvis_is_where_the_person_is(home: Path, tmp_path: Path):
    """Untrained weights pose nonsense, but the crop camera keeps it inside the person's square."""
    words = ("--estimator", "staf", "--largest", "--end", "0.5", "-o", str(tmp_path / "m.npz"))
    result = staf(home, "convert", str(CLIP), *words)
    assert result.returncode == 0, result.stderr
    motion = load_motion(tmp_path / "m.npz")
    camera = motion.camera
    seen = motion.root_m[:, :2] / -motion.root_m[:, 2:] * [1, -1]
    pixels = seen * camera.focal_px + [camera.width_px / 2, camera.height_px / 2]
    assert np.all((pixels > 0) & (pixels < [camera.width_px, camera.height_px]))


def test_another_kind_of_body_is_refused(home: Path, tmp_path: Path):
    words = ("--estimator", "staf", "--body", "open-neutral", "-o", str(tmp_path / "m.npz"))
    result = staf(home, "convert", str(CLIP), *words)
    assert result.returncode == 7
    assert "mean nothing to the body open-neutral" in result.stderr
    assert list(tmp_path.iterdir()) == []


def test_without_weights_of_ones_own_the_open_ones_run(tmp_path: Path):
    words = ("--estimator", "staf", "--largest", "--end", "0.5", "-o", str(tmp_path / "m.npz"))
    result = staf(tmp_path / "empty", "convert", str(CLIP), *words)
    assert result.returncode == 0, result.stderr
    assert load_motion(tmp_path / "m.npz").estimator == "staf-open"
    listed = staf(tmp_path / "empty", "weights", "list")
    assert "staf-open: comes with" in listed.stdout
    assert "staf weights add" in listed.stdout


def test_another_body_than_the_open_weights_is_refused(tmp_path: Path):
    words = ("--estimator", "staf", "--body", "open-male", "-o", str(tmp_path / "m.npz"))
    result = staf(tmp_path / "empty", "convert", str(CLIP), *words)
    assert result.returncode == 7
    assert "name open-neutral" in result.stderr
    assert not (tmp_path / "m.npz").exists()
