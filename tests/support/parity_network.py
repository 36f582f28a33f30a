"""Our network with the parity recipe's weights: what the network's tests share."""

from functools import cache

import numpy as np
import torch
from torch import Tensor

from staf_backend.geometry import to_axis_angle
from staf_backend.staf import StafConfig
from staf_backend.staf.body import SmplBody, tables_from_smpl
from staf_backend.staf.encoders import Encoder
from staf_backend.staf.network import MeanParams, Staf, StageParams
from staf_backend.weights import authors_layout
from tests.support import parity_recipe as recipe


def tensors(arrays: dict[str, np.ndarray]) -> dict[str, Tensor]:
    """The same arrays as tensors; memory is shared, so nobody may write to them."""
    return {name: torch.from_numpy(np.asarray(array)) for name, array in arrays.items()}


@cache
def body() -> SmplBody:
    """The stand-in body in SMPL's layout."""
    tables = tables_from_smpl(
        recipe.smpl_arrays(),
        name="synthetic",
        alignment_vertices=recipe.alignment_vertices(),
        extra_regressor=recipe.parity_data()["J_regressor_extra"],
    )
    with torch.inference_mode(False):  # usable for gradients, whoever asks first
        return SmplBody(tables)


def mean_params() -> MeanParams:
    """The recipe's start values."""
    data = recipe.parity_data()
    return MeanParams(*(torch.from_numpy(data[f"mean_{key}"]) for key in ("pose", "shape", "cam")))


@cache
def staf(config: StafConfig = StafConfig()) -> Staf:  # noqa: B008 (frozen)
    """The paper's network with the recipe's weights, eval mode; do not change it."""
    network = Staf(config, body(), mean_params())
    state = authors_layout.network_tensors(tensors(recipe.staf_state()), "the recipe")
    network.load_state_dict(state, strict=True)
    return network.eval().requires_grad_(False)


def random_staf(config: StafConfig, seed: int = 0) -> Staf:
    """Another configuration with lively random weights, eval mode."""
    torch.manual_seed(seed)
    network = Staf(config, body(), mean_params())
    for module in network.modules():
        if isinstance(module, torch.nn.ConvTranspose2d):
            torch.nn.init.normal_(module.weight, std=(module.in_channels * 4) ** -0.5)
        elif isinstance(module, torch.nn.BatchNorm2d):
            module.running_mean.uniform_(-0.1, 0.1)  # pyright: ignore[reportOptionalMemberAccess]
            module.running_var.uniform_(0.5, 1.5)  # pyright: ignore[reportOptionalMemberAccess]
    for regressor in network.regressors:
        torch.nn.init.xavier_uniform_(regressor.get_parameter("pose.weight"), gain=0.3)
    return network.eval().requires_grad_(False)


@cache
def encoder() -> Encoder:
    """The encoder with the recipe's weights, eval mode."""
    network = Encoder()
    state = authors_layout.encoder_tensors(tensors(recipe.encoder_state()))
    network.load_state_dict(state, strict=True)
    return network.eval().requires_grad_(False)


def window(clip: str, first: int, frames: int = 9, step: int = 1) -> Tensor:
    """Maps (1, T, 2048, 7, 7) of a recipe clip; step 0 repeats the first frame."""
    return torch.from_numpy(recipe.clip_maps(clip, (first + step * i for i in range(frames))))[None]


def theta(params: StageParams) -> np.ndarray:
    """The authors' vector (..., 85): camera, axis-angle pose, betas."""
    pose = to_axis_angle(params.rotations.double().numpy())
    return np.concatenate([params.camera, pose.reshape(*pose.shape[:-2], 72), params.betas], -1)


def vertices_m(params: StageParams) -> Tensor:
    """Full meshes (N, 6890, 3) of parameters (N, ...)."""
    return body()(params.betas, params.rotations).vertices_m
