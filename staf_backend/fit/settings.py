"""What the fit trusts, and by how much; what it knows of the body's joints is in `anatomy`.

Where a value says "chosen", it was set when the fit was written and no run compares it with others.
"""

from dataclasses import dataclass

import numpy as np

from staf_backend.body.markers import COUNT, indices
from staf_backend.fit.unknowns import Unknowns
from staf_backend.geometry import Skeleton


@dataclass(frozen=True)
class FitSettings:
    """What the fit trusts, and by how much.  Deviations are standard deviations.

    Attributes:
        landmark_m: of a landmark across the view, metres at the person.  0.017 draws the body
            nearer to the landmarks and away from the truth (training/LOG.md, 2026-11-28).
        robust_m: distance beyond which a landmark counts as wrong: first and last iteration.  At
            0.07 in the end, single joints fit better and the rest worse (LOG, 2026-11-28).
        prior: of the lifted rotations, as a share of the deviation that the lifter expects.  0.85
            is worse against the truth (LOG, 2026-11-28).
        acceleration: of a joint's far end, m/s^2.  Chosen: three times gravity.
        root_acceleration: of the root, m/s^2.  Chosen: a little less than gravity.
        rest_rad: of the small joints about their rest pose, over the root of their stiffness.
            Chosen.
        plant_m_s: speed of a foot that stands.  It halved and more the speed of a juggler's feet
            (LOG, 2026-11-22).
        beta: of the betas about the lifted ones.  By definition: SMPL's betas have deviation 1.
        shape_frames: what a whole track counts for against that.  Landmarks are wrong in the same
            way in every frame (a hip is not where the body has it), so more frames say no more
            (LOG, 2026-11-22).
        coarse_steps, fine_steps: Gauss-Newton steps on every other frame, then on all.  Chosen.
        window, overlap: frames solved at once in a long track, and shared by two windows.  A second
            is shared at 30 frames a second; windows of 200, 400 and 800 frames take 0.73, 0.66
            and 0.66 of the time of 100 (measured), and 0.1 MB a frame.
    """

    landmark_m: float = 0.02
    robust_m: tuple[float, float] = (0.40, 0.05)
    prior: float = 0.7
    acceleration: float = 30.0
    root_acceleration: float = 8.0
    rest_rad: float = 5.0
    plant_m_s: float = 0.1
    beta: float = 1.0
    shape_frames: float = 4.0
    coarse_steps: int = 6
    fine_steps: int = 3
    window: int = 400
    overlap: int = 30


REFERENCE_HZ = 30
"""Frames a second of which each counts fully; faster ones share.  The lifter's (`landmarks`)."""
OUTLIER_DEVIATIONS = 3.0
"""Deviations beyond which an acceleration, or the speed of a standing foot, counts less: a real
strike, or a foot that does not stand.  Chosen: the usual three sigma."""
LIMIT_WEIGHT = 100.0
"""1/rad^2, of a joint beyond its limits.  Chosen: a tenth of a radian counts as one deviation."""
SURE_RAD = 1.0
"""Radians beyond which a difference from the lifted pose counts less.  Chosen: the lifter can be
plainly wrong."""
RIDGE = 1e-3
"""1/rad^2 and 1/m^2, against any change.  Chosen: keeps the equations solvable where nothing is
seen, far below every other weight."""

MARKER_TRUST = np.ones(COUNT)
"""(27,) confidence in a marker, over what the landmark network says.  Chosen: those of the face and
hands lie beside the body's own places (training/LOG.md, 2026-11-28), feet are often hidden."""
MARKER_TRUST[indices("nose", "eye", "ear")] = 0.6
MARKER_TRUST[indices("pinky", "index", "thumb")] = 0.3
MARKER_TRUST[indices("heel", "foot_index")] = 0.5

STIFFNESS = {
    **{"spine1": 6.0, "spine2": 6.0, "spine3": 8.0, "neck": 4.0, "head": 4.0, "collar": 8.0},
    **{"ankle": 2.0, "wrist": 2.0},
}
"""How much more than others a joint keeps to its rest pose; 0 for those not named.  Chosen: spine
and collars bend little, limbs freely."""

LEAST_DEVIATION_RAD = {"collar": 0.8}
"""The least error to expect of a lifted rotation.  Collars never move in the motion capture that
taught the lifter: it is sure of what it cannot know (training/LOG.md, 2026-11-28)."""
OTHER_LEAST_DEVIATION_RAD = 0.1
"""The same of all other joints.  Chosen: 6 degrees."""


def stiffness(unknowns: Unknowns) -> np.ndarray:
    """(U,) `STIFFNESS` of each unknown, 0 for the root's position."""
    return unknowns.spread(STIFFNESS, default=0.0, root=0.0)


def least_deviation_rad(skeleton: Skeleton) -> np.ndarray:
    """(J,) the least error to expect of each joint's lifted rotation."""
    return skeleton.per_joint(LEAST_DEVIATION_RAD, OTHER_LEAST_DEVIATION_RAD)
