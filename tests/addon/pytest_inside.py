"""Run pytest inside Blender, or with the bpy module, and end with pytest's own exit code.

    blender --background --factory-startup --python-exit-code 1 --python pytest_inside.py -- \
        PYTEST_FOLDER ARGUMENTS...
    python pytest_inside.py -- - ARGUMENTS...

PYTEST_FOLDER was made with `pip install --target PYTEST_FOLDER pytest`.
"""

import os
import sys

folder, *arguments = sys.argv[sys.argv.index("--") + 1 :]
if folder != "-":
    sys.path.insert(0, folder)

import pytest  # noqa: E402

code = int(pytest.main(["-p", "no:cacheprovider", *arguments]))
sys.stdout.flush()
# Blender would say 0 whatever happened; bpy 4.2 crashes on exit after any glTF export
os._exit(code)
