"""examples/02_contact_sheet.py: the character is seen where the camera saw it, frame by frame."""

import os
import subprocess
import sys
from pathlib import Path

import bpy
import pytest

from tests.addon.blender_scene import REPOSITORY

SCRIPT = REPOSITORY / "examples" / "02_contact_sheet.py"
MADE = """
import dataclasses
from pathlib import Path

import numpy as np

from staf_backend.body import load_body
from staf_backend.export.gltf import write_glb
from staf_backend.geometry import from_quaternions
from staf_backend.motion import save_motion
from tests.support.sample_motions import with_all

motion = with_all()
path = motion.camera_path
before = path.positions_m + from_quaternions(path.rotations_wxyz) @ [0.3, -0.2, -5.0]
motion = dataclasses.replace(motion, root_m=before)
write_glb(Path("clip.glb"), [motion], {motion.body: load_body(motion.body)})
save_motion(Path("clip.npz"), motion)
"""
SEEN = """
import runpy, sys
sys.path[0] = {repository!r}
sys.path.append({packages!r})
sheet = runpy.run_path({script!r})
from staf_backend.motion import joints_m, load_motion
motion = load_motion("clip.npz")
sheet["import_character"]("clip.glb")
for key in (0, 39):
    mask = sheet["rendered_at"](motion, key)[..., 3] > 0
    path = motion.camera_path[key : key + 1]
    pixels = motion.camera.project(path.to_camera_axes(joints_m(motion)[key : key + 1])[0])
    print("covered", sum(mask[int(y), int(x)] for x, y in pixels) / len(pixels))
sys.stdout.flush()
import os
os._exit(0)
"""


def answer(backend: str, *words: str) -> str:
    return subprocess.run([backend, *words], capture_output=True, text=True, check=True).stdout


@pytest.mark.skipif(bool(bpy.app.binary_path), reason="the script needs the module bpy")
def test_the_character_is_seen_where_the_filming_camera_saw_it(tmp_path, backend):
    version = answer(backend, "-c", "import sys; print(sys.version_info[:2])").strip()
    if version != str(sys.version_info[:2]):
        pytest.skip("the software's packages are of another Python")
    packages = answer(backend, "-c", "import cv2; print(cv2.__path__[0])").strip()
    environment = {**os.environ, "PYTHONPATH": str(REPOSITORY)}
    subprocess.run([backend, "-c", MADE], cwd=tmp_path, env=environment, check=True)
    words = {"repository": str(REPOSITORY), "script": str(SCRIPT)}
    seen = SEEN.format(packages=str(Path(packages).parent), **words)
    environment.pop("PYTHONPATH")
    ran = subprocess.run(
        [sys.executable, "-c", seen], cwd=tmp_path, env=environment, capture_output=True, text=True
    )
    told = [line.split()[1] for line in ran.stdout.splitlines() if line.startswith("covered")]
    assert len(told) == 2, ran.stderr[-2000:]
    assert min(map(float, told)) > 0.9
