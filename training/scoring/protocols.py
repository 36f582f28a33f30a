"""What a score is of: joints, root, ground truth and frames, for each data set (STAF section IV).

    set      prediction                  ground truth                     root       also
    3dpw     14 joints by H36M's rows    14 by H36M's rows, posed labels  mid-hip    PVE
    h36m     14 joints by H36M's rows    14 of the set's own joints       mid-hip
    mpii3d   17 of the 49                17 of the set's own joints       pelvis     valid flags
    synthetic 14 of the 49               14 of the rendered body          mid-hip    PVE (*)

(*) over the frames whose betas are of the network's body.

H36M's regressor is a file of the user's (`J_regressor_h36m.npy`, or key `J_regressor_h36m` of an
.npz): (17, 6890), for SMPL's mesh.
"""

import io
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

import numpy as np

from staf_backend import StafError
from staf_backend.files import open_file, read_arrays, shown
from staf_backend.staf.streaming import StreamEdges
from training.joints import JOINTS_49, LSP_14, MPII3D_17

REGRESSOR_ROWS = 17
"""Joints of H36M's regressor (SPIN's file)."""
_REGRESSOR_BYTES = 64_000_000
"""Most of its file, cut off there.  Chosen: 40 times SMPL-X's in float64."""
AUTHORS_SHORTEST = 9
"""Frames of the shortest video that the authors' evaluation reads: one window."""


class EvaluationError(StafError):
    """An evaluation cannot be made, or its options do not belong together."""

    kind = "evaluation"
    exit_code = 2


@dataclass(frozen=True)
class Protocol:
    """How predictions and ground truth become the points whose distance is measured.

    Attributes:
        joints: numbers among the 49; with a regressor, what the set's own joints are picked by.
        root: places among `joints` whose middle both are centred on.
        regressor: points of a mesh are H36M's rows for LSP's fourteen, instead of the 49's.
        truth: "body": the labels' rotations and betas posed; "joints": the set's own joints.
        gender: of the body that poses the labels: "neutral", which is the network's own body, as
            the authors have it, or "labelled", as 3DPW's makers have it.
        vertices: whether PVE is measured, where pose and shape are labelled.
        use_valid: frames that the set marks as not to be scored are left out.
        across_joins: accelerations also across the joins of videos (the authors' `validate`).
        shortest: videos of fewer frames are left out.
        edges: what windows near the ends of a video hold.
    """

    joints: tuple[int, ...] = LSP_14
    root: tuple[int, ...] = (2, 3)
    regressor: bool = False
    truth: Literal["body", "joints"] = "body"
    gender: Literal["neutral", "labelled"] = "neutral"
    vertices: bool = True
    use_valid: bool = True
    across_joins: bool = False
    shortest: int = 1
    edges: StreamEdges = "repeat"

    def __post_init__(self) -> None:
        if not self.joints or not set(self.joints) <= set(range(len(JOINTS_49))):
            raise ValueError("joints must be some of 0..48")
        if not self.root or not set(self.root) <= set(range(len(self.joints))):
            raise ValueError("root must name places among joints")
        if self.regressor and self.joints != LSP_14:
            raise ValueError("the regressor gives LSP's fourteen joints only")
        if self.truth not in ("body", "joints") or self.gender not in ("neutral", "labelled"):
            raise ValueError("truth must be body or joints, gender neutral or labelled")
        if self.shortest < 1:
            raise ValueError("shortest must be 1 or more")
        if self.edges not in ("repeat", "replicate"):
            raise ValueError("edges must be repeat or replicate")

    @property
    def poses_labels(self) -> bool:
        """Whether frames need labels of pose and shape."""
        return self.vertices or self.truth == "body"

    def as_the_authors(self) -> "Protocol":
        """With the slips of the authors' `validate`: joins between videos count, `valid` does not,
        and videos shorter than a window are skipped."""
        return replace(self, use_valid=False, across_joins=True, shortest=AUTHORS_SHORTEST)


PROTOCOLS = {
    "3dpw": Protocol(regressor=True),
    "h36m": Protocol(regressor=True, truth="joints", vertices=False),
    "mpii3d": Protocol(MPII3D_17, (14,), truth="joints", vertices=False),
    "synthetic": Protocol(truth="joints"),
}
"""The field's protocols by the name of the set."""


def protocol_of(name: str) -> Protocol:
    """The protocol of a set.

    Raises:
        EvaluationError: there is none of that name.
    """
    if name not in PROTOCOLS:
        advice = f"Known: {', '.join(PROTOCOLS)}; name the one that fits: --data 3dpw=FOLDER."
        raise EvaluationError(f"There is no protocol for {name!r}.", advice)
    return PROTOCOLS[name]


def read_regressor(path: Path) -> np.ndarray:
    """H36M's joint regressor, (17, V) float32.

    Raises:
        EvaluationError: the file is missing or holds something else.
    """
    try:
        with open_file(path) as file:
            head = file.read(2)
            # from its bytes: then a head's size is checked against what is there
            rest = io.BytesIO(head + file.read(_REGRESSOR_BYTES))
        if head == b"PK":
            content = read_arrays(path, {"J_regressor_h36m": "f"})["J_regressor_h36m"]
        else:
            content = np.load(rest, allow_pickle=False)
    except (OSError, ValueError, KeyError, EOFError, MemoryError) as error:
        message = f"{path} cannot be read as a joint regressor: {shown(str(error))}."
        raise EvaluationError(message, "Give J_regressor_h36m.npy.") from error
    rows = np.asarray(content)
    fits = rows.ndim == 2 and len(rows) == REGRESSOR_ROWS and rows.dtype.kind == "f"
    if not fits or not np.isfinite(rows).all() or np.abs(rows.sum(1) - 1).max() > 0.01:
        raise EvaluationError(
            f"{path} is no regressor of 17 joints: it holds {rows.shape}.",
            "Give J_regressor_h36m.npy.",
        )
    return rows.astype(np.float32)
