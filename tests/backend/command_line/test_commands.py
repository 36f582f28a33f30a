"""What each command of `staf` tells and makes.

A conversion, `staf doctor` and `staf info` are real processes; the others run the same command
within the tests' own.
"""

import shutil
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from staf_backend import StafError, __version__
from staf_backend.files import long_array
from staf_backend.files.scratch import LEAST_BYTES
from tests.support.command_line import BALANCE, PART, environment, events, one_line, staf, staf_here


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
        "event": "start",
        "protocol": 1,
        "version": __version__,
        "command": "convert",
    }
    assert list(dict.fromkeys(one["stage"] for one in told[1:-1])) == [
        "detect",
        "landmarks",
        "fit",
        "ground",
        "write",
    ]
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


@pytest.mark.slow
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
    run = staf_here("convert", BALANCE, *words, *PART, cwd=tmp_path)
    assert run.returncode == 0
    assert run.stderr == "", "no bar where nobody watches"
    assert "balance_cam02: person 1, 30 frames" in run.stdout
    assert [path.name for path in (tmp_path / "new").iterdir()] == ["balance_cam02.glb"]


def test_one_bad_video_does_not_stop_the_others(tmp_path: Path, place: Path):
    (tmp_path / "bad.mp4").write_text("no")
    words = ("-o", f"{place}/", "--preset", "fast", "--progress", "json")
    run = staf_here("convert", tmp_path / "bad.mp4", BALANCE, *words, *PART, cwd=tmp_path)
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
    run = staf_here(
        "convert", "a.mp4", "b.mp4", "-o", f"{place}/", "--progress", "json", cwd=tmp_path
    )
    assert events(run.stdout)[-1]["event"] == "error"
    assert run.returncode == 3


def test_two_videos_of_one_name_do_not_overwrite_each_other(tmp_path: Path, place: Path):
    """Cameras number their clips from 1, every day anew."""
    for day in ("monday", "tuesday"):
        (tmp_path / day).mkdir()
        (tmp_path / day / "clip.mp4").symlink_to(BALANCE)
    clips = ("monday/clip.mp4", "tuesday/clip.mp4")
    words = ("-o", f"{place}/", "--preset", "fast", "--progress", "json")
    run = staf_here("convert", *clips, *words, *PART, cwd=tmp_path)
    told = events(run.stdout)[-1]
    if run.returncode:
        assert run.returncode in (2, 5), "refused, before the work"
    else:
        assert len(told["files"]) == len(list(place.iterdir())) == 2


def test_the_footage_is_never_overwritten(tmp_path: Path):
    shutil.copy(BALANCE, tmp_path / "clip.mp4")
    words = ("-o", "a.glb", "--overlay", "clip.mp4", "--preset", "fast")
    run = staf_here("convert", "clip.mp4", *words, *PART, cwd=tmp_path)
    assert (tmp_path / "clip.mp4").read_bytes() == BALANCE.read_bytes()
    assert run.returncode in (2, 5)
    one_line(run.stderr)


def test_people_are_listed_with_pictures(tmp_path: Path):
    import cv2

    words = ("--end", 0.6, "--thumbnails", "faces", "--threads", 1, "--progress", "json")
    run = staf_here("people", BALANCE, *words, cwd=tmp_path)
    assert run.returncode == 0, run.stderr
    first, *_ = events(run.stdout)[-1]["people"]
    assert first.keys() == {
        "person",
        "frames",
        "coverage",
        "first_s",
        "last_s",
        "box_px",
        "thumbnail",
    }
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
    run = staf_here("people", BALANCE, *words, cwd=tmp_path)
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


