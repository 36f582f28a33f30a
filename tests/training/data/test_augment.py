"""Changes of crops and their targets: turned, scaled and mirrored alike."""

import numpy as np
import pytest

from staf_backend.geometry import SMPL, forward_kinematics, from_axis_angle
from staf_backend.staf import cut
from training.data.augment import Augment, Change, changed_crop, changed_targets
from training.joints import JOINTS_49, MIRROR
from training.targets import Targets


def some_targets(seed: int = 0) -> Targets:
    """A posed skeleton whose first 24 joints are those of its rotations."""
    rng = np.random.default_rng(seed)
    rotations = from_axis_angle(rng.normal(size=(24, 3))).astype(np.float32)
    keypoints, joints_m = rng.normal(size=(49, 3)), rng.normal(size=(49, 4))
    keypoints[:, 2], joints_m[:, 3] = rng.random(49) > 0.3, rng.random(49) > 0.3
    keypoints[keypoints[:, 2] == 0] = 0
    joints_m[joints_m[:, 3] == 0] = 0
    one = np.ones((), np.float32)
    known = keypoints.astype(np.float32), joints_m.astype(np.float32), rotations
    return Targets(*known, rng.normal(size=10).astype(np.float32), one, one)


def random_change(seed: int) -> Change:
    rng = np.random.default_rng(seed)
    return Change(rng.uniform(-2, 2), rng.uniform(0.5, 2), bool(seed % 2))


@pytest.mark.parametrize("seed", range(8))
def test_rotations_turn_and_mirror_as_the_body_they_pose(seed: int) -> None:
    known, change = some_targets(seed), random_change(seed)
    rest_m = np.random.default_rng(seed + 100).normal(size=(24, 3))
    origin = np.zeros(3)
    _, posed_m = forward_kinematics(known.rotations.astype(float), rest_m, rest_m[0] * 0)
    changed = changed_targets(known, change)
    if change.mirrored:
        rest_m = rest_m[SMPL.mirror] * [-1, 1, 1]
    _, after_m = forward_kinematics(changed.rotations.astype(float), rest_m, origin)
    expected = posed_m.copy()
    expected[:, :2] = posed_m[:, :2] @ change.on_screen().T
    if change.mirrored:
        expected = expected[SMPL.mirror]
    np.testing.assert_allclose(after_m, expected, atol=1e-5)


def test_joints_and_keypoints_turn_alike_and_only_keypoints_scale() -> None:
    known, change = some_targets(), Change(0.7, 1.6, True)
    joints_m = np.concatenate(
        [known.keypoints[:, :2], np.zeros((49, 1)), known.keypoints[:, 2:]], 1
    )
    known = known._replace(joints_m=joints_m.astype(np.float32))
    changed = changed_targets(known, change)
    np.testing.assert_allclose(changed.joints_m[:, :2], changed.keypoints[:, :2] * 1.6, atol=1e-6)


def test_mirroring_twice_is_nothing_and_swaps_the_sides() -> None:
    known = some_targets()
    once = changed_targets(known, Change(mirrored=True))
    twice = changed_targets(once, Change(mirrored=True))
    for ours, before in zip(twice, known):
        np.testing.assert_allclose(ours, before, atol=1e-6)
    left, right = JOINTS_49.index("left_wrist"), JOINTS_49.index("right_wrist")
    np.testing.assert_allclose(once.joints_m[left], known.joints_m[right] * [-1, 1, 1, 1])
    assert (MIRROR[MIRROR] == np.arange(49)).all()
    assert (SMPL.mirror[SMPL.mirror] == np.arange(24)).all()


def test_the_callers_targets_are_not_written_to() -> None:
    known, again = some_targets(), some_targets()
    changed_targets(known, Change(1.0, 2.0, True))
    for ours, before in zip(known, again):
        np.testing.assert_array_equal(ours, before)


def test_what_is_unknown_stays_zero() -> None:
    known = some_targets()._replace(
        has_pose=np.zeros((), np.float32), rotations=np.zeros((24, 3, 3), np.float32)
    )
    changed = changed_targets(known, Change(1.0, 2.0, True))
    assert not changed.rotations.any()
    assert not changed.keypoints[changed.keypoints[:, 2] == 0].any()
    assert not changed.joints_m[changed.joints_m[:, 3] == 0].any()
    assert changed.keypoints[:, 2].sum() == known.keypoints[:, 2].sum()


def test_no_change_is_the_estimators_own_cut() -> None:
    image = np.random.default_rng(0).integers(0, 256, (300, 400, 3), np.uint8)
    square = np.array([180.3, 140.8, 217.0])
    np.testing.assert_array_equal(changed_crop(image, square, Change()), cut(image, square))


@pytest.mark.parametrize("seed", range(6))
def test_a_dot_in_the_picture_stays_on_its_keypoint(seed: int) -> None:
    square, change = np.array([210.0, 190.0, 260.0]), random_change(seed)
    change = Change(change.turn_rad, 0.8 + 0.4 * (seed % 3), change.mirrored)
    point = np.array([0.35, -0.28])
    image = np.zeros((400, 420, 3), np.uint8)
    place = square[:2] + point * square[2] / 2
    rows, columns = np.mgrid[:400, :420] + 0.5
    image[np.hypot(columns - place[0], rows - place[1]) < 7] = 255
    known = some_targets()
    index = JOINTS_49.index("nose")  # its own mirror image
    known.keypoints[index] = *point, 1
    crop = changed_crop(image, square, change)
    bright = np.argwhere(crop[..., 0] > 127)[:, ::-1].mean(0)
    expected = changed_targets(known, change).keypoints[index, :2]
    np.testing.assert_allclose((bright - 112) / 112, expected, atol=0.5 / 112)


def test_changes_are_drawn_as_the_paper_says() -> None:
    rng = np.random.default_rng(0)
    changes = [Augment().draw(rng) for _ in range(20_000)]
    turns = np.degrees([change.turn_rad for change in changes])
    assert np.mean(turns == 0) == pytest.approx(0.6, abs=0.01)
    assert np.abs(turns).max() == pytest.approx(60)
    assert turns[turns != 0].std() == pytest.approx(28.9, abs=0.8)
    assert np.mean([change.mirrored for change in changes]) == pytest.approx(0.5, abs=0.01)
    scales, gains = (np.array([getattr(c, n) for c in changes]) for n in ("scale", "gains"))
    assert (scales.min(), scales.max()) == pytest.approx((0.75, 1.25))
    assert (gains.min(), gains.max()) == pytest.approx((0.6, 1.4), abs=0.01)


@pytest.mark.parametrize("values", [{"flip": 1.1}, {"noise": -1}, {"scale": 1.0}, {"turn_deg": -1}])
def test_senseless_changes_are_refused(values: dict) -> None:
    with pytest.raises(ValueError, match=r"must be|are chances"):
        Augment(**values)
