"""The first guess from landmarks: any clock, any gap, mirror images, and what it must get right."""

import itertools
import tracemalloc
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from staf_backend.assets import asset_path
from staf_backend.body import load_body, markers
from staf_backend.geometry import rotations, skeleton
from staf_backend.landmarks import Guess, Lifter, LiftError
from staf_backend.landmarks.blend import Blend, trust_in
from staf_backend.landmarks.grid import Grid, fill_gaps
from staf_backend.landmarks.windows import MIRROR_X, WINDOW, starts, windows_at
from staf_backend.runtime import open_network

FLIP = np.diag([1.0, -1.0, -1.0])
FACING = FLIP  # global rotation of an upright person who faces the camera


@pytest.fixture(scope="module")
def lifter() -> Lifter:
    return Lifter(open_network(asset_path("lift.onnx"), threads=1))


@pytest.fixture(scope="module")
def body():
    return load_body("open-neutral")


def posed(body, times_s: np.ndarray) -> SimpleNamespace:
    """A person 4 m away, left knee raised, who waves with the left hand."""
    turns = np.zeros((len(times_s), 24, 3))
    swing = np.sin(2 * np.pi * 0.8 * times_s)
    turns[:, 0, 1] = 0.4
    turns[:, 16, 2], turns[:, 17, 2] = 0.9 + 0.4 * swing, 1.2
    turns[:, 18, 1] = -0.6 - 0.3 * swing
    turns[:, 1, 0], turns[:, 4, 0] = -1.1 - 0.3 * swing, 1.5 + 0.3 * swing
    root_m = np.tile([0.1, -0.1, -4.0], (len(times_s), 1))
    local = rotations.from_axis_angle(turns)
    turned, joints_m = skeleton.forward_kinematics(local, body.joint_template_m, root_m)
    table = markers.markers_of(body)
    points_m = table.blend(table.influences_m(turned, joints_m, np.zeros(10))) @ FLIP
    hips = points_m[:, markers.indices("hip")].mean(1, keepdims=True)
    return SimpleNamespace(
        rays=points_m[..., :2] / points_m[..., 2:],
        world_m=points_m - hips,
        visibility=np.ones(points_m.shape[:2]),
        times_s=times_s,
        rotations=FLIP @ turned,
    )


def lifted(lifter: Lifter, seen: SimpleNamespace):
    return lifter.lift(seen.rays, seen.world_m, seen.visibility, seen.times_s)


def degrees(one: np.ndarray, other: np.ndarray) -> np.ndarray:
    cosine = (np.einsum("...ij,...ij->...", one, other) - 1) / 2
    return np.degrees(np.arccos(np.clip(cosine, -1, 1)))


def clock(seconds: float, rate: float) -> np.ndarray:
    return np.arange(round(seconds * rate) + 1) / rate


def test_finds_the_pose_of_clean_landmarks(lifter, body):
    seen = posed(body, clock(2, 30))
    guess = lifted(lifter, seen)
    error = degrees(guess.rotations, seen.rotations)
    assert error[:, [0, 3, 6, 9]].mean() < 12
    assert error[:, [1, 2, 4, 5, 16, 17, 18, 19]].mean() < 16
    assert error.mean() < 18


def test_says_which_way_is_up_and_where_the_standing_foot_is(lifter, body):
    guess = lifted(lifter, posed(body, clock(2, 30)))
    assert np.degrees(np.arccos(guess.up @ [0, -1, 0])) < 10
    assert np.linalg.norm(guess.up) == pytest.approx(1)
    assert 0 < guess.up_deviation_rad < 0.5
    left, right = guess.contact[:, :2].mean(), guess.contact[:, 2:].mean()
    assert right > 0.5
    assert right > left + 0.1


def test_rotations_are_rotations_and_shapes_are_as_promised(lifter, body):
    seen = posed(body, clock(1.5, 24))
    guess = lifted(lifter, seen)
    frames = len(seen.times_s)
    assert guess.rotations_wxyz.shape == (frames, 24, 4)
    assert np.allclose(np.linalg.norm(guess.rotations_wxyz, axis=-1), 1, atol=1e-6)
    assert guess.deviation_rad.shape == (frames, 24)
    assert (guess.deviation_rad > 0).all()
    assert guess.contact.shape == (frames, 4)
    assert ((guess.contact >= 0) & (guess.contact <= 1)).all()


def test_without_world_points_the_pose_is_still_found(lifter, body):
    seen = posed(body, clock(2, 30))
    seen.world_m = np.full_like(seen.world_m, np.nan)
    error = degrees(lifted(lifter, seen).rotations, seen.rotations)
    assert error[:, [0, 1, 2, 4, 5, 16, 17, 18, 19]].mean() < 22


