"""Retargeting without Blender: maps, guesses, fits, feet, angles."""

import dataclasses
import json

import numpy as np
import pytest

from addon.retarget import kept_maps
from addon.retarget.fitting import fit_rig
from addon.retarget.guess import by_scheme, by_words, guess_map
from addon.retarget.joints import CENTRE, PAIRED, REQUIRED
from addon.retarget.map_file import BoneMap, Switch, read_map, write_map
from addon.retarget.performance import of_clip
from addon.retarget.posing import heads_of, poses_of, rotations_of, travel_of
from addon.retarget.rotations import (
    EULER_ORDERS,
    about,
    angles_deg,
    axis_angles,
    between,
    eulers,
    from_eulers,
    quaternions,
    turns_by,
    unit,
    vectors_of,
)
from addon.retarget.schemes import SCHEMES
from addon.retarget.shape import RetargetError
from addon.retarget.structure import by_structure
from addon.retarget.twist import twist_bones, with_twist
from addon.scene.axes import continuous, matrix_of
from addon.scene.motion_file import read_motion
from tests.addon.retarget_motions import stepping_motion, write_steps
from tests.addon.retarget_rigs import FACING_X, RIGS, Rig, bones_of, shape_of

BODY = (*CENTRE, *(f"{side}_{joint}" for side in "LR" for joint in PAIRED))


@pytest.fixture(scope="module")
def steps(tmp_path_factory):
    clip = read_motion(write_steps(tmp_path_factory.mktemp("motions") / "steps.npz"))
    return of_clip(clip, -float(clip.rest_joints_m[:, 1].min()))


def turns(count=50, seed=0):
    return turns_by(np.random.default_rng(seed).normal(size=(count, 3)))


def renamed(kind, name):
    bones = bones_of(RIGS[kind])
    names = {bone[0]: name(place, bone[0]) for place, bone in enumerate(bones)}
    return shape_of([(names[b], names.get(p, ""), head, tail) for b, p, head, tail in bones])


def test_quaternions_and_vectors_come_back():
    some = np.concatenate([turns(), about(np.eye(3), np.full(3, np.pi))])
    np.testing.assert_allclose(matrix_of(quaternions(some)), some, atol=1e-12)
    np.testing.assert_allclose(turns_by(vectors_of(turns())), turns(), atol=1e-9)


@pytest.mark.parametrize("order", EULER_ORDERS)
def test_euler_angles_come_back_and_never_jump(order):
    vectors = np.cumsum(np.random.default_rng(1).normal(0, 0.05, (400, 3)), 0)
    some = turns_by(vectors)
    angles = eulers(some, order)
    np.testing.assert_allclose(from_eulers(angles, order), some, atol=1e-9)
    steady = np.abs(np.cos(angles[:, "XYZ".index(order[1])])) > 0.3
    assert np.abs(np.diff(angles, axis=0))[steady[1:] & steady[:-1]].max() < 1.0


def test_an_order_that_there_is_not():
    with pytest.raises(ValueError, match="order must be"):
        eulers(turns(), "XYX")


def test_axis_and_angle_come_back():
    wxyz = continuous(quaternions(turns_by(np.linspace(0, 8, 60)[:, None] * [0.6, 0.0, 0.8])))
    values = axis_angles(wxyz)
    rebuilt = about(unit(values[:, 1:]), values[:, 0])
    np.testing.assert_allclose(rebuilt, matrix_of(wxyz), atol=1e-9)
    assert np.abs(np.diff(values[:, 0])).max() < 0.3


def test_the_smallest_turn_also_between_opposites():
    some = np.random.default_rng(2).normal(size=(20, 3))
    goals = np.concatenate([np.roll(some, 1, 0)[:10], -some[10:]])
    turned = (between(some, goals) @ unit(some)[..., None])[..., 0]
    np.testing.assert_allclose(turned, unit(goals), atol=1e-9)


@pytest.mark.parametrize("scheme", SCHEMES, ids=lambda scheme: scheme.label)
def test_every_scheme_is_recognised_by_its_own_names(scheme):
    shape = shape_of(bones_of(Rig(scheme.label, root="Root" in scheme.names())))
    found = by_scheme(shape)
    assert found is not None
    names = scheme.names()
    for joint in REQUIRED:
        assert found.bones[joint] in names[joint]
    assert "Spine3" in found.bones, "the chest carries the arms"


