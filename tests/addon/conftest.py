"""Tests of the add-on.

`test_logic_*` need no Blender and always run.  `test_blender_*` need bpy: the module, or a real
Blender through `pytest_inside.py`; they are not collected elsewhere.  STAF_ADDON_PLACE, which
.ci/blender.sh sets, makes a missing bpy an error.
"""

import importlib.util
import os
import sys
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[2]
for folder in (REPOSITORY, Path(__file__).parent):
    if str(folder) not in sys.path:
        sys.path.insert(0, str(folder))

if importlib.util.find_spec("bpy") is None and not os.environ.get("STAF_ADDON_PLACE"):
    collect_ignore_glob = ["test_blender_*.py"]
else:
    from blender_scene import backend, clean  # noqa: F401 - fixtures
