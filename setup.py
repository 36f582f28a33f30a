"""The one step that `pyproject.toml` cannot say: a wheel carries the Blender add-on as data.

`staf blender` builds the extension from it.  The open bodies are left out, since they are made from
those of `staf_backend/assets`.
"""

import shutil
from pathlib import Path

from setuptools import setup
from setuptools.command.build_py import build_py

LEFT_OUT = ("__pycache__", "*.pyc", ".*", "bodies", "pictures", "ruff.toml", "README.md")


class BuildWithAddOn(build_py):
    """Copies `addon` into the package that is being built."""

    def run(self) -> None:
        super().run()
        if not self.editable_mode:  # there the folder itself is used
            target = Path(self.build_lib, "staf_backend", "blender", "addon_files")
            shutil.rmtree(target, ignore_errors=True)
            shutil.copytree("addon", target, ignore=shutil.ignore_patterns(*LEFT_OUT))


setup(cmdclass={"build_py": BuildWithAddOn})
