"""GLB files read back by readers that share nothing with the writer."""

import dataclasses
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from staf_backend.body import OPEN_BODIES, load_body
from staf_backend.choices import BoneScheme
from staf_backend.export.bone_names import BONE_NAMES
from staf_backend.export.gltf import write_glb
from staf_backend.export.mesh import body_mesh, proxy_mesh
from staf_backend.files import OutputError
from staf_backend.geometry import SMPL, Skeleton, from_quaternions
from staf_backend.motion import Motion, MotionError, joints_m
from tests.support.glb_reader import Glb, read_glb
from tests.support.make_body_files import model_arrays, write_npz
from tests.support.node_checks import run_node
from tests.support.sample_motions import raised_left_arm, sample_motion, swaying

BODIES = {name: load_body(name) for name in OPEN_BODIES}
SECOND = sample_motion(swaying(25, seed=5), body="open-male", person=2, name="arc")
WAYS: dict[str, tuple[list[Motion], dict[str, Any]]] = {
    "one": ([sample_motion()], {}),
    "pelvis": ([sample_motion()], {"root_motion": "pelvis", "bone_names": "smplx"}),
    "in-place": ([sample_motion()], {"root_motion": "in-place", "bone_names": "mixamo"}),
    "proxy": ([sample_motion()], {"mesh": False, "bone_names": "vrm"}),
    "two clips": ([sample_motion(), sample_motion(swaying(9), name="b")], {}),
    "together": ([sample_motion(), SECOND], {"bone_names": "unreal"}),
    "one key": ([sample_motion(swaying(1))], {}),
}


def written(folder: Path, way: str) -> Path:
    motions, options = WAYS[way]
    write_glb(folder / f"{way}.glb", motions, BODIES, **options)
    return folder / f"{way}.glb"


@pytest.fixture
def one(tmp_path: Path) -> Glb:
    return read_glb(written(tmp_path, "one"))


def pelvis_shift(motion: Motion, root_motion: str) -> np.ndarray:
    """(T, 3) what a kind of root motion takes off the joints' places."""
    if root_motion != "in-place":
        return np.zeros((len(motion.times_s), 3))
    return (motion.root_m - motion.rest_joints_m[0]) * [1, 0, 1]


@pytest.mark.parametrize("way", WAYS)
def test_joints_equal_forward_kinematics_on_every_key(way: str, tmp_path: Path):
    glb = read_glb(written(tmp_path, way))
    motions, options = WAYS[way]
    people = list(dict.fromkeys(motion.person for motion in motions))
    for motion in motions:
        shift = pelvis_shift(motion, options.get("root_motion", "root"))
        expected = joints_m(motion) - shift[:, None]
        person = people.index(motion.person)
        for key in range(len(motion.times_s)):
            joints = glb.joints_m(person, motion.name, key)[1:]
            np.testing.assert_allclose(joints, expected[key], atol=1e-5)


@pytest.mark.parametrize("way", WAYS)
def test_key_times_start_at_zero_and_keep_the_clock(way: str, tmp_path: Path):
    glb = read_glb(written(tmp_path, way))
    for motion in WAYS[way][0]:
        for times_s, values in glb.tracks(motion.name).values():
            assert times_s[0] == 0
            assert len(times_s) == len(values)
        lengths = {len(times_s) for times_s, _ in glb.tracks(motion.name).values()}
        assert len(motion.times_s) in lengths


def test_mesh_equals_linear_blend_skinning(one: Glb):
    motion, body = WAYS["one"][0][0], BODIES["open-neutral"]
    rotations = from_quaternions(motion.rotations_wxyz.astype(float))
    expected = body.vertices_m(rotations, motion.betas, motion.root_m)
    pairs = body.faces.astype(np.int64) * len(body.uvs) + body.uv_faces  # type: ignore[arg-type]
    vertices = np.unique(pairs) // len(body.uvs)  # type: ignore[arg-type]
    for key in (0, 17, 39):
        posed = one.vertices_m(0, "arc", key)
        np.testing.assert_allclose(posed, expected[key][vertices], atol=1e-4)


