"""A folder of videos to Blender files and clips, without a window.

    blender --background --python-exit-code 1 --python examples/03_blender_batch.py -- \
        VIDEOS... --out FOLDER [--together NAME] [--preset fast] [--no-blend]

or the same with the bpy module: python examples/03_blender_batch.py VIDEOS... --out FOLDER

Each video gives FOLDER/<video>.blend and FOLDER/<video>.glb with all its people.  --together NAME
takes the main person of every video as takes of one character and writes FOLDER/NAME.glb with an
animation each.  FOLDER/report.json says what became of every video.  The backend's Python is that
of the add-on's preferences, or STAF_BACKEND_PYTHON.

You will see one line a video.  The exit code is 0 only if every video went well, 1 if one failed,
2 for wrong words.  Blender itself exits with 0 even when a script breaks (a missing file, a wrong
version), unless --python-exit-code stands *before* --python.
"""

import argparse
import json
import os
import sys
import time
from pathlib import Path

import bpy


def main() -> int:
    options = _options()
    _enable_add_on()
    options.out.mkdir(parents=True, exist_ok=True)
    report = [_convert(video, options) for video in options.videos]
    if options.together:
        good = [entry["main_motion"] for entry in report if entry["ok"]]
        report.append(_merge(good, options))
    _write_report(options.out / "report.json", report)
    return 0 if all(entry["ok"] for entry in report) else 1


def _options() -> argparse.Namespace:
    words = sys.argv[sys.argv.index("--") + 1 :] if "--" in sys.argv else sys.argv[1:]
    parser = argparse.ArgumentParser(prog="blender_batch")
    parser.add_argument("videos", nargs="+", type=Path)
    parser.add_argument("--out", required=True, type=Path)
    parser.add_argument("--together", metavar="NAME", help="main persons as takes of one character")
    parser.add_argument("--preset", default="balanced", choices=("fast", "balanced", "best"))
    parser.add_argument("--person", default="ALL", choices=("ALL", "LARGEST"))
    parser.add_argument("--end", type=float, default=0.0, help="last second; 0 is the video's end")
    parser.add_argument("--travel", default="KEEP", choices=("KEEP", "ROOT", "IN_PLACE"))
    parser.add_argument("--no-blend", action="store_true", help="clips only")
    return parser.parse_args(words)


def _enable_add_on() -> None:
    """The installed extension, or else the checkout that this example lies in."""
    import addon_utils

    installed = "bl_ext.user_default.staf"
    if addon_utils.enable(installed, default_set=True) is None:
        sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
        import addon

        addon.register()


def _convert(video: Path, options: argparse.Namespace) -> dict:
    """One video; a failure is told in its entry and does not stop the others."""
    began = time.monotonic()
    entry: dict = {"video": str(video), "ok": False}
    try:
        entry |= _solve(video.resolve(), options) | {"ok": True}
    except RuntimeError as error:  # what operators raise, with their one line
        entry["error"] = str(error).strip().removeprefix("Error: ")
    entry["seconds"] = round(time.monotonic() - began, 2)
    print(f"{video.name}: {'ok' if entry['ok'] else entry['error']}", flush=True)
    return entry


def _solve(video: Path, options: argparse.Namespace) -> dict:
    bpy.ops.wm.read_homefile(use_factory_startup=True, use_empty=True)
    settings = bpy.context.scene.staf
    settings.person, settings.preset, settings.end_s = options.person, options.preset, options.end
    bpy.ops.staf.solve(video=str(video))
    out = options.out.resolve() / video.stem
    files = [f"{out}.glb"]
    bpy.ops.staf.export_clips(filepath=files[0], selected_only=False, travel=options.travel)
    if not options.no_blend:
        files.append(f"{out}.blend")
        bpy.ops.wm.save_as_mainfile(filepath=files[1], compress=True)
    people = [item for item in bpy.context.scene.objects if "staf_id" in item]
    people.sort(key=lambda item: item["staf_person"])
    return {
        "characters": [item.name for item in people],
        "files": files,
        "main_motion": people[0]["staf_motion"],
    }


def _merge(motions: list[str], options: argparse.Namespace) -> dict:
    """Takes of one character, from the main person of each video."""
    entry: dict = {"together": options.together, "ok": False}
    try:
        bpy.ops.wm.read_homefile(use_factory_startup=True, use_empty=True)
        for place, motion in enumerate(motions):
            onto = "ACTIVE" if place else "NEW"
            bpy.ops.staf.import_motion(filepath=motion, onto=onto, camera=False)
        path = str(options.out.resolve() / f"{options.together}.glb")
        bpy.ops.staf.export_clips(filepath=path, travel=options.travel)
        takes = sorted(action.name for action in bpy.data.actions)
        entry |= {"ok": True, "files": [path], "takes": takes}
    except RuntimeError as error:
        entry["error"] = str(error).strip().removeprefix("Error: ")
    print(f"{options.together}: {'ok' if entry['ok'] else entry['error']}", flush=True)
    return entry


def _write_report(path: Path, report: list[dict]) -> None:
    temporary = path.with_suffix(".part")
    temporary.write_text(json.dumps(report, indent=1) + "\n", encoding="utf-8")
    temporary.replace(path)


if __name__ == "__main__":
    code = main()
    sys.stdout.flush()
    os._exit(code)  # Blender's own would be 0; and bpy 4.2 crashes on exit after a glTF export
