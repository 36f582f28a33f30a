"""Encoders with white maps: a last 1 x 1 convolution, fitted to pictures before training begins.

The maps of a pre-trained trunk are far from even: of BlazePose's 288 channels five directions hold
half of the variance, and many channels are always zero.  What is learnt from them by Adam is then
mostly learnt about those five.  With covariance C and mean m of a cell,

    white = (C + e I)^(-1/2) (cell - m),        e a small share of C's mean eigenvalue

(ZCA; Bell and Sejnowski, Vision Research 1997) is the same map in better axes.
"""

from collections.abc import Iterable
from dataclasses import replace

import torch
from torch import Tensor, nn

from staf_backend.devices import numerics
from staf_backend.staf.encoders import Layer, PlannedEncoder

WHITE = "-white"
"""Ends the name of an encoder with white maps."""
PICTURES = 512
"""Enough to fit on: 25 thousand cells."""
_LAYER = "white"
_FLOOR = 0.03
"""Of a direction's variance, as a share of the mean one: weaker ones are not blown up.  Chosen."""


def whitened(encoder: PlannedEncoder) -> PlannedEncoder:
    """The encoder with one more layer, which changes nothing before it is fitted."""
    plan, channels = encoder.plan, encoder.channels
    last = Layer(
        _LAYER,
        "conv",
        (plan.layers[-1].name,),
        channels=channels,
        out=channels,
        kernel=1,
        bias=True,
    )
    plan = replace(plan, name=plan.name + WHITE, layers=(*plan.layers, last))
    longer = PlannedEncoder(plan)
    own = {
        f"{_LAYER}.weight": torch.eye(channels)[:, :, None, None],
        f"{_LAYER}.bias": torch.zeros(channels),
    }
    longer.load_state_dict({**encoder.state_dict(), **own}, strict=True)
    return longer.train(encoder.training)


def is_white(encoder: nn.Module) -> bool:
    """Whether the encoder has the layer that `fit` fits."""
    return isinstance(encoder, PlannedEncoder) and encoder.name.endswith(WHITE)


def fit(encoder: nn.Module, crops: Iterable[Tensor]) -> None:
    """Fits the last layer, so that cells of such pictures have mean 0 and nearly unit covariance.

    Args:
        encoder: of `whitened`; its mode is left as it was.
        crops: batches (N, 224, 224, 3) uint8.

    Raises:
        ValueError: it has no such layer, or there are no pictures.
    """
    if not isinstance(encoder, PlannedEncoder) or not is_white(encoder):
        raise ValueError("only an encoder of whitened() can be fitted")
    layer = encoder.get_submodule(_LAYER)
    assert isinstance(layer, nn.Conv2d)
    assert layer.bias is not None
    mean, covariance = _moments(encoder, layer, crops)
    values, axes = torch.linalg.eigh(covariance)
    scales = (values.clamp(min=0) + _FLOOR * values.mean()).rsqrt()
    weight = (axes * scales) @ axes.T
    with torch.no_grad():
        layer.weight.copy_(weight[:, :, None, None])
        layer.bias.copy_(-weight @ mean)


def _moments(
    encoder: PlannedEncoder, layer: nn.Module, crops: Iterable[Tensor]
) -> tuple[Tensor, Tensor]:
    """Mean (C,) and covariance (C, C), float64, of the cells that the layer reads."""
    channels = encoder.channels
    count, total = 0, torch.zeros(channels, dtype=torch.float64)
    products = torch.zeros(channels, channels, dtype=torch.float64)
    read: list[Tensor] = []
    hook = layer.register_forward_pre_hook(lambda _, inputs: read.append(inputs[0]))
    was_training = encoder.training
    encoder.eval()
    try:
        with torch.no_grad(), numerics("float32"):
            for batch in crops:
                encoder(encoder.normalise(batch.to(next(encoder.parameters()).device)))
                cells = read.pop().movedim(1, -1).reshape(-1, channels).double().cpu()
                count += len(cells)
                total += cells.sum(0)
                products += cells.T @ cells
    finally:
        hook.remove()
        encoder.train(was_training)
    if not count:
        raise ValueError("there are no pictures to fit to")
    mean = total / count
    return mean, products / count - mean[:, None] * mean