@pytest.mark.parametrize("kind", ["smpl", "smplx"])
def test_a_users_body_is_written_too(kind: str, tmp_path: Path):
    """No texture, pose blend shapes that glTF cannot carry, more than 24 joints."""
    body = load_body(write_npz(tmp_path / "SMPL_MALE.npz", model_arrays(kind)))
    betas = np.linspace(-1, 1, 10)
    rest_m = body.rest_joints_m(betas)
    motion = sample_motion(swaying(3), body=body.name, betas=betas, rest_joints_m=rest_m)
    write_glb(tmp_path / "m.glb", [motion], {body.name: body})
    bare = dataclasses.replace(body, pose_directions=None)
    rotations = from_quaternions(motion.rotations_wxyz.astype(float))
    expected = bare.vertices_m(rotations, betas, motion.root_m)
    posed = read_glb(tmp_path / "m.glb").vertices_m(0, "arc", 2)
    np.testing.assert_allclose(posed, expected[2], atol=1e-4)
    issues = run_node("validate.mjs", str(tmp_path / "m.glb"))[str(tmp_path / "m.glb")]
    assert (issues["numErrors"], issues["numWarnings"]) == (0, 0), issues


def test_every_triangle_is_where_the_bodys_is(one: Glb):
    body = BODIES["open-neutral"]
    corners = one.attribute("POSITION")[one.array(one.primitive()["indices"])]
    rest_m = body.rest_vertices_m(WAYS["one"][0][0].betas)
    lifted = rest_m - [0, rest_m[:, 1].min(), 0]
    np.testing.assert_allclose(corners, lifted[body.faces.ravel()], atol=1e-6)


def test_rest_pose_stands_on_the_ground_facing_z(one: Glb):
    rest = one.vertices_m()
    assert abs(rest[:, 1].min()) < 1e-6
    assert 1.5 < rest[:, 1].max() < 2
    names = [one.json["nodes"][n]["name"] for n in one.json["skins"][0]["joints"]]
    joints = dict(zip(names, one.joints_m(), strict=True))
    np.testing.assert_array_equal(joints["root"], 0)
    assert joints["L_Wrist"][0] > 0.5 > -0.5 > joints["R_Wrist"][0]
    assert joints["L_Foot"][2] > joints["L_Ankle"][2]


def test_the_raised_left_arm_is_the_left_one(tmp_path: Path):
    motion = sample_motion(raised_left_arm(), name="arm", betas=np.zeros(10))
    write_glb(tmp_path / "arm.glb", [motion], BODIES)
    glb = read_glb(tmp_path / "arm.glb")
    names = [glb.json["nodes"][n]["name"] for n in glb.json["skins"][0]["joints"]]
    joints = dict(zip(names, glb.joints_m(0, "arm", 1), strict=True))
    assert joints["L_Wrist"][1] > joints["Head"][1] > joints["R_Wrist"][1]
    assert joints["L_Wrist"][0] > joints["Pelvis"][0]


def test_normals_point_outwards_and_do_not_break_at_seams():
    mesh = body_mesh(BODIES["open-female"], np.zeros(10))
    a, b, c = (mesh.positions_m[mesh.triangles[:, k]] for k in range(3))
    flat = np.cross(b - a, c - a)
    assert (flat * a).sum() / 6 > 0.04  # the volume: positive when faces look outwards
    agree = (flat * mesh.normals[mesh.triangles[:, 0]]).sum(-1)
    assert (agree > 0).mean() > 0.98
    np.testing.assert_allclose(np.linalg.norm(mesh.normals, axis=1), 1, atol=1e-6)
    _, first, twins = np.unique(mesh.positions_m, axis=0, return_index=True, return_inverse=True)
    assert len(first) < len(mesh.positions_m)
    np.testing.assert_allclose(mesh.normals[first][twins.ravel()], mesh.normals, atol=2e-2)


def test_texture_coordinates_are_upright():
    body = BODIES["open-neutral"]
    mesh = body_mesh(body, np.zeros(10))
    assert mesh.uvs is not None
    corners = mesh.uvs[mesh.triangles.ravel()]
    assert body.uvs is not None
    assert body.uv_faces is not None
    expected = body.uvs[body.uv_faces.ravel()] * [1, -1] + [0, 1]
    np.testing.assert_allclose(corners, expected, atol=1e-6)


def test_weights_are_at_most_four_and_sum_to_one():
    mesh = body_mesh(BODIES["open-neutral"], np.zeros(10))
    assert (mesh.weights.astype(int).sum(1) == 65535).all()
    assert mesh.joints.min() == 0
    assert mesh.joints.max() == 24
    assert (mesh.joints[mesh.weights == 0] == 0).all()


def test_proxy_bones_are_closed_and_face_outwards():
    rest_m = BODIES["open-neutral"].joint_template_m
    mesh = proxy_mesh(rest_m, SMPL.parents)
    assert set(mesh.joints[:, 0]) == set(range(25))
    bones = mesh.positions_m.reshape(-1, 24, 3).astype(float)
    for bone, normals in zip(bones, mesh.normals.reshape(-1, 24, 3), strict=True):
        assert ((bone - bone.mean(0)) * normals).sum(-1).min() > 0


