"""Get the weights of the shipped lifting network back, to begin another run from.

    python -m training.lifting.recover staf_backend/assets/lift.onnx --member 0 \\
        --out runs/begin/lift.safetensors

`lift.onnx` holds the members of an ensemble (`training.lifting.ensemble`), their weights as
float16: what comes back is rounded to that.
"""

import argparse
import logging
import sys
from pathlib import Path

import numpy as np
import onnx
import torch
from google.protobuf.message import DecodeError
from onnx import numpy_helper
from safetensors.torch import save_file
from torch import Tensor

from training.command import command_line
from training.lifting.network import LiftNetwork, Size
from training.run import RunError

_log = logging.getLogger(__name__)
_SHIPPED = Size()
_ADVICE = "Give a lift.onnx made by training.lifting.ensemble, and a member that it has."


def recovered(path: Path, member: int, size: Size = _SHIPPED) -> LiftNetwork:
    """One member of an ensemble as a network to train.

    Products of a linear layer lose the names of their weights in the export; they are told by
    their order, which is that of the layers.

    Args:
        path: `lift.onnx`.
        member: which, from 0.
        size: of the network; the shipped one's by default.

    Raises:
        RunError: the file cannot be read, lacks the member, or holds another network.
    """
    try:
        tensors = _tensors(onnx.load(path), f"member{member}/")
        network = LiftNetwork(size)
        network.load_state_dict(_named(network, tensors), strict=True)
    except (OSError, DecodeError, StopIteration, KeyError, RuntimeError) as error:
        reason = (str(error) or "weights are missing").splitlines()[0]
        message = f"Member {member} of {path} cannot be recovered: {reason}"
        raise RunError(message, _ADVICE) from error
    return network.eval()


def _tensors(model: onnx.ModelProto, prefix: str) -> dict[str, Tensor]:
    """The float weights of a member, in the order of the products that use them."""
    order = {name: at for at, node in enumerate(model.graph.node) for name in node.input}
    casts = {node.input[0]: node.output[0] for node in model.graph.node if node.op_type == "Cast"}
    found = []
    for tensor in model.graph.initializer:
        values = numpy_helper.to_array(tensor)
        if tensor.name.startswith(prefix) and values.dtype in (np.float16, np.float32):
            used = order[casts.get(tensor.name, tensor.name)]
            name = tensor.name.removeprefix(prefix).removesuffix("/half")
            found.append((used, name, torch.from_numpy(values.astype(np.float32))))
    return {name: values for _, name, values in sorted(found, key=lambda one: one[0])}


def _named(network: LiftNetwork, tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    """The tensors under the network's own names; those of products are transposed."""
    products = iter([x for name, x in tensors.items() if name.startswith("val_") and x.ndim == 2])
    weights = {}
    for name in network.state_dict():
        kept = tensors.get(f"network.{name}")
        weights[name] = kept if kept is not None else next(products).T.contiguous()
    return weights


def arguments() -> argparse.ArgumentParser:
    """The command line's options."""
    parser = argparse.ArgumentParser(prog="python -m training.lifting.recover", description=__doc__)
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("network", type=Path)
    parser.add_argument("--member", type=int, default=0)
    parser.add_argument("--out", type=Path, required=True)
    return parser


def main(words: list[str] | None = None) -> None:
    """The command line."""
    options = arguments().parse_args(words)
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    network = recovered(options.network, options.member)
    options.out.parent.mkdir(parents=True, exist_ok=True)
    save_file(network.state_dict(), options.out)
    _log.info(f"{options.out} holds member {options.member} of {options.network}.")


if __name__ == "__main__":
    sys.exit(command_line(main))
