"""Runs, recipes and captured motion of strangers: one sentence, nothing lost, no waiting."""

import json
import os
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.torch import save_file
from torch import nn

from staf_backend import StafError
from training.moves import MocapError
from training.moves.mocap import read_clips
from training.run import LoopConfig, Progress, RunError, describe, networks, read_progress
from training.run.checkpoints import FORMAT, load_checkpoint
from training.run.run_folder import begin, cut_log
from training.synthetic import SyntheticError, SyntheticRecipe

needs_pipes = pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="pipes with names are POSIX's")
GOOD = {"format": 1, "stage": "image", "config": {}, "starts": []}
DEEP = "[" * 200_000


def refusal(act: Any, error: type[StafError]) -> str:
    with pytest.raises(error) as caught:
        act()
    words = str(caught.value)
    assert words.isprintable()
    assert len(words) < 700
    return words


@pytest.mark.parametrize(
    "text",
    [
        DEEP,
        "[1]",
        json.dumps(GOOD | {"config": [1]}),
        json.dumps(GOOD | {"starts": None}),
        json.dumps(GOOD | {"format": "\x1b[2J" * 1000}),
        " " * 17_000_000,
    ],
)
def test_a_description_of_odd_form(tmp_path: Path, text: str):
    (tmp_path / "run.json").write_text(text)
    assert "run.json cannot be read" in refusal(lambda: describe(tmp_path), RunError)


@needs_pipes
def test_pipes_are_not_waited_for(tmp_path: Path):
    for name in ("run.json", "last.safetensors", "motion.npz", "recipe.json", "log.jsonl"):
        os.mkfifo(tmp_path / name)
    words = "is no file but a pipe"
    assert words in refusal(lambda: describe(tmp_path), RunError)
    assert words in refusal(lambda: read_progress(tmp_path / "last.safetensors"), RunError)
    assert words in refusal(lambda: networks.start_values(tmp_path / "motion.npz"), RunError)
    assert words in refusal(
        lambda: read_clips(tmp_path / "motion.npz", np.zeros((24, 3)), np.zeros((4, 3))), MocapError
    )
    assert "cannot be read" in refusal(
        lambda: SyntheticRecipe.read(tmp_path / "recipe.json"), SyntheticError
    )
    assert words in refusal(lambda: cut_log(tmp_path, 3), RunError)


@pytest.mark.parametrize(
    "config",
    [
        {},
        {"encoder": "resnet50", "channels": 1e300, "body": "open-neutral"},
        {"encoder": "resnet50", "channels": "\x1b[2J", "body": "open-neutral"},
    ],
)
def test_a_base_whose_configuration_is_none(tmp_path: Path, config: dict[str, Any]):
    (tmp_path / "run.json").write_text(json.dumps(GOOD | {"config": config}))
    checkpoint(tmp_path / "last.safetensors", {})
    assert "is damaged" in refusal(lambda: networks.read_base(tmp_path), RunError)


@pytest.mark.parametrize("config", [{}, {"body": "open-neutral", "network": {"frames": 10**9}}])
def test_a_network_whose_configuration_is_none(tmp_path: Path, config: dict[str, Any]):
    (tmp_path / "run.json").write_text(json.dumps(GOOD | {"stage": "video", "config": config}))
    assert "is damaged" in refusal(lambda: networks.load_network(tmp_path), RunError)


def checkpoint(path: Path, header: dict[str, Any], raw: str = "{}") -> Path:
    model = nn.Linear(2, 2)
    metadata = {name: json.dumps(value) for name, value in header.items()}
    tensors = {f"model/{name}": tensor for name, tensor in model.state_dict().items()}
    save_file(tensors, path, {"format": FORMAT, "run": raw, **metadata})
    return path


