"""A convolution with its batch norm, the addition after it and its ReLU in one.

On the CPU, PyTorch's oneDNN operators do the four in a single pass over memory; they are those that
`torch.compile` emits, and a third faster on the encoder than calling the layers one by one.
Elsewhere the layers are called.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.utils.fusion import fuse_conv_bn_eval

_ONEDNN = torch.backends.mkldnn.is_available() and all(
    hasattr(torch.ops.mkldnn, name)
    for name in ("_convolution_pointwise", "_convolution_pointwise_", "_reorder_convolution_weight")
)
_ONEDNN_TYPES = {torch.float32}
if _ONEDNN and torch.ops.mkldnn._is_mkldnn_bf16_supported():  # by this processor
    _ONEDNN_TYPES.add(torch.bfloat16)


class FoldedConv(nn.Module):
    """Inference form of a convolution and the batch norm behind it, channels last.

    Its weight is not to be written to: a packed copy may exist.
    """

    def __init__(self, conv: nn.Module, norm: nn.Module) -> None:
        """Copies both; batch norm's running statistics are used, whatever the mode."""
        super().__init__()
        assert isinstance(conv, nn.Conv2d)
        assert isinstance(norm, nn.BatchNorm2d)
        modes = conv.training, norm.training
        fused = fuse_conv_bn_eval(conv.eval(), norm.eval())
        conv.train(modes[0])
        norm.train(modes[1])
        assert fused.bias is not None
        weight = fused.weight.detach().contiguous(memory_format=torch.channels_last)
        self.weight = nn.Parameter(weight, requires_grad=False)
        self.bias = nn.Parameter(fused.bias.detach(), requires_grad=False)
        self.stride, self.padding = list(conv.stride), [int(pad) for pad in conv.padding]
        self._packed: tuple[tuple, Tensor] | None = None

    def forward(self, x: Tensor, add: Tensor | None = None, *, relu: bool = True) -> Tensor:
        """The convolution of x, plus `add`, which may be written over, then the ReLU."""
        if _ONEDNN and x.device.type == "cpu" and x.dtype in _ONEDNN_TYPES:
            return self._by_onednn(x, add, "relu" if relu else None)
        y = F.conv2d(x, self.weight, self.bias, self.stride, self.padding)
        if add is not None:
            y += add
        return y.relu_() if relu else y

    def _by_onednn(self, x: Tensor, add: Tensor | None, relu: str | None) -> Tensor:
        ops, layer = torch.ops.mkldnn, (self.padding, self.stride, [1, 1], 1)
        given = (x, self._weight_for(x), self.bias, *layer)
        if add is None:
            return ops._convolution_pointwise(*given, relu or "none", [], "")
        return ops._convolution_pointwise_.binary(add, *given, "add", 1.0, relu, [], "")

    def _weight_for(self, x: Tensor) -> Tensor:
        """The weight in oneDNN's own order; it is packed anew when the module changes its type."""
        now = (self.weight.data_ptr(), self.weight.dtype)
        if self._packed is None or self._packed[0] != now:
            reorder = torch.ops.mkldnn._reorder_convolution_weight
            layer = (self.padding, self.stride, [1, 1], 1)
            self._packed = now, reorder(self.weight, *layer, list(x.shape))
        return self._packed[1]
