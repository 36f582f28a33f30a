# SPDX-License-Identifier: GPL-3.0-or-later
"""Copy what a wheel is built from, so that building it leaves nothing in the clone.

    python copy_source.py CLONE FOLDER

Run by Blender's Python as a child process: standard library only, imports nothing of the add-on.
"""

import shutil
import sys
from pathlib import Path

NEEDED = (
    *("pyproject.toml", "setup.py", "MANIFEST.in", "README.md", "LICENSE", "NOTICE"),
    *("staf_backend", "addon"),
)


def main(clone: Path, folder: Path) -> None:
    """Copy the parts that are there; the builder says what is missing."""
    folder.mkdir()
    unwanted = shutil.ignore_patterns("__pycache__", "*.pyc", ".*_cache")
    for name in NEEDED:
        part = clone / name
        if part.is_dir():
            shutil.copytree(part, folder / name, ignore=unwanted)
        elif part.is_file():
            shutil.copy(part, folder / name)


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
