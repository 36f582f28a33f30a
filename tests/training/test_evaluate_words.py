"""Evaluation: words of the command line that name nothing."""

import pytest

pytest.importorskip("torch")

from training import evaluate as room
from training.scoring import EvaluationError, Protocol, protocol_of


def test_words_that_name_no_protocol():
    assert room.named_data("3dpw=/a=b") == ("3dpw", "/a=b")
    assert room.named_data("synthetic:5:7") == ("synthetic", "synthetic:5:7")
    with pytest.raises(EvaluationError, match="no protocol"):
        room.named_data("/data/3dpw")
    assert protocol_of("h36m").truth == "joints"
    with pytest.raises(ValueError, match="fourteen"):
        Protocol(joints=(0, 1), root=(0,), regressor=True)


@pytest.mark.parametrize(
    "arguments",
    [
        ["W", "--out", "X"],
        ["--data", "synthetic", "--out", "X"],
        ["W", "--table", "4", "--data", "synthetic", "--out", "X"],
        ["--table", "4", "--data", "synthetic", "--out", "X"],
        ["W", "--data", "synthetic", "--out", "X", "--", "--seed", "1"],
    ],
)
def test_commands_that_lack_something_are_usage_errors(arguments: list[str], capsys):
    with pytest.raises(SystemExit) as stop:
        room.main(arguments)
    assert stop.value.code == 2
    assert "usage" in capsys.readouterr().err
