"""Without `--hands auto` no function of the hands' rooms runs, and motions have 24 joints."""

import inspect
import sys
from pathlib import Path

import numpy as np
import pytest

from staf_backend.choices import Hands
from staf_backend.export.deliver import Outputs, deliver
from staf_backend.geometry import SMPL
from staf_backend.motion import load_motion
from staf_backend.pipeline import Settings, solve
from tests.support.places import FOOTAGE

ROOMS = (
    "staf_backend.fit.fingers",
    "staf_backend.landmarks.hands",
    "staf_backend.estimators.hands",
)


def close_rooms(monkeypatch: pytest.MonkeyPatch) -> int:
    """Every function that reads hands or fits fingers fails, wherever it was imported to; how
    many there are."""

    def never(*_: object, **__: object) -> None:
        raise AssertionError("a room of the hands was entered")

    backend = [one for name, one in sys.modules.items() if name.startswith("staf_backend")]
    closed = {
        id(thing)
        for room in backend
        for thing in vars(room).values()
        if room.__name__.startswith(ROOMS)
        and inspect.isfunction(thing)
        and thing.__module__ == room.__name__
    }
    for module in backend:
        for name in [name for name, thing in vars(module).items() if id(thing) in closed]:
            monkeypatch.setattr(module, name, never)
    return len(closed)


def written(folder: Path, hands: Hands) -> list[Path]:
    """The .glb, motion and AMASS file of half a second."""
    settings = Settings(person="largest", hands=hands, end_s=0.5, threads=1)
    solved = solve(FOOTAGE / "balance_cam02.mp4", settings, lambda *_: None)
    glb, motion, amass = (folder / name for name in ("m.glb", "m.npz", "m_amass.npz"))
    deliver(solved, Outputs(glb, motion, amass), lambda *_: None)
    return [glb, motion, amass]


@pytest.mark.slow
def test_hands_off_enters_no_room_of_the_hands(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = [path.read_bytes() for path in written(tmp_path, "off")]
    with monkeypatch.context() as without:
        assert close_rooms(without) > 50
        paths = written(tmp_path, "off")
        with pytest.raises(AssertionError, match="was entered"):
            written(tmp_path, "auto")
    assert [path.read_bytes() for path in paths] == before
    motion = load_motion(paths[1])
    assert motion.skeleton.names == SMPL.names
    assert motion.hand_seen is None
    assert not np.load(paths[2])["poses"][:, 66:].any()