@pytest.fixture(scope="module")
def examined(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """What the doctor tells a program about this installation, whose user has added nothing."""
    folder = tmp_path_factory.mktemp("examined")
    env = environment(STAF_HOME=str(folder / "home"))
    run = staf("doctor", "--progress", "json", cwd=folder, env=env)
    assert run.returncode == 0, run.stdout
    return events(run.stdout)[-1]


def test_the_doctor_finds_this_installation_well(examined: dict[str, Any], tmp_path: Path):
    assert examined["ok"]
    assert examined["problems"] == []
    assert "cpu" in examined["devices"]
    assert examined["versions"]["staf"] == __version__
    bodies = examined["bodies"]
    assert {one["name"] for one in bodies} >= {"open-neutral", "open-male", "open-female"}
    assert all(one.keys() >= {"name", "kind", "gender", "path"} for one in bodies)
    assert {one["status"] for one in examined["weights"]} == {"ok"}
    assert "lift.onnx" in {one["name"] for one in examined["weights"]}
    env = environment(STAF_HOME=str(tmp_path / "home"))
    assert staf_here("doctor", cwd=tmp_path, env=env).stdout.endswith("ready\n")


def test_the_doctor_says_what_runs_where(examined: dict[str, Any]):
    assert "CPUExecutionProvider" in examined["providers"]
    stages = {one["stage"]: (one["by"], one["runs_on"]) for one in examined["stages"]}
    assert stages["detect"] == stages["landmarks"] == stages["lift"]
    assert stages["detect"][1] in examined["devices"]
    has_torch = bool(examined["versions"]["torch"])
    assert ("staf" in stages) == has_torch == bool(examined["torch_devices"])
    assert examined["estimator"] == "landmarks"
    (opened,) = examined["staf_weights"]
    assert (opened["name"], opened["in_use"], opened["can_convert"]) == ("staf-open", True, True)
    for words in ("stage detect", "CPUExecutionProvider", "which staf convert runs"):
        assert words in examined["message"]


def test_a_body_goes_out_as_plain_arrays(tmp_path: Path):
    run = staf_here(
        "body", "export", "open-male", "-o", "b.npz", "--progress", "json", cwd=tmp_path
    )
    assert run.returncode == 0, run.stderr
    assert events(run.stdout)[-1]["files"] == [str(tmp_path / "b.npz")]
    with np.load(tmp_path / "b.npz", allow_pickle=False) as arrays:
        assert arrays["template_m"].shape[1] == 3
        assert arrays["parents"][0] == -1
        assert np.allclose(arrays["skin_weights"].sum(1), 1, atol=1e-5)
    run = staf_here("body", "export", "golem", "-o", "c.npz", cwd=tmp_path)
    assert run.returncode == 7
    one_line(run.stderr)
    run = staf_here("body", "export", "open-male", "-o", "gone/c.npz", cwd=tmp_path)
    assert run.returncode == 5
    one_line(run.stderr)


def test_bodies_are_listed(tmp_path: Path):
    env = environment(STAF_HOME=str(tmp_path / "home"))
    run = staf_here("body", "list", cwd=tmp_path, env=env)
    assert run.stdout.split() == ["open-neutral", "open-male", "open-female"]


def test_the_version_is_told(tmp_path: Path):
    assert staf("--version", cwd=tmp_path).stdout == f"staf {__version__}\n"


@pytest.mark.parametrize("words", [(), ("convert",), ("people",), ("body",), ("body", "add")])
def test_help_is_there(words: tuple[str, ...], tmp_path: Path):
    run = staf_here(*words, "--help", cwd=tmp_path)
    assert run.returncode == 0
    assert run.stdout.startswith("usage: staf")


def test_every_exit_code_of_the_help_text_is_in_the_code():
    import staf_backend.cli as cli

    for code in (0, 1, 2, 3, 4, 5, 6, 7, 8, 130, 143):
        assert f" {code} " in f" {cli.__doc__} ".replace("\n", " ")


@pytest.mark.skipif(sys.platform != "linux", reason="asks Linux where a mapped file lies")
def test_what_is_known_of_a_long_clip_waits_beside_the_output(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    lie: list[bool] = []

    def solve(*_: object) -> None:
        array = long_array((LEAST_BYTES,))
        maps = Path("/proc/self/maps").read_text(encoding="utf-8")
        lie.append(f" {tmp_path}/" in maps and array.nbytes > LEAST_BYTES)
        raise StafError("enough")

    monkeypatch.setattr("staf_backend.commands.solve", solve)
    run = staf_here("convert", BALANCE, "-o", tmp_path / "a.glb", cwd=tmp_path)
    assert "enough" in run.stderr
    assert lie == [True]
    assert not list(tmp_path.iterdir())