def test_names_with_a_prefix_and_in_other_case():
    shape = renamed("mixamo", lambda _, name: name.replace("mixamorig:", "Hero:").upper())
    found = by_scheme(shape)
    assert found is not None
    assert (found.label, found.bones["L_Knee"]) == ("Mixamo", "HERO:LEFTLEG")


@pytest.mark.parametrize(
    "words",
    [
        # 3ds Max Biped; a hand-made rig; Daz-like
        "Pelvis Spine Spine1 Spine2 Neck Head *_Thigh *_Calf *_Foot *_Toe0 *_Clavicle *_UpperArm "
        "*_Forearm *_Hand",
        "hips spine1 spine2 chest neck head upper_leg.* lower_leg.* foot.* toes.* shoulder.* "
        "upper_arm.* lower_arm.* hand.*",
        "hip abdomen abdomen2 chest neck head *Thigh *Shin *Foot *Toe *Collar *Shldr *ForearmBend "
        "*Hand",
    ],
)
def test_words_tell_what_bones_are(words):
    centre, paired = words.split()[:6], words.split()[6:]
    names: dict[str, str] = dict(zip(CENTRE, centre, strict=True))
    for side in "LR":
        daz = paired[0].startswith("*T")
        names |= {
            f"{side}_{joint}": pattern.replace("*", side.lower() if daz else side)
            for joint, pattern in zip(PAIRED, paired, strict=True)
        }
    table = {choices[0]: joint for joint, choices in SCHEMES[_scheme("VRM")].names().items()}
    shape = renamed("vrm", lambda _, name: names.get(table.get(name, ""), name))
    found = by_words(shape)
    assert found is not None
    wrong = {j: found.bones.get(j) for j in BODY if found.bones.get(j) != names[j]}
    assert set(wrong) <= {"Spine2"}, wrong


def _scheme(label):
    return [scheme.label for scheme in SCHEMES].index(label)


@pytest.mark.parametrize("kind", RIGS)
def test_structure_tells_where_names_do_not(kind):
    shape = renamed(kind, lambda place, _: f"bone{place:03}")
    named = guess_map(shape_of(bones_of(RIGS[kind])), kind).bones
    places = {bone[0]: f"bone{place:03}" for place, bone in enumerate(bones_of(RIGS[kind]))}
    found = by_structure(shape)
    assert set(REQUIRED) <= set(found)
    assert {j: b for j, b in found.items() if places[named[j]] != b} == {}


def with_halves(name):
    """A rig of which each half of the pelvis, and each shoulder blade, is a bone of its own.

    Both halves begin in the middle.  `name` gives bones their names.
    """
    bones = []
    for bone, above, head, tail in bones_of(RIGS["vrm"]):
        side = "left" if bone.startswith("left") else "right"
        extra = {"UpperLeg": "Hip", "UpperArm": "Blade"}.get(bone.removeprefix(side))
        if extra:
            start = head * [0, 1, 1] if extra == "Hip" else head * [0.5, 1, 1]
            bones.append((name(side + extra), name(above), start, head))
            above = side + extra
        bones.append((name(bone), name(above) if above else "", head, tail))
    return shape_of(bones)


MAKEHUMAN_LIKE = {"hips": "centre"} | {
    f"{side}{ours}": f"{side}{theirs}"
    for side in ("left", "right")
    for ours, theirs in (("Shoulder", "Clavicle"), ("Blade", "Shoulder"))
}


@pytest.mark.parametrize(
    ("find", "name"),
    [
        (by_words, lambda bone: MAKEHUMAN_LIKE.get(bone, bone)),
        (by_structure, lambda bone: "".join(chr(ord(letter) + 1) for letter in bone)),
    ],
)
def test_halves_of_a_pelvis_are_no_thighs_and_shoulder_blades_no_arms(find, name):
    found = find(with_halves(name))
    bones = getattr(found, "bones", found)
    assert bones is not None
    expected = {"Pelvis": "hips"} | {
        f"{side[0].upper()}_{joint}": side + bone
        for side in ("left", "right")
        for joint, bone in (("Hip", "UpperLeg"), ("Shoulder", "UpperArm"), ("Knee", "LowerLeg"))
    }
    assert {joint: bones[joint] for joint in expected} == {
        joint: name(bone) for joint, bone in expected.items()
    }


