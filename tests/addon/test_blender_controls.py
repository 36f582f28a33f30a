"""A control rig on a character: the same motion, feet that stay, knees that do not pop."""

import bpy
import numpy as np
import pytest

from addon.controls.building import SWITCH
from addon.controls.limbs import LIMBS
from addon.scene.armature import bone_by_joint, controls_of
from addon.scene.keyframes import curves
from staf_backend.motion import save_motion
from tests.addon.blender_scene import fingerprint
from tests.addon.known_motions import write
from tests.addon.retarget_motions import write_steps
from tests.addon.test_blender_fingers import moving_fingers

pytestmark = pytest.mark.usefixtures("clean")
FRAMES = 24


def bring_in(path, **words):
    assert bpy.ops.staf.import_motion(filepath=str(path), **words) == {"FINISHED"}
    return bpy.context.object


def posed(rig, frames=range(1, FRAMES + 1)) -> np.ndarray:
    """World matrices (T, B, 4, 4) of a character's bones, evaluated."""
    out = []
    for frame in frames:
        bpy.context.scene.frame_set(frame)
        evaluated = rig.evaluated_get(bpy.context.evaluated_depsgraph_get())
        out.append([evaluated.matrix_world @ bone.matrix for bone in evaluated.pose.bones])
    return np.array(out)


def off(one: np.ndarray, other: np.ndarray) -> tuple[float, float]:
    """Largest distance of heads, metres, and of turns, degrees."""
    apart = np.linalg.norm(one[..., :3, 3] - other[..., :3, 3], axis=-1).max()
    turns = one[..., :3, :3].swapaxes(-1, -2) @ other[..., :3, :3]
    sines = np.linalg.norm(turns - turns.swapaxes(-1, -2), axis=(-1, -2)) / np.sqrt(8)
    cosines = (np.trace(turns, axis1=-2, axis2=-1) - 1) / 2
    return float(apart), float(np.degrees(np.arctan2(sines, cosines)).max())


def knee_deg(rig, poses: np.ndarray, side: str) -> np.ndarray:
    """Bend (T,) of a knee."""
    names = list(rig.pose.bones.keys())
    hip, knee, ankle = (
        poses[:, names.index(bone_by_joint(rig)[f"{side}_{joint}"]), :3, 3]
        for joint in ("Hip", "Knee", "Ankle")
    )
    a, b = knee - hip, ankle - knee
    cosine = (a * b).sum(-1) / np.linalg.norm(a, axis=-1) / np.linalg.norm(b, axis=-1)
    return np.degrees(np.arccos(np.clip(cosine, -1, 1)))


@pytest.mark.parametrize(
    "words",
    [
        {"axes": "limbs"},
        {"axes": "smpl", "root_motion": "pelvis"},
        {"bone_names": "mixamo", "root_motion": "in-place"},
    ],
)
def test_the_motion_on_the_controls_is_the_motion_of_the_take(tmp_path, words):
    rig = bring_in(write(tmp_path / "walk.npz", FRAMES), **words)
    rig.location, rig.rotation_euler, rig.scale = (1, 2, 0.5), (0, 0, 0.7), (1.1, 1.1, 1.1)
    before = posed(rig)
    assert bpy.ops.staf.add_controls() == {"FINISHED"}
    metres, degrees = off(before, posed(rig))
    assert metres < 1e-3
    assert degrees < 0.5
    assert bpy.context.object == controls_of(rig)


def test_fingers_come_along(tmp_path):
    save_motion(tmp_path / "walk.npz", moving_fingers(6))
    rig = bring_in(tmp_path / "walk.npz")
    before = posed(rig, range(1, 7))
    bpy.ops.staf.add_controls()
    metres, degrees = off(before, posed(rig, range(1, 7)))
    assert metres < 1e-3
    assert degrees < 0.5
    controls = controls_of(rig)
    assert controls is not None
    fingers = controls.data.collections["Fingers"]
    assert len(fingers.bones) == 30


