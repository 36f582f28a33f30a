"""Ends of bones on rigs whose tails say nothing."""

import numpy as np
import pytest

from addon.retarget.guess import guess_map
from addon.retarget.rotations import angles_deg
from addon.retarget.structure import by_structure
from addon.retarget.tails import believed_tails
from tests.addon.retarget_rigs import IMPORTED_TAILS, RIGS, bones_of, shape_of

LAST = ("L_Foot", "R_Foot", "L_Wrist", "R_Wrist", "Head")


def believed(bones):
    shape = shape_of(bones)
    return believed_tails(shape.parents, shape.heads, shape.tails)


@pytest.mark.parametrize("kind", RIGS)
def test_tails_that_point_to_the_next_joint_stay(kind):
    shape = shape_of(bones_of(RIGS[kind]))
    ends = believed_tails(shape.parents, shape.heads, shape.tails)
    np.testing.assert_allclose(ends, shape.tails, atol=1e-9)


@pytest.mark.parametrize("tails", IMPORTED_TAILS)
@pytest.mark.parametrize("kind", RIGS)
def test_bones_end_at_the_next_joint(kind, tails):
    bones = bones_of(RIGS[kind])
    shape, ends = shape_of(bones), believed(IMPORTED_TAILS[tails](bones))
    found = guess_map(shape, kind).bones
    for side in "LR":
        for joint, after in (("Hip", "Knee"), ("Knee", "Ankle"), ("Ankle", "Foot")):
            place, follower = (shape.places[found[f"{side}_{j}"]] for j in (joint, after))
            np.testing.assert_allclose(ends[place], shape.heads[follower])
    for joint in LAST:
        place = shape.places[found[joint]]
        way, true = ends[place] - shape.heads[place], shape.tails[place] - shape.heads[place]
        assert angles_deg(way, true) < 60
        assert 0.2 < np.linalg.norm(way) / np.linalg.norm(true) < 2


@pytest.mark.parametrize("tails", IMPORTED_TAILS)
def test_structure_tells_on_imported_rigs(tails):
    bones = bones_of(RIGS["vrm"])
    names = {bone[0]: f"joint{place}" for place, bone in enumerate(bones)}
    plain = [(names[b], names.get(p, ""), head, tail) for b, p, head, tail in bones]
    imported = IMPORTED_TAILS[tails](plain)
    shape = shape_of(
        [(*bone[:3], end) for bone, end in zip(plain, believed(imported), strict=True)]
    )
    wanted = guess_map(shape_of(bones), "vrm").bones
    found = by_structure(shape)
    for joint in ("Pelvis", "L_Knee", "R_Knee", "L_Ankle", "R_Ankle"):
        assert found[joint] == names[wanted[joint]], joint


def test_a_last_bone_as_long_as_the_one_above_is_an_importer_s():
    shape = shape_of(bones_of(RIGS["vrm"]))
    place = shape.places[guess_map(shape, "vrm").bones["L_Foot"]]
    foot_m = np.linalg.norm(shape.heads[place] - shape.heads[shape.parents[place]])
    way = shape.tails[place] - shape.heads[place]
    shape.tails[place] = shape.heads[place] + foot_m / np.linalg.norm(way) * way
    ends = believed_tails(shape.parents, shape.heads, shape.tails)
    halved = shape.heads[place] + foot_m / 2 / np.linalg.norm(way) * way
    np.testing.assert_allclose(ends[place], halved, atol=1e-9)


def test_bones_in_one_place_and_bones_alone_are_left():
    one = np.zeros((3, 3))
    tails = np.eye(3)
    assert believed_tails((-1, 0, 0), one, tails) is tails
    np.testing.assert_array_equal(believed_tails((-1,), one[:1], tails[:1]), tails[:1])
