"""The real backend, driven from Blender to the end: background mode, failures, cancelling."""

import os
import sys
import time
from pathlib import Path

import bpy
import numpy as np
import pytest
from bpy_extras.object_utils import world_to_camera_view
from mathutils import Vector

from addon.solving.solve import SOLVER, state
from addon.storage import user_folder
from tests.addon.blender_scene import REPOSITORY, fingerprint, heads_m, vertices_m

pytestmark = pytest.mark.usefixtures("clean")
CLIP = REPOSITORY / "examples" / "footage" / "balance_cam01.mp4"


def settle() -> None:
    """What the panel would be set to for a quick test."""
    settings = bpy.context.scene.staf
    settings.video, settings.preset, settings.end_s = str(CLIP), "fast", 0.4


def test_fingers_are_read_where_that_is_asked_for():
    settle()
    settings = bpy.context.scene.staf
    settings.person, settings.fingers = "LARGEST", True
    assert bpy.ops.staf.solve() == {"FINISHED"}
    assert "Fingers" in bpy.context.object.data.collections
    assert bpy.ops.staf.add_fade() == {"FINISHED"}


def processes_of(group: int) -> list[str]:
    """Command lines of the living processes of a group."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            fields = (folder / "stat").read_text().rpartition(")")[2].split()
            words = (folder / "cmdline").read_bytes().replace(b"\0", b" ").decode()
        except OSError:
            continue
        if int(fields[2]) == group and fields[0] != "Z":
            found.append(words)
    return found


def converted(clip: Path, folder: Path, *options: str) -> list[Path]:
    """The clip's motion files."""
    from addon.solving.process import Command, Process

    words = ("convert", str(clip), "-o", str(folder / "clip.npz"), "--threads", "1", *options)
    environment = {"PYTHONPATH": str(REPOSITORY)}
    python = os.environ["STAF_BACKEND_PYTHON"]
    result = Process(Command(python, words, environment=environment)).wait()
    return [Path(one["motion"]) for one in result["people"]]


@pytest.fixture(scope="module")
def motions(tmp_path_factory):
    """The clip's motion files, converted once."""
    return converted(CLIP, tmp_path_factory.mktemp("motions"), "--preset", "fast", "--end", "0.4")


@pytest.mark.usefixtures("backend")
def test_solve_makes_characters_with_camera_and_footage():
    settle()
    assert bpy.ops.staf.solve() == {"FINISHED"}
    told = state()
    assert len(told["made"]) >= 2
    assert not told["busy"]
    for name in told["made"]:
        rig = bpy.data.objects[name]
        assert rig.animation_data.action
        assert len(rig.children) == 1
    (image,) = bpy.context.scene.camera.data.background_images
    assert Path(bpy.path.abspath(image.clip.filepath)).name == CLIP.name


@pytest.mark.usefixtures("backend")
def test_several_videos_one_after_another():
    settle()
    settings = bpy.context.scene.staf
    settings.person, settings.end_s = "LARGEST", 0.5
    names = [{"name": f"balance_cam0{number}.mp4"} for number in (1, 2)]
    assert bpy.ops.staf.import_video(directory=str(CLIP.parent), files=names) == {"FINISHED"}
    assert state()["made"] == ["balance_cam01", "balance_cam02"]
    sources = {item.get("staf_source") for item in bpy.data.objects if item.type == "CAMERA"}
    assert sources == {"balance_cam01.mp4", "balance_cam02.mp4"}


def overlay_gaps(path: Path, step: int) -> np.ndarray:
    """How far from its landmark each of 12 joints is seen: (frames, 12), in heights of the picture.

    The skin's joints, through the imported camera, against what the backend saw.
    """
    from addon.scene.motion_file import read_motion

    parts = ("shoulder", "elbow", "wrist", "hip", "knee", "ankle")
    sides = [(side, part) for part in parts for side in ("left", "right")]
    bones = [f"{side[0].upper()}_{part.capitalize()}" for side, part in sides]
    clip = read_motion(path)
    assert clip.keypoints_px is not None
    chosen = [clip.keypoint_names.index(f"{side}_{part}") for side, part in sides]
    bpy.ops.staf.import_motion(filepath=str(path), onto="NEW")
    rig, scene = bpy.context.object, bpy.context.scene
    size = np.array([clip.camera.width_px, clip.camera.height_px])
    off, ours = [], []
    for place in range(0, len(clip.times_s), step):
        scene.frame_set(1 + place)
        heads = heads_m(rig, bones)
        seen = [world_to_camera_view(scene, scene.camera, Vector(head)) for head in heads]
        shown = np.array([[u, 1 - v] for u, v, _ in seen]) * size
        off.append(np.linalg.norm(shown - clip.keypoints_px[place, chosen, :2], axis=-1))
        ours.append(shown - projected(clip, heads))
    assert np.abs(ours).max() < 0.02, "Blender's camera is the file's, to a fiftieth pixel"
    return np.array(off) / size[1]


