"""Weights go in whole, come out exactly, and anything else is refused with its reason."""

import dataclasses
import json
import os
import pickle
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from staf_backend.body import load_body
from staf_backend.estimators import EstimatorSettings, chosen_estimator
from staf_backend.estimators.staf import own_body
from staf_backend.staf.network import Staf
from staf_backend.weights import (
    OPEN,
    OWN,
    WeightsError,
    default_weights,
    installed_names,
    read_info,
)
from staf_backend.weights.store import add_weights, load_weights, save_weights
from tests.support import parity_network
from tests.support import parity_recipe as recipe
from tests.support.places import REPOSITORY

DENSE_HEAD = {
    f"dp_head.predict_{name}.{part}": torch.zeros(shape if part == "weight" else shape[:1])
    for name, shape in (
        *((name, (25, 256, 3, 3)) for name in ("u", "v", "uv_index")),
        ("ann_index", (15, 256, 3, 3)),
    )
    for part in ("weight", "bias")
}


def _staf_content(state: dict[str, torch.Tensor]) -> dict:
    """What the authors' trainer saves, optimiser and NumPy's validation error included."""
    moments = [torch.zeros(256, 2155), torch.zeros(1024, 2312)]
    moved = {number: {"step": 1, "exp_avg": moment} for number, moment in enumerate(moments)}
    optimiser = {"state": moved, "param_groups": []}
    return {
        "epoch": 30,
        "gen_state_dict": state,
        "performance": np.float64(48.0),
        "gen_optimizer": optimiser,
    }


def _base_content(state: dict[str, torch.Tensor]) -> dict:
    """What PyMAF's trainer saves: 441 entries."""
    shared = {k: v for k, v in state.items() if not k.startswith(("tcfm.", "safm."))}
    shared.pop("points_grid")
    encoder = parity_network.tensors(recipe.encoder_state())
    grid = {"points_grid": state["points_grid"]}
    return {"model": {**encoder, **shared, **grid, **DENSE_HEAD}, "epoch": 60, "batch_size": 64}


@pytest.fixture(scope="module")
def checkpoints(tmp_path_factory) -> tuple[Path, Path]:
    """The two files under the authors' names, in the old format that torch 1.4 wrote."""
    folder = tmp_path_factory.mktemp("checkpoints")
    state = parity_network.tensors(recipe.staf_state())
    paths = folder / "base_model.pt", folder / "3dpw_model_best.pth.tar"
    base = _base_content(state)
    assert len(base["model"]) == 441
    assert len(state) == 128
    torch.save(base, paths[0], _use_new_zipfile_serialization=False)
    torch.save(_staf_content(state), paths[1], _use_new_zipfile_serialization=False)
    return paths


@pytest.fixture(scope="module")
def root(checkpoints, tmp_path_factory) -> Path:
    root = tmp_path_factory.mktemp("weights")
    add_weights(checkpoints, root=root)
    return root


def loaded_staf(root: Path, name: str = OWN) -> Staf:
    network = load_weights(name, root=root).network
    assert isinstance(network, Staf)
    return network


def test_the_authors_files_become_the_recipes_networks(root: Path) -> None:
    loaded = load_weights(root=root)
    for module, expected in (
        (loaded.encoder, parity_network.encoder()),
        (loaded.network, parity_network.staf()),
    ):
        state = module.state_dict()
        assert list(state) == list(expected.state_dict())
        for name, tensor in expected.state_dict().items():
            assert torch.equal(state[name], tensor), name
        assert not module.training


def test_the_body_of_the_checkpoint_is_enough(root: Path) -> None:
    network = loaded_staf(root)
    with torch.inference_mode():
        result = network(parity_network.window("a", 0)).result
        vertices_m = network.body(result.betas, result.rotations).vertices_m
    expected = recipe.fixture("staf")["full_a4/verts"]
    np.testing.assert_allclose(vertices_m[0, ::13], expected, atol=1e-5)


