"""Whatever is wrong: one clear report, and the scene as it was."""

import os
import pickle
import re

import bpy
import numpy as np
import pytest

from tests.addon.blender_scene import fingerprint
from tests.addon.known_motions import rewrite, write

pytestmark = pytest.mark.usefixtures("clean")


def refused(words: str, operator, **arguments) -> str:
    """The operator raises with words that match, and changes nothing."""
    before = fingerprint()
    with pytest.raises(RuntimeError, match=words) as caught:
        operator(**arguments)
    assert fingerprint() == before
    text = str(caught.value)
    assert "Traceback" not in text
    assert len(text.strip().splitlines()) == 1
    return text


def truncated(path):
    path.write_bytes(path.read_bytes()[:-2000])


def holed(path):
    data = bytearray(path.read_bytes())
    data[300:600] = bytes(300)
    path.write_bytes(bytes(data))


def newer(path):
    rewrite(path, format=np.int64(3))


def not_finite(path):
    with np.load(path) as archive:
        roots = archive["root_m"].copy()
    roots[3, 1] = np.nan
    rewrite(path, root_m=roots)


def wrong_count(path):
    with np.load(path) as archive:
        rewrite(path, rotations_wxyz=archive["rotations_wxyz"][:, :-1])


def no_header(path):
    rewrite(path, header=None)


def objects(path):
    rewrite(path, betas=np.array([{"a": 1}], object))


def pickled(path):
    path.write_bytes(pickle.dumps({"poses": [1, 2]}))


def amass(path):
    path.unlink()
    np.savez(path, poses=np.zeros((3, 156)), trans=np.zeros((3, 3)), betas=np.zeros(16))


def text(path):
    path.write_text("hello")


def gone(path):
    path.unlink()


def folder(path):
    path.unlink()
    path.mkdir()


def stranger_body(path):
    with np.load(path) as archive:
        header = str(archive["header"]).replace("open-neutral", "smpl-male-12345678")
    rewrite(path, header=header)


def other_rest(path):
    with np.load(path) as archive:
        rewrite(path, rest_joints_m=archive["rest_joints_m"] * 1.1)


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (truncated, "walk.npz is damaged"),
        (holed, "walk.npz is damaged"),
        (newer, "format 3.*reads up to 2.*Update the add-on"),
        (not_finite, "root_m.*NaN"),
        (wrong_count, r"rotations_wxyz must have shape \(8, 24, 4\)"),
        (no_header, "lacks 'header'"),
        (objects, "refused.*pickled"),
        (pickled, "not a motion file.*pickle"),
        (amass, "AMASS.*not a STAF motion"),
        (text, "not a motion file"),
        (gone, "does not exist"),
        (folder, "is a folder"),
        (stranger_body, "body smpl-male-12345678 is not at hand"),
        (other_rest, "does not fit"),
    ],
)
def test_files_that_are_no_sound_motion(tmp_path, monkeypatch, spoil, words):
    monkeypatch.delenv("STAF_BACKEND_PYTHON", raising=False)
    path = write(tmp_path / "walk.npz", 8)
    spoil(path)
    refused(words, bpy.ops.staf.import_motion, filepath=str(path))


def test_one_bad_file_among_good_ones_brings_in_none(tmp_path):
    write(tmp_path / "a.npz", 4, name="a")
    not_finite(write(tmp_path / "b.npz", 4, name="b"))
    names = [{"name": "a.npz"}, {"name": "b.npz"}]
    refused("b.npz", bpy.ops.staf.import_motion, directory=str(tmp_path), files=names)


def test_video_that_was_moved(tmp_path):
    path = write(tmp_path / "walk.npz", 4)
    words = "gone.mp4 does not exist.*moved"
    refused(words, bpy.ops.staf.import_motion, filepath=str(path), video=str(tmp_path / "gone.mp4"))
    refused(words, bpy.ops.staf.add_footage, filepath=str(tmp_path / "gone.mp4"), motion=str(path))


def test_video_that_blender_cannot_read(tmp_path):
    path = write(tmp_path / "walk.npz", 4)
    (tmp_path / "walk.mp4").write_bytes(b"no video" * 100)
    refused("Blender cannot", bpy.ops.staf.import_motion, filepath=str(path))


def test_failure_half_way_takes_everything_back(tmp_path, monkeypatch):
    """Not a wrong file: the disk, the memory, a fault of ours, after the armature was made."""
    from addon.scene import character

    def broken(*_words):
        raise RuntimeError("a fault in the last step")

    monkeypatch.setattr(character, "add_camera", broken)
    before = fingerprint()
    with pytest.raises(RuntimeError, match="a fault in the last step"):
        bpy.ops.staf.import_motion(filepath=str(write(tmp_path / "walk.npz", 4)))
    assert fingerprint() == before


def test_name_that_is_taken_is_told_and_left_alone(tmp_path):
    mine = bpy.data.objects.new("walk", None)
    bpy.context.scene.collection.objects.link(mine)
    bpy.ops.staf.import_motion(filepath=str(write(tmp_path / "walk.npz", 4)))
    assert bpy.context.object.name == "walk.001"
    assert mine.name == "walk"
    assert mine.type == "EMPTY"


