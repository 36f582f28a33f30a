"""A script that uses the add-on ends by itself, in silence."""

import os
import subprocess
import sys

import bpy
import pytest

from tests.addon.blender_scene import REPOSITORY

REGISTER = "import bpy, addon; addon.register()"
ENDINGS = {
    "registered": REGISTER,
    "registered-again": f"{REGISTER}; addon.unregister(); addon.register()",
    "unregistered": f"{REGISTER}; addon.unregister()",
    "unregistered-twice": f"{REGISTER}; addon.unregister(); addon.unregister()",
    "another-file": f"{REGISTER}; bpy.ops.wm.read_homefile(use_factory_startup=True)",
    "handlers-cleared": f"{REGISTER}; bpy.app.handlers.load_pre.clear()",
    "enabled": "import bpy, addon_utils; assert addon_utils.enable('addon')",
}


@pytest.mark.parametrize("program", ENDINGS.values(), ids=ENDINGS)
def test_the_end_of_a_script_says_nothing(tmp_path, program):
    script = tmp_path / "script.py"
    script.write_text(f"import sys; sys.path.insert(0, {str(REPOSITORY)!r})\n{program}\n")
    command = [sys.executable, str(script)]
    if bpy.app.binary_path:
        command = [bpy.app.binary_path, "--background", "--factory-startup"]
        command += ["--python-exit-code", "9", "--python", str(script)]
    environment = {**os.environ, "BLENDER_USER_RESOURCES": str(tmp_path / "user")}
    ended = subprocess.run(
        command, env=environment, capture_output=True, text=True, check=False, timeout=120
    )
    assert ended.returncode == 0, ended.stderr
    assert "Traceback" not in ended.stdout + ended.stderr
    assert "Error" not in ended.stdout + ended.stderr
