"""Folders of videos to characters, Blender files and clips on a rig of your own, without a window.

    blender --background --python-exit-code 1 --python examples/03_blender_batch.py -- \
        VIDEO_OR_FOLDER... --out FOLDER [--onto RIG.blend] [--one-glb-per-person] [--preset fast]

or the same with the bpy module: python examples/03_blender_batch.py VIDEO_OR_FOLDER... --out FOLDER

It is `staf batch --blend` with this Blender: every word of `staf batch` will do, and --no-blend
leaves the .blend of each video out.  It mirrors the folders, does every video exactly once, goes on
where it was ended, and writes report.html and report.json.  The software's Python is
STAF_BACKEND_PYTHON, or that of the add-on's preferences, or this one.

You will see one line a video, and the exit code is that of `staf batch`: 0 only if every video went
well, 3 if some failed, 130 after Ctrl-C, which lets the videos at work end; a second one ends them.
Blender itself exits with 0 even when a script breaks (a missing file, a wrong version), unless
--python-exit-code stands *before* --python.
"""

import os
import signal
import subprocess
import sys

import bpy


def main() -> int:
    words = _words()
    if "--no-blend" in words:
        words.remove("--no-blend")
    else:
        words.insert(0, "--blend")
    if any(word.startswith(("--blend", "--onto")) for word in words):
        words = ["--blender", bpy.app.binary_path or sys.executable, *words]
    try:
        batch = subprocess.Popen([_python(), "-m", "staf_backend", "batch", *words])
    except OSError as error:
        print(f"The software's Python cannot be run: {error}.", file=sys.stderr)
        return 6
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches the batch itself
    return batch.wait()


def _words() -> list[str]:
    """Those of the batch; in them a "--" may stand before names that begin with "-"."""
    words = sys.argv[1:]
    blenders_own = words.index("--") + 1 if bpy.app.binary_path else int(words[:1] == ["--"])
    return words[blenders_own:]


def _python() -> str:
    """The Python that has the software."""
    told = [
        entry.preferences.backend_python
        for name, entry in bpy.context.preferences.addons.items()
        if name.startswith("bl_ext.") and name.endswith(".staf")
    ]
    return os.environ.get("STAF_BACKEND_PYTHON") or next(filter(None, told), sys.executable)


if __name__ == "__main__":
    code = main()
    sys.stdout.flush()
    os._exit(code)  # Blender's own would be 0
