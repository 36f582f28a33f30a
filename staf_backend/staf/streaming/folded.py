"""STAF for inference: what belongs to a frame apart from what belongs to a window.

    frame   map ─ deconv 1 (before ReLU) ─┬─ kept ─► mean over the window's frames ─┐
                                          └─ ReLU ─┬─ grid, MLP ─ z, q, k, A z, A U v
                                                   └─ deconv 2 ─ linear maps (197)
    window  the mean, treated as one more frame ◄──────────────────────────────────┘
            softmaxes over 9 frames ─ regressor 1 ─ 9 small bodies ─ sample 9 linear maps ─ MLP
            ─ SAFM ─ regressor 2 ─ deconv 3 at the cells that are looked at ─ MLP ─ regressor 3

Equal to `network.Staf` in exact arithmetic, because

* a transposed convolution without bias and batch norm in eval mode are affine, so the target's
  averaged map needs no deconvolution of its own: only the ReLU comes after the mean;
* the layers of the point MLP that read the sampled feature are linear in it, and outside a map
  zeros stay zeros: they are applied once to the map (256 to 197 channels), the bias after sampling;
* a regressor without dropout is one affine map A, so A (Z + U M_g V) = A Z + M_g (A U V) and both
  factors belong to frames.
"""

from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from staf_backend.staf.body import project, rotations_from_6d
from staf_backend.staf.config import BETAS, CAMERA, MAP_PX, POINT_WIDTHS, POSE_6D
from staf_backend.staf.network import DeconvBlock, Regressor, Staf, StageParams
from staf_backend.staf.sampling import Corners, PointMlp, bilinear_corners, grid_points
from staf_backend.staf.streaming.deconvolution import FoldedDeconv

PARAMS = POSE_6D + BETAS + CAMERA
"""Numbers of a body: 157."""
LINEAR = sum(POINT_WIDTHS)
"""Numbers of a cell after the linear part of a point MLP: 197."""
SIDES = (MAP_PX, 2 * MAP_PX, 4 * MAP_PX, 8 * MAP_PX)
"""Cells along a side of the encoder's maps and of those after each deconvolution."""
_SPARSE_BELOW = 0.4
"""Share of a map's cells above which the whole deconvolution was quicker than the gathered one."""


class FrameRows(NamedTuple):
    """What is kept of a frame, or of an averaged target, for the windows that look at it.

    `vectors` (N, V) float32 holds z, q, k, A z and A U v side by side; `linear` (N, 784, 197) the
    stage-2 map after the linear part of its point MLP.
    """

    vectors: Tensor
    linear: Tensor


