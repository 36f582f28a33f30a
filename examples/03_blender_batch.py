"""Videos, or folders of videos, to Blender files and clips, without a window.

    blender --background --python-exit-code 1 --python examples/03_blender_batch.py -- \
        VIDEO_OR_FOLDER... --out FOLDER [--recursive] [--together NAME] [--onto RIG.blend]
        [--preset fast] [--no-blend]

or the same with the bpy module: python examples/03_blender_batch.py VIDEO_OR_FOLDER... --out FOLDER

A folder stands for the videos in it, in the order of their names; --recursive goes into the folders
in it, too.  Each video gives <video>.blend and <video>.glb with all its people, and a motion file
(.npz) for each of them.  They lie in FOLDER as the videos lie in the deepest folder that all
arguments share, so takes of one name never meet.  --together NAME takes the main person of every
video as takes of one character and writes FOLDER/NAME.glb with an animation each.  --onto RIG.blend
puts each video's motions on the rig in that file, too, and writes <video>-RIG.blend; with
--together, FOLDER/NAME-RIG.blend has the takes of all.
FOLDER/report.json says what became of every video.  The backend's Python is that of the add-on's
preferences, or STAF_BACKEND_PYTHON.

You will see one line a video.  The exit code is 0 only if every video went well, 1 if one failed,
2 for wrong words, 130 after Ctrl-C, which ends it all.  Blender itself exits with 0 even when a
script breaks (a missing file, a wrong version), unless --python-exit-code stands *before* --python.
"""

import _thread
import argparse
import json
import os
import shutil
import signal
import sys
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from types import FrameType
from typing import Any

import bpy
import numpy as np

INTERRUPTED = 130
KNOCK = signal.SIGBREAK if sys.platform == "win32" else signal.SIGALRM
"""A signal that nobody else uses here; it never leaves Python."""
KNOCK_S = 0.02
"""Chosen: as often as the add-on looks whether the backend is done."""
_interrupted = False
_waiting = False


def main() -> int:
    signal.signal(signal.SIGINT, _interrupt)  # Blender's own would only set a flag
    signal.signal(KNOCK, _end_waiting)
    options = _options()
    _enable_add_on()
    if options.onto and (reason := _unfit(options)):
        print(reason, file=sys.stderr, flush=True)
        return 2
    options.out.mkdir(parents=True, exist_ok=True)
    report: list[dict] = []
    _convert_all(options, report)
    _write_report(options.out / "report.json", report)
    if _interrupted:
        print("interrupted.", flush=True)
        return INTERRUPTED
    return 0 if all(entry["ok"] for entry in report) else 1


def _interrupt(*_) -> None:
    """Ctrl-C: ends the backend's work at once, Blender's own after its step; twice kills.

    Blender takes an exception in the midst of a step for one of its own, and may even go on.
    """
    global _interrupted
    _interrupted = True
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    _thread.start_new_thread(_knock, ())


def _knock() -> None:
    """Have `_end_waiting` called, time and again, until nobody waits any more."""
    while _waiting:
        _thread.interrupt_main(KNOCK)
        time.sleep(KNOCK_S)


def _end_waiting(_signal: int, frame: FrameType | None) -> None:
    """End the wait for the backend, where nothing else is going on."""
    if frame is not None and frame.f_code.co_name == "wait_for":
        raise KeyboardInterrupt


def _step(operator: Any, **words: Any) -> None:
    """Call an operator.

    Raises:
        KeyboardInterrupt: Ctrl-C was pressed, before it or meanwhile.
    """
    if not _interrupted:
        operator(**words)
    if _interrupted:
        raise KeyboardInterrupt


def _wait(video: Path) -> None:
    """Have the backend work on a video, and make its characters."""
    global _waiting
    _waiting = True
    try:
        _step(bpy.ops.staf.solve, video=str(video))
    finally:
        _waiting = False


