"""Tests of the add-on.

`test_logic_*` need no Blender and always run.  `test_blender_*` need bpy: the module, or a real
Blender through `pytest_inside.py`; they are not collected elsewhere.  STAF_ADDON_PLACE, which
.ci/blender.sh sets, makes a missing bpy an error.
"""

import importlib.util
import os

if importlib.util.find_spec("bpy") is None and not os.environ.get("STAF_ADDON_PLACE"):
    collect_ignore_glob = ["test_blender_*.py"]
else:
    from tests.addon.blender_scene import backend, clean  # noqa: F401 - fixtures
