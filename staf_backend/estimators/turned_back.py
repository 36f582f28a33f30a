"""Poses that a camera saw which turned, as one that does not turn would have seen them."""

import numpy as np

from staf_backend.body import SmplParams


def params_turned_back(params: SmplParams, turns: np.ndarray) -> SmplParams:
    """Pose and place of a person, axes of each frame's camera -> those of the motion's camera.

    Args:
        params: of the frames.
        turns: (T, 3, 3) from the motion's camera axes to each frame's.
    """
    rotations = np.array(params.rotations)
    rotations[:, 0] = turns.swapaxes(1, 2) @ rotations[:, 0]
    root_m = np.einsum("tba,tb->ta", turns, params.root_m)
    return SmplParams(rotations, root_m, params.betas)
