"""The network is read, checked and folded once, and again when it is another one."""

import dataclasses
import shutil
from pathlib import Path

import pytest

pytest.importorskip("torch")

from staf_backend.assets import folder as assets_folder
from staf_backend.body import load_body
from staf_backend.devices import DeviceError
from staf_backend.estimators import EstimatorSettings, staf_ready
from staf_backend.estimators.staf_ready import ready_network
from staf_backend.weights import NETWORK_FILE, OPEN, WeightsError, read_info, store

CPU = EstimatorSettings(device="cpu", precision="float32")


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A set called `mine`: the open one, among the user's."""
    monkeypatch.setenv("STAF_HOME", str(tmp_path / "home"))
    monkeypatch.setattr(staf_ready, "_kept", {})
    folder = tmp_path / "home" / "weights" / "mine"
    shutil.copytree(assets_folder() / OPEN, folder)
    words = (folder / "weights.json").read_text(encoding="utf-8")
    (folder / "weights.json").write_text(words.replace(f'"{OPEN}"', '"mine"'), encoding="utf-8")
    return folder


def test_a_second_video_reads_nothing_and_a_changed_set_is_read_again(
    folder: Path, monkeypatch: pytest.MonkeyPatch
):
    hashed, real = [], store.sha256
    monkeypatch.setattr(store, "sha256", lambda path: (hashed.append(path), real(path))[1])
    info, body = read_info("mine"), load_body("open-neutral")
    first = ready_network(info, body, CPU)
    assert folder / NETWORK_FILE in hashed
    hashed.clear()
    assert ready_network(read_info("mine"), load_body("open-neutral"), CPU) is first
    assert hashed == []
    with pytest.raises(DeviceError, match="does not compute in fp16"):
        ready_network(info, body, dataclasses.replace(CPU, precision="fp16"))
    with (folder / NETWORK_FILE).open("ab") as file:
        file.write(b"\0")
    with pytest.raises(WeightsError, match="has changed since it was added"):
        ready_network(info, body, CPU)
    assert staf_ready._kept == {}
