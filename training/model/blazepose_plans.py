"""The BlazePose landmark network as plans of encoders, read from the ONNX file.

    image ─ stem ─ ... ─ 8x8 ─┬─ decoder ─ heat map, mask
                              └──(heavy: and back)── 8x8 ══ cut ══ 4x4 ─ 2x2 ─ landmarks, world

`read_trunk` ends at the cut, the last map of stride 32 on which all of `world` depends: whatever
the network knows of a pose in space has passed through it.  Crops of 224 pixels give 7 x 7 there.
`read_network` goes on to the landmarks, for the encoder that paints fields of them.  Batch norm was
folded into the convolutions when the network was published, so there is none.
"""

from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from staf_backend.assets import asset_path
from staf_backend.files import sha256
from staf_backend.staf.encoders import IMAGE, EncoderPlan, FieldsEncoder, FieldsPlan, Layer
from staf_backend.staf.encoders.field_maps import CHANNELS
from training.model.encoder_error import EncoderError, package

LIFTER = (512, 3)
"""Width and blocks of the lifter."""
_STRIDE = 32
"""Pixels of the picture for each cell of the deepest map, as in the ONNX file."""
_OUTPUT, _LANDMARKS = "world", "landmarks"
_LOOKS = 3  # the third finds what the landmark estimator's own crops show, a fourth nothing more
_OPERATIONS = {
    **{"Conv": "conv", "Clip": "relu6", "Add": "add", "Resize": "double"},
    **{"MaxPool": "max_pool", "Pad": "widen"},
}


def read_trunk(onnx_file: Path, name: str) -> tuple[EncoderPlan, dict[str, Tensor]]:
    """Plan and tensors of a landmark network's trunk.

    Args:
        onnx_file: a network that reads `image` and gives `world`.
        name: what to call the encoder.

    Raises:
        EncoderError: onnx is not installed, or the file holds another network.
    """
    onnx = package("onnx", "pip install onnx")
    try:
        graph = _Graph(onnx, onnx_file)
        nodes = graph.trunk()
        layers = tuple(graph.layer(node) for node in nodes)
        source = f"BlazePose GHUM ({onnx_file.name}), Google LLC, Apache-2.0; the trunk only"
        channels = graph.shapes[nodes[-1].output[0]][1]
        plan = EncoderPlan(name, channels, (0.0, 0.0, 0.0), (1.0, 1.0, 1.0), source, layers)
        return plan, graph.tensors(nodes)
    except Exception as error:  # a foreign file fails in the parser's own ways
        raise EncoderError(
            f"{onnx_file} is no pose landmark network: {error}.",
            "Take the file that came with this software.",
        ) from error


def read_network(onnx_file: str, name: str) -> FieldsEncoder:
    """An encoder that looks with an embedded landmark network; its lifter is untrained.

    Args:
        onnx_file: the embedded file; its tensors are in a .safetensors file beside it.
        name: what to call the encoder.

    Raises:
        EncoderError: onnx is not installed.
        AssetError: a file is missing or damaged.
    """
    onnx = package("onnx", "pip install onnx")
    graph, tensors = _Graph(onnx, asset_path(onnx_file)), Path(onnx_file).stem + ".safetensors"
    nodes = graph.whole((_LANDMARKS, _OUTPUT))
    source = f"BlazePose GHUM ({onnx_file}), Google LLC, Apache-2.0, and a lifter of our own"
    plan = FieldsPlan(
        name,
        CHANNELS,
        source,
        tensors,
        sha256(asset_path(tensors)),
        _LOOKS,
        graph.before(_LANDMARKS),
        graph.before(_OUTPUT),
        *LIFTER,
        tuple(graph.layer(node) for node in nodes),
    )
    return FieldsEncoder(plan)


