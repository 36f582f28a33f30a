"""Checkpoints whose tensors have the right names and odd shapes or types: one sentence each."""

import functools
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from staf_backend.staf.body import LANDMARK_VERTICES
from staf_backend.weights import WeightsError
from staf_backend.weights.authors_layout import body_arrays
from staf_backend.weights.store import add_weights

ODD = {
    "0-d": torch.tensor(1.0),
    "1-d": torch.zeros(3),
    "empty": torch.zeros(0),
    "no rows": torch.zeros(0, 3),
    "no columns": torch.zeros(3, 0),
    "six axes": torch.zeros(1, 2, 1, 2, 1, 2),
    "bool": torch.tensor([True]),
    "bool, 2-d": torch.ones(3, 4, dtype=torch.bool),
    "bfloat16": torch.zeros(2, 2, dtype=torch.bfloat16),
    "bfloat16, 0-d": torch.tensor(1, dtype=torch.bfloat16),
    "whole": torch.zeros(4, 4, dtype=torch.int64),
    "not finite": torch.full((2, 2), torch.nan),
}
TCFM = ("conv_theta", "conv_phi", "conv_g", "conv_mask", "conv_mask_forR")
ENTRIES = {
    "TCFM": [f"tcfm.nonlocalblock.{name}.weight" for name in TCFM],
    "SAFM": [
        *(f"safm.nonlocalblock.attention.fc.{part}" for part in ("weight", "bias")),
        *(f"safm.nonlocalblock.attention.attention.{n}.weight" for n in (0, 2, 4)),
    ],
    "start": [f"regressor.0.init_{name}" for name in ("pose", "shape", "cam")],
    "regressors": [f"regressor.{n}.fc{m}.weight" for n in range(3) for m in (1, 2)],
    "deconvolutions": [f"deconv_layers.{n}.weight" for n in (0, 3, 6)],
}
MARKS = ("feature_extractor.conv1.weight", "deconv_layers.0.weight", "regressor.0.fc1.weight")


def checked(path: Path, content: dict, root: Path) -> None:
    torch.save(content, path)
    with pytest.raises(WeightsError) as caught:
        add_weights([path], root=root)
    assert str(caught.value).isprintable()
    assert not root.exists()


@pytest.mark.parametrize("odd", ODD.values(), ids=ODD)
@pytest.mark.parametrize("entries", ENTRIES.values(), ids=ENTRIES)
def test_odd_tensors_of_a_network_are_refused(entries: list[str], odd: Tensor, tmp_path: Path):
    state = {name: torch.zeros(1) for name in MARKS} | dict.fromkeys(entries, odd)
    checked(tmp_path / "model.pt", {"model": state}, tmp_path / "home")


@pytest.mark.parametrize("odd", ODD.values(), ids=ODD)
def test_odd_tensors_of_a_base_model_are_refused(odd: Tensor, tmp_path: Path):
    """Beside the network, the base model is looked at to see what was trained."""
    torch.save({"gen_state_dict": dict.fromkeys(MARKS[1:], odd)}, tmp_path / "staf.pt")
    torch.save({"model": dict.fromkeys(MARKS, odd)}, tmp_path / "base.pt")
    for paths in (("staf.pt", "base.pt"), ("base.pt", "staf.pt")):
        with pytest.raises(WeightsError):
            add_weights([tmp_path / path for path in paths], root=tmp_path / "home")
    assert not (tmp_path / "home").exists()


@functools.cache
def smpl_entries() -> dict[str, Tensor]:
    """The entries of a body as the authors' checkpoints have them, of no particular shape."""
    body = {
        "v_template": torch.zeros(6890, 3),
        "shapedirs": torch.zeros(6890, 3, 10),
        "posedirs": torch.zeros(207, 20670),
        "J_regressor": torch.zeros(24, 6890),
        "lbs_weights": torch.zeros(6890, 24),
        "parents": torch.arange(-1, 23),
        "faces_tensor": torch.zeros(13776, 3, dtype=torch.int64),
        "J_regressor_extra": torch.zeros(9, 6890),
        "vertex_joint_selector.extra_joints_idxs": torch.tensor(LANDMARK_VERTICES),
    }
    entries = {f"regressor.0.smpl.{name}": tensor for name, tensor in body.items()}
    return entries | {"maf_extractor.0.Dmap": torch.eye(431, 6890)}


def test_a_body_is_taken_out():
    arrays = body_arrays(smpl_entries(), "model.pt")
    assert arrays is not None
    np.testing.assert_array_equal(arrays["vids_431"], np.arange(431))
    assert arrays["posedirs"].shape == (6890, 3, 207)


@pytest.mark.parametrize("odd", ODD.values(), ids=ODD)
@pytest.mark.parametrize("name", smpl_entries())
def test_odd_tensors_of_a_body_are_refused(name: str, odd: Tensor):
    with pytest.raises(WeightsError, match=r"model\.pt"):
        body_arrays(smpl_entries() | {name: odd}, "model.pt")


@pytest.mark.parametrize("name", [n for n in smpl_entries() if "extra_joints" not in n])
@pytest.mark.parametrize("dtype", [torch.bool, torch.bfloat16, torch.uint8])
def test_a_body_of_odd_numbers_is_refused(name: str, dtype: torch.dtype):
    entries = smpl_entries()
    with pytest.raises(WeightsError, match="not SMPL"):
        body_arrays(entries | {name: entries[name].to(dtype)}, "model.pt")
