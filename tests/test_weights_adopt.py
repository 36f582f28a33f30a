"""Weights that training wrote, taken in by the command and used by `convert`."""

import json
import subprocess
from pathlib import Path

import pytest
import torch
from test_staf_estimator import CLIP, staf

from staf_backend.body import load_body
from staf_backend.motion import load_motion
from staf_backend.network import MeanParams, Staf, StafConfig
from staf_backend.smpl_torch import SmplBody, tables_from_body
from staf_backend.weights import save_weights
from training.encoders import make_encoder, plan_of
from training.samples import CROP_SCALE


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """RUN/weights of a narrow network on the open body, untrained."""
    torch.manual_seed(1)
    encoder = make_encoder("blazepose-full").eval()
    pose6d = torch.tensor([1.0, 0, 0, 1, 0, 0]).repeat(24)
    pose6d[3] = -1
    network = Staf(
        StafConfig(channels=16, map_channels=288),
        SmplBody(tables_from_body(load_body("open-neutral"))),
        MeanParams(pose6d, torch.zeros(10), torch.tensor([0.9, 0, 0])),
    )
    folder = tmp_path_factory.mktemp("run") / "weights"
    save_weights(
        folder,
        encoder=encoder.state_dict(),
        network=network.state_dict(),
        config=network.config,
        plan=plan_of(encoder),
        body_name="open-neutral",
        crop_factor=CROP_SCALE,
    )
    return folder


def last_line(result: subprocess.CompletedProcess) -> dict:
    return json.loads(result.stdout.splitlines()[-1])


@pytest.fixture(scope="module")
def home(trained: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    home = tmp_path_factory.mktemp("home")
    result = staf(home, "weights", "add", str(trained), "--progress", "json")
    assert result.returncode == 0, result.stderr
    assert last_line(result)["body"] == "open-neutral"
    return home


def test_convert_uses_them_with_their_body_and_crop(home: Path, tmp_path: Path):
    words = ("--largest", "--end", "0.5", "-o", str(tmp_path / "m.npz"))
    result = staf(home, "convert", str(CLIP), *words)
    assert result.returncode == 0, result.stderr
    motion = load_motion(tmp_path / "m.npz")
    assert (motion.estimator, motion.body) == ("staf", "open-neutral")
    stored = json.loads((home / "weights" / "staf" / "weights.json").read_text())
    assert stored["crop_factor"] == CROP_SCALE


def test_another_body_is_refused(home: Path, tmp_path: Path):
    words = ("--estimator", "staf", "--body", "open-male", "-o", str(tmp_path / "m.npz"))
    result = staf(home, "convert", str(CLIP), *words)
    assert result.returncode == 7
    assert "open-neutral" in result.stderr


def test_adding_again_replaces_and_leaves_nothing_behind(home: Path, trained: Path):
    assert staf(home, "weights", "add", str(trained)).returncode == 0
    assert [path.name for path in (home / "weights").iterdir()] == ["staf"]


def test_what_is_no_set_is_refused_and_the_old_one_stays(home: Path, trained: Path, tmp_path: Path):
    result = staf(home, "weights", "add", str(tmp_path))
    assert result.returncode == 6
    assert "weights.json" in result.stderr
    damaged = tmp_path / "weights"
    damaged.mkdir()
    for file in trained.iterdir():
        (damaged / file.name).write_bytes(file.read_bytes())
    content = bytearray((damaged / "network.safetensors").read_bytes())
    content[-1] ^= 1
    (damaged / "network.safetensors").write_bytes(content)
    result = staf(home, "weights", "add", str(damaged))
    assert result.returncode == 6
    assert "has changed" in result.stderr
    assert "staf" in staf(home, "weights", "list").stdout
