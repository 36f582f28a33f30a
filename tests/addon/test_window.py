"""The whole way in a real window: Video, Solve, Esc, Cancel, Solve, Export, close; on a real clip.

Needs the Blender in a folder and the built extension, so it runs from .ci/blender.sh, which sets
STAF_WINDOW and STAF_EXTENSION.  Places of buttons are those of Blender 4.3.2 at 1600 x 1000.
STAF_SCREENSHOTS names a folder for the pictures that the page of the add-on shows.
"""

import json
import os
import shutil
import tempfile
import time
from pathlib import Path

import pytest

if not os.environ.get("STAF_WINDOW"):
    pytest.skip("a window needs .ci/blender.sh test", allow_module_level=True)

from tests.addon.window.screen import Screen, opened

REPOSITORY = Path(__file__).resolve().parents[2]
FOOTAGE = REPOSITORY / "examples" / "footage" / "balance_cam01.mp4"
CLIP = Path(tempfile.gettempdir()) / f"footage-{os.getpid()}" / FOOTAGE.name
KEPT = ("solving", "solved")
VIDEO, FIND = (1400, 127), (1453, 227)
SOLVE, CANCEL, GLTF = (1453, 400), (1380, 452), (1453, 796)
VIEWPORT = (600, 600)
MOST_HELD_S = 0.25


@pytest.fixture(scope="module")
def screen(tmp_path_factory):
    folder = Path(tmp_path_factory.mktemp("window"))
    os.environ["PYTHONPATH"] = str(REPOSITORY)
    CLIP.parent.mkdir()
    shutil.copy(FOOTAGE, CLIP)
    with opened(folder, Path(os.environ["STAF_EXTENSION"])) as it:
        yield it
    shutil.rmtree(CLIP.parent)


def picture(screen: Screen, name: str) -> Path:
    kept = os.environ.get("STAF_SCREENSHOTS") if name in KEPT else None
    screen.move(*VIEWPORT)
    time.sleep(0.3)
    return screen.shot(Path(kept or screen.folder / "pictures").resolve() / f"{name}.jpg")


