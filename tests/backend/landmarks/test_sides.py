"""Limbs that a network swaps for some frames are put back; what is right is left alone."""

import functools
import warnings

import numpy as np
import pytest

from staf_backend.files import stretches
from staf_backend.landmarks import Landmarks, consistent_sides, sides
from staf_backend.landmarks.names import COCO, COUNT, MIRROR, NAMES

RNG = np.random.default_rng(0)
LEGS = np.array(
    [i for i, n in enumerate(NAMES) if any(w in n for w in ("knee", "ankle", "heel", "foot"))]
)
ARMS = np.array(
    [
        i
        for i, n in enumerate(NAMES)
        if any(w in n for w in ("elbow", "wrist", "pinky", "index", "thumb")) and "foot" not in n
    ]
)


@pytest.fixture
def moves_alone(monkeypatch: pytest.MonkeyPatch):
    """Without what was learned of people, which says nothing of figures of sticks where it is more
    than moves say."""
    monkeypatch.setattr(sides, "_LEARNED", 0.0)


def walking(frames: int = 60, noise_px: float = 2.0) -> tuple[Landmarks, np.ndarray]:
    """Someone seen from the side whose legs and arms pass each other twice a second."""
    time_s = np.arange(frames) / 30
    points = np.zeros((frames, COUNT, 2))
    for j, name in enumerate(NAMES):
        side = {"l": 1, "r": -1}.get(name[0], 0) if "_" in name or name == "nose" else 0
        height = 0.0
        swing = 0.0
        for word, at, width in (
            ("shoulder", -100, 0),
            ("elbow", -50, 20),
            ("wrist", 0, 40),
            ("pinky", 5, 45),
            ("thumb", 5, 45),
            ("hip", 0, 5),
            ("knee", 100, 40),
            ("ankle", 200, 80),
            ("heel", 205, 80),
            ("foot", 205, 90),
        ):
            if word in name:
                height, swing = at, width
        points[:, j, 0] = 300 + 60 * time_s + side * swing * np.sin(2 * np.pi * time_s)
        points[:, j, 1] = 400 + height
    points += RNG.normal(0, noise_px, points.shape)
    keypoints = np.concatenate([points[:, COCO], np.full((frames, 17, 1), 0.8)], -1)
    world = np.concatenate([points / 500, points[..., :1] / 700], -1)
    visibility = np.tile(np.linspace(0.5, 1, COUNT), (frames, 1))
    return Landmarks(points, world, visibility, np.ones(frames)), keypoints


def decided(landmarks: Landmarks, keypoints_px: np.ndarray) -> tuple[Landmarks, np.ndarray]:
    """As `consistent_sides` decides it, at 30 frames a second."""
    return consistent_sides(landmarks, keypoints_px, np.arange(len(landmarks.person)) / 30)


def swapped(landmarks: Landmarks, frames: slice, limb: np.ndarray) -> Landmarks:
    arrays = []
    for name in ("points_px", "world_m", "visibility"):
        array = getattr(landmarks, name).copy()
        array[frames, limb] = getattr(landmarks, name)[frames][:, MIRROR[limb]]
        arrays.append(array)
    points, world, visibility = arrays
    return Landmarks(points, world, visibility, landmarks.person)


def test_what_is_right_is_left_alone():
    landmarks, keypoints = walking()
    found, undone = decided(landmarks, keypoints)
    assert found is landmarks
    assert undone.shape == (60, 3)
    assert not undone.any()


@pytest.mark.usefixtures("moves_alone")
@pytest.mark.parametrize(("column", "limb"), [(0, ARMS), (1, LEGS)], ids=["arms", "legs"])
@pytest.mark.parametrize("frames", [slice(20, 21), slice(18, 30), slice(0, 10), slice(50, 60)])
def test_a_swapped_limb_is_put_back(column: int, limb: np.ndarray, frames: slice):
    landmarks, keypoints = walking()
    found, undone = decided(swapped(landmarks, frames, limb), keypoints)
    legs_apart = np.abs(landmarks.points_px[:, 27, 0] - landmarks.points_px[:, 28, 0]) > 30
    expected = np.zeros((60, 2), bool)
    expected[frames, column] = True
    assert np.array_equal(undone[legs_apart, :2], expected[legs_apart])
    right = legs_apart & expected.any(1)
    for name in ("points_px", "world_m", "visibility"):
        assert np.array_equal(getattr(found, name)[right], getattr(landmarks, name)[right])


@pytest.mark.usefixtures("moves_alone")
def test_arms_and_legs_are_decided_apart():
    landmarks, keypoints = walking()
    wrong = swapped(swapped(landmarks, slice(5, 12), ARMS), slice(35, 42), LEGS)
    _, undone = decided(wrong, keypoints)
    assert undone[7:11, 0].all()
    assert not undone[30:, 0].any()
    assert undone[37:41, 1].all()
    assert not undone[:30, 1].any()


