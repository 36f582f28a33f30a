"""The SMPL-style body inside the network: differentiable, batched, exact on any subset of vertices.

    betas ─► rest shape ─► + pose corrections ─► skinned by the joints' chain ─► vertices, joints

Loper et al. 2015.  Rest joints are linear in betas, so the joint regressor is folded once into a
template (J, 3) and directions (J, 3, 10); a body of 431 selected vertices then costs a
fiftieth of the full one and gives the same vertices.  float32 throughout, whatever the autocast.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from staf_backend.devices import full_precision
from staf_backend.staf.config import BETAS, CROP_PX, FOCAL_PX, JOINTS

if TYPE_CHECKING:
    from staf_backend.body import Body

POSE_BASIS = 9 * (JOINTS - 1)
"""Pose corrections: one for each number of each rotation but the root's (Loper et al. 2015)."""

LANDMARK_VERTICES = (
    *(332, 6260, 2800, 4071, 583),
    *(3216, 3226, 3387, 6617, 6624, 6787),
    *(2746, 2319, 2445, 2556, 2673, 6191, 5782, 5905, 6016, 6133),
)
"""Nose, eyes, ears; toes and heels; finger tips: vertices of SMPL that count as joints 24..44
(smplx's `vertex_ids`)."""

JOINTS_49 = (
    *(24, 12, 17, 19, 21, 16, 18, 20, 0, 2, 5, 8, 1, 4, 7, 25, 26, 27, 28, 29, 30, 31, 32, 33, 34),
    *(8, 5, 45, 46, 4, 7, 21, 19, 17, 16, 18, 20, 47, 48, 49, 50, 51, 52, 53, 24, 26, 25, 28, 27),
)
"""The 49 joints of SPIN as picks from [24 joints, 21 landmark vertices, 9 regressed points]."""

H36M_TO_14 = (6, 5, 4, 1, 2, 3, 16, 15, 14, 11, 12, 13, 8, 10)
"""Rows of the H36M regressor (17, V) that are the 14 LSP joints, right ankle to head top (SPIN)."""


@dataclass(frozen=True)
class BodyTables:
    """Everything that defines a body, as numpy arrays; V vertices.

    `pose_dirs` row p holds coordinate c of vertex v in column 3 v + c.  `pose_dirs` and
    `extra_regressor` may be None: a body without pose corrections, or without SPIN's nine points.
    `alignment_vertices` are those whose projections the network samples (STAF section III-C).
    """

    name: str
    template_m: np.ndarray  # (V, 3)
    shape_dirs: np.ndarray  # (V, 3, 10)
    joint_template_m: np.ndarray  # (24, 3), rest joints of the mean shape
    joint_shape_dirs: np.ndarray  # (24, 3, 10)
    skin_weights: np.ndarray  # (V, 24)
    parents: np.ndarray  # (24,), -1 first
    faces: np.ndarray  # (F, 3)
    alignment_vertices: np.ndarray  # (431,)
    pose_dirs: np.ndarray | None = None  # (207, 3 V)
    extra_regressor: np.ndarray | None = None  # (9, V)

    def __post_init__(self) -> None:
        vertices = self.template_m.shape[0] if self.template_m.ndim else 0
        expected = {
            "template_m": (vertices, 3),
            "shape_dirs": (vertices, 3, BETAS),
            "joint_template_m": (JOINTS, 3),
            "joint_shape_dirs": (JOINTS, 3, BETAS),
            "skin_weights": (vertices, JOINTS),
            "parents": (JOINTS,),
            "faces": (*self.faces.shape[:1], 3),
            "alignment_vertices": (self.alignment_vertices.size,),
            "pose_dirs": (POSE_BASIS, 3 * vertices),
            "extra_regressor": (9, vertices),
        }
        for name, shape in expected.items():
            array = getattr(self, name)
            if array is not None:
                _check_table(name, array, shape)
        self._check_indices(vertices)

    def _check_indices(self, vertices: int) -> None:
        parents = self.parents
        if parents[0] != -1 or (parents[1:] < 0).any() or (parents[1:] >= range(1, JOINTS)).any():
            raise ValueError("parents must be -1 first and then name earlier joints")
        for name in ("faces", "alignment_vertices"):
            indices = getattr(self, name)
            if len(indices) and not (indices.min() >= 0 and indices.max() < vertices):
                raise ValueError(f"{name} must name vertices 0..{vertices - 1}")


