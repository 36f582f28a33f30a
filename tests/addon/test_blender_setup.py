"""Set Up Backend for real: a virtual environment, from a folder of wheels, without the network."""

import os
import shutil
from pathlib import Path

import bpy
import pytest

from addon.solving.installing import environment_python
from addon.solving.process import run
from addon.storage import user_folder

pytestmark = [
    pytest.mark.usefixtures("clean"),
    pytest.mark.skipif(
        os.environ.get("STAF_ADDON_PLACE") != "bpy45", reason="half a minute; one place is enough"
    ),
]


@pytest.fixture(autouse=True)
def empty(monkeypatch):
    monkeypatch.delenv("STAF_BACKEND_PYTHON", raising=False)
    monkeypatch.delenv("PYTHONPATH", raising=False)
    yield
    shutil.rmtree(user_folder("backend"))


def test_a_folder_of_wheels_is_enough():
    wheels = os.environ["STAF_WHEELS"]
    assert not bpy.app.online_access
    assert bpy.ops.staf.setup_backend(source=wheels) == {"FINISHED"}
    (made,) = user_folder("backend").iterdir()
    result = run(str(environment_python(made)), ["doctor"])
    assert result["ok"], result["problems"]


def test_a_folder_that_lacks_something_leaves_nothing(tmp_path):
    (wheel,) = Path(os.environ["STAF_WHEELS"]).glob("staf_backend-*.whl")
    shutil.copy(wheel, tmp_path)
    before = user_folder("backend") / "1"
    before.mkdir()
    with pytest.raises(RuntimeError, match=r"the backend needs.* to be had"):
        bpy.ops.staf.setup_backend(source=str(tmp_path))
    assert list(user_folder("backend").iterdir()) == [before], "the environment in use stays"
    bpy.ops.staf.show_log()
    assert "numpy" in bpy.data.texts["STAF log"].as_string()
