"""Motion for synthetic people is smooth, possible, of the length asked for, and mirrors itself."""

import numpy as np
import pytest

from staf_backend.geometry import SMPL, from_axis_angle, to_axis_angle
from training.moves import NONE, Clip, Variety, limbs, movement, smooth_series, smoothed


def test_motion_is_smooth_and_of_the_length_and_rate_asked_for():
    rng = np.random.default_rng(0)
    for _ in range(5):
        made = movement.sampled(60, 25.0, Variety(), rng)
        assert made.local.shape == (60, 24, 3, 3)
        assert np.allclose(made.local @ made.local.swapaxes(-1, -2), np.eye(3), atol=1e-5)
        assert np.abs(np.diff(made.local, axis=0)).max() < 0.5
        # knees bend backwards only: the shank turns by +x
        assert (to_axis_angle(made.local[:, limbs.KNEES])[..., 0] >= 0).all()
        assert np.allclose(limbs.mirrored(limbs.mirrored(made.local)), made.local)


def test_captured_motion_without_variety_is_a_stretch_of_the_clip():
    """Only the left elbow moves: it, or in the mirror the right one, moves in what is drawn."""
    elbow = SMPL.index("left_elbow")
    turns = np.zeros((90, 24, 3), np.float32)
    turns[:, elbow, 1] = -np.linspace(0, 1, 90)
    zero = np.zeros((90, 3), np.float32)
    clip = Clip("01_01", from_axis_angle(turns), zero, np.zeros((90, 4), bool))
    rng, moved = np.random.default_rng(0), set()
    for _ in range(12):
        local = movement.captured([clip], 30, 30.0, NONE, rng).local
        off = np.abs(local[:, 1:] - np.eye(3)).max((0, 2, 3))
        joint = int(off.argmax()) + 1
        assert (off > 1e-6).sum() == 1
        bend = to_axis_angle(local[:, joint])[:, 1] * (-1 if joint == elbow else 1)
        assert (np.diff(bend) > 0).all()
        assert 0.6 / 89 <= np.diff(bend).mean() <= 1.25 / 89
        moved.add(joint)
    assert moved == set(SMPL.indices("elbow"))


@pytest.mark.parametrize("limb", [*limbs.ARMS, *limbs.LEGS])
def test_limbs_hang_together(limb: np.ndarray):
    assert [SMPL.parents[joint] for joint in limb[1:]] == limb[:2].tolist()


def test_smooth_numbers_have_unit_variance_and_paths_keep_their_ends():
    series = smooth_series(np.random.default_rng(0), 20_000, 1, 6.0)
    assert 0.9 < series.std() < 1.1
    assert np.abs(np.diff(series[:, 0])).max() < 1
    assert np.allclose(smoothed(np.full((9, 3), 2.0), 4.0), 2.0)
