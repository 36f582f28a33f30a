"""Run pytest inside a real Blender:

    blender --background --factory-startup --python-exit-code 1 --python pytest_inside.py -- \
        PYTEST_FOLDER ARGUMENTS...

PYTEST_FOLDER was made with `pip install --target PYTEST_FOLDER pytest`.
"""

import os
import sys

folder, *arguments = sys.argv[sys.argv.index("--") + 1 :]
sys.path.insert(0, folder)

import pytest  # noqa: E402

code = int(pytest.main(["-p", "no:cacheprovider", *arguments]))
sys.stdout.flush()
os._exit(code)  # Blender's own exit code would be 0 whatever happened
