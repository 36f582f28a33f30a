"""The encoder: ResNet-50 without pooling, crops (N, 3, 224, 224) to maps (N, 2048, 7, 7).

    crop 224 ─ conv 7x7 /2 ─ max /2 ─ layer1 256x56x56 ─ layer2 512x28x28
                                    ─ layer3 1024x14x14 ─ layer4 2048x7x7, after ReLU

The stride of a stage sits on the 3x3 convolution ("v1.5").  Parameter names are those of
torchvision's `resnet50` without `fc`, which are also the authors' behind `feature_extractor.`.
"""

from collections.abc import Iterator
from functools import cache

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from staf_backend.staf.config import CROP_PX, MAP_CHANNELS, RESNET50
from staf_backend.staf.encoders.folded_conv import FoldedConv

# ImageNet statistics of RGB in [0, 1]
PIXEL_MEAN = (0.485, 0.456, 0.406)
PIXEL_STD = (0.229, 0.224, 0.225)

Rgb = tuple[float, float, float]

_STAGES = ((64, 3, 1), (128, 4, 2), (256, 6, 2), (512, 3, 2))  # planes, blocks, stride
_WIDENING = 4
"""Of ResNet-50 (He et al. 2016, Table 1); a block's last layer has so many times its planes."""


def normalise(crops_u8: Tensor) -> Tensor:
    """Network images of 8-bit crops.

    Args:
        crops_u8: (N, 224, 224, 3) uint8 RGB.

    Returns:
        (N, 3, 224, 224) float32 in channels-last memory, ImageNet-normalised, same device.

    Raises:
        ValueError: wrong shape or type.
    """
    return normalised(crops_u8, PIXEL_MEAN, PIXEL_STD)


def normalised(crops_u8: Tensor, pixel_mean: Rgb, pixel_std: Rgb) -> Tensor:
    """Crops (N, H, W, 3) uint8 as float32 images (N, 3, H, W), (RGB in 0..1 - mean) / std.

    Raises:
        ValueError: wrong shape or type.
    """
    if crops_u8.dtype != torch.uint8 or crops_u8.ndim != 4 or crops_u8.shape[-1] != 3:
        raise ValueError(f"crops_u8 must be (N, H, W, 3) uint8, not {_describe(crops_u8)}")
    mean, std = (_on(numbers, crops_u8.device) for numbers in (pixel_mean, pixel_std))
    return ((crops_u8.float() / 255 - mean) / std).permute(0, 3, 1, 2)


