"""Several lifting networks as one: their mean, with weights of half the size.

    python -m training.lifting.ensemble ONE/lift.onnx OTHER/lift.onnx \\
        --out staf_backend/assets/lift.onnx

Networks trained from different seeds err differently, so their mean errs less, on real footage
most (LOG.md has the numbers).  Weights are kept as float16 behind a cast to float32: two networks
take the room of one, and still compute in float32.
"""

import argparse
import json
from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, compose, helper, numpy_helper

from training.lifting.network import forget_origin

_SMALL = 1024
"""Numbers; a smaller tensor stays as it is (chosen: all such are a thousandth of a network)."""


def join(paths: list[Path], out: Path) -> None:
    """Write one network whose outputs are the means of several networks' outputs.

    Args:
        paths: ONNX files with the same inputs and outputs.
        out: the file to write.

    Raises:
        ValueError: no networks, or ones that differ in their inputs or outputs.
    """
    models = [onnx.load(path) for path in paths]
    if not models or any(_interface(model) != _interface(models[0]) for model in models):
        raise ValueError("networks of an ensemble must have the same inputs and outputs")
    first = models[0]
    members = [compose.add_prefix(model, f"member{i}/") for i, model in enumerate(models)]
    inputs = [value.name for value in first.graph.input]
    nodes, tensors = [], []
    for i, member in enumerate(members):
        nodes += [helper.make_node("Identity", [name], [f"member{i}/{name}"]) for name in inputs]
        nodes += list(member.graph.node)
        tensors += list(member.graph.initializer)
    for output in first.graph.output:
        names = [f"member{i}/{output.name}" for i in range(len(members))]
        nodes.append(helper.make_node("Mean", names, [output.name]))
    casts, halves = _halved(tensors)
    graph = helper.make_graph(
        casts + nodes, "ensemble", list(first.graph.input), list(first.graph.output), halves
    )
    joined = helper.make_model(graph, opset_imports=list(first.opset_import))
    joined.ir_version = first.ir_version
    joined.producer_name = f"ensemble of {len(members)}"
    forget_origin(joined)
    onnx.checker.check_model(joined, full_check=True)
    onnx.save(joined, out)


def _interface(model: onnx.ModelProto) -> list[bytes]:
    """Inputs and outputs, to be compared."""
    both = [*model.graph.input, *model.graph.output]
    return [value.SerializeToString() for value in both]


def _halved(tensors: list[TensorProto]) -> tuple[list[onnx.NodeProto], list[TensorProto]]:
    """Large float32 tensors as float16, and the casts back."""
    casts, kept = [], []
    for tensor in tensors:
        values = numpy_helper.to_array(tensor)
        if values.dtype == np.float32 and values.size >= _SMALL:
            half = f"{tensor.name}/half"
            kept.append(numpy_helper.from_array(values.astype(np.float16), half))
            casts.append(helper.make_node("Cast", [half], [tensor.name], to=TensorProto.FLOAT))
        else:
            kept.append(tensor)
    return casts, kept


def report(paths: list[Path]) -> dict:
    """What is known of the members, from the `lift.json` beside each; numbers are not the joint's.

    `python -m training.lifting.train_windows --evaluate` adds the ensemble's own held-out numbers.
    """
    members = [json.loads(path.with_suffix(".json").read_text(encoding="utf-8")) for path in paths]
    return {"config": members[0]["config"], "data": members[0]["data"], "members": members}


def main(arguments: list[str] | None = None) -> None:
    """The command line."""
    parser = argparse.ArgumentParser(
        prog="python -m training.lifting.ensemble", description=__doc__
    )
    parser.add_argument("networks", type=Path, nargs="+")
    parser.add_argument("--out", type=Path, required=True)
    options = parser.parse_args(arguments)
    join(options.networks, options.out)
    text = json.dumps(report(options.networks), indent=1) + "\n"
    options.out.with_suffix(".json").write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
