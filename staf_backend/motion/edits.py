"""Motion to Motion: a part of a clip, and its mirror image."""

import dataclasses

from staf_backend.geometry.camera import Camera
from staf_backend.geometry.skeleton import counterparts
from staf_backend.motion.motion import Motion, MotionError


def trim(motion: Motion, start_s: float, end_s: float) -> Motion:
    """The keys with start_s <= time < end_s; times and frame numbers stay those of the video.

    Raises:
        MotionError: no key lies there.
    """
    inside = (motion.times_s >= start_s) & (motion.times_s < end_s)
    if not inside.any():
        first, last = motion.times_s[[0, -1]]
        raise MotionError(
            f"clip {motion.name!r} has no keys from {start_s:g} to {end_s:g} s.",
            f"It runs from {first:.3f} to {last:.3f} s.",
        )
    names = ["times_s", "frames", "rotations_wxyz", "root_m", "observed"]
    names += [] if motion.keypoints_px is None else ["keypoints_px"]
    return dataclasses.replace(motion, **{name: getattr(motion, name)[inside] for name in names})


def mirror(motion: Motion) -> Motion:
    """The motion as seen in a mirror: x turns to -x, left to right; camera and image likewise.

    A reflection S = diag(-1, 1, 1) turns a rotation R into S R S, a quaternion (w, x, y, z) into
    (w, x, -y, -z).
    """
    swap = motion.skeleton.mirror
    keypoints_px = motion.keypoints_px
    if keypoints_px is not None:
        flipped = keypoints_px * [-1, 1, 1] + [motion.camera.width_px, 0, 0]
        keypoints_px = flipped[:, counterparts(motion.keypoint_names)]
    return dataclasses.replace(
        motion,
        rotations_wxyz=(motion.rotations_wxyz * [1, 1, -1, -1])[:, swap],
        root_m=motion.root_m * [-1, 1, 1],
        rest_joints_m=(motion.rest_joints_m * [-1, 1, 1])[swap],
        keypoints_px=keypoints_px,
        camera=_mirrored_camera(motion.camera),
    )


def _mirrored_camera(camera: Camera) -> Camera:
    return dataclasses.replace(
        camera,
        principal_point_px=camera.principal_point_px * [-1, 1] + [camera.width_px, 0],
        rotation_wxyz=camera.rotation_wxyz * [1, 1, -1, -1],
        position_m=camera.position_m * [-1, 1, 1],
        rotation_deg=-camera.rotation_deg % 360,
    )
