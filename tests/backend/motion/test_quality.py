"""Numbers about a motion say what they claim to."""

import numpy as np
import pytest

from staf_backend.geometry import from_axis_angle
from staf_backend.motion import joints_m, motion_quality
from tests.support.sample_motions import sample_motion, swaying


def turning(angles_rad: np.ndarray) -> np.ndarray:
    """Rotations (T, 24, 3, 3): only the left shoulder turns, about z."""
    vectors = np.zeros((len(angles_rad), 24, 3))
    vectors[:, 16, 2] = angles_rad
    return from_axis_angle(vectors)


def test_bones_of_a_sound_motion_keep_their_length_to_a_millionth():
    assert motion_quality(sample_motion(swaying(200)))["limb_length_spread_m"] < 1e-6


def test_standing_still_does_not_jitter_wherever_one_drifts():
    quality = motion_quality(sample_motion(turning(np.zeros(20))))
    assert quality["jitter_mm_per_frame2"] == pytest.approx(0, abs=1e-6)


def test_jitter_is_the_mean_second_difference_in_millimetres():
    motion = sample_motion(turning(0.02 * (np.arange(30) % 2)))
    joints = joints_m(motion)
    total, count = 0.0, 0
    for t in range(1, len(joints) - 1):
        for j in range(24):
            local = [joints[t + k, j] - joints[t + k, 0] for k in (-1, 0, 1)]
            total += float(np.linalg.norm(local[0] - 2 * local[1] + local[2]))
            count += 1
    assert motion_quality(motion)["jitter_mm_per_frame2"] == pytest.approx(1000 * total / count)
    assert total > 0


@pytest.mark.parametrize("keys", [1, 2])
def test_a_motion_too_short_to_jitter_says_nothing_about_it(keys: int):
    assert "jitter_mm_per_frame2" not in motion_quality(sample_motion(swaying(keys)))
