"""Who is who on one frame."""

import numpy as np

from staf_backend.people.match import box_overlap


def test_boxes_overlap_as_they_should():
    one = np.array([[0.0, 0, 10, 10]])
    others = np.array([[0.0, 0, 10, 10], [5, 0, 15, 10], [20, 20, 30, 30], [0, 0, 0, 0]])
    np.testing.assert_allclose(box_overlap(one, others), [[1, 1 / 3, 0, 0]])
