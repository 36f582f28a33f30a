"""Folders of weights whose descriptions would hang, crash or fill the memory of their reader."""

import hashlib
import json
import struct
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from staf_backend.weights import OPEN, WeightsError, set_folder
from staf_backend.weights.adopt import adopt_weights
from tests.backend.weights.test_adopt import rewritten
from tests.support.forked import Forked
from tests.support.make_hostile import check_refused, forked_with_limits

DEEP = "[" * 100_000 + "]" * 100_000


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """The open set, its tensors as links."""
    made = tmp_path / "set"
    made.mkdir()
    for file in set_folder(OPEN).iterdir():
        if file.suffix == ".safetensors":
            (made / file.name).symlink_to(file)
        else:
            (made / file.name).write_bytes(file.read_bytes())
    return made


def of_plan(**values: Any) -> tuple[str, Callable[[dict], object]]:
    return "encoder.json", lambda plan: plan.update(values)


def of_layer(number: int, **values: Any) -> tuple[str, Callable[[dict], object]]:
    return "encoder.json", lambda plan: plan["layers"][number].update(values)


def of_config(**values: Any) -> tuple[str, Callable[[dict], object]]:
    return "weights.json", lambda info: info["config"].update(values)


def of_info(**values: Any) -> tuple[str, Callable[[dict], object]]:
    return "weights.json", lambda info: info.update(values)


HUGE = (3_000_000, 10**18, -1, 0, 1.0, 2.5, True, "9", None, [9], {}, float("nan"), float("inf"))
ODD_SIZES = {
    **{f"{name} {v}": of_plan(**{name: v}) for v in HUGE for name in ("blocks", "width", "looks")},
    **{f"plan's channels {v}": of_plan(channels=v) for v in HUGE},
    **{
        f"layer's {name} {v}": of_layer(0, **{name: v})
        for v in HUGE
        for name in ("channels", "out", "kernel", "stride", "groups")
    },
    **{
        f"{name} {v}": of_config(**{name: v})
        for v in HUGE
        for name in ("frames", "channels", "mesh_points", "map_channels")
    },
}
ODD_VALUES = {
    "two blocks of 4000": of_plan(width=4000, blocks=100),
    "kernel that fits": of_layer(0, kernel=5, pads=[2, 2, 2, 2]),
    "three pads": of_layer(0, pads=[1, 1, 1]),
    "pads": of_layer(0, pads=[10**9] * 4),
    "pads of words": of_layer(0, pads="1111"),
    "bias": of_layer(0, bias="no"),
    "inputs": of_layer(0, inputs=[["image"]]),
    "inputs of numbers": of_layer(0, inputs=7),
    "name of a layer": of_layer(0, name=7),
    "layers": of_plan(layers=7),
    "layer": of_plan(layers=[7]),
    "many layers": of_plan(
        layers=[{"name": f"x{n}", "operation": "relu6", "inputs": ["image"]} for n in range(1001)]
    ),
    "doubled": (
        "encoder.json",
        lambda plan: plan["layers"].extend(
            {"name": f"x{n}", "operation": "double", "inputs": [f"x{n - 1}" if n else "image"]}
            for n in range(40)
        ),
    ),
    "terminal": of_plan(**{"\x1b[2J": 1}),
    "name of the plan": of_plan(name="\x1b[2J"),
    "digest": of_plan(digest=7),
    "tensors": of_plan(tensors=["pose_landmark_heavy.safetensors"]),
    "landmarks": of_plan(landmarks=["conv_695"]),
    "frames, a power of three": of_config(frames=3486784401),
    "stages": of_config(tcfm_stage=1.0),
    "stage true": of_config(safm_stage=True),
    "average": of_config(average_target=1),
    "batching": of_config(tcfm_batching=["per_sample"]),
    "mesh of another body": of_config(mesh_points=432),
    "config": of_info(config=7),
    "unknown key": of_info(**{"\x1b[2J": 1}),
    "notes": of_info(notes=["\x1b[2J"]),
    "notes of numbers": of_info(notes=[7]),
    "long notes": of_info(notes=["a" * 100_000]),
    "many notes": of_info(notes=["a"] * 1000),
    "crop": of_info(crop_factor="1.2"),
    "encoder": of_info(encoder="\x1b[2J"),
    "sources": of_info(sources={"a": 7}),
    "files": of_info(files=["encoder.safetensors"]),
    "body elsewhere": of_info(body="evil.pkl"),
}


@pytest.fixture
def bare_folder(folder: Path) -> Path:
    """The open set's descriptions; they are read before the tensors, which are not there."""
    for path in folder.glob("*.safetensors"):
        path.unlink()
        path.write_bytes(b"")
        digest = hashlib.sha256(b"").hexdigest()
        rewritten(folder, "weights.json", of_file(path.name, digest))
    return folder


def of_file(name: str, digest: str) -> Callable[[dict], object]:
    return lambda info: info["files"].update({name: digest})


def refused(folder: Path, tmp_path: Path, words: str = "") -> None:
    start_s = time.process_time()
    with pytest.raises(WeightsError, match=words or None) as caught:
        adopt_weights(folder, name="staf", root=tmp_path / "home")
    assert str(caught.value).isprintable()
    assert len(str(caught.value)) < 1000
    assert time.process_time() - start_s < 10
    assert not (tmp_path / "home").exists()