def test_the_stored_body_is_one_the_exporter_reads(root: Path) -> None:
    body = load_body(root / "staf" / "body.npz")
    assert body.kind == "smpl"
    np.testing.assert_array_equal(body.reduced_vertices, recipe.alignment_vertices())
    template_m = recipe.smpl_arrays()["v_template"]
    np.testing.assert_allclose(body.template_m, template_m, atol=1e-7)


def test_the_user_is_told_what_the_set_is(root: Path) -> None:
    (name,) = installed_names(root)
    info = read_info(name, root)
    assert info.name == "staf"
    assert info.has_body
    assert set(info.sources) == {"base_model.pt", "3dpw_model_best.pth.tar"}
    assert "TCFM was trained." in info.notes
    assert "SAFM was trained." in info.notes
    assert "Stages 1 and 2 equal the base model's." in info.notes
    assert "The optimiser in the file never moved TCFM." in info.notes
    assert not any("never moved SAFM" in note for note in info.notes)
    assert any("licence" in note for note in info.notes)


def test_the_base_model_alone_is_the_single_frame_baseline(checkpoints, tmp_path) -> None:
    info = add_weights([checkpoints[0]], name="base", root=tmp_path)
    assert info.config.frames == 1
    assert (info.configuration, info.converts) == ("base", True)
    network = loaded_staf(tmp_path, "base")
    assert network.tcfm is None
    seen = []
    network.points[0].register_forward_hook(lambda _m, _i, out: seen.append(out[0].numpy()))
    with torch.inference_mode():
        result = network(parity_network.window("a", 0, frames=1)).result
    # Up to TCFM the paper's network does the same to each frame of a repeated window
    expected = recipe.fixture("staf")["edge_a0/z"][:76]
    np.testing.assert_allclose(recipe.every(seen[0], 29)[:76], expected, atol=1e-5)
    assert result.rotations.shape == (1, 24, 3, 3)


@pytest.mark.slow
def test_auto_runs_what_was_added_the_base_model_alone_too(checkpoints, tmp_path, monkeypatch):
    monkeypatch.setenv("STAF_HOME", str(tmp_path))
    assert default_weights() == OPEN
    assert chosen_estimator(EstimatorSettings()) == "landmarks"
    for added, name in ((checkpoints[:1], "base"), (checkpoints, "base + STAF + APM")):
        assert add_weights(added).configuration == name
        assert default_weights() == OWN
        assert chosen_estimator(EstimatorSettings()) == "staf"
        assert own_body("staf") == tmp_path / "weights" / "staf" / "body.npz"


def test_weights_of_another_configuration_are_refused_by_both_names(small_set: Path) -> None:
    """The description says HMR, the tensors are STAF's; or the name and the numbers differ."""
    path = small_set / "weights.json"
    content = json.loads(path.read_text())
    path.unlink()
    assert content["configuration"] == "base + STAF + APM"
    path.write_text(json.dumps({**content, "configuration": "HMR"}))
    with pytest.raises(WeightsError, match="names the configuration 'HMR', but describes another"):
        read_info(small_set.name, small_set.parent)
    channels = content["config"]["map_channels"]
    content["config"] = {"integration": "APM", "map_channels": channels}
    path.write_text(json.dumps({**content, "configuration": "HMR + APM"}))
    with pytest.raises(WeightsError, match=r"weights of the configuration HMR \+ APM"):
        load_weights(small_set.name, root=small_set.parent)


def test_the_authors_batching_can_be_asked_for(root: Path) -> None:
    config = dataclasses.replace(loaded_staf(root).config, tcfm_batching="authors")
    network = load_weights(root=root, config=config).network
    assert isinstance(network, Staf)
    tcfm = network.tcfm
    assert tcfm is not None
    assert tcfm.batching == "authors"


