"""An estimate, in the axes of its camera, to a motion: y up, quaternions, all a file should say."""

import numpy as np

from staf_backend.body.body import Body
from staf_backend.estimators.estimate import Estimate
from staf_backend.estimators.shot import Shot
from staf_backend.geometry.camera import TO_Y_UP
from staf_backend.geometry.rotations import continuous_signs, to_quaternions
from staf_backend.motion.motion import Motion

_BLOCK = 1000
"""Frames turned at once.  Chosen: a few MB, however long the clip is."""


def to_motion(estimate: Estimate, shot: Shot, body: Body) -> Motion:
    """Camera axes to y up, matrices to quaternions.

    Args:
        estimate: of a track of the shot.
        shot: the footage and its camera.
        body: what was estimated.
    """
    params, track = estimate.params, estimate.track
    return Motion(
        times_s=track.times_s,
        frames=track.frames,
        rotations_wxyz=_keys(params.rotations),
        root_m=params.root_m @ TO_Y_UP.T,
        observed=track.observed,
        body=body.name,
        gender=body.gender,
        betas=params.betas,
        rest_joints_m=body.rest_joints_m(params.betas),
        camera=shot.camera,
        source=shot.video.path.name,
        source_fps=shot.video.fps,
        person=track.person,
        estimator=estimate.estimator,
        keypoints_px=estimate.keypoints_px,
        keypoint_names=estimate.keypoint_names,
        quality=estimate.quality,
    )


def _keys(rotations: np.ndarray) -> np.ndarray:
    """Quaternions (T, J, 4), y up and of continuous signs, of rotations in camera axes."""
    keys = np.empty((*rotations.shape[:2], 4), np.float32)
    for begin in range(0, len(rotations), _BLOCK):
        part = rotations[begin : begin + _BLOCK].astype(float)
        part[:, 0] = TO_Y_UP @ part[:, 0]
        known = slice(max(begin - 1, 0), begin)
        turned = np.concatenate([keys[known], to_quaternions(part)])
        keys[begin : begin + _BLOCK] = continuous_signs(turned)[known.stop - known.start :]
    keys.setflags(write=False)  # so that the motion keeps this array, not a copy
    return keys