@pytest.mark.parametrize(("file", "change"), ODD_SIZES.values(), ids=ODD_SIZES)
def test_sizes_have_limits_and_a_type(file: str, change, bare_folder: Path, tmp_path: Path):
    rewritten(bare_folder, file, change)
    refused(bare_folder, tmp_path, "must be a whole number from")


@pytest.mark.parametrize(("file", "change"), ODD_VALUES.values(), ids=ODD_VALUES)
def test_other_values_are_looked_at(file: str, change, folder: Path, tmp_path: Path):
    rewritten(folder, file, change)
    refused(folder, tmp_path)


TEXTS = {
    "deep": DEEP,
    "deep, cut short": '{"a":' * 100_000,
    "large": " " * 5_000_000,
    "no text": "\xff",
    "long number": "1" * 5000,
}


@pytest.mark.parametrize("text", TEXTS.values(), ids=TEXTS)
@pytest.mark.parametrize("file", ["weights.json", "encoder.json"])
def test_texts_that_hurt_are_refused(file: str, text: str, folder: Path, tmp_path: Path):
    (folder / file).write_bytes(text.encode("latin1"))
    if file == "encoder.json":
        digest = hashlib.sha256(text.encode("latin1")).hexdigest()
        rewritten(folder, "weights.json", lambda info: info["files"].update({file: digest}))
    refused(folder, tmp_path)


def packed(header: dict[str, Any] | bytes, numbers: bytes = bytes(16)) -> bytes:
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    return struct.pack("<Q", len(text)) + text + numbers


def entry(shape: list[int], dtype: str = "F32", place: tuple[int, int] = (0, 16)) -> dict[str, Any]:
    return {"conv1.weight": {"dtype": dtype, "shape": shape, "data_offsets": list(place)}}


SAFETENSORS = {
    "empty": b"",
    "header beyond the end": struct.pack("<Q", 2**62) + b"{}",
    "shape without numbers": packed(entry([3_000_000_000])),
    "shape of nothing": packed(entry([0, 2**62], place=(0, 0)), b""),
    "overflow": packed(entry([2**33, 2**33])),
    "unknown type": packed(entry([4], "F7")),
    "tiny floats": packed(entry([16], "F8_E4M3")),
    "scales": packed(entry([16], "F8_E8M0")),
    "bool": packed(entry([16], "BOOL")),
    "unsigned": packed(entry([8], "U16")),
    "complex": packed(entry([2], "C64")),
    "places": packed(entry([4], place=(16, 0))),
    "deep": packed(DEEP.encode()),
    "no tensors": packed({}, b""),
}


@pytest.mark.parametrize("content", SAFETENSORS.values(), ids=SAFETENSORS)
def test_damaged_tensors_are_refused(content: bytes, folder: Path, tmp_path: Path):
    (folder / "encoder.safetensors").unlink()
    (folder / "encoder.safetensors").write_bytes(content)
    digest = hashlib.sha256(content).hexdigest()
    rewritten(
        folder, "weights.json", lambda info: info["files"].update({"encoder.safetensors": digest})
    )
    refused(folder, tmp_path)


@pytest.mark.parametrize("dtype", [torch.bool, torch.int32, torch.complex64, torch.float8_e5m2])
def test_tensors_of_another_type_are_refused(dtype: torch.dtype, folder: Path, tmp_path: Path):

    path = folder / "encoder.safetensors"
    state = load_file(path)
    path.unlink()
    save_file({name: tensor.to(dtype) for name, tensor in state.items()}, path)
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    rewritten(folder, "weights.json", lambda info: info["files"].update({path.name: digest}))
    refused(folder, tmp_path)


ODD_ARRAYS = {
    "0-d": np.array(1.0),
    "1-d": np.zeros(3),
    "empty": np.zeros((0, 3)),
    "words": np.array([["a", "b", "c"]]),
    "bool": np.ones((2, 3), bool),
    "wide": np.zeros((1, 100_000)),
}


@pytest.mark.parametrize("odd", ODD_ARRAYS.values(), ids=ODD_ARRAYS)
def test_a_set_with_an_odd_body_is_refused(odd: np.ndarray, folder: Path, tmp_path: Path):
    names = ("v_template", "shapedirs", "posedirs", "J_regressor", "weights", "kintree_table")
    arrays: dict[str, Any] = dict.fromkeys((*names, "f", "vids_431", "J_regressor_extra"), odd)
    np.savez(folder / "body.npz", **arrays)
    digest = hashlib.sha256((folder / "body.npz").read_bytes()).hexdigest()
    rewritten(folder, "weights.json", lambda info: info["files"].update({"body.npz": digest}))
    refused(folder, tmp_path)


KINDS = {
    "plan-blocks": of_plan(width=4000, blocks=3_000_000),
    "plan-layer-out": of_layer(0, out=1_000_000_000),
    "config-frames": of_config(frames=3486784401),
    "plan-tensors-traversal": of_plan(tensors="../../../../etc/passwd"),
}


@pytest.fixture(scope="module")
def forked() -> Iterator[Forked]:
    with Forked("staf_backend.weights.commands") as running:
        yield running


@pytest.mark.parametrize(("file", "change"), KINDS.values(), ids=KINDS)
def test_the_command_refuses_them(file: str, change, forked: Forked, folder: Path, tmp_path: Path):
    rewritten(folder, file, change)
    done = forked_with_limits(forked, "weights", "add", folder, cwd=tmp_path)
    check_refused(done, 6, tmp_path / "home")
