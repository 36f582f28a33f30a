"""The appearance network: what its head does, its loss, its training, its file."""

import numpy as np
import pytest

pytest.importorskip("torch")

import onnx
import torch

from staf_backend.assets import asset_path
from staf_backend.files import OutputError
from staf_backend.runtime import open_network, run
from training.appearance import train as training
from training.appearance.export import export
from training.appearance.network import TAPS, Head, cells, trunk
from training.appearance.store import Looks, write_part
from training.appearance.train import pair_loss, told_apart

MOVENET = asset_path("movenet_multipose.onnx")


def _crops(shape, seed=0):
    return np.random.default_rng(seed).integers(0, 256, (*shape, 128, 64, 3), np.uint8)


def test_the_head_gives_unit_vectors_and_one_alone_what_it_gives_in_a_batch():
    torch.manual_seed(0)
    head, found = Head().eval(), torch.randn(5, 16, 8, 151)
    with torch.no_grad():
        together = head(found)
        alone = torch.cat([head(one[None]) for one in found])
    assert torch.allclose(together.norm(dim=-1), torch.ones(5), atol=1e-5)
    assert torch.allclose(together, alone, atol=1e-5)


def test_alike_looks_of_one_person_cost_less():
    person = torch.tensor([0, 0, 1, 1])
    apart = torch.eye(128)[[0, 0, 1, 1]]
    mixed = torch.eye(128)[[0, 1, 0, 1]]
    assert pair_loss(apart, person) < 0.2 < pair_loss(mixed, person)


def test_told_apart_is_an_area_under_the_curve():
    clips = np.zeros((1, 2, 3, 16, 8, 151), np.float16)
    clips[0, 1] = 1

    def perfect(found):
        return torch.eye(128)[found[:, 0, 0, 0].long()]

    def blind(found):
        return torch.eye(128)[torch.zeros(len(found), dtype=torch.long)] + torch.rand(len(found), 1)

    assert told_apart(perfect, clips) == 1
    assert 0.2 < told_apart(blind, clips) < 0.8


def _taps(folder, image):
    """What the trunk sees in crops, by the name of the layer."""
    path = folder / "trunk.onnx"
    onnx.save(trunk(MOVENET), path)
    return run(open_network(path, device="cpu", threads=1), image=image)


def test_the_trunk_sees_in_one_crop_what_it_sees_in_a_batch(tmp_path):
    image = _crops((2,)).transpose(0, 3, 1, 2).astype(np.float32)
    both, alone = _taps(tmp_path, image), _taps(tmp_path, image[1:])
    assert [both[tap].shape for tap in TAPS] == [(2, 40, 32, 16), (2, 48, 16, 8), (2, 48, 16, 8)]
    for tap in TAPS:
        np.testing.assert_allclose(both[tap][1:], alone[tap], atol=1e-4)


@pytest.mark.slow
def test_the_file_gives_what_the_head_gives(tmp_path):
    torch.manual_seed(1)
    head, image = Head().eval(), _crops((3,)).transpose(0, 3, 1, 2).astype(np.float32)
    export(head, tmp_path / "appearance.onnx")
    assert (tmp_path / "appearance.onnx").stat().st_size < 2e6
    session = open_network(tmp_path / "appearance.onnx", device="cpu", threads=1)
    assert [one.name for one in session.get_inputs()] == ["image"]
    read = run(session, image=image)["appearance"]
    taps = _taps(tmp_path, image)
    with torch.no_grad():
        seen = cells(torch.from_numpy(image), *(torch.from_numpy(taps[tap]) for tap in TAPS))
        expected = head(seen).numpy()
    np.testing.assert_allclose(read, expected, atol=2e-3)


def test_training_learns_and_says_how_well(tmp_path, capsys):
    """People who are plain colours are soon told apart."""
    rng = np.random.default_rng(0)
    for part in range(2):
        crops = rng.integers(0, 60, (3, 4, 3, 128, 64, 3)).astype(np.uint8)
        crops[:, :, :, 20:110, 20:44] += rng.integers(0, 190, (3, 4, 1, 1, 1, 3)).astype(np.uint8)
        write_part(tmp_path / f"{part:04d}.npy", crops)
    head = training.train(tmp_path, 0.05)
    said = capsys.readouterr().out
    assert float(said.split("AUC ")[1].split()[0]) > 0.7
    assert not head.training


def test_too_few_looks_are_refused(tmp_path):
    with pytest.raises(OutputError, match="holds 0 parts"):
        Looks(tmp_path, np.random.default_rng(0)).refresh()
    np.save(tmp_path / "0000.npy", np.zeros(4))
    with pytest.raises(OutputError, match="no part of looks"):
        Looks(tmp_path, np.random.default_rng(0)).refresh()