def test_a_mirrored_clip_gives_the_mirrored_guess(lifter, body):
    seen = posed(body, clock(1.8, 30))
    seen.visibility[10:20, 3] = 0.2
    guess = lifted(lifter, seen)
    mirrored = lifter.lift(
        seen.rays[:, markers.MIRROR] * MIRROR_X[:2],
        seen.world_m[:, markers.MIRROR] * MIRROR_X,
        seen.visibility[:, markers.MIRROR],
        seen.times_s,
    )
    flip = MIRROR_X[:, None] * MIRROR_X
    assert np.allclose(
        mirrored.rotations, guess.rotations[:, skeleton.SMPL.mirror] * flip, atol=1e-4
    )
    assert np.allclose(mirrored.up, guess.up * MIRROR_X, atol=1e-4)
    assert np.allclose(mirrored.contact, guess.contact[:, [2, 3, 0, 1]], atol=1e-4)
    assert np.allclose(mirrored.betas, guess.betas, atol=1e-4)


def test_the_frame_rate_does_not_matter(lifter, body):
    reference = lifted(lifter, posed(body, clock(2, 30)))
    for rate in (24, 50, 60, 120, 240):
        seen = posed(body, clock(2, rate))
        guess = lifted(lifter, seen)
        nearest = np.abs(seen.times_s - clock(2, 30)[:, None]).argmin(1)
        error = degrees(guess.rotations[nearest], reference.rotations)
        assert error.mean() < 2.5, f"{rate} frames a second"
        assert guess.contact.shape == (len(seen.times_s), 4)


def test_a_slow_and_an_unsteady_clock_keep_the_pose(lifter, body):
    unsteady = np.cumsum(np.random.default_rng(1).uniform(0.01, 0.07, 60))
    for times_s in (clock(3, 8), unsteady):
        seen = posed(body, times_s)
        error = degrees(lifted(lifter, seen).rotations, seen.rotations)
        assert error[:, [0, 1, 2, 4, 5, 16, 17]].mean() < 18


def test_one_frame_two_frames(lifter, body):
    for frames in (1, 2):
        seen = posed(body, clock(1, 30)[:frames])
        guess = lifted(lifter, seen)
        assert guess.rotations.shape == (frames, 24, 3, 3)
        error = degrees(guess.rotations, seen.rotations)
        assert error[:, [0, 1, 2, 4, 5, 16, 17]].mean() < 25


def test_missing_landmarks_and_frames_leave_no_nan(lifter, body):
    whole = posed(body, clock(2, 30))
    reference = lifted(lifter, whole)
    seen = posed(body, clock(2, 30))
    seen.rays[20:26] = np.nan
    seen.world_m[20:26] = np.nan
    seen.visibility[20:26] = np.nan
    seen.rays[::3, 4] = np.nan
    seen.rays[:, markers.indices("left_ear")] = np.nan
    seen.world_m[5:9, 7] = np.nan
    guess = lifted(lifter, seen)
    for name in ("rotations", "deviation_rad", "betas", "up", "contact"):
        assert np.isfinite(getattr(guess, name)).all(), name
    assert degrees(guess.rotations, reference.rotations).mean() < 6


def test_legs_out_of_the_picture_leave_the_upper_body(lifter, body):
    seen = posed(body, clock(2, 30))
    legs = markers.indices("knee", "ankle", "heel", "foot_index")
    seen.rays[:, legs] = np.nan
    seen.world_m[:, legs] = np.nan
    guess = lifted(lifter, seen)
    error = degrees(guess.rotations, seen.rotations)
    assert error[:, [0, 3, 6, 9, 16, 17, 18, 19]].mean() < 18
    whole = lifted(lifter, posed(body, clock(2, 30)))
    assert guess.deviation_rad[:, [1, 4, 7]].mean() > whole.deviation_rad[:, [1, 4, 7]].mean()


def test_the_network_knows_that_it_is_less_sure_of_noisy_hidden_arms(lifter, body):
    sure = lifted(lifter, posed(body, clock(2, 30)))
    seen = posed(body, clock(2, 30))
    arm = markers.indices("right_elbow", "right_wrist", "right_index", "right_pinky", "right_thumb")
    rng = np.random.default_rng(0)
    seen.visibility[:, arm] = 0.05
    seen.rays[:, arm] += rng.normal(0, 0.02, (61, 5, 2))
    seen.world_m[:, arm] += rng.normal(0, 0.08, (61, 5, 3))
    unsure = lifted(lifter, seen)
    arm_joints, other_joints = [17, 19, 21], [1, 2, 4, 5, 9]
    more = unsure.deviation_rad / sure.deviation_rad
    assert more[:, arm_joints].mean() > 1.1 * more[:, other_joints].mean()


