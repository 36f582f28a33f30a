"""The sets that can be read, by name: a new one is a module here and a row of the table."""

import sys
from collections.abc import Callable, Iterator
from typing import NamedTuple

from training.datasets import (
    coco,
    human36m,
    human36m_json,
    instavariety,
    lsp,
    mpi_inf_3dhp,
    mpi_inf_3dhp_json,
    mpii,
    posetrack,
    threedpw,
)
from training.datasets.rows import Request
from training.datasets.store import Annotations


class Reader(NamedTuple):
    """A set's reader, and whether its images are unpacked into the prepared set."""

    parts: Callable[[Request], Iterator[Annotations]]
    unpacks: bool = False


READERS = {
    "coco": Reader(coco.parts),
    "lsp": Reader(lsp.parts),
    "lsp-extended": Reader(lsp.extended_parts),
    "mpii": Reader(mpii.parts),
    "h36m": Reader(human36m.parts),
    "mpi-inf-3dhp": Reader(mpi_inf_3dhp.parts),
    "3dpw": Reader(threedpw.parts),
    "insta-variety": Reader(instavariety.parts, unpacks=True),
    "posetrack": Reader(posetrack.parts),
}


def layouts() -> list[str]:
    """The heads of the readers' modules, which show what lies where."""
    names = [reader.parts.__module__ for reader in READERS.values()]
    modules = [sys.modules[name] for name in dict.fromkeys(names)]
    return [str(module.__doc__) for module in (*modules, human36m_json, mpi_inf_3dhp_json)]
