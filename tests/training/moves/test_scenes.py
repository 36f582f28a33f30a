"""Scenes before cameras: landmarks, features, mirrored ones, world points."""

import numpy as np
import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("tensorboard")
from staf_backend.body import markers  # noqa: E402
from staf_backend.landmarks import features as lift_features  # noqa: E402
from staf_backend.landmarks.windows import MIRROR_X, WINDOW  # noqa: E402
from tests.support.make_mocap import SILENT  # noqa: E402
from training.moves import NONE, Cameras, Variety, mocap, place, vary  # noqa: E402
from training.simulated import landmark_noise  # noqa: E402
from training.simulated.landmark_noise import MEASURED, Noise  # noqa: E402


def test_scenes_are_people_in_front_of_cameras(scenes):
    assert (scenes.pelvis_m[..., 2] >= 0.999).all()
    gram = scenes.rotations.swapaxes(-1, -2) @ scenes.rotations
    assert np.allclose(gram, np.eye(3), atol=1e-4)
    assert np.allclose(np.linalg.norm(scenes.up, axis=-1), 1, atol=1e-5)
    assert (scenes.up[:, 1] < 0).mean() > 0.9
    bones = np.linalg.norm(np.diff(scenes.joints_m[:, :, [1, 4, 7]], axis=2), axis=-1)
    assert np.ptp(bones, axis=1).max() < 1e-5


def test_standing_feet_stay_where_they_stand(clips, figure):
    """Even when the moves were changed and the body is another: the pelvis follows the feet."""
    rng = np.random.default_rng(2)
    sampler = mocap.Sampler(clips)
    variety = Variety(upper_swap=0, arm_swap=0, crouch=1, free_leg=0, tilt=0)
    moves = vary(sampler.draw(16, rng, speeds=(1, 1)), sampler, variety, rng)
    scenes = place(moves, figure, Cameras(still=0, shaken=0), rng)
    toes = scenes.markers_m[:, :, markers.indices("foot_index")] + scenes.pelvis_m[:, :, None]
    speed = np.linalg.norm(np.diff(toes, axis=1), axis=-1) * 30
    contact = scenes.contact[..., [1, 3]]
    both = contact[:, 1:] & contact[:, :-1]
    alone = both & ~(contact[:, 1:, ::-1] & contact[:, :-1, ::-1])
    assert speed[alone].mean() < 0.12
    assert speed[~contact[:, 1:] & ~contact[:, :-1]].mean() > 0.3


def test_without_errors_landmarks_are_the_markers(scenes):
    windows = landmark_noise.observe(scenes, SILENT, 0.0, np.random.default_rng(0))
    placed = scenes.markers_m + scenes.pelvis_m[:, :, None]
    offset = (windows.rays - placed[..., :2] / placed[..., 2:]) * placed[..., 2:]
    assert np.linalg.norm(offset, axis=-1).mean() < 0.025  # the definition of a landmark
    assert windows.observed.all()


def test_errors_have_the_size_they_were_measured_to_have(clips, figure):
    rng = np.random.default_rng(1)
    sampler = mocap.Sampler(clips)
    scenes = place(vary(sampler.draw(64, rng), sampler, NONE, rng), figure, Cameras(), rng)
    windows = landmark_noise.observe(scenes, MEASURED, 0.1, rng)
    which = markers.indices("shoulder", "elbow", "wrist", "knee", "ankle")
    hips = scenes.markers_m[:, :, markers.indices("hip")].mean(2, keepdims=True)
    error = (windows.world_m - (scenes.markers_m - hips))[:, :, which]
    depth, side = np.abs(error[..., 2]).mean(), np.abs(error[..., :2]).mean()
    assert 0.05 < depth < 0.14
    assert 0.01 < side < 0.05


def test_cropped_people_lose_visibility_at_the_edge(scenes):
    noise = Noise(cropped=1.0, gaps=0)
    windows = landmark_noise.observe(scenes, noise, 0.0, np.random.default_rng(0))
    feet = windows.visibility[:, :, markers.indices("ankle")].mean()
    assert feet < windows.visibility[:, :, markers.indices("shoulder")].mean() - 0.2


def test_features_do_not_depend_on_where_the_person_is(scenes):
    """Size, place and focal length are taken out: only perspective remains."""
    windows = landmark_noise.observe(scenes, SILENT, 0.0, np.random.default_rng(0))
    turn = lift_features.rotations_to_person(windows)
    everyone = np.ones(len(turn), bool)
    features = lift_features.features(windows, turn, everyone)
    assert features.shape == (24, WINDOW, lift_features.FEATURES)
    image = features[..., : 2 * markers.COUNT]
    assert 0.4 < np.sqrt((image**2).mean()) < 1.2
    no_world = lift_features.features(windows, turn, ~everyone)
    assert (no_world[..., 2 * markers.COUNT : 5 * markers.COUNT] == 0).all()


def test_mirrored_windows_have_mirrored_features(scenes):
    windows = landmark_noise.observe(scenes, Noise(), 0.1, np.random.default_rng(0))
    mirrored = windows.mirrored()
    turn = lift_features.rotations_to_person(windows)
    turned = lift_features.rotations_to_person(mirrored)
    assert np.allclose(turned, turn * (MIRROR_X[:, None] * MIRROR_X), atol=1e-5)
    world = np.ones(len(turn), bool)
    one = lift_features.features(windows, turn, world)
    other = lift_features.features(mirrored, turned, world)
    image = other[..., : 2 * markers.COUNT].reshape(24, WINDOW, markers.COUNT, 2)
    expected = one[..., : 2 * markers.COUNT].reshape(image.shape)[:, :, markers.MIRROR]
    assert np.allclose(image, expected * MIRROR_X[:2], atol=1e-4)


def test_world_points_are_in_the_axes_of_a_crop(scenes):
    """As a camera that looks straight at the person has them."""
    windows = landmark_noise.observe(scenes, SILENT, 0.0, np.random.default_rng(0))
    cropped = landmark_noise.as_cropped(windows)
    turn = lift_features.rotations_to_person(windows)
    pelvis = (turn @ scenes.pelvis_m.mean(1)[..., None])[..., 0]
    assert np.quantile(np.abs(pelvis[:, :2]) / pelvis[:, 2:], 0.9) < 0.1
    assert np.allclose(cropped.world_m @ turn[:, None], windows.world_m, atol=1e-5)
    moved = np.linalg.norm(cropped.world_m - windows.world_m, axis=-1).max((1, 2))
    off_axis = (
        np.linalg.norm(scenes.pelvis_m.mean(1)[:, :2], axis=-1) / scenes.pelvis_m.mean(1)[:, 2]
    )
    assert np.corrcoef(moved, off_axis)[0, 1] > 0.7
