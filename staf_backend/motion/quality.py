"""Numbers about a Motion that tell a user how far to trust it.  numpy only."""

import dataclasses

import numpy as np

from staf_backend.files import stretches
from staf_backend.motion.motion import Motion, joints_m


def motion_quality(motion: Motion) -> dict[str, float]:
    """Numbers by name; empty where a motion is too short to say anything.

    * `jitter_mm_per_frame2`: mean second difference of the joints' positions about the root, mm.
    * `limb_length_spread_m`: largest change of a bone's length over the clip, 0 for a sound file.
    """
    parents = list(motion.skeleton.parents[1:])
    shortest, longest = np.full(len(parents), np.inf), np.full(len(parents), -np.inf)
    jitter = [np.zeros(0)]
    for rows in stretches(len(motion.times_s)):
        wider = slice(rows.start, rows.stop + 2)  # a second difference needs two frames more
        joints = joints_m(_part(motion, wider))
        bones = np.linalg.norm(joints[:, 1:] - joints[:, parents], axis=-1)
        shortest, longest = np.minimum(shortest, bones.min(0)), np.maximum(longest, bones.max(0))
        second = np.diff(joints - joints[:, :1], 2, axis=0)
        jitter.append(np.linalg.norm(second, axis=-1).mean(-1))
    quality = {"limb_length_spread_m": float((longest - shortest).max())}
    if len(motion.times_s) >= 3:
        quality["jitter_mm_per_frame2"] = float(np.concatenate(jitter).mean()) * 1e3
    return quality


def _part(motion: Motion, rows: slice) -> Motion:
    """Some keys of a motion, without what was seen."""
    return dataclasses.replace(motion.keys(rows), keypoints_px=None, keypoint_names=())