def test_quaternion_signs_are_continuous(tmp_path: Path):
    rotations = swaying(120, scale_rad=4.0)
    motion = sample_motion(rotations)
    write_glb(tmp_path / "m.glb", [motion], BODIES)
    for (_, path), (_, values) in read_glb(tmp_path / "m.glb").tracks("arc").items():
        if path == "rotation":
            assert ((values[1:] * values[:-1]).sum(-1) > 0).all()
            np.testing.assert_allclose(np.linalg.norm(values, axis=-1), 1, atol=1e-6)


@pytest.mark.parametrize(
    ("root_motion", "moved"), [("root", [0, 1]), ("pelvis", [1]), ("in-place", [1])]
)
def test_translation_is_keyed_where_it_should_be(
    root_motion: Any, moved: list[int], tmp_path: Path
):
    motion = sample_motion()
    write_glb(tmp_path / "m.glb", [motion], BODIES, root_motion=root_motion)
    glb = read_glb(tmp_path / "m.glb")
    joints = glb.json["skins"][0]["joints"]
    keyed = glb.tracks("arc")
    assert [joints.index(node) for node, path in keyed if path == "translation"] == moved
    assert {path for _, path in keyed} == {"translation", "rotation"}
    if root_motion == "root":
        assert (keyed[joints[0], "translation"][1][:, 1] == 0).all()
        pelvis = keyed[joints[1], "translation"][1]
        assert np.ptp(pelvis[:, [0, 2]], axis=0).max() == 0
        assert np.ptp(pelvis[:, 1]) > 0.05


def test_a_body_at_rest_has_no_translation_keys(tmp_path: Path):
    still = sample_motion(raised_left_arm(), name="still", betas=np.zeros(10))
    lift_m = -BODIES["open-neutral"].template_m[:, 1].min()
    place = np.tile(still.rest_joints_m[0] + [0, lift_m, 0], (2, 1))
    still = dataclasses.replace(still, root_m=place)
    write_glb(tmp_path / "m.glb", [still], BODIES)
    paths = {path for _, path in read_glb(tmp_path / "m.glb").tracks("still")}
    assert paths == {"rotation"}


@pytest.mark.parametrize("scheme", BONE_NAMES)
def test_bones_carry_the_chosen_names(scheme: BoneScheme, tmp_path: Path):
    write_glb(tmp_path / "m.glb", [sample_motion()], BODIES, bone_names=scheme)
    glb = read_glb(tmp_path / "m.glb")
    names = [glb.json["nodes"][n]["name"] for n in glb.json["skins"][0]["joints"]]
    assert names == ["root", *BONE_NAMES[scheme]]
    assert len(set(names)) == 25
    left = [
        name
        for name in names
        if "left" in name.lower() or name.startswith("L_") or name.endswith("_l")
    ]
    assert len(left) == 9


def test_clips_of_one_person_share_an_armature(tmp_path: Path):
    clips = [sample_motion(), sample_motion(swaying(9), name="b"), sample_motion(swaying(3))]
    write_glb(tmp_path / "m.glb", clips, BODIES)
    glb = read_glb(tmp_path / "m.glb")
    assert [a["name"] for a in glb.json["animations"]] == ["arc", "b", "arc-2"]
    assert len(glb.json["skins"]) == len(glb.json["meshes"]) == 1


def test_people_together_keep_their_timing_to_each_other(tmp_path: Path):
    late = dataclasses.replace(SECOND, times_s=SECOND.times_s + 1.25)
    write_glb(tmp_path / "m.glb", [sample_motion(), late], BODIES, look="clay")
    glb = read_glb(tmp_path / "m.glb")
    names = [glb.json["nodes"][n]["name"] for n in glb.json["scenes"][0]["nodes"]]
    assert names == ["person-1", "person-1-body", "person-2", "person-2-body"]
    (animation,) = glb.json["animations"]
    assert animation["extras"]["start_s"] == 2.5
    joints = [skin["joints"][1] for skin in glb.json["skins"]]
    starts = [glb.tracks("arc")[joint, "rotation"][0][0] for joint in joints]
    assert starts == [0, 1.25]
    colours = [m["pbrMetallicRoughness"]["baseColorFactor"] for m in glb.json["materials"]]
    assert colours[0] != colours[1]


