"""A camera that turns: windows are lifted as one that does not turn would have seen them."""

import numpy as np
import pytest

from staf_backend.assets import asset_path
from staf_backend.body import markers
from staf_backend.geometry import (
    TO_Y_UP,
    forward_kinematics,
    from_axis_angle,
    from_quaternions,
    to_axis_angle,
)
from staf_backend.landmarks import Lifter
from staf_backend.runtime import open_network
from tests.support.walker import BODY, walker


@pytest.fixture(scope="module")
def lifter() -> Lifter:
    return Lifter(open_network(asset_path("lift.onnx"), threads=1))


def seen(turns: np.ndarray | None):
    """Rays (T, 27, 2) to a walker, of a camera turned by (T, 3, 3), what its network tells of
    depth (T, 27, 3), and the times (T,)."""
    walk, _ = walker(ways=(0.2, 0.1))
    posed = walk.rotations, BODY.rest_joints_m(walk.betas), walk.root_m, BODY.skeleton
    shared = markers.markers_of(BODY)
    points = shared.blend(shared.influences_m(*forward_kinematics(*posed), walk.betas)) @ TO_Y_UP
    if turns is not None:
        points = points @ turns.swapaxes(1, 2)
    return points[..., :2] / points[..., 2:], points - points[:, :1], walk.times_s


def lifted(lifter: Lifter, turns: np.ndarray | None):
    rays, world_m, times_s = seen(turns)
    return lifter.lift(rays, world_m, np.ones(rays.shape[:2]), times_s, turns)


def apart_deg(one, other) -> float:
    turns, others = (from_quaternions(g.rotations_wxyz.astype(float)) for g in (one, other))
    off = np.linalg.norm(to_axis_angle(turns.swapaxes(-1, -2) @ others), axis=-1)
    return float(np.degrees(off.mean()))


def test_a_camera_that_is_turned_once_and_for_all_changes_nothing(lifter: Lifter):
    still = lifted(lifter, None)
    rows = np.tile(np.eye(3), (len(still.rotations_wxyz), 1, 1))
    same = lifted(lifter, rows)
    assert apart_deg(still, same) < 0.01
    np.testing.assert_allclose(same.up, still.up, atol=1e-4)


def test_whoever_stays_in_the_picture_of_a_camera_that_turns_is_lifted_alike(lifter: Lifter):
    """Back and forth by eight degrees: a person five metres away stays in the picture."""
    still = lifted(lifter, None)
    angle = 0.14 * np.sin(np.linspace(0, 6, len(still.rotations_wxyz)))
    moved = lifted(lifter, from_axis_angle(np.outer(angle, [0.2, 1.0, 0.1])))
    assert apart_deg(still, moved) < 2.5
    assert np.degrees(np.arccos(np.clip(moved.up @ still.up, -1, 1))) < 1.5


def test_axes_may_look_the_other_way(lifter: Lifter):
    """The camera stands still; what is asked for is turned by 130 degrees about its y."""
    still = lifted(lifter, None)
    turn = from_axis_angle(np.array([0, 2.27, 0]))
    rays, world_m, times_s = seen(None)
    turns = np.tile(turn.T, (len(times_s), 1, 1))
    other = lifter.lift(rays, world_m, np.ones(rays.shape[:2]), times_s, turns)
    back = turn.T @ from_quaternions(other.rotations_wxyz.astype(float))
    true = from_quaternions(still.rotations_wxyz.astype(float))
    off = np.degrees(np.linalg.norm(to_axis_angle(back.swapaxes(-1, -2) @ true), axis=-1))
    assert off.max() < 0.1
    np.testing.assert_allclose(turn.T @ other.up, still.up, atol=1e-4)
