"""Who is who, corrected with the mouse in a real window: split, swap, merge, take back, solve.

Needs what `test_window.py` needs.  Places are those of Blender 4.3.2 at 1600 x 1000.
"""

import os
import shutil
import tempfile
from pathlib import Path

import numpy as np
import pytest

if not os.environ.get("STAF_WINDOW"):
    pytest.skip("a window needs .ci/blender.sh test", allow_module_level=True)

from tests.addon.window.screen import Screen, opened

REPOSITORY = Path(__file__).resolve().parents[2]
FOOTAGE = REPOSITORY / "examples" / "footage" / "balance_cam01.mp4"
FIND, FIRST, NEXT_PX, VIEWPORT = (1453, 227), 294, 68, (600, 600)
BUTTONS = {"merge": 1440, "swap": 1461, "split": 1482}
BACK, SOLVE = (1551, 483), (1453, 639)
"""With three people and two lines; with two people and three lines."""
OK, ROW_PX, FIELD_PX = (-45, 66), 26, 31
"""From the button that opened a dialog of one row; each row more lowers it; its field is above."""
AT_FRAME, AT_KEY = 12, 28
"""Of the scene, and of the video, which has 60 frames a second where the scene has 24."""


@pytest.fixture(scope="module")
def screen(tmp_path_factory):
    folder = Path(tmp_path_factory.mktemp("people"))
    os.environ["PYTHONPATH"] = str(REPOSITORY)
    with (
        tempfile.TemporaryDirectory() as clips,
        opened(folder, Path(os.environ["STAF_EXTENSION"])) as it,
    ):
        clip = shutil.copy(FOOTAGE, clips)
        it.set(video=str(clip), preset="fast", end_s=0.8, person="LIST")
        it.click(*FIND)
        it.wait(lambda: len(listed(it)) == 2, 300, "people")
        it.ask(f"bpy.context.scene.frame_set({AT_FRAME})")
        yield it


def listed(screen: Screen) -> dict[str, str]:
    """What the list says: number, and from when to when."""
    lines = "[(one.person, one.label) for one in bpy.context.scene.staf.people]"
    return {str(person): label.split(" s,")[0] for person, label in screen.ask(f"answer = {lines}")}


def press(screen: Screen, do: str, person: int, rows: int, other: int = 0) -> None:
    """Click a person's button, then OK in its dialog, after typing another person there."""
    screen.rest(*VIEWPORT)
    x, y = BUTTONS[do], FIRST + (person - 1) * NEXT_PX
    screen.click(x, y)
    screen.rest(x, y)  # the dialog opens around the pointer
    if other:
        field = x + OK[0], y + OK[1] - FIELD_PX
        screen.click(*field)
        screen.rest(*field)
        screen.key("ctrl+a")
        screen.type(str(other))
        screen.key("Return")
        screen.rest(*field)
    screen.click(x + OK[0], y + OK[1] + (rows - 1) * ROW_PX)
    screen.rest(*VIEWPORT)


def picture(screen: Screen, name: str) -> None:
    screen.rest(*VIEWPORT)
    screen.shot(screen.folder / "pictures" / f"{name}.jpg")


def test_split_gives_what_follows_to_somebody_new(screen):
    press(screen, "split", 1, rows=1)
    screen.wait(lambda: len(listed(screen)) == 3, 20, "a third person")
    picture(screen, "split")
    assert listed(screen) == {"1": "0.0 to 0.4", "2": "0.0 to 0.8", "3": "0.5 to 0.8"}


def test_swap_exchanges_two_people(screen):
    press(screen, "swap", 1, rows=2)
    screen.wait(lambda: listed(screen)["2"] == "0.0 to 0.4", 20, "the swap")
    picture(screen, "swap")
    assert listed(screen) == {"1": "0.0 to 0.8", "2": "0.0 to 0.4", "3": "0.5 to 0.8"}


def test_take_back_takes_the_last_one_back(screen):
    screen.rest(*BACK)
    screen.click(*BACK)
    screen.wait(lambda: listed(screen)["2"] == "0.0 to 0.8", 20, "the list as before")
    picture(screen, "back")
    press(screen, "swap", 1, rows=2)
    screen.wait(lambda: listed(screen)["2"] == "0.0 to 0.4", 20, "the swap again")


def test_merge_with_whom_they_met_is_refused_and_with_the_other_joins_the_parts(screen):
    press(screen, "merge", 3, rows=1)
    screen.rest(*VIEWPORT)
    assert len(listed(screen)) == 3, "person 3 and person 1 are seen together"
    press(screen, "merge", 3, rows=1, other=2)
    screen.wait(lambda: len(listed(screen)) == 2, 20, "two people")
    picture(screen, "merge")
    assert listed(screen) == {"1": "0.0 to 0.8", "2": "0.0 to 0.8"}
    assert screen.ask("answer = bpy.context.scene.staf.edits").split("\n") == [
        f"person 1 is person 3 from frame {AT_KEY}",
        f"person 1 and 2 swapped from frame {AT_KEY}",
        "person 3 is person 2",
    ]


def test_solve_makes_what_the_list_says(screen):
    """Each of the two stands where the other stood, from the frame of the swap on."""
    screen.rest(*SOLVE)
    screen.click(*SOLVE)
    screen.wait(lambda: screen.state().get("busy"), 20, "Solve to start")
    screen.wait(lambda: not screen.state()["busy"], 300, "the end")
    assert screen.state()["failure"] == ""
    made = screen.state()["made"]
    assert len(made) == 2
    places = {}
    for name in made:
        for second in (0.2, 0.7):
            places[name, second] = np.array(hips(screen, name, second))
    first, second = made
    picture(screen, "solved")
    for one, other in ((first, second), (second, first)):
        stayed = np.linalg.norm(places[one, 0.7] - places[one, 0.2])
        changed = np.linalg.norm(places[one, 0.7] - places[other, 0.2])
        assert changed < 0.5 * stayed, places


def hips(screen: Screen, name: str, second: float) -> list[float]:
    """Where a character's pelvis is."""
    return screen.ask(
        "scene = bpy.context.scene\n"
        f"frame = scene.staf.start_frame + {second} * scene.render.fps / scene.render.fps_base\n"
        "scene.frame_set(round(frame))\n"
        f"rig = bpy.data.objects[{name!r}]\n"
        "answer = list(rig.matrix_world @ rig.pose.bones['Pelvis'].head)"
    )
