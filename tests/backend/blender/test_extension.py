"""The zip that Blender installs, from a clone and from what a wheel carries."""

import ast
import hashlib
import json
import shutil
import tomllib
import zipfile
from pathlib import Path

import numpy as np
import pytest

from staf_backend import __version__
from staf_backend.blender import extension
from staf_backend.blender.error import BlenderError
from staf_backend.cli import main
from tests.support.places import REPOSITORY


def names_of(path: Path) -> set[str]:
    with zipfile.ZipFile(path) as archive:
        assert archive.testzip() is None
        return set(archive.namelist())


def left_out() -> list[str]:
    """What `setup.py` keeps out of a wheel; read, for importing it would build one."""
    tree = ast.parse((REPOSITORY / "setup.py").read_text())
    values = [n.value for n in tree.body if isinstance(n, ast.Assign)]
    return ast.literal_eval(values[0])


def test_the_command_writes_it_into_a_folder(tmp_path: Path, capsys):
    assert main(["blender", "zip", str(tmp_path / "out")]) == 0
    path = tmp_path / "out" / f"staf-{__version__}.zip"
    assert str(path) in capsys.readouterr().out
    names = names_of(path)
    sources = {
        p.relative_to(REPOSITORY / "addon").as_posix() for p in (REPOSITORY / "addon").rglob("*.py")
    }
    assert sources | {"LICENSE", "blender_manifest.toml"} <= names
    assert {f"bodies/open-{kind}.npz" for kind in ("neutral", "male", "female")} <= names
    assert not [n for n in names if "__pycache__" in n or n.startswith(("pictures/", "ruff", "."))]
    assert extension.BESIDE not in names


def test_equal_files_give_equal_zips(tmp_path: Path):
    for name in ("a.zip", "b.zip"):
        extension.write_zip(tmp_path / name)
    assert (tmp_path / "a.zip").read_bytes() == (tmp_path / "b.zip").read_bytes()


def test_a_wheel_beside_it_is_named_by_its_checksum(tmp_path: Path):
    wheel = tmp_path / "staf_backend-0.1.0-py3-none-any.whl"
    wheel.write_bytes(b"a wheel")
    extension.write_zip(tmp_path / "staf.zip", wheel)
    with zipfile.ZipFile(tmp_path / "staf.zip") as archive:
        told = json.loads(archive.read(extension.BESIDE))
    assert told == {"wheel": wheel.name, "sha256": hashlib.sha256(b"a wheel").hexdigest()}


def test_what_a_wheel_carries_gives_the_same_add_on(tmp_path: Path, monkeypatch):
    """A wheel has no bodies in it: they are made anew, and are the clone's to the last bit."""
    extension.write_zip(tmp_path / "clone.zip")
    carried = tmp_path / "addon_files"
    shutil.copytree(REPOSITORY / "addon", carried, ignore=shutil.ignore_patterns(*left_out()))
    monkeypatch.setattr(extension, "_PACKED", carried)
    extension.write_zip(tmp_path / "wheel.zip")
    missing = names_of(tmp_path / "clone.zip") ^ names_of(tmp_path / "wheel.zip")
    assert missing == {"README.md"}
    with (
        zipfile.ZipFile(tmp_path / "clone.zip") as clone,
        zipfile.ZipFile(tmp_path / "wheel.zip") as wheel,
    ):
        for name in wheel.namelist():
            if name.endswith(".npz"):
                with np.load(clone.open(name)) as old, np.load(wheel.open(name)) as new:
                    assert set(old.files) == set(new.files)
                    assert all(np.array_equal(old[one], new[one]) for one in old.files)
                    exact = [old[one] for one in old.files if old[one].dtype == np.float64]
                    assert exact
                    assert all(np.array_equal(one, one.round(9)) for one in exact)
            else:
                assert wheel.read(name) == clone.read(name)


def test_a_damaged_installation_says_so(tmp_path: Path, monkeypatch):
    for name in ("_PACKED", "_CLONE"):
        monkeypatch.setattr(extension, name, tmp_path / "absent")
    with pytest.raises(BlenderError, match="lacks the add-on"):
        extension.write_zip(tmp_path / "staf.zip")
    assert main(["blender", "zip", str(tmp_path)]) == 9
    assert list(tmp_path.iterdir()) == []


def test_a_zip_that_cannot_be_written_says_so(tmp_path: Path, capsys):
    (tmp_path / "file").write_text("x")
    assert main(["blender", "zip", str(tmp_path / "file" / "staf.zip")]) == 5
    assert "cannot write" in capsys.readouterr().err


def test_the_halves_have_one_version():
    manifest = tomllib.loads((REPOSITORY / "addon" / "blender_manifest.toml").read_text())
    assert manifest["version"] == __version__
