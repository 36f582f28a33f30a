"""Small networks that tell looks apart by the colours of a crop's eighths, as ONNX files."""

from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

WIDTH_PX, HEIGHT_PX = 32, 64
DIMENSIONS = 24
"""Three colours of four rows and two columns."""
MIDDLE = 127.5
"""Taken from every mean, so that colours point everywhere."""
Side = int | str


def write_network(
    path: Path,
    shape: tuple[Side, ...] = (1, 3, HEIGHT_PX, WIDTH_PX),
    *,
    answer: tuple[Side, ...] = (1, DIMENSIONS),
    middle: float = MIDDLE,
    gain: float = 1.0,
    takes: tuple[str, ...] = ("picture",),
    kind: int = TensorProto.FLOAT,
) -> Path:
    """Write one: means of the eighths less the middle, times the gain.

    Args:
        path: of the file.
        shape: that it says it takes.
        answer: that it says it gives; a third number keeps rows and columns apart.
        middle, gain: see above; a gain of 0 makes every answer zero.
        takes: names of its inputs; only the first is read.
        kind: of its inputs' numbers.
    """
    cells = [HEIGHT_PX // 4, WIDTH_PX // 2]
    last = "Flatten" if len(answer) == 2 else "Identity"
    nodes = [
        helper.make_node("Cast", [takes[0]], ["read"], to=TensorProto.FLOAT),
        helper.make_node("AveragePool", ["read"], ["mean"], kernel_shape=cells, strides=cells),
        helper.make_node("Sub", ["mean", "middle"], ["about"]),
        helper.make_node("Mul", ["about", "gain"], ["scaled"]),
        helper.make_node(last, ["scaled"], ["look"]),
    ]
    constants = [("middle", middle), ("gain", gain)]
    graph = helper.make_graph(
        nodes,
        "eighths",
        [helper.make_tensor_value_info(name, kind, shape) for name in takes],
        [helper.make_tensor_value_info("look", TensorProto.FLOAT, answer)],
        [numpy_helper.from_array(np.array(value, np.float32), name) for name, value in constants],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    onnx.save(model, path)
    return path


def eighths(crop: np.ndarray) -> np.ndarray:
    """The answer (24,) to a crop (64, 32, 3) as the network would give it, of unit length."""
    cells = crop.reshape(4, HEIGHT_PX // 4, 2, WIDTH_PX // 2, 3).mean((1, 3)) - MIDDLE
    flat = cells.transpose(2, 0, 1).ravel()
    return flat / np.linalg.norm(flat)