@pytest.mark.parametrize(
    "header",
    [
        {},
        {"progress": 7},
        {"progress": {"steps": 3}},
        {"progress": {"step": "\x1b[2J"}},
        {"progress": {"sums": [1]}},
        {"progress": {"best": {}}},
        {"progress": {}},
        {"progress": {}, "groups": 7},
        {"progress": {}, "groups": []},
        {"progress": {}, "groups": [{"lr": 1}]},
    ],
)
def test_a_checkpoint_of_odd_form(tmp_path: Path, header: dict[str, Any]):
    path = checkpoint(tmp_path / "last.safetensors", header)
    model = nn.Linear(2, 2)
    optimiser = LoopConfig().adam([{"params": list(model.parameters())}])
    refusal(lambda: load_checkpoint(path, model, [optimiser, optimiser]), RunError)


def test_a_checkpoint_of_deep_words(tmp_path: Path):
    path = checkpoint(tmp_path / "last.safetensors", {"progress": {}}, DEEP)
    assert "nested too deeply" in refusal(lambda: read_progress(path), RunError)


def test_what_a_checkpoint_says_is_taken_over(tmp_path: Path):
    path = checkpoint(tmp_path / "a.safetensors", {"progress": {"step": 3, "best": None}})
    assert read_progress(path) == Progress(step=3)


@pytest.mark.parametrize("name", ["weights/mine.txt", "log.jsonl", "tensorboard/mine.txt"])
def test_a_new_run_replaces_nothing(tmp_path: Path, name: str):
    (tmp_path / name).parent.mkdir(exist_ok=True)
    (tmp_path / name).write_text("mine")
    act = lambda: begin(tmp_path, "image", LoopConfig(), resume=False, device="cpu", world=1)
    assert "and no run.json" in refusal(act, RunError)
    assert (tmp_path / name).read_text() == "mine"


def test_only_saves_that_were_killed_are_removed(tmp_path: Path):
    mine, left = tmp_path / ".backup.safetensors", tmp_path / ".last.0123456789ab.safetensors"
    for path in (mine, left):
        path.write_bytes(b"")
    begin(tmp_path, "image", LoopConfig(), resume=False, device="cpu", world=1)
    assert mine.exists()
    assert not left.exists()


def test_a_log_of_odd_lines(tmp_path: Path):
    lines = [b"7", b'["step"]', b'{"step": "x"}', b"\xff\xfe", DEEP.encode(), b'{"step": 2}']
    (tmp_path / "log.jsonl").write_bytes(b"\n".join(lines))
    cut_log(tmp_path, 3)
    assert (tmp_path / "log.jsonl").read_text() == '{"step": 2}\n'


@pytest.mark.parametrize(
    "text", [DEEP, '{"pixels": 1e999}', '{"\\u001b[2J": 1}', '{"frames": 7}', '{"frames": "ab"}']
)
def test_a_recipe_of_odd_form(tmp_path: Path, text: str):
    path = tmp_path / "recipe.json"
    path.write_text(text)
    refusal(lambda: SyntheticRecipe.read(path), SyntheticError)


def test_captured_motion_that_unpacks_to_gigabytes(tmp_path: Path):
    path = tmp_path / "motion.npz"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for number in range(20):
            archive.writestr(f"{number}.npy", bytes(60_000_000))
    words = refusal(lambda: read_clips(path, np.zeros((24, 3)), np.zeros((4, 3))), MocapError)
    assert "stands for far more numbers than it holds" in words


@pytest.mark.parametrize(
    "arrays",
    [
        {"01_01/poses": np.zeros((50, 7)), "01_01/trans_m": np.zeros((50, 3))},
        {"01_01/poses": np.zeros(()), "01_01/trans_m": np.zeros((50, 3))},
        {"01_01/poses": np.array(["\x1b"] * 50), "01_01/trans_m": np.zeros((50, 3))},
    ],
)
def test_captured_motion_of_odd_form(tmp_path: Path, arrays: dict[str, Any]):
    np.savez(tmp_path / "motion.npz", **arrays)
    act = lambda: read_clips(tmp_path / "motion.npz", np.zeros((24, 3)), np.zeros((4, 3)))
    assert "motion.npz cannot be read" in refusal(act, MocapError)
