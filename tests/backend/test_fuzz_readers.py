"""Damaged files of every kind through every reader: a short run of the driver's cases."""

from pathlib import Path

import pytest

from tests.support.fuzz_readers import Fuzz
from tests.support.fuzz_samples import SAMPLES, VIDEOS
from tests.support.fuzz_sets import forked

pytest.importorskip("resource", reason="limits of a process are POSIX's")


def bad(folder: Path, names: list[str], cases: int, seed: int) -> list[str]:
    told = list(forked(Fuzz(folder, names), range(cases), seed))
    assert len(told) == cases
    return [f"case {number}, {said}" for number, said in told if "BAD" in said]


def test_small_files(tmp_path):
    names = [name for name in SAMPLES if name not in VIDEOS]
    assert not bad(tmp_path, names, 300, 1)


def test_videos_and_pictures(tmp_path):
    assert not bad(tmp_path, VIDEOS, 60, 1)


@pytest.mark.slow
def test_more_of_all(tmp_path):
    assert not bad(tmp_path, list(SAMPLES), 3000, 2)
