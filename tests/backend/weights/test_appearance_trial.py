"""Networks that run for ever, fill the memory or are no files: refused in one sentence."""

import os
import sys
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("onnx")

import onnx
from onnx import TensorProto, helper, numpy_helper

from staf_backend.weights import WeightsError, appearance_trial
from staf_backend.weights.appearance_add import add_appearance
from tests.support.make_appearance import write_network

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="limits of POSIX systems")


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The data folder of a user who has added nothing."""
    monkeypatch.setenv("STAF_HOME", str(tmp_path / "home"))
    return tmp_path / "home"


def write_hungry(path: Path, nodes: list[onnx.NodeProto], **constants: np.ndarray) -> Path:
    """A network of the right interface; `nodes` make "y" of the crop's mean colour "c" (1, 3)."""
    mean = helper.make_node("ReduceMean", ["x"], ["c"], axes=[2, 3], keepdims=0)
    takes = helper.make_tensor_value_info("x", TensorProto.FLOAT, (1, 3, 64, 32))
    gives = helper.make_tensor_value_info("y", TensorProto.FLOAT, (1, 3))
    kept = [numpy_helper.from_array(value, name) for name, value in constants.items()]
    graph = helper.make_graph([mean, *nodes], "hungry", [takes], [gives], kept)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)])
    model.ir_version = 8
    onnx.save(model, str(path))
    return path


def for_ever(path: Path) -> Path:
    """It goes round 2**62 times."""
    kinds = {"round": TensorProto.INT64, "on": TensorProto.BOOL, "v": TensorProto.FLOAT}
    shapes = {"round": [], "on": [], "v": [1, 3]}
    values = {
        name: helper.make_tensor_value_info(name, kind, shapes[name])
        for name, kind in kinds.items()
    }
    ends = [
        helper.make_tensor_value_info("on_", TensorProto.BOOL, []),
        helper.make_tensor_value_info("v_", TensorProto.FLOAT, [1, 3]),
    ]
    steps = [helper.make_node("Identity", [name], [f"{name}_"]) for name in ("on", "v")]
    body = helper.make_graph(steps, "body", list(values.values()), ends)
    loop = helper.make_node("Loop", ["most", "yes", "c"], ["y"], body=body)
    return write_hungry(path, [loop], most=np.array(2**62), yes=np.array(True))


def too_large(path: Path) -> Path:
    """It sums up 2.8 GB of zeros, as soon as it is opened."""
    nodes = [
        helper.make_node("ConstantOfShape", ["size"], ["zeros"]),
        helper.make_node("ReduceSum", ["zeros"], ["sum"], keepdims=0),
        helper.make_node("Add", ["c", "sum"], ["y"]),
    ]
    return write_hungry(path, nodes, size=np.array([700_000_000]))


def refused(path: Path, home: Path) -> str:
    with pytest.raises(WeightsError) as caught:
        add_appearance(path, "odd")
    assert not list(home.rglob("*.onnx"))
    assert "\n" not in str(caught.value)
    assert caught.value.advice
    return caught.value.message


def test_one_that_runs_for_ever(tmp_path: Path, home: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(appearance_trial, "_PROCESSOR_S", 1)
    assert "takes too long" in refused(for_ever(tmp_path / "odd.onnx"), home)


def test_one_that_nobody_waits_for(tmp_path: Path, home: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(appearance_trial, "_LONGEST_S", 0.01)
    assert "does not answer" in refused(write_network(tmp_path / "odd.onnx"), home)


@pytest.mark.skipif(sys.platform != "linux", reason="others do not limit this")
def test_one_that_fills_the_memory(tmp_path: Path, home: Path):
    assert "odd.onnx does not " in refused(too_large(tmp_path / "odd.onnx"), home)


@pytest.mark.parametrize("name", ["odd.onnx", "odd.json"])
def test_a_pipe_is_no_file(tmp_path: Path, home: Path, name: str):
    if name == "odd.json":
        write_network(tmp_path / "odd.onnx")
    os.mkfifo(tmp_path / name)
    assert name in refused(tmp_path / "odd.onnx", home)