def test_another_body_can_be_put_in(root: Path) -> None:
    loaded = load_weights(root=root, body=load_body("open-neutral"))
    assert isinstance(loaded.network, Staf)
    assert loaded.network.body.tables.name == loaded.tables.name == "open-neutral"


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "is empty"),
        (b"\n<!DOCTYPE html><html><body>Sign in</body></html>", "is a web page"),
        (b"<html><head>", "is a web page"),
        (b'{"a": 1}', "is not a PyTorch checkpoint"),
        (b"PK\x03\x04 but no archive follows", "damaged or cut short"),
        (b"\x80\x02}q\x00.", "damaged or cut short"),
        (pickle.dumps([1, 2, 3], 2), "damaged or cut short"),
    ],
    ids=["empty", "page", "page without doctype", "json", "broken zip", "bare pickle", "pickle"],
)
def test_files_of_another_kind_are_refused(tmp_path, content: bytes, reason: str) -> None:
    path = tmp_path / "base_model.pt"
    path.write_bytes(content)
    with pytest.raises(WeightsError, match=reason) as caught:
        add_weights([path], root=tmp_path)
    assert "base_model.pt" in caught.value.message
    assert caught.value.advice
    assert caught.value.exit_code == 6


@pytest.mark.parametrize("kept", [0.999, 0.5, 0.001])
@pytest.mark.parametrize("new_format", [True, False])
def test_a_truncated_file_is_refused(tmp_path, new_format: bool, kept: float) -> None:
    path = tmp_path / "model.pt"
    torch.save(
        {"model": {"w": torch.rand(100_000)}}, path, _use_new_zipfile_serialization=new_format
    )
    data = path.read_bytes()
    path.write_bytes(data[: int(len(data) * kept)])
    with pytest.raises(WeightsError, match="damaged or cut short"):
        add_weights([path], root=tmp_path)


class _Attack:
    def __init__(self, call, target: Path) -> None:
        self.call, self.target = call, target

    def __reduce__(self):
        return self.call, (f"touch {self.target}",) if self.call is os.system else (self.target,)


@pytest.mark.parametrize("call", [os.system, Path.touch])
@pytest.mark.parametrize("new_format", [True, False])
def test_code_in_a_file_is_not_run(tmp_path, new_format: bool, call) -> None:
    path, proof = tmp_path / "model.pt", tmp_path / "was_run"
    torch.save({"model": _Attack(call, proof)}, path, _use_new_zipfile_serialization=new_format)
    with pytest.raises(WeightsError, match="asks to run code"):
        add_weights([path], root=tmp_path)
    assert not proof.exists()


def test_a_missing_file_is_named(tmp_path) -> None:
    with pytest.raises(WeightsError, match=r"nothing\.pt cannot be read"):
        add_weights([tmp_path / "nothing.pt"], root=tmp_path)


def _add_changed(tmp_path: Path, change) -> None:
    """Adds the recipe's checkpoints after a change of the network's entries."""
    state = dict(parity_network.tensors(recipe.staf_state()))
    encoder = _base_content(state)["model"]
    encoder = {k: v for k, v in encoder.items() if k.startswith("feature_extractor.")}
    change(state)
    path = tmp_path / "changed.pth.tar"
    torch.save({"gen_state_dict": state, "model": encoder}, path)
    add_weights([path], root=tmp_path / "weights")


def test_a_network_without_encoder_asks_for_the_base_model(checkpoints, tmp_path) -> None:
    with pytest.raises(WeightsError, match="no STAF encoder") as caught:
        add_weights([checkpoints[1]], root=tmp_path)
    assert "base_model.pt" in caught.value.advice


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda s: s.pop("safm.nonlocalblock.attention.fc.bias"), "missing: safm.embed.bias"),
        (lambda s: s.update({"encoder.gru.weight": torch.zeros(2)}), "encoder.gru.weight"),
        (lambda s: s.update({"regressor.1.fc2.bias": torch.zeros(7)}), "misshapen: regressors.1"),
        (
            lambda s: s["tcfm.nonlocalblock.conv_g.weight"].__setitem__((3, 4), torch.nan),
            "not finite: tcfm.value.weight",
        ),
        (lambda s: s.pop("regressor.0.smpl.posedirs"), "only part of the SMPL body"),
        (lambda s: s.update({"maf_extractor.0.Dmap": torch.rand(431, 6890)}), "select vertices"),
    ],
    ids=["missing", "unexpected", "misshapen", "NaN", "half a body", "no selection"],
)
def test_tensors_that_do_not_fit_are_listed(tmp_path, change, reason: str) -> None:
    def on_copies(state: dict[str, torch.Tensor]) -> None:
        name = "tcfm.nonlocalblock.conv_g.weight"
        state[name] = state[name].clone()
        change(state)

    with pytest.raises(WeightsError, match=reason):
        _add_changed(tmp_path, on_copies)
    assert not installed_names(tmp_path / "weights")