@pytest.mark.parametrize(("column", "limb"), [(0, ARMS), (1, LEGS)], ids=["arms", "legs"])
def test_of_legs_a_jump_counts_for_more_than_of_arms(column: int, limb: np.ndarray):
    """Somebody stands, limbs a quarter of a torso apart, swapped for a third of a second; the
    detector has no opinion.  So the legs of a drawn walker from the side (d_r), 18 frames."""
    landmarks, keypoints = walking(noise_px=0)
    landmarks.points_px[:] = landmarks.points_px[:1]
    landmarks.world_m[:] = landmarks.world_m[:1]
    landmarks.points_px[:, limb[0::2], 0] += 25
    keypoints[..., 2] = 0
    _, undone = decided(swapped(landmarks, slice(20, 30), limb), keypoints)
    assert np.array_equal(np.flatnonzero(undone[:, 1]), np.arange(20, 30) if column else [])
    assert not undone[:, [0, 2]].any()


@pytest.mark.usefixtures("moves_alone")
def test_who_is_taken_for_their_own_back_is_turned_round_whole():
    """A network that sees a front as a back swaps shoulders and hips with the limbs.

    So `pose_landmark_full` on frames 46 to 65 of balance_cam02: limbs put back onto a trunk that
    stays swapped tear the body apart.
    """
    landmarks, keypoints = walking()
    across = np.array([n.split("_")[-1] in ("shoulder", "hip") for n in NAMES])
    side = np.array([{"left": 1.0, "right": -1.0}.get(n.split("_")[0], 0) for n in NAMES])
    for array, scale in ((landmarks.points_px, 40), (landmarks.world_m, 0.08)):
        array[:, :, 0] += scale * across * side
    keypoints[..., :2] = landmarks.points_px[:, COCO]
    trunk = np.flatnonzero(across)
    wrong = landmarks
    for part in (ARMS, LEGS, trunk):
        wrong = swapped(wrong, slice(20, 40), part)
    found, _ = decided(wrong, keypoints)
    assert np.array_equal(found.points_px[22:38, trunk], landmarks.points_px[22:38, trunk])
    assert np.array_equal(found.world_m[22:38, trunk], landmarks.world_m[22:38, trunk])


@pytest.mark.parametrize("frames", [slice(20, 22), slice(18, 26), slice(33, 41)])
def test_who_is_seen_from_the_side_is_told_by_depth(frames: slice):
    """Shoulders and hips lie on one spot of the picture: only the metres tell left from right."""
    landmarks, keypoints = walking()
    side = np.array([{"left": -1.0, "right": 1.0}.get(n.split("_")[0], 0) for n in NAMES])
    landmarks.world_m[..., 2] = 0.18 * side + RNG.normal(0, 0.01, landmarks.world_m.shape[:2])
    trunk = np.array([i for i, n in enumerate(NAMES) if n.split("_")[-1] in ("shoulder", "hip")])
    wrong = landmarks
    for part in (ARMS, LEGS, trunk):
        wrong = swapped(wrong, frames, part)
    found, undone = decided(wrong, keypoints)
    expected = np.zeros(60, bool)
    expected[frames] = True
    assert np.array_equal(undone.all(1), expected)
    assert np.array_equal(found.world_m, landmarks.world_m)


def seen_from_behind(frames: int = 60) -> tuple[Landmarks, np.ndarray]:
    """The walker with a trunk as wide as it looks from behind, left on the left."""
    landmarks, keypoints = walking(frames)
    side = np.array([{"left": -1.0, "right": 1.0}.get(n.split("_")[0], 0) for n in NAMES])
    landmarks.points_px[..., 0] += 30 * side
    keypoints[..., :2] = landmarks.points_px[:, COCO]
    return landmarks, keypoints


@pytest.mark.parametrize("frames", [slice(0, 60), slice(0, 40), slice(10, 13)])
def test_a_back_that_only_the_detector_takes_for_a_front_stays_a_back(frames: slice):
    """A trunk's sides by the detector are wrong as a whole; the network's are right."""
    landmarks, keypoints = seen_from_behind()
    left, right = np.arange(5, 17, 2), np.arange(6, 17, 2)
    turned = keypoints.copy()
    turned[frames, left], turned[frames, right] = keypoints[frames, right], keypoints[frames, left]
    found, undone = decided(landmarks, turned)
    assert found is landmarks
    assert not undone.any()


def going_away(rate_per_s: float) -> tuple[Landmarks, np.ndarray]:
    """Seen from behind, and smaller by this share each second; the detector has no opinion."""
    landmarks, keypoints = seen_from_behind()
    size = np.exp(-rate_per_s * np.arange(60) / 30)[:, None, None]
    landmarks.points_px[:] = 400 + (landmarks.points_px - 400) * size
    keypoints[..., 2] = 0
    return landmarks, keypoints


TRUNK = np.array([i for i, n in enumerate(NAMES) if n.split("_")[-1] in ("shoulder", "hip")])


