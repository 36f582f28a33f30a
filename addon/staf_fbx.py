# SPDX-License-Identifier: GPL-3.0-or-later
"""What `staf convert -o FILE.fbx` runs inside Blender, or with the bpy module; no part of the
add-on imports it.

    blender --background --factory-startup --python staf_fbx.py -- ORDER.json

The order has `addon` (folder of the add-on), `motions` (files), `bone_names`, `root_motion`,
`mesh`, `look` (as the importer knows them) and `output` (the file to write).  It ends with code 0,
or with 1 and a last line on standard error that says why.
"""

import importlib
import json
import os
import sys
from pathlib import Path

import bpy


def main(order: dict) -> None:
    """Make all characters of a file in an empty scene, and export them.

    Raises:
        RuntimeError: Blender or the add-on refuses.
    """
    folder = Path(order["addon"])
    sys.path.insert(0, str(folder.parent))
    importlib.import_module(folder.name).register()
    bpy.ops.wm.read_homefile(use_factory_startup=True, use_empty=True)
    for motion in order["motions"]:
        bpy.ops.staf.import_motion(
            filepath=motion,
            bone_names=order["bone_names"],
            root_motion=order["root_motion"],
            mesh=order["mesh"],
            look=order["look"],
            keys="whole",  # the exporter samples whole frames
            onto="AUTO",  # several motions of one person are takes of one character
            camera=False,
            background=False,
        )
    bpy.ops.staf.export_clips(
        filepath=order["output"], selected_only=False, skeleton_only=not order["mesh"]
    )


if __name__ == "__main__":
    code = 0
    try:
        main(json.loads(Path(sys.argv[-1]).read_text(encoding="utf-8")))
    except (RuntimeError, ImportError, OSError) as error:  # RuntimeError: an operator's
        print("staf_fbx: " + str(error).strip().removeprefix("Error: "), file=sys.stderr)
        code = 1
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)  # Blender's own would be 0; and the bpy module may crash on exit
