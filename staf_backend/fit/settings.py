"""What the fit trusts: deviations of its terms, and what is known of the body's joints."""

from dataclasses import dataclass

import numpy as np

from staf_backend.body.markers import COUNT, indices
from staf_backend.fit.terms import MOVING, UNKNOWNS
from staf_backend.geometry.skeleton import JOINT_COUNT


@dataclass(frozen=True)
class FitSettings:
    """What the fit trusts, and by how much.  Deviations are standard deviations.

    Attributes:
        landmark_m: of a landmark across the view, metres at the person.
        robust_m: distance beyond which a landmark counts as wrong: first and last iteration.
        prior: of the lifted rotations, as a share of the deviation that the lifter expects.
        acceleration: of a joint's far end, m/s^2.
        root_acceleration: of the root, m/s^2.
        rest_rad: of the small joints about their rest pose.
        plant_m_s: speed of a foot that stands.
        beta: of the betas about the lifted ones.
        shape_frames: what a whole track counts for against that.  Landmarks are wrong in the same
            way in every frame (a hip is not where the body has it), so more frames say no more.
        coarse_steps, fine_steps: Gauss-Newton steps on every other frame, then on all.
        window, overlap: frames solved at once in a long track, and shared by two windows.
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
    window: int = 100
    overlap: int = 30


def _per_unknown(values: dict[int, float], default: float, root: float) -> np.ndarray:
    """(UNKNOWNS,) one value per joint spread over its three angles; `root` for the position."""
    joints = np.repeat([values.get(j, default) for j in MOVING], 3)
    return np.concatenate([np.full(3, root), joints])


# metres from a joint to the far end of what it moves: turns an angle into a distance
LEVER_M = _per_unknown(
    {0: 0.7, 1: 0.7, 2: 0.7, 4: 0.45, 5: 0.45, 7: 0.2, 8: 0.2, 3: 0.5, 6: 0.5, 9: 0.5}
    | {12: 0.25, 15: 0.2, 13: 0.5, 14: 0.5, 16: 0.5, 17: 0.5, 18: 0.3, 19: 0.3, 20: 0.15, 21: 0.15},
    default=0.3,
    root=1.0,
)
# how stiffly a joint keeps to its rest pose, 1/rad^2: spine and collars bend little, limbs freely
STIFFNESS = _per_unknown(
    {3: 6.0, 6: 6.0, 9: 8.0, 12: 4.0, 15: 4.0, 13: 8.0, 14: 8.0, 7: 2.0, 8: 2.0, 20: 2.0, 21: 2.0},
    default=0.0,
    root=0.0,
)
LIMIT_WEIGHT = 100.0  # 1/rad^2
MARKER_TRUST = np.ones(COUNT)
MARKER_TRUST[indices("nose", "eye", "ear")] = 0.6
MARKER_TRUST[indices("pinky", "index", "thumb")] = 0.3
MARKER_TRUST[indices("heel", "foot_index")] = 0.5
SURE_RAD = 1.0  # prior residuals beyond this count less: the lifter can be plainly wrong
LEAST_DEVIATION_RAD = np.full(JOINT_COUNT, 0.1)
LEAST_DEVIATION_RAD[[13, 14]] = 0.8
"""(24,) the least error to expect of a lifted rotation.

Collars never move in the motion capture that taught the lifter: it is sure of what it cannot know.
"""


def _limits() -> tuple[np.ndarray, np.ndarray]:
    """Lowest and highest rotation vectors (UNKNOWNS,) of joints that bend one way only.

    In the T-pose, x points to the person's left: knees bend about +x; elbows about -y (left) and
    +y (right).  Collars rise about +z (left) and -z (right) and hardly sink, twist or come forward.
    """
    low, high = np.full(UNKNOWNS, -np.inf), np.full(UNKNOWNS, np.inf)
    bounds = {
        4: ((-0.1, -0.3, -0.3), (2.7, 0.3, 0.3)),
        5: ((-0.1, -0.3, -0.3), (2.7, 0.3, 0.3)),
        13: ((-0.1, -0.1, -0.1), (0.1, 0.1, 0.6)),
        14: ((-0.1, -0.1, -0.6), (0.1, 0.1, 0.1)),
        18: ((-1.6, -2.7, -0.6), (1.6, 0.1, 0.6)),
        19: ((-1.6, -0.1, -0.6), (1.6, 2.7, 0.6)),
    }
    for joint, (lowest, highest) in bounds.items():
        at = 3 + 3 * MOVING.index(joint)
        low[at : at + 3], high[at : at + 3] = lowest, highest
    return low, high


LOWEST_RAD, HIGHEST_RAD = _limits()