def test_another_networks_checkpoint_is_refused(tmp_path) -> None:
    path = tmp_path / "resnet.pt"
    torch.save({"conv1.weight": torch.zeros(64, 3, 7, 7)}, path)
    with pytest.raises(WeightsError, match="no STAF encoder"):
        add_weights([path], root=tmp_path)


def test_weights_without_a_body_need_one(tmp_path) -> None:
    def strip(state: dict[str, torch.Tensor]) -> None:
        for name in [n for n in state if ".smpl." in n or n.endswith("Dmap")]:
            del state[name]

    _add_changed(tmp_path, strip)
    (name,) = installed_names(tmp_path / "weights")
    info = read_info(name, tmp_path / "weights")
    assert not info.has_body
    with pytest.raises(WeightsError, match="without a body"):
        load_weights(root=tmp_path / "weights")
    assert load_weights(root=tmp_path / "weights", body=load_body("open-neutral"))


@pytest.fixture
def small_set(root: Path, tmp_path: Path) -> Path:
    """A copy of the set that a test may damage; unchanged files are links."""
    folder = tmp_path / "staf"
    folder.mkdir()
    for file in (root / "staf").iterdir():
        (folder / file.name).hardlink_to(file)
    return folder


def test_a_changed_file_is_noticed(small_set: Path) -> None:
    tensors = load_file(small_set / "encoder.safetensors")
    (small_set / "encoder.safetensors").unlink()
    save_file(
        {**tensors, "conv1.weight": tensors["conv1.weight"] + 1}, small_set / "encoder.safetensors"
    )
    with pytest.raises(WeightsError, match="has changed"):
        load_weights(root=small_set.parent)


@pytest.mark.parametrize("text", ["", "[]", '{"format": 4}', '{"format": 1}'])
def test_a_damaged_description_is_refused(small_set: Path, text: str) -> None:
    (small_set / "weights.json").unlink()
    (small_set / "weights.json").write_text(text)
    with pytest.raises(WeightsError, match=r"weights\.json cannot be read"):
        load_weights(root=small_set.parent)


def test_an_unknown_set_says_how_to_add_one(tmp_path) -> None:
    with pytest.raises(WeightsError, match="no STAF weights called staf") as caught:
        load_weights(root=tmp_path)
    assert "staf weights add" in caught.value.advice


def test_names_cannot_leave_the_folder(tmp_path) -> None:
    with pytest.raises(WeightsError, match="cannot name weights"):
        load_weights("../elsewhere", root=tmp_path)


def test_our_own_weights_are_refused_when_they_do_not_fit(tmp_path) -> None:
    with pytest.raises(WeightsError, match="missing: "):
        save_weights(tmp_path / "mine", encoder={}, network={}, config=parity_network.staf().config)
    assert not (tmp_path / "mine").exists()


def test_the_description_is_plain_json(root: Path) -> None:
    content = json.loads((root / "staf" / "weights.json").read_text())
    assert content["config"]["frames"] == 9
    assert (content["format"], content["configuration"]) == (3, "base + STAF + APM")


def test_what_is_installed_can_be_asked_without_loading_torch(root: Path) -> None:
    code = (
        "import sys, pathlib; from staf_backend.weights.info import installed_names;"
        "print(list(installed_names(pathlib.Path(sys.argv[1]))));"
        "assert 'torch' not in sys.modules"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(root)],
        capture_output=True,
        text=True,
        cwd=REPOSITORY,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == "['staf']"
