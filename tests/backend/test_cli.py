"""The command `staf` as a real process: what it tells, its exit codes, what it leaves behind."""

import json
import pickle
import resource
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from staf_backend import __version__
from staf_backend.motion.file import load_motion
from tests.support.command_line import environment, events, staf, start
from tests.support.glb_reader import read_glb
from tests.support.make_clips import write_clip, write_sound_only
from tests.support.places import FOOTAGE, REPOSITORY

BALANCE = FOOTAGE / "balance_cam02.mp4"
PART = ("--start", 0.5, "--end", 1.0, "--largest", "--threads", 1)


def one_line(text: str) -> str:
    """The only line of an error, without the program's name."""
    assert "Traceback" not in text, text
    (line,) = text.splitlines()
    assert line.startswith("staf: ")
    return line.removeprefix("staf: ")


@pytest.fixture
def place(tmp_path: Path) -> Path:
    """Where the output goes; starts empty."""
    folder = tmp_path / "out"
    folder.mkdir()
    return folder


# --- what a user may throw at it: name -> (make the file, words about it, exit code) ------------


def _nothing(_path: Path) -> None:
    """Leave it missing."""


def _cut_off(path: Path) -> None:
    write_clip(path)
    path.write_bytes(path.read_bytes()[: path.stat().st_size * 6 // 10])


def _one_picture(path: Path) -> None:
    import cv2

    from staf_backend.video.video import open_video

    path.mkdir()
    image = next(open_video(BALANCE).frames(10, 11))
    cv2.imwrite(str(path / "frame_0001.png"), image[..., ::-1])


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
    "nobody.mp4": (write_clip, "obody", 4),
    "one_frame.mp4": (lambda path: write_clip(path, ticks=(0,)), "obody", 4),
    "tiny.mp4": (lambda path: write_clip(path, size=(16, 16)), "obody", 4),
    "one_picture": (_one_picture, "never for longer", 4),
    "new\nline.mp4": (_nothing, "does not exist", 3),
    "Füße ⛹.mp4": (Path.touch, "empty", 3),
}


@pytest.mark.parametrize("name", BAD_VIDEOS)
def test_a_bad_video_is_one_line_an_exit_code_and_nothing_left(
    name: str, tmp_path: Path, place: Path
):
    make, words, code = BAD_VIDEOS[name]
    make(tmp_path / name)
    run = staf("convert", tmp_path / name, "-o", place / "a.glb", "--threads", 1, cwd=tmp_path)
    line = one_line(run.stderr)
    assert run.returncode == code, run.stderr
    assert words in line
    assert run.stdout == ""
    assert list(place.iterdir()) == []


def test_of_a_clip_whose_end_is_missing_the_rest_is_converted_and_it_says_so(tmp_path: Path):
    """The index came first and is whole; the pictures stop after 30 of 100."""
    (tmp_path / "half.mp4").write_bytes(BALANCE.read_bytes()[:200_000])
    words = ("-o", "a.glb", "--preset", "fast", "--largest", "--threads", 1, "--progress", "json")
    run = staf("convert", "half.mp4", *words, cwd=tmp_path)
    assert run.returncode == 0
    assert "half.mp4 ends early: 30 of 100 frames" in run.stderr
    assert len(run.stderr.splitlines()) == 1
    (person,) = events(run.stdout)[-1]["people"]
    assert 25 <= person["frames"] <= 30


BAD_WISHES = {
    "wrong ending": (("-o", "a.fbx"), 5, ".glb"),
    "no ending": (("-o", "a"), 5, ".glb"),
    "folder is missing": (("-o", "gone/a.glb"), 5, "does not exist"),
    "folder is a file": (("-o", "file.txt/a.glb"), 5, "file.txt"),
    "new folder below a file": (("-o", "file.txt/new/"), 5, "file.txt"),
    "overlay's ending": (("-o", "a.glb", "--overlay", "a.txt"), 5, ".mp4"),
    "amass ending": (("-o", "a.glb", "--amass", "a.pkl"), 5, ".npz"),
    "motion ending": (("-o", "a.glb", "--motion", "a.glb"), 5, ".npz"),
    "start past the end": (("-o", "a.glb", "--start", 99), 3, "99"),
    "end before start": (("-o", "a.glb", "--start", 1, "--end", 0.5), 3, "0.5"),
    "start is no number": (("-o", "a.glb", "--start", "nan"), 3, "nan"),
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
    run = staf("convert", BALANCE, *words, cwd=place)
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
    run = staf(*USAGE[case], cwd=place)
    assert run.returncode == 2
    assert "Traceback" not in run.stderr
    assert run.stdout == ""
    assert list(place.iterdir()) == []


@pytest.mark.parametrize("case", ["no such option", "no output", "several videos, one file"])
def test_wrong_use_is_told_to_programs_too(case: str, place: Path):
    """A newer add-on may use an option that an older backend does not know."""
    run = staf(*USAGE[case], "--progress", "json", cwd=place)
    error = events(run.stdout)[-1]
    assert (error["event"], error["kind"], error["exit_code"]) == ("error", "usage", 2)
    assert run.returncode == 2


@pytest.mark.parametrize(
    ("words", "kind", "code"),
    [
        (("missing.mp4", "-o", "a.glb"), "video", 3),
        ((BALANCE, "-o", "a.glb", "--start", 0.5, "--end", 0.52), "nobody", 4),
        ((BALANCE, "-o", "a.fbx"), "output", 5),
        ((BALANCE, "-o", "a.glb", "--device", "abacus"), "weights", 6),
        ((BALANCE, "-o", "a.glb", "--body", "golem"), "body", 7),
        ((BALANCE, "-o", "a.glb", "--threads", 0), "usage", 2),
    ],
    ids=lambda v: v if isinstance(v, str) else "",
)
def test_programs_learn_kind_advice_and_code(words: Any, kind: str, code: int, place: Path):
    run = staf("convert", *words, "--progress", "json", cwd=place)
    error = events(run.stdout)[-1]
    assert error.keys() == {"event", "kind", "message", "advice", "exit_code"}
    assert (error["event"], error["kind"], error["exit_code"]) == ("error", kind, code)
    assert run.returncode == code
    assert error["message"]
    assert "Traceback" not in run.stderr


# --- the disk ------------------------------------------------------------------------------------


def _small_files() -> None:
    resource.setrlimit(resource.RLIMIT_FSIZE, (60_000, 60_000))


@pytest.mark.parametrize(
    "wish",
    [("-o", "a.glb"), ("-o", "a.npz", "--overlay", "o.mp4")],
    ids=["character", "overlay"],
)
def test_a_file_that_the_disk_does_not_take_is_not_left_half(wish: tuple[str, ...], place: Path):
    run = staf("convert", BALANCE, *wish, *PART, cwd=place, before=_small_files)
    assert run.returncode == 5, run.stderr
    assert wish[-1] in one_line(run.stderr)
    whole = [path.name for path in place.iterdir()]
    assert whole in ([], ["a.npz"])
    for name in whole:
        load_motion(place / name)


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A real file system of 200 kB."""
    disk = tmp_path / "disk"
    disk.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=200k", "tmpfs", str(disk)]
    if not shutil.which("mount") or subprocess.run(mount, capture_output=True).returncode:
        pytest.skip("no right to mount a file system here")
    yield disk
    subprocess.run(["umount", str(disk)], check=True)


def test_a_full_disk_keeps_what_was_there(small_disk: Path):
    (small_disk / "a.glb").write_bytes(b"precious")
    run = staf("convert", BALANCE, "-o", small_disk / "a.glb", *PART, cwd=small_disk)
    assert run.returncode == 5, run.stderr
    assert "disk is full" in one_line(run.stderr)
    assert [path.name for path in small_disk.iterdir()] == ["a.glb"]
    assert (small_disk / "a.glb").read_bytes() == b"precious"


# --- interrupted ---------------------------------------------------------------------------------


@pytest.mark.parametrize("stage", ["detect", "landmarks", "overlay"])
@pytest.mark.parametrize(("name", "code"), [("SIGINT", 130), ("SIGTERM", 143)])
def test_interrupted_at_work_it_leaves_nothing_half(stage: str, name: str, code: int, place: Path):
    wish = ("-o", "a.glb", "--overlay", "o.mp4", "--preset", "fast", "--progress", "json")
    span = ("--start", 0.5, "--end", 1.0, "--largest", "--threads", 1)
    process = start("convert", BALANCE, *wish, *span, cwd=place)
    assert process.stdout is not None
    told = []
    for line in process.stdout:
        told.append(line)
        one = json.loads(line)
        if one.get("stage") == stage and 0 < one["done"] < one["total"]:
            process.send_signal(getattr(signal, name))
            break
    rest, complaints = process.communicate(timeout=60)
    error = events("".join(told) + rest)[-1]
    assert process.returncode == code, complaints
    assert (error["event"], error["kind"]) == ("error", "interrupted")
    assert error["exit_code"] == code
    assert "Traceback" not in complaints
    left = sorted(path.name for path in place.iterdir())
    assert left == (["a.glb"] if stage == "overlay" else []), "whole files or none"
    for found in left:
        read_glb(place / found)


def test_ctrl_c_at_a_terminal_is_one_line(place: Path):
    process = start("-v", "convert", BALANCE, "-o", "a.glb", "--threads", 1, cwd=place)
    assert process.stderr is not None
    assert "100 frames" in process.stderr.readline(), "it is at work"
    process.send_signal(signal.SIGINT)
    _, complaints = process.communicate(timeout=60)
    assert process.returncode == 130
    assert "staf: interrupted" in complaints
    assert "Traceback" not in complaints
    assert list(place.iterdir()) == []


@pytest.mark.parametrize("late_s", [0.02, 0.05, 0.1, 0.2])
def test_ctrl_c_while_the_program_loads_is_one_line(late_s: float, place: Path):
    """From the moment that Python runs our first line; before it, the signal is the system's."""
    process = start("convert", BALANCE, "-o", "a.glb", "--threads", 1, cwd=place)
    loaded = Path(f"/proc/{process.pid}/maps")
    while "numpy" not in loaded.read_text() and process.poll() is None:
        time.sleep(0.001)
    time.sleep(late_s)
    process.send_signal(signal.SIGINT)
    _, complaints = process.communicate(timeout=60)
    assert process.returncode == 130
    assert complaints.startswith("staf: interrupted")
    assert complaints.count("\n") == 1
    assert list(place.iterdir()) == []


def test_a_reader_that_goes_away_is_no_crash(place: Path):
    """staf info clip.mp4 | head -0"""
    process = start("info", BALANCE, cwd=place)
    assert process.stdout is not None
    assert process.stderr is not None
    process.stdout.close()
    complaints = process.stderr.read()
    process.stderr.close()
    process.wait(timeout=60)
    assert complaints == ""


# --- bodies and weights that are not what they should be -----------------------------------------


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
    run = staf("body", "add", name, cwd=tmp_path, env=environment(STAF_HOME=str(home)))
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
        if source.is_file() and source.parent.name != "__pycache__":
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


# --- what it is for ------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def converted(tmp_path_factory: pytest.TempPathFactory):
    """One conversion with everything written, told to a program."""
    folder = tmp_path_factory.mktemp("converted")
    files = ("-o", "a.glb", "--motion", "m.npz", "--amass", "x.npz")
    run = staf("convert", BALANCE, *files, *PART, "--progress", "json", cwd=folder)
    return folder, run


def test_a_conversion_tells_what_it_made(converted: Any):
    folder, run = converted
    assert run.returncode == 0, run.stderr
    assert run.stderr == ""
    told = events(run.stdout)
    assert told[0] == {
        "event": "start", "protocol": 1, "version": __version__, "command": "convert",
    }  # fmt: skip
    assert list(dict.fromkeys(one["stage"] for one in told[1:-1])) == [
        "detect", "landmarks", "fit", "ground", "write",
    ]  # fmt: skip
    result = told[-1]
    made = [str(folder / name) for name in ("m.npz", "x.npz", "a.glb")]
    assert sorted(result["files"]) == sorted(made)
    (person,) = result["people"]
    assert sorted(person["files"]) == sorted(made)
    assert person["motion"] == made[0]
    assert (person["person"], person["name"], person["frames"]) == (1, "balance_cam02", 30)
    assert person["seconds"] == pytest.approx(0.483, abs=0.01)
    assert person["coverage"] == 1
    assert (person["body"], person["estimator"]) == ("open-neutral", "landmarks")
    assert 0 < result["seconds"] < 600
    assert result["message"]
    assert sorted(path.name for path in folder.iterdir()) == ["a.glb", "m.npz", "x.npz"]


def test_another_process_writes_the_same_bytes(converted: Any, tmp_path: Path):
    """Whatever the number of threads, of the networks and of the linear algebra."""
    folder, _ = converted
    files = ("-o", "a.glb", "--motion", "m.npz", "--amass", "x.npz")
    env = environment(OPENBLAS_NUM_THREADS="2")
    run = staf("convert", BALANCE, *files, *PART[:-1], 2, cwd=tmp_path, env=env)
    assert run.returncode == 0, run.stderr
    for name in ("a.glb", "m.npz", "x.npz"):
        assert (tmp_path / name).read_bytes() == (folder / name).read_bytes()


def test_a_person_reads_a_sentence(tmp_path: Path):
    words = ("-o", "new/", "--preset", "fast", "--no-mesh")
    run = staf("convert", BALANCE, *words, *PART, cwd=tmp_path)
    assert run.returncode == 0
    assert run.stderr == "", "no bar where nobody watches"
    assert "balance_cam02: person 1, 30 frames" in run.stdout
    assert [path.name for path in (tmp_path / "new").iterdir()] == ["balance_cam02.glb"]


def test_one_bad_video_does_not_stop_the_others(tmp_path: Path, place: Path):
    (tmp_path / "bad.mp4").write_text("no")
    words = ("-o", f"{place}/", "--preset", "fast", "--progress", "json")
    run = staf("convert", tmp_path / "bad.mp4", BALANCE, *words, *PART, cwd=tmp_path)
    result = events(run.stdout)[-1]
    assert run.returncode == 3
    assert [path.name for path in place.iterdir()] == ["balance_cam02.glb"]
    (failed,) = result["failed"]
    assert failed["source"].endswith("bad.mp4")
    assert failed["kind"] == "video"
    (done,) = result["people"]
    assert done["source"] == "balance_cam02.mp4"


def test_if_all_videos_are_bad_it_is_an_error(tmp_path: Path, place: Path):
    for name in ("a.mp4", "b.mp4"):
        (tmp_path / name).touch()
    run = staf("convert", "a.mp4", "b.mp4", "-o", f"{place}/", "--progress", "json", cwd=tmp_path)
    assert events(run.stdout)[-1]["event"] == "error"
    assert run.returncode == 3


def test_two_videos_of_one_name_do_not_overwrite_each_other(tmp_path: Path, place: Path):
    """Cameras number their clips from 1, every day anew."""
    for day in ("monday", "tuesday"):
        (tmp_path / day).mkdir()
        (tmp_path / day / "clip.mp4").symlink_to(BALANCE)
    clips = ("monday/clip.mp4", "tuesday/clip.mp4")
    words = ("-o", f"{place}/", "--preset", "fast", "--progress", "json")
    run = staf("convert", *clips, *words, *PART, cwd=tmp_path)
    told = events(run.stdout)[-1]
    if run.returncode:
        assert run.returncode in (2, 5), "refused, before the work"
    else:
        assert len(told["files"]) == len(list(place.iterdir())) == 2


def test_the_footage_is_never_overwritten(tmp_path: Path):
    shutil.copy(BALANCE, tmp_path / "clip.mp4")
    words = ("-o", "a.glb", "--overlay", "clip.mp4", "--preset", "fast")
    run = staf("convert", "clip.mp4", *words, *PART, cwd=tmp_path)
    assert (tmp_path / "clip.mp4").read_bytes() == BALANCE.read_bytes()
    assert run.returncode in (2, 5)
    one_line(run.stderr)


def test_people_are_listed_with_pictures(tmp_path: Path):
    import cv2

    words = ("--end", 0.6, "--thumbnails", "faces", "--threads", 1, "--progress", "json")
    run = staf("people", BALANCE, *words, cwd=tmp_path)
    assert run.returncode == 0, run.stderr
    first, *_ = events(run.stdout)[-1]["people"]
    assert first.keys() == {
        "person", "frames", "coverage", "first_s", "last_s", "box_px", "thumbnail",
    }  # fmt: skip
    assert (first["person"], first["frames"], first["first_s"]) == (1, 36, 0)
    assert first["coverage"] == 1, "seen on every frame that was searched"
    x, y, side = first["box_px"]
    assert 300 < x < 800
    assert 300 < y < 1200
    assert 300 < side < 1200
    assert first["thumbnail"] == str(tmp_path / "faces" / "person-1.png")
    picture = cv2.imread(first["thumbnail"])
    assert picture is not None
    assert picture.shape[0] <= 160


def test_pictures_that_cannot_be_written_are_an_error(tmp_path: Path):
    (tmp_path / "faces").write_text("a file")
    words = ("--end", 0.6, "--thumbnails", "faces", "--threads", 1)
    run = staf("people", BALANCE, *words, cwd=tmp_path)
    assert run.returncode == 5, run.stderr
    assert "faces" in one_line(run.stderr)


def test_info(tmp_path: Path):
    run = staf("info", BALANCE, "--progress", "json", cwd=tmp_path)
    video = events(run.stdout)[-1]["video"]
    assert run.returncode == 0
    assert (video["frames"], video["size_px"], video["fps"]) == (100, "1080 x 1920", 60)
    assert not video["variable_rate"]
    assert video["sound"]
    text = staf("info", BALANCE, cwd=tmp_path).stdout
    assert "1080 x 1920" in text


@pytest.mark.parametrize("name", ["missing.mp4", "text.mp4", "empty.mp4"])
@pytest.mark.parametrize("command", ["info", "people"])
def test_every_command_that_reads_a_video_names_a_bad_one(command: str, name: str, tmp_path: Path):
    BAD_VIDEOS[name][0](tmp_path / name)
    run = staf(command, name, cwd=tmp_path)
    assert run.returncode == 3
    assert name in one_line(run.stderr)


def test_the_doctor_finds_this_installation_well(tmp_path: Path):
    env = environment(STAF_HOME=str(tmp_path / "home"))
    run = staf("doctor", "--progress", "json", cwd=tmp_path, env=env)
    result = events(run.stdout)[-1]
    assert run.returncode == 0, run.stdout
    assert result["ok"]
    assert result["problems"] == []
    assert "cpu" in result["devices"]
    assert result["versions"]["staf"] == __version__
    assert {one["name"] for one in result["bodies"]} >= {"open-neutral", "open-male", "open-female"}
    assert all(one.keys() >= {"name", "kind", "gender", "path"} for one in result["bodies"])
    assert {one["status"] for one in result["weights"]} == {"ok"}
    assert "lift.onnx" in {one["name"] for one in result["weights"]}
    text = staf("doctor", cwd=tmp_path, env=env).stdout
    assert text.endswith("ready\n")


def test_the_doctor_says_what_runs_where(tmp_path: Path):
    env = environment(STAF_HOME=str(tmp_path / "home"))
    result = events(staf("doctor", "--progress", "json", cwd=tmp_path, env=env).stdout)[-1]
    assert "CPUExecutionProvider" in result["providers"]
    stages = {one["stage"]: (one["by"], one["runs_on"]) for one in result["stages"]}
    assert stages["detect"] == stages["landmarks"] == stages["lift"]
    assert stages["detect"][1] in result["devices"]
    assert ("staf" in stages) == bool(result["versions"]["torch"]) == bool(result["torch_devices"])
    assert result["estimator"] == "landmarks"
    (opened,) = result["staf_weights"]
    assert (opened["name"], opened["in_use"], opened["can_convert"]) == ("staf-open", True, True)
    for words in ("stage detect", "CPUExecutionProvider", "which staf convert runs"):
        assert words in result["message"]


def test_a_body_goes_out_as_plain_arrays(tmp_path: Path):
    run = staf("body", "export", "open-male", "-o", "b.npz", "--progress", "json", cwd=tmp_path)
    assert run.returncode == 0, run.stderr
    assert events(run.stdout)[-1]["files"] == [str(tmp_path / "b.npz")]
    with np.load(tmp_path / "b.npz", allow_pickle=False) as arrays:
        assert arrays["template_m"].shape[1] == 3
        assert arrays["parents"][0] == -1
        assert np.allclose(arrays["skin_weights"].sum(1), 1, atol=1e-5)
    run = staf("body", "export", "golem", "-o", "c.npz", cwd=tmp_path)
    assert run.returncode == 7
    one_line(run.stderr)
    run = staf("body", "export", "open-male", "-o", "gone/c.npz", cwd=tmp_path)
    assert run.returncode == 5
    one_line(run.stderr)


def test_bodies_are_listed(tmp_path: Path):
    env = environment(STAF_HOME=str(tmp_path / "home"))
    run = staf("body", "list", cwd=tmp_path, env=env)
    assert run.stdout.split() == ["open-neutral", "open-male", "open-female"]


def test_the_version_is_told(tmp_path: Path):
    assert staf("--version", cwd=tmp_path).stdout == f"staf {__version__}\n"


@pytest.mark.parametrize("words", [(), ("convert",), ("people",), ("body",), ("body", "add")])
def test_help_is_there(words: tuple[str, ...], tmp_path: Path):
    run = staf(*words, "--help", cwd=tmp_path)
    assert run.returncode == 0
    assert run.stdout.startswith("usage: staf")


def test_every_exit_code_of_the_help_text_is_in_the_code():
    import staf_backend.cli as cli

    for code in (0, 1, 2, 3, 4, 5, 6, 7, 8, 130, 143):
        assert f" {code} " in f" {cli.__doc__} ".replace("\n", " ")


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
