"""Inside the window's Blender: show the tab, then answer questions through files.

    blender --python ready.py -- FOLDER [--fresh]

With --fresh nothing is shown or hidden: the window is as somebody finds it who starts Blender for
the first time.  FOLDER/state.json is written ten times a second; each new FOLDER/ask-N.py is run
once and its variable `answer` written to FOLDER/answer-N.json.
"""

import json
import sys
import time
from pathlib import Path

import addon_utils
import bpy

FOLDER = Path(sys.argv[sys.argv.index("--") + 1])
FRESH = "--fresh" in sys.argv
MODULE = "bl_ext.user_default.staf"
_beats = {"last_s": 0.0, "longest_gap_s": 0.0, "steps": 0}


def view():
    screen = bpy.context.window_manager.windows[0].screen
    return next(area for area in screen.areas if area.type == "VIEW_3D")


def prepare():
    """One step a call: the sidebar takes a category only after it was drawn once."""
    _beats["steps"] += 1 if not FRESH else 4
    area = view()
    if _beats["steps"] == 1:
        window = bpy.context.window_manager.windows[0]
        region = next(one for one in area.regions if one.type == "WINDOW")
        with bpy.context.temp_override(window=window, area=area, region=region):
            bpy.ops.screen.screen_full_area()
        return 0.5
    if _beats["steps"] == 2:
        area.spaces.active.show_region_ui = True
        return 0.5
    if _beats["steps"] == 3:
        next(r for r in area.regions if r.type == "UI").active_panel_category = "STAF"
        area.tag_redraw()
        return 0.5
    bpy.app.timers.register(beat, first_interval=0.1)
    print("READY", flush=True)
    return None


def beat():
    now = time.perf_counter()
    if _beats["last_s"]:
        _beats["longest_gap_s"] = max(_beats["longest_gap_s"], now - _beats["last_s"] - 0.1)
    answer_all()
    write("state.json", sys.modules[f"{MODULE}.solving.solve"].state() | _beats)
    _beats["last_s"] = time.perf_counter()
    return 0.1


def answer_all():
    for question in sorted(FOLDER.glob("ask-*.py")):
        names = {"bpy": bpy, "beats": _beats, "MODULE": MODULE, "answer": None}
        exec(compile(question.read_text(), question.name, "exec"), names)
        question.unlink()
        write(question.name.replace("ask", "answer").replace(".py", ".json"), names["answer"])


def write(name, values):
    part = FOLDER / f"{name}.part"
    part.write_text(json.dumps(values))
    part.replace(FOLDER / name)


bpy.context.preferences.view.show_splash = FRESH
# without a window manager a second window would lie under the first
bpy.context.preferences.view.filebrowser_display_type = "SCREEN"
addon_utils.enable(MODULE, default_set=True)
bpy.app.timers.register(prepare, first_interval=0.5)
