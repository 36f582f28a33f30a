"""Feet of other people's rigs stay on their places.  Without Blender."""

import dataclasses

import numpy as np
import pytest

from addon.retarget.fading import fade, runs
from addon.retarget.feet import keep_feet
from addon.retarget.fitting import fit_rig
from addon.retarget.guess import guess_map
from addon.retarget.hips import shared_by_hips
from addon.retarget.legs import Leg
from addon.retarget.performance import Stand, of_clip
from addon.retarget.posing import heads_of, poses_of
from addon.retarget.rotations import about, angles_deg
from addon.retarget.soles import foot_of, part_of, points_of
from addon.scene.motion_file import read_motion
from tests.addon.retarget_motions import write_steps
from tests.addon.retarget_rigs import RIGS, bones_of, shape_of


@pytest.fixture(scope="module")
def steps(tmp_path_factory):
    clip = read_motion(write_steps(tmp_path_factory.mktemp("motions") / "steps.npz"))
    return of_clip(clip, -float(clip.rest_joints_m[:, 1].min()))


@pytest.mark.parametrize("kind", RIGS)
def test_limbs_point_as_the_motion_s_and_planted_feet_stand(steps, kind):
    shape = shape_of(bones_of(RIGS[kind]))
    fit = fit_rig(shape, guess_map(shape, kind), steps)
    free = poses_of(fit, steps)
    kept = keep_feet(fit, free, steps.stands, steps.times_s)
    for poses, most_deg in ((free, 1e-3), (kept, 3.0)):
        for joint, follower in (("L_Hip", "L_Knee"), ("R_Knee", "R_Ankle"), ("L_Elbow", "L_Wrist")):
            limb = np.diff([heads_of(fit, poses, fit.place(j)) for j in (joint, follower)], axis=0)
            rest = steps.rest_m[steps.place(follower)] - steps.rest_m[steps.place(joint)]
            assert angles_deg(limb[0], steps.turns[:, steps.place(joint)] @ rest).max() < most_deg
    for stand in steps.stands:
        ankle = fit.place({"l": "L", "r": "R"}[stand.part[0]] + "_Ankle")
        place = heads_of(fit, kept, ankle)[stand.first : stand.last + 1]
        assert np.ptp(place, axis=0).max() < 1e-3 * fit.leg, stand
        assert abs(place[0, 2] - fit.ground - fit.ankles) < 1e-3 * fit.leg, (
            "the sole is on the floor"
        )
    swings = heads_of(fit, free, fit.place("L_Ankle"))
    assert np.ptp(swings[:61], axis=0).max() > 2e-3 * fit.leg, "else the test shows nothing"


@pytest.mark.parametrize("kind", RIGS)
def test_feet_stand_on_uneven_ground_with_heel_and_toe(steps, kind):
    """Toes 4 cm below heels on the left, 3 cm above on the right, and for a shorter time."""
    stands = tuple(
        dataclasses.replace(s, floor_m={"left": -0.04, "righ": 0.03}[s.part[:4]], last=s.last - 5)
        if part_of(s) == "toe"
        else s
        for s in steps.stands
    )
    shape = shape_of(bones_of(RIGS[kind]))
    fit = fit_rig(shape, guess_map(shape, kind), steps)
    kept = keep_feet(fit, poses_of(fit, steps), stands, steps.times_s)
    for stand in stands:
        foot = foot_of(fit, stand.part[0].upper(), stands, len(steps.times_s))
        points = points_of(fit, kept, foot)[part_of(stand)][stand.first : stand.last + 1]
        assert np.ptp(points, axis=0).max() < 1e-4 * fit.leg, stand
        assert abs(points[0, 2] - fit.ground - fit.scale * stand.floor_m) < 1e-4 * fit.leg, stand


def test_hips_go_as_far_as_the_rig_s_own_legs_carry_them(steps):
    """Longer thighs step otherwise: over a way that is only scaled they turn by 1.6 degrees."""
    shape = shape_of(bones_of(RIGS["mixamo"]))
    fit = fit_rig(shape, guess_map(shape, "mixamo"), steps)
    kept = keep_feet(fit, poses_of(fit, steps), steps.stands, steps.times_s)
    for side in "LR":
        hip, knee = (heads_of(fit, kept, fit.place(f"{side}_{j}")) for j in ("Hip", "Knee"))
        rest = steps.rest_m[steps.place(f"{side}_Knee")] - steps.rest_m[steps.place(f"{side}_Hip")]
        off_deg = angles_deg(knee - hip, steps.turns[:, steps.place(f"{side}_Hip")] @ rest)
        assert np.percentile(off_deg, 95) < 1.2