def lift(controls, bone: str, step) -> None:
    """Move a control by a step (3,) of the armature's space on every frame."""
    inside = np.array(controls.data.bones[bone].matrix_local)[:3, :3].T @ step
    for curve in curves(controls.animation_data.action, controls):
        if curve.data_path == f'pose.bones["{bone}"].location':
            for key in curve.keyframe_points:
                key.co[1] += inside[curve.array_index]
            curve.update()


@pytest.mark.parametrize("step", [(0, 0, 0.1), (0, -0.15, 0), (0.1, 0, 0.25), (0, 0, -0.1)])
def test_a_moved_foot_moves_the_foot_and_the_knee_does_not_pop(tmp_path, step):
    frames = range(40, 120)
    rig = bring_in(write_steps(tmp_path / "steps.npz"))
    before = posed(rig, frames)
    bpy.ops.staf.add_controls()
    controls = controls_of(rig)
    for side in "LR":
        lift(controls, f"Foot IK.{side}", step)
    after = posed(rig, frames)
    names = list(rig.pose.bones.keys())
    for side in "LR":
        place = names.index(f"{side}_Ankle")
        moved = after[:, place, :3, 3] - before[:, place, :3, 3]
        bend = knee_deg(rig, after, side)
        reached = bend > 5.0  # nearer to straight Blender stops up to 2 mm short
        assert reached.sum() > (0 if step[2] < 0 else len(frames) - 1)
        np.testing.assert_allclose(
            moved[reached], np.tile(step, (len(moved), 1))[reached], atol=1e-3
        )
        turned = off(before[:, place : place + 1], after[:, place : place + 1])[1]
        assert turned < 0.5, "the foot keeps its own turn"
        assert np.abs(np.diff(bend)).max() < 25
        names_knee = names.index(f"{side}_Knee")
        knee = after[:, names_knee, :3, 3] - after[:, names.index(f"{side}_Hip"), :3, 3]
        ahead = before[:, names_knee, :3, :3] @ [0, 0, 1.0]
        bent = bend > 15
        line = after[:, place, :3, 3] - after[:, names.index(f"{side}_Hip"), :3, 3]
        line /= np.linalg.norm(line, axis=-1, keepdims=True)
        aside = knee - (knee * line).sum(-1, keepdims=True) * line
        assert ((aside * ahead).sum(-1)[bent] > 0).all(), "knees bend to the front"


def test_a_pelvis_that_sinks_leaves_the_feet_where_they_are(tmp_path):
    rig = bring_in(write(tmp_path / "walk.npz", FRAMES))
    before = posed(rig)
    bpy.ops.staf.add_controls()
    lift(controls_of(rig), "Pelvis", (0, 0, -0.08))
    after = posed(rig)
    names = list(rig.pose.bones.keys())
    for joint in ("L_Ankle", "R_Ankle"):
        place = names.index(joint)
        assert off(before[:, place : place + 1], after[:, place : place + 1])[0] < 1e-3


@pytest.mark.parametrize("limb", LIMBS)
def test_each_limb_switches_to_fk_and_back_without_moving(tmp_path, limb):
    rig = bring_in(write(tmp_path / "walk.npz", FRAMES))
    bpy.ops.staf.add_controls()
    controls = controls_of(rig)
    assert controls is not None
    lift(controls, limb.control, (0.03, 0.02, 0.05))
    before = posed(rig)
    assert bpy.ops.staf.switch_limb(limb=limb.label, ik=False) == {"FINISHED"}
    assert controls.pose.bones[limb.control][SWITCH] == 0
    fk = posed(rig)
    assert off(before, fk)[0] < 1e-3
    assert off(before, fk)[1] < 0.5
    lift(controls, limb.control, (0.0, 0.0, 0.3))
    assert off(fk, posed(rig))[0] < 1e-6, "the control has no say now"
    assert bpy.ops.staf.switch_limb(limb=limb.label, ik=True) == {"FINISHED"}
    assert off(before, posed(rig))[0] < 1e-3