def _options() -> argparse.Namespace:
    words = sys.argv[sys.argv.index("--") + 1 :] if "--" in sys.argv else sys.argv[1:]
    parser = argparse.ArgumentParser(prog="blender_batch")
    parser.add_argument("videos", nargs="+", type=Path, help="videos, or folders of videos")
    parser.add_argument("--out", required=True, type=Path)
    parser.add_argument("--recursive", action="store_true", help="folders in folders, too")
    parser.add_argument("--together", metavar="NAME", help="main persons as takes of one character")
    parser.add_argument("--onto", metavar="RIG.blend", type=Path, help="a rig of your own, too")
    parser.add_argument("--rig", default="", help="its name, where the file has several")
    parser.add_argument(
        "--map", default="", type=_absolute, help="its bone map; else the saved one, or a guess"
    )
    parser.add_argument("--preset", default="balanced", choices=("fast", "balanced", "best"))
    parser.add_argument("--person", default="ALL", choices=("ALL", "LARGEST"))
    parser.add_argument("--end", type=float, default=0.0, help="last second; 0 is the video's end")
    parser.add_argument("--travel", default="KEEP", choices=("KEEP", "ROOT", "IN_PLACE"))
    parser.add_argument("--no-blend", action="store_true", help="clips only")
    options = parser.parse_args(words)
    if options.together is not None and Path(options.together).name != options.together:
        parser.error(f"--together {options.together}: not a plain name")
    if options.onto is not None and not options.onto.is_file():
        parser.error(f"--onto {options.onto}: there is no such file")
    return options


def _absolute(path: str) -> str:
    return str(Path(path).absolute()) if path else ""


def _enable_add_on() -> None:
    """The installed extension, or else the checkout that this example lies in."""
    import addon_utils

    for module in addon_utils.modules(refresh=True):
        name = module.__name__
        if name.startswith("bl_ext.") and name.endswith(".staf"):
            addon_utils.enable(name, default_set=True)
            return
    sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
    import addon

    addon.register()


def _convert_all(options: argparse.Namespace, report: list[dict]) -> None:
    """Add an entry for every video to the report, and one for all together."""
    videos: dict[Path, None] = {}
    for given in options.videos:
        found = list(_videos_in(given, options.recursive)) if given.is_dir() else [given]
        videos |= dict.fromkeys(path.absolute() for path in found)
        if not found:
            report.append({"video": str(given), "ok": False, "error": "there is no video in it."})
            print(f"{given}: there is no video in it.", flush=True)
    for video, place in _places(list(videos), options).items():
        if not _interrupted:
            report.append(_convert(video, place, options))
    if options.together and not _interrupted:
        good = [entry["people"][0]["motion"] for entry in report if entry["ok"]]
        report.append(_merge(good, options))


def _videos_in(folder: Path, recursive: bool) -> Iterator[Path]:
    """The videos of a folder: files of the kinds that the add-on's file browser shows."""
    kinds = bpy.ops.staf.import_video.get_rna_type().properties["filter_glob"].default
    suffixes = tuple(kind.removeprefix("*") for kind in kinds.split(";"))
    for where, folders, files in os.walk(folder):
        folders[:] = sorted(folders) if recursive else []
        for name in sorted(files):
            if name.lower().endswith(suffixes) and not name.startswith("."):
                yield Path(where, name)


def _places(videos: list[Path], options: argparse.Namespace) -> dict[Path, Path]:
    """Where each video's files go, without their suffix; no two at one place."""
    given = [path.absolute() for path in options.videos]
    shared = os.path.commonpath([path if path.is_dir() else path.parent for path in given])
    places = {video: video.relative_to(shared).with_suffix("") for video in videos}
    # "clip.mov" beside "clip.mp4" keep their kinds; names that differ in case alone get a number
    uses = Counter(str(place).casefold() for place in places.values())
    taken: Counter[str] = Counter()
    for video, place in places.items():
        if uses[str(place).casefold()] > 1:
            place = video.relative_to(shared)
        taken[str(place).casefold()] += 1
        number = taken[str(place).casefold()]
        name = place.name if number == 1 else f"{place.name}-{number}"
        places[video] = options.out.resolve() / place.with_name(name)
    return places


def _convert(video: Path, place: Path, options: argparse.Namespace) -> dict:
    """One video; a failure is told in its entry and does not stop the others."""
    began = time.monotonic()
    entry: dict = {"video": str(video), "ok": False}
    try:
        place.parent.mkdir(parents=True, exist_ok=True)
        entry |= _solve(video, place, options) | {"ok": True}
    except (KeyboardInterrupt, OSError, RuntimeError) as error:  # RuntimeError: an operator's
        entry["error"] = _sentence(error)
    entry["seconds"] = round(time.monotonic() - began, 2)
    print(f"{video.name}: {'ok' if entry['ok'] else entry['error']}", flush=True)
    return entry


def _sentence(error: BaseException) -> str:
    return "interrupted." if _interrupted else str(error).strip().removeprefix("Error: ")


