"""How fast characters come in.  Run in a place that has bpy:

.ci/blender.sh run bpy45 tests/benchmarks/test_addon_speed.py -s
"""
# pyright: reportMissingImports=none

import time

import pytest

pytest.importorskip("bpy", reason="the add-on's speed needs Blender: .ci/blender.sh run bpy45")

import bpy

from addon.scene.armature import bone_by_joint
from tests.addon.blender_scene import clean  # noqa: F401 - fixture
from tests.addon.known_motions import write

pytestmark = pytest.mark.usefixtures("clean")


def seconds_of(work) -> float:
    """Process time, which other programs of the machine do not lengthen."""
    began = time.process_time()
    work()
    return time.process_time() - began


def test_ten_thousand_frames_of_one_person_in_three_seconds(tmp_path):
    path = str(write(tmp_path / "long.npz", 10_000))
    spent = seconds_of(lambda: bpy.ops.staf.import_motion(filepath=path))
    print(f"\n10,000 frames x 1 person: {spent:.2f} s")
    assert spent < 3


def test_ten_people_of_a_thousand_frames_in_five_seconds(tmp_path):
    names = [{"name": f"p{k}.npz"} for k in range(10)]
    for k, one in enumerate(names):
        write(tmp_path / one["name"], 1000, name=f"p{k}", person=k + 1)
    spent = seconds_of(lambda: bpy.ops.staf.import_motion(directory=str(tmp_path), files=names))
    print(f"\n1,000 frames x 10 people: {spent:.2f} s")
    assert len([item for item in bpy.data.objects if item.type == "ARMATURE"]) == 10
    assert spent < 5


def test_hundred_times_faster_than_a_key_at_a_time(tmp_path):
    """The same keys of the same character, written both ways in one run."""
    from addon.scene import keyframes
    from addon.scene.armature import rest_frames
    from addon.scene.bones import keys_of
    from addon.scene.motion_file import read_motion

    path = write(tmp_path / "walk.npz", 1000)
    bpy.ops.staf.import_motion(filepath=str(path), mesh=False)
    rig, clip = bpy.context.object, read_motion(path)
    names = [bone_by_joint(rig)[joint] for joint in clip.joint_names]
    heads, axes = rest_frames(rig, ["root", *names])
    keys = keys_of(clip, heads[1:], axes[1:], axes[0], "root")

    def bulk():
        frames = clip.times_s * 30 + 1
        channels = [
            keyframes.bone_channel(name, "rotation_quaternion", keys.rotations_wxyz[:, place])
            for place, name in enumerate(names)
        ]
        keyframes.write(rig, keyframes.new_action("bulk"), frames, channels, ~clip.observed)

    def one_by_one():
        keyframes.assign(rig, keyframes.new_action("slow"))
        for frame in range(len(clip.times_s)):
            for place, name in enumerate(names):
                bone = rig.pose.bones[name]
                bone.rotation_quaternion = keys.rotations_wxyz[frame, place]
                bone.keyframe_insert("rotation_quaternion", frame=frame + 1)

    fast = min(seconds_of(bulk) for _ in range(3))
    slow = seconds_of(one_by_one)
    print(f"\n1,000 frames: {fast:.4f} s in bulk, {slow:.2f} s one by one: {slow / fast:.0f} times")
    assert slow > 100 * fast
