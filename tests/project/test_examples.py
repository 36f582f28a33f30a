"""The examples, which people copy: what goes wrong is one sentence."""

import importlib.util
import subprocess
import sys
from pathlib import Path

import pytest

from staf_backend.geometry import Camera
from staf_backend.motion import save_motion
from tests.support.make_clips import write_clip
from tests.support.places import REPOSITORY
from tests.support.sample_motions import sample_motion, swaying


def failure_of(example: str, folder: Path, *words: str) -> str:
    """What an example says that ends with exit code 1."""
    command = [sys.executable, REPOSITORY / "examples" / example, *words]
    ran = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    assert ran.returncode == 1, ran.stderr
    assert "Traceback" not in ran.stderr
    return ran.stderr


@pytest.mark.parametrize(
    ("words", "told"),
    [
        ((), "01_convert.py examples/footage"),
        (("absent.mp4", "out"), "absent.mp4 does not exist"),
        (("absent.mp4", "file/out"), "file"),
        (("line\nbreak.mp4", "out", "more"), "01_convert.py examples/footage"),
    ],
)
def test_converting_says_what_is_wrong(tmp_path: Path, words: tuple[str, ...], told: str):
    (tmp_path / "file").write_text("no folder")
    assert told in failure_of("01_convert.py", tmp_path, *words)


SHEET = {
    "clip": "clip.mp4",
    "glb": "clip.glb",
    "motion": "clip.npz",
    "overlay": "clip.mp4",
    "sheet": "s.jpg",
    "frames": "3",
}
"""Words of a contact sheet of a clip of 30 frames, 128x96 px; the .glb is not there."""
BLENDER = "cannot be imported" if importlib.util.find_spec("bpy") else "There is no module bpy here"


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({}, BLENDER),
        ({"clip": "absent.mp4"}, "absent.mp4 does not exist"),
        ({"clip": "--help"}, "--help does not exist"),
        ({"motion": "clip.mp4"}, "not a STAF motion"),
        ({"overlay": "file.txt"}, "file.txt is not a video"),
        ({"overlay": "short.mp4"}, "are not of one clip"),
        ({"overlay": "small.mp4"}, "are not of one clip"),
        ({"motion": "other.npz"}, "are not of one clip"),
        ({"sheet": "file.txt/s.jpg"}, "cannot write file.txt/s.jpg"),
        ({"sheet": "folder"}, "cannot write folder"),
        ({"frames": "seven"}, "FRAMES must be a number from 1 to 100."),
        ({"frames": "0"}, "FRAMES must be"),
        ({"frames": "1000000000"}, "FRAMES must be"),
    ],
)
def test_a_contact_sheet_says_what_is_wrong(tmp_path: Path, change: dict[str, str], told: str):
    write_clip(tmp_path / "clip.mp4")
    write_clip(tmp_path / "short.mp4", ticks=range(29))
    write_clip(tmp_path / "small.mp4", size=(64, 96))
    (tmp_path / "file.txt").write_text("no video")
    (tmp_path / "folder").mkdir()
    frames = {"frames": range(30), "times_s": [i / 30 for i in range(30)]}
    for name, width_px in (("clip", 128), ("other", 96)):
        camera = Camera(100.0, width_px, 96)
        motion = sample_motion(swaying(30), camera=camera, **frames)
        save_motion(tmp_path / f"{name}.npz", motion)
    assert told in failure_of("02_contact_sheet.py", tmp_path, *(SHEET | change).values())
    assert not (tmp_path / "s.jpg").exists()


def test_a_contact_sheet_needs_its_words(tmp_path: Path):
    assert "CLIP.npz OVERLAY.mp4 SHEET.jpg" in failure_of("02_contact_sheet.py", tmp_path, "a", "b")
