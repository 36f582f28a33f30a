"""The backend as a child process: progress, failures, cancelling, nothing left behind."""

import hashlib
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from addon.solving.installing import (
    InstallError,
    beside_arguments,
    describe_doctor,
    environment_python,
    explained,
    install_commands,
    pip_arguments,
    wheel_beside,
)
from addon.solving.job import (
    SolveRequest,
    body_names_of,
    discard,
    job_folder,
    motions_of,
)
from addon.solving.process import Cancelled, Command, Process
from addon.solving.protocol import BackendError
from addon.user_error import UserError
from tests.addon.imitation import BEGIN, SAY, alive, imitation, start, wait_until

REPOSITORY = Path(__file__).resolve().parents[2]
ENVIRONMENT = {"PYTHONPATH": str(REPOSITORY)}


def test_the_real_backend_speaks_the_protocol():
    process = Process(Command(sys.executable, ("doctor",), environment=ENVIRONMENT))
    result = process.wait()
    assert process.version
    assert "open-neutral" in body_names_of(result)
    lines = describe_doctor(result)
    assert lines[0].startswith("staf ")
    assert lines[-1] in ("ready", "not ready")


def test_the_real_backends_error_arrives_whole(tmp_path):
    words = ("convert", str(tmp_path / "no.mp4"), "-o", str(tmp_path / "a.npz"))
    with pytest.raises(BackendError, match=r"no\.mp4") as caught:
        Process(Command(sys.executable, words, environment=ENVIRONMENT)).wait()
    assert caught.value.kind == "video"
    assert caught.value.exit_code == 3


def test_progress_and_result(tmp_path):
    program = BEGIN + (
        "for n in range(3): say(event='progress', stage='fit', done=n+1, total=4, message='m')\n"
        "sys.stderr.write('a warning\\n'); say(event='result', people=[])\n"
    )
    process = start(program, tmp_path)
    result = process.wait()
    assert result["people"] == []
    assert process.progress.share == 0.75
    assert "a warning" in process.log


@pytest.mark.parametrize(
    ("program", "words"),
    [
        ("raise SystemExit('no such thing')", "no Python with a working.*no such thing"),
        (BEGIN + "raise RuntimeError('out of memory')", "crashed: RuntimeError: out of memory"),
        (BEGIN + "os.kill(os.getpid(), 9)", "crashed: it ended with code 137"),
        (BEGIN + "sys.exit(0)", "crashed"),
        (
            SAY + "say(event='start', protocol=2, version='9', command='convert'); time.sleep(60)",
            "backend 9 speaks protocol 2, this add-on 1.*Update the add-on",
        ),
        (
            SAY + "say(event='start', protocol=0, version='0', command='convert'); time.sleep(60)",
            "speaks protocol 0.*Update the backend",
        ),
        (
            BEGIN + "say(event='error', kind='nobody', message='m.', advice='a.', exit_code=4)",
            r"m\. a\.",
        ),
    ],
)
def test_failures_are_one_line(tmp_path, program, words):
    process = start(program, tmp_path)
    with pytest.raises(BackendError, match=words) as caught:
        process.wait()
    assert "\n" not in str(caught.value)
    assert not alive(process.pid)


def test_blenders_window_does_not_wait_for_ever(tmp_path):
    process = start(BEGIN + "time.sleep(60)\n", tmp_path)
    with pytest.raises(BackendError, match="gave no answer within 1 s and was stopped"):
        process.wait(most_s=1.0)
    assert not alive(process.pid)


def test_lines_that_are_no_json_are_log(tmp_path):
    program = BEGIN + "print('hello'); print('[1]'); say(event='result', people=[])\n"
    process = start(program, tmp_path)
    process.wait()
    assert "hello" in process.log


def test_wrong_pythons(tmp_path):
    with pytest.raises(BackendError, match=r"not set up.*Preferences"):
        Process(Command("", ("doctor",)))
    with pytest.raises(BackendError, match="cannot be started"):
        Process(Command(str(tmp_path / "python"), ("doctor",)))
    process = Process(Command(sys.executable, ("-I", "-S", "-m", "staf_backend"), module=None))
    with pytest.raises(BackendError, match="No module named"):
        process.wait()


