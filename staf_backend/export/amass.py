"""Export a Motion as an AMASS-style .npz, the file that SMPL importers read.

AMASS is z up with a constant frame rate and SMPL-H poses; a Motion is y up with a time for every
key.  So here, and only here:

    axes      a quarter turn about x:  (x, y, z) -> (x, -z, y), applied to joint 0 and the travel
    time      poses are resampled to the nearest constant rate (slerp, linear travel)
    joints    the first 22 joints, then the 30 of the fingers where the motion has them, else zero;
              L_Hand and R_Hand are dropped
    trans     pelvis minus J0: SMPL turns a body about its pelvis joint, not about the origin

`betas` belong to the body named by the extra key `body`.  Only where that is an SMPL body do
SMPL's own meshes show the right shape.
"""

import os

import numpy as np

from staf_backend.body import WITH_FINGERS
from staf_backend.export.constant_rate import nearest_rate, resample
from staf_backend.files import write_arrays
from staf_backend.geometry import SMPL, from_quaternions, to_axis_angle
from staf_backend.motion import Motion, MotionError

_BODY_JOINTS, _ALL_JOINTS, _SHAPES = 22, 52, 16
"""Of SMPL-H, as AMASS's files have them."""
_Z_UP = np.array([[1.0, 0.0, 0.0], [0.0, 0.0, -1.0], [0.0, 1.0, 0.0]])


def save_amass(path: str | os.PathLike[str], motion: Motion, fps: float | None = None) -> None:
    """Write `trans`, `poses` (N, 156), `betas` (16,), `gender` and both spellings of the rate.

    Args:
        path: an .npz file.
        motion: any motion of SMPL's 24 joints or SMPL-H's 52.
        fps: frames per second of the file; by default the rate nearest to the motion's keys.

    Raises:
        MotionError: the skeleton is neither, or `fps` is not a positive number.
        OutputError: the file cannot be written.
    """
    if motion.skeleton.names not in (SMPL.names, WITH_FINGERS.names):
        raise MotionError("AMASS files need SMPL's 24 joints or SMPL-H's 52, not others.")
    joints = _ALL_JOINTS if motion.skeleton.names == WITH_FINGERS.names else _BODY_JOINTS
    rate = nearest_rate(motion.times_s) if fps is None else float(fps)
    if not (np.isfinite(rate) and rate > 0):
        raise MotionError(f"fps must be a positive number, got {fps}.")
    rotations_wxyz, root_m = resample(motion, rate)
    matrices = from_quaternions(rotations_wxyz[:, :joints])
    matrices[:, 0] = _Z_UP @ matrices[:, 0]
    poses = np.zeros((len(matrices), _ALL_JOINTS, 3))
    poses[:, :joints] = to_axis_angle(matrices)
    betas = np.zeros(_SHAPES)
    betas[: motion.betas.size] = motion.betas[:_SHAPES]
    arrays = {
        "trans": root_m @ _Z_UP.T - motion.rest_joints_m[0],
        "poses": poses.reshape(len(poses), -1),
        "betas": betas,
        "gender": motion.gender,
        **dict.fromkeys(("mocap_framerate", "mocap_frame_rate", "fps"), np.float64(rate)),
        "surface_model_type": "smplh",
        "body": motion.body,
    }
    write_arrays(path, arrays)
