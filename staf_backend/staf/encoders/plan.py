"""What an encoder other than ResNet-50 consists of, as plain data: JSON beside its weights.

    encoder.json   layers in order, what each reads, sizes      (this; needs no torch)
    encoder.safetensors   `conv_12.weight`, `conv_12.bias` ...  (read by `planned`)

`EncoderPlan` is of an encoder that gives maps by itself, `FieldsPlan` of one that looks for
landmarks and paints what they say (`fields`).  So a stored set of weights runs without the
software that its encoder was once converted from.
"""

import json
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any, Literal, get_args

FORMAT = 1
IMAGE = "image"
"""What the first layers read: the normalised crop."""

Operation = Literal["conv", "norm", "relu6", "add", "double", "max_pool", "widen"]
_INPUTS = {"add": 2}
_SIZES = {
    "conv": {"channels", "out", "kernel", "stride", "groups", "bias", "pads"},
    "norm": {"channels", "epsilon"},
    "max_pool": {"kernel", "stride"},
    "widen": {"out"},
}


@dataclass(frozen=True)
class Layer:
    """One step: an operation on the results of earlier layers.

    conv       `pads` (left, right, top, bottom) zeros, then a convolution `kernel`, `stride`
    norm       batch norm with `epsilon`
    relu6      clipped to 0..6
    add        of its two inputs
    double     twice the size, bilinear between centres of cells
    max_pool   windows of `kernel`, `stride`
    widen      zero channels behind, up to `out`
    """

    name: str
    operation: Operation
    inputs: tuple[str, ...]
    channels: int = 0
    out: int = 0
    kernel: int = 0
    stride: int = 1
    groups: int = 1
    bias: bool = False
    pads: tuple[int, int, int, int] = (0, 0, 0, 0)
    epsilon: float = 0.0

    def __post_init__(self) -> None:
        if not re.fullmatch(r"[a-z][a-z0-9_]{0,99}", self.name):
            raise ValueError(f"{self.name!r} cannot name a layer")
        if self.operation not in get_args(Operation):
            raise ValueError(f"{self.name}: unknown operation {self.operation!r}")
        if len(self.inputs) != _INPUTS.get(self.operation, 1):
            raise ValueError(f"{self.name}: {self.operation} of {len(self.inputs)} inputs")
        if len(self.pads) != 4 or min(*self.pads, self.groups - 1, self.stride - 1) < 0:
            raise ValueError(f"{self.name}: a negative size")
        needed = _SIZES.get(self.operation, set()) - {"bias", "pads"}
        if any(getattr(self, size) <= 0 for size in needed):
            raise ValueError(f"{self.name}: a size is missing")

    def content(self) -> dict[str, Any]:
        """As JSON, without what the operation does not use."""
        used = {"name", "operation", "inputs"} | _SIZES.get(self.operation, set())
        return {name: value for name, value in asdict(self).items() if name in used}


@dataclass(frozen=True)
class EncoderPlan:
    """A whole encoder: crops (N, 3, 224, 224) to maps (N, `channels`, 7, 7), the last layer's.

    `pixel_mean` and `pixel_std` are of RGB in 0..1; `source` says in a sentence where the
    pre-trained weights came from and under which licence.
    """

    name: str
    channels: int
    pixel_mean: tuple[float, float, float]
    pixel_std: tuple[float, float, float]
    source: str
    layers: tuple[Layer, ...]

    def __post_init__(self) -> None:
        _check_layers(self.layers)
        if not self.layers or self.channels < 1:
            raise ValueError("an encoder needs layers and channels")
        if len(self.pixel_mean) != 3 or len(self.pixel_std) != 3 or min(self.pixel_std) <= 0:
            raise ValueError("pixel_mean and pixel_std must be three numbers, the latter positive")

    def to_json(self) -> str:
        """The plan as text, one layer a line."""
        return _written(self, {"format": FORMAT})

    @classmethod
    def from_json(cls, text: str) -> "EncoderPlan":
        """Reads what `to_json` wrote.

        Raises:
            ValueError: it is no plan, or one of another format.
        """
        plan = read_plan(text)
        if not isinstance(plan, cls):
            raise ValueError("it is the plan of another kind of encoder")
        return plan


@dataclass(frozen=True)
class FieldsPlan:
    """An encoder that looks for landmarks, lifts them, and paints maps of what it found.

    Attributes:
        name, channels, source: as in `EncoderPlan`.
        tensors: the embedded file that holds the landmark network's tensors, and `digest` its
            SHA-256; they are not stored again.
        looks: how often the landmark network looks, each time straight at what it found before.
        landmarks, world: the layers that give its landmarks and world points.
        width, blocks: of the lifter, whose tensors are the encoder's own.
        layers: of the landmark network, which reads images (N, 3, 256, 256) of RGB in 0..1.
    """

    name: str
    channels: int
    source: str
    tensors: str
    digest: str
    looks: int
    landmarks: str
    world: str
    width: int
    blocks: int
    layers: tuple[Layer, ...]

    def __post_init__(self) -> None:
        _check_layers(self.layers)
        if not {self.landmarks, self.world} <= {layer.name for layer in self.layers}:
            raise ValueError("no layer gives the landmarks, or the world points")
        if min(self.channels, self.looks, self.width, self.blocks) < 1:
            raise ValueError("channels, looks, width and blocks must be positive")
        if not re.fullmatch("[0-9a-f]{64}", self.digest):
            raise ValueError("digest is no SHA-256")

    def to_json(self) -> str:
        """The plan as text, one layer a line."""
        return _written(self, {"format": FORMAT, "kind": _FIELDS})


_FIELDS = "fields"
AnyPlan = EncoderPlan | FieldsPlan


def read_plan(text: str) -> AnyPlan:
    """Reads what `to_json` of either kind wrote.

    Raises:
        ValueError: it is no plan, or one of another format.
    """
    content = json.loads(text)
    if not isinstance(content, dict) or content.pop("format", None) != FORMAT:
        raise ValueError("it is not an encoder's plan of this version")
    kind = FieldsPlan if content.pop("kind", None) == _FIELDS else EncoderPlan
    try:
        layers = tuple(Layer(**_tuples(layer)) for layer in content.pop("layers"))
        return kind(layers=layers, **_tuples(content))
    except (TypeError, KeyError, AttributeError) as error:
        raise ValueError(f"it is not an encoder's plan: {error}") from error


def _check_layers(layers: tuple[Layer, ...]) -> None:
    """Refuses layers that read what is not there yet, and names that come twice."""
    known = {IMAGE}
    for layer in layers:
        if not known.issuperset(layer.inputs):
            raise ValueError(f"{layer.name} reads what no earlier layer gives")
        if layer.name in known:
            raise ValueError(f"two layers are called {layer.name}")
        known.add(layer.name)


def _written(plan: AnyPlan, head: dict[str, Any]) -> str:
    head |= {f.name: getattr(plan, f.name) for f in fields(plan) if f.name != "layers"}
    lines = ",\n  ".join(json.dumps(layer.content()) for layer in plan.layers)
    return f'{json.dumps(head)[:-1]},\n "layers": [\n  {lines}\n ]}}\n'


def _tuples(content: Mapping[str, Any]) -> dict[str, Any]:
    return {k: tuple(v) if isinstance(v, list) else v for k, v in content.items()}
