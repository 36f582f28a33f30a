"""Make a trained set of weights small enough to come with the software.

    python -m training.ship RUN/weights --out staf_backend/assets/staf-open

Matrices and kernels are kept as float16, which moves joints by hundredths of a millimetre; vectors,
running statistics among them, stay float32.  Loading widens them again.
"""

import argparse
import dataclasses
import sys
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from staf_backend.files import OutputError, make_folder, replace_atomically, sha256
from staf_backend.weights import (
    ENCODER_FILE,
    INFO_FILE,
    NETWORK_FILE,
    PLAN_FILE,
    WeightsInfo,
    read_info,
)
from staf_backend.weights.store import load_weights
from training.command import command_line

LARGEST = 60_000_000
"""Bytes that may come with the software."""


def ship(folder: Path, out: Path) -> WeightsInfo:
    """Writes the small set; its name is that of the folder.

    Args:
        folder: of a set that training wrote.
        out: folder of the new one.

    Raises:
        WeightsError: it is no set, damaged, or brings a body along, which may not be given away.
        OutputError: the new one cannot be written, or is too large.
    """
    folder = folder.absolute()
    info = read_info(folder.name, folder.parent)
    files = [ENCODER_FILE, NETWORK_FILE, *([PLAN_FILE] if PLAN_FILE in info.files else [])]
    if info.has_body:
        raise OutputError(
            f"{folder} holds a body of the user's own.", "Ship what the open body taught."
        )
    load_weights(folder.name, root=folder.parent)
    make_folder(out)
    for file in files:
        with replace_atomically(out / file) as temporary:
            if file == PLAN_FILE:
                temporary.write_bytes((folder / file).read_bytes())
            else:
                save_file(_halved(load_file(folder / file)), temporary)
    size = sum((out / file).stat().st_size for file in files)
    if size > LARGEST:
        raise OutputError(f"The set has {size} bytes, more than {LARGEST}.", "Train a smaller one.")
    digests = {file: sha256(out / file) for file in files}
    small = dataclasses.replace(info, name=out.name, files=digests)
    with replace_atomically(out / INFO_FILE) as temporary:
        temporary.write_text(small.to_json(), encoding="utf-8")
    load_weights(out.name, root=out.absolute().parent)
    return small


def _halved(tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    wide = {name for name, one in tensors.items() if one.ndim > 1 and one.is_floating_point()}
    return {n: one.to(torch.float16) if n in wide else one for n, one in tensors.items()}


def arguments() -> argparse.ArgumentParser:
    """The command line's options."""
    parser = argparse.ArgumentParser(prog="python -m training.ship", description=__doc__)
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("weights", type=Path, help="RUN/weights")
    parser.add_argument("--out", type=Path, required=True, help="folder of the small set")
    return parser


def main(argv: list[str] | None = None) -> None:
    """The command line."""
    options = arguments().parse_args(argv)
    small = ship(options.weights, options.out)
    print(f"{options.out}: {', '.join(small.files)}")


if __name__ == "__main__":
    sys.exit(command_line(main))