def test_baked_back_is_a_new_take_and_the_controls_are_gone(tmp_path):
    rig = bring_in(write(tmp_path / "walk.npz", FRAMES))
    old = rig.animation_data.action
    bpy.ops.staf.add_controls()
    lift(controls_of(rig), "Hand IK.L", (0, -0.1, 0.1))
    before = posed(rig)
    assert bpy.ops.staf.bake_controls() == {"FINISHED"}
    take = rig.animation_data.action
    assert take != old
    assert take.name == "walk take 2"
    assert dict(take)["staf_clip"] == "walk"
    metres, degrees = off(before, posed(rig))
    assert metres < 1e-4
    assert degrees < 0.05
    assert controls_of(rig) is None
    assert not any(bone.constraints for bone in rig.pose.bones)
    rig.animation_data.action = old
    assert off(before, posed(rig))[0] > 0.05, "the old take is as it was"


def test_removed_leaves_the_file_as_it_was(tmp_path):
    rig = bring_in(write(tmp_path / "walk.npz", FRAMES))
    before, motion = fingerprint(), posed(rig)
    bpy.context.scene.frame_set(1)
    bpy.ops.staf.add_controls()
    assert bpy.ops.staf.remove_controls() == {"FINISHED"}
    assert fingerprint() == before
    assert off(motion, posed(rig)) == (0, 0)
    assert not [name for name in bpy.data.objects.keys() if name.startswith("STAF")]  # noqa: SIM118


def test_saved_and_opened_again_the_controls_still_hold(tmp_path):
    rig = bring_in(write(tmp_path / "walk.npz", FRAMES))
    bpy.ops.staf.add_controls()
    before = posed(rig)
    bpy.ops.wm.save_as_mainfile(filepath=str(tmp_path / "a.blend"))
    bpy.ops.wm.open_mainfile(filepath=str(tmp_path / "a.blend"))
    rig = bpy.data.objects["walk"]
    assert off(before, posed(rig))[0] < 1e-6
    lift(controls_of(rig), "Foot IK.L", (0, 0, 0.1))
    place = list(rig.pose.bones.keys()).index("L_Ankle")
    assert off(before[:, place], posed(rig)[:, place])[0] > 0.09


def test_whoever_cannot_have_controls_is_told_why(tmp_path):
    other = bring_in(write(tmp_path / "other.npz", 3), onto="NEW")
    other.name = "other"
    rig = bring_in(write(tmp_path / "walk.npz", 3), onto="NEW")
    bpy.ops.staf.add_controls()
    with pytest.raises(RuntimeError, match="walk has a control rig already"):
        bpy.ops.staf.add_controls()
    with pytest.raises(RuntimeError, match=r"control rig.*Bake to Bones"):
        bpy.ops.staf.export_clips(filepath=str(tmp_path / "a.glb"))
    bpy.context.view_layer.objects.active = other
    with pytest.raises(RuntimeError, match="walk has a control rig"):
        bpy.ops.staf.retarget(source="walk")
    bpy.context.view_layer.objects.active = rig
    assert not (tmp_path / "a.glb").exists()
    bpy.ops.staf.remove_controls()
    with pytest.raises(RuntimeError, match="walk has no control rig"):
        bpy.ops.staf.bake_controls()
    rig.animation_data.action = None
    before = fingerprint()
    with pytest.raises(RuntimeError, match="walk plays no action"):
        bpy.ops.staf.add_controls()
    assert fingerprint() == before
    stranger = bpy.data.objects.new("Other", bpy.data.armatures.new("Other"))
    bpy.context.scene.collection.objects.link(stranger)
    bpy.context.view_layer.objects.active = stranger
    stranger.animation_data_create().action = bpy.data.actions.new("x")
    with pytest.raises(RuntimeError, match="no character of this add-on"):
        bpy.ops.staf.add_controls()
