"""Sizes reckoned from a plan are those of what PyTorch computes, and refused alike."""

import numpy as np
import pytest
import torch

from staf_backend.staf.encoders import IMAGE, Layer
from staf_backend.staf.encoders.planned import PlannedNetwork
from staf_backend.staf.encoders.sizes import sizes

SIDE_PX = 13


def layer(rng: np.random.Generator, name: str, known: list[str], channels: dict[str, int]) -> Layer:
    """Some operation on some earlier layers, which mostly fits."""
    operation = rng.choice(["conv", "norm", "relu6", "add", "double", "max_pool", "widen"])
    inputs = tuple(rng.choice(known, 2 if operation == "add" else 1).tolist())
    read = channels[inputs[0]] + int(rng.random() < 0.05)
    wider = int(rng.integers(1, 9))
    channels[name] = wider if operation in ("conv", "widen") else read
    kernel, stride = int(rng.integers(1, 6)), int(rng.integers(1, 4))
    left, right, top, bottom = map(int, rng.integers(0, 3, 4))
    match operation:
        case "conv":
            pads = (left, right, top, bottom)
            return Layer(name, "conv", inputs, read, wider, kernel, stride, pads=pads)
        case "norm":
            return Layer(name, "norm", inputs, channels=read, epsilon=1e-5)
        case "max_pool":
            return Layer(name, "max_pool", inputs, kernel=kernel, stride=stride)
        case "widen":
            return Layer(name, "widen", inputs, out=wider)
    return Layer(name, operation, inputs)


def computed(layers: list[Layer], outputs: list[str]) -> list[tuple[int, ...]] | None:
    network = PlannedNetwork(layers, outputs).eval()
    try:
        with torch.no_grad():
            found = network.run(torch.zeros(1, 3, SIDE_PX, SIDE_PX))
    except RuntimeError:
        return None
    return [tuple(one.shape[1:]) for one in found]


def reckoned(layers: list[Layer], outputs: list[str]) -> list[tuple[int, ...]] | None:
    try:
        return sizes(layers, outputs, SIDE_PX)
    except ValueError:
        return None


def test_they_are_what_is_computed():
    rng, fits = np.random.default_rng(0), 0
    for _ in range(300):
        known, channels, layers = [IMAGE], {IMAGE: 3}, []
        for number in range(5):
            layers.append(layer(rng, f"x{number}", known, channels))
            known.append(layers[-1].name)
        found = computed(layers, known[1:])
        assert reckoned(layers, known[1:]) == found, layers
        fits += found is not None
    assert 60 < fits < 240


def test_a_layer_of_far_more_than_it_is_given_is_refused():
    layers = [Layer("x", "widen", (IMAGE,), out=16_384)]
    with pytest.raises(ValueError, match="x gives 822083584 numbers of one image"):
        sizes(layers, ["x"], 224)
