"""Motion to Motion: a part of a clip, and its mirror image."""

import dataclasses

import numpy as np

from staf_backend.geometry import Camera, CameraPath, counterparts
from staf_backend.motion.contacts import ContactSpan, clipped, other_side
from staf_backend.motion.motion import Motion, MotionError

_TURN, _PLACE = np.array([1.0, 1.0, -1.0, -1.0]), np.array([-1.0, 1.0, 1.0])
"""What a mirror across x does to a quaternion w, x, y, z and to a place."""


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
    part = motion.keys(inside)
    spans = clipped(motion.contacts, float(part.times_s[0]), float(part.times_s[-1]))
    return dataclasses.replace(part, contacts=spans)


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
        rotations_wxyz=(motion.rotations_wxyz * _TURN)[:, swap],
        root_m=motion.root_m * _PLACE,
        rest_joints_m=(motion.rest_joints_m * _PLACE)[swap],
        keypoints_px=keypoints_px,
        camera=_mirrored_camera(motion.camera),
        camera_path=_mirrored_path(motion.camera_path),
        contact_names=tuple(other_side(name) for name in motion.contact_names),
        contacts=tuple(
            ContactSpan(other_side(s.part), s.start_s, s.end_s, s.floor_m) for s in motion.contacts
        ),
        hand_seen=None if motion.hand_seen is None else motion.hand_seen[:, ::-1],
        **_mirrored_raw(motion),
    )


def _mirrored_raw(motion: Motion) -> dict[str, np.ndarray]:
    """The layer before grounding, where there is one."""
    if motion.raw_rotations_wxyz is None or motion.raw_root_m is None:
        return {}
    turned = (motion.raw_rotations_wxyz * _TURN)[:, motion.skeleton.mirror]
    return {"raw_rotations_wxyz": turned, "raw_root_m": motion.raw_root_m * _PLACE}


def _mirrored_path(path: CameraPath | None) -> CameraPath | None:
    return path and CameraPath(path.rotations_wxyz * _TURN, path.positions_m * _PLACE)


def _mirrored_camera(camera: Camera) -> Camera:
    return dataclasses.replace(
        camera,
        principal_point_px=camera.principal_point_px * [-1, 1] + [camera.width_px, 0],
        rotation_wxyz=camera.rotation_wxyz * _TURN,
        position_m=camera.position_m * _PLACE,
        rotation_deg=-camera.rotation_deg % 360,
    )
