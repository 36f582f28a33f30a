# SPDX-License-Identifier: GPL-3.0-or-later
"""What `staf batch --blend` runs inside Blender, or with the bpy module; no part of the add-on
imports it.

    blender --background --factory-startup --python staf_blend.py -- ORDER.json

The order has `addon` (folder of the add-on), `motions` (files, and where they will lie), `video`
(may be empty) and `blend` (the file to write).  It ends with code 0, or with 1 and a last line on
standard error that says why.
"""

import importlib
import json
import os
import sys
from pathlib import Path

import bpy


def main(order: dict) -> None:
    """Make all characters of a clip in an empty scene, and save it.

    Raises:
        RuntimeError: Blender or the add-on refuses.
    """
    folder = Path(order["addon"])
    sys.path.insert(0, str(folder.parent))
    importlib.import_module(folder.name).register()
    bpy.ops.wm.read_homefile(use_factory_startup=True, use_empty=True)
    for number, motion in enumerate(order["motions"]):
        bpy.ops.staf.import_motion(
            filepath=motion["file"],
            video=order["video"],
            onto="NEW",
            camera=number == 0,
            background=bool(order["video"]) and number == 0,
        )
    kept = {motion["file"]: motion["kept"] for motion in order["motions"]}
    for item in bpy.context.scene.objects:
        if item.get("staf_motion") in kept:
            item["staf_motion"] = kept[item["staf_motion"]]
    # the file moves after this: paths must not be relative to where it is written
    bpy.ops.wm.save_as_mainfile(filepath=order["blend"], compress=True, relative_remap=False)


if __name__ == "__main__":
    code = 0
    try:
        main(json.loads(Path(sys.argv[-1]).read_text(encoding="utf-8")))
    except (RuntimeError, ImportError, OSError) as error:  # RuntimeError: an operator's
        print("staf_blend: " + str(error).strip().removeprefix("Error: "), file=sys.stderr)
        code = 1
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)  # Blender's own would be 0; and the bpy module may crash on exit