def test_cancel_is_gentle_first(tmp_path):
    """The command gets SIGTERM and may tidy up."""
    note = tmp_path / "tidied"
    program = BEGIN + (
        "import signal, pathlib\n"
        f"def stop(*_): pathlib.Path({str(note)!r}).touch(); sys.exit(143)\n"
        "signal.signal(signal.SIGTERM, stop)\n"
        "say(event='progress', stage='fit', done=1, total=2, message='m'); time.sleep(60)\n"
    )
    process = start(program, tmp_path)
    wait_until(lambda: process.poll() is None and process.progress.done == 1)
    process.cancel()
    with pytest.raises(Cancelled):
        process.wait()
    assert note.exists()


def test_cancel_insists_and_takes_children_along(tmp_path):
    program = BEGIN + (
        "import signal, subprocess\n"
        "signal.signal(signal.SIGTERM, signal.SIG_IGN)\n"
        "child = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(60)'])\n"
        "say(event='progress', stage='fit', done=child.pid, total=2, message='m'); time.sleep(60)\n"
    )
    process = start(program, tmp_path)
    wait_until(lambda: process.poll() is None and process.progress.done > 0)
    grandchild = process.progress.done
    began = time.monotonic()
    process.cancel()
    assert time.monotonic() - began < 0.05, "cancel does not wait"
    with pytest.raises(Cancelled):
        process.wait()
    assert time.monotonic() - began < 5
    wait_until(lambda: not alive(grandchild) and not alive(process.pid))


def test_polling_never_waits(tmp_path):
    process = start(BEGIN + "time.sleep(60)", tmp_path)
    for _ in range(20):
        began = time.perf_counter()
        assert process.poll() is None
        assert time.perf_counter() - began < 0.05
    process.kill()
    assert not alive(process.pid)


def test_nothing_outlives_whoever_started_it(tmp_path):
    """Blender is killed with no chance to tidy up: the backend ends all the same."""
    environment = imitation(tmp_path, BEGIN + "print(os.getpid(), file=sys.stderr); time.sleep(60)")
    program = (
        "import sys, time; from addon.solving.process import *\n"
        f"p = Process(Command(sys.executable, ('convert',), environment={environment!r}))\n"
        "while not p.log.strip().isdigit(): p.poll(); time.sleep(0.02)\n"
        "print(p.log.strip(), p.pid, flush=True); time.sleep(60)\n"
    )
    blender = subprocess.Popen(
        [sys.executable, "-c", program], stdout=subprocess.PIPE, text=True, cwd=REPOSITORY
    )
    assert blender.stdout is not None
    worker, supervisor = (int(word) for word in blender.stdout.readline().split())
    assert alive(worker)
    os.kill(blender.pid, signal.SIGKILL)
    blender.wait()
    wait_until(lambda: not alive(worker) and not alive(supervisor))


def test_request_becomes_words(tmp_path):
    video = tmp_path / "clip.mp4"
    video.touch()
    request = SolveRequest(video, 1.5, 3.0, "1,3", "staf", "best", "open-male", "cuda", 2)
    words = " ".join(request.convert("py", tmp_path).command_line)
    assert f"py -P -m staf_backend convert {video} -o {tmp_path / 'clip.npz'}" in words
    assert "--person 1,3 --estimator staf --preset best --body open-male --device cuda" in words
    assert "--start 1.5 --end 3.0 --threads 2 --progress json" in words
    told = SolveRequest(video, precision="bf16", tracks=tmp_path / "t", contacts=tmp_path / "c")
    words = " ".join(told.convert("py", tmp_path).arguments)
    assert f"--precision bf16 --tracks {tmp_path / 't'} --contacts {tmp_path / 'c'}" in words
    assert "--precision" not in SolveRequest(video).convert("py", tmp_path).arguments
    assert "--start" not in SolveRequest(video).convert("py", tmp_path).arguments
    assert "--hands" not in SolveRequest(video).convert("py", tmp_path).arguments
    with_fingers = SolveRequest(video, fingers=True).convert("py", tmp_path)
    assert "--hands auto" in " ".join(with_fingers.arguments)
    known = SolveRequest(video, lens="phone", focal_px=800.5).convert("py", tmp_path)
    assert known.arguments[-6:-4] == ("--focal-px", "800.5"), "what is measured goes first"
    assert "--lens phone" in " ".join(
        SolveRequest(video, lens="phone").convert("py", tmp_path).arguments
    )


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"start_s": 3.0, "end_s": 0.6000000238418579}, r"at 0\.6 s, before it starts"),
        ({"start_s": -1.0}, "cannot start"),
        ({"person": "none"}, "names no person"),
        ({"person": "1;rm"}, "names no person"),
        ({"video": Path("/no/such.mp4")}, "does not exist"),
    ],
)
def test_requests_that_mean_nothing(tmp_path, changes, words):
    video = tmp_path / "clip.mp4"
    video.touch()
    with pytest.raises(UserError, match=words):
        SolveRequest(**({"video": video} | changes))


