"""`staf blender` with a real Blender, each time with a user's folder of its own.

Needs the Blender in a folder, so it runs from .ci/blender.sh, which sets STAF_WINDOW.
"""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

if not os.environ.get("STAF_WINDOW"):
    pytest.skip("a real Blender needs .ci/blender.sh test", allow_module_level=True)

from tests.addon.window.screen import IN_FOLDER, REPOSITORY

MANIFEST = "extensions/user_default/staf/blender_manifest.toml"


@pytest.fixture
def user(tmp_path: Path, monkeypatch) -> Path:
    """A user who never started Blender."""
    folder = tmp_path / "user"
    folder.mkdir()
    monkeypatch.setenv("BLENDER_USER_RESOURCES", str(folder))
    monkeypatch.setenv("PYTHONPATH", str(REPOSITORY))
    return folder


def staf_blender(*words: object, code: int = 0) -> dict[str, Any]:
    """The last line of `staf blender WORDS --progress json`."""
    command = [sys.executable, "-m", "staf_backend", "blender", *map(str, words)]
    command += ["--blender", IN_FOLDER, "--progress", "json"]
    ended = subprocess.run(command, capture_output=True, text=True, check=False, cwd=REPOSITORY)
    assert ended.returncode == code, ended.stdout + ended.stderr
    return json.loads(ended.stdout.splitlines()[-1])


def blender(*words: str) -> None:
    subprocess.run([IN_FOLDER, *words], capture_output=True, check=True, cwd=REPOSITORY)


def test_install_enables_it_and_points_it_at_this_python(user):
    assert staf_blender("list")["blenders"][0]["installed"] == {}
    (made,) = staf_blender("install")["blenders"]
    assert (made["blender"], made["before"], made["version"]) == ("4.3.2", None, "0.1.0")
    assert (user / MANIFEST).is_file()
    (seen,) = staf_blender("list")["blenders"]
    assert (seen["installed"], seen["enabled"]) == ({"user_default": "0.1.0"}, True)
    assert seen["python"] == sys.executable


def test_an_older_one_is_replaced_and_other_preferences_stay(user):
    staf_blender("install")
    setting = "import bpy; bpy.context.preferences.view.show_splash = False; \
               bpy.ops.wm.save_userpref()"
    blender("--background", "--python-expr", " ".join(setting.split()))
    manifest = user / MANIFEST
    manifest.write_text(manifest.read_text().replace('"0.1.0"', '"0.0.9"'))
    (manifest.parent / "old.py").write_text("left over")
    (made,) = staf_blender("install")["blenders"]
    assert (made["before"], made["version"]) == ("0.0.9", "0.1.0")
    assert not (manifest.parent / "old.py").exists()
    check = "import bpy; assert not bpy.context.preferences.view.show_splash"
    blender("--background", "--python-exit-code", "1", "--python-expr", check)


def test_no_write_access_says_so_and_changes_nothing(user):
    (user / "extensions").write_text("a file where the folder should be")
    error = staf_blender("install", code=9)
    assert "cannot be written to" in error["message"]
    assert (user / "extensions").read_text() == "a file where the folder should be"


def test_a_repository_to_install_from_and_no_second_one_beside_it(user, tmp_path):
    wheel = tmp_path / "staf_backend-0.1.0-py3-none-any.whl"
    wheel.write_bytes(b"no wheel")
    made = staf_blender("repository", tmp_path / "repository", "--wheel", wheel)
    names = {Path(name).name for name in made["files"]}
    assert names == {"index.json", "index.html", "staf-0.1.0.zip", wheel.name}
    extension = ("--online-mode", "--command", "extension")
    blender(*extension, "repo-add", "--url", made["index"], "--name", "staf", "mine")
    blender(*extension, "sync")
    blender(*extension, "install", "-e", "mine.staf")
    assert staf_blender("list")["blenders"][0]["installed"] == {"mine": "0.1.0"}
    error = staf_blender("install", code=9)
    assert "installed from mine" in error["message"]
    assert "Remove it there" in error["advice"]
    assert not (user / MANIFEST).exists()


def test_a_wheel_that_is_none_makes_no_repository(user, tmp_path):
    error = staf_blender("repository", tmp_path / "new", "--wheel", "numpy.whl", code=9)
    assert "is not a wheel of staf-backend" in error["message"]
    assert not (tmp_path / "new").exists()
    assert user.is_dir()
