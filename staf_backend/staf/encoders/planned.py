"""An encoder built from its plan: BlazePose's trunk, EfficientNet-Lite and their like.

It is trained and run by the same code; weights are those of plain convolutions (batch norms only
where the plan has them).
"""

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from staf_backend.staf.config import CROP_PX, MAP_PX
from staf_backend.staf.encoders.plan import IMAGE, EncoderPlan, Layer
from staf_backend.staf.encoders.resnet import check_images, normalised
from staf_backend.staf.encoders.sizes import sizes


class PlannedNetwork(nn.Module):
    """Images to the results of some layers, as a plan's layers say.  Random until loaded."""

    def __init__(self, layers: Sequence[Layer], outputs: Sequence[str]) -> None:
        super().__init__()
        self._layers, self._outputs = tuple(layers), tuple(outputs)
        for layer in layers:
            if layer.operation in ("conv", "norm"):
                self.add_module(layer.name, _module(layer))
        self._last_use = {name: i for i, one in enumerate(layers) for name in one.inputs}

    def run(self, images: Tensor) -> tuple[Tensor, ...]:
        """The outputs, in their order, of images (N, 3, H, W)."""
        y = images.to(next(self.parameters(), images).dtype)
        kept = {IMAGE: y.contiguous(memory_format=torch.channels_last)}
        for number, layer in enumerate(self._layers):
            kept[layer.name] = self._step(layer, [kept[name] for name in layer.inputs])
            for name in layer.inputs:
                if self._last_use[name] == number and name not in self._outputs:
                    kept.pop(name, None)
        return tuple(kept[name] for name in self._outputs)

    def _step(self, layer: Layer, inputs: list[Tensor]) -> Tensor:
        x = inputs[0]
        match layer.operation:
            case "conv" | "norm":
                x = F.pad(x, layer.pads) if _lopsided(layer) else x
                return self.get_submodule(layer.name)(x)
            case "relu6":
                return F.relu6(x)
            case "add":
                return x + inputs[1]
            case "double":
                return F.interpolate(x, scale_factor=2, mode="bilinear", align_corners=False)
            case "max_pool":
                return F.max_pool2d(x, layer.kernel, layer.stride)
            case "widen":
                return F.pad(x, (0, 0, 0, 0, 0, layer.out - x.shape[1]))


class PlannedEncoder(PlannedNetwork):
    """Crops to maps as a plan says.  Random weights until some are loaded."""

    def __init__(self, plan: EncoderPlan) -> None:
        """Builds the layers.

        Raises:
            ValueError: the plan's layers do not fit each other, or do not give 7 x 7 maps.
        """
        super().__init__(plan.layers, [plan.layers[-1].name])
        self.plan = plan
        self.name, self.channels = plan.name, plan.channels
        (got,) = sizes(plan.layers, [plan.layers[-1].name], CROP_PX)
        if got != (self.channels, MAP_PX, MAP_PX):
            raise ValueError(f"{self.name} gives {got}, not {(self.channels, MAP_PX, MAP_PX)}")

    def normalise(self, crops_u8: Tensor) -> Tensor:
        """Images (N, 3, 224, 224) float32, channels last, of crops (N, 224, 224, 3) uint8 RGB.

        Raises:
            ValueError: wrong shape or type.
        """
        return normalised(crops_u8, self.plan.pixel_mean, self.plan.pixel_std)

    def forward(self, images: Tensor) -> Tensor:
        """Maps (N, channels, 7, 7) of normalised images (N, 3, 224, 224).

        Raises:
            ValueError: images of any other shape.
        """
        check_images(images)
        return self.run(images)[0]


def _module(layer: Layer) -> nn.Module:
    if layer.operation == "norm":
        return nn.BatchNorm2d(layer.channels, eps=layer.epsilon)
    padding = 0 if _lopsided(layer) else (layer.pads[2], layer.pads[0])
    return nn.Conv2d(
        layer.channels,
        layer.out,
        layer.kernel,
        layer.stride,
        padding,
        groups=layer.groups,
        bias=layer.bias,
    )


def _lopsided(layer: Layer) -> bool:
    """Whether zeros differ between the sides, which a convolution cannot do by itself."""
    left, right, top, bottom = layer.pads
    return left != right or top != bottom
