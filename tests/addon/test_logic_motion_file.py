"""Two halves of one format: the backend writes, the add-on reads, and neither knows the other."""

import contextlib

import numpy as np
import pytest

from addon.scene.body_file import OPEN_BODIES, BodyFileError, open_body_path, read_body
from addon.scene.motion_file import MotionFileError, read_motion
from staf_backend.geometry import Camera
from staf_backend.motion import save_motion
from tests.addon.known_motions import known_motion, rewrite, write
from tests.support.hostile_motions import hostile
from tests.support.sample_motions import with_all


def test_reads_what_the_backend_writes(tmp_path):
    names = ("nose", "left_wrist")
    camera = Camera(
        *(900.0, 360, 640),
        focal_assumed=True,
        principal_point_px=np.array([170.0, 330.0]),
        rotation_wxyz=np.array([0.6, 0.8, 0, 0]),
        position_m=np.array([0.1, 1.5, 0.2]),
        rotation_deg=90,
    )
    changes = {
        "camera": camera,
        "observed": np.arange(12) % 3 > 0,
        "keypoints_px": np.random.default_rng(0).uniform(0, 300, (12, 2, 3)),
        "keypoint_names": names,
        "quality": {"coverage": 0.9},
        "person": 3,
        "name": "Läufer 3",
    }
    motion = known_motion(12, **changes)
    clip = read_motion(write(tmp_path / "a.npz", 12, **changes))
    for field in ("times_s", "frames", "rotations_wxyz", "root_m", "observed", "betas"):
        assert np.array_equal(getattr(clip, field), getattr(motion, field)), field
    for field in ("rest_joints_m", "keypoints_px"):
        assert np.array_equal(getattr(clip, field), getattr(motion, field)), field
    for field in ("name", "person", "source", "source_fps", "body", "gender", "estimator"):
        assert getattr(clip, field) == getattr(motion, field), field
    assert clip.joint_names == motion.skeleton.names
    assert clip.parents == motion.skeleton.parents
    assert clip.keypoint_names == names
    assert dict(clip.quality) == {"coverage": 0.9}
    for field in ("focal_px", "width_px", "height_px", "focal_assumed", "rotation_deg"):
        assert getattr(clip.camera, field) == getattr(camera, field), field
    for field in ("principal_point_px", "rotation_wxyz", "position_m"):
        assert np.array_equal(getattr(clip.camera, field), getattr(camera, field)), field


def test_reads_the_cameras_path_and_the_card(tmp_path):
    motion = with_all()
    save_motion(tmp_path / "a.npz", motion)
    clip = read_motion(tmp_path / "a.npz")
    assert motion.camera_path is not None
    assert clip.camera.motion == "moving"
    assert motion.hand_seen is not None
    np.testing.assert_array_equal(clip.hand_seen, motion.hand_seen)
    assert clip.camera.rotations_wxyz is not None
    assert clip.camera.positions_m is not None
    assert np.array_equal(clip.camera.rotations_wxyz, motion.camera_path.rotations_wxyz)
    assert np.array_equal(clip.camera.positions_m, motion.camera_path.positions_m)
    assert clip.card == motion.card
    turns, places = np.tile([1.0, 0, 0, 0], (39, 1)), np.zeros((39, 3))
    short = {"camera_rotations_wxyz": turns, "camera_positions_m": places}
    path = rewrite(tmp_path / "a.npz", **short)
    with pytest.raises(MotionFileError, match="camera_rotations_wxyz must hold 40 keys, not 39"):
        read_motion(path)


def test_reads_format_1(tmp_path):
    clip = read_motion(rewrite(write(tmp_path / "a.npz", 6), format=np.int64(1)))
    assert clip.camera.motion == "still"
    assert clip.camera.rotations_wxyz is None
    assert clip.card == {}


@pytest.mark.parametrize(
    ("members", "words"),
    [
        ({"times_s": np.zeros(6)}, "times_s must increase"),
        ({"header": "[" * 100_000}, "not a sound motion"),
        ({"times_s": np.arange(5.0)}, "frames must have shape"),
        ({"rotations_wxyz": np.ones((6, 24, 4))}, "unit quaternions"),
        ({"observed": np.ones(6)}, "observed must not be of type float64"),
        ({"hand_seen": np.ones((6, 3), bool)}, "hand_seen must have shape"),
        ({"hand_seen": np.ones((6, 2))}, "hand_seen must not be of type float64"),
        ({"frames": np.linspace(0, 1, 6)}, "frames must not be of type"),
        ({"parents": np.zeros(24, int)}, "parents must start with -1"),
        ({"parents": np.array([-1, 0])}, "parents must hold 24"),
        ({"joint_names": np.array(["a"] * 24)}, "joint_names must differ"),
        ({"header": "{"}, "not a sound motion"),
        ({"header": "[]"}, "not a sound motion"),
        ({"kind": "other"}, "not a STAF motion"),
        ({"format": np.int64(0)}, "impossible format"),
        ({"betas": None}, "lacks 'betas'"),
        ({"root_m": np.full((6, 3), np.inf)}, "root_m must be finite"),
        ({"joint_names": np.array([], str)}, "joint_names must hold 1 to"),
    ],
)
def test_rubbish_is_named(tmp_path, members, words):
    path = rewrite(write(tmp_path / "a.npz", 6), **members)
    with pytest.raises(MotionFileError, match=words) as caught:
        read_motion(path)
    assert caught.value.advice or "type" in words or "impossible" in words


