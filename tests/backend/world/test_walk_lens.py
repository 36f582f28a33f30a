"""A walk toward the camera tells the lens, and nothing else does."""

import dataclasses
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from staf_backend.assets import asset_path
from staf_backend.body.markers import markers_of
from staf_backend.estimators import Estimate, EstimatorSettings, Evidence, Shot
from staf_backend.fit import Fitter
from staf_backend.geometry import (
    SMPL,
    TO_Y_UP,
    Camera,
    FocalSource,
    assumed_focal_px,
    forward_kinematics,
)
from staf_backend.landmarks import Lifter
from staf_backend.people import Track
from staf_backend.runtime import open_network
from staf_backend.world import corrected_lens
from staf_backend.world.movement import Movement
from tests.support.walker import BODY, STEP_S, walker

SIZE = 1280, 720
TRUE_PX = 0.65 * float(np.hypot(*SIZE))
"""A phone's main camera."""
SETTINGS = EstimatorSettings(threads=1)


def shot(focal_px: float | None = None, kind: str = "still") -> Shot:
    video = SimpleNamespace(path=Path("walk.mp4"), fps=30.0)
    assumed = focal_px is None
    source: FocalSource = "assumed" if assumed else "given"
    camera = Camera(
        focal_px or assumed_focal_px(*SIZE), *SIZE, focal_assumed=assumed, focal_source=source
    )
    watch: Any = SimpleNamespace(kind=lambda _: kind)
    return Shot(video, range(1), camera, watch)  # type: ignore[arg-type]  # all that is asked of it


def estimate(movement: Movement, camera: Camera) -> Estimate:
    """As the landmark estimator makes it, from exact landmarks under the true lens."""
    shared, rest = markers_of(BODY), BODY.rest_joints_m(np.zeros(10))
    turned, joints = forward_kinematics(movement.rotations, rest, movement.root_m, BODY.skeleton)
    seen = shared.blend(shared.influences_m(turned, joints, np.zeros(10))) @ TO_Y_UP.T
    points = seen[..., :2] / seen[..., 2:] * TRUE_PX + camera.principal_point_px
    rays = camera.rays(points).astype(np.float32)
    world_m = (seen - seen.mean(1, keepdims=True)).astype(np.float32)
    visibility, frames = np.ones(rays.shape[:2], np.float32), len(movement)
    lifter = Lifter(open_network(asset_path("lift.onnx"), threads=1))
    lifted = lifter.lift(rays, world_m, visibility, movement.times_s)
    fitted = Fitter(BODY).fit(rays, visibility, movement.times_s, lifted)
    track = Track(
        1,
        1,
        np.arange(frames, dtype=np.int64),
        movement.times_s,
        np.ones((frames, 3)),
        np.zeros((frames, 17, 3)),
        np.ones(frames, bool),
    )
    keypoints = np.tile([400.0, 400.0, 1.0], (frames, 24, 1))
    evidence = Evidence(rays, world_m, visibility, lifted, lifter)
    return Estimate(track, fitted.params, keypoints, SMPL.names, {}, "landmarks", evidence)


@pytest.fixture(scope="module")
def toward() -> Estimate:
    """Eight steps toward a phone, which is taken for a longer lens."""
    return estimate(walker(8, (0.0, 1.0))[0], shot().camera)


def travel_m(made: Estimate) -> float:
    return float(np.linalg.norm(made.params.root_m[-1] - made.params.root_m[0]))


def test_a_walk_toward_the_camera_tells_the_lens(toward: Estimate):
    before, walked = shot(), np.ptp(walker(8, (0.0, 1.0))[0].root_m[:, 2])
    after, (made,) = corrected_lens(before, [toward], BODY, SETTINGS)
    assert after.camera.focal_source == "walk"
    assert after.camera.focal_assumed
    assert abs(after.camera.focal_px / TRUE_PX - 1) < 0.8 * (before.camera.focal_px / TRUE_PX - 1)
    assert abs(travel_m(made) - walked) < 0.8 * abs(travel_m(toward) - walked)
    assert made.evidence is not None
    assert toward.evidence is not None
    longer = after.camera.focal_px / before.camera.focal_px
    np.testing.assert_allclose(made.evidence.rays * longer, toward.evidence.rays, rtol=1e-5)


@pytest.mark.parametrize("kind", ["rotating", "moving", "unsure"])
def test_a_camera_that_moves_tells_nothing(toward: Estimate, kind: str):
    before = shot(kind=kind)
    after, made = corrected_lens(before, [toward], BODY, SETTINGS)
    assert after is before
    assert made == [toward]


def test_a_known_lens_stays(toward: Estimate):
    before = shot(700.0)
    after, made = corrected_lens(before, [toward], BODY, SETTINGS)
    assert after is before
    assert made == [toward]


def test_what_cannot_be_made_again_stays(toward: Estimate):
    plain = dataclasses.replace(toward, evidence=None)
    after, made = corrected_lens(shot(), [toward, plain], BODY, SETTINGS)
    assert after.camera.focal_source == "assumed"
    assert made == [toward, plain]


def moved(made: Estimate, root_m: np.ndarray) -> Estimate:
    return dataclasses.replace(made, params=dataclasses.replace(made.params, root_m=root_m))


def test_who_walks_past_stands_or_runs_tells_nothing(toward: Estimate):
    root_m, times_s = toward.params.root_m, toward.track.times_s
    past = root_m.mean(0) + np.outer(times_s - times_s.mean(), [1.2, 0, 0])
    still = np.tile(root_m.mean(0), (len(root_m), 1))
    zigzag = root_m + np.outer(np.sin(2 * np.pi * times_s / STEP_S), [0.5, 0, 0])
    for other in (past, still, zigzag):
        after, _ = corrected_lens(shot(), [moved(toward, other)], BODY, SETTINGS)
        assert after.camera.focal_source == "assumed"
    rows = slice(0, 40)
    track = dataclasses.replace(
        toward.track,
        **{
            f.name: getattr(toward.track, f.name)[rows]
            for f in dataclasses.fields(toward.track)
            if isinstance(getattr(toward.track, f.name), np.ndarray)
        },
    )
    params = dataclasses.replace(
        toward.params, rotations=toward.params.rotations[rows], root_m=root_m[rows]
    )
    short = dataclasses.replace(
        toward, track=track, params=params, keypoints_px=toward.keypoints_px[rows]
    )
    after, _ = corrected_lens(shot(), [short], BODY, SETTINGS)
    assert after.camera.focal_source == "assumed", "a second and a half is no walk"