def test_characters_overlay_the_people(motions):
    """Everybody, with the least that a preset gives."""
    for path in motions:
        gaps = overlay_gaps(path, 5)
        assert np.median(gaps) < 0.005
        assert gaps.mean() < 0.005


@pytest.mark.parametrize("camera", [1, 2])
def test_every_joint_lands_on_its_landmark(camera: int, tmp_path: Path):
    """A whole clip with the default preset, joint by joint."""
    clip = CLIP.with_name(f"balance_cam0{camera}.mp4")
    (path,) = converted(clip, tmp_path, "--largest")
    gaps = overlay_gaps(path, 2)
    words = f"mean {gaps.mean():.2%}, within 0.5 %: {(gaps < 0.005).mean():.0%}"
    print(f"{clip.name}: {words}, worst {gaps.max():.1%}; {(100 * gaps.mean(0)).round(2)}")
    assert gaps.mean(0).max() < 0.005
    assert (gaps < 0.005).mean() > 0.88


def projected(clip, heads):
    """Pixels of points in Blender's world, from the motion file's numbers alone."""
    from addon.scene.axes import TO_BLENDER, matrix_of

    camera = clip.camera
    local = (heads @ TO_BLENDER - camera.position_m) @ matrix_of(camera.rotation_wxyz)
    return local[:, :2] / -local[:, 2:] * camera.focal_px * [1, -1] + camera.principal_point_px


def test_skin_covers_the_person_in_the_picture(motions):
    """The character's outline lies inside the box of the landmarks, a little enlarged."""
    from addon.scene.motion_file import read_motion

    path = motions[0]
    clip = read_motion(path)
    assert clip.keypoints_px is not None
    bpy.ops.staf.import_motion(filepath=str(path))
    bpy.context.scene.frame_set(6)
    skin = vertices_m(bpy.context.object.children[0])[::50]
    pixels = projected(clip, skin)
    seen = clip.keypoints_px[5, :, :2]
    size = np.ptp(seen, axis=0).max()
    assert (pixels > seen.min(0) - 0.25 * size).all()
    assert (pixels < seen.max(0) + 0.25 * size).all()


@pytest.mark.usefixtures("backend")
def test_check_tells_what_is_there():
    assert bpy.ops.staf.check_backend() == {"FINISHED"}


def step_until(done, limit_s=60.0):
    """What the window's timer does."""
    limit = time.monotonic() + limit_s
    while not done():
        assert time.monotonic() < limit, state()
        SOLVER.step(bpy.context)
        time.sleep(0.02)


@pytest.mark.usefixtures("backend")
def test_cancel_ends_the_whole_group_and_keeps_nothing():
    from addon.solve_operators import work_of

    settle()
    bpy.context.scene.staf.end_s = 0
    folders = set(user_folder("motions").iterdir())
    before = fingerprint()
    SOLVER.add(work_of(bpy.context, None))
    SOLVER.add(work_of(bpy.context, None))
    step_until(lambda: SOLVER.progress.done > 1)
    group = state()["pid"]
    assert any("staf_backend" in words for words in processes_of(group))
    assert bpy.ops.staf.cancel() == {"FINISHED"}
    step_until(lambda: not SOLVER.busy, 10)
    assert processes_of(group) == []
    assert set(user_folder("motions").iterdir()) == folders
    assert fingerprint() == before
    assert state()["failure"] == ""
    assert state()["longest_tick_s"] < 0.25


@pytest.mark.usefixtures("backend")
def test_motion_that_cannot_be_brought_in_leaves_the_scene_as_it_was():
    """Somebody removed the motion file after the backend had written it."""
    from addon.solve_operators import work_of

    settle()
    before = fingerprint()
    work = work_of(bpy.context, None)
    SOLVER.add(work)
    step_until(lambda: work.footage == "new")
    assert len(bpy.data.movieclips) == 1
    work.motions[0].unlink()
    step_until(lambda: not SOLVER.busy)
    assert "does not exist" in state()["failure"]
    assert fingerprint() == before


