"""The fit recovers what was seen, for any rate and length, and survives what is missing."""

import dataclasses

import numpy as np
import pytest

from staf_backend.body import load_body, markers
from staf_backend.fit import BandedSystem, FitSettings, Fitter, terms
from staf_backend.fit.anatomy import FIXED, limits_rad
from staf_backend.fit.chains import Posed
from staf_backend.fit.settings import least_deviation_rad
from staf_backend.fit.unknowns import Unknowns
from staf_backend.geometry import (
    SMPL,
    camera,
    forward_kinematics,
    from_axis_angle,
    parent_relative,
    to_axis_angle,
    to_quaternions,
)
from staf_backend.landmarks import Lifted

BODY = load_body("open-neutral")
MARKERS = markers.markers_of(BODY)
UNKNOWNS = Unknowns(SMPL, FIXED)
BETAS = np.array([0.8, -0.5, 0.3, 0, 0, 0, 0, 0, 0, 0])


def moving(times_s: np.ndarray, seed: int = 1) -> tuple[np.ndarray, np.ndarray]:
    """A person who waves, bends the knees and walks across: rotations and root, camera axes."""
    rng = np.random.default_rng(seed)
    frames = len(times_s)
    angles = np.zeros((frames, 24, 3))
    wave = np.sin(2 * np.pi * 0.5 * times_s)[:, None]
    angles[:, 16] = [0, 0, -0.6] + wave * [0.2, 0.3, 0.5]
    angles[:, 17] = [0, 0, 0.9] + wave * [0.3, -0.2, 0.2]
    angles[:, 18] = [0, -0.8, 0] + wave * [0, -0.4, 0]
    angles[:, 19] = [0, 0.5, 0] + wave * [0, 0.3, 0]
    angles[:, 1] = [-0.3, 0, 0.1] + wave * [-0.3, 0, 0]
    angles[:, 4] = [0.5, 0, 0] + wave * [0.4, 0, 0]
    angles[:, (3, 6, 9, 12)] = rng.normal(0, 0.05, (4, 3))
    rotations = from_axis_angle(angles)
    heading = from_axis_angle(np.stack([0 * times_s, 0.4 + 0.3 * times_s, 0 * times_s], -1))
    rotations[:, 0] = camera.TO_Y_UP @ heading
    root = np.stack([-0.5 + 0.4 * times_s, 0.1 * wave[:, 0], 4 + 0.3 * times_s], -1)
    return rotations, root


def pose(rotations: np.ndarray, root_m: np.ndarray, betas: np.ndarray = BETAS):
    """Global rotations, joints and markers."""
    turned, joints = forward_kinematics(rotations, BODY.rest_joints_m(betas), root_m)
    influences = MARKERS.influences_m(turned, joints, betas)
    return Posed(turned, joints, influences, MARKERS.blend(influences))


def lifted(turned: np.ndarray, error_rad: float = 0.0, seed: int = 2) -> Lifted:
    """The truth, with an error that is the same in all frames."""
    error = np.random.default_rng(seed).normal(0, error_rad, (24, 3))
    frames = len(turned)
    return Lifted(
        rotations_wxyz=to_quaternions(from_axis_angle(error) @ turned),
        deviation_rad=np.full((frames, 24), 0.3),
        betas=np.zeros(10),
        up=np.array([0.0, -1.0, 0.0]),
        up_deviation_rad=0.1,
        contact=np.zeros((frames, 4)),
    )


def seen(posed: Posed) -> tuple[np.ndarray, np.ndarray]:
    points = posed.markers_m
    return points[..., :2] / points[..., 2:], np.ones(points.shape[:2])