def test_hips_follow_the_straight_leg_and_the_bent_one_bends(steps):
    """Shortened by a centimetre, a straight leg's knee would turn by 15 degrees."""
    shape = shape_of(bones_of(RIGS["unreal"]))
    fit = fit_rig(shape, guess_map(shape, "unreal"), steps)
    poses = poses_of(fit, steps)
    straight, bent = (Leg(*(fit.place(f"{s}_{j}") for j in ("Hip", "Knee", "Ankle"))) for s in "LR")
    poses.turns[:, [straight.thigh, straight.shin]] = np.eye(3)
    forward = about(np.array([1.0, 0, 0]), np.radians([-40.0, 40.0]))
    poses.turns[:, [bent.thigh, bent.shin]] = forward
    count = len(steps.times_s)
    down, stands = np.tile([0.0, 0.0, 0.01 * fit.leg], (count, 1)), np.ones(count, bool)
    off = [(-down, stands), (down, stands)]
    hips, _, here = shared_by_hips(fit, poses, [straight, bent], off, steps.times_s)
    assert (here[0] == 1).all()
    np.testing.assert_allclose(hips[:, 2], -down[:, 2], rtol=0.05)


def test_steps_go_to_where_legs_fit_best(steps):
    """Feet that are off by the same along the floor are not off: the whole way is moved."""
    shape = shape_of(bones_of(RIGS["unreal"]))
    fit = fit_rig(shape, guess_map(shape, "unreal"), steps)
    poses, count = poses_of(fit, steps), len(steps.times_s)
    legs = [Leg(*(fit.place(f"{s}_{j}") for j in ("Hip", "Knee", "Ankle"))) for s in "LR"]
    along = np.tile([0.1 * fit.leg, 0.0, 0.0], (count, 1))
    stands = np.ones(count, bool)
    hips, shifts, _ = shared_by_hips(
        fit, poses, legs, [(along, stands), (-along, stands)], steps.times_s
    )
    np.testing.assert_allclose(shifts[0] - hips, 0, atol=1e-3 * fit.leg)
    np.testing.assert_allclose(shifts[1] - hips, 0, atol=1e-3 * fit.leg)


def test_corrections_come_and_go_softly():
    times_s = np.arange(100) / 30
    active = np.zeros(100, bool)
    active[30:40] = active[60:70] = True
    values = np.where(active[:, None], [[1.0, -2.0]], 0.0)
    filled, weights = fade(values, active, times_s)
    assert (filled[active] == values[active]).all()
    assert np.abs(np.diff(filled[:, 0])).max() < 0.3
    assert weights[0] == weights[50] == weights[-1] == 0
    assert [(r.start, r.stop) for r in runs(active)] == [(30, 40), (60, 70)]
    nothing, none = fade(values, np.zeros(100, bool), times_s)
    assert not nothing.any()
    assert not none.any()


def test_a_jump_from_a_box_lands_without_bending_a_knee_in_the_air(tmp_path):
    clip = read_motion(write_steps(tmp_path / "squat.npz", steps=0))
    squat = of_clip(clip, -float(clip.rest_joints_m[:, 1].min()))
    count = len(squat.times_s)
    high = 0.6 * np.clip((50 - np.arange(count)) / 20, 0, 1)
    parts = ("left_heel", "left_toe", "right_heel", "right_toe")
    spans = ((0, 30, 0.6), (50, count - 1, 0.0))
    stands = tuple(Stand(part, *span) for part in parts for span in spans)
    root = squat.root_m + high[:, None] * [0, 0, 1]
    jump = dataclasses.replace(squat, root_m=root, stands=stands)
    shape = shape_of(bones_of(RIGS["vrm"]))
    fit = fit_rig(shape, guess_map(shape, "Hero"), jump)
    kept = keep_feet(fit, poses_of(fit, jump), jump.stands, jump.times_s)
    for side in "LR":
        hip, knee, ankle = (
            heads_of(fit, kept, fit.place(f"{side}_{joint}")) for joint in ("Hip", "Knee", "Ankle")
        )
        rests = [jump.rest_m[jump.place(f"{side}_{j}")] for j in ("Hip", "Knee")]
        body = jump.turns[:, jump.place(f"{side}_Hip")] @ (rests[1] - rests[0])
        assert angles_deg(knee - hip, body).max() < 3
        assert np.abs(np.diff(angles_deg(knee - hip, ankle - knee))).max() < 25
        assert ankle[0, 2] - ankle[-1, 2] == pytest.approx(0.6 * fit.scale, abs=1e-3)
