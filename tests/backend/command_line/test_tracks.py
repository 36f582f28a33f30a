"""`staf tracks`, and `staf convert --tracks`."""

import json
from pathlib import Path

import pytest

from tests.support.command_line import BALANCE, PART, one_line, staf, staf_here


@pytest.mark.slow
def test_a_tracks_file_without_edits_changes_no_byte_and_a_wrong_one_is_refused(tmp_path: Path):
    part = PART[:4]
    run = staf("tracks", BALANCE, "-o", "b.tracks.json", *part, "--threads", 1, cwd=tmp_path)
    assert run.returncode == 0, run.stderr
    file = tmp_path / "b.tracks.json"
    pictures = [one["thumbnail"] for one in json.loads(file.read_text())["people"]]
    assert pictures
    assert all((tmp_path / name).read_bytes()[1:4] == b"PNG" for name in pictures)
    for words in (("-o", "plain.npz"), ("-o", "told.npz", "--tracks", file)):
        run = staf("convert", BALANCE, *PART, *words, cwd=tmp_path)
        assert run.returncode == 0, run.stderr
    assert (tmp_path / "told.npz").read_bytes() == (tmp_path / "plain.npz").read_bytes()
    edit = '"edits": [\n  {"do": "drop", "person": 99}'
    file.write_text(file.read_text().replace('"edits": [', edit))
    run = staf("convert", BALANCE, "-o", "x.npz", "--tracks", file, cwd=tmp_path)
    assert run.returncode == 10
    assert "there is no person 99 here" in one_line(run.stderr)
    assert not (tmp_path / "x.npz").exists()


def test_a_tracks_file_is_of_one_video_and_ends_in_json(tmp_path: Path):
    run = staf_here("convert", BALANCE, BALANCE, "-o", "out/", "--tracks", "x.json", cwd=tmp_path)
    assert run.returncode == 2
    assert "of one video" in one_line(run.stderr)
    run = staf_here("tracks", BALANCE, "-o", "x.txt", cwd=tmp_path)
    assert run.returncode == 5
    assert "must end in .json" in one_line(run.stderr)