def test_a_chair_has_no_legs_to_walk_on():
    bones = [("seat", "", np.zeros(3), np.array([0, 0, 0.1]))]
    bones += [
        (f"leg{k}", "seat", np.array([x, y, 0.0]), np.array([x, y, -0.4]))
        for k, (x, y) in enumerate([(1, 1), (1, -1), (-1, 1), (-1, -1)])
    ]
    bones += [
        (f"arm{k}", "seat", np.array([x, 0, 0.3]), np.array([x, 0, 0.5]))
        for k, x in enumerate([1, -1])
    ]
    with pytest.raises(RetargetError, match="no hips with two legs were found on chair"):
        guess_map(shape_of(bones), "chair")


def test_keys_put_a_plain_rig_where_the_poses_are(steps):
    shape = shape_of(bones_of(RIGS["unreal"]))
    plain = fit_rig(shape, guess_map(shape, "unreal"), steps)
    fit, poses = with_twist(shape, plain, poses_of(plain, steps))
    keys, (root, pelvis) = rotations_of(fit, poses), travel_of(fit, poses, "root")
    assert (root[:, 2] == 0).all(), "travel is over the ground"
    frames = forward(
        shape,
        dict(zip(fit.bones, keys.swapaxes(0, 1), strict=True)),
        {"root": root, "pelvis": pelvis},
    )
    for bone in ("hand_l", "foot_r", "head", "upperarm_twist_01_l"):
        place, at = shape.places[bone], fit.bones.index(bone)
        turned = frames[place][0] @ shape.axes[place].T
        np.testing.assert_allclose(
            fit.facing @ turned @ fit.facing.T, poses.turns[:, at], atol=1e-6
        )
    hand = heads_of(fit, poses, fit.bones.index("hand_l"))
    np.testing.assert_allclose(frames[shape.places["hand_l"]][1] @ FACING_X, hand, atol=1e-4)


def forward(shape, keys, moves):
    """Axes and heads of bones, by Blender's rule for bones without constraints."""
    count = len(next(iter(keys.values())))
    done = []
    for place, (name, parent) in enumerate(zip(shape.names, shape.parents, strict=True)):
        rest, head = shape.axes[place], shape.heads[place]
        axes, at = (np.eye(3)[None], np.zeros((count, 3))) if parent < 0 else done[parent]
        above = np.eye(3) if parent < 0 else shape.axes[parent]
        start = np.zeros(3) if parent < 0 else shape.heads[parent]
        carried = axes @ above.T
        moved = moves.get(name, np.zeros((count, 3)))
        head_now = at + ((carried @ (head - start + moved)[..., None])[..., 0])
        done.append((carried @ rest @ keys.get(name, np.eye(3)[None]), head_now))
    return done


def test_twist_bones_lie_on_their_limbs(steps):
    shape = shape_of(bones_of(RIGS["unreal"]))
    fit = fit_rig(shape, guess_map(shape, "unreal"), steps)
    found = twist_bones(shape, fit)
    assert len(found) == 8
    assert all(share == 0.5 for _, share in found.values())
    assert fit.bones[found["calf_twist_01_r"][0]] == "calf_r"


def test_two_roots_are_refused(steps):
    bones = [(n, "" if n == "rightUpperLeg" else p, h, t) for n, p, h, t in bones_of(RIGS["vrm"])]
    shape = shape_of(bones)
    with pytest.raises(RetargetError, match="hang on 2 roots"):
        fit_rig(shape, guess_map(shape, "Hero"), steps)


def test_maps_come_back_as_they_were(tmp_path):
    shape = shape_of(bones_of(RIGS["mixamo"]))
    made = guess_map(shape, "Hero")
    made = BoneMap(made.bones, (Switch("mixamorig:Hips", "follow", 0.5),))
    write_map(tmp_path / "a.json", made, "Hero")
    assert read_map(tmp_path / "a.json") == made
    assert json.loads((tmp_path / "a.json").read_text())["rig"] == "Hero"
    kept_maps.keep(tmp_path, shape.names, made, "Hero")
    assert kept_maps.find(tmp_path, shape.names[::-1]) == made
    assert kept_maps.find(tmp_path, shape.names[1:]) is None
    assert sorted(path.suffix for path in tmp_path.iterdir()) == [".json", ".json"]


