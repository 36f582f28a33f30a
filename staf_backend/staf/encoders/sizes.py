"""Sizes of what a plan's layers give, reckoned without a tensor.

PyTorch knows them of tensors without numbers, too, but loads two seconds of modules for that.
"""

from collections.abc import Iterable, Sequence

import numpy as np

from staf_backend.staf.encoders.plan import IMAGE, Layer

Size = tuple[int, ...]
"""Of one image's result: channels, rows, columns."""

_LARGEST_RESULT = 2**24
"""Numbers that a layer may give of one image.  Chosen: ten times BlazePose's largest."""


def sizes(layers: Iterable[Layer], outputs: Sequence[str], side_px: int) -> list[Size]:
    """Sizes of the outputs, in their order, of one square image.

    Raises:
        ValueError: the layers do not fit each other, or one gives far more than it is given.
    """
    known: dict[str, Size] = {IMAGE: (3, side_px, side_px)}
    for layer in layers:
        size = known[layer.name] = _size(layer, [known[name] for name in layer.inputs])
        if min(size) < 1:
            raise ValueError(f"the layers do not fit: {layer.name} gives {size}")
        if np.prod(size, dtype=object) > _LARGEST_RESULT:
            raise ValueError(f"{layer.name} gives {np.prod(size)} numbers of one image")
    return [known[name] for name in outputs]


def _size(layer: Layer, inputs: Sequence[Size]) -> Size:
    channels, *cells = inputs[0]
    match layer.operation:
        case "conv":
            _check_channels(layer, channels)
            left, right, top, bottom = layer.pads
            padded = (cells[0] + top + bottom, cells[1] + left + right)
            return layer.out, *_windows(layer, padded)
        case "norm":
            _check_channels(layer, channels)
            return inputs[0]
        case "relu6":
            return inputs[0]
        case "add":
            return _together(layer, inputs)
        case "double":
            return channels, 2 * cells[0], 2 * cells[1]
        case "max_pool":
            return channels, *_windows(layer, cells)
        case "widen":
            return layer.out, *cells


def _check_channels(layer: Layer, channels: int) -> None:
    if channels != layer.channels:
        raise ValueError(
            f"the layers do not fit: {layer.name} reads {layer.channels} channels, not {channels}"
        )


def _windows(layer: Layer, cells: Sequence[int]) -> list[int]:
    """How many windows go into rows and columns."""
    return [(count - layer.kernel) // layer.stride + 1 for count in cells]


def _together(layer: Layer, inputs: Sequence[Size]) -> Size:
    try:
        return np.broadcast_shapes(*inputs)
    except ValueError:
        both = " and ".join(map(str, inputs))
        raise ValueError(f"the layers do not fit: {layer.name} adds {both}") from None