def test_job_folders_never_meet(tmp_path):
    first, second = job_folder(tmp_path, "my clip"), job_folder(tmp_path, "my clip")
    assert (first.name, second.name) == ("my_clip", "my_clip-2")
    discard(first)
    assert not first.exists()
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match="file"):
        job_folder(tmp_path / "file", "clip")


def test_results(tmp_path):
    path = tmp_path / "a.npz"
    path.touch()
    people = [{"motion": str(path)}, {"motion": None}, {"motion": str(path)}]
    assert motions_of({"people": people}, tmp_path) == [path]
    with pytest.raises(BackendError, match="nobody"):
        motions_of({"people": []}, tmp_path)


def test_pip_arguments(tmp_path):
    """A chosen wheel or folder by its path; pip never looks the backend's name up anywhere."""
    wheel = tmp_path / "staf_backend-0.1.0-py3-none-any.whl"
    wheel.touch()
    offline = ["--no-index", "--find-links", str(tmp_path), str(wheel)]
    assert pip_arguments(str(wheel), False) == offline
    assert pip_arguments(str(tmp_path), False) == offline
    assert pip_arguments(str(tmp_path), True) == offline[1:]
    newest = tmp_path / "staf_backend-0.10.0-py3-none-any.whl"
    newest.touch()
    (tmp_path / "staf_backend-0.9.1-py3-none-any.whl").touch()
    assert pip_arguments(str(tmp_path), True)[-1] == str(newest)
    assert pip_arguments(str(REPOSITORY), True) == [str(REPOSITORY)]
    other = tmp_path / "numpy-2.0.0-py3-none-any.whl"
    other.touch()
    stranger = tmp_path / "stranger"
    stranger.mkdir()
    (stranger / "pyproject.toml").touch()
    for source, online, words in (
        ("", True, "does not say where"),
        ("", False, "does not say where"),
        ("https://e.org/simple", True, "does not say where"),
        (str(REPOSITORY), False, "needs the network"),
        (str(tmp_path / "no"), True, "does not exist"),
        ("staf-backend", True, "does not exist"),
        (str(REPOSITORY / "pyproject.toml"), True, "not a wheel"),
        (str(other), True, "not a wheel"),
        (str(stranger), True, "no wheel"),
    ):
        with pytest.raises(InstallError, match=words):
            pip_arguments(source, online)


def test_failed_steps_say_what_to_do():
    """In the words that venv and pip end with."""
    lacking = "because ensurepip is not\navailable.  On Debian/Ubuntu systems\nFailing command: x"
    said = explained(BackendError("Failing command: x", log=lacking))
    assert "virtual environments" in said.message
    assert "folder button of Backend Python" in said.advice
    assert "staf blender install" in said.advice
    assert "python3-venv" in said.advice
    log = "ERROR: No matching distribution found for onnxruntime<2,>=1.17"
    said = explained(BackendError(log, log=log))
    assert "onnxruntime" in said.message
    assert "Online Access" in said.advice
    log = (
        "The conflict is caused by:\n    staf-backend 0.1.0 depends on numpy<3\n"
        "    The user requested (constraint) numpy==9\n\nTo fix this you could try to:\n"
    )
    said = explained(BackendError("ERROR: ResolutionImpossible", log=log))
    assert "depends on numpy<3; The user requested (constraint) numpy==9" in said.message
    assert "PIP_CONSTRAINT" in said.advice
    other = explained(BackendError("No space left on device", log="No space left on device"))
    assert other.message == "No space left on device"


def test_install_steps_end_with_a_check(tmp_path):
    (tmp_path / "staf_backend-0.1.0-py3-none-any.whl").touch()
    steps = install_commands(tmp_path / "env", str(tmp_path), online=False)
    assert [command.arguments[0] for _, command in steps] == ["-m", "-m", "doctor"]
    assert steps[2][1].python == str(environment_python(tmp_path / "env"))