def test_a_map_that_cannot_be_written(tmp_path):
    bone_map = guess_map(shape_of(bones_of(RIGS["vrm"])), "Hero")
    with pytest.raises(RetargetError, match="cannot be written"):
        write_map(tmp_path / "no" / "a.json", bone_map, "Hero")


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"kind": "other"}, "not a STAF bone map"),
        ({"format": True}, "whole number"),
        ({"format": 9}, "format 9"),
        ({"bones": {"Pelvis": 1}}, "names of bones"),
        ({"bones": {"Pelvis": "a", "L_Hip": "a"}}, "no bone for"),
        ({"bones": {"y" * 9000: "a"}}, r"names y{200,300}\.\.\.$"),
        ({"bones": {"\x1b[2J": "a"}}, r"names \?\[2J, which is no joint"),
        ({"switches": [{"bone": "a", "property": "b"}]}, "a switch must have"),
        (
            {"switches": [{"bone": "a", "property": "b", "value": float("nan")}]},
            "NaN is no number",
        ),
        ({"rig": 3}, "names of bones"),
    ],
)
def test_maps_that_break_a_rule(tmp_path, change, words):
    path = tmp_path / "a.json"
    write_map(path, guess_map(shape_of(bones_of(RIGS["vrm"])), "Hero"), "Hero")
    path.write_text(json.dumps(json.loads(path.read_text()) | change))
    with pytest.raises(RetargetError, match=words):
        read_map(path)


def test_a_bone_has_one_joint():
    bones = dict(guess_map(shape_of(bones_of(RIGS["vrm"])), "Hero").bones)
    with pytest.raises(RetargetError, match="has hips for Pelvis and Neck"):
        BoneMap(bones | {"Neck": "hips"})


def test_contacts_of_the_backend_are_read(tmp_path):
    motion = stepping_motion()
    clip = read_motion(write_steps(tmp_path / "steps.npz"))
    ours = [(s.part, s.start_s, s.end_s, s.floor_m) for s in clip.contacts]
    assert ours == [(s.part, s.start_s, s.end_s, s.floor_m) for s in motion.contacts]


def test_fingers_point_as_the_motion_s_where_it_has_any(steps):
    bones, joints, rest = bones_of(RIGS["vrm"]), list(steps.joints), list(steps.rest_m)
    hand = next(bone[2] for bone in bones if bone[0] == "leftHand")
    wrist = steps.rest_m[steps.place("L_Wrist")]
    parent = "leftHand"
    for number, word in enumerate(("Proximal", "Intermediate", "Distal"), 1):
        head = hand + np.array([0.05 + 0.03 * number, -0.02, -0.01 * number])
        bones.append((f"leftIndex{word}", parent, head, head + np.array([0.03, 0, -0.01])))
        parent = f"leftIndex{word}"
        joints.append(f"L_Index{number}")
        rest.append(wrist + np.array([0.06 + 0.03 * number, -0.03, 0.0]))
    bent = turns(len(steps.turns), 3)[:, None] @ np.stack(
        [about(np.eye(3)[1], np.array(a)) for a in (0.1, 0.5, 1.0)]
    )
    performance = dataclasses.replace(
        steps,
        joints=tuple(joints),
        rest_m=np.array(rest),
        turns=np.concatenate([steps.turns, bent], 1),
    )
    shape = shape_of(bones)
    fit = fit_rig(shape, guess_map(shape, "Hero"), performance)
    poses = poses_of(fit, performance)
    for joint, follower in (("L_Index1", "L_Index2"), ("L_Index2", "L_Index3")):
        limb = np.diff([heads_of(fit, poses, fit.place(j)) for j in (joint, follower)], axis=0)[0]
        body = np.diff(
            [performance.rest_m[performance.place(j)] for j in (joint, follower)], axis=0
        )[0]
        assert angles_deg(limb, performance.turns[:, performance.place(joint)] @ body).max() < 1e-3