class FoldedStaf(nn.Module):
    """The paper's stages with everything folded that can be.

    Big layers run in the `dtype` given; attention, regressors, rotations, body and projection are
    float32 always.
    """

    def __init__(self, network: Staf, dtype: torch.dtype = torch.float32) -> None:
        """Folds the network's weights; SAFM and the bodies are shared with it.

        Raises:
            ValueError: TCFM and SAFM are not where the paper has them, or batches are to be mixed.
        """
        super().__init__()
        config = network.config
        if not config.streams:
            fusions = "TCFM at stage 1, sample by sample, and SAFM at stage 2"
            raise ValueError(f"only networks with {fusions} can be streamed")
        self.config, self.dtype = config, dtype
        self.body, self.aligned_body = network.body, network.aligned_body
        self.safm = network.safm
        blocks = zip(network.deconv, SIDES[:3], strict=True)
        deconvs = [FoldedDeconv(_deconv(block), side).to(dtype) for block, side in blocks]
        self.deconv_1, self.deconv_2, self.deconv_3 = deconvs
        points = [FoldedPoints(_points(mlp)).to(dtype) for mlp in network.points]
        self.points_1, self.points_2, self.points_3 = points
        corners = bilinear_corners(grid_points()[None], SIDES[1], SIDES[1])
        self.register_buffer("grid", _dense(corners, SIDES[1] ** 2).to(dtype), persistent=False)
        affine = [affine_form(_regressor(regressor)) for regressor in network.regressors]
        mean = network.mean_params()
        self._fold_first(network, *affine[0], torch.cat([mean.pose6d, mean.betas, mean.camera]))
        for stage in (1, 2):
            self.register_buffer(f"matrix_{stage}", affine[stage][0].float(), persistent=False)
            self.register_buffer(f"offset_{stage}", affine[stage][1].float(), persistent=False)
        self.eval().requires_grad_(False)

    def _fold_first(self, network: Staf, matrix: Tensor, offset: Tensor, mean: Tensor) -> None:
        """Regressor 1 starts from a constant, so it is folded into TCFM."""
        tcfm, features = network.tcfm, self.config.features(1)
        assert tcfm is not None
        reads, starts = matrix[:, :features], matrix[:, features:]
        through = reads @ tcfm.output.weight.double() @ tcfm.value.weight.double()
        rows = [r.float() for r in (tcfm.query.weight, tcfm.key.weight, reads, through)]
        self.widths = [features, *(len(row) for row in rows)]
        self.register_buffer("frame_matrix", torch.cat(rows), persistent=False)
        start = mean.double() + starts @ mean.double() + offset
        self.register_buffer("first_params", start.float(), persistent=False)
        self.register_buffer("mix", tcfm.mix.weight[0].float(), persistent=False)

    def before_relu(self, maps: Tensor) -> Tensor:
        """Stage-1 rows (N, 196, C) before the ReLU, of encoder maps (N, M, 7, 7); `dtype`."""
        rows = maps.to(self.dtype).permute(0, 2, 3, 1).flatten(1, 2)
        return self.deconv_1(rows)

    def frame_rows(self, before_relu: Tensor) -> tuple[FrameRows, Tensor]:
        """What windows need of frames, and their stage-2 rows (N, 784, C), of `before_relu`."""
        first = before_relu.to(self.dtype).relu()
        sampled = torch.matmul(self.get_buffer("grid"), self.points_1.linear(first))
        z = _by_channel(self.points_1.tail(sampled)).float()
        vectors = torch.cat([z, F.linear(z, self.get_buffer("frame_matrix"))], 1)
        second = self.deconv_2(first).relu_()
        return FrameRows(vectors, self.points_2.linear(second)), second

    def window_params(
        self, vectors: Tensor, linear: Tensor, places: Tensor, second: Tensor, *, sparse: bool
    ) -> StageParams:
        """The targets' parameters.

        Args:
            vectors: (W, T, V) of each window's frames, the averaged target in the middle.
            linear: (S, 784, 197) table of stage-2 linear maps.
            places: (W, T) rows of `linear` for the windows' frames.
            second: (W, 784, C) stage-2 rows of the averaged targets.
            sparse: whether deconv 3 may be evaluated only where points fall.

        Returns:
            Parameters (W, ...) of the last stage, float32.
        """
        params, corners = self.first_bodies(vectors)
        sampled = sample_linear(linear, places, corners)
        return split_params(self.last_bodies(sampled, params, second, sparse=sparse))

    def first_bodies(self, vectors: Tensor) -> tuple[Tensor, Corners]:
        """Stage 1 of all frames of windows.

        Args:
            vectors: (W, T, V) of each window's frames, the averaged target in the middle.

        Returns:
            The targets' parameters (W, 157), and where the frames' meshes fall on their stage-2
            maps, (W, T, P, 4).
        """
        params = self._first_params(vectors)
        mesh = self._mesh_corners(params.flatten(0, 1), SIDES[2])
        corners = Corners(*(tensor.unflatten(0, vectors.shape[:2]) for tensor in mesh))
        return params[:, params.shape[1] // 2], corners

    def last_bodies(
        self, sampled: Tensor, params: Tensor, second: Tensor, *, sparse: bool
    ) -> Tensor:
        """Stages 2 and 3 of the targets: parameters (W, 157), float32.

        Args:
            sampled: (W, T, P, 197) linear maps of the windows' frames at their meshes.
            params: (W, 157) of the targets after stage 1.
            second: (W, 784, C) stage-2 rows of the averaged targets.
            sparse: whether deconv 3 may be evaluated only where points fall.
        """
        features = _by_channel(self.points_2.tail(sampled.flatten(0, 1)))
        features = features.float().unflatten(0, sampled.shape[:2])
        safm = self.safm if sampled.shape[1] > 1 else None
        fused = features[:, 0] if safm is None else safm(features)[0]
        params = self._regress(1, fused, params)
        mesh = self._mesh_corners(params, SIDES[3])
        third = self.points_3.linear(self._third_samples(second, mesh, sparse=sparse))
        features = _by_channel(self.points_3.tail(third).unflatten(0, (len(params), -1)))
        return self._regress(2, features.float(), params)

    def _first_params(self, vectors: Tensor) -> Tensor:
        """Stage-1 parameters (W, T, 157) of all frames: TCFM and regressor 1 in one."""
        z, query, key, direct, through = vectors.split(self.widths, -1)
        similarity = (z @ z.mT).softmax(-1)
        context = (query @ key.mT).softmax(-1)
        mix = self.get_buffer("mix")
        fused = (mix[0] * similarity + mix[1] * context).softmax(-1)
        return self.get_buffer("first_params") + direct + fused @ through

    def _regress(self, stage: int, features: Tensor, x: Tensor) -> Tensor:
        matrix, offset = (self.get_buffer(f"{name}_{stage}") for name in ("matrix", "offset"))
        return x + F.linear(torch.cat([features, x], -1), matrix, offset)

    def _mesh_corners(self, flat: Tensor, side: int) -> Corners:
        params = split_params(flat)
        vertices_m = self.aligned_body(params.betas, params.rotations).vertices_m
        return bilinear_corners(project(vertices_m, params.camera), side, side)

    def _third_samples(self, second: Tensor, mesh: Corners, *, sparse: bool) -> Tensor:
        """Stage-3 map sampled at the mesh: (W P, C)."""
        count, wide = len(second), SIDES[3]
        start = torch.arange(count, device=second.device)[:, None, None]
        index, weight = mesh.place, mesh.weight.flatten(0, 1)
        deconv = self.deconv_3
        if sparse:
            y, x = index // wide, index.remainder(wide)
            parity = y.remainder(2) * 2 + x.remainder(2)
            order = (parity * count + start) * SIDES[2] ** 2 + y // 2 * SIDES[2] + x // 2
            used = torch.zeros(count * wide**2, dtype=torch.bool, device=second.device)
            used[order[mesh.weight > 0]] = True
            cells = used.nonzero()[:, 0]
            if 0 < len(cells) < _SPARSE_BELOW * len(used):
                row_of_cell = used.cumsum(0).sub_(1).clamp_(min=0)
                third = deconv.at(second, cells).relu_()
                return weighted_rows(third, row_of_cell[order].flatten(0, 1), weight)
        third = deconv(second).relu_().flatten(0, 1)
        return weighted_rows(third, (start * wide**2 + index).flatten(0, 1), weight)


class FoldedPoints(nn.Module):
    """A point MLP as a linear part, which may run on the map, and the rest, at the points."""

    def __init__(self, mlp: PointMlp) -> None:
        super().__init__()
        first, second, _ = POINT_WIDTHS
        w0, w1, w2 = (getattr(mlp, f"conv{i}").weight[..., 0].clone() for i in range(3))
        tensors = {
            "linear_weight": torch.cat([w0, w1[:, first:], w2[:, second:]]),
            "bias": torch.cat([getattr(mlp, f"conv{i}").bias for i in range(3)]),
            "second_weight": w1[:, :first].T.contiguous(),
            "third_weight": w2[:, :second].T.contiguous(),
        }
        for name, tensor in tensors.items():
            self.register_parameter(name, nn.Parameter(tensor.detach().clone(), False))

    def linear(self, rows: Tensor) -> Tensor:
        """(..., 197) of map rows or samples (..., C)."""
        return F.linear(rows, self.get_parameter("linear_weight"))

    def tail(self, sampled: Tensor) -> Tensor:
        """Five features (..., 5) of sampled linear rows (..., 197)."""
        parts = (sampled + self.get_parameter("bias")).flatten(0, -2).split(POINT_WIDTHS, -1)
        y = F.leaky_relu(parts[0])
        y = F.leaky_relu_(torch.addmm(parts[1], y, self.get_parameter("second_weight")))
        y = torch.addmm(parts[2], y, self.get_parameter("third_weight")).relu_()
        return y.unflatten(0, sampled.shape[:-1])


def sample_linear(linear: Tensor, places: Tensor, corners: Corners) -> Tensor:
    """Samples (W, T, P, 197) at corners (W, T, P, 4) on rows (W, T) of a table (S, 784, 197)."""
    cells = places[..., None, None] * SIDES[2] ** 2 + corners.place
    sampled = weighted_rows(linear.flatten(0, 1), cells.flatten(0, 2), corners.weight.flatten(0, 2))
    return sampled.unflatten(0, cells.shape[:3])


def weighted_rows(table: Tensor, index: Tensor, weight: Tensor) -> Tensor:
    """Weighted sums (M, C) of rows of table (R, C) named by index (M, K), weights (M, K)."""
    weight = weight.to(table.dtype)
    if table.device.type in ("cpu", "cuda"):
        return F.embedding_bag(index, table, per_sample_weights=weight, mode="sum")
    return weighted_rows_by_gather(table, index, weight)


def weighted_rows_by_gather(table: Tensor, index: Tensor, weight: Tensor) -> Tensor:
    """The same in elementary steps, for devices without embedding bags."""
    return (table[index] * weight[..., None]).sum(1)


def affine_form(regressor: Regressor) -> tuple[Tensor, Tensor]:
    """Matrix (157, S + 157) and offset (157,) of what a regressor adds in eval mode, float64."""
    decoders = (regressor.pose, regressor.betas, regressor.camera)
    out = torch.cat([decoder.weight for decoder in decoders]).double()
    bias = torch.cat([decoder.bias for decoder in decoders]).double()
    hidden = out @ regressor.fc2.weight.double()
    offset = hidden @ regressor.fc1.bias.double() + out @ regressor.fc2.bias.double() + bias
    return hidden @ regressor.fc1.weight.double(), offset


def split_params(params: Tensor) -> StageParams:
    """Parameters (..., *) of columns (..., 157): pose, betas, camera."""
    pose6d, betas, camera = params.split([POSE_6D, BETAS, CAMERA], -1)
    return StageParams(pose6d, betas, camera, rotations_from_6d(pose6d))


def _by_channel(features: Tensor) -> Tensor:
    """Point features (N, P, 5) as the network orders them, (N, 5 P) channel-major."""
    return features.mT.flatten(1)


def _dense(corners: Corners, cells: int) -> Tensor:
    """Bilinear weights as a matrix (P, cells)."""
    matrix = torch.zeros(corners.place.shape[1], cells)
    return matrix.scatter_add_(1, corners.place[0], corners.weight[0])


def _deconv(module: nn.Module) -> DeconvBlock:
    assert isinstance(module, DeconvBlock)
    return module


def _points(module: nn.Module) -> PointMlp:
    assert isinstance(module, PointMlp)
    return module


def _regressor(module: nn.Module) -> Regressor:
    assert isinstance(module, Regressor)
    return module