class BodyPoints(NamedTuple):
    """Posed points in SMPL space, metres: vertices (N, V, 3) and the 24 joints (N, 24, 3)."""

    vertices_m: Tensor
    joints_m: Tensor


class SmplBody(nn.Module):
    """A body on the device of its module; its tables are buffers outside the state dict."""

    def __init__(self, tables: BodyTables, vertices: Sequence[int] | None = None) -> None:
        """Makes the body of `tables`, of all vertices or only of the listed ones, in that order."""
        super().__init__()
        self.tables = tables
        keep = slice(None) if vertices is None else np.asarray(vertices, np.int64)
        buffers = {
            "template_m": tables.template_m[keep].reshape(-1),
            "shape_dirs": tables.shape_dirs[keep].reshape(-1, BETAS).T,
            "skin_weights": tables.skin_weights[keep],
            "joint_template_m": tables.joint_template_m,
            "joint_dirs": tables.joint_shape_dirs.transpose(2, 0, 1),
        }
        if tables.pose_dirs is not None:
            pose_dirs = tables.pose_dirs.reshape(POSE_BASIS, -1, 3)[:, keep]
            buffers["pose_dirs"] = pose_dirs.reshape(POSE_BASIS, -1)
        for name, array in buffers.items():
            tensor = torch.from_numpy(np.ascontiguousarray(array, np.float32))
            self.register_buffer(name, tensor, persistent=False)
        self._register_levels(tables.parents)

    def aligned(self) -> "SmplBody":
        """The same body restricted to its alignment vertices."""
        return SmplBody(self.tables, self.tables.alignment_vertices.tolist())

    def forward(self, betas: Tensor, rotations: Tensor) -> BodyPoints:
        """Poses the body.

        Args:
            betas: (N, 10).
            rotations: (N, 24, 3, 3), relative to the parent; joint 0 in the space of the result.

        Returns:
            Vertices and joints in metres, float32.
        """
        with full_precision(betas):
            betas, rotations = betas.float(), rotations.float()
            rest = torch.addmm(self._table("template_m"), betas, self._table("shape_dirs"))
            if "pose_dirs" in self._buffers:
                pose = (rotations[:, 1:] - _identity(rotations)).flatten(1)
                rest = torch.addmm(rest, pose, self._table("pose_dirs"))
            rest_joints = self._rest_joints(betas)
            turns, joints = self._chain(rotations, rest_joints)
            return BodyPoints(
                self._skin(rest.view(len(betas), -1, 3), turns, joints, rest_joints), joints
            )

    def _rest_joints(self, betas: Tensor) -> Tensor:
        dirs = self._table("joint_dirs").flatten(1)
        return torch.addmm(self._table("joint_template_m").flatten(), betas, dirs).view(
            -1, JOINTS, 3
        )

    def _chain(self, rotations: Tensor, rest_joints: Tensor) -> tuple[Tensor, Tensor]:
        """World rotations (N, 24, 3, 3) and joints (N, 24, 3), one tree level at a time."""
        turns, joints = [rotations[:, :1]], [rest_joints[:, :1]]
        for level in range(1, self.levels):
            ids, parents, slots = (self._table(f"{key}_{level}") for key in ("ids", "up", "slots"))
            parent_turns = turns[-1].index_select(1, slots)
            bones = rest_joints.index_select(1, ids) - rest_joints.index_select(1, parents)
            joints.append(
                joints[-1].index_select(1, slots) + (parent_turns @ bones[..., None])[..., 0]
            )
            turns.append(parent_turns @ rotations.index_select(1, ids))
        order = self._table("order")
        return torch.cat(turns, 1).index_select(1, order), torch.cat(joints, 1).index_select(
            1, order
        )

    def _skin(self, rest: Tensor, turns: Tensor, joints: Tensor, rest_joints: Tensor) -> Tensor:
        shifts = joints - (turns @ rest_joints[..., None])[..., 0]
        moves = torch.cat([turns, shifts[..., None]], -1).flatten(2)  # (N, 24, 12)
        blended = torch.matmul(self._table("skin_weights"), moves).unflatten(-1, (3, 4))
        return (blended[..., :3] @ rest[..., None])[..., 0] + blended[..., 3]

    def _register_levels(self, parents: np.ndarray) -> None:
        """Joints grouped by depth; `slots` is each parent's place within the level above."""
        depth = np.zeros(JOINTS, np.int64)
        for joint in range(1, JOINTS):
            depth[joint] = depth[parents[joint]] + 1
        self.levels = int(depth.max()) + 1
        groups = [np.flatnonzero(depth == level) for level in range(self.levels)]
        for level in range(1, self.levels):
            up = parents[groups[level]]
            self._index(f"ids_{level}", groups[level])
            self._index(f"up_{level}", up)
            self._index(f"slots_{level}", np.searchsorted(groups[level - 1], up))
        self._index("order", np.argsort(np.concatenate(groups)))

    def _index(self, name: str, values: np.ndarray) -> None:
        self.register_buffer(name, torch.from_numpy(values.astype(np.int64)), persistent=False)

    def _table(self, name: str) -> Tensor:
        return self.get_buffer(name)


