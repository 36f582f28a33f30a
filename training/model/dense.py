"""The auxiliary dense head of stage 1: which part of the body, and where on it, at each pixel.

    stage-3 map (256, 56, 56) ── 3x3 convolution ──► 25 parts │ 15 regions │ 25 u │ 25 v

The paper's head (PyMAF's) learns DensePose's IUV, whose tables belong to SMPL's mesh.  Here every
body has its own, made of its rest pose and skin weights: part 1..24 is the joint that moves a
vertex most, region 1..14 joins the joints of a limb or the trunk as DensePose's segmentation does,
and u, v run 0..1 along a part's two widest directions.  Parts and regions 0 are the background.
DensePose instead has 24 charts that part front and back, each flattened without overlap; here the
two sides of a part share u and v.  The head is for training only and is not part of the weights.
"""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from staf_backend.devices import full_precision
from staf_backend.staf import CROP_PX, FOCAL_PX, MAP_PX
from staf_backend.staf.body import BodyTables, SmplBody, project
from training.model.losses import average_over_processes, mean_of_known
from training.targets import BodyJoints, Targets

SIDE_PX = 8 * MAP_PX
"""Of the last stage's map, which the head reads: three deconvolutions double the encoder's."""
PARTS, REGIONS = 25, 15
"""Classes with the background: a part for each joint, DensePose's fourteen regions."""
_LEAST_JOINTS = 6
"""Known joints from which a camera is fitted (chosen: twice its three unknowns)."""
# A point counts for a pixel only this near to its centre, in pixels per unit of the camera's scale:
# with all of the pixel's area bodies would grow by half a pixel, with less close ones have holes
_REACH_PX = 0.2
# Trunk, hands, feet, upper legs, lower legs, upper arms, lower arms, head; of each joint of SMPL
_REGION_OF_JOINT = (
    *(1, 6, 7, 1, 8, 9, 1, 4, 5, 1, 4, 5),
    *(14, 1, 1, 14, 10, 11, 12, 13, 2, 3, 2, 3),
)
# Projection in crop units is F (x + tx) / (z + F / s)
_F = 2 * FOCAL_PX / CROP_PX


@dataclass(frozen=True)
class DenseConfig:
    """Weights of the auxiliary dense head's terms (stage 1).

    Attributes:
        parts, regions: of the cross-entropies over 25 and 15 classes.
        coordinates: of the smooth-L1 of each of the two surface coordinates.
    """

    parts: float = 1.0
    regions: float = 1.0
    coordinates: float = 0.5

    def __post_init__(self) -> None:
        if min(self.parts, self.regions, self.coordinates) < 0:
            raise ValueError("weights must not be below 0")


class DenseMaps(NamedTuple):
    """Per pixel (N, 56, 56): part 0..24, region 0..14, and (N, 56, 56, 2) u, v in 0..1.

    `known` (N,) is 1 for samples whose mesh and place on the crop are known.
    """

    parts: Tensor
    regions: Tensor
    coordinates: Tensor
    known: Tensor


class DenseTargets(nn.Module):
    """Draws label meshes at 56 x 56, on the module's device: many points, the nearest at each
    pixel wins."""

    def __init__(self, tables: BodyTables) -> None:
        super().__init__()
        self.body = SmplBody(tables)
        self.joints = BodyJoints(tables)
        parts = tables.skin_weights.argmax(1)
        tensors = {
            "corners": _sample_corners(tables.faces, len(tables.template_m)),
            "parts": parts + 1,
            "regions": np.asarray(_REGION_OF_JOINT)[parts],
            "coordinates": _part_coordinates(tables.template_m, parts).astype(np.float32),
        }
        for name, array in tensors.items():
            self.register_buffer(name, torch.from_numpy(array), persistent=False)

    @torch.no_grad()
    def forward(self, targets: Targets) -> DenseMaps:
        """The maps of targets (N, ...) of single frames."""
        with full_precision(targets.betas):
            labelled = (targets.has_pose > 0) & (targets.has_betas > 0)
            identity = torch.eye(3, device=labelled.device)
            rotations = torch.where(labelled[:, None, None, None], targets.rotations, identity)
            points = self.body(targets.betas * labelled[:, None], rotations)
            camera, placed = fit_camera(self.joints(points), targets.keypoints)
            corners = self.get_buffer("corners")
            samples_m = points.vertices_m[:, corners].mean(2)
            nearest = _nearest(
                project(samples_m, camera), samples_m[..., 2], _REACH_PX * camera[:, 0]
            )
            vertex = F.pad(corners[:, 0], (0, 1))[nearest]
            inside = nearest < len(corners)
            return DenseMaps(
                self.get_buffer("parts")[vertex] * inside,
                self.get_buffer("regions")[vertex] * inside,
                self.get_buffer("coordinates")[vertex] * inside[..., None],
                (labelled & placed).float(),
            )