class Bottleneck(nn.Module):
    """1x1 down, 3x3 with the stride, 1x1 up, added to the (projected) input."""

    def __init__(self, channels: int, planes: int, stride: int, *, project: bool) -> None:
        super().__init__()
        out = planes * _WIDENING
        self.conv1 = nn.Conv2d(channels, planes, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(planes)
        self.conv2 = nn.Conv2d(planes, planes, 3, stride, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(planes)
        self.conv3 = nn.Conv2d(planes, out, 1, bias=False)
        self.bn3 = nn.BatchNorm2d(out)
        self.downsample = _projection(channels, out, stride) if project else None

    def forward(self, x: Tensor) -> Tensor:
        skip = x if self.downsample is None else self.downsample(x)
        y = F.relu(self.bn1(self.conv1(x)), inplace=True)
        y = F.relu(self.bn2(self.conv2(y)), inplace=True)
        return F.relu(self.bn3(self.conv3(y)) + skip, inplace=True)


class Encoder(nn.Module):
    """ResNet-50 feature extractor with 23,508,032 parameters (He et al. 2016; STAF section III-A).

    Initialised as for training from scratch (He normal, last norm of a block at zero); real use
    loads trained weights (`staf_backend.weights.store`).
    """

    name = RESNET50
    channels = MAP_CHANNELS
    normalise = staticmethod(normalise)

    def __init__(self) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(3, 64, 7, stride=2, padding=3, bias=False)
        self.bn1 = nn.BatchNorm2d(64)
        channels = 64
        for number, (planes, blocks, stride) in enumerate(_STAGES, 1):
            self.add_module(f"layer{number}", _stage(channels, planes, blocks, stride))
            channels = planes * _WIDENING
        self._initialise()

    def forward(self, images: Tensor) -> Tensor:
        """Maps (N, 2048, 7, 7), non-negative, of normalised RGB images (N, 3, 224, 224).

        Raises:
            ValueError: images of any other shape.
        """
        check_images(images)
        x = F.relu(self.bn1(self.conv1(images)), inplace=True)
        x = F.max_pool2d(x, 3, stride=2, padding=1)
        for number in range(1, len(_STAGES) + 1):
            x = self.get_submodule(f"layer{number}")(x)
        return x

    def blocks(self) -> Iterator[Bottleneck]:
        """The sixteen bottlenecks in order."""
        return (module for module in self.modules() if isinstance(module, Bottleneck))

    def _initialise(self) -> None:
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")
        for block in self.blocks():
            nn.init.zeros_(block.bn3.weight)


class FoldedEncoder(nn.Module):
    """The same function for inference: batch norm folded into the convolutions, channels last.

    Equal to `Encoder` in eval mode up to float rounding; half the passes over memory.
    """

    def __init__(self, encoder: Encoder) -> None:
        """Copies the weights of `encoder`, whose running statistics are used."""
        super().__init__()
        self.stem = FoldedConv(encoder.conv1, encoder.bn1)
        self.blocks = nn.ModuleList(FoldedBottleneck(block) for block in encoder.blocks())
        self.eval().requires_grad_(False)

    def forward(self, images: Tensor) -> Tensor:
        """Maps (N, 2048, 7, 7) in channels-last memory of images (N, 3, 224, 224)."""
        check_images(images)
        x = images.to(self.stem.weight.dtype).contiguous(memory_format=torch.channels_last)
        x = F.max_pool2d(self.stem(x), 3, stride=2, padding=1)
        for block in self.blocks:
            x = block(x)
        return x


class FoldedBottleneck(nn.Module):
    """A `Bottleneck` whose convolutions carry their batch norms, sums and ReLUs."""

    def __init__(self, block: Bottleneck) -> None:
        super().__init__()
        self.conv1 = FoldedConv(block.conv1, block.bn1)
        self.conv2 = FoldedConv(block.conv2, block.bn2)
        self.conv3 = FoldedConv(block.conv3, block.bn3)
        self.skip = None if block.downsample is None else FoldedConv(*block.downsample)

    def forward(self, x: Tensor) -> Tensor:
        """The block's result; may be written over `x`."""
        skip = x if self.skip is None else self.skip(x, relu=False)
        return self.conv3(self.conv2(self.conv1(x)), add=skip)


def check_images(images: Tensor) -> None:
    """Refuses anything but (N, 3, 224, 224) floating point.

    Raises:
        ValueError: wrong shape or type.
    """
    if images.ndim != 4 or images.shape[1:] != (3, CROP_PX, CROP_PX):
        raise ValueError(f"images must be (N, 3, {CROP_PX}, {CROP_PX}), not {_describe(images)}")
    if not images.is_floating_point():
        raise ValueError(f"images must be normalised floats, not {images.dtype}")


@cache
def _on(numbers: Rgb, device: torch.device) -> Tensor:
    """Three numbers on a device, taken there once."""
    with torch.inference_mode(False):  # whoever asks first; training reads them, too
        return torch.tensor(numbers, device=device)


def _stage(channels: int, planes: int, blocks: int, stride: int) -> nn.Sequential:
    first = Bottleneck(channels, planes, stride, project=True)
    rest = [Bottleneck(planes * _WIDENING, planes, 1, project=False) for _ in range(blocks - 1)]
    return nn.Sequential(first, *rest)


def _projection(channels: int, out: int, stride: int) -> nn.Sequential:
    return nn.Sequential(nn.Conv2d(channels, out, 1, stride, bias=False), nn.BatchNorm2d(out))


def _describe(tensor: Tensor) -> str:
    return f"{tuple(tensor.shape)} {tensor.dtype}"