@pytest.mark.usefixtures("backend")
def test_disabling_the_add_on_or_opening_a_file_ends_the_backend():
    from addon.solve_operators import work_of

    settle()
    bpy.context.scene.staf.end_s = 0
    SOLVER.add(work_of(bpy.context, None))
    step_until(lambda: SOLVER.progress.done > 0)
    group = state()["pid"]
    bpy.ops.wm.read_homefile(use_factory_startup=True, use_empty=True)
    assert not SOLVER.busy
    limit = time.monotonic() + 2
    while processes_of(group):  # killed, but the system takes a moment to bury them
        assert time.monotonic() < limit
        time.sleep(0.02)


@pytest.mark.usefixtures("backend")
def test_backends_error_is_one_line_and_the_log_can_be_shown(tmp_path):
    settle()
    broken = tmp_path / "broken.mp4"
    broken.write_bytes(b"this is no video" * 100)
    before = fingerprint()
    with pytest.raises(RuntimeError, match=r"broken\.mp4") as caught:
        bpy.ops.staf.solve(video=str(broken))
    assert len(str(caught.value).strip().splitlines()) == 1
    assert fingerprint() == before
    assert bpy.ops.staf.show_log() == {"FINISHED"}
    assert bpy.data.texts["STAF log"].as_string().strip()


@pytest.mark.usefixtures("backend")
def test_crash_of_the_backend_is_told_in_one_line():
    from addon.solve_operators import work_of

    settle()
    bpy.context.scene.staf.end_s = 0
    SOLVER.add(work_of(bpy.context, None))
    step_until(lambda: SOLVER.progress.done > 0)
    worker = [
        int(folder.name)
        for folder in Path("/proc").glob("[0-9]*")
        if is_worker(folder, state()["pid"])
    ]
    assert worker
    os.kill(worker[0], 9)
    step_until(lambda: not SOLVER.busy, 10)
    assert "the backend crashed" in state()["failure"]


def is_worker(folder: Path, group: int) -> bool:
    try:
        fields = (folder / "stat").read_text().rpartition(")")[2].split()
        words = (folder / "cmdline").read_bytes().split(b"\0")
    except OSError:
        return False
    return int(fields[2]) == group and b"-m" in words and not any(b"supervisor" in w for w in words)


def test_wrong_python(monkeypatch, tmp_path):
    settle()
    monkeypatch.setenv("STAF_BACKEND_PYTHON", str(tmp_path / "python"))
    with pytest.raises(RuntimeError, match=r"cannot be started.*Preferences"):
        bpy.ops.staf.solve()
    monkeypatch.setenv("STAF_BACKEND_PYTHON", "/bin/ls")
    with pytest.raises(RuntimeError, match="no Python with a working staf-backend"):
        bpy.ops.staf.solve()


def test_python_without_the_backend(monkeypatch):
    settle()
    monkeypatch.setenv("STAF_BACKEND_PYTHON", sys.executable)
    monkeypatch.setenv("PYTHONPATH", "")
    monkeypatch.chdir("/")
    with pytest.raises(RuntimeError, match=r"has no staf-backend.*Set up"):
        bpy.ops.staf.solve()


def test_your_own_body_file_is_read_by_the_backend_alone(backend, monkeypatch, tmp_path):
    """Added, exported as plain arrays, solved with; an SMPL-shaped file of the tests' making."""
    from tests.support.make_body_files import model_arrays

    assert backend
    monkeypatch.setenv("STAF_HOME", str(tmp_path / "home"))
    np.savez(tmp_path / "basicmodel_m.npz", **model_arrays("smpl"))
    assert bpy.ops.staf.add_body(filepath=str(tmp_path / "basicmodel_m.npz")) == {"FINISHED"}
    (path,) = user_folder("bodies").glob("smpl-*.npz")
    path.unlink()  # a solve fetches it again
    settings = bpy.context.scene.staf
    settle()
    settings.body, settings.own_body, settings.person = "OWN", path.stem, "LARGEST"
    try:
        bpy.ops.staf.solve()
        rig = bpy.context.object
        assert rig["staf_body"] == path.stem
        assert len(rig.children[0].data.vertices) == 6890
    finally:
        path.unlink()


def test_a_file_that_is_no_body(backend, tmp_path):
    assert backend
    (tmp_path / "text.npz").write_text("hello")
    with pytest.raises(RuntimeError, match=r"text\.npz is .* not a body model"):
        bpy.ops.staf.add_body(filepath=str(tmp_path / "text.npz"))


def test_nothing_chosen(backend):
    assert backend
    with pytest.raises(RuntimeError, match="no video is chosen"):
        bpy.ops.staf.solve()
    with pytest.raises(RuntimeError, match="does not exist"):
        bpy.ops.staf.solve(video="/nowhere/clip.mp4")
