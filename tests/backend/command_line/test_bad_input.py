"""`staf` refuses: one line, an exit code, nothing left behind.

One case of each kind is a real process, whose start costs more than the refusal; the others run
the same command within the tests' own.
"""

import pickle
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.support.command_line import BALANCE, PART, environment, events, one_line, staf, staf_here
from tests.support.make_clips import write_clip, write_sound_only
from tests.support.places import REPOSITORY


def _nothing(_path: Path) -> None:
    """Leave it missing."""


def _cut_off(path: Path) -> None:
    write_clip(path)
    path.write_bytes(path.read_bytes()[: path.stat().st_size * 6 // 10])


def _one_picture(path: Path) -> None:
    import cv2

    from staf_backend.video import open_video

    path.mkdir()
    image = next(open_video(BALANCE).frames(10, 11))
    cv2.imwrite(str(path / "frame_0001.png"), image[..., ::-1])


@pytest.mark.parametrize(
    "words",
    [
        ("convert", "clip.mp4", "-o", ""),
        ("batch", "clips", "--out="),
        ("batch", "", "--out", "out"),
        ("info", ""),
    ],
)
def test_an_empty_word_is_no_folder(tmp_path, words):
    """`--out "$OUT"` of an unset variable wrote into the folder where one stood."""
    ended = staf_here(*words, cwd=tmp_path)
    assert ended.returncode == 2
    assert "is empty" in one_line(ended.stderr)
    assert not list(tmp_path.iterdir())


BAD_VIDEOS: dict[str, tuple[Callable[[Path], Any], str, int]] = {
    "missing.mp4": (_nothing, "does not exist", 3),
    "folder.mp4": (Path.mkdir, "without pictures", 3),
    "empty.mp4": (Path.touch, "empty", 3),
    "cut_off.mp4": (_cut_off, "cut off", 3),
    "sound.m4a": (write_sound_only, "sound", 3),
    "sound.mp4": (write_sound_only, "sound", 3),
    "text.mp4": (lambda path: path.write_text("not a video\n" * 50), "not a video", 3),
    "zeros.mp4": (lambda path: path.write_bytes(bytes(5000)), "not a video", 3),
    "no_frames.mp4": (lambda path: write_clip(path, ticks=()), "", 3),
    "nobody.mp4": (lambda path: write_clip(path, ticks=range(10)), "obody", 4),
    "one_frame.mp4": (lambda path: write_clip(path, ticks=(0,)), "obody", 4),
    "tiny.mp4": (lambda path: write_clip(path, ticks=range(10), size=(16, 16)), "obody", 4),
    "one_picture": (_one_picture, "never for longer", 4),
    "circle.mp4": (lambda path: path.symlink_to(path.name), "symbolic links", 3),
    "new\nline.mp4": (_nothing, "does not exist", 3),
    "Füße ⛹.mp4": (Path.touch, "empty", 3),
}


AS_PROCESSES = ("missing.mp4", "Füße ⛹.mp4", "no such device", "no such option", "code.pkl")


@pytest.mark.parametrize(
    "words", [("info", "no.mp4"), ("info",), ("body", "list"), ("convert", "--help")]
)
def test_within_this_process_it_says_the_same(words: tuple[str, ...], tmp_path: Path):
    env = environment(COLUMNS="80")
    apart, here = staf(*words, cwd=tmp_path, env=env), staf_here(*words, cwd=tmp_path, env=env)
    assert (here.returncode, here.stdout, here.stderr) == (
        apart.returncode,
        apart.stdout,
        apart.stderr,
    )


def refuses(
    case: str, *words: object, cwd: Path, env: dict[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    return (staf if case in AS_PROCESSES else staf_here)(*words, cwd=cwd, env=env)


@pytest.mark.parametrize("name", BAD_VIDEOS)
def test_a_bad_video_is_one_line_an_exit_code_and_nothing_left(
    name: str, tmp_path: Path, place: Path
):
    make, words, code = BAD_VIDEOS[name]
    make(tmp_path / name)
    asked = ("convert", tmp_path / name, "-o", place / "a.glb", "--threads", 1)
    run = refuses(name, *asked, cwd=tmp_path)
    line = one_line(run.stderr)
    assert run.returncode == code, run.stderr
    assert words in line
    assert run.stdout == ""
    assert list(place.iterdir()) == []


def test_of_a_clip_whose_end_is_missing_the_rest_is_converted_and_it_says_so(tmp_path: Path):
    """The index came first and is whole; the pictures stop after 30 of 100."""
    (tmp_path / "half.mp4").write_bytes(BALANCE.read_bytes()[:200_000])
    words = ("-o", "a.glb", "--preset", "fast", "--largest", "--threads", 1, "--progress", "json")
    run = staf_here("convert", "half.mp4", *words, cwd=tmp_path)
    assert run.returncode == 0
    assert "half.mp4 ends early: 30 of 100 frames" in run.stderr
    assert len(run.stderr.splitlines()) == 1
    (person,) = events(run.stdout)[-1]["people"]
    assert 25 <= person["frames"] <= 30


BAD_WISHES = {
    "wrong ending": (("-o", "a.obj"), 5, ".glb"),
    "no ending": (("-o", "a"), 5, ".glb"),
    "folder is missing": (("-o", "gone/a.glb"), 5, "does not exist"),
    "folder is a file": (("-o", "file.txt/a.glb"), 5, "file.txt"),
    "new folder below a file": (("-o", "file.txt/new/"), 5, "file.txt"),
    "overlay's ending": (("-o", "a.glb", "--overlay", "a.txt"), 5, ".mp4"),
    "amass ending": (("-o", "a.glb", "--amass", "a.pkl"), 5, ".npz"),
    "motion ending": (("-o", "a.glb", "--motion", "a.glb"), 5, ".npz"),
    "start past the end": (("-o", "a.glb", "--start", 99), 3, "99"),
    "end before start": (("-o", "a.glb", "--start", 1, "--end", 0.5), 3, "0.5"),
    "start is no number": (("-o", "a.glb", "--start", "nan"), 2, "nan"),
    "too short": (("-o", "a.glb", "--start", 0.5, "--end", 0.55), 4, "never for longer"),
    "no such person": (("-o", "a.glb", "--end", 0.6, "--person", 9), 4, "person 9"),
    "person is no number": (("-o", "a.glb", "--person", "her"), 2, "her"),
    "no such preset": (("-o", "a.glb", "--preset", "magic"), 2, "magic"),
    "no such estimator": (("-o", "a.glb", "--estimator", "magic"), 2, "magic"),
    "no such device": (("-o", "a.glb", "--device", "abacus"), 6, "abacus"),
    "no threads": (("-o", "a.glb", "--threads", 0), 2, "threads"),
    "focal length": (("-o", "a.glb", "--focal-px", -5), 2, "focal"),
    "no such body": (("-o", "a.glb", "--body", "golem"), 7, "golem"),
}


@pytest.mark.parametrize("case", BAD_WISHES)
def test_a_wish_that_cannot_be_met_is_one_line_and_an_exit_code(case: str, place: Path):
    words, code, told = BAD_WISHES[case]
    (place / "file.txt").write_text("here before")
    run = refuses(case, "convert", BALANCE, *words, cwd=place)
    assert run.returncode == code, run.stderr
    assert told in one_line(run.stderr)
    assert [path.name for path in place.iterdir()] == ["file.txt"]
    assert (place / "file.txt").read_text() == "here before"


USAGE = {
    "no command": (),
    "no such command": ("transmogrify",),
    "no output": ("convert", "a.mp4"),
    "no video": ("convert", "-o", "a.glb"),
    "no such option": ("convert", "a.mp4", "-o", "a.glb", "--faster"),
    "no such bones": ("convert", "a.mp4", "-o", "a.glb", "--bone-names", "lego"),
    "seconds in words": ("convert", "a.mp4", "-o", "a.glb", "--start", "soon"),
    "several videos, one file": ("convert", "a.mp4", "b.mp4", "-o", "a.glb"),
}


@pytest.mark.parametrize("case", USAGE)
def test_wrong_use_is_code_2(case: str, place: Path):
    run = refuses(case, *USAGE[case], cwd=place)
    assert run.returncode == 2
    assert "Traceback" not in run.stderr
    assert run.stdout == ""
    assert list(place.iterdir()) == []


@pytest.mark.parametrize("case", ["no such option", "no output", "several videos, one file"])
def test_wrong_use_is_told_to_programs_too(case: str, place: Path):
    """A newer add-on may use an option that an older backend does not know."""
    run = refuses(case, *USAGE[case], "--progress", "json", cwd=place)
    error = events(run.stdout)[-1]
    assert (error["event"], error["kind"], error["exit_code"]) == ("error", "usage", 2)
    assert run.returncode == 2


@pytest.mark.parametrize(
    ("words", "kind", "code"),
    [
        (("missing.mp4", "-o", "a.glb"), "video", 3),
        ((BALANCE, "-o", "a.glb", "--start", 0.5, "--end", 0.52), "nobody", 4),
        ((BALANCE, "-o", "a.obj"), "output", 5),
        ((BALANCE, "-o", "a.glb", "--device", "abacus"), "weights", 6),
        ((BALANCE, "-o", "a.glb", "--body", "golem"), "body", 7),
        ((BALANCE, "-o", "a.glb", "--threads", 0), "usage", 2),
    ],
    ids=lambda v: v if isinstance(v, str) else "",
)
def test_programs_learn_kind_advice_and_code(words: Any, kind: str, code: int, place: Path):
    run = staf_here("convert", *words, "--progress", "json", cwd=place)
    error = events(run.stdout)[-1]
    assert error.keys() == {"event", "kind", "message", "advice", "exit_code"}
    assert (error["event"], error["kind"], error["exit_code"]) == ("error", kind, code)
    assert run.returncode == code
    assert error["message"]
    assert "Traceback" not in run.stderr


class Runs:
    """Unpickling it makes a file."""

    def __reduce__(self) -> tuple[Any, ...]:
        return open, ("it_ran", "w")


def _object_arrays(path: Path) -> None:
    np.savez(path, v_template=np.array([Runs(), None], dtype=object))


def _wrong_layout(path: Path) -> None:
    np.savez(path, v_template=np.zeros((10, 3)), weights=np.zeros((10, 24)))


BAD_BODIES: dict[str, Callable[[Path], Any]] = {
    "code.pkl": lambda path: path.write_bytes(pickle.dumps(Runs())),
    "code_in_smpl.pkl": lambda path: path.write_bytes(
        pickle.dumps({"v_template": Runs(), "J_regressor": 0, "weights": 0})
    ),
    "objects.npz": _object_arrays,
    "layout.npz": _wrong_layout,
    "text.npz": lambda path: path.write_text("hello"),
    "empty.pkl": Path.touch,
    "missing.pkl": _nothing,
    "folder.npz": Path.mkdir,
    "clip.npz": lambda path: shutil.copy(BALANCE, path),
}


@pytest.mark.parametrize("name", BAD_BODIES)
def test_a_bad_body_is_refused_and_never_run(name: str, tmp_path: Path):
    BAD_BODIES[name](tmp_path / name)
    home = tmp_path / "home"
    env = environment(STAF_HOME=str(home))
    run = refuses(name, "body", "add", name, cwd=tmp_path, env=env)
    assert run.returncode == 7, run.stderr
    assert name in one_line(run.stderr)
    assert not (tmp_path / "it_ran").exists()
    assert not home.exists()


def test_the_trap_is_a_trap(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """What the tests above rely on: plain unpickling does run it."""
    monkeypatch.chdir(tmp_path)
    pickle.loads(pickle.dumps(Runs())).close()
    assert (tmp_path / "it_ran").exists()


@pytest.fixture
def harmed(tmp_path: Path) -> dict[str, str]:
    """An installation one of whose networks has a flipped bit."""
    package = tmp_path / "harmed" / "staf_backend"
    (package / "assets").mkdir(parents=True)
    for source in (REPOSITORY / "staf_backend").rglob("*"):
        target = package / source.relative_to(REPOSITORY / "staf_backend")
        if source.is_file():
            target.parent.mkdir(exist_ok=True)
            target.symlink_to(source)
    network = package / "assets" / "movenet_multipose.onnx"
    data = bytearray(network.read_bytes())
    data[-100] ^= 4
    network.unlink()
    network.write_bytes(data)
    return environment(PYTHONPATH=str(package.parent))


def test_weights_with_a_wrong_checksum_are_refused(harmed: dict[str, str], place: Path):
    run = staf("convert", BALANCE, "-o", "a.glb", cwd=place, env=harmed)
    assert run.returncode == 6, run.stderr
    line = one_line(run.stderr)
    assert "movenet_multipose.onnx" in line
    assert "checksum" in line
    assert list(place.iterdir()) == []


def test_the_doctor_finds_damaged_weights(harmed: dict[str, str], place: Path):
    run = staf("doctor", "--progress", "json", cwd=place, env=harmed)
    result = events(run.stdout)[-1]
    assert run.returncode == 6
    assert result["event"] == "result"
    assert not result["ok"]
    status = {one["name"]: one["status"] for one in result["weights"]}
    assert status.pop("movenet_multipose.onnx") == "damaged"
    assert set(status.values()) == {"ok"}
    assert any("movenet" in problem["message"] for problem in result["problems"])


@pytest.mark.parametrize("name", ["missing.mp4", "text.mp4", "empty.mp4"])
@pytest.mark.parametrize("command", ["info", "people"])
def test_every_command_that_reads_a_video_names_a_bad_one(command: str, name: str, tmp_path: Path):
    BAD_VIDEOS[name][0](tmp_path / name)
    run = staf_here(command, name, cwd=tmp_path)
    assert run.returncode == 3
    assert name in one_line(run.stderr)


def test_a_name_that_is_no_unicode_is_no_crash(tmp_path: Path):
    """Linux names are bytes; an old disk has Latin-1 in them."""
    name = b"caf\xe9.mp4".decode(errors="surrogateescape")
    shutil.copy(BALANCE, tmp_path / name)
    words = ("-o", "out/", "--motion", "out/", "--preset", "fast")
    run = subprocess.run(
        [sys.executable, "-m", "staf_backend", "convert", name, *words, *map(str, PART)],
        cwd=tmp_path,
        env=environment(),
        capture_output=True,
        check=False,
    )
    assert run.returncode == 0, run.stderr
    assert len(list((tmp_path / "out").iterdir())) == 2
