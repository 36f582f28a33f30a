"""Dense maps: the camera behind key points, the maps, and the head that reads them."""

import numpy as np
import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("tensorboard")
from staf_backend.export.raster import nearest_faces  # noqa: E402
from staf_backend.staf.body import SmplBody, project  # noqa: E402
from tests.support import make_stages as made  # noqa: E402
from training.model import DenseConfig, dense  # noqa: E402
from training.run import networks  # noqa: E402
from training.targets import Targets  # noqa: E402


def test_the_camera_behind_keypoints_is_found():
    targets = made.tensors(made.people(3, 5))
    points = made.joints_of(
        made.StageParams(torch.zeros(3, 144), targets.betas, torch.zeros(3, 3), targets.rotations)
    )
    camera, placed = dense.fit_camera(points, targets.keypoints)
    assert placed.all()
    torch.testing.assert_close(
        project(points, camera), targets.keypoints[..., :2], rtol=0, atol=1e-4
    )
    few = targets.keypoints.clone()
    few[:, 5:, 2] = 0
    assert not dense.fit_camera(points, few)[1].any()
    same = torch.zeros_like(few) + torch.tensor([0.1, 0.2, 1.0])
    assert not dense.fit_camera(torch.zeros_like(points), same)[1].any()


@pytest.mark.parametrize("zoom", [1.0, 2.0])
def test_dense_maps_are_what_a_rasteriser_draws(zoom):
    """No holes, an outline that is little wider, and the same parts."""
    tables = networks.body_tables("open-neutral")
    targets = made.tensors(made.people(1, 3))
    targets.keypoints[..., :2] *= zoom
    maps = dense.DenseTargets(tables)(targets)
    points = SmplBody(tables)(targets.betas, targets.rotations)
    joints = made.joints_of(
        made.StageParams(torch.zeros(1, 144), targets.betas, torch.zeros(1, 3), targets.rotations)
    )
    camera, _ = dense.fit_camera(joints, targets.keypoints)
    pixels = (project(points.vertices_m, camera)[0].numpy() + 1) * 28
    faces = nearest_faces(pixels, points.vertices_m[0, :, 2].numpy() + 40, tables.faces, (56, 56))
    parts = tables.skin_weights.argmax(1)[tables.faces[:, 0]] + 1
    drawn = np.where(faces >= 0, parts[faces], 0)
    ours = maps.parts[0].numpy()
    both = (drawn > 0) & (ours > 0)
    assert both.sum() > 250
    assert ((drawn > 0) & (ours == 0)).sum() <= 0.01 * both.sum()
    assert ((drawn == 0) & (ours > 0)).sum() < 0.2 * both.sum()
    assert (drawn[both] == ours[both]).mean() > 0.9
    assert ((maps.regions[0].numpy() > 0) == (ours > 0)).all()
    assert maps.coordinates.min() >= 0
    assert maps.coordinates.max() <= 1


def test_left_and_right_of_a_dense_map_are_the_persons():
    """Somebody who faces the camera has the left arm at the picture's right."""
    tables = networks.body_tables("open-neutral")
    targets = made.tensors(made.people(1, 3))
    regions = dense.DenseTargets(tables)(targets).regions[0].numpy()
    left_leg, right_leg = (np.isin(regions, pair) for pair in ((8, 10), (9, 11)))
    assert np.nonzero(left_leg)[1].mean() > np.nonzero(right_leg)[1].mean()
    head, feet = regions == 14, np.isin(regions, (4, 5))
    assert np.nonzero(head)[0].mean() < np.nonzero(feet)[0].mean()


def test_people_without_mesh_labels_do_not_move_the_dense_head():
    head = dense.DenseHead(16, networks.body_tables("open-neutral"), DenseConfig())
    maps = torch.rand(2, 16, 56, 56)
    known = made.tensors(Targets(*map(np.concatenate, zip(made.people(1, 0), made.people(1, 1)))))
    half = known._replace(has_pose=torch.tensor([1.0, 0.0]))
    first = known.map(lambda field: field[:1])
    for name, term in head(maps, half).items():
        torch.testing.assert_close(term, head(maps[:1], first)[name])
    none = head(maps, known._replace(has_betas=torch.zeros(2)))
    assert all(term.item() == 0 for term in none.values())
