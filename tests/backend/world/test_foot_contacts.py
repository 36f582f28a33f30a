"""The network that says which foot stands: what it must not depend on."""

import dataclasses

import numpy as np
import pytest

from staf_backend.geometry import from_6d, from_axis_angle
from staf_backend.world import foot_contacts
from staf_backend.world.contacts import find_contacts
from staf_backend.world.foot_contacts import MARGIN, feet_standing, foot_network
from staf_backend.world.foot_features import (
    FEATURES,
    RATE_HZ,
    REACH,
    FootTracks,
    features,
    foot_tracks,
)
from staf_backend.world.legs import legs_of, reach
from staf_backend.world.movement import Movement
from tests.support.walker import BODY, movement, walker

MIRROR = np.array([-1.0, 1.0, 1.0])


@pytest.fixture(scope="module")
def tracks() -> FootTracks:
    return foot_tracks(walker(ways=(0.6, 0.8))[0])


def asked(tracks: FootTracks) -> np.ndarray:
    """Probabilities (N, 4), all at once."""
    rows = np.arange(-MARGIN, len(tracks) + MARGIN).clip(0, len(tracks) - 1)
    return foot_network()(features(tracks)[rows])


def changed(tracks: FootTracks, **how: np.ndarray) -> FootTracks:
    return dataclasses.replace(tracks, **how)


def at_twice_the_rate(movement: Movement) -> Movement:
    """The frames, and those half-way between them."""
    count = len(movement)
    at = np.arange(2 * count - 1) / 2
    low, share = np.minimum(at.astype(int), count - 2), at - np.minimum(at.astype(int), count - 2)
    between = lambda v: v[low] + (v[low + 1] - v[low]) * share.reshape(-1, *(1,) * (v.ndim - 1))
    return dataclasses.replace(
        movement,
        times_s=between(movement.times_s),
        rotations=from_6d(between(movement.rotations)[..., :2]),
        root_m=between(movement.root_m),
        eye_m=between(movement.eye_m),
        feet_seen=np.ones((len(at), 2), bool),
    )


def test_in_a_mirror_the_feet_change_places(tracks: FootTracks):
    other_side = changed(
        tracks,
        joints_m=tracks.joints_m[:, [0, 4, 5, 6, 1, 2, 3]] * MIRROR,
        points_m=tracks.points_m[:, [2, 3, 0, 1]] * MIRROR,
        eye_m=tracks.eye_m * MIRROR,
        rest_m=tracks.rest_m[[2, 3, 0, 1]],
    )
    np.testing.assert_allclose(features(other_side)[:, ::-1], features(tracks), atol=1e-5)
    np.testing.assert_allclose(asked(other_side)[:, [2, 3, 0, 1]], asked(tracks), atol=1e-5)


def test_size_place_and_heading_do_not_count(tracks: FootTracks):
    numbers = features(tracks)
    assert numbers.shape == (len(tracks), 2, FEATURES)
    twice = {
        name: 2 * getattr(tracks, name) for name in ("joints_m", "points_m", "eye_m", "rest_m")
    }
    larger = dataclasses.replace(tracks, leg_m=2 * tracks.leg_m, **twice)
    away = np.array([3.0, -1.0, 2.0])
    elsewhere = changed(
        tracks,
        joints_m=tracks.joints_m + away,
        points_m=tracks.points_m + away,
        eye_m=tracks.eye_m + away,
    )
    turned = tracks.turned(np.array([0.0, 1.3, 0.0]))
    np.testing.assert_allclose(features(larger), numbers, atol=1e-4)
    np.testing.assert_allclose(features(turned), numbers, atol=1e-4)
    np.testing.assert_allclose(features(elsewhere), numbers, atol=1e-3)


def test_a_clip_is_answered_in_a_long_one_as_alone(monkeypatch: pytest.MonkeyPatch):
    """Blocks leave no seam, and what is farther than the network sees does not count."""
    movement, _ = walker(steps=20)
    whole = feet_standing(movement)
    monkeypatch.setattr(foot_contacts, "_BLOCK", 37)
    np.testing.assert_allclose(feet_standing(movement), whole, atol=1e-5)
    monkeypatch.undo()
    cut = 60
    names = ("times_s", "rotations", "root_m", "eye_m", "feet_seen")
    rest = {name: getattr(movement, name)[cut:] for name in names}
    alone = feet_standing(dataclasses.replace(movement, **rest))
    far = MARGIN + REACH + 4  # the smoothing of places reaches 4 frames
    np.testing.assert_allclose(alone[far:], whole[cut + far :], atol=1e-4)


@pytest.mark.parametrize("ways", [(1.0, 0.0), (0.0, 1.0)])
def test_sixty_frames_a_second_tell_what_thirty_do(ways: tuple[float, float]):
    movement, _ = walker(ways=ways)
    twice = at_twice_the_rate(movement)
    assert twice.rate_hz == pytest.approx(2 * RATE_HZ)
    off = np.abs(feet_standing(twice)[::2] - feet_standing(movement))
    assert off.mean() < 0.02
    assert np.quantile(off, 0.99) < 0.25


def test_a_single_frame_and_two_are_answered():
    movement, _ = walker()
    names = ("times_s", "rotations", "root_m", "eye_m", "feet_seen")
    for count in (1, 2):
        few = {name: getattr(movement, name)[:count] for name in names}
        found = feet_standing(dataclasses.replace(movement, **few))
        assert found.shape == (count, 4)
        assert np.isfinite(found).all()


def test_legs_that_change_places_for_three_frames_keep_their_stance():
    """As the landmark network swaps legs that pass each other."""
    movement, stands = walker(steps=8)
    middle = int(np.flatnonzero(stands[:, 0])[37])  # of the third stance
    swapped = movement.rotations.copy()
    some, left, right = slice(middle, middle + 3), [1, 4, 7], [2, 5, 8]
    swapped[some, left], swapped[some, right] = (
        movement.rotations[some, right],
        movement.rotations[some, left],
    )
    found = feet_standing(dataclasses.replace(movement, rotations=swapped))
    assert found[middle - 2 : middle + 5, 0].min() > 0.3


def test_a_tilt_of_a_few_degrees_is_borne():
    """Contacts are asked for before up is known."""
    movement, stands = walker(steps=8)
    true = np.repeat(stands, 2, axis=1)
    for axis in ([1.0, 0, 0], [0, 0, 1.0]):
        tilted = movement.turned(from_axis_angle(np.radians(8) * np.array(axis)))
        found = feet_standing(tilted) > 0.5
        assert 2 * (found & true).sum() / (found.sum() + true.sum()) > 0.85


def test_a_foot_far_above_the_other_is_raised_however_still():
    walk, _ = walker()
    times_s, leg = np.arange(60) / RATE_HZ, legs_of(BODY.skeleton)[0]
    rotations, root_m = (np.repeat(v[7:8], 60, axis=0) for v in (walk.rotations, walk.root_m))
    stands = movement(times_s, rotations, root_m)
    foot, ankle_m = (values[:, 0] for values in stands.joints(leg.ankle))
    low_m = stands.posed.points_m[0, :4, 1]
    ankle_m = np.add(ankle_m, [0, 0.3 - low_m[:2].min() + low_m[2:].min(), 0])
    rest = BODY.rest_joints_m(stands.betas)
    lifted = reach(rotations, rest, root_m, BODY.skeleton, leg, ankle_m, foot)
    raised = movement(times_s, lifted, root_m)
    assert feet_standing(raised)[30].min() > 0.9  # the network has seen stairs
    assert find_contacts(raised).feet[30].tolist() == [False, False, True, True]