class DenseHead(nn.Module):
    """The head and its loss."""

    def __init__(self, channels: int, tables: BodyTables, config: DenseConfig) -> None:
        super().__init__()
        self.config = config
        self.targets = DenseTargets(tables)
        self.predict = nn.Conv2d(channels, 3 * PARTS + REGIONS, 3, padding=1)
        nn.init.normal_(self.predict.weight, std=0.001)

    def forward(self, maps: Tensor, targets: Targets) -> dict[str, Tensor]:
        """Weighted terms of maps (N, channels, 56, 56), zero where no mesh is known."""
        predicted, truth = self.predict(maps).float(), self.targets(targets)
        parts, regions, u, v = predicted.split((PARTS, REGIONS, PARTS, PARTS), 1)
        coordinates = torch.stack([u, v], -1)  # (N, 25, 56, 56, 2)
        index = truth.parts[:, None, ..., None].expand(-1, 1, -1, -1, 2)
        off = F.smooth_l1_loss(
            coordinates.gather(1, index)[:, 0], truth.coordinates, reduction="none"
        )
        body = (truth.parts > 0)[..., None]
        rows = {
            "parts": F.cross_entropy(parts, truth.parts, reduction="none").mean((1, 2)),
            "regions": F.cross_entropy(regions, truth.regions, reduction="none").mean((1, 2)),
            "coordinates": (off * body).sum((1, 2, 3)),
        }
        average = average_over_processes if self.training else None
        return {
            f"dense_{name}": getattr(self.config, name) * mean_of_known(row, truth.known, average)
            for name, row in rows.items()
        }


def fit_camera(joints_m: Tensor, keypoints: Tensor) -> tuple[Tensor, Tensor]:
    """The crop camera that puts joints nearest to their keypoints, in the least squares sense.

    With k = F (x + tx) / (z + F / s) the unknowns 1 / s, tx and ty are linear:
    k / s - tx = x - k z / F.

    Args:
        joints_m: (N, 49, 3).
        keypoints: (N, 49, 3) x, y on the crop and confidence.

    Returns:
        Cameras (N, 3) and whether each is determined (N,) bool.
    """
    k, weight = keypoints[..., :2], keypoints[..., 2:].clamp(min=0).sqrt()
    shifts = -torch.eye(2, device=k.device).expand(*k.shape, 2)
    rows = torch.cat([k[..., None], shifts], -1) * weight[..., None]  # (N, 49, 2, 3)
    values = (joints_m[..., :2] - k * joints_m[..., 2:] / _F) * weight
    rows, values = rows.flatten(1, 2), values.flatten(1, 2)
    normal = rows.mT @ rows
    spread = torch.linalg.eigvalsh(normal)[:, 0]
    enough = ((weight[..., 0] > 0).sum(1) >= _LEAST_JOINTS) & (spread > 1e-4)
    identity = torch.eye(3, device=k.device)
    normal = torch.where(enough[:, None, None], normal, identity)
    solved = torch.linalg.solve(normal, (rows.mT @ values[..., None]))[..., 0]
    placed = enough & (solved[:, 0] > 1e-3)
    scale = 1 / torch.where(placed, solved[:, 0], torch.ones_like(solved[:, 0]))
    return torch.cat([scale[:, None], solved[:, 1:]], 1), placed


def _nearest(points: Tensor, depth_m: Tensor, reach_px: Tensor) -> Tensor:
    """Number of the nearest point (N, 56, 56) at each pixel; their count where there is none.

    Args:
        points: (N, P, 2) on the crop.
        depth_m: (N, P), within 8 m of the body's origin.
        reach_px: (N,) how far from its centre, along x and y, a pixel looks for points.
    """
    count = points.shape[1]
    place = (points + 1) * (SIDE_PX / 2)
    cell = place.floor()
    reach_px = reach_px.clamp(0.15, 0.5)[:, None, None]
    central = ((place - cell - 0.5).abs() <= reach_px).all(-1)
    inside = central & ((cell >= 0) & (cell < SIDE_PX)).all(-1)
    cell = cell.clamp(0, SIDE_PX - 1).long()
    pixel = torch.where(inside, cell[..., 1] * SIDE_PX + cell[..., 0], SIDE_PX * SIDE_PX)
    # Depth in the upper bits, the point's number in the lower
    steps = ((depth_m.clamp(-8, 8) + 8) * 2**16).long()
    keys = steps * 2**24 + torch.arange(count, device=points.device)
    picture = torch.full((len(points), SIDE_PX * SIDE_PX + 1), 2**62, device=points.device)
    picture = picture.scatter_reduce(1, pixel, keys, "amin")[:, :-1]
    number = torch.where(picture < 2**62, picture % 2**24, count)
    return number.unflatten(1, (SIDE_PX, SIDE_PX))


def _sample_corners(faces: np.ndarray, vertices: int) -> np.ndarray:
    """Triples of vertices (P, 3) whose means lie densely on the mesh, the first one naming the
    sample: vertices, thirds of edges and centres of faces."""
    alone = np.repeat(np.arange(vertices)[:, None], 3, 1)
    a, b, c = faces.T
    edges = [np.stack([one, one, other], 1) for one, other in ((a, b), (b, c), (c, a))]
    return np.concatenate([alone, faces, *edges]).astype(np.int64)


def _part_coordinates(template_m: np.ndarray, parts: np.ndarray) -> np.ndarray:
    """(V, 2) of each vertex in 0..1 along its part's two widest directions."""
    coordinates = np.zeros((len(template_m), 2))
    for part in np.unique(parts):
        own = parts == part
        centred = template_m[own] - template_m[own].mean(0)
        _, _, axes = np.linalg.svd(centred, full_matrices=False)
        axes = axes[:2] * np.sign(axes[:2][range(2), np.abs(axes[:2]).argmax(1)])[:, None]
        along = centred @ axes.T
        low, high = along.min(0), along.max(0)
        coordinates[own] = (along - low) / np.maximum(high - low, 1e-9)
    return coordinates
