"""Run the node programs in tests/gltf_checks: the Khronos validator and three.js."""

import json
import os
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from tests.support.places import REPOSITORY

FOLDER = REPOSITORY / "tests" / "gltf_checks"


def run_node(script: str, *arguments: str) -> Any:
    """The JSON that a script prints.  Without node or its packages: skipped, but failed in CI."""
    _need_packages()
    command = ["node", str(FOLDER / script), *arguments]
    result = subprocess.run(command, capture_output=True, text=True, check=False, timeout=120)
    assert result.returncode == 0, result.stderr
    return json.loads(result.stdout)


def _need_packages() -> None:
    modules = Path(os.environ.get("STAF_NODE_MODULES", FOLDER / "node_modules"))
    wanted = json.loads((FOLDER / "package.json").read_text())["dependencies"]
    present = all((modules / name).is_dir() for name in wanted)
    if present and shutil.which("node"):
        return
    reason = f"node packages are not in {modules}: run `npm ci` in tests/gltf_checks"
    if os.environ.get("CI"):
        pytest.fail(reason)
    pytest.skip(reason)
