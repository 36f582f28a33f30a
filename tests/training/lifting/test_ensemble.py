"""An ensemble of lifting networks answers with the mean of its members."""

from pathlib import Path

import numpy as np
import pytest

onnx = pytest.importorskip("onnx")

from staf_backend.runtime import open_network, run  # noqa: E402
from training.lifting.ensemble import join  # noqa: E402


def network(path: Path, seed: int, outputs: int = 40) -> Path:
    """A small network: one matrix, with a tensor large enough to be halved."""
    from onnx import TensorProto, helper, numpy_helper

    weights = np.random.default_rng(seed).normal(size=(30, outputs)).astype(np.float32)
    given = helper.make_tensor_value_info("features", TensorProto.FLOAT, ["windows", 30])
    answer = helper.make_tensor_value_info("answer", TensorProto.FLOAT, ["windows", outputs])
    node = helper.make_node("MatMul", ["features", "weights"], ["answer"])
    tensors = [numpy_helper.from_array(weights, "weights")]
    graph = helper.make_graph([node], "one", [given], [answer], tensors)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)])
    model.ir_version = 10
    onnx.save(model, path)
    return path


def answer(path: Path, features: np.ndarray) -> np.ndarray:
    return run(open_network(path, threads=1), features=features)["answer"]


def test_the_answer_is_the_mean(tmp_path: Path):
    members = [network(tmp_path / f"{seed}.onnx", seed) for seed in (1, 2)]
    join(members, tmp_path / "both.onnx")
    features = np.random.default_rng(0).normal(size=(5, 30)).astype(np.float32)
    expected = np.mean([answer(member, features) for member in members], 0)
    assert np.allclose(answer(tmp_path / "both.onnx", features), expected, atol=0.01)
    assert not np.allclose(answer(members[0], features), expected, atol=0.1)


def test_two_take_the_room_of_one(tmp_path: Path):
    members = [network(tmp_path / f"{seed}.onnx", seed, 4000) for seed in (1, 2)]
    join(members, tmp_path / "both.onnx")
    size = (tmp_path / "both.onnx").stat().st_size
    assert size < 1.01 * members[0].stat().st_size


def test_members_of_different_forms_are_refused(tmp_path: Path):
    members = [network(tmp_path / "1.onnx", 1), network(tmp_path / "2.onnx", 2, 41)]
    with pytest.raises(ValueError, match="same inputs and outputs"):
        join(members, tmp_path / "both.onnx")
