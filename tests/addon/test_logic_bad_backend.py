"""A backend that is broken, or no backend: one sentence, bounded memory, and an end."""

import io
import json
import os
import signal
import sys
import time
from pathlib import Path

import pytest

from addon.solving import process as process_module
from addon.solving.installing import describe_doctor
from addon.solving.job import body_name_of, body_names_of, motions_of
from addon.solving.process import Cancelled, Command, Process
from addon.solving.protocol import MAX_LINE_BYTES, BackendError, Progress, event_of, lines_of
from tests.addon.imitation import BEGIN, SAY, alive, start, wait_until

RESULT = "say(event='result', people=[])\n"
DEEP = "[" * 200_000


@pytest.mark.parametrize(
    "words",
    [
        {"done": None},
        {"done": [1]},
        {"total": {"a": 1}},
        {"done": True},
        {"done": "3"},
        {"done": 1.5},
        {"total": 10**400},
        {"stage": ["fit"]},
        {"message": {"deep": 1}},
    ],
)
def test_progress_that_means_nothing_is_no_progress(tmp_path, words):
    line = json.dumps({"event": "progress", "stage": "fit", "done": 1, "total": 4} | words)
    assert event_of(line) is None
    program = BEGIN + f"print({line!r}, flush=True)\n" + RESULT
    process = start(program, tmp_path)
    assert process.wait()["people"] == []
    assert process.progress == Progress()


@pytest.mark.parametrize(
    "line",
    [
        *("", "null", "[]", "3", '"event"', "{}", '{"event": null}', '{"event": ["result"]}', DEEP),
        *('{"event": "progress", "done": NaN}', f'{{"event": "progress", "done": {"9" * 5000}}}'),
    ],
)
def test_lines_that_are_no_event(line):
    assert event_of(line) is None


@pytest.mark.parametrize(
    ("program", "words"),
    [
        (SAY + "say(event='start', protocol=None, version='9'); time.sleep(60)", '"protocol"'),
        (SAY + "say(event='start', protocol=[1], version='9'); time.sleep(60)", '"protocol"'),
        (SAY + "say(event='start', protocol=True, version='9'); time.sleep(60)", '"protocol"'),
        (SAY + "say(event='start', protocol=1, version={}); time.sleep(60)", '"version"'),
        (SAY + "say(event='start', version='9'); time.sleep(60)", "protocol -1"),
        (BEGIN + "say(event='error', message=['m']); time.sleep(60)", '"message"'),
        (BEGIN + "say(event='error', message='m', exit_code='3'); time.sleep(60)", '"exit_code"'),
        (BEGIN + "say(event='result', message=1); time.sleep(60)", '"message"'),
        (SAY + RESULT + "time.sleep(60)", "no Python with a working.*without a start"),
        (BEGIN + "say(event='error', message='a\\n\\x1b[31mb' + 10**6 * 'c')", "^a  .31mb"),
        (BEGIN + f"print({DEEP!r})", "crashed"),
    ],
)
def test_other_words_than_agreed_are_one_sentence(tmp_path, program, words):
    process = start(program, tmp_path)
    with pytest.raises(BackendError, match=words) as caught:
        process.wait(most_s=20)
    assert str(caught.value).isprintable()
    assert len(str(caught.value)) < 3000
    assert not alive(process.pid)


def test_lines_are_cut_at_the_limit():
    stream = io.BytesIO(b"one\r\n" + b"x" * 25 + b"\nthree\xff\n" + b"y" * 10 + b"\nend")
    lines = [(line.text, line.whole) for line in lines_of(stream, limit=10)]
    long = [("x" * 10, False), ("three\ufffd", True), ("y" * 10, False), ("end", True)]
    assert lines == [("one", True), *long]


@pytest.mark.parametrize("stream", ["stdout", "stderr"])
def test_a_line_without_an_end_is_not_read_whole(tmp_path, stream):
    """A gigabyte of it, in bounded memory."""
    import tracemalloc

    endless = f"for _ in range(1000): sys.{stream}.write('x' * 1_000_000)\n"
    process = start(
        BEGIN + endless + f"sys.{stream}.write('\\n'); sys.stdout.flush()\n" + RESULT, tmp_path
    )
    tracemalloc.start()
    try:
        if stream == "stderr":
            assert process.wait(most_s=60)["people"] == []
        else:
            with pytest.raises(BackendError, match="more than 1 MB"):
                process.wait(most_s=60)
        assert tracemalloc.get_traced_memory()[1] < 20 * MAX_LINE_BYTES
    finally:
        tracemalloc.stop()
    assert len(process.log) < 10_000


@pytest.mark.parametrize("stream", ["stdout", "stderr"])
def test_a_flood_of_lines_does_not_hold_the_window(tmp_path, stream):
    process = start(BEGIN + f"while True: sys.{stream}.write('y' * 1000 + '\\n')\n", tmp_path)
    wait_until(lambda: process.poll() is None and "yyy" in process.log)
    for _ in range(20):
        began = time.perf_counter()
        assert process.poll() is None
        assert time.perf_counter() - began < 0.2
        time.sleep(0.02)
    process.cancel()
    with pytest.raises(Cancelled):
        process.wait(most_s=10)
    assert not alive(process.pid)


