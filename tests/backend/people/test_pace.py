"""How often the detector looks, and what is forecast of it."""

from staf_backend.people.pace import Pace

FPS = 30.0


def after(outcomes: list[bool], every: int | str = "auto", fps: float = FPS) -> Pace:
    pace = Pace(every, fps)
    for expected in outcomes:
        pace.note(expected)
    return pace


def test_strides_grow_while_all_is_as_expected_and_fall_back_at_once():
    assert [after([True] * n).stride for n in range(5)] == [1, 2, 3, 4, 4]
    assert after([True, True, True, False]).stride == 1
    assert after([True] * 9, fps=16.0).stride == 2, "four frames would be a quarter of a second"


def test_who_is_lost_four_frames_on_only_is_expected_on_the_next_frame():
    pace = after([True, True, True, False] * 3)
    assert pace.stride == 1
    assert pace.forecast(5) == [2, 3, 4, 1, 2]


def test_after_a_row_of_surprises_another_is_forecast():
    assert after([False] * 4).forecast(2) == [1, 1]
    assert after([True] * 6 + [False] * 4).forecast(2) == [1, 1]


def test_one_surprise_among_many_long_strides_is_no_rule():
    pace = after([True] * 12 + [False] + [True] * 3)
    assert pace.stride == 4
    assert pace.forecast(2) == [4, 4]


def test_a_forecast_changes_nothing():
    pace = after([True, True])
    assert pace.forecast(3) == pace.forecast(3)
    assert pace.stride == 3


def test_a_fixed_number_of_frames_is_kept():
    pace = after([True, False, True], every=5)
    assert pace.stride == 5
    assert pace.forecast(2) == [5, 5]
