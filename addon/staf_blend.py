# SPDX-License-Identifier: GPL-3.0-or-later
"""What `staf batch --blend` and `--onto` run inside Blender, or with the bpy module; no part of the
add-on imports it.

    blender --background --factory-startup --python staf_blend.py -- ORDER.json

The order has `addon` (folder of the add-on), `motions` (files, and where they will lie), `video`
(may be empty), `blend` (the file to write; may be empty), `rig` (`path`, `name`, `bone_map`; may be
null) and `worn` (the file to write with the motions on the rig).  One with `addon` and `rig` alone
asks whether the rig can wear motions.  It ends with code 0, or with 1 and a last line on standard
error that says why.
"""

import importlib
import json
import os
import sys
from pathlib import Path

import bpy


def main(order: dict) -> None:
    """Make all characters of a clip in an empty scene, and save it; put them on a rig, and save it.

    Raises:
        RuntimeError: Blender or the add-on refuses.
    """
    folder = Path(order["addon"])
    sys.path.insert(0, str(folder.parent))
    importlib.import_module(folder.name).register()
    if order.get("blend"):
        make_scene(order)
    if order["rig"]:
        open_rig(**order["rig"])
        if order.get("worn"):
            put_on_rig(order)


def make_scene(order: dict) -> None:
    """The characters, their camera and the footage, saved."""
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
    _save(order["blend"])


def open_rig(path: str, name: str, bone_map: str) -> None:
    """Open the rig's file, make the rig active, and see that its bones are known."""
    # scripts in it stay asleep: it may be a stranger's
    bpy.ops.wm.open_mainfile(filepath=path, load_ui=False, use_scripts=False)
    layer = bpy.context.view_layer
    rigs = {item.name: item for item in layer.objects if item.type == "ARMATURE"}
    chosen = rigs.get(name) if name else next(iter(rigs.values()), None)
    if chosen is None or (len(rigs) > 1 and not name):
        names = ", ".join(rigs) or "no rig"
        raise RuntimeError(f"{Path(path).name} has {names}: say which one with --rig.")
    layer.objects.active = chosen
    if bone_map:
        bpy.ops.staf.load_bone_map(filepath=bone_map)
    else:
        bpy.ops.staf.guess_bones()


def put_on_rig(order: dict) -> None:
    """An action of each motion on the active rig, saved; what it links stays where it is."""
    paths = [Path(motion["file"]) for motion in order["motions"]]
    files = [{"name": path.name} for path in paths]  # of a folder whose name need be no text
    folder = str(paths[0].parent)
    bpy.ops.staf.retarget(directory=folder, files=files, bone_map=order["rig"]["bone_map"])
    bpy.ops.file.make_paths_absolute()
    _save(order["worn"])


def _save(path: str) -> None:
    # the file moves after this: paths must not be relative to where it is written
    bpy.ops.wm.save_as_mainfile(filepath=path, compress=True, relative_remap=False)


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