@pytest.mark.parametrize("turned", [False, True])
def test_the_jacobian_is_the_derivative(turned: bool):
    rotations, root = moving(np.linspace(0, 1, 3))
    reprojection = terms.Reprojection(MARKERS, UNKNOWNS)
    turns = from_axis_angle(np.array([[0, 0.5, 0], [0.2, 2.0, 0], [0, -1.3, 0.1]]))
    by = turns if turned else None
    if turned:  # as far before the cameras, which look elsewhere
        root = np.einsum("tba,tb->ta", turns, root)
    posed = pose(rotations, root).seen_by(by)
    rays = seen(posed)[0] + 0.01
    jacobian = reprojection.jacobian(posed)
    depth = posed.joints_m[:, 0, 2, None, None]
    numeric = np.zeros_like(jacobian)
    for unknown in range(len(UNKNOWNS)):
        sides = []
        for step in (1e-6, -1e-6):
            moved, place = rotations.copy(), root.copy()
            if unknown < 3:
                place[:, unknown] += step
            else:
                joint = UNKNOWNS.moving[(unknown - 3) // 3]
                vector = np.zeros(3)
                vector[(unknown - 3) % 3] = step
                moved[:, joint] = moved[:, joint] @ from_axis_angle(vector)
            points = pose(moved, place).seen_by(by).markers_m
            sides.append((points[..., :2] / points[..., 2:] - rays) * depth)
        numeric[..., unknown] = (sides[0] - sides[1]) / 2e-6
    assert np.abs(jacobian - numeric).max() < 1e-6


def test_the_orientation_terms_are_those_of_a_dense_jacobian():
    rng = np.random.default_rng(0)
    rotations, root = moving(np.linspace(0, 1, 2))
    turned = pose(rotations, root).turned
    prior = turned @ from_axis_angle(rng.normal(0, 0.1, turned.shape[:-1]))
    residuals = terms.orientation_residuals(turned, prior)
    weights = rng.uniform(0.5, 2, residuals.shape[:-1])
    system = BandedSystem.zeros(2, len(UNKNOWNS))
    terms.add_orientations(system, turned, residuals, weights, UNKNOWNS)
    for t in range(2):
        dense = np.zeros((24, 3, len(UNKNOWNS)))
        for k in range(24):
            for n, j in enumerate(UNKNOWNS.moving):
                if UNKNOWNS.above[k, j]:
                    dense[k, :, 3 + 3 * n : 6 + 3 * n] = turned[t, j]
        weighted = dense * weights[t, :, None, None]
        assert np.allclose(system.blocks[t], np.einsum("kci,kcj->ij", weighted, dense))
        assert np.allclose(system.gradient[t], -np.einsum("kci,kc->i", weighted, residuals[t]))


@pytest.mark.parametrize("frames", [1, 2, 3, 7])
def test_the_banded_solution_is_the_dense_one(frames: int):
    rng = np.random.default_rng(frames)
    n = 5
    system = BandedSystem.zeros(frames, n)
    rows = rng.normal(size=(frames, 8, n))
    system.blocks += rows.transpose(0, 2, 1) @ rows
    system.gradient += rng.normal(size=(frames, n))
    dense = np.zeros((frames * n, frames * n))
    for t in range(frames):
        dense[t * n : (t + 1) * n, t * n : (t + 1) * n] = system.blocks[t]
    right = system.gradient.ravel().copy()
    if frames > 2:
        coefficients = rng.normal(size=(frames - 2, 3))
        weights, values = rng.uniform(1, 2, (2, frames - 2, n))
        system.add_squares(coefficients, weights, values)
        for t in range(frames - 2):
            for i in range(n):
                row = np.zeros(frames * n)
                row[[(t + k) * n + i for k in range(3)]] = coefficients[t]
                dense += weights[t, i] * np.outer(row, row)
                right -= weights[t, i] * row * values[t, i]
    expected = np.linalg.solve(dense + 1e-3 * np.diag(np.diag(dense)), right)
    assert np.allclose(system.solve(1e-3).ravel(), expected)


def error_m(params, posed: Posed) -> float:
    """Mean distance of joints about the pelvis; hands and toes are not fitted."""
    got = pose(params.rotations, params.root_m, params.betas).joints_m
    shown, true = got - got[:, :1], posed.joints_m - posed.joints_m[:, :1]
    return float(np.linalg.norm((shown - true)[:, :22], axis=-1).mean())


def test_a_wrong_guess_is_corrected_by_what_is_seen():
    times = np.arange(60) / 30
    rotations, root = moving(times)
    posed = pose(rotations, root)
    guess = lifted(posed.turned, 0.25)
    guessed = forward_kinematics(
        parent_relative(guess.rotations), BODY.rest_joints_m(BETAS), np.zeros((60, 3))
    )[1]
    guess_error = np.linalg.norm(
        (guessed - posed.joints_m + posed.joints_m[:, :1])[:, :22], axis=-1
    ).mean()
    fitted = Fitter(BODY).fit(*seen(posed), times, guess, BETAS)
    assert error_m(fitted.params, posed) < 0.6 * guess_error
    assert np.nanmedian(fitted.distance_m) < 0.02


def test_a_right_guess_stays_right():
    times = np.arange(40) / 30
    rotations, root = moving(times)
    posed = pose(rotations, root)
    params = Fitter(BODY).fit(*seen(posed), times, lifted(posed.turned), BETAS).params
    got = pose(params.rotations, params.root_m).joints_m
    assert np.linalg.norm((got - posed.joints_m)[:, :22], axis=-1).mean() < 0.02


def test_the_shape_follows_the_proportions_that_are_seen():
    times = np.arange(40) / 30
    rotations, root = moving(times)
    posed = pose(rotations, root)
    fitted = Fitter(BODY).fit(*seen(posed), times, lifted(posed.turned))

    def thigh_share(betas):
        rest = BODY.rest_joints_m(betas)
        return np.linalg.norm(rest[4] - rest[1]) / np.linalg.norm(rest[16] - rest[18])

    true, start = thigh_share(BETAS), thigh_share(np.zeros(10))
    assert abs(thigh_share(fitted.params.betas) - true) < 0.6 * abs(start - true)


@pytest.mark.parametrize("fps", [12, 24, 30, 60, 120])
def test_the_result_does_not_depend_on_the_frame_rate(fps: int):
    times = np.arange(2 * fps + 1) / fps
    rotations, root = moving(times)
    posed = pose(rotations, root)
    params = Fitter(BODY).fit(*seen(posed), times, lifted(posed.turned, 0.2), BETAS).params
    assert error_m(params, posed) < 0.075
    dense = moving(np.arange(61) / 30)
    posed_30 = pose(*dense)
    at_30 = (
        Fitter(BODY)
        .fit(*seen(posed_30), np.arange(61) / 30, lifted(posed_30.turned, 0.2), BETAS)
        .params
    )
    here = pose(params.rotations, params.root_m).joints_m
    there = pose(at_30.rotations, at_30.root_m).joints_m
    every = {12: (slice(None, None, 6), slice(None, None, 15))}
    rows = every.get(fps, (slice(None, None, fps // 2), slice(None, None, 15)))
    assert np.linalg.norm(here[rows[0]] - there[rows[1]], axis=-1)[1:-1].mean() < 0.02


@pytest.mark.parametrize("frames", [1, 2, 3, 5])
def test_short_tracks(frames: int):
    times = np.arange(frames) / 30
    rotations, root = moving(times)
    posed = pose(rotations, root)
    fitted = Fitter(BODY).fit(*seen(posed), times, lifted(posed.turned, 0.1))
    assert len(fitted.params) == frames
    assert error_m(fitted.params, posed) < 0.06


def test_what_is_missing_is_bridged():
    times = np.arange(60) / 30
    rotations, root = moving(times)
    posed = pose(rotations, root)
    rays, confidence = seen(posed)
    rays[20:28] = np.nan
    confidence[40:44] = 0
    confidence[5, 3] = np.nan
    fitted = Fitter(BODY).fit(rays, confidence, times, lifted(posed.turned), BETAS)
    assert np.isnan(fitted.distance_m[20:28]).all()
    got = pose(fitted.params.rotations, fitted.params.root_m).joints_m
    assert np.linalg.norm(got - posed.joints_m, axis=-1)[18:30].mean() < 0.06


def test_nobody_seen_at_all_still_gives_numbers():
    times = np.arange(10) / 30
    posed = pose(*moving(times))
    rays = np.full((10, 27, 2), np.nan)
    fitted = Fitter(BODY).fit(rays, np.zeros((10, 27)), times, lifted(posed.turned))
    assert np.isfinite(fitted.params.root_m).all()
    assert np.isnan(fitted.distance_m).all()


def test_one_wild_landmark_is_left_out():
    times = np.arange(40) / 30
    posed = pose(*moving(times))
    rays, confidence = seen(posed)
    clean = Fitter(BODY).fit(rays, confidence, times, lifted(posed.turned), BETAS).params
    rays[:, markers.indices("left_wrist")] += 0.4
    wild = Fitter(BODY).fit(rays, confidence, times, lifted(posed.turned), BETAS).params
    others = [j for j in range(22) if j not in (13, 16, 18, 20)]
    joints = [pose(p.rotations, p.root_m).joints_m[:, others] for p in (clean, wild)]
    assert np.linalg.norm(joints[0] - joints[1], axis=-1).max() < 0.01


def test_a_long_track_is_the_same_in_windows():
    times = np.arange(260) / 30
    posed = pose(*moving(times))
    rays, confidence = seen(posed)
    guess = lifted(posed.turned, 0.2)
    whole = Fitter(BODY, FitSettings(window=1000)).fit(rays, confidence, times, guess, BETAS)
    parts = Fitter(BODY, FitSettings(window=100, overlap=40)).fit(
        rays, confidence, times, guess, BETAS
    )
    joints = [pose(f.params.rotations, f.params.root_m).joints_m for f in (whole, parts)]
    assert np.linalg.norm(joints[0] - joints[1], axis=-1).max() < 0.02


def test_knees_do_not_bend_backwards():
    times = np.arange(20) / 30
    rotations, root = moving(times)
    rotations[:, 4] = from_axis_angle(np.array([-0.6, 0, 0]))
    posed = pose(rotations, root)
    params = Fitter(BODY).fit(*seen(posed), times, lifted(posed.turned), BETAS).params
    bend = to_axis_angle(params.rotations[:, 4])[:, 0]
    assert bend.min() > -0.3


def shrugged(rise_rad: float) -> tuple[Posed, Lifted]:
    """Collars turned up (or down), and the guess of a lifter that is sure they never are."""
    times = np.arange(40) / 30
    rotations, root = moving(times)
    guess = lifted(pose(rotations, root).turned)
    guess.deviation_rad[:, (13, 14)] = 0.15
    for collar, arm, rise in ((13, 16, rise_rad), (14, 17, -rise_rad)):
        turn = from_axis_angle(np.array([0, 0, rise]))
        rotations[:, collar] = turn
        rotations[:, arm] = turn.T @ rotations[:, arm]
    return pose(rotations, root), guess


def test_shoulders_rise_as_far_as_they_are_seen_to():
    posed, guess = shrugged(0.35)
    fitted = Fitter(BODY).fit(*seen(posed), np.arange(40) / 30, guess, BETAS)
    assert fitted.distance_m[:, markers.indices("shoulder")].mean() < 0.006
    assert error_m(fitted.params, posed) < 0.012


def test_collars_hardly_sink():
    """Arms that seem short of where they are seen do not pull the shoulders down."""
    posed, guess = shrugged(-0.35)
    params = Fitter(BODY).fit(*seen(posed), np.arange(40) / 30, guess, BETAS).params
    down = to_axis_angle(params.rotations[:, (13, 14)])[..., 2] * [-1, 1]
    assert down.max() < 0.22


def test_limits_and_trust_are_the_same_on_both_sides():
    """Mirrored, a turn about x stays and one about y or z changes its sign."""
    ends = np.stack(limits_rad(UNKNOWNS))[:, 3:].reshape(2, -1, 3)
    other = [UNKNOWNS.moving.index(SMPL.mirror[j]) for j in UNKNOWNS.moving]
    assert np.array_equal(np.sort(ends[:, other] * [1, -1, -1], axis=0), ends)
    least_rad = least_deviation_rad(SMPL)
    assert np.array_equal(least_rad[SMPL.mirror], least_rad)


def test_a_standing_foot_stands_still():
    rng = np.random.default_rng(3)
    times = np.arange(90) / 30
    rotations, root = moving(times)
    rotations[:], root[:] = rotations[0], root[0]
    posed = pose(rotations, root)
    rays, confidence = seen(posed)
    rays = rays + rng.normal(0, 0.004, rays.shape)
    guess = lifted(posed.turned, 0.1)
    standing = dataclasses.replace(guess, contact=np.ones((90, 4)))
    slides = []
    for one in (guess, standing):
        params = Fitter(BODY).fit(rays, confidence, times, one, BETAS).params
        feet = pose(params.rotations, params.root_m).markers_m[:, terms.Planted.POINTS]
        slides.append(np.linalg.norm(np.diff(feet, axis=0), axis=-1).mean())
    assert slides[1] < 0.4 * slides[0]


def test_the_derivative_of_planted_feet():
    rotations, root = moving(np.linspace(0, 1, 3))
    left, right = terms.Planted(MARKERS, UNKNOWNS).chains
    assert (left.marker.tolist(), right.marker.tolist()) == ([23, 25], [24, 26])
    for chain in (left, right):
        derivatives = chain.derivatives(pose(rotations, root))
        for column, unknown in enumerate(chain.columns):
            if unknown < 3:
                assert (derivatives[..., column] == np.eye(3)[unknown]).all()
                continue
            joint, axis = UNKNOWNS.moving[(unknown - 3) // 3], (unknown - 3) % 3
            sides = []
            for step in (1e-6, -1e-6):
                moved = rotations.copy()
                moved[:, joint] = moved[:, joint] @ from_axis_angle(step * np.eye(3)[axis])
                sides.append(pose(moved, root).markers_m[:, chain.marker])
            numeric = (sides[0] - sides[1]) / 2e-6
            assert np.abs(derivatives[..., column] - numeric).max() < 1e-6


def test_neighbours_are_tied_as_in_the_dense_equations():
    rng = np.random.default_rng(0)
    frames, n, columns = 4, 6, np.array([0, 1, 3, 4])
    system = BandedSystem.zeros(frames, n)
    rows, values = rng.normal(size=(frames, 9, 4)), rng.normal(size=(frames, 9))
    system.add_rows(np.arange(n), np.tile(np.eye(n), (frames, 1, 1)), np.zeros((frames, n)))
    system.add_rows(columns, rows, values)
    weights, moved = rng.uniform(1, 2, (frames - 1, 9)), rng.normal(size=(frames - 1, 9))
    system.add_steps(columns, rows, weights, moved)
    dense, right = np.eye(frames * n), np.zeros(frames * n)
    for t in range(frames):
        for r in range(9):
            row = np.zeros(frames * n)
            row[t * n + columns] = rows[t, r]
            dense += np.outer(row, row)
            right -= row * values[t, r]
            if t + 1 < frames:
                row = -row
                row[(t + 1) * n + columns] = rows[t + 1, r]
                dense += weights[t, r] * np.outer(row, row)
                right -= weights[t, r] * row * moved[t, r]
    assert np.allclose(system.solve(0).ravel(), np.linalg.solve(dense, right))


def test_arrays_that_do_not_belong_together_are_refused():
    times = np.arange(3) / 30
    posed = pose(*moving(times))
    rays, confidence = seen(posed)
    with pytest.raises(ValueError, match="rays must be"):
        Fitter(BODY).fit(rays[:2], confidence, times, lifted(posed.turned))
