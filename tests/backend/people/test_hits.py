"""Hits of a long clip come back as they went in, across the borders of blocks."""

import numpy as np
import pytest

from staf_backend.people.hits import Hit, HitLog

CLOTHES = np.zeros((2, 216))


@pytest.mark.parametrize("count", [1, 511, 512, 513, 1100])
def test_rows_come_back_in_order(count: int):
    rng = np.random.default_rng(0)
    boxes = rng.uniform(0, 1000, (count, 4))
    points = rng.uniform(0, 1000, (count, 17, 3)).astype(np.float32)
    log = HitLog()
    for n in range(count):
        log.append(Hit(10 + n, n / 30, boxes[n], points[n], n / count, CLOTHES))
    rows = log.rows()
    assert len(log) == len(rows) == count
    np.testing.assert_array_equal(rows["frame"], 10 + np.arange(count))
    np.testing.assert_array_equal(rows["time_s"], np.arange(count) / 30)
    np.testing.assert_array_equal(rows["box_px"], boxes)
    np.testing.assert_array_equal(rows["keypoints_px"], points)
    assert (log.first["frame"], log.last["frame"]) == (10, 9 + count)
    assert log.last["score"] == (count - 1) / count


def test_rows_are_a_copy():
    log = HitLog()
    log.append(Hit(0, 0.0, np.zeros(4), np.zeros((17, 3)), 0.5, CLOTHES))
    log.rows()["score"] = 1.0
    assert log.last["score"] == 0.5


def test_nothing_seen_is_no_row():
    assert len(HitLog().rows()) == 0