def extension(folder: Path, **told) -> Path:
    """An add-on that was built beside a wheel."""
    folder.mkdir(exist_ok=True)
    (folder / "backend.json").write_text(json.dumps(told))
    return folder


def test_the_wheel_beside_the_extension_is_known_by_its_checksum_alone(tmp_path):
    wheel = tmp_path / "a folder" / "staf_backend-0.1.0-py3-none-any.whl"
    wheel.parent.mkdir()
    wheel.write_bytes(b"the wheel")
    digest = hashlib.sha256(b"the wheel").hexdigest()
    built = extension(tmp_path / "staf", wheel=wheel.name, sha256=digest)
    local = wheel_beside(built, (wheel.parent / "index.json").as_uri())
    assert local is not None
    expected = ["--find-links", str(wheel.parent), str(wheel)]
    assert beside_arguments(local, online=True) == expected
    assert beside_arguments(local, online=False) == ["--no-index", *expected]
    wheel.write_bytes(b"another wheel")
    with pytest.raises(InstallError, match="is not the one this add-on came with"):
        beside_arguments(local, online=True)
    wheel.unlink()
    with pytest.raises(InstallError, match="not there any more"):
        beside_arguments(local, online=True)


@pytest.mark.parametrize("index", ["https://e.org/staf/index.json?x=1", "https://e.org/staf/"])
def test_a_wheel_on_the_network_is_pinned_and_needs_leave(tmp_path, index):
    name = "staf_backend-0.1.0-py3-none-any.whl"
    beside = wheel_beside(extension(tmp_path, wheel=name, sha256="a" * 64), index)
    assert beside is not None
    (word,) = beside_arguments(beside, online=True)
    assert word == f"staf-backend @ https://e.org/staf/{name}#sha256={'a' * 64}"
    with pytest.raises(InstallError, match="Online Access"):
        beside_arguments(beside, online=False)
    steps = install_commands(tmp_path / "env", "", True, beside)
    assert steps[1][1].arguments[-1] == word
    (tmp_path / name).touch()  # what the user chose goes first
    chosen = install_commands(tmp_path / "env", str(tmp_path), False, beside)
    assert chosen[1][1].arguments[-1] == str(tmp_path / name)


@pytest.mark.parametrize(
    ("name", "digest"),
    [("../staf_backend-1.whl", "a" * 64), ("numpy-1.whl", "a" * 64), ("staf_backend-1.whl", "a")],
)
def test_what_names_no_wheel_of_ours_is_nothing(tmp_path, name, digest):
    index = "https://e.org/index.json"
    assert wheel_beside(extension(tmp_path, wheel=name, sha256=digest), index) is None
    assert wheel_beside(tmp_path / "no add-on", index) is None
    good = extension(tmp_path, wheel="staf_backend-1-py3-none-any.whl", sha256="a" * 64)
    assert wheel_beside(good, "") is None


def test_a_clone_is_built_from_a_copy(tmp_path):
    """Building leaves folders; they are none of the clone's."""
    steps = install_commands(tmp_path / "env", str(REPOSITORY), online=True)
    said = [what for what, _ in steps]
    assert said[1] == "copying the source"
    copy = tmp_path / "copy"
    command = steps[1][1]
    subprocess.run([command.python, *command.arguments[:2], str(copy)], check=True)
    assert (copy / "staf_backend" / "cli.py").is_file()
    assert (copy / "addon" / "blender_manifest.toml").is_file()
    assert not list(copy.rglob("__pycache__"))
    assert not (copy / ".git").exists()
    assert steps[2][1].arguments[-1] == command.arguments[-1], "pip builds the copy"


def test_doctor_in_words():
    result = {
        "ok": False,
        "versions": {"staf": "0.1.0", "python": "3.11", "torch": None},
        "devices": ["cpu"],
        "bodies": [{"name": "open-neutral"}],
        "weights": [{"name": "a.onnx", "status": "damaged", "message": "wrong checksum"}],
        "problems": [{"message": "The package av is missing.", "advice": "pip install av"}],
    }
    text = "\n".join(describe_doctor(json.loads(json.dumps(result))))
    assert "a.onnx: damaged. wrong checksum" in text
    assert "The package av is missing. pip install av" in text
    assert text.endswith("not ready")
