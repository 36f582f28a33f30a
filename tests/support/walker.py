"""A person who walks with feet that really stand: pose, places and contacts known exactly."""

import numpy as np

from staf_backend.body import load_body
from staf_backend.geometry import from_axis_angle
from staf_backend.world.legs import legs_of, reach
from staf_backend.world.movement import Movement

BODY = load_body("open-neutral")
RATE_HZ = 30.0
FLOOR_M = -1.4
"""Below the camera."""
STEP_M, STEP_S = 0.6, 0.5
"""Length of half a stride, and how long a foot stands; it swings for as long."""


def walker(steps: int = 6, ways: tuple[float, float] = (1.0, 0.0)) -> tuple[Movement, np.ndarray]:
    """A walk past a level camera at the origin, 1.4 m above the floor and 5 m away.

    Args:
        steps: how many.
        ways: of the walk, over x (right) and z (to the camera).

    Returns:
        The movement, and (T, 2) which foot stands.
    """
    times = np.arange(round(steps * STEP_S * RATE_HZ)) / RATE_HZ
    frames, rest = len(times), BODY.rest_joints_m(np.zeros(10))
    way = np.array([ways[0], 0.0, ways[1]])
    along = STEP_M * times / STEP_S
    root = np.array([0, FLOOR_M + 0.86, -5.0]) + np.outer(along - along.mean(), way)
    turn = from_axis_angle(np.array([0.0, np.arctan2(way[0], way[2]), 0.0]))
    rotations = np.tile(np.eye(3), (frames, 24, 1, 1))
    rotations[:, 0] = turn
    low = BODY.rest_vertices_m(np.zeros(10))[:, 1].min()
    stands = np.zeros((frames, 2), bool)
    for side, leg in enumerate(legs_of(BODY.skeleton)):
        phase = times / STEP_S + side
        cycle, share = np.floor(phase / 2), phase % 2
        swing = np.clip(share - 1, 0, 1)
        ahead = (2 * cycle + 0.5 + 2 * (3 * swing**2 - 2 * swing**3) - side) * STEP_M
        ankle = np.array([0, FLOOR_M + rest[leg.ankle, 1] - low, -5.0])
        ankle = ankle + np.outer(ahead - along.mean(), way) + turn @ (rest[leg.ankle] * [1, 0, 0])
        ankle[:, 1] += 0.12 * np.sin(np.pi * swing)
        foot = np.tile(turn, (frames, 1, 1))
        rotations = reach(rotations, rest, root, BODY.skeleton, leg, ankle, foot)
        stands[:, side] = share < 1
    return movement(times, rotations, root), stands


def movement(times_s: np.ndarray, rotations: np.ndarray, root_m: np.ndarray) -> Movement:
    """Of the mean shape, feet in view, the camera at the origin."""
    seen = np.ones((len(times_s), 2), bool)
    return Movement(times_s, rotations, root_m, np.zeros(10), BODY, np.zeros_like(root_m), seen)
