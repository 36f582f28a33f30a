"""Blender with a broken backend: one sentence, the scene as before, and free for the next."""

import os
import sys

import bpy
import pytest

from addon.people_operators import ScanPeople
from addon.solve_operators import work_of
from addon.solving.solve import SOLVER, state
from addon.storage import user_folder
from tests.addon.blender_scene import REPOSITORY, fingerprint
from tests.addon.imitation import BEGIN, SAY, imitation

pytestmark = pytest.mark.usefixtures("clean")
CLIP = REPOSITORY / "examples" / "footage" / "balance_cam01.mp4"
RUBBISH = {
    "null progress": BEGIN + "say(event='progress', stage=None, done=None, total=None)\n",
    "nested progress": BEGIN + "say(event='progress', done={'a': [1]}, total=[[]])\n",
    "no start": SAY + "say(event='result', people=[])\n",
    "no people": BEGIN + "say(event='result', people=None)\n",
    "people of another type": BEGIN + "say(event='result', people=[[1], 'x'])\n",
    "outside": BEGIN + f"say(event='result', people=[{{'motion': {str(CLIP)!r}}}])\n",
    "no name": BEGIN + "say(event='result', people=[{'motion': {}}])\n",
    "no motion": BEGIN
    + "import os; p = sys.argv[sys.argv.index('-o') + 1] if '-o' in sys.argv else os.devnull\n"
    + "open(p, 'w').write('rubbish'); say(event='result', people=[{'motion': p}])\n",
    "long line": BEGIN + "sys.stdout.write('x' * 50_000_000); sys.stdout.flush()\n",
}


@pytest.fixture(params=RUBBISH)
def rubbish(request, tmp_path, monkeypatch):
    """A backend that says something wrong and then lives on for a while."""
    environment = imitation(tmp_path, RUBBISH[request.param])
    monkeypatch.setenv("STAF_BACKEND_PYTHON", os.environ.get("STAF_BACKEND_PYTHON", sys.executable))
    monkeypatch.setenv("PYTHONPATH", environment["PYTHONPATH"])


@pytest.mark.usefixtures("rubbish")
def test_solving_and_looking_for_people_end_in_one_sentence():
    bpy.context.scene.staf.video = str(CLIP)
    before, folders = fingerprint(), set(user_folder("motions").iterdir())
    for operator in (bpy.ops.staf.solve, bpy.ops.staf.scan_people, bpy.ops.staf.solve):
        try:
            operator()
        except RuntimeError as error:
            sentence = str(error).strip()
            assert "Traceback" not in sentence
            assert "another video is" not in sentence
            assert len(sentence.splitlines()) == 1
        else:  # nobody found is a fair answer to a scan alone
            assert operator is bpy.ops.staf.scan_people
        assert not SOLVER.busy
        assert ScanPeople.running is None
    assert fingerprint() == before
    assert set(user_folder("motions").iterdir()) == folders


@pytest.mark.parametrize("place", ["_listen", "_begin"])
def test_a_fault_of_our_own_frees_the_solver(monkeypatch, backend, place):
    assert backend
    bpy.context.scene.staf.video = str(CLIP)

    def broken(_self):
        raise TypeError("boom")

    monkeypatch.setattr(f"addon.solving.solve.Solver.{place}", broken)
    SOLVER.add(work_of(bpy.context, None))
    for _ in range(3):
        SOLVER.step(bpy.context)
        if state()["failure"]:
            break
    assert "the add-on failed: TypeError: boom" in state()["failure"]
    assert "Traceback" in SOLVER.log
    SOLVER.waiting.clear()
    assert not SOLVER.busy


def test_interrupted_while_a_character_is_made(monkeypatch, backend):
    """Ctrl-C when the process has ended already."""
    from addon.solving import solve

    assert backend

    def interrupted(*_):
        raise KeyboardInterrupt

    settings = bpy.context.scene.staf
    settings.video, settings.preset, settings.end_s = str(CLIP), "fast", 0.4
    monkeypatch.setattr(solve, "import_motion_file", interrupted)
    with pytest.raises(RuntimeError, match="interrupted"):
        bpy.ops.staf.solve()
    assert not SOLVER.busy
