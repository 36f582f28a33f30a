"""Leeds Sports Poses (Johnson and Everingham 2010) and LSP-Extended (2011).

lsp           joints.mat (3, 14, 2000): x, y, 1 where hidden     images/im0001.jpg
lsp-extended  joints.mat (14, 3, 10000): x, y, 1 where labelled  images/im00001.jpg, or .png
                                                                 in the high-resolution edition
"""

from collections.abc import Iterator
from pathlib import Path

import numpy as np

from training.datasets.formats.files import reading, shaped
from training.datasets.formats.native import read_native
from training.datasets.photographs import Person, photographs
from training.datasets.rows import Request, one_of
from training.datasets.store import Annotations, SetError
from training.joints import LSP

_TRAINING = 1000  # the first thousand of LSP; the second is for tests
FEWEST = 6
"""Known points of a person; chosen."""


def parts(request: Request) -> Iterator[Annotations]:
    """LSP's two thousand; all points are labelled, hidden ones too.

    Raises:
        SetError: missing, damaged, or of another layout.
    """
    joints = _joints(request, (3, 14, -1)).transpose(2, 1, 0)
    joints[..., 2] = 1
    rows = range(_TRAINING) if request.split == "train" else range(_TRAINING, len(joints))
    people = (Person(f"images/im{row + 1:04d}.jpg", joints[row]) for row in rows)
    with reading(_path(request)):
        yield from photographs(request, "lsp", people, LSP, FEWEST)


def extended_parts(request: Request) -> Iterator[Annotations]:
    """LSP-Extended's ten thousand, all for training.

    Raises:
        SetError: missing, damaged, of another layout, or asked for a split it has not.
    """
    if request.split != "train":
        raise SetError("LSP-Extended is all for training.", "Give --split train.")
    joints = _joints(request, (14, 3, -1)).transpose(2, 0, 1)
    joints[..., 2] = joints[..., 2] > 0
    folder = one_of(request.root, "images", ".") if len(joints) else request.root
    ending = ".png" if next(folder.glob("im*.png"), None) else ".jpg"
    below = "images/" if folder.name == "images" else ""
    people = (
        Person(f"{below}im{row + 1:05d}{ending}", points) for row, points in enumerate(joints)
    )
    with reading(_path(request)):
        yield from photographs(request, "lsp-extended", people, LSP, FEWEST)


def _joints(request: Request, shape: tuple[int, int, int]) -> np.ndarray:
    path = _path(request)
    joints = read_native("mat", path, keys=["joints"])["joints"]
    if joints.ndim != 3 or joints.shape[:2] != shape[:2]:
        name = "LSP" if shape[0] == 3 else "LSP-Extended"
        raise SetError(
            f"{path}: joints is {joints.shape}, {name}'s is {shape}.",
            "LSP and LSP-Extended have a joints.mat each.",
        )
    return shaped(joints, shape, "joints", path, missing=True)


def _path(request: Request) -> Path:
    return request.root / "joints.mat"
