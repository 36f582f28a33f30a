"""The encoder equals the authors', folded or not, and refuses what is no crop."""

import numpy as np
import pytest
import torch

from staf_backend.staf.encoders import Encoder
from staf_backend.staf.encoders.folded_conv import FoldedConv
from staf_backend.staf.encoders.resnet import FoldedEncoder, normalise
from tests.support import parity_network
from tests.support import parity_recipe as recipe


@pytest.fixture(scope="module")
def image() -> torch.Tensor:
    return torch.from_numpy(recipe.network_image("crop0"))[None]


def test_a_crop_gives_the_authors_map(image: torch.Tensor) -> None:
    maps = parity_network.encoder()(image).numpy()
    expected = recipe.fixture("encoder")
    np.testing.assert_allclose(recipe.every(maps, 29), expected["crop0/feature"], atol=1e-5)
    means = maps.mean((0, 2, 3))
    np.testing.assert_allclose(means, expected["crop0/mean_per_channel"], atol=1e-5)


def test_crops_to_mesh_equal_the_authors_end_to_end() -> None:
    images = np.stack([recipe.network_image(f"clip{number}") for number in range(9)])
    folded = FoldedEncoder(parity_network.encoder())
    with torch.inference_mode():
        maps = folded(torch.from_numpy(images))
        outputs = parity_network.staf()(maps[None])
    expected = recipe.fixture("encoder")
    vertices_m = parity_network.vertices_m(outputs.result)[0, ::13]
    np.testing.assert_allclose(vertices_m, expected["e2e/verts"], atol=1e-4)
    np.testing.assert_allclose(
        parity_network.theta(outputs.result)[0], expected["e2e/theta"], atol=1e-4
    )


def test_folding_changes_nothing_but_rounding(image: torch.Tensor) -> None:
    encoder = parity_network.encoder()
    torch.testing.assert_close(FoldedEncoder(encoder)(image), encoder(image), atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("stride", [1, 2])
@pytest.mark.parametrize("with_sum", [True, False])
@pytest.mark.parametrize("relu", [True, False])
def test_a_folded_convolution_is_the_layers_one_by_one(stride, with_sum, relu, monkeypatch) -> None:
    torch.manual_seed(8)
    conv = torch.nn.Conv2d(8, 16, 3, stride, padding=1, bias=False)
    norm = torch.nn.BatchNorm2d(16).eval()
    torch.nn.init.normal_(norm.weight)
    torch.nn.init.normal_(norm.running_mean)  # pyright: ignore[reportArgumentType]
    x = torch.randn(3, 8, 10, 10)
    expected = norm(conv(x))
    add = torch.randn_like(expected) if with_sum else None
    expected = expected if add is None else expected + add
    expected = expected.relu() if relu else expected
    folded = FoldedConv(conv, norm)
    for onednn in (True, False):
        monkeypatch.setattr("staf_backend.staf.encoders.folded_conv._ONEDNN", onednn)
        ours = folded(x, None if add is None else add.clone(), relu=relu)
        torch.testing.assert_close(ours, expected, atol=1e-5, rtol=1e-5)


@torch.inference_mode()
def test_a_folded_convolution_may_change_its_type() -> None:
    conv, norm = torch.nn.Conv2d(4, 4, 1, bias=False), torch.nn.BatchNorm2d(4).eval()
    folded, x = FoldedConv(conv, norm), torch.rand(2, 4, 5, 5)
    full = folded(x)
    half = folded.to(torch.bfloat16)(x.bfloat16())
    assert half.dtype == torch.bfloat16
    torch.testing.assert_close(half.float(), full, atol=0.05, rtol=0.05)
    torch.testing.assert_close(folded.float()(x), full, atol=0.05, rtol=0.05)


def test_folding_leaves_the_original_alone() -> None:
    encoder = Encoder().train()
    before = {name: tensor.clone() for name, tensor in encoder.state_dict().items()}
    FoldedEncoder(encoder)
    assert encoder.conv1.training
    assert encoder.bn1.training
    for name, tensor in encoder.state_dict().items():
        torch.testing.assert_close(tensor, before[name], rtol=0, atol=0)


def test_a_crop_alone_equals_itself_in_a_batch(image: torch.Tensor) -> None:
    folded = FoldedEncoder(parity_network.encoder())
    batch = torch.cat([image.flip(-1), image, image.flip(-2)])
    torch.testing.assert_close(folded(batch)[1:2], folded(image), atol=1e-5, rtol=1e-5)


def test_parameters_are_the_papers_and_named_as_the_authors_do() -> None:
    encoder = Encoder()
    assert sum(parameter.numel() for parameter in encoder.parameters()) == 23_508_032
    names = {f"feature_extractor.{name}" for name in encoder.state_dict()}
    assert names == set(recipe.encoder_shapes())


def test_normalising_is_the_recipes(image: torch.Tensor) -> None:
    crops = torch.from_numpy(recipe.crop_rgb("crop0"))[None]
    torch.testing.assert_close(normalise(crops), image, rtol=0, atol=1e-6)


@pytest.mark.parametrize(
    "crops",
    [
        torch.zeros(1, 3, 224, 224, dtype=torch.uint8),
        torch.zeros(1, 224, 224, 3),
        torch.zeros(224, 224, 3, dtype=torch.uint8),
    ],
    ids=["channels first", "floats", "no batch"],
)
def test_normalising_refuses_other_layouts(crops: torch.Tensor) -> None:
    with pytest.raises(ValueError, match="uint8"):
        normalise(crops)


@pytest.mark.parametrize("make", [Encoder, lambda: FoldedEncoder(Encoder())])
@pytest.mark.parametrize(
    "images",
    [
        torch.zeros(1, 3, 256, 256),
        torch.zeros(3, 224, 224),
        torch.zeros(1, 3, 224, 224, dtype=torch.uint8),
    ],
    ids=["wrong size", "no batch", "raw bytes"],
)
def test_other_images_are_refused(make, images: torch.Tensor) -> None:
    with pytest.raises(ValueError, match="images must be"):
        make()(images)