def test_a_result_is_taken_though_the_supervisor_was_killed(tmp_path):
    """The command works on, and its result comes."""
    program = BEGIN + "print(os.getpid(), file=sys.stderr, flush=True); time.sleep(1)\n" + RESULT
    process = start(program, tmp_path)
    wait_until(lambda: process.poll() is None and process.log.strip().isdigit())
    os.kill(process.pid, signal.SIGKILL)
    assert process.wait(most_s=20)["people"] == []
    wait_until(lambda: not alive(int(process.log.split()[0])))


def test_without_a_supervisor_cancel_still_ends_the_command(tmp_path):
    process = start(
        BEGIN + "print(os.getpid(), file=sys.stderr, flush=True); time.sleep(60)", tmp_path
    )
    wait_until(lambda: process.poll() is None and process.log.strip().isdigit())
    os.kill(process.pid, signal.SIGKILL)
    wait_until(lambda: not alive(process.pid))
    assert process.poll() is None
    process.cancel()
    with pytest.raises(Cancelled):
        process.wait(most_s=10)
    wait_until(lambda: not alive(int(process.log.split()[0])))


@pytest.mark.parametrize("end", ["os._exit(7)", "os.kill(os.getpid(), 11)", "time.sleep(60)"])
def test_a_result_is_taken_however_the_backend_ends_after_it(tmp_path, monkeypatch, end):
    monkeypatch.setattr(process_module, "LAST_WORD_S", 0.5)
    process = start(BEGIN + RESULT + end, tmp_path)
    assert process.wait(most_s=20)["people"] == []
    assert not alive(process.pid)


@pytest.mark.parametrize(
    ("program", "words"),
    [
        ("os.close(1); os.close(2); time.sleep(60)", "crashed"),
        (
            "import subprocess\nsubprocess.Popen([sys.executable, '-c', 'import time;"
            " time.sleep(8)'], start_new_session=True)",
            "crashed: it ended with code 0",
        ),
    ],
)
def test_streams_and_process_that_do_not_end_together(tmp_path, monkeypatch, program, words):
    """Closed streams of a living command; streams that a stranger holds open."""
    monkeypatch.setattr(process_module, "LAST_WORD_S", 0.5)
    process = start(BEGIN + program, tmp_path)
    with pytest.raises(BackendError, match=words):
        process.wait(most_s=6)
    assert not alive(process.pid)


def test_silence_is_no_backend(tmp_path, monkeypatch):
    monkeypatch.setattr(process_module, "START_S", 1.0)
    process = start("time.sleep(60)", tmp_path)
    with pytest.raises(BackendError, match="said nothing within 1 s"):
        process.wait(most_s=20)
    assert not alive(process.pid)


def test_a_name_that_no_program_has():
    with pytest.raises(BackendError, match="cannot be started"):
        Process(Command("python\0", ("doctor",)))
    with pytest.raises(BackendError):
        Process(Command(sys.executable, ("convert", "a\0.mp4")))


def job(folder: Path) -> Path:
    (folder / "job").mkdir()
    (folder / "job" / "clip.npz").touch()
    (folder / "outside.npz").touch()
    (folder / "job" / "link.npz").symlink_to(folder / "outside.npz")
    (folder / "job" / "loop.npz").symlink_to(folder / "job" / "loop.npz")
    return folder / "job"


@pytest.mark.parametrize(
    "name",
    [
        *("../outside.npz", "link.npz", "loop.npz", "missing.npz", ".", "a\0b", "x" * 5000),
        *("/dev/zero", "/etc/passwd", ["clip.npz"], {"a": 1}, 3, True),
    ],
)
def test_results_name_files_of_the_jobs_folder_only(tmp_path, name):
    folder = job(tmp_path)
    with pytest.raises(BackendError) as caught:
        motions_of({"people": [{"motion": "clip.npz"}, {"motion": name}]}, folder)
    assert str(caught.value).isprintable()


@pytest.mark.parametrize("people", [None, {}, "x", [None], [["motion"]], [3]])
def test_people_of_another_type(tmp_path, people):
    with pytest.raises(BackendError, match='"people"'):
        motions_of({"people": people}, tmp_path)


@pytest.mark.parametrize("name", [None, 3, "", "../../x", "a/b", "a\0", "--help", "x" * 300])
def test_a_bodys_name_is_no_path(name):
    with pytest.raises(BackendError):
        body_name_of({"name": name})
    with pytest.raises(BackendError):
        body_names_of({"bodies": [{"name": name}]})


@pytest.mark.parametrize(
    "words",
    [
        {"versions": None},
        {"versions": {"staf": 1}},
        {"devices": "cpu"},
        {"devices": [1]},
        {"bodies": [1]},
        {"weights": {"name": "a"}},
        {"weights": [{"name": []}]},
        {"problems": [{"message": 1}]},
    ],
)
def test_a_doctor_with_words_of_another_type(words):
    with pytest.raises(BackendError):
        describe_doctor(words)