@pytest.mark.usefixtures("moves_alone")
@pytest.mark.parametrize(("rate_per_s", "right"), [(0.25, True), (-0.25, False)])
def test_a_network_that_wavers_is_told_by_the_way_somebody_goes(rate_per_s: float, right: bool):
    """Wrong on every frame but each third: who goes away shows their back, who comes their front.

    So a drawn woman who walks off, whom the network takes for a front on 25 of 37 frames.
    """
    landmarks, keypoints = going_away(rate_per_s)
    wrong = landmarks
    for first in (0, 3, 6):
        for begin in range(first, 60, 9):
            for part in (ARMS, LEGS, TRUNK):
                wrong = swapped(wrong, slice(begin, min(begin + 2, 60)), part)
    found, _ = decided(wrong, keypoints)
    same = np.isclose(found.points_px[:, TRUNK], landmarks.points_px[:, TRUNK]).all((1, 2))
    assert same.all() if right else not same.any()


def test_who_goes_backwards_is_believed_where_the_network_is_sure():
    landmarks, keypoints = going_away(-0.3)
    _, undone = decided(landmarks, keypoints)
    assert not undone.any()


def test_a_detector_that_flickers_between_front_and_back_helps_nobody_and_harms_nobody():
    landmarks, keypoints = seen_from_behind()
    wrong = swapped(landmarks, slice(20, 26), ARMS)
    turned = keypoints.copy()
    turned[::2, 5::2], turned[::2, 6::2] = keypoints[::2, 6::2], keypoints[::2, 5::2]
    _, undone = decided(wrong, turned)
    assert not undone[:, 1:].any()
    assert np.array_equal(np.flatnonzero(undone[:, 0]), np.arange(20, 26))


def test_the_trunk_and_the_face_never_change_places():
    landmarks, keypoints = walking()
    found, _ = decided(swapped(landmarks, slice(10, 20), LEGS), keypoints)
    rest = np.setdiff1d(np.arange(COUNT), LEGS)
    assert np.array_equal(found.points_px[:, rest], landmarks.points_px[:, rest])


def test_limbs_that_truly_cross_stay_crossed():
    """Standing with crossed ankles: the detector agrees, nothing jumps, nothing is undone."""
    landmarks, keypoints = walking(noise_px=0.5)
    crossed = swapped(landmarks, slice(0, 60), LEGS)
    keypoints = keypoints.copy()
    keypoints[..., :2] = crossed.points_px[:, COCO]
    _, undone = decided(crossed, keypoints)
    assert not undone.any()


def test_frames_without_landmarks_do_no_harm():
    landmarks, keypoints = walking()
    gap = swapped(landmarks, slice(30, 45), LEGS)
    for array in (gap.points_px, gap.world_m):
        array[20:24] = np.nan
    gap.visibility[20:24] = 0
    found, undone = decided(gap, keypoints)
    assert np.isnan(found.points_px[20:24]).all()
    assert undone[33:42, 1].all()
    assert not undone[:18].any()


def test_sides_outlast_a_gap():
    """Who stands, hidden for five frames, is read the wrong way round then; no detector helps."""
    landmarks, keypoints = seen_from_behind(42)
    landmarks.points_px[:] = landmarks.points_px[:1]
    keypoints[..., 2] = 0
    wrong = landmarks
    for part in (ARMS, LEGS, TRUNK):
        wrong = swapped(wrong, slice(35, 42), part)
    for array in (wrong.points_px, wrong.world_m):
        array[30:35] = np.nan
    _, undone = decided(wrong, keypoints)
    assert undone[35:].all()
    assert not undone[:30].any()


@pytest.mark.usefixtures("moves_alone")
@pytest.mark.parametrize("frames", [1, 2])
def test_tracks_of_a_frame_or_two(frames: int):
    landmarks, keypoints = walking(frames)
    found, undone = decided(landmarks, keypoints)
    assert undone.shape == (frames, 3)
    assert np.array_equal(found.points_px, landmarks.points_px)


def test_nothing_seen_at_all():
    empty = Landmarks(
        np.full((5, COUNT, 2), np.nan),
        np.full((5, COUNT, 3), np.nan),
        np.zeros((5, COUNT)),
        np.zeros(5),
    )
    with warnings.catch_warnings(action="error"):  # a user would see the warning on the terminal
        _, undone = decided(empty, np.zeros((5, 17, 3)))
    assert not undone.any()


@pytest.mark.parametrize("size", [1, 7])
def test_a_long_clip_is_decided_as_if_it_were_one_stretch(
    size: int, monkeypatch: pytest.MonkeyPatch
):
    landmarks, keypoints_px = walking()
    landmarks = swapped(swapped(landmarks, slice(5, 12), LEGS), slice(30, 44), ARMS)
    for unseen in (slice(6, 9), slice(20, 23), slice(27, 36)):
        landmarks.points_px[unseen, ::2] = np.nan
        landmarks.world_m[unseen, ::2] = np.nan
    whole, undone = decided(landmarks, keypoints_px)
    monkeypatch.setattr(sides, "stretches", functools.partial(stretches, size=size))
    parts, undone_too = decided(landmarks, keypoints_px)
    assert undone.any(0).sum() >= 2
    np.testing.assert_array_equal(undone_too, undone)
    for name in ("points_px", "world_m", "visibility"):
        np.testing.assert_array_equal(getattr(parts, name), getattr(whole, name))
