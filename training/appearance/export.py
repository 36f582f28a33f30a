"""The trained head and MoveNet's first layers as one ONNX file: image -> appearance."""

from pathlib import Path
from tempfile import TemporaryDirectory

import onnx
import torch
from onnx import TensorProto, compose, helper, numpy_helper

from staf_backend.assets import asset_path
from staf_backend.files import replace_atomically
from staf_backend.people.appearance import HEIGHT_PX, WIDTH_PX
from training.appearance.network import TAPS, Head, Whole, trunk
from training.lifting.network import forget_origin

_SHAPES = ((3, HEIGHT_PX, WIDTH_PX), (40, 32, 16), (48, 16, 8), (48, 16, 8))
_INPUTS = ("image", "fine", "middle", "coarse")
_SMALL = 256
"""Numbers of a tensor that is kept in single precision.  Chosen: they would save nothing."""
_ABOUT = {
    "trunk": "MoveNet MultiPose Lightning, blocks 0 to 5, (c) Google LLC, Apache-2.0; unchanged",
    "head": "trained by training.appearance on drawn people",
}


def export(head: Head, path: Path) -> None:
    """Write the network, any number of crops at a time; matrices as float16.

    Raises:
        OutputError: it cannot be written.
    """
    with TemporaryDirectory() as folder:
        model = _head_model(head, Path(folder) / "head.onnx")
    body = trunk(asset_path("movenet_multipose.onnx"))
    body.opset_import[0].version = model.opset_import[0].version
    body.ir_version = model.ir_version
    body = compose.add_prefix(body, "trunk/", rename_inputs=False, rename_outputs=False)
    taps: list[tuple[str, str]] = list(zip(TAPS, _INPUTS[1:], strict=True))
    # both read the picture, and a merge knows no input that two share
    model.graph.input[0].name = "picture"
    for node in model.graph.node:
        node.input[:] = ["picture" if name == "image" else name for name in node.input]
    whole = compose.merge_models(body, model, taps)
    for node in whole.graph.node:
        node.input[:] = ["image" if name == "picture" else name for name in node.input]
    inputs = [one for one in whole.graph.input if one.name == "image"]
    del whole.graph.input[:]
    whole.graph.input.extend(inputs)
    forget_origin(whole)
    helper.set_model_props(whole, _ABOUT)
    whole.producer_name, whole.producer_version = "", ""
    onnx.checker.check_model(whole)
    with replace_atomically(path) as temporary:
        onnx.save(whole, temporary)


def _head_model(head: Head, path: Path) -> onnx.ModelProto:
    """The head alone, its matrices as float16 behind a cast."""
    crops = torch.export.Dim("crops")
    torch.onnx.export(
        Whole(head).eval(),
        tuple(torch.rand(2, *shape) for shape in _SHAPES),
        str(path),
        input_names=list(_INPUTS),
        output_names=["appearance"],
        dynamic_shapes=tuple({0: crops} for _ in _SHAPES),
        opset_version=18,
        dynamo=True,
        external_data=False,
        verbose=False,
    )
    model = onnx.load(path)
    casts = []
    for weights in model.graph.initializer:
        numbers = numpy_helper.to_array(weights)
        if numbers.dtype != "float32" or numbers.size < _SMALL:
            continue
        name = weights.name
        weights.CopyFrom(numpy_helper.from_array(numbers.astype("float16"), f"{name}/half"))
        casts.append(helper.make_node("Cast", [f"{name}/half"], [name], to=TensorProto.FLOAT))
    nodes = [*casts, *model.graph.node]
    del model.graph.node[:]
    model.graph.node.extend(nodes)
    return model