def workers() -> list[int]:
    """Living backend processes that convert the clip of this test."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            words = (folder / "cmdline").read_bytes().split(b"\0")
            state = (folder / "stat").read_text().rpartition(")")[2].split()[0]
        except OSError:
            continue
        if b"staf_backend" in words and str(CLIP).encode() in words and state != "Z":
            found.append(int(folder.name))
    return found


def save(screen: Screen) -> None:
    """The scene, beside the clip."""
    target = str(CLIP.with_name("scene.blend"))
    screen.ask(f"bpy.ops.wm.save_as_mainfile(filepath={target!r})")


def start(screen: Screen) -> None:
    screen.click(*SOLVE)
    screen.wait(lambda: screen.state().get("busy"), 10, "Solve to start")
    screen.wait(lambda: 0 < screen.state()["share"] < 1, 120, "progress")


def stopped(screen: Screen) -> None:
    screen.wait(lambda: not screen.state()["busy"], 10, "the end")
    screen.wait(lambda: not workers(), 5, "the worker's end")
    state = screen.state()
    assert state["made"] == []
    assert state["failure"] == ""
    names = screen.ask("answer = sorted(one.name for one in bpy.data.objects)")
    assert names == ["Camera", "Cube", "Light"], "Blender's startup scene"
    assert state["longest_tick_s"] < MOST_HELD_S


def test_choose_a_video_by_typing_its_path(screen):
    """Beside the saved file, so that the pictures show no folder of this test."""
    save(screen)
    picture(screen, "start")
    screen.click(*VIDEO)
    screen.click(*VIDEO)
    screen.key("ctrl+a")
    screen.type(f"//{CLIP.name}")
    screen.key("Return")
    chosen = screen.ask("answer = bpy.path.abspath(bpy.context.scene.staf.video)")
    assert chosen == str(CLIP)


def test_quick_scan_fills_the_list(screen):
    screen.set(person="LIST", end_s=0.8)
    screen.move(*VIEWPORT)
    screen.click(*FIND)
    count = "answer = len(bpy.context.scene.staf.people)"
    screen.wait(lambda: screen.ask(count) >= 2, 180, "people")
    picture(screen, "people")
    screen.set(person="ALL", end_s=0.0)


def test_escape_cancels(screen):
    start(screen)
    assert workers()
    picture(screen, "solving")
    screen.key("Escape")
    stopped(screen)
    picture(screen, "cancelled")


def test_cancel_button_cancels(screen):
    start(screen)
    screen.click(*CANCEL)
    stopped(screen)


def test_solve_makes_characters_and_the_window_stays_free(screen):
    screen.set(preset="fast", end_s=0.6)
    screen.ask("beats['longest_gap_s'] = 0.0")
    screen.click(*SOLVE)
    shares = set()

    def done() -> bool:
        state = screen.state()
        shares.add((state.get("stage"), state.get("share")))
        return bool(state.get("made")) and not state["busy"]

    screen.wait(done, 240, "characters")
    state = screen.state()
    print(f"\n{len(shares)} steps of progress seen; held at most {state['longest_tick_s']:.3f} s a")
    print(f"tick, {state['longest_import_s']:.3f} s an import; event loop's longest gap,")
    print(f"with drawing in software, {state['longest_gap_s']:.3f} s")
    assert len(shares) > 3, "progress moved"
    assert len(state["made"]) >= 2
    assert state["longest_tick_s"] < MOST_HELD_S
    assert state["longest_import_s"] < MOST_HELD_S
    assert not workers()


def test_character_stands_on_the_person_in_the_camera_view(screen):
    screen.move(*VIEWPORT)
    screen.ask("bpy.context.scene.frame_set(12)")
    view = "bpy.context.window_manager.windows[0].screen.areas"
    view = f"next(one for one in {view} if one.type == 'VIEW_3D').spaces.active.region_3d"
    assert screen.ask(f"answer = {view}.view_perspective") == "CAMERA", "without a key pressed"
    assert screen.ask("answer = bpy.data.objects['Cube'].hide_get()"), "it was in the way"
    time.sleep(2)
    path = picture(screen, "solved")
    colours = colours_of(path)
    assert colours > 2000, f"only {colours} colours: no footage behind the camera's view"


def colours_of(path: Path) -> int:
    """How many different colours the middle of a screenshot has."""
    import cv2
    import numpy as np

    image = cv2.imread(str(path))
    assert image is not None
    middle = image[200:900, 300:1200].reshape(-1, 3).astype(np.int64)
    return len(np.unique(middle @ [1, 256, 65536]))


def test_undo_takes_the_characters_back_and_redo_brings_them_again(screen):
    people = "answer = sum(item.type == 'ARMATURE' for item in bpy.data.objects)"
    before = screen.ask(people)
    screen.move(*VIEWPORT)
    screen.key("ctrl+z")
    assert screen.ask(people) < before
    screen.key("ctrl+shift+z")
    assert screen.ask(people) == before


def test_export(screen):
    save(screen)
    screen.click(*GLTF)
    time.sleep(1.5)
    screen.move(*VIEWPORT)
    picture(screen, "export")
    screen.key("Return")
    whole = "[!.]*.glb"  # what is not yet whole begins with a dot
    screen.wait(lambda: list(CLIP.parent.glob(whole)), 60, "the clip")
    (path,) = CLIP.parent.glob(whole)
    data = path.read_bytes()
    gltf = json.loads(data[20 : 20 + int.from_bytes(data[12:16], "little")])
    assert gltf["skins"]
    assert gltf["animations"]


def test_set_up_that_fails_says_so_and_leaves_nothing(screen):
    """There is nothing to install from; the modal way, as from the button."""
    (screen.folder / "staf_backend-0.1.0-py3-none-any.whl").write_bytes(b"no wheel")
    screen.ask(
        "with bpy.context.temp_override(window=bpy.context.window_manager.windows[0]):\n"
        f"    bpy.ops.staf.setup_backend('INVOKE_DEFAULT', source={str(screen.folder)!r})"
    )
    status = "import bl_ext.user_default.staf.preferences as p; answer = p.SetUpBackend.status"
    screen.wait(lambda: screen.ask(status) == "", 90, "the end of the set-up")
    folder = "from bl_ext.user_default.staf.storage import user_folder\n"
    assert screen.ask(folder + "answer = [p.name for p in user_folder('backend').iterdir()]") == []
    assert screen.ask("answer = bpy.context.preferences.addons[MODULE].preferences.doctor") == ""


def test_closing_blender_ends_the_backend_and_nothing_was_written_to_the_log(screen):
    screen.set(end_s=0.0)
    start(screen)
    assert workers()
    screen.folder.joinpath("ask-99.py").write_text("bpy.ops.wm.quit_blender()")
    limit = time.monotonic() + 20
    while screen.blender.poll() is None or workers():
        assert time.monotonic() < limit, f"still there: {workers()}"
        time.sleep(0.1)
    assert "Traceback" not in screen.log(), screen.log()[-3000:]
    assert "Error" not in screen.log().replace("Error: ", ""), screen.log()[-3000:]
    shutil.rmtree(screen.folder / "user", ignore_errors=True)
