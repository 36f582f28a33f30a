"""Numbers about a Motion that tell a user how far to trust it.  numpy only."""

import numpy as np

from staf_backend.motion import Motion, joints_m


def motion_quality(motion: Motion) -> dict[str, float]:
    """Numbers by name; empty where a motion is too short to say anything.

    * `jitter_mm_per_frame2`: mean second difference of the joints' positions about the root, mm.
    * `limb_length_spread_m`: largest change of a bone's length over the clip, 0 for a sound file.
    """
    joints = joints_m(motion)
    bones = np.linalg.norm(joints[:, 1:] - joints[:, list(motion.parents[1:])], axis=-1)
    quality = {"limb_length_spread_m": float(np.ptp(bones, axis=0).max())}
    if len(joints) >= 3:
        local = joints - joints[:, :1]
        second = np.diff(local, 2, axis=0)
        quality["jitter_mm_per_frame2"] = float(np.linalg.norm(second, axis=-1).mean()) * 1e3
    return quality
