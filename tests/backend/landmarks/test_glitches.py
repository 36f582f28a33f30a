"""What jumps away and back within a frame or two was not seen; what really strikes was."""

import numpy as np
import pytest

from staf_backend.files import stretches
from staf_backend.landmarks import Landmarks, without_glitches
from staf_backend.landmarks.names import COUNT, NAMES

WRIST = NAMES.index("left_wrist")
TORSO_PX = 100.0
"""About half a metre."""


def seen(frames: int, rate_hz: float) -> tuple[Landmarks, np.ndarray]:
    """Somebody who stands, the left wrist going to the right at 2 m/s."""
    times_s = np.arange(frames) / rate_hz
    points = np.zeros((frames, COUNT, 2), np.float32)
    for name in ("left_shoulder", "right_shoulder"):
        points[:, NAMES.index(name)] = [0, -TORSO_PX]
    points[:, WRIST, 0] = 50 + 400 * times_s
    world = np.zeros((frames, COUNT, 3), np.float32)
    sure = np.ones((frames, COUNT), np.float32)
    return Landmarks(points, world, sure, np.ones(frames, np.float32)), times_s


@pytest.mark.parametrize("lost", [[20], [20, 21], [8, 20]])
def test_a_jump_away_and_back_is_taken_out(lost: list[int]):
    landmarks, times_s = seen(40, 60)
    landmarks.points_px[lost, WRIST] += [0, 200]
    found = without_glitches(landmarks, times_s)
    gone = np.isnan(found.points_px).all(-1)
    assert np.argwhere(gone).tolist() == [[frame, WRIST] for frame in lost]
    assert np.array_equal(found.visibility == 0, gone)
    assert np.isnan(found.world_m).all(-1).tolist() == gone.tolist()


@pytest.mark.parametrize("rate_hz", [30, 60, 120])
def test_a_fast_punch_is_seen(rate_hz: float):
    """10 m/s out and back at once."""
    landmarks, times_s = seen(40, rate_hz)
    landmarks.points_px[:, WRIST, 1] += 2000 * np.maximum(0.1 - np.abs(times_s - times_s[20]), 0)
    assert without_glitches(landmarks, times_s) is landmarks


def test_whoever_is_somewhere_else_from_then_on_is_seen():
    landmarks, times_s = seen(40, 30)
    landmarks.points_px[20:, WRIST] += [0, 500]
    assert without_glitches(landmarks, times_s) is landmarks


@pytest.mark.parametrize("frames", [1, 2, 3])
def test_hardly_any_frames_tell_nothing(frames: int):
    landmarks, times_s = seen(frames, 30)
    assert without_glitches(landmarks, times_s) is landmarks


def test_a_long_clip_is_the_same_in_stretches(monkeypatch: pytest.MonkeyPatch):
    landmarks, times_s = seen(60, 60)
    landmarks.points_px[[9, 10, 11 + 8, 30], WRIST] += [0, 300]
    whole = without_glitches(landmarks, times_s)
    monkeypatch.setattr(stretches, "__defaults__", (10,))
    parts = without_glitches(landmarks, times_s)
    np.testing.assert_array_equal(parts.points_px, whole.points_px)
    assert np.isnan(whole.points_px[[9, 10, 19, 30], WRIST]).all()