class _Graph:
    """An ONNX graph: who makes what, of which size, with which numbers."""

    def __init__(self, onnx: Any, file: Path) -> None:
        self._onnx = onnx
        graph = onnx.shape_inference.infer_shapes(onnx.load(file)).graph
        self._nodes = [node for node in graph.node if node.op_type != "Cast"]
        self._maker = {name: node for node in self._nodes for name in node.output}
        numbers = {one.name: onnx.numpy_helper.to_array(one) for one in graph.initializer}
        casts = {node.output[0]: node.input[0] for node in graph.node if node.op_type == "Cast"}
        widened = {to: numbers[of].astype(np.float32) for to, of in casts.items() if of in numbers}
        self._numbers = numbers | widened
        self.shapes = {v.name: _shape(v) for v in (*graph.value_info, *graph.input, *graph.output)}
        self._image = graph.input[0].name

    def trunk(self) -> list[Any]:
        """Nodes up to the cut, in order."""
        side = self.shapes[self._image][-1] // _STRIDE
        needed = self._behind(_OUTPUT)
        fitting = [
            node.output[0]
            for node in self._nodes
            if node.output[0] in needed and self.shapes[node.output[0]][2:] == [side, side]
        ]
        inside = self._behind(fitting[-1])
        return [node for node in self._nodes if node.output[0] in inside]

    def whole(self, outputs: tuple[str, ...]) -> list[Any]:
        """Nodes that outputs are computed by, in order, but for their last change of shape."""
        inside = {name for output in outputs for name in self._behind(self._maker[output].input[0])}
        return [node for node in self._nodes if node.output[0] in inside]

    def before(self, output: str) -> str:
        """The layer whose result an output is."""
        return _plain(self._maker[output].input[0])

    def layer(self, node: Any) -> Layer:
        """The node as a step of a plan.

        Raises:
            ValueError: a plan has no such step.
        """
        operation: Any = _OPERATIONS.get(node.op_type)
        reads = [name for name in node.input if name and name not in self._numbers]
        inputs = tuple(IMAGE if name == self._image else _plain(name) for name in reads)
        sizes: dict[str, Any] = {}
        match operation:
            case "conv":
                sizes = self._convolution(node)
            case "max_pool":
                sizes = self._window(node)
            case "widen":
                sizes = {"out": self.shapes[node.output[0]][1]}
                before = self.shapes[reads[0]]
                pads = [*[0] * 5, sizes["out"] - before[1], 0, 0]
                self._expect(node, 1, pads)
            case "relu6":
                self._expect(node, 1, 0)
                self._expect(node, 2, 6)
            case "double":
                self._expect(node, 2, [1, 1, 2, 2])
            case "add":
                pass
            case _:
                raise ValueError(f"a plan has no {node.op_type}")
        return Layer(_plain(node.output[0]), operation, inputs, **sizes)

    def tensors(self, nodes: list[Any]) -> dict[str, Tensor]:
        """Weights and biases of the convolutions, float32, under the plan's names."""
        return {
            f"{_plain(node.output[0])}.{part}": torch.from_numpy(
                self._numbers[name].astype(np.float32)
            )
            for node in nodes
            if node.op_type == "Conv"
            for part, name in zip(("weight", "bias"), node.input[1:])
        }

    def _convolution(self, node: Any) -> dict[str, Any]:
        at = self._attributes(node)
        top, left, bottom, right = at.get("pads", (0, 0, 0, 0))
        out, channels = self._numbers[node.input[1]].shape[:2]
        if set(at.get("dilations", [1])) != {1} or at.get("auto_pad", b"NOTSET") != b"NOTSET":
            raise ValueError(f"{node.output[0]} is dilated, or pads by itself")
        return {
            **self._window(node, pads=True),
            **{"pads": (left, right, top, bottom), "groups": at["group"], "out": out},
            **{"channels": channels * at["group"], "bias": len(node.input) > 2},
        }

    def _window(self, node: Any, *, pads: bool = False) -> dict[str, int]:
        at = self._attributes(node)
        kernel, stride = set(at["kernel_shape"]), set(at["strides"])
        if len(kernel) > 1 or len(stride) > 1 or (not pads and any(at.get("pads", ()))):
            raise ValueError(f"{node.output[0]} is not square, or padded")
        return {"kernel": kernel.pop(), "stride": stride.pop()}

    def _attributes(self, node: Any) -> dict[str, Any]:
        return {a.name: self._onnx.helper.get_attribute_value(a) for a in node.attribute}

    def _expect(self, node: Any, index: int, value: Any) -> None:
        if not np.array_equal(self._numbers[node.input[index]], value):
            raise ValueError(f"{node.output[0]} is not the {node.op_type} of a landmark network")

    def _behind(self, output: str) -> set[str]:
        """All values that one is computed from, itself included."""
        found: set[str] = set()
        todo = [output]
        while todo:
            name = todo.pop()
            if name in self._maker and name not in found:
                found.add(name)
                todo += self._maker[name].input
        return found


def _shape(value: Any) -> list[int]:
    return [one.dim_value for one in value.type.tensor_type.shape.dim]


def _plain(name: str) -> str:
    """A value's name without dots, which a module's name may not have."""
    return name.replace(".", "_")
