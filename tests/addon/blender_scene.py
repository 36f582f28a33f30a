"""What the tests inside Blender share: a clean scene, its fingerprint, where things are."""

import os
import shutil
import subprocess
from pathlib import Path

import bpy
import numpy as np
import pytest

import addon

REPOSITORY = Path(__file__).resolve().parents[2]
KINDS = (
    *("objects", "armatures", "meshes", "cameras", "actions", "materials", "movieclips"),
    *("images", "collections", "sounds", "texts", "scenes"),
)


@pytest.fixture
def clean():
    """An empty scene with the add-on on."""
    bpy.ops.wm.read_homefile(use_factory_startup=True, use_empty=True)
    addon.register()
    yield bpy.context.scene
    addon.unregister()


@pytest.fixture
def backend(monkeypatch):
    """The real backend's Python; its absence fails the test, for nothing else can stand for it."""
    python = os.environ.get("STAF_BACKEND_PYTHON", "")
    assert python, "set STAF_BACKEND_PYTHON to a Python that has staf-backend installed"
    monkeypatch.setenv("PYTHONPATH", str(REPOSITORY))
    return python


def fingerprint() -> dict:
    """Everything an import could change, by name."""
    scene = bpy.context.scene
    render = scene.render
    numbers = (scene.frame_start, scene.frame_end, render.fps, round(render.fps_base, 6))
    size = (render.resolution_x, render.resolution_y)
    names = {kind: sorted(block.name for block in getattr(bpy.data, kind)) for kind in KINDS}
    active = bpy.context.view_layer.objects.active
    keys = {action.name: _keys(action) for action in bpy.data.actions}
    focus = (active and active.name, sorted(o.name for o in bpy.context.selected_objects))
    camera = scene.camera and scene.camera.name
    return names | {"numbers": numbers, "size": size, "focus": focus, "camera": camera} | keys


def _keys(action) -> int:
    from addon.scene.keyframes import curves

    return sum(len(curve.keyframe_points) for curve in curves(action))


def heads_m(rig, names) -> np.ndarray:
    """World positions (J, 3) of pose bones, evaluated."""
    evaluated = rig.evaluated_get(bpy.context.evaluated_depsgraph_get())
    bones = evaluated.pose.bones
    return np.array([evaluated.matrix_world @ bones[name].head for name in names])


def vertices_m(item) -> np.ndarray:
    """World positions (V, 3) of a mesh with its modifiers."""
    evaluated = item.evaluated_get(bpy.context.evaluated_depsgraph_get())
    mesh = evaluated.to_mesh()
    points = np.empty(3 * len(mesh.vertices), np.float32)
    mesh.vertices.foreach_get("co", points)
    evaluated.to_mesh_clear()
    matrix = np.array(evaluated.matrix_world)
    return points.reshape(-1, 3) @ matrix[:3, :3].T + matrix[:3, 3]


def node_modules() -> Path:
    """Where three.js and the validator are; skips in places that have no node."""
    modules = Path(
        os.environ.get("STAF_NODE_MODULES", REPOSITORY / "tests/gltf_checks/node_modules")
    )
    if os.environ.get("STAF_ADDON_PLACE") == "real" or shutil.which("node") is None:
        pytest.skip("no node here; the bpy modules check the same files")
    assert modules.is_dir(), f"{modules} is missing: run .ci/blender.sh setup"
    return modules


def node(script: str, *words: str) -> str:
    """Run one of tests/gltf_checks' scripts."""
    command = ["node", str(REPOSITORY / "tests/gltf_checks" / script), *words]
    environment = {**os.environ, "STAF_NODE_MODULES": str(node_modules())}
    ended = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert ended.returncode == 0, ended.stderr
    return ended.stdout


def make_clip(path: Path, **words) -> Path:
    """A video whose every picture shows its own number; made by the backend's Python (PyAV).

    Args:
        path: an .mp4.
        words: `rate` ("30000/1001"), `count`, `varying` (0 or 1), `rotation`, `size` ("64x48").
    """
    python = os.environ["STAF_BACKEND_PYTHON"]
    script = Path(__file__).with_name("make_clip.py")
    arguments = [f"{name}={value}" for name, value in words.items()]
    subprocess.run([python, str(script), str(path), *arguments], check=True, capture_output=True)
    return path
