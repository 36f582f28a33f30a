"""Which of two explanations of a finger is taken: over time the one in which it hardly moves."""

import numpy as np
import pytest

from staf_backend.fit.fingers_shapes import likeliest, shapes_of
from tests.backend.fit.test_fingers import HANDS

SIDES = pytest.mark.parametrize("side", ["left", "right"])


@SIDES
def test_a_finger_does_not_jump_to_its_other_explanation_and_back(side: str):
    """For a third of a second a fist costs a little less than the flat hand of before and after."""
    shapes, count = shapes_of(HANDS[side]), 40
    costs = np.full((count, 4, shapes.angles.shape[1]), 60.0)
    costs[:, :, 1], costs[:, :, -2] = 2.0, 20.0
    costs[12:22, :, 1], costs[12:22, :, -2] = 4.0, 2.0
    flat, fist = shapes.angles[:, 1].ravel(), shapes.angles[:, -2].ravel()
    together = likeliest(shapes, costs, np.arange(count) / 30)
    np.testing.assert_allclose(together, np.tile(flat, (count, 1)))
    alone = likeliest(shapes, costs, None)
    np.testing.assert_allclose(alone[12:22], np.tile(fist, (10, 1)))
    np.testing.assert_allclose(alone[:12], np.tile(flat, (12, 1)))


def test_one_frame_is_a_film_too():
    shapes = shapes_of(HANDS["left"])
    costs = np.random.default_rng(0).uniform(0, 9, (1, 4, shapes.angles.shape[1]))
    one, other = (likeliest(shapes, costs, times) for times in (np.zeros(1), None))
    np.testing.assert_array_equal(one, other)


@SIDES
def test_a_finger_that_moves_is_followed(side: str):
    """A fist that opens within half a second, costs without doubt."""
    shapes = shapes_of(HANDS[side])
    count = shapes.angles.shape[1]
    path = np.linspace(count - 1, 0, 16).round().astype(int) // 21 * 21 + 1
    costs = np.full((16, 4, count), 60.0)
    costs[np.arange(16), :, path] = 0
    found = likeliest(shapes, costs, np.arange(16) / 30)
    np.testing.assert_allclose(found.reshape(16, 4, 4), shapes.angles[:, path].swapaxes(0, 1))
