"""What the figures show, as numbers: attention, meshes stage by stage, acceleration."""

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from staf_backend.staf import CROP_PX, FOCAL_PX
from staf_backend.staf.body import BodyTables, SmplBody
from staf_backend.staf.fusion import Tcfm
from staf_backend.staf.network import Staf, StageParams
from staf_backend.staf.pooled import PooledNetwork

Network = Staf | PooledNetwork


def attention_matrices(network: Network, maps: Tensor) -> dict[str, np.ndarray] | None:
    """The four matrices (T, T) of TCFM, or of MoCA, on one window (Fig. 4; equations 3 to 5).

    Args:
        network: in eval mode.
        maps: (1, T, C, 7, 7).

    Returns:
        M_sim, M_con, their weighted sum, and M_g, the softmax of that; None without the module.
    """
    if isinstance(network, Staf):
        attention, module = network(maps).attention, network.tcfm
    else:
        module = network.moca
        attention = module(maps.mean((-2, -1)))[1] if module is not None else None
    if attention is None or module is None:
        return None
    matrices = {
        "M_sim": attention.similarity,
        "M_con": attention.context,
        "w0 M_sim + w1 M_con": _mixed(module, attention.similarity, attention.context),
        "M_g": attention.fused,
    }
    return {name: matrix[0].numpy() for name, matrix in matrices.items()}


def _mixed(module: Tcfm, similarity: Tensor, context: Tensor) -> Tensor:
    one, other = module.mix.weight[0]
    return one * similarity + other * context


def frame_weights(network: Network, maps: Tensor) -> dict[str, np.ndarray]:
    """How much each of a window's T frames counts for the target, by module (Fig. 8).

    SAFM's and HAFI's are the products over their levels, TCFM's and MoCA's the target's row of
    M_g, APM's even.  Each is (T,) and sums to 1.
    """
    found: dict[str, np.ndarray] = {}
    matrices = attention_matrices(network, maps)
    frames = maps.shape[1]
    pooled = isinstance(network, PooledNetwork)
    if matrices is not None:
        found["MoCA" if pooled else "TCFM"] = matrices["M_g"][frames // 2]
    scores = _scores(network, maps)
    if scores is not None:
        found["HAFI" if pooled else "SAFM"] = products(scores[0].numpy(), frames)
    averages = network.config.integration == "APM" if pooled else network.config.average_target
    if averages:
        found["APM"] = np.full(frames, 1 / frames)
    return found


def _scores(network: Network, maps: Tensor) -> Tensor | None:
    if isinstance(network, Staf):
        return network(maps).scores
    if network.hafi is None:
        return None
    features = maps.mean((-2, -1))
    if network.moca is not None:
        features, _ = network.moca(features)
    return network.hafi(features)[1]


def products(scores: np.ndarray, frames: int) -> np.ndarray:
    """(T,) weights of frames from the scores (groups, 3) of all levels, finest first."""
    weights, first, groups = np.ones(frames), 0, frames // 3
    while groups >= 1:
        level = scores[first : first + groups].reshape(-1)
        weights *= np.repeat(level, frames // len(level))
        first, groups = first + groups, groups // 3
    return weights


class Mesh(NamedTuple):
    """A body in the network's crop: `points` (V, 2), the crop spans -1 to 1, and depth_m (V,)."""

    points: np.ndarray
    depth_m: np.ndarray
    vertices_m: np.ndarray


def meshes_by_stage(network: Staf, maps: Tensor) -> dict[str, Mesh]:
    """The target's body before and after each regressor (Fig. 7), all vertices.

    Args:
        network: in eval mode.
        maps: (1, T, C, 7, 7).
    """
    stages: dict[str, StageParams] = {"mean": network.mean_params().expanded(1)}
    for number, params in enumerate(network(maps).stages, 1):
        stages[f"regressor {number}"] = params.frame(params.betas.shape[1] // 2)
    return {name: _mesh(network.body, params) for name, params in stages.items()}


def _mesh(body: SmplBody, params: StageParams) -> Mesh:
    vertices = body(params.betas, params.rotations).vertices_m[0].numpy()
    scale, x, y = params.camera[0].numpy()
    depth = vertices[:, 2] + 2 * FOCAL_PX / (CROP_PX * scale + 1e-9)
    flat = FOCAL_PX / (CROP_PX / 2) * (vertices[:, :2] + (x, y)) / depth[:, None]
    return Mesh(flat, depth, vertices)


def accelerations_mm(tables: BodyTables, params: StageParams) -> np.ndarray:
    """(T,) mean second difference of the joints about the root, mm/frame² (Figs. 1 and 9).

    The first and the last frame have none: NaN.
    """
    found = np.full(len(params.betas), np.nan)
    with torch.inference_mode():
        joints = SmplBody(tables)(params.betas, params.rotations).joints_m.numpy()
    about_root = joints - joints[:, :1]
    if len(joints) > 2:
        found[1:-1] = np.linalg.norm(np.diff(about_root, 2, axis=0), axis=-1).mean(1) * 1000
    return found


def plain(values: Mapping[str, np.ndarray]) -> dict[str, list]:
    """Arrays as lists, for JSON; NaN as None."""
    return {name: [_plain(row) for row in array.tolist()] for name, array in values.items()}


def _plain(value: float | list) -> float | list | None:
    if isinstance(value, list):
        return [_plain(one) for one in value]
    return None if np.isnan(value) else round(value, 6)