@pytest.mark.parametrize("text", ["../up", "/abs", "a/b", "a\0b", "\x1b[2J", "n" * 300, ".."])
@pytest.mark.parametrize("field", ["source", "body", "name"])
def test_names_inside_never_become_paths(tmp_path, field, text):
    path = hostile(tmp_path / "a.npz", header={field: text})
    with pytest.raises(MotionFileError, match=f"{field} must be (a|the) plain name"):
        read_motion(path)


@pytest.mark.parametrize("body", ["--help", "a b", ".hidden", "x" * 300])
def test_a_body_is_a_word_and_no_option(tmp_path, body):
    path = hostile(tmp_path / "a.npz", header={"body": body})
    with pytest.raises(MotionFileError, match="plain name of a body"):
        read_motion(path)


@pytest.mark.parametrize("source", ["", "12:30.mp4", "Läufer im Wald.mov"])
def test_odd_names_of_videos_are_names(tmp_path, source):
    assert read_motion(write(tmp_path / "a.npz", 6, source=source)).source == source


def test_every_truncation_is_told_as_damage(tmp_path):
    path = write(tmp_path / "a.npz", 6)
    data = path.read_bytes()
    for length in range(0, len(data) - 1, len(data) // 40):
        path.write_bytes(data[:length])
        with pytest.raises(MotionFileError):
            read_motion(path)


def test_flipped_bytes_never_escape_as_another_error(tmp_path):
    path = write(tmp_path / "a.npz", 6)
    data = path.read_bytes()
    rng = np.random.default_rng(1)
    for _ in range(150):
        spoilt = bytearray(data)
        for place in rng.integers(0, len(data), 5):
            spoilt[place] = rng.integers(0, 256)
        path.write_bytes(bytes(spoilt))
        with contextlib.suppress(MotionFileError):
            read_motion(path)


def test_what_is_read_cannot_be_changed(tmp_path):
    clip = read_motion(write(tmp_path / "a.npz", 6))
    with pytest.raises(ValueError, match="read-only"):
        clip.root_m[0] = 0


@pytest.mark.parametrize("name", OPEN_BODIES)
def test_open_bodies_are_the_backends(name):
    from staf_backend.body import load_body

    ours, theirs = read_body(open_body_path(name), name), load_body(name)
    betas = np.linspace(-2, 2, 10)
    np.testing.assert_allclose(
        ours.rest_vertices_m(betas), theirs.rest_vertices_m(betas), atol=2e-5
    )
    np.testing.assert_allclose(ours.rest_joints_m(betas), theirs.rest_joints_m(betas), atol=1e-6)
    assert np.array_equal(ours.faces, theirs.faces)
    assert np.array_equal(ours.skin_joints, theirs.skin_joints)
    np.testing.assert_allclose(ours.skin_weights, theirs.skin_weights, atol=1e-6)
    assert ours.joint_names == theirs.skeleton.names


def test_a_body_that_the_backend_exports_can_be_read(tmp_path):
    from staf_backend.commands import export_body
    from staf_backend.reporting import JsonLines

    path = tmp_path / "body.npz"
    with (tmp_path / "said").open("w") as stream:
        export_body("open-male", path, JsonLines("body", stream))
    body = read_body(path, "open-male")
    expected = read_body(open_body_path("open-male"), "open-male")
    betas = np.linspace(-1, 1, 10)
    np.testing.assert_allclose(
        body.rest_vertices_m(betas), expected.rest_vertices_m(betas), atol=2e-5
    )


def test_bad_body_files(tmp_path):
    with pytest.raises(BodyFileError, match="is not at"):
        read_body(tmp_path / "no.npz", "x")
    (tmp_path / "text.npz").write_text("hello")
    with pytest.raises(BodyFileError, match="not a body file"):
        read_body(tmp_path / "text.npz", "x")
    path = tmp_path / "bad.npz"
    path.write_bytes(open_body_path("open-male").read_bytes())
    rewrite(path, skin_joints=np.full((12868, 4), 99))
    with pytest.raises(BodyFileError, match="joints that do not exist"):
        read_body(path, "x")
    rewrite(path, skin_weights=None)
    with pytest.raises(BodyFileError, match="skin_weights"):
        read_body(path, "x")
    np.savez_compressed(path, template_m=np.zeros(70_000_000))
    with pytest.raises(BodyFileError, match="unpacks to far more"):
        read_body(path, "x")
    np.savez(path, template_m=np.array({}, dtype=object))
    with pytest.raises(BodyFileError, match="not a body file"):
        read_body(path, "x")


def test_a_body_of_other_proportions_is_refused(tmp_path):
    clip = read_motion(write(tmp_path / "a.npz", 3))
    read_body(open_body_path("open-neutral"), "open-neutral").check_fits(clip)
    with pytest.raises(BodyFileError, match="does not fit"):
        read_body(open_body_path("open-male"), "open-male").check_fits(clip)
