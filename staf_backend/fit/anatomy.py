"""What is known of a body's joints, by name; a name without a side holds for both.

Angles are components of a rotation vector in the T-pose, where x points to the person's left, y up
and z ahead: knees bend about +x, the left elbow about -y, and the left collar rises about +z.
Mirrored, a turn about x stays and one about y or z changes its sign.
"""

import numpy as np

from staf_backend.fit.unknowns import Unknowns

FIXED = ("foot", "hand")
"""Toes and hands: nothing that is seen tells their rotation."""

LEVER_M = {
    **{"pelvis": 0.7, "hip": 0.7, "knee": 0.45, "ankle": 0.2},
    **{"spine1": 0.5, "spine2": 0.5, "spine3": 0.5, "neck": 0.25, "head": 0.2},
    **{"collar": 0.5, "shoulder": 0.5, "elbow": 0.3, "wrist": 0.15},
}
"""Metres from a joint to the far end of what it moves, which turn an angle into a distance.
Chosen, near the open neutral body's lengths: leg 0.81, shank 0.41, arm 0.49, forearm 0.23."""
OTHER_LEVER_M = 0.3
"""Of a joint that is not named above.  Chosen: between a forearm's and a shank's."""

LIMITS_RAD = {
    "left_knee": ((-0.1, -0.3, -0.3), (2.7, 0.3, 0.3)),
    "left_collar": ((-0.1, -0.1, -0.1), (0.1, 0.1, 0.6)),
    "left_elbow": ((-1.6, -2.7, -0.6), (1.6, 0.1, 0.6)),
}
"""Lowest and highest rotation vector of joints that bend one way only; the right side is mirrored.

| joint  | about                | radians     | degrees    | origin                                |
|--------|----------------------|-------------|------------|---------------------------------------|
| knee   | x: bends             | -0.1 .. 2.7 | -6 .. 155  | chosen: a heel that meets the seat    |
|        | y, z: twists, leans  | 0.3         | 17         | chosen: a hinge, and markers' errors  |
| elbow  | y: bends             | -0.1 .. 2.7 | -6 .. 155  | chosen: a hand that meets the shoulder|
|        | x: the forearm twists| 1.6         | 92         | chosen: palm up to palm down          |
|        | z: leans             | 0.6         | 34         | chosen: the carrying angle, generously|
| collar | z: rises             | -0.1 .. 0.6 | -6 .. 34   | training/LOG.md, 2026-11-28           |
|        | x, y: twists, ahead  | 0.1         | 6          | training/LOG.md, 2026-11-28           |
"""


def lever_m(unknowns: Unknowns) -> np.ndarray:
    """(U,) metres to the far end of what an unknown moves; 1 for the root's position."""
    return unknowns.spread(LEVER_M, default=OTHER_LEVER_M, root=1.0)


def limits_rad(unknowns: Unknowns) -> tuple[np.ndarray, np.ndarray]:
    """Lowest and highest rotation vectors (U,), infinite where a joint is free."""
    low, high = np.full(len(unknowns), -np.inf), np.full(len(unknowns), np.inf)
    skeleton = unknowns.skeleton
    for name, (lowest, highest) in LIMITS_RAD.items():
        if name not in skeleton:
            continue
        left = skeleton.index(name)
        at = unknowns.columns(left)
        low[at], high[at] = lowest, highest
        at = unknowns.columns(int(skeleton.mirror[left]))
        low[at] = lowest[0], -highest[1], -highest[2]
        high[at] = highest[0], -lowest[1], -lowest[2]
    return low, high