def _solve(video: Path, place: Path, options: argparse.Namespace) -> dict:
    _step(bpy.ops.wm.read_homefile, use_factory_startup=True, use_empty=True)
    settings = bpy.context.scene.staf
    settings.person, settings.preset, settings.end_s = options.person, options.preset, options.end
    _wait(video)
    rigs = [item for item in bpy.context.scene.objects if "staf_id" in item]
    rigs.sort(key=lambda item: item["staf_person"])
    people = [_keep_motion(rig, video, place) for rig in rigs]
    files = [f"{place}.glb"]
    _step(bpy.ops.staf.export_clips, filepath=files[0], selected_only=False, travel=options.travel)
    if not options.no_blend:
        files.append(f"{place}.blend")
        _step(bpy.ops.wm.save_as_mainfile, filepath=files[1], compress=True)
    names = [rig.name for rig in rigs]
    if options.onto and people:
        files.append(_put_onto([person["motion"] for person in people], place, options))
    return {
        "characters": names,
        "files": files + [person["motion"] for person in people],
        "people": people,
    }


def _keep_motion(rig: bpy.types.Object, video: Path, place: Path) -> dict:
    """Move a character's motion file beside the outputs; what it says of itself."""
    made = Path(rig["staf_motion"])
    kept = place.with_name(place.name + made.name.removeprefix(video.stem))
    part = kept.with_name(f"{kept.name}.part")
    shutil.copyfile(made, part)
    part.replace(kept)
    made.unlink()
    if not any(made.parent.iterdir()):
        made.parent.rmdir()
    rig["staf_motion"] = str(kept)
    with np.load(kept) as file:
        header, frames = json.loads(str(file["header"])), len(file["frames"])
    return {
        "name": rig.name,
        "person": header["person"],
        "motion": str(kept),
        "frames": frames,
        "fps": header["source_fps"],
        "quality": header["quality"],
        "card": header.get("card", {}),
    }


def _unfit(options: argparse.Namespace) -> str:
    """Why the rig cannot wear motions, known before the night; nothing where it can."""
    try:
        _open_rig(options)
        if options.map:
            bpy.ops.staf.load_bone_map(filepath=options.map)
        else:
            bpy.ops.staf.guess_bones()
    except RuntimeError as error:
        return _sentence(error)
    return ""


def _open_rig(options: argparse.Namespace) -> None:
    """Open the rig's file and make the rig active.

    Raises:
        RuntimeError: no .blend, without a rig or with several.
    """
    _step(bpy.ops.wm.open_mainfile, filepath=str(options.onto.resolve()))
    layer = bpy.context.view_layer
    rigs = {item.name: item for item in layer.objects if item.type == "ARMATURE"}
    chosen = rigs.get(options.rig) if options.rig else next(iter(rigs.values()), None)
    if chosen is None or (len(rigs) > 1 and not options.rig):
        names = ", ".join(rigs) or "no rig"
        raise RuntimeError(f"{options.onto.name} has {names}: say which one with --rig.")
    layer.objects.active = chosen


def _put_onto(motions: list[str], place: Path, options: argparse.Namespace) -> str:
    """The rig's file with an action of each motion, saved beside the outputs; its path."""
    _open_rig(options)
    files = [{"name": motion} for motion in motions]  # absolute ones win over the folder
    words = {"directory": str(place.parent), "files": files, "bone_map": options.map}
    _step(bpy.ops.staf.retarget, **words)
    path = f"{place}-{options.onto.stem}.blend"
    _step(bpy.ops.wm.save_as_mainfile, filepath=path, compress=True)
    return path


def _merge(motions: list[str], options: argparse.Namespace) -> dict:
    """Takes of one character, from the main person of each video."""
    entry: dict = {"together": options.together, "ok": False}
    try:
        _step(bpy.ops.wm.read_homefile, use_factory_startup=True, use_empty=True)
        for place, motion in enumerate(motions):
            onto = "ACTIVE" if place else "NEW"
            _step(bpy.ops.staf.import_motion, filepath=motion, onto=onto, camera=False)
        path = str(options.out.resolve() / f"{options.together}.glb")
        _step(bpy.ops.staf.export_clips, filepath=path, travel=options.travel)
        takes = sorted(action.name for action in bpy.data.actions)
        files = [path]
        if options.onto and motions:
            files.append(_put_onto(motions, options.out.resolve() / options.together, options))
        entry |= {"ok": True, "files": files, "takes": takes}
    except (KeyboardInterrupt, RuntimeError) as error:
        entry["error"] = _sentence(error)
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
