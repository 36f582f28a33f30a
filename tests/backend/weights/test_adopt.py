"""Weights that training wrote, taken in by the command and used by `convert`."""

import hashlib
import json
import resource
import shutil
import signal
import subprocess
from pathlib import Path

import pytest
import torch

from staf_backend.body import load_body
from staf_backend.motion import load_motion
from staf_backend.staf import StafConfig
from staf_backend.staf.body import SmplBody, tables_from_body
from staf_backend.staf.network import MeanParams, Staf
from staf_backend.weights import OPEN, set_folder
from staf_backend.weights.store import save_weights
from tests.support.command_line import BALANCE, environment, staf_here
from tests.support.command_line import staf as run_staf
from training.model import make_encoder, plan_of
from training.targets import CROP_SCALE


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


def staf(home: Path, *words: object) -> subprocess.CompletedProcess[str]:
    return staf_here(*words, cwd=home.parent, env=environment(STAF_HOME=str(home)))


def last_line(result: subprocess.CompletedProcess) -> dict:
    return json.loads(result.stdout.splitlines()[-1])


@pytest.fixture(scope="module")
def home(trained: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    home = tmp_path_factory.mktemp("home")
    words = ("weights", "add", trained, "--progress", "json")
    result = run_staf(*words, cwd=home, env=environment(STAF_HOME=str(home)))
    assert result.returncode == 0, result.stderr
    assert last_line(result)["body"] == "open-neutral"
    return home


@pytest.mark.slow
def test_convert_uses_them_with_their_body_and_crop(home: Path, tmp_path: Path):
    words = ("--largest", "--end", "0.5", "-o", tmp_path / "m.npz")
    result = staf(home, "convert", BALANCE, *words)
    assert result.returncode == 0, result.stderr
    motion = load_motion(tmp_path / "m.npz")
    assert (motion.estimator, motion.body) == ("staf", "open-neutral")
    stored = json.loads((home / "weights" / "staf" / "weights.json").read_text())
    assert stored["crop_factor"] == CROP_SCALE


def test_another_body_is_refused(home: Path, tmp_path: Path):
    words = ("--estimator", "staf", "--body", "open-male", "-o", tmp_path / "m.npz")
    result = staf(home, "convert", BALANCE, *words)
    assert result.returncode == 7
    assert "open-neutral" in result.stderr


def test_adding_again_replaces_and_leaves_nothing_behind(home: Path, trained: Path):
    assert staf(home, "weights", "add", trained).returncode == 0
    assert [path.name for path in (home / "weights").iterdir()] == ["staf"]


@pytest.mark.slow
def test_a_set_has_the_name_that_it_is_given(trained: Path, tmp_path: Path):
    home = tmp_path / "home"
    added = staf(home, "weights", "add", trained, "--name", "mine", "--progress", "json")
    told = last_line(added)
    assert (told["name"], told["in_use"], told["can_convert"]) == ("mine", OPEN, True)
    assert "staf weights use mine" in told["message"]
    refused = staf(home, "weights", "add", trained, "--name", OPEN)
    assert refused.returncode == 6
    assert "part of this software" in refused.stderr


def test_what_is_no_set_is_refused_and_the_old_one_stays(home: Path, trained: Path, tmp_path: Path):
    result = staf(home, "weights", "add", tmp_path)
    assert result.returncode == 6
    assert "weights.json" in result.stderr
    damaged = tmp_path / "weights"
    damaged.mkdir()
    for file in trained.iterdir():
        (damaged / file.name).write_bytes(file.read_bytes())
    content = bytearray((damaged / "network.safetensors").read_bytes())
    content[-1] ^= 1
    (damaged / "network.safetensors").write_bytes(content)
    result = staf(home, "weights", "add", damaged)
    assert result.returncode == 6
    assert "has changed" in result.stderr
    assert "staf" in staf(home, "weights", "list").stdout


def rewritten(folder: Path, file: str, change) -> None:
    """Changes a JSON file of a set and, for the plan, its checksum beside it."""
    content = json.loads((folder / file).read_text())
    change(content)
    (folder / file).write_text(json.dumps(content))
    if file != "weights.json":
        digest = hashlib.sha256((folder / file).read_bytes()).hexdigest()
        rewritten(folder, "weights.json", lambda info: info["files"].update({file: digest}))


@pytest.mark.parametrize(
    "name",
    ["../../../.bashrc", "/tmp/x.npz", "a/b.npz", "..\\..\\x.npz", "other.npz", "", ".", "\x1b[2J"],
)
def test_a_set_names_no_files_but_its_own(trained: Path, tmp_path: Path, name: str):
    """A name that comes from a file never becomes a path."""
    home = tmp_path / "home"
    shutil.copytree(trained, folder := tmp_path / "deep" / "er" / "set")
    (precious := tmp_path / ".bashrc").write_text("precious")
    (folder / "payload").write_text("payload")
    digest = hashlib.sha256(b"payload").hexdigest()
    rewritten(folder, "weights.json", lambda info: info["files"].update({name: digest}))
    result = staf(home, "weights", "add", folder)
    assert result.returncode == 6
    assert "Traceback" not in result.stderr
    assert "\x1b[2J" not in result.stderr
    assert precious.read_text() == "precious"
    assert not (home / "weights").exists()


def test_a_set_names_no_body_by_path(trained: Path, tmp_path: Path):
    shutil.copytree(trained, folder := tmp_path / "set")
    rewritten(folder, "weights.json", lambda info: info.update(body="../../body.pkl"))
    result = staf(tmp_path / "home", "weights", "add", folder)
    assert result.returncode == 6
    assert "cannot name" in result.stderr


@pytest.mark.parametrize("name", ["../../../../etc/passwd", "/dev/zero", "LICENSE.mediapipe"])
def test_a_plan_names_embedded_tensors_only(tmp_path: Path, name: str):
    shutil.copytree(set_folder(OPEN), folder := tmp_path / "set")
    rewritten(folder, "encoder.json", lambda plan: plan.update(tensors=name))
    result = staf(tmp_path / "home", "weights", "add", folder)
    assert result.returncode == 6
    assert "Traceback" not in result.stderr
    assert not (tmp_path / "home" / "weights").exists()


@pytest.mark.slow
@pytest.mark.parametrize("limit_mb", [0.1, 1])
def test_a_full_disk_keeps_the_old_set(home: Path, trained: Path, limit_mb: float):
    """Whichever file the disk ends in, what was there before is there afterwards, whole."""
    before = {file.name: file.read_bytes() for file in (home / "weights" / "staf").iterdir()}
    limit = int(limit_mb * 2**20)

    def fill() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)

    result = run_staf(
        "weights", "add", trained, cwd=home, env=environment(STAF_HOME=str(home)), before=fill
    )
    assert result.returncode == 5, result.stderr
    assert "too large" in result.stderr
    after = {file.name: file.read_bytes() for file in (home / "weights" / "staf").iterdir()}
    assert after == before
    assert [path.name for path in (home / "weights").iterdir()] == ["staf"]
