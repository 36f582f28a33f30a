"""Captured motion on a body of another shape, with feet that truly stand.

    moves ─► body of that shape ─► feet that come to rest ─► held where they rest ─► which stand

Captured feet slide by 0.1 to 0.2 m/s once they are another body's.
"""

import numpy as np

from staf_backend.body import Body
from staf_backend.motion import PARTS
from staf_backend.world.contacts import Contacts
from staf_backend.world.feet import held
from staf_backend.world.floors import footholds, shared_floors
from staf_backend.world.movement import FEET
from staf_backend.world.movement import Movement as WorldMovement
from staf_backend.world.spans import spans
from training.moves.movement import Movement

CLIMBS = "01"
"""A subject that climbs on what is not captured: where feet stand there nobody knows."""
_SLOW_M_S, _NEAR_FLOOR_M, _FLOOR_QUANTILE = 0.35, 0.05, 0.15
"""A captured foot that comes to rest: its speed, and its height above the quantile of the heights
of its slow times.  Chosen, as the truth of drawn scenes has it: captured feet slide by 0.1 to 0.2
m/s once they are another body's."""
_RAISED_M = 0.12
"""Between the floors of a foot's slow times and the other's, from which it is raised throughout
and does not stand.  Chosen: captured toes may be 8 cm too high all the time, raised ones are
higher."""
_STILL_M_S, _SHORTEST_S, _GAP_S = 0.2, 0.1, 0.07
"""A foot that stands once it is held: its speed, its shortest stance, the longest gap in one.
Chosen, as the truth of drawn scenes has it."""


def planted(
    move: Movement,
    body: Body,
    betas: np.ndarray,
    rate_hz: float,
    turn: np.ndarray,
    place_m: np.ndarray,
) -> tuple[WorldMovement, np.ndarray]:
    """A movement of somebody with this body, y up.

    Args:
        move: T frames, captured on the mean shape of any body.
        body: whose shape `betas` (10,) are.
        betas: see `body`.
        rate_hz: of the frames.
        turn: (3, 3) of the person and their path, about up.
        place_m: (3,) where the middle of the path comes to lie.

    Returns:
        the movement, seen throughout by an eye at the origin, and (T, 4) bool: which of `FEET`
        stand.
    """
    size = _leg_m(body.rest_joints_m(betas)) / _leg_m(body.joint_template_m)
    rotations = move.local.astype(float)
    rotations[:, 0] = turn @ rotations[:, 0]
    root_m = (move.pelvis_m - move.pelvis_m.mean(0)) @ turn.T * size + place_m
    frames = len(root_m)
    none, seen = np.zeros_like(root_m), np.ones((frames, 2), bool)
    times_s = np.arange(frames) / rate_hz
    movement = WorldMovement(times_s, rotations, root_m, betas, body, none, seen)
    resting = _coming_to_rest(movement)
    touching = np.zeros((frames, len(PARTS)), bool)
    touching[:, : len(FEET)] = resting
    known = Contacts(touching.astype(float), touching)
    standing = held(movement, known, shared_floors([footholds(movement, known)])[0])
    return standing, _still(standing, resting)


def _coming_to_rest(movement: WorldMovement) -> np.ndarray:
    """(T, 4) bool: which of `FEET` are slow, and near the floor of their own slow times, unless
    that is far above the other foot's."""
    points = movement.posed.points_m[:, : len(FEET)]
    slow, low = _speeds(movement) < _SLOW_M_S, points[..., 1]
    floors = np.array(
        [
            np.quantile(heights[those] if those.any() else heights, _FLOOR_QUANTILE)
            for heights, those in zip(low.T, slow.T, strict=True)
        ]
    )
    lower = np.minimum(floors, floors[[2, 3, 0, 1]])
    return slow & (low < floors + _NEAR_FLOOR_M) & (floors < lower + _RAISED_M)


def _still(movement: WorldMovement, resting: np.ndarray) -> np.ndarray:
    """(T, 4) bool: which of the feet that rest and were held stand, for long enough."""
    still = resting & (_speeds(movement) < _STILL_M_S)
    stands = np.zeros_like(still)
    least, gap = _SHORTEST_S * movement.rate_hz, _GAP_S * movement.rate_hz
    for point, column in enumerate(still.T):
        for first, last in spans(column, round(least), round(gap)):
            stands[first:last, point] = True
    return stands


def _speeds(movement: WorldMovement) -> np.ndarray:
    """(T, 4) of `FEET`, metres a second."""
    points_m = movement.posed.points_m[:, : len(FEET)]
    return np.linalg.norm(np.gradient(points_m, axis=0), axis=-1) * movement.rate_hz


def _leg_m(joints_m: np.ndarray) -> float:
    hip, knee, ankle = (joints_m[joint] for joint in (1, 4, 7))
    return float(np.linalg.norm(knee - hip) + np.linalg.norm(ankle - knee))
