"""What an encoder other than ResNet-50 consists of, as plain data: JSON beside its weights.

    encoder.json   layers in order, what each reads, sizes      (this; needs no torch)
    encoder.safetensors   `conv_12.weight`, `conv_12.bias` ...  (read by `planned`)

`EncoderPlan` is of an encoder that gives maps by itself, `FieldsPlan` of one that looks for
landmarks and paints what they say (`fields`).  So a stored set of weights runs without the
software that its encoder was once converted from.
"""

import json
import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from typing import Any, Literal, get_args

from staf_backend.staf.config import check_size

FORMAT = 1
"""Of the file: a number that grows when older software cannot read it."""
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
_LARGEST_LAYER = {"channels": 16_384, "out": 16_384, "kernel": 31, "stride": 16, "groups": 16_384}
"""What a plan from elsewhere may ask of a layer.  Chosen: eight times ResNet-50's channels, and far
above the kernels and strides of known encoders."""
_LARGEST_PAD = 64
"""Cells.  Chosen: more than the largest kernel needs."""
_LARGEST_FIELDS = {"channels": 16_384, "looks": 10, "width": 8192, "blocks": 100}
"""Chosen: the lifter that comes with the software has 512 and 3, and looks three times."""
_MOST_LAYERS = 1000
"""Chosen: BlazePose's largest network has 230."""
_LONGEST_WORDS = 1000
"""Letters.  Chosen: sources are a sentence."""


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
        needed = _SIZES.get(self.operation, set())
        for size, largest in _LARGEST_LAYER.items():
            check_size(f"{self.name}: {size}", getattr(self, size), int(size in needed), largest)
        for pad in self.pads:
            check_size(f"{self.name}: pads", pad, 0, _LARGEST_PAD)
        if len(self.pads) != 4 or type(self.bias) is not bool:
            raise ValueError(f"{self.name}: four pads, and a bias or none")
        if "epsilon" in needed and not (_is_number(self.epsilon) and 0 < self.epsilon < 1):
            raise ValueError(f"{self.name}: epsilon must be between 0 and 1")

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
        _check_words(self.name, self.source)
        _check_layers(self.layers)
        if not self.layers:
            raise ValueError("an encoder needs layers")
        check_size("channels", self.channels, 1, _LARGEST_LAYER["channels"])
        colours = (*self.pixel_mean, *self.pixel_std)
        three = len(self.pixel_mean) == len(self.pixel_std) == 3
        if not (three and all(map(_is_number, colours)) and min(self.pixel_std) > 0):
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
        _check_words(self.name, self.source, self.tensors)
        _check_layers(self.layers)
        if not {self.landmarks, self.world} <= {layer.name for layer in self.layers}:
            raise ValueError("no layer gives the landmarks, or the world points")
        for name, largest in _LARGEST_FIELDS.items():
            check_size(name, getattr(self, name), 1, largest)
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
    try:
        content = json.loads(text)
    except RecursionError:
        raise ValueError("it is nested too deeply") from None
    if not isinstance(content, dict) or content.pop("format", None) != FORMAT:
        raise ValueError("it is not an encoder's plan of this version")
    kind = FieldsPlan if content.pop("kind", None) == _FIELDS else EncoderPlan
    try:
        layers = tuple(Layer(**_tuples(layer)) for layer in content.pop("layers"))
        return kind(layers=layers, **_tuples(content))
    except (TypeError, KeyError, AttributeError) as error:
        raise ValueError(f"it is not an encoder's plan: {error}") from error


def _is_number(value: object) -> bool:
    return type(value) in (int, float) and math.isfinite(value)  # pyright: ignore[reportArgumentType]


def _check_words(*words: str) -> None:
    """Refuses what cannot stand in a line of a terminal."""
    for word in words:
        if not isinstance(word, str) or not word.isprintable() or len(word) > _LONGEST_WORDS:
            raise ValueError("a name or a source is no line of text")


def _check_layers(layers: Sequence[Layer]) -> None:
    """Refuses too many layers, those that read what is not there yet, and names that come twice."""
    if len(layers) > _MOST_LAYERS:
        raise ValueError(f"an encoder has no {len(layers)} layers")
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
