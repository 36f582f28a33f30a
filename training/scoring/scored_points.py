"""From parameters and labels to the points that a protocol measures.

parameters ─► body ─┬─ the 49 ─────────┐
                    ├─ mesh ─ regressor ┴─► joints (N, J, 3)   both sides by the same way,
labels ─────► body ─┘                  ┌──► or the set's own joints
                                       └──► mesh (N, V, 3) for PVE
"""

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor, nn

from staf_backend.staf.body import BodyTables, SmplBody, joints_14
from staf_backend.staf.network import StageParams
from training.scoring.protocols import EvaluationError, Protocol
from training.targets import BodyJoints, PosedJoints, Targets

_CHUNK = 64
"""Frames that are posed at once (chosen: meshes of some megabytes)."""


class Points(NamedTuple):
    """Joints (N, J, 3) and, if asked for, meshes (N, V, 3) in metres; which frames have either."""

    joints_m: np.ndarray
    vertices_m: np.ndarray | None
    known: np.ndarray
    meshed: np.ndarray


class BodyReader(nn.Module):
    """Posed joints, and meshes, of one body by one protocol."""

    def __init__(
        self, tables: BodyTables, protocol: Protocol, regressor: np.ndarray | None
    ) -> None:
        """Builds the body, whole only where meshes are read.

        Raises:
            EvaluationError: the protocol's regressor is not given or is for another mesh.
        """
        super().__init__()
        self.protocol = protocol
        rows = torch.from_numpy(_fitting(regressor, tables)) if protocol.regressor else None
        self.register_buffer("regressor", rows, persistent=False)
        self.whole = protocol.regressor or protocol.vertices
        self.body = SmplBody(tables) if self.whole else None
        self.joints = BodyJoints(tables) if self.whole else PosedJoints(tables)

    def forward(self, betas: Tensor, rotations: Tensor) -> tuple[Tensor, Tensor | None]:
        """Joints (N, J, 3) and meshes or None, of betas (N, 10) and rotations (N, 24, 3, 3)."""
        if self.body is None:
            return self.joints(betas, rotations)[:, list(self.protocol.joints)], None
        points = self.body(betas, rotations)
        mesh = points.vertices_m if self.protocol.vertices else None
        if self.protocol.regressor:
            return joints_14(points.vertices_m, self.get_buffer("regressor")), mesh
        return self.joints(points)[:, list(self.protocol.joints)], mesh

    def read(self, betas: Tensor, rotations: Tensor, device: torch.device) -> Points:
        """The points of any number of frames, posed on `device` some at a time, on the CPU."""
        joints, meshes = [torch.empty(0, len(self.protocol.joints), 3)], []
        with torch.inference_mode():
            pairs = zip(betas.split(_CHUNK), rotations.split(_CHUNK), strict=True)
            for some_betas, some_rotations in pairs:
                found, mesh = self(some_betas.to(device), some_rotations.to(device))
                joints.append(found.cpu())
                meshes += [] if mesh is None else [mesh.cpu()]
        whole = torch.cat(meshes).numpy() if meshes else None
        known = np.ones(len(betas), bool)
        return Points(torch.cat(joints).numpy(), whole, known, known)


class ScoredPoints:
    """Both sides of a score for the body of one network."""

    def __init__(
        self,
        tables: BodyTables,
        protocol: Protocol,
        *,
        regressor: np.ndarray | None = None,
        gendered: Mapping[str, BodyTables] | None = None,
        device: torch.device | None = None,
    ) -> None:
        """Prepares the bodies.

        Args:
            tables: the network's body.
            protocol: what is measured.
            regressor: (17, V) of H36M, for protocols that need it.
            gendered: bodies by gender, for `protocol.gender` "labelled".
            device: where bodies are posed.

        Raises:
            EvaluationError: the regressor or a body is not given, or they do not fit.
        """
        self.protocol, self.device = protocol, device or torch.device("cpu")
        make = lambda body: BodyReader(body, protocol, regressor).to(self.device)
        self.own = make(tables)
        self.gendered: dict[str, BodyReader] = {}
        if protocol.gender == "labelled" and protocol.poses_labels:
            self.gendered = {name: make(body) for name, body in (gendered or {}).items()}

    def predicted(self, params: StageParams) -> Points:
        """Points of recovered parameters (N, ...)."""
        return self.own.read(params.betas, params.rotations, self.device)

    def truth(self, targets: Targets, gender: str) -> Points:
        """Points of numpy labels (N, ...) of a person of that gender.

        Raises:
            EvaluationError: there is no body of that gender.
        """
        joints = targets.joints_m[:, list(self.protocol.joints)]
        known = (joints[..., 3] > 0).all(1)
        points = Points(joints[..., :3], None, known, known)
        if not self.protocol.poses_labels:
            return points
        betas, rotations = (
            torch.from_numpy(np.array(field, np.float32))
            for field in (targets.betas, targets.rotations)
        )
        posed = self._reader(gender).read(betas, rotations, self.device)
        labelled = (targets.has_pose > 0) & (targets.has_betas > 0)
        if self.protocol.truth == "body":
            return posed._replace(known=labelled, meshed=labelled)
        return Points(points.joints_m, posed.vertices_m, known, labelled)

    def _reader(self, gender: str) -> BodyReader:
        if self.protocol.gender == "neutral":
            return self.own
        if gender not in self.gendered:
            raise EvaluationError(
                f"The labels are of a {gender} body, which was not given.",
                f"Give it with --gendered {gender}=BODY.",
            )
        return self.gendered[gender]


def check_body(source: str, network: str, protocol: Protocol, name: str) -> None:
    """Refuses labels whose betas mean nothing to the network's body.

    Labels of SMPL's three bodies may be posed with one another, as the authors pose 3DPW's with
    the neutral one.

    Raises:
        EvaluationError: naming both bodies.
    """
    if not protocol.poses_labels:
        return
    one, other = (body.split("-")[:2] for body in (source, network))
    if one == other or (one[0] == other[0] == "smpl"):
        return
    advice = "Score joints only: --truth joints --no-vertices."
    if source == "none":
        raise EvaluationError(f"{name} has no labels of pose and shape.", advice)
    said = f"{name} is labelled with the body {source}, the weights are for {network}."
    raise EvaluationError(said, advice)


def _fitting(regressor: np.ndarray | None, tables: BodyTables) -> np.ndarray:
    if regressor is None:
        advice = (
            "Give it: --regressor J_regressor_h36m.npy; or score the 49 joints' own fourteen,"
            " which the paper's numbers are not of: --no-regressor."
        )
        raise EvaluationError("This protocol needs H36M's joint regressor.", advice)
    vertices = len(tables.template_m)
    if regressor.shape[1] != vertices:
        raise EvaluationError(
            f"The regressor reads {regressor.shape[1]} vertices, the body "
            f"{tables.name} has {vertices}.",
            "Use --no-regressor.",
        )
    return regressor