def global_rotations(rotations: Tensor, parents: Sequence[int]) -> Tensor:
    """Global rotations (..., J, 3, 3) of parent-relative ones.

    Args:
        rotations: (..., J, 3, 3), joint 0's own in the space of the result.
        parents: (J,), -1 first, parents before children.
    """
    turned = [rotations[..., 0, :, :]]
    for joint, parent in enumerate(parents[1:], start=1):
        turned.append(turned[parent] @ rotations[..., joint, :, :])
    return torch.stack(turned, -3)


def joints_about_root(turned: Tensor, bones_m: Tensor, parents: Sequence[int]) -> Tensor:
    """Joints (..., J, 3) in metres about joint 0.

    Args:
        turned: (..., J, 3, 3) global rotations.
        bones_m: (..., J, 3) from each joint's parent to it at rest; joint 0's is not read.
        parents: (J,), -1 first, parents before children.
    """
    above = list(parents[1:])
    bones = (turned[..., above, :, :] @ bones_m[..., 1:, :, None])[..., 0]
    joints = [torch.zeros_like(bones[..., 0, :])]
    for joint, parent in enumerate(above):
        joints.append(joints[parent] + bones[..., joint, :])
    return torch.stack(joints, -2)


def joints_14(vertices_m: Tensor, h36m_regressor: Tensor) -> Tensor:
    """The 14 LSP joints (N, 14, 3) of full meshes by H36M's regressor (17, 6890)."""
    return torch.matmul(h36m_regressor[list(H36M_TO_14)], vertices_m)


def project(points_m: Tensor, camera: Tensor) -> Tensor:
    """Crop coordinates of points seen by the network's camera.

    Args:
        points_m: (N, P, 3), x right, y down, z away, relative to the body.
        camera: (N, 3): scale s and shift x, y in metres.

    Returns:
        (N, P, 2): the crop spans -1..1, x right, y down.
    """
    s, shift = camera[:, None, :1], camera[:, None, 1:]
    depth_m = 2 * FOCAL_PX / (CROP_PX * s + 1e-9)
    return FOCAL_PX / (CROP_PX / 2) * (points_m[..., :2] + shift) / (points_m[..., 2:] + depth_m)


def rotations_from_6d(pose6d: Tensor) -> Tensor:
    """Rotations (..., 24, 3, 3) of the six numbers r00 r01 r10 r11 r20 r21 a joint, (..., 144)."""
    columns = pose6d.float().unflatten(-1, (-1, 3, 2))
    first = F.normalize(columns[..., 0], dim=-1, eps=1e-6)
    second = columns[..., 1] - (first * columns[..., 1]).sum(-1, keepdim=True) * first
    second = F.normalize(second, dim=-1, eps=1e-6)
    return torch.stack([first, second, torch.linalg.cross(first, second)], -1)


