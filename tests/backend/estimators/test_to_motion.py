"""From the camera's axes to a motion's."""

from functools import partial

import numpy as np

from staf_backend.estimators import to_motion
from staf_backend.files import stretches
from staf_backend.geometry import TO_Y_UP, from_axis_angle, from_quaternions


def test_signs_stay_continuous_across_blocks(monkeypatch):
    """A joint that turns twice around changes the sign of its plain quaternion on the way."""
    monkeypatch.setattr(to_motion, "stretches", partial(stretches, size=7))
    angles = np.linspace(0, 4 * np.pi, 101)
    vectors = np.zeros((101, 24, 3))
    vectors[..., 2] = angles[:, None]
    keys = to_motion.keys_of(from_axis_angle(vectors), TO_Y_UP)
    assert ((keys[1:] * keys[:-1]).sum(-1) > 0.9).all()
    turned = np.einsum("ij,tjk->tik", TO_Y_UP, from_axis_angle(vectors[:, 0]))
    np.testing.assert_allclose(from_quaternions(keys[:, 0]), turned, atol=1e-6)
    np.testing.assert_allclose(
        from_quaternions(keys[:, 1]), from_axis_angle(vectors[:, 1]), atol=1e-6
    )
