"""The body of a set of weights: the one that came with it, or the one that it names."""

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from staf_backend.body import BodyError, known_bodies, load_body, read_body_file
from staf_backend.files import shown
from staf_backend.staf.body import BodyTables, tables_from_body, tables_from_smpl
from staf_backend.weights.error import WeightsError
from staf_backend.weights.info import ADD_AGAIN, BODY_FILE, WeightsInfo

if TYPE_CHECKING:
    from staf_backend.body import Body

_NAME = "smpl-neutral"
_TABLES = (
    *("v_template", "shapedirs", "posedirs", "J_regressor", "weights", "kintree_table", "f"),
    *("vids_431", "J_regressor_extra"),
)
_LARGEST_BYTES = 500_000_000
"""Unpacked.  Chosen: ten times SMPL in double precision."""


def body_tables(folder: Path, info: WeightsInfo, body: "Body | None") -> BodyTables:
    """The tables of a stored set's body.

    Args:
        folder: of the set.
        info: what the set is.
        body: used instead of the set's own.

    Raises:
        WeightsError: no body came with the set and none is given, the one that it names is not
            here, or its file is damaged.
    """
    if body is None and not info.has_body and info.body:
        body = _named(info)
    if body is not None:
        return tables_from_body(body)
    if not info.has_body:
        raise WeightsError(
            f"The weights {info.name} came without a body.",
            "Name the body they were trained with, for example one added with: staf body add",
        )
    path = folder / BODY_FILE
    try:
        arrays = _read(path)
        return tables_from_smpl(
            arrays,
            name=_NAME,
            alignment_vertices=arrays["vids_431"],
            extra_regressor=arrays.get("J_regressor_extra"),
        )
    except Exception as error:  # zipfile, zlib, struct and numpy each have their own
        raise WeightsError(f"{path} is not a body: {shown(str(error))}.", ADD_AGAIN) from error


def check_body(path: Path) -> None:
    """Refuses a set's body that could not be added to the user's bodies.

    Raises:
        WeightsError: it is none.
    """
    try:
        read_body_file(path)
    except BodyError as error:
        reason = error.message.removeprefix(f"{path} ")
        raise WeightsError(f"The body of these weights {reason}", error.advice) from error


def _named(info: WeightsInfo) -> "Body":
    """A body that the software knows; what a set says never becomes a path."""
    if info.body not in known_bodies():
        raise WeightsError(
            f"The weights {info.name} were trained with the body {info.body}, which is not here.",
            "Add its file with: staf body add",
        )
    return load_body(info.body)


def _read(path: Path) -> dict[str, np.ndarray]:
    with np.load(path, allow_pickle=False) as file:
        unpacked = sum(entry.file_size for entry in file.zip.infolist())
        if unpacked > _LARGEST_BYTES:
            raise ValueError("it is larger than any once unpacked")
        return {name: file[name] for name in _TABLES if name in file.files}
