"""An estimate, in the axes of its camera, to a motion: y up, quaternions, all a file should say."""

import dataclasses

import numpy as np

from staf_backend.body import Body
from staf_backend.estimators.estimate import Estimate
from staf_backend.estimators.shot import Shot
from staf_backend.files import long_array, stretches
from staf_backend.geometry import TO_Y_UP, Camera, CameraPath, continuous_signs, to_quaternions
from staf_backend.motion import Motion, plain_name


def to_motion(estimate: Estimate, shot: Shot, body: Body) -> Motion:
    """Camera axes to y up, matrices to quaternions.

    Args:
        estimate: of a track of the shot.
        shot: the footage and its camera.
        body: what was estimated.
    """
    params, track = estimate.params, estimate.track
    path = _path(shot, track.frames)
    root_m = params.root_m @ TO_Y_UP.T
    if path is not None:
        root_m = root_m + path.positions_m
    return Motion(
        times_s=track.times_s,
        frames=track.frames,
        rotations_wxyz=keys_of(params.rotations, TO_Y_UP),
        root_m=root_m,
        observed=track.observed,
        body=body.name,
        gender=body.gender,
        betas=params.betas,
        rest_joints_m=body.rest_joints_m(params.betas),
        camera=_camera(shot, track.frames, path),
        camera_path=path,
        source=plain_name(shot.video.path.name),
        source_fps=shot.video.fps,
        person=track.person,
        estimator=estimate.estimator,
        configuration=estimate.configuration,
        keypoints_px=estimate.keypoints_px,
        keypoint_names=estimate.keypoint_names,
        quality=estimate.quality,
    )


def _path(shot: Shot, frames: np.ndarray) -> CameraPath | None:
    turns = shot.watch.turns(frames)
    if turns is None:
        return None
    keys = continuous_signs(to_quaternions(TO_Y_UP @ turns.swapaxes(1, 2) @ TO_Y_UP))
    places_m = shot.watch.places_m(frames)
    at_m = np.zeros((len(keys), 3)) if places_m is None else places_m @ TO_Y_UP.T
    return CameraPath(keys, at_m)


def _camera(shot: Shot, frames: np.ndarray, path: CameraPath | None) -> Camera:
    camera = dataclasses.replace(shot.camera, motion=shot.watch.kind(frames))
    if path is None:
        return camera
    pose = {"rotation_wxyz": path.rotations_wxyz[0], "position_m": path.positions_m[0]}
    return dataclasses.replace(camera, **pose)


def keys_of(rotations: np.ndarray, turn: np.ndarray) -> np.ndarray:
    """Quaternions (T, J, 4) of continuous signs, 4-byte floats, read-only.

    Args:
        rotations: (T, J, 3, 3) parent-relative, joint 0 in the world.
        turn: (3, 3) that turns joint 0 into the axes of the keys.
    """
    keys = long_array((*rotations.shape[:2], 4))
    for rows in stretches(len(rotations)):
        part = rotations[rows].astype(float)
        part[:, 0] = turn @ part[:, 0]
        known = slice(max(rows.start - 1, 0), rows.start)
        turned = np.concatenate([keys[known], to_quaternions(part)])
        keys[rows] = continuous_signs(turned)[known.stop - known.start :]
    keys.setflags(write=False)  # so that the motion keeps this array, not a copy
    return keys
