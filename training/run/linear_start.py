"""A start in closed form: the first stage passes on what the encoder says, and nothing is lost.

A regressor without dropout is linear, so the best one for given features is a ridge regression of
seconds.  Where the encoder's maps hold numbers at fixed places (`encoders.field_maps`), the first
stage's features are laid open to them first:

    plain numbers ─ deconv: enlarged, as they are and negated ─ ReLU ─ point MLP: their difference

The network then begins as good as the encoder's own guess; from there gradients improve features
and regressors together.  The later regressors, which read at the mesh, begin by passing it on.
"""

import logging
from collections.abc import Iterable, Iterator

import torch
from torch import Tensor, nn

from staf_backend.devices import numerics
from staf_backend.staf.encoders import AnyEncoder, FieldsEncoder
from staf_backend.staf.encoders.field_maps import PLAIN
from staf_backend.staf.network import DeconvBlock, Regressor, Staf
from staf_backend.staf.sampling import PointMlp, sample
from training.joints import ANNOTATED
from training.run.run_error import RunError
from training.targets import ImageBatch, PosedJoints, Targets

_log = logging.getLogger(__name__)
SAMPLES = 65_536
"""To fit the start on.  Chosen."""
_TOLD = 8192  # samples between two words of progress
_RIDGE = 1e-2  # of the mean variance of a feature
_KERNEL = 0.05  # of the enlargement; the norm behind it takes any scale away
_SCALE, _OFFSET = 0.3, 0.75  # of the features: two and a half deviations above the ReLU's zero
_OTHERS = 0.05  # of what fresh weights add to them
_CALIBRATED = 8  # batches that the norm's running statistics are taken from


@torch.no_grad()
def fit(network: Staf, encoder: AnyEncoder, batches: Iterable[ImageBatch]) -> None:
    """Fits the network's first regressor; all of it is left in the mode it was in.

    Args:
        network: fresh, on the CPU.
        encoder: what gives its maps.
        batches: with known poses, betas and keypoints.

    Raises:
        RunError: labels are missing.
    """
    was_training = network.training, encoder.training
    encoder.eval()
    with numerics("float32"):
        kept = list(_read(encoder, batches))
        if min(float(one.has_betas.min() * one.has_pose.min()) for _, one in kept) < 1:
            raise RunError(
                "A linear start needs pose and betas of every sample.",
                "Leave --linear-start out, or give data that has them.",
            )
        if isinstance(encoder, FieldsEncoder):
            _lay_open(network)
        _calibrate(network.deconv[0], [maps for maps, _ in kept[:_CALIBRATED]])
        network.eval()
        features = torch.cat([_first_features(network, maps.float()) for maps, _ in kept])
        joints = PosedJoints(network.body.tables)
        truth = torch.cat([_parameters(joints, targets) for _, targets in kept])
        start = network.mean_params()
        flat = torch.cat([start.pose6d, start.betas, start.camera])
        weight, bias = _ridge(features, truth - flat)
    first = network.regressors[0]
    assert isinstance(first, Regressor)
    _write(first, weight, bias, features.shape[1])
    network.train(was_training[0])
    encoder.train(was_training[1])


def _read(encoder: AnyEncoder, batches: Iterable[ImageBatch]) -> Iterator[tuple[Tensor, Targets]]:
    """Maps in half precision, and targets."""
    samples, told = 0, 0
    for batch in batches:
        yield encoder(encoder.normalise(batch.images)).half(), batch.targets
        samples += len(batch.images)
        if samples - told >= _TOLD:
            told = samples
            _log.info("linear start: %d samples read", samples)


def _lay_open(network: Staf) -> None:
    """Lets the first stage's features be the maps' plain numbers, cell by cell."""
    block, mlp = network.deconv[0], network.points[0]
    assert isinstance(block, DeconvBlock)
    assert isinstance(mlp, PointMlp)
    kernel, last = block.conv.weight, mlp.conv2
    assert last.bias is not None
    width = kernel.shape[1]
    last.weight *= _OTHERS
    last.bias.fill_(_OFFSET)
    for number in range(PLAIN):
        for sign, channel in ((1, 2 * number), (-1, 2 * number + 1)):
            kernel[:, channel] = 0
            kernel[number - PLAIN, channel, 1:3, 1:3] = sign * _KERNEL
            last.weight[number, channel - width] = sign * _SCALE


def _calibrate(block: nn.Module, maps: list[Tensor]) -> None:
    """Gives the norm the statistics of these maps, as training would in the long run."""
    assert isinstance(block, DeconvBlock)
    momentum, block.norm.momentum = block.norm.momentum, None
    block.norm.reset_running_stats()
    block.train()
    for batch in maps:
        block(batch.float())
    block.norm.momentum = momentum


def _first_features(network: Staf, maps: Tensor) -> Tensor:
    """What the first regressor reads of maps (N, C, 7, 7): (N, S)."""
    deep = network.deconv[0](maps)
    points = network.get_buffer("grid").expand(len(maps), -1, -1)
    return network.points[0](sample(deep, points))


def _parameters(joints: PosedJoints, targets: Targets) -> Tensor:
    """True 6D rotations, betas and camera (N, 157)."""
    posed_m = joints(targets.betas, targets.rotations)[:, ANNOTATED, :2]
    seen = targets.keypoints[:, ANNOTATED, :2]
    middle_m, middle = posed_m.mean(1, keepdim=True), seen.mean(1, keepdim=True)
    about_m = posed_m - middle_m
    scale = (about_m * (seen - middle)).sum((1, 2)) / about_m.square().sum((1, 2))
    shift = middle[:, 0] / scale[:, None] - middle_m[:, 0]
    pose6d = targets.rotations[..., :2].flatten(1)
    return torch.cat([pose6d, targets.betas, scale[:, None], shift], 1)


def _ridge(features: Tensor, wanted: Tensor) -> tuple[Tensor, Tensor]:
    """Weights (P, S) and biases (P,) of the best linear map, large weights discouraged."""
    mean, middle = features.mean(0), wanted.mean(0)
    about = features - mean
    square = (about.T @ about).double() / len(features)
    square.diagonal().add_(_RIDGE * square.diagonal().mean())
    product = (about.T @ (wanted - middle)).double() / len(features)
    weight = torch.linalg.solve(square, product).float().T
    return weight, middle - weight @ mean


def _write(regressor: Regressor, weight: Tensor, bias: Tensor, features: int) -> None:
    """Lets the last hidden units carry the linear map's results to the decoders."""
    count = len(weight)
    rows = slice(-count, None)
    regressor.fc1.weight[rows] = 0
    regressor.fc1.weight[rows, :features] = weight
    regressor.fc1.bias[rows] = bias
    regressor.fc2.weight[rows] = 0
    regressor.fc2.weight[rows, rows] = torch.eye(count)
    regressor.fc2.bias[rows] = 0
    first = regressor.fc2.out_features - count
    for decoder in (regressor.pose, regressor.betas, regressor.camera):
        decoder.weight[:, rows] = 0
        units = slice(first, first + decoder.out_features)
        decoder.weight[:, units] = torch.eye(decoder.out_features)
        decoder.bias.zero_()
        first += decoder.out_features