@pytest.mark.parametrize("onto", ["AUTO", "ACTIVE", "NEW"])
def test_armature_in_edit_mode(tmp_path, onto):
    path = write(tmp_path / "walk.npz", 4)
    bpy.ops.staf.import_motion(filepath=str(path))
    bpy.ops.object.mode_set(mode="EDIT")
    refused("Edit Mode", bpy.ops.staf.import_motion, filepath=str(path), onto=onto)
    assert bpy.context.mode == "EDIT_ARMATURE"
    bpy.ops.object.mode_set(mode="OBJECT")


def test_pose_mode_is_kept(tmp_path):
    path = write(tmp_path / "walk.npz", 4)
    bpy.ops.staf.import_motion(filepath=str(path))
    bpy.ops.object.mode_set(mode="POSE")
    assert bpy.ops.staf.import_motion(filepath=str(path)) == {"FINISHED"}
    assert bpy.context.mode == "POSE"
    bpy.ops.object.mode_set(mode="OBJECT")


def test_linked_character(tmp_path):
    path = write(tmp_path / "walk.npz", 4)
    bpy.ops.staf.import_motion(filepath=str(path))
    library = tmp_path / "library.blend"
    bpy.data.libraries.write(str(library), {bpy.context.object})
    bpy.ops.wm.read_homefile(use_factory_startup=True, use_empty=True)
    with bpy.data.libraries.load(str(library), link=True) as (source, wanted):
        wanted.objects = source.objects[:1]
    rig = wanted.objects[0]
    bpy.context.scene.collection.objects.link(rig)
    bpy.context.view_layer.objects.active = rig
    refused(
        "linked from another file.*override",
        bpy.ops.staf.import_motion,
        filepath=str(path),
        onto="ACTIVE",
    )


def test_no_armature_or_a_stranger_is_active(tmp_path):
    path = write(tmp_path / "walk.npz", 4)
    refused("no armature is active", bpy.ops.staf.import_motion, filepath=str(path), onto="ACTIVE")
    rig = bpy.data.objects.new("other", bpy.data.armatures.new("other"))
    bpy.context.scene.collection.objects.link(rig)
    bpy.context.view_layer.objects.active = rig
    refused("it lacks", bpy.ops.staf.import_motion, filepath=str(path), onto="ACTIVE")


def test_output_that_cannot_be_written(tmp_path):
    bpy.ops.staf.import_motion(filepath=str(write(tmp_path / "walk.npz", 4)))
    export = bpy.ops.staf.export_clips
    refused("folder .* does not exist", export, filepath=str(tmp_path / "no" / "a.glb"))
    (tmp_path / "b.glb").mkdir()
    refused("is a folder", export, filepath=str(tmp_path / "b.glb"))
    (tmp_path / "file").write_text("")
    refused("does not exist", export, filepath=str(tmp_path / "file" / "a.glb"))
    assert not list(tmp_path.glob(".*"))


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_folder_without_permission(tmp_path):
    bpy.ops.staf.import_motion(filepath=str(write(tmp_path / "walk.npz", 4)))
    tmp_path.chmod(0o500)
    refused("cannot be written to", bpy.ops.staf.export_clips, filepath=str(tmp_path / "a.glb"))


def test_a_file_that_cannot_be_replaced_stays_as_it_was(tmp_path, monkeypatch):
    """On Windows a file that another program holds open cannot be replaced."""
    from pathlib import Path

    bpy.ops.staf.import_motion(filepath=str(write(tmp_path / "walk.npz", 4)))
    target = tmp_path / "walk.glb"
    target.write_bytes(b"old")
    true_replace = Path.replace

    def locked(self, other):
        if Path(other) == target:
            raise PermissionError(13, "the file is in use")
        return true_replace(self, other)

    monkeypatch.setattr(Path, "replace", locked)
    refused(
        "cannot be replaced.*Close the program", bpy.ops.staf.export_clips, filepath=str(target)
    )
    assert target.read_bytes() == b"old"
    assert not list(tmp_path.glob(".*"))


def test_nothing_to_export(tmp_path):
    words = "no animated character"
    refused(words, bpy.ops.staf.export_clips, filepath=str(tmp_path / "a.glb"))


def test_backend_that_is_not_set_up(tmp_path, monkeypatch):
    monkeypatch.delenv("STAF_BACKEND_PYTHON", raising=False)
    video = tmp_path / "a.mp4"
    video.write_bytes(b"")
    words = re.escape("the backend is not set up. Edit > Preferences")
    refused(words, bpy.ops.staf.solve, video=str(video))
    refused(words, bpy.ops.staf.check_backend)


def test_blender_offline(tmp_path):
    if bpy.app.online_access:
        pytest.skip("this Blender is online")
    refused("does not say where", bpy.ops.staf.setup_backend)
    refused("does not say where", bpy.ops.staf.setup_backend, source="https://example.org/simple")
    refused("does not exist", bpy.ops.staf.setup_backend, source=str(tmp_path / "a.whl"))
    refused("no wheel", bpy.ops.staf.setup_backend, source=str(tmp_path))
