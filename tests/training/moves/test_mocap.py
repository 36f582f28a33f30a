"""Motion capture as clips: what is read, refused, held out, and which foot stands."""

import numpy as np
import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("tensorboard")
from staf_backend.body import markers  # noqa: E402
from tests.support.make_mocap import save, steps  # noqa: E402
from training.lifting import train_windows  # noqa: E402
from training.moves import Cameras, Variety, mocap, place, vary  # noqa: E402


def test_the_standing_foot_is_found_and_the_lifted_one_is_not(clips):
    poses = clips[0].rotations
    bent = np.arccos(np.clip((np.trace(poses[:, [4, 5]], axis1=-2, axis2=-1) - 1) / 2, -1, 1))
    contact = clips[0].contact[3:-3]
    assert contact[:, [1, 3]][bent[3:-3] > 0.8].mean() == 0
    assert contact[:, [1, 3]][bent[3:-3] < 0.05].mean() > 0.8


def test_held_out_subjects_are_not_trained_on(clips):
    kept, held = mocap.split(clips, ("02",))
    assert {clip.subject for clip in kept} == {"01"}
    assert {clip.subject for clip in held} == {"02"}
    with pytest.raises(mocap.MocapError, match="empty"):
        mocap.split(clips, ("99",))


@pytest.mark.parametrize("content", [b"", b"not a zip", b"PK\x03\x04 torn", None])
def test_bad_motion_files_are_named(tmp_path, figure, content):
    path = tmp_path / "motion.npz"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(mocap.MocapError, match=r"motion\.npz"):
        train_windows.open_clips([path], figure)


def test_motion_files_without_translation_or_with_objects_are_refused(tmp_path, figure):
    path = tmp_path / "motion.npz"
    save(path, {"a_1/poses": np.zeros((90, 72))})
    with pytest.raises(mocap.MocapError, match="trans_m"):
        train_windows.open_clips([path], figure)
    save(path, {"a_1/poses": np.array([{}], object)})
    with pytest.raises(mocap.MocapError, match="pickle"):
        train_windows.open_clips([path], figure)
    save(path, {"a_1/poses": np.zeros((9, 72)), "a_1/trans_m": np.zeros((9, 3))})
    with pytest.raises(mocap.MocapError, match="no clip of 40"):
        train_windows.open_clips([path], figure)


def test_feet_that_slide_do_not_stand(clips, figure):
    """Two feet that both stood in the capture and now move apart: what is left is slow."""
    rng = np.random.default_rng(4)
    sampler = mocap.Sampler(clips)
    moves = vary(sampler.draw(64, rng), sampler, Variety(free_leg=0, tilt=0, crouch=1), rng)
    scenes = place(moves, figure, Cameras(still=0, shaken=0), rng)
    placed = scenes.markers_m + scenes.pelvis_m[:, :, None]
    steps_m = np.diff(placed[:, :, markers.indices(*mocap.FEET)], axis=1)
    speed = np.linalg.norm(steps_m, axis=-1) * 30
    slower = np.minimum(speed[:, 1:], speed[:, :-1])
    stands, stood = scenes.contact[:, 1:-1], moves.contact[:, 1:-1]
    assert not (stands & ~stood).any()
    assert slower[stands].max() < 0.17
    assert slower[stood & ~stands].min() > 0.13
    assert 0.3 < stands.sum() / stood.sum() < 0.99


def test_several_files_are_one_motion(motion, tmp_path, figure):
    poses, trans_m = steps(60, 2.0)
    other = tmp_path / "more.npz"
    save(other, {"09_01/poses": poses, "09_01/trans_m": trans_m})
    names = [clip.name for clip in train_windows.open_clips([motion, other], figure)]
    assert names == ["01_01", "01_02", "02_01", "09_01"]
