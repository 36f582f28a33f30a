"""An encoder for inference."""

import copy

from torch import nn

from staf_backend.staf.encoders import AnyEncoder, Encoder
from staf_backend.staf.encoders.resnet import FoldedEncoder


def frozen(encoder: AnyEncoder) -> nn.Module:
    """A copy in eval mode without gradients, folded where that is possible."""
    if isinstance(encoder, Encoder):
        return FoldedEncoder(encoder)
    return copy.deepcopy(encoder).eval().requires_grad_(False)


def check_width(encoder: AnyEncoder | None, map_channels: int) -> None:
    """Refuses an encoder whose maps are not as wide as a network reads them.

    Raises:
        ValueError: with both widths.
    """
    if encoder is not None and encoder.channels != map_channels:
        raise ValueError(
            f"the network reads {map_channels} channels, the encoder {encoder.name} gives "
            f"{encoder.channels}"
        )
