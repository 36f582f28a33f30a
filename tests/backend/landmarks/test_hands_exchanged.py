"""Hands of drawn people whose arms a pose has exchanged: nobody's fingers hang on the other arm."""

from pathlib import Path

import numpy as np
import pytest

from staf_backend.assets import asset_path
from staf_backend.fit.fingers import lasting
from staf_backend.landmarks import HandNetworks, SeenHands, Wanted, hands_of
from staf_backend.runtime import open_network
from tests.support.draw_hands import GESTURES, draw_track, film_of

pytestmark = pytest.mark.slow
FRAMES, HAND_PX = 20, 100
TRACKS = 16
FIRST_SEED = 60_000


def seen(folder: Path, number: int) -> tuple[SeenHands, np.ndarray]:
    """What is seen of a drawn person's hand at 30 frames a second, and (T, 2) at which frames the
    pose has exchanged the arms: at all of them, from the middle on, or in the middle."""
    rng = np.random.default_rng(FIRST_SEED + number)
    names, side = list(GESTURES), number % 2
    gestures = (names[number % len(names)], names[(3 * number + 1) % len(names)])
    track = draw_track(rng, gestures, HAND_PX, ("left", "right")[side], FRAMES)
    exchanged = np.zeros(FRAMES, bool)
    exchanged[(0, FRAMES // 2, FRAMES // 3)[number % 3] :] = True
    exchanged[(FRAMES, FRAMES, 2 * FRAMES // 3)[number % 3] :] = False
    points = np.full((FRAMES, 2, 3, 2), np.nan)
    for row, drawn in enumerate(track):
        asked = 1 - side if exchanged[row] else side
        noise = rng.normal(0, 0.05 * HAND_PX, (3, 2))
        points[row, asked] = drawn.pose_points(("left", "right")[side]) + noise
    names = ("hand_recrop.onnx", "hand_landmark_full.onnx")
    networks = HandNetworks(*(open_network(asset_path(name), threads=1) for name in names))
    found = hands_of(film_of(folder, track), [Wanted(np.arange(FRAMES), points)], networks)[0]
    return found, np.isfinite(points).all((2, 3)) & exchanged[:, None]


def test_below_one_in_a_hundred_exchanged_hands_is_believed(tmp_path: Path):
    wrong, moving, right, all_wrong, all_right = 0, 0, 0, 0, 0
    times_s = np.arange(FRAMES) / 30
    for number in range(TRACKS):
        found, exchanged = seen(tmp_path / str(number), number)
        wrong += int(found.usable[exchanged].sum())
        kept = np.stack([lasting(hand, times_s) for hand in found.usable.T], 1)
        moving += int(kept[exchanged].sum())
        right += int(found.usable[~exchanged].sum())
        all_wrong += int(exchanged.sum())
        all_right += FRAMES - int(exchanged.sum())
    print(f"of {all_wrong} exchanged hands {wrong} pass the gates, {moving} move fingers")
    assert all_wrong > 100
    assert wrong < 0.01 * all_wrong
    assert moving == 0
    assert right > 0.4 * all_right
