"""Write the open bodies into the add-on: python .ci/make_addon_bodies.py

The add-on may not import the backend, so it carries the open bodies (CC0) as plain arrays.
"""

import sys
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(REPOSITORY))

from staf_backend.blender.bodies import write_bodies  # noqa: E402


def main() -> None:
    folder = REPOSITORY / "addon" / "bodies"
    folder.mkdir(exist_ok=True)
    for path in write_bodies(folder):
        print(path.name, path.stat().st_size)


if __name__ == "__main__":
    main()