def test_a_marker_that_was_never_seen_changes_little(lifter, body):
    reference = lifted(lifter, posed(body, clock(2, 30)))
    for name in ("left_ear", "nose", "right_thumb", "left_wrist"):
        seen = posed(body, clock(2, 30))
        seen.rays[:, markers.indices(name)] = np.nan
        seen.world_m[:, markers.indices(name)] = np.nan
        error = degrees(lifted(lifter, seen).rotations, reference.rotations)
        assert error.mean() < 8, name


def test_far_off_the_axis_the_person_turns_with_the_view(lifter, body):
    """The same person seen by a camera that was turned: rotations turn by that much."""
    seen = posed(body, clock(1.5, 30))
    turn = rotations.from_axis_angle(np.array([0.1, 0.3, 0.0]))
    rays = np.concatenate([seen.rays, np.ones((*seen.rays.shape[:2], 1))], -1) @ turn.T
    guess = lifter.lift(rays[..., :2] / rays[..., 2:], seen.world_m, seen.visibility, seen.times_s)
    straight = lifted(lifter, seen)
    assert degrees(guess.rotations, turn @ straight.rotations).mean() < 8


def test_the_same_input_gives_the_same_bytes(lifter, body):
    one, two = (lifted(lifter, posed(body, clock(1, 30))) for _ in range(2))
    assert one.rotations.tobytes() == two.rotations.tobytes()
    assert one.betas.tobytes() == two.betas.tobytes()


def test_a_long_clip_costs_no_more_a_frame_than_a_short_one():
    class Counting:
        """Stands where ONNX Runtime's session stands and counts windows."""

        def __init__(self) -> None:
            self.batches: list[int] = []

        def get_outputs(self):
            names = ("rotations", "deviation_rad", "contact", "betas", "up", "up_deviation_rad")
            return [SimpleNamespace(name=name) for name in names]

        def get_providers(self):
            return ["counting"]

        def run(self, _, inputs):
            count = len(inputs["features"])
            self.batches.append(count)
            ones = np.ones((count, WINDOW, 24), np.float32)
            eye = np.tile(np.eye(3, dtype=np.float32), (count, WINDOW, 24, 1, 1))
            up = np.tile(np.array([0, 1, 0], np.float32), (count, 1))
            return [eye, ones, ones[..., :4], np.zeros((count, 10), np.float32), up, ones[:, 0, 0]]

    sums: list[int] = []
    for seconds in (20, 80):
        session: Any = Counting()
        frames = round(30 * seconds)
        rays = np.random.default_rng(0).normal(0, 0.1, (frames, 27, 2))
        world_m = np.zeros((frames, 27, 3))
        Lifter(session).lift(rays, world_m, np.ones((frames, 27)), np.arange(frames) / 30)
        sums.append(sum(session.batches))
        assert max(session.batches) <= 16
    assert sums[1] <= 4.2 * sums[0]


def test_nobody_seen_is_an_error_with_advice(lifter):
    empty = np.full((5, 27, 3), np.nan)
    with pytest.raises(LiftError, match="No landmark"):
        lifter.lift(empty[..., :2], empty, np.zeros((5, 27)), np.arange(5) / 30)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"rays": np.zeros((5, 33, 2))}, "rays"),
        ({"world_m": np.zeros((5, 27, 2))}, "world_m"),
        ({"visibility": np.zeros((4, 27))}, "visibility"),
        ({"times_s": np.array([0, 0.1, 0.1, 0.2, 0.3])}, "times_s"),
        ({"times_s": np.array([0, 0.1, np.nan, 0.2, 0.3])}, "times_s"),
    ],
)
def test_wrong_arguments_are_named(lifter, change, message):
    right = {
        "rays": np.zeros((5, 27, 2)),
        "world_m": np.zeros((5, 27, 3)),
        "visibility": np.ones((5, 27)),
        "times_s": np.arange(5) / 30,
    }
    with pytest.raises(ValueError, match=message):
        lifter.lift(**(right | change))


def test_gaps_are_filled_by_straight_lines_and_held_at_the_ends():
    values = np.array([9, 1, 9, 9, 4, 9.0]).reshape(1, 6, 1, 1)
    observed = np.array([0, 1, 0, 0, 1, 0], bool).reshape(1, 6, 1)
    filled = fill_gaps(values, observed, np.arange(6.0))
    assert filled.ravel() == pytest.approx([1, 1, 2, 3, 4, 4])
    nothing = fill_gaps(values * np.nan, np.zeros((1, 6, 1), bool), np.arange(6.0))
    assert (nothing == 0).all()


