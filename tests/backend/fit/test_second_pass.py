"""The second pass: what it does with the ground, and what loosens its smoothing: a limb that
strikes, not a landmark that flickers or is not seen."""

import numpy as np

from staf_backend.body import markers
from staf_backend.fit import Fitter, Ground, Looseness, looseness, terms
from tests.backend.fit.test_fitter import BETAS, BODY, UNKNOWNS, lifted, moving, pose

TIMES_S = np.arange(60) / 30
WRIST = markers.indices("left_wrist")[0]
ELBOW = UNKNOWNS.columns(UNKNOWNS.skeleton.index("left_elbow"))
KNEE = UNKNOWNS.columns(UNKNOWNS.skeleton.index("left_knee"))


def factors(path_m: np.ndarray, confidence: float = 1.0) -> np.ndarray:
    """(60, U) of somebody 4 m away whose left wrist moves so (60,) to the right."""
    rays = np.zeros((60, markers.COUNT, 2))
    rays[:, WRIST, 0] = path_m / 4
    sure = np.ones(rays.shape[:2])
    sure[20:40, WRIST] = confidence
    return looseness(rays, sure, np.full(60, 4.0), TIMES_S, UNKNOWNS).factors()


def test_a_punch_loosens_its_arm_alone():
    punch = 0.6 * np.exp(-(((TIMES_S - 1.0) / 0.1) ** 2))
    found = factors(punch)
    assert found[30, ELBOW].min() > 2
    assert found[0, ELBOW].max() < 0.5
    np.testing.assert_array_equal(found[:, KNEE], found[0, KNEE.start])


def test_a_landmark_that_flickers_loosens_little():
    flicker = np.where(np.arange(60) == 30, 0.15, 0.0)
    assert factors(flicker)[:, ELBOW].max() < 1.5


def test_what_is_not_seen_does_not_strike():
    noise = np.random.default_rng(0).normal(0, 0.3, 60)
    noise[:20] = noise[40:] = 0
    assert factors(noise)[:, ELBOW].max() > 2
    assert factors(noise, confidence=0.0)[:, ELBOW].max() < 0.5


def test_a_second_pass_stands_on_the_ground_it_is_told():
    """Somebody who stands is seen to bob and sway; heels and toes keep the height they are told."""
    times_s = np.arange(40) / 30
    rotations, root = moving(times_s)
    still = pose(rotations[:1].repeat(40, 0), root[:1].repeat(40, 0))
    floor = still.markers_m[:, terms.Planted.POINTS, 1]
    wrong = still.markers_m + np.array([0.0, 0.03, 0.2]) * np.sin(5 * times_s)[:, None, None]
    rays, confidence = wrong[..., :2] / wrong[..., 2:], np.ones(wrong.shape[:2])
    sure = np.ones((40, 4))
    calm = Looseness(np.ones((40, 1)), np.zeros(len(UNKNOWNS), int))
    ground = Ground(sure, sure, floor, floor, calm)
    fitter = Fitter(BODY)
    plain, told = (
        fitter.fit(rays, confidence, times_s, lifted(still.turned), BETAS, what).params
        for what in (None, ground)
    )
    off = lambda p: np.abs(
        pose(p.rotations, p.root_m).markers_m[:, terms.Planted.POINTS, 1] - floor
    ).max()
    assert off(plain) > 0.015
    assert off(told) < 0.5 * off(plain)


def test_what_swings_is_lifted_out_of_the_ground_along_the_view():
    """Feet that do not stand, 4 cm below a floor that a tilted camera looks down on, come out of it
    toward the camera: the picture stays."""
    times_s = np.arange(12) / 30
    rotations, root = moving(times_s)
    low_m = np.array([0.0, 1.5, 0.0])
    still = pose(rotations[:1].repeat(12, 0), root[:1].repeat(12, 0) + low_m)
    rays, confidence = (
        still.markers_m[..., :2] / still.markers_m[..., 2:],
        np.ones((12, markers.COUNT)),
    )
    feet = still.markers_m[:, terms.Planted.POINTS, 1]
    none, unknown = np.zeros((12, 4)), np.full((12, 4), np.nan)
    loose = Looseness(np.ones((12, 1)), np.zeros(len(UNKNOWNS), int))
    low = [
        Ground(none, none, unknown, lowest, loose) for lowest in (feet - 0.04, feet + 0.04, unknown)
    ]
    fitter = Fitter(BODY)
    under, above, nothing = (
        pose(found.rotations, found.root_m).markers_m
        for found in (
            fitter.fit(rays, confidence, times_s, lifted(still.turned), BETAS, ground).params
            for ground in low
        )
    )
    np.testing.assert_allclose(above, nothing, atol=1e-9)
    rise = (nothing - under)[:, terms.Planted.POINTS, 1]
    assert rise.min() > 0.02
    seen_mm = 1e3 * np.linalg.norm(under[..., :2] / under[..., 2:] - rays, axis=-1)
    assert np.median(seen_mm * under[..., 2]) < 10
