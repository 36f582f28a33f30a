"""Feet of other people's rigs stay on their places.  Without Blender."""

import dataclasses

import numpy as np
import pytest

from addon.retarget.blocks import solve_blocks
from addon.retarget.fading import fade, runs
from addon.retarget.feet import keep_feet
from addon.retarget.fitting import fit_rig
from addon.retarget.guess import guess_map
from addon.retarget.hips import Off, settled
from addon.retarget.legs import Leg
from addon.retarget.performance import Stand, of_clip, with_stands
from addon.retarget.posing import heads_of, poses_of
from addon.retarget.rotations import about, angles_deg
from addon.retarget.soles import foot_of, part_of, points_of
from addon.scene.motion_file import read_motion
from tests.addon.retarget_motions import write_steps, write_stride
from tests.addon.retarget_rigs import RIGS, bones_of, shape_of


@pytest.fixture(scope="module")
def steps(tmp_path_factory):
    return performance(write_steps(tmp_path_factory.mktemp("motions") / "steps.npz"))


def performance(path):
    clip = read_motion(path)
    return of_clip(clip, -float(clip.rest_joints_m[:, 1].min()))


def fitted(kind, motion):
    shape = shape_of(bones_of(RIGS[kind]))
    fit = fit_rig(shape, guess_map(shape, kind), motion)
    return fit, poses_of(fit, motion)


def legs_deg(fit, poses, motion):
    """(4, T) between thighs and shins and those of the motion."""
    found = []
    for side in "LR":
        for joint, follower in ((f"{side}_Hip", f"{side}_Knee"), (f"{side}_Knee", f"{side}_Ankle")):
            limb = heads_of(fit, poses, fit.place(follower)) - heads_of(
                fit, poses, fit.place(joint)
            )
            rest = motion.rest_m[motion.place(follower)] - motion.rest_m[motion.place(joint)]
            found.append(angles_deg(limb, motion.turns[:, motion.place(joint)] @ rest))
    return np.array(found)


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


def test_stands_that_the_motion_does_not_keep_are_not_held(steps):
    """One that slides or rises while it is said to stand would pull the legs off."""
    assert with_stands(steps, steps.stands).stands == steps.stands
    walking = Stand("left_heel", 0, len(steps.times_s) - 1, 0.0)
    risen = dataclasses.replace(steps, root_m=steps.root_m.copy())
    risen.root_m[:30] += [0.0, 0.0, 0.06]
    first = [stand for stand in steps.stands if stand.first < 30 < stand.last]
    assert first
    assert with_stands(steps, [walking, *first]).stands == tuple(first)
    assert with_stands(risen, first).stands == ()
    slid = dataclasses.replace(steps, root_m=steps.root_m.copy())
    slid.root_m[:, 0] += 0.01 * np.arange(len(slid.root_m))
    assert with_stands(slid, first).stands == ()
    slid.root_m[:] = steps.root_m
    slid.root_m[:30, 0] += 0.15
    assert with_stands(slid, first).stands == tuple(first), "as far as a foot turns on its toes"


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
    feet = [Off(straight, -down, stands), Off(bent, down, stands)]
    hips, _ = settled(fit, poses, poses.hips, feet, steps.times_s)
    np.testing.assert_allclose(hips[:, 2], -down[:, 2], rtol=0.05)


def test_steps_go_to_where_legs_fit_best(steps):
    """Feet that are off by the same along the floor are not off: the whole way is moved."""
    shape = shape_of(bones_of(RIGS["unreal"]))
    fit = fit_rig(shape, guess_map(shape, "unreal"), steps)
    poses, count = poses_of(fit, steps), len(steps.times_s)
    legs = [Leg(*(fit.place(f"{s}_{j}") for j in ("Hip", "Knee", "Ankle"))) for s in "LR"]
    along = np.tile([0.1 * fit.leg, 0.0, 0.0], (count, 1))
    stands = np.ones(count, bool)
    feet = [Off(leg, way, stands) for leg, way in zip(legs, (along, -along), strict=True)]
    _, off = settled(fit, poses, poses.hips, feet, steps.times_s)
    np.testing.assert_allclose(off, 0, atol=1e-3 * fit.leg)


@pytest.mark.parametrize("kind", RIGS)
def test_toes_that_bend_stand_where_the_rig_s_own_toes_are(kind, tmp_path):
    """On the tip of a straight foot its ankle would be 4 cm higher and its leg as much too long."""
    stride = performance(write_stride(tmp_path / "stride.npz"))
    fit, free = fitted(kind, stride)
    kept = keep_feet(fit, free, stride.stands, stride.times_s)
    assert legs_deg(fit, kept, stride).max() < 3
    toes = fit.place("R_Foot")
    along = fit.tails[toes] - fit.heads[toes]
    tip = heads_of(fit, kept, toes) + kept.turns[:, toes] @ along
    assert np.ptp(tip, axis=0).max() < 2e-3 * fit.leg
    raised = heads_of(fit, kept, fit.place("R_Ankle"))
    assert np.ptp(raised[:, 2]) > 0.05 * fit.leg, "else the test shows nothing"