def test_people_in_place_stay_apart(tmp_path: Path):
    other = dataclasses.replace(SECOND, root_m=SECOND.root_m + np.array([1.5, 0, 0.5]))
    write_glb(tmp_path / "m.glb", [sample_motion(), other], BODIES, root_motion="in-place")
    glb = read_glb(tmp_path / "m.glb")
    roots = [[glb.joints_m(person, "arc", key)[0] for key in (0, 20)] for person in (0, 1)]
    np.testing.assert_array_equal(roots[0], np.zeros((2, 3)))
    gap = other.root_m[0] - other.rest_joints_m[0]
    gap -= sample_motion().root_m[0] - sample_motion().rest_joints_m[0]
    np.testing.assert_allclose(roots[1], np.tile(gap * [1, 0, 1], (2, 1)), atol=1e-6)


def test_extras_say_where_it_comes_from(one: Glb):
    person = one.animation("arc")["extras"]["people"]["person-1"]
    assert person["estimator"] == "landmarks"
    assert person["source"] == "arc.mp4"
    assert person["body"] == "open-neutral"
    assert person["quality"] == {"coverage": 0.85}
    assert (person["focal_px"], person["focal_assumed"]) == (1200, True)
    np.testing.assert_allclose(one.json["meshes"][0]["extras"]["betas"], np.linspace(-1, 1, 10))


def test_equal_input_gives_equal_bytes(tmp_path: Path):
    first, second = tmp_path / "a", tmp_path / "b"
    for folder in (first, second):
        folder.mkdir()
        written(folder, "together")
    assert (first / "together.glb").read_bytes() == (second / "together.glb").read_bytes()


def test_what_cannot_be_written_is_refused(tmp_path: Path):
    motion = sample_motion()
    path = tmp_path / "m.glb"
    with pytest.raises(MotionError, match=r"rest joints are .* mm off"):
        write_glb(path, [dataclasses.replace(motion, betas=motion.betas + 1)], BODIES)
    stranger = dataclasses.replace(
        motion, skeleton=Skeleton(tuple(f"bone{k}" for k in range(24)), SMPL.parents)
    )
    with pytest.raises(MotionError, match="another skeleton"):
        write_glb(path, [stranger], BODIES)
    with pytest.raises(ValueError, match="bodies lacks 'open-neutral'"):
        write_glb(path, [motion], {})
    with pytest.raises(ValueError, match="at least one"):
        write_glb(path, [], BODIES)
    with pytest.raises(ValueError, match="bone_names must be one of smpl"):
        write_glb(path, [motion], BODIES, bone_names="maya")
    with pytest.raises(ValueError, match="root_motion must be one of"):
        write_glb(path, [motion], BODIES, root_motion="none")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="look must be one of textured, clay"):
        write_glb(path, [motion], BODIES, look="wood")  # type: ignore[arg-type]
    with pytest.raises(OutputError, match="it is a folder"):
        write_glb(tmp_path, [motion], BODIES)
    assert not list(tmp_path.iterdir())


def test_the_khronos_validator_finds_nothing(tmp_path: Path):
    paths = [str(written(tmp_path, way)) for way in WAYS]
    report = run_node("validate.mjs", *paths)
    assert sorted(report) == sorted(paths)
    for path, issues in report.items():
        assert (issues["numErrors"], issues["numWarnings"]) == (0, 0), (path, issues)
        assert {message["code"] for message in issues["messages"]} <= {"UNUSED_OBJECT"}


@pytest.mark.parametrize("way", ["one", "pelvis", "together", "proxy", "two clips"])
def test_three_js_plays_the_same_joints_and_mesh(way: str, tmp_path: Path):
    path, motions = written(tmp_path, way), WAYS[way][0]
    keys, vertices = [0, 8, 5], [0, 1000, 500] if way != "proxy" else [0, 100, 599]
    for motion in motions[:2]:
        times_s = [float(t) for t in (motion.times_s - motion.times_s[0])[keys]]
        arguments = [str(path), motion.name, json.dumps(times_s), json.dumps(vertices)]
        seen = run_node("three_joints.mjs", *arguments)["people"]
        person = seen[motion.person - 1]
        expected = joints_m(motion)[keys]
        np.testing.assert_allclose(np.array(person["joints"])[:, 1:], expected, atol=1e-4)
        ours = [
            read_glb(path).vertices_m(motion.person - 1, motion.name, k)[vertices] for k in keys
        ]
        np.testing.assert_allclose(person["vertices"], ours, atol=1e-4)
