"""Embedded files: complete, unharmed, and refused when they are not."""

import hashlib
import importlib.resources
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from staf_backend import assets
from staf_backend.files import sha256
from staf_backend.weights import OPEN

FOLDER = Path(assets.__file__).parent
NOT_LISTED = {"SHA256SUMS", "__init__.py", "__pycache__", OPEN}


@pytest.mark.parametrize("name", assets.names())
def test_every_file_is_what_was_published(name: str):
    path = assets.asset_path(name)
    assert hashlib.sha256(path.read_bytes()).hexdigest() == sha256(path)
    line = f"{sha256(path)}  {name}"
    assert line in (FOLDER / "SHA256SUMS").read_text().splitlines()


def test_every_file_of_data_has_a_checksum():
    kinds = (".onnx", ".npz", ".safetensors", ".js")
    data = {p.name for p in FOLDER.iterdir() if p.suffix in kinds}
    assert data == set(assets.names()) & data
    files = [p for p in (FOLDER / OPEN).iterdir() if p.suffix in (*kinds, ".json")]
    assert {f"{OPEN}/{path.name}" for path in files} == {n for n in assets.names() if "/" in n}
    assert {"movenet_multipose.onnx", "pose_landmark_heavy.onnx", "lift.onnx"} <= data
    texts = {p.name for p in FOLDER.iterdir()} - data - NOT_LISTED
    assert all(name.startswith("LICENSE.") or name.endswith((".md", ".json")) for name in texts)


def test_the_lifting_network_is_small_and_has_its_card():
    assert (FOLDER / "lift.onnx").stat().st_size <= 10_000_000
    assert "mocap.cs.cmu.edu" in (FOLDER / "lift.md").read_text()


def test_the_package_carries_them():
    files = importlib.resources.files("staf_backend.assets")
    for name in (*assets.names(), "SHA256SUMS"):
        assert files.joinpath(name).is_file()


class TestDamage:
    """On a copy of the folder, with the real function pointed at it."""

    @pytest.fixture
    def folder(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
        shutil.copy(FOLDER / "SHA256SUMS", tmp_path)
        shutil.copy(FOLDER / "pose_landmark_full.onnx", tmp_path)
        monkeypatch.setattr(assets, "_FOLDER", tmp_path)
        assets.asset_path.cache_clear()
        yield tmp_path
        assets.asset_path.cache_clear()

    def test_the_copy_is_sound(self, folder: Path):
        assert assets.asset_path("pose_landmark_full.onnx") == folder / "pose_landmark_full.onnx"

    def test_one_flipped_bit_is_found(self, folder: Path):
        path = folder / "pose_landmark_full.onnx"
        data = bytearray(path.read_bytes())
        data[len(data) // 2] ^= 1
        path.write_bytes(data)
        with pytest.raises(assets.AssetError, match=r"full\.onnx is damaged") as caught:
            assets.asset_path("pose_landmark_full.onnx")
        assert (caught.value.kind, caught.value.exit_code) == ("weights", 6)
        assert "Install" in caught.value.advice

    def test_a_shortened_file_is_found(self, folder: Path):
        path = folder / "pose_landmark_full.onnx"
        path.write_bytes(path.read_bytes()[:-1])
        with pytest.raises(assets.AssetError, match="damaged"):
            assets.asset_path("pose_landmark_full.onnx")

    @pytest.mark.usefixtures("folder")
    def test_a_missing_file_is_named(self):
        with pytest.raises(assets.AssetError, match=r"heavy\.onnx cannot be read"):
            assets.asset_path("pose_landmark_heavy.onnx")

    @pytest.mark.parametrize("name", ["__init__.py", "SHA256SUMS", "../__init__.py"])
    def test_a_file_without_a_checksum_is_not_given_out(self, folder: Path, name: str):
        (folder / "__init__.py").write_text("")
        with pytest.raises(assets.AssetError):
            assets.asset_path(name)