@pytest.mark.parametrize("kind", RIGS)
def test_a_foot_that_leaves_a_lower_step_is_above_that_step(kind, tmp_path):
    """Raised onto the step on which the other foot stands, its limbs would turn by 9 degrees."""
    stairs = performance(write_steps(tmp_path / "stairs.npz", stair_m=0.08))
    fit, free = fitted(kind, stairs)
    kept = keep_feet(fit, free, stairs.stands, stairs.times_s)
    assert legs_deg(fit, kept, stairs).max() < 3
    climbed = np.ptp(heads_of(fit, kept, fit.place("R_Ankle"))[:, 2])
    assert climbed > 4 * 0.08 * fit.scale


def test_the_largest_turn_is_what_counts(steps):
    """Feet that part by a tenth of a leg for the last keys: by least squares one is 0.045 off."""
    fit, free = fitted("unreal", steps)
    key = np.arange(len(steps.times_s))
    apart = (0.1 * fit.leg * np.clip((key - 190) / 30, 0, 1))[:, None] * [1.0, 0.0, 0.0]
    legs = [Leg(*(fit.place(f"{s}_{j}") for j in ("Hip", "Knee", "Ankle"))) for s in "LR"]
    stands = np.ones(len(key), bool)
    feet = [Off(leg, way, stands) for leg, way in zip(legs, (apart, 0 * apart), strict=True)]
    _, off = settled(fit, free, free.hips, feet, steps.times_s)
    assert np.linalg.norm(off, axis=-1).max() < 0.038 * fit.leg


@pytest.mark.parametrize(
    ("kick_deg", "gives_mm", "limb_deg"), [(5.0, 0.0, 2.81), (5.5, 0.83, 2.901), (12.0, 2.0, 4.8)]
)
def test_a_foot_gives_way_by_two_millimetres_at_most_for_a_limb(
    steps, kick_deg, gives_mm, limb_deg
):
    """A thigh of a foot that stands is off by that in one key."""
    stand = max((s for s in steps.stands if s.part == "left_heel"), key=lambda s: s.last - s.first)
    key, turns = (stand.first + stand.last) // 2, steps.turns.copy()
    for joint in ("L_Hip", "L_Knee", "L_Ankle", "L_Foot"):
        place = steps.place(joint)
        turns[key, place] = (
            about(np.array([1.0, 0.0, 0.0]), np.radians([kick_deg]))[0] @ turns[key, place]
        )
    kicked = dataclasses.replace(steps, turns=turns)
    fit, free = fitted("mixamo", kicked)
    kept = keep_feet(fit, free, kicked.stands, kicked.times_s)
    foot = foot_of(fit, "L", kicked.stands, len(kicked.times_s))
    heel = points_of(fit, kept, foot)["heel"][stand.first : stand.last + 1]
    moved_mm = 1e3 * np.linalg.norm(heel - np.median(heel, 0), axis=1).max() / fit.scale
    assert moved_mm == pytest.approx(gives_mm, abs=0.05)
    assert legs_deg(fit, kept, kicked)[:2, key].max() < limb_deg


def hips_over(steps, shift_z, stands):
    """How far hips go (T,), in legs, over a left foot that is off by (T,) while it stands."""
    fit, free = fitted("unreal", steps)
    legs = [Leg(*(fit.place(f"{s}_{j}") for j in ("Hip", "Knee", "Ankle"))) for s in "LR"]
    up = fit.leg * shift_z[:, None] * [0.0, 0.0, 1.0]
    feet = [Off(legs[0], up, stands), Off(legs[1], 0 * up, np.zeros(len(up), bool))]
    hips, _ = settled(fit, free, free.hips, feet, steps.times_s)
    return hips[:, 2] / fit.leg


def test_hips_do_not_jerk_where_another_foot_stands_otherwise(steps):
    """Two centimetres from one key to the next would be 18 legs/s2."""
    key = np.arange(len(steps.times_s))
    hips = hips_over(steps, np.where(key < 120, 0.0, 0.02), key != 120)
    assert hips[0] < 0.003
    assert hips[-1] > 0.017
    assert np.abs(np.diff(hips, 2)).max() * 30**2 < 1.0


def test_hips_go_back_to_the_motion_s_way_where_nothing_stands(steps):
    key = np.arange(len(steps.times_s))
    hips = hips_over(steps, np.where(key < 60, key / 2000, 0.0), key < 60)
    assert hips[59] > 0.02
    assert np.abs(hips[120:]).max() < 0.005


@pytest.mark.parametrize("count", [1, 2, 3, 4, 5, 6, 7, 64])
def test_blocks_are_solved_as_the_whole_matrix_is(count):
    random, size = np.random.default_rng(count), 3
    part = random.normal(size=(count, size, size))
    diagonal = part @ part.swapaxes(-1, -2) + 8 * np.eye(size)
    upper, right = random.normal(size=(count - 1, size, size)), random.normal(size=(count, size))
    whole = np.zeros((count, size, count, size))
    for place in range(count):
        whole[place, :, place] = diagonal[place]
    for place in range(count - 1):
        whole[place, :, place + 1] = upper[place]
        whole[place + 1, :, place] = upper[place].T
    whole = whole.reshape(count * size, count * size)
    expected = np.linalg.solve(whole, right.ravel()).reshape(count, size)
    np.testing.assert_allclose(solve_blocks(diagonal, upper, right), expected, atol=1e-12)


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