def test_long_gaps_are_marked_and_short_ones_bridged():
    times_s = clock(2, 30)
    rays = np.zeros((len(times_s), 27, 2))
    rays[10:12] = np.nan
    rays[30:45] = np.nan
    grid = Grid(rays, np.zeros((61, 27, 3)), np.ones((61, 27)), times_s)
    run = grid.stretch(0, len(grid))
    assert run.observed[10:12].all()
    assert not run.observed[31:44].any()
    assert run.observed[46:].all()
    assert run.world_observed.all()


@pytest.mark.parametrize("fps", [7, 30, 100])
def test_a_grid_is_the_same_stretch_by_stretch(fps: int):
    rng = np.random.default_rng(fps)
    times_s = clock(6, fps)
    rays, world_m = (rng.normal(size=(len(times_s), 27, n)) for n in (2, 3))
    rays[rng.uniform(size=rays.shape[:2]) < 0.1] = np.nan
    world_m[rng.uniform(size=rays.shape[:2]) < 0.1] = np.nan
    rays[len(times_s) // 3 : len(times_s) // 2, 5:] = np.nan
    rays[:, 3] = np.nan
    visibility = rng.uniform(size=rays.shape[:2])
    grid = Grid(rays, world_m, visibility, times_s)
    whole = vars(grid.stretch(0, len(grid)))
    ends = [*range(0, len(grid), 23), len(grid)]
    parts = [vars(grid.stretch(a, b)) for a, b in itertools.pairwise(ends)]
    for name, values in whole.items():
        np.testing.assert_array_equal(np.concatenate([part[name] for part in parts]), values)


def test_a_fast_clip_is_averaged_over_a_step_of_the_grid_to_each_side():
    times_s, values = clock(2, 60), np.zeros((121, 27, 2))
    values[60], values[61] = 3.0, 1.0
    grid = Grid(values, np.zeros((121, 27, 3)), np.ones((121, 27)), times_s)
    run = grid.stretch(29, 32)
    # at 1 s frames 59 to 61 weigh a half, one and a half: (3 + 0.5) / 2; then 61 to 63
    assert run.rays[:, 0, 0] == pytest.approx([0, 1.75, 0.25])


def test_the_grid_of_a_long_clip_holds_no_copies_of_it():
    frames = 20_000
    rays, world_m = np.zeros((frames, 27, 2), np.float32), np.zeros((frames, 27, 3), np.float32)
    visibility, times_s = np.ones((frames, 27), np.float32), np.arange(frames) / 30
    tracemalloc.start()
    grid = Grid(rays, world_m, visibility, times_s)
    for begin in range(0, len(grid), 128):
        grid.stretch(begin, min(begin + 152, len(grid)))
    _, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert most / frames < 400, "bytes a frame: where each marker is seen, and what finds that out"


def test_windows_cover_every_frame():
    for frames in (1, 5, 32, 33, 40, 100):
        first = starts(frames, 8)
        covered = {f for start in first for f in range(start, start + WINDOW)}
        assert covered >= set(range(frames))
        assert first[-1] == max(frames - WINDOW, 0)


def test_a_long_clip_of_few_frames_takes_little_memory():
    """Half an hour at a frame a second: the grid's frames, thirty times as many, are never held."""
    times_s = np.arange(1800.0)
    rays, world_m = np.zeros((1800, 27, 2)), np.zeros((1800, 27, 3))
    answer = Guess(
        np.broadcast_to(np.eye(3, dtype=np.float32), (16, 32, 24, 3, 3)),
        np.ones((16, 32, 24), np.float32),
        np.ones((16, 32, 4), np.float32),
        np.zeros((16, 10), np.float32),
        np.tile(np.array([0, -1, 0], np.float32), (16, 1)),
        np.ones(16, np.float32),
    )
    tracemalloc.start()
    grid = Grid(rays, world_m, np.ones((1800, 27)), times_s)
    blend, first = Blend(grid.times_s, times_s), starts(len(grid), 8)
    for some in np.array_split(first, len(first) // 16 + 1):
        guess = Guess(*(values[: len(some)] for values in answer))
        windows = windows_at(grid.stretch(some[0], some[-1] + 32), some - some[0])
        blend.add(guess, some, trust_in(windows))
    lifted = blend.finished()
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert len(lifted.rotations_wxyz) == 1800
    assert lifted.contact == pytest.approx(1)
    assert peak < 15e6
