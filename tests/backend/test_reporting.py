"""What is told: one JSON object a line for programs, a bar and plain words for people."""

import contextlib
import io
import json
from collections.abc import Callable
from typing import Any

import pytest

from staf_backend import StafError, __version__
from staf_backend.reporting import PROTOCOL, JsonLines, Terminal


def lines(stream: io.StringIO) -> list[dict[str, Any]]:
    text = stream.getvalue()
    assert text.endswith("\n")
    return [json.loads(line) for line in text.splitlines()]


class SomeError(StafError):
    kind = "body"
    exit_code = 7


class TestForPrograms:
    def test_the_first_line_says_who_speaks(self):
        stream = io.StringIO()
        JsonLines("convert", stream)
        start = {"event": "start", "protocol": 1, "version": __version__, "command": "convert"}
        assert lines(stream) == [start]
        assert PROTOCOL == 1

    def test_a_line_holds_no_line_break_and_only_ascii(self):
        stream = io.StringIO()
        reporter = JsonLines("convert", stream)
        reporter.progress("detect", 0, 1, "zwei\nZeilen: naïve Café \ud800")
        reporter.result("fertig\n", {"files": ["/tmp/Füße.glb"]})
        assert stream.getvalue().isascii()
        assert [one["event"] for one in lines(stream)] == ["start", "progress", "result"]
        assert lines(stream)[2]["files"] == ["/tmp/Füße.glb"]

    def test_an_error_says_everything_a_program_needs(self):
        stream = io.StringIO()
        JsonLines("body", stream).error(SomeError("bad file", "use another"))
        assert lines(stream)[1] == {
            "event": "error",
            "kind": "body",
            "message": "bad file",
            "advice": "use another",
            "exit_code": 7,
        }

    def test_progress_is_thinned_but_ends_are_told(self):
        stream = io.StringIO()
        reporter = JsonLines("convert", stream)
        for stage in ("detect", "fit"):
            for done in range(1, 10_001):
                reporter.progress(stage, done, 10_000, "working")
        told = [one for one in lines(stream) if one["event"] == "progress"]
        assert len(told) < 200
        for stage in ("detect", "fit"):
            steps = [one["done"] for one in told if one["stage"] == stage]
            assert steps[0] == 1
            assert steps[-1] == 10_000

    def test_the_next_video_starts_over_at_once(self):
        """Several videos: stages come again, and each begins with a line."""
        stream = io.StringIO()
        reporter = JsonLines("convert", stream)
        for stage in ("detect", "write", "detect"):
            reporter.progress(stage, 0, 5, "a")
        assert [one["stage"] for one in lines(stream)[1:]] == ["detect", "write", "detect"]

    def test_a_number_that_is_none_never_becomes_broken_json(self):
        stream = io.StringIO()
        with pytest.raises(ValueError):
            JsonLines("convert", stream).result("", {"quality": float("nan")})
        assert "NaN" not in stream.getvalue()


class Watched(io.StringIO):
    """A terminal somebody watches."""

    def isatty(self) -> bool:
        return True


class TestForPeople:
    @staticmethod
    def screen(tell: Callable[[Terminal], None], *, quiet: bool = False) -> str:
        """What stands on the screen of somebody who watches."""
        screen = Watched()
        with contextlib.redirect_stderr(screen):
            tell(Terminal(quiet))
        return screen.getvalue()

    def test_a_bar_fills_up_and_keeps_its_line(self):
        def tell(reporter: Terminal) -> None:
            reporter.progress("detect", 0, 4, "finding people")
            reporter.progress("detect", 4, 4, "finding people")

        first, last = self.screen(tell).lstrip("\r").split("\r")
        assert "-" * 30 in first
        assert "finding people" in first
        assert "#" * 30 in last
        assert last.endswith("4/4\n")

    def test_nothing_to_do_is_no_division_by_zero(self):
        assert "0/0" in self.screen(lambda told: told.progress("detect", 0, 0, "finding people"))

    def test_a_long_message_keeps_to_one_line(self):
        name = "writing " + 100 * "x" + ".glb"
        text = self.screen(lambda told: told.progress("write", 1, 2, name))
        assert "writing" in text
        assert max(len(line) for line in text.split("\r")) < 80

    def test_each_stage_keeps_its_own_line(self):
        def tell(reporter: Terminal) -> None:
            reporter.progress("detect", 1, 4, "finding people")
            reporter.progress("landmarks", 1, 4, "reading poses")

        first, last = self.screen(tell).split("\n")
        assert "finding people" in first
        assert "reading poses" in last

    def test_an_error_starts_on_its_own_line(self):
        def tell(reporter: Terminal) -> None:
            reporter.progress("detect", 1, 4, "finding people")
            reporter.error(SomeError("bad file.", "Use another."))

        assert self.screen(tell).endswith("1/4\nstaf: bad file. Use another.\n")

    def test_quiet_is_quiet_but_for_results(self, capsys: pytest.CaptureFixture[str]):
        def tell(reporter: Terminal) -> None:
            reporter.progress("detect", 1, 4, "finding people")
            reporter.result("wrote a.glb", {})

        assert self.screen(tell, quiet=True) == ""
        assert capsys.readouterr().out == "wrote a.glb\n"

    def test_nobody_watching_no_bar(self, capsys: pytest.CaptureFixture[str]):
        reporter = Terminal()
        reporter.progress("detect", 1, 4, "finding people")
        reporter.result("wrote a.glb", {})
        reporter.error(SomeError("bad file."))
        told = capsys.readouterr()
        assert (told.out, told.err) == ("wrote a.glb\n", "staf: bad file.\n")