def tables_from_smpl(
    arrays: Mapping[str, np.ndarray],
    *,
    name: str,
    alignment_vertices: np.ndarray,
    extra_regressor: np.ndarray | None = None,
) -> BodyTables:
    """Tables from arrays under SMPL's own names, dense.

    Args:
        arrays: `v_template` (V, 3), `shapedirs` (V, 3, >= 10), `posedirs` (V, 3, 207),
            `J_regressor` (24, V), `weights` (V, 24), `kintree_table` (2, 24), `f` (F, 3).
        name: the body's name, which travels with its betas.
        alignment_vertices: (431,) vertex numbers.
        extra_regressor: (9, V) or None.

    Raises:
        KeyError: an array is missing.
        ValueError: an array has the wrong shape or values.
    """
    _check_smpl(arrays)
    parents = np.asarray(arrays["kintree_table"])[0].astype(np.int64)
    parents[0] = -1
    regressor = np.asarray(arrays["J_regressor"], np.float64)
    shape_dirs = np.asarray(arrays["shapedirs"])[..., :BETAS]
    posedirs = np.asarray(arrays["posedirs"], np.float32)
    return BodyTables(
        name=name,
        template_m=np.asarray(arrays["v_template"]),
        shape_dirs=shape_dirs,
        joint_template_m=regressor @ arrays["v_template"],
        joint_shape_dirs=np.tensordot(regressor, shape_dirs, 1),
        skin_weights=np.asarray(arrays["weights"]),
        parents=parents,
        faces=np.asarray(arrays["f"]).astype(np.int64),
        alignment_vertices=np.asarray(alignment_vertices, np.int64),
        pose_dirs=posedirs.reshape(-1, POSE_BASIS).T if posedirs.any() else None,
        extra_regressor=None if extra_regressor is None else np.asarray(extra_regressor),
    )


def tables_from_body(body: "Body") -> BodyTables:
    """Tables of a body of the exporter's kind, for example the open one."""
    dirs = body.pose_directions
    return BodyTables(
        name=body.name,
        template_m=body.template_m,
        shape_dirs=body.shape_directions,
        joint_template_m=body.joint_template_m,
        joint_shape_dirs=body.joint_shape_directions,
        skin_weights=body.dense_weights,
        parents=np.asarray(body.skeleton.parents, np.int64),
        faces=body.faces.astype(np.int64),
        alignment_vertices=body.reduced_vertices,
        pose_dirs=None if dirs is None else dirs.reshape(-1, POSE_BASIS).T,
    )


def placeholder_tables(points: int) -> BodyTables:
    """A body of nothing but its shape, to describe a network without owning a body."""
    chain = np.arange(-1, JOINTS - 1)
    return BodyTables(
        name="placeholder",
        template_m=np.zeros((points, 3)),
        shape_dirs=np.zeros((points, 3, BETAS)),
        joint_template_m=np.zeros((JOINTS, 3)),
        joint_shape_dirs=np.zeros((JOINTS, 3, BETAS)),
        skin_weights=np.zeros((points, JOINTS)),
        parents=chain,
        faces=np.zeros((0, 3), np.int64),
        alignment_vertices=np.arange(points),
    )


def _check_smpl(arrays: Mapping[str, np.ndarray]) -> None:
    """Refuses arrays that cannot be multiplied with each other, before any are."""
    template, shapes = np.asarray(arrays["v_template"]), np.asarray(arrays["shapedirs"])
    vertices = template.shape[0] if template.ndim else 0
    directions = max(shapes.shape[2], BETAS) if shapes.ndim == 3 else BETAS
    expected = {
        "v_template": (vertices, 3),
        "shapedirs": (vertices, 3, directions),
        "posedirs": (vertices, 3, POSE_BASIS),
        "J_regressor": (JOINTS, vertices),
        "weights": (vertices, JOINTS),
        "kintree_table": (2, JOINTS),
        "f": (*np.shape(arrays["f"])[:1], 3),
    }
    for name, shape in expected.items():
        _check_table(name, np.asarray(arrays[name]), shape)


def _check_table(name: str, array: np.ndarray, shape: tuple[int, ...]) -> None:
    if array.shape != shape:
        raise ValueError(f"{name} must be {shape}, not {array.shape}")
    if array.dtype.kind not in "fiu":
        raise ValueError(f"{name} must hold numbers, not {array.dtype}")
    if not np.isfinite(array).all():
        raise ValueError(f"{name} holds NaN or infinity")


def _identity(like: Tensor) -> Tensor:
    return torch.eye(3, dtype=like.dtype, device=like.device)
