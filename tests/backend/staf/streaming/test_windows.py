"""Windows end where the evidence ends."""

import numpy as np
import pytest

from tests.support import parity_recipe as recipe
from tests.support.windows import stretches, windows


def test_a_window_is_centred_on_its_target() -> None:
    table = windows(12, 9)
    np.testing.assert_array_equal(table[5], range(1, 10))
    assert (table[:, 4] == range(12)).all()


def test_near_the_ends_the_target_repeats() -> None:
    table = windows(12, 9)
    for target in (0, 3, 8, 11):
        np.testing.assert_array_equal(table[target], [target] * 9)
    assert len(set(table[4])) == len(set(table[7])) == 9


def test_replicating_holds_the_end_frames() -> None:
    np.testing.assert_array_equal(windows(12, 9, "replicate")[1], [0, 0, 0, 0, 1, 2, 3, 4, 5])
    np.testing.assert_array_equal(windows(3, 5, "replicate")[2], [0, 1, 2, 2, 2])


@pytest.mark.parametrize("count", [9, 12])
def test_the_demos_list_with_its_slip_is_reproduced(count: int) -> None:
    table = windows(count, 9, "demo")
    # First and last frame of each window; negative numbers count from the end
    expected = recipe.fixture("units")[f"windows/demo_{count}"] % count
    np.testing.assert_array_equal(table[:, [0, -1]], expected)
    assert (table[-1] == 0).all()


def test_evaluation_windows_are_the_authors() -> None:
    expected = recipe.fixture("units")["windows/eval"]
    ours = [windows(count, 9)[:, [0, -1]] + start for start, count in ((0, 12), (17, 9))]
    np.testing.assert_array_equal(np.concatenate(ours), expected)


@pytest.mark.parametrize("count", [0, 1, 4, 8])
def test_short_stretches_only_repeat(count: int) -> None:
    np.testing.assert_array_equal(windows(count, 9), np.arange(count)[:, None].repeat(9, 1))


def test_gaps_and_cuts_end_a_stretch() -> None:
    frames = np.array([3, 4, 5, 9, 10, 11, 12])
    assert stretches(frames) == [slice(0, 3), slice(3, 7)]
    assert stretches(frames, cuts=[11, 100]) == [slice(0, 3), slice(3, 5), slice(5, 7)]
    assert stretches(frames, cuts=[3]) == [slice(0, 3), slice(3, 7)]
    assert stretches(np.array([], int)) == []


@pytest.mark.parametrize("frames", [[1, 1], [2, 1]])
def test_frames_must_increase(frames: list[int]) -> None:
    with pytest.raises(ValueError, match="increase"):
        stretches(np.array(frames))


@pytest.mark.parametrize(("length", "edges"), [(8, "repeat"), (0, "repeat"), (9, "mirror")])
def test_impossible_windows_are_refused(length: int, edges) -> None:
    with pytest.raises(ValueError, match="must be"):
        windows(10, length, edges)
