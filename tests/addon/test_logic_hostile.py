"""Hostile motion files, the same for both halves: one sentence, no memory, nothing that hangs."""

import json
import os
import tracemalloc
import warnings
import zipfile
from pathlib import Path

import numpy as np
import pytest

from addon import archive as addon_archive
from addon import json_text
from addon.retarget.map_file import read_map
from addon.scene import ranges as addon_ranges
from addon.scene.body_file import read_body
from addon.scene.identity import video_identity
from addon.scene.motion_file import read_motion
from addon.solving.tracks import read_tracks
from addon.user_error import UserError
from staf_backend import StafError
from staf_backend.files import read_arrays as backend_archive
from staf_backend.files import read_json_text, strict_json
from staf_backend.files.limits import SPARE_BYTES
from staf_backend.motion import MotionError, load_motion, ranges
from tests.support.hostile_motions import (
    ESCAPES,
    hostile,
    lying,
    only_a_head,
    packed,
    with_damaged_member,
)

READERS = pytest.mark.parametrize("read", [load_motion, read_motion], ids=["backend", "add-on"])
HUGE = 10**400
SPAN = {"part": "left_toe", "start_s": 2.6, "end_s": 2.8, "floor_m": 0.0}


def refusal(read, path: Path) -> str:
    """What a reader says; no warning may come before it."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with pytest.raises((MotionError, UserError)) as caught:
            read(path)
    said = caught.value.message
    assert len(said) < 300 + len(str(path)) + 50
    assert said.isprintable()
    return said


@READERS
@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"root_m": np.zeros((6_000_000, 3))}, "far more"),
        ({"header": {"more": [{}] * 3_000_000}}, "far more"),
        ({"betas": np.zeros(5000)}, "betas must"),
        ({"betas": np.zeros(0)}, "betas must"),
        ({"joint_names": np.array([str(i) for i in range(2000)])}, "joint_names must"),
        ({"joint_names": np.array(["x" * 9000 + str(i) for i in range(24)])}, "joint_names must"),
        ({"joint_names": np.array([ESCAPES + str(i) for i in range(24)])}, "joint_names must"),
        ({"keypoint_names": only_a_head("'|V0'", "(1099511627776,)")}, "must not be of type"),
        ({"joint_names": only_a_head("'|V0'", "(1099511627776,)")}, "must not be of type"),
        ({"joint_names": only_a_head("'<U0'", "(1099511627776,)")}, "must not be of type"),
        ({"times_s": only_a_head("'<f8'", "(1099511627775,)")}, "another size than it has"),
        ({"times_s": only_a_head("'<f8'", "(-1,)")}, "shape that no array has"),
        ({"times_s": only_a_head("('<f4', (100000,))", "(3,)")}, "must not be of type|another"),
        ({"times_s": only_a_head("[('a', '<f4')]", "(3,)")}, "must not be of type"),
        ({"times_s": np.linspace(-1e300, 1e300, 40)}, "times_s must be within"),
        ({"times_s": np.linspace(0, 1e12, 40)}, "times_s must be within"),
        ({"frames": np.arange(40) + 2**62}, "frames must be within"),
        ({"betas": np.full(10, 1e308)}, "betas must be within"),
        ({"root_m": np.full((40, 3), 1e308)}, "root_m must be within"),
        ({"rest_joints_m": np.full((24, 3), 1e5)}, "rest_joints_m must be within"),
        ({"rotations_wxyz": np.full((40, 24, 4), 1e308)}, "rotations_wxyz must be within"),
        ({"parents": np.full(24, 1j)}, "parents must not be of type"),
        ({"camera": {"focal_px": HUGE}}, "number of 401 digits"),
        ({"camera": {"focal_px": 1e308}}, "focal_px must be within"),
        ({"camera": {"width_px": 1e300}}, "width_px must be within"),
        ({"camera": {"position_m": [1e300, 0, 0]}}, "position_m must be within"),
        ({"header": {"source_fps": HUGE}}, "number of 401 digits"),
        ({"header": {"name": "a\nb"}}, "name must be a plain name"),
        ({"header": {"source": "\x1b[2J.mp4"}}, "source must be a plain name"),
        ({"header": {"source_fps": 1e308}}, "source_fps must be within"),
        ({"header": {"person": 10**20}}, "person must be within"),
        ({"header": {"quality": {"a": 1e300}}}, "quality must be within"),
        ({"header": {"contacts": [SPAN | {"floor_m": int("9" * 4000)}]}}, "4000 digits"),
        ({"header": {"contacts": [SPAN | {"end_s": 1e300}]}}, "end_s must be within"),
        ({"header": {"body": "../../../tmp/x"}}, "body must be the plain name of a body"),
        ({"header": {"name": "../../../tmp/x"}}, "name must be a plain name"),
        ({"header": {"estimator": ESCAPES}}, "estimator must be printable"),
        ({"header": {"contacts": ["A" * 1_000_000]}}, ""),
        ({"header": {"contacts": [ESCAPES]}}, ""),
        ({"kind": np.array("staf-motion" * 100_000)}, "not a STAF motion"),
        ({"kind": np.array(ESCAPES)}, "not a STAF motion"),
        ({"format": np.array("9" * 4000)}, "format must not be of type"),
        ({"format": np.float64("inf")}, "format must not be of type"),
        ({"parents": np.full(24, 2**63 - 1)}, "parents must start with -1"),
    ],
    ids=lambda value: next(iter(value)) if isinstance(value, dict) else None,
)
def test_a_hostile_file_is_refused_in_a_sentence(read, changes, words, tmp_path):
    said = refusal(read, hostile(tmp_path / "a.npz", **changes))
    assert words in said or any(word in said for word in words.split("|"))


@READERS
def test_members_that_nobody_asked_for_stay_packed(read, tmp_path):
    read(with_damaged_member(tmp_path / "a.npz", "unknown"))


@READERS
@pytest.mark.parametrize("size", [200, 50_000_000])
def test_a_directory_that_lies_about_sizes(read, size, tmp_path):
    assert "a.npz is damaged" in refusal(read, lying(tmp_path / "a.npz", "times_s", size))


@READERS
def test_archives_of_another_make(read, tmp_path):
    path = hostile(tmp_path / "a.npz")
    with zipfile.ZipFile(path, "a") as file, pytest.warns(UserWarning, match="Duplicate"):
        file.writestr("root_m.npy", packed(np.zeros((40, 3))))
    assert "two members of one name" in refusal(read, path)
    with zipfile.ZipFile(hostile(path), "a") as file:
        for i in range(1000):
            file.writestr(f"x{i}.npy", b"")
    assert "more than 1000 members" in refusal(read, path)
    with zipfile.ZipFile(hostile(path)) as file:
        members = {name: file.read(name) for name in file.namelist()}
    with zipfile.ZipFile(path, "w", zipfile.ZIP_LZMA) as file:
        for name, data in members.items():
            file.writestr(name, data)
    assert "packed in a way that NumPy does not pack" in refusal(read, path)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="POSIX")
@pytest.mark.parametrize(
    "read",
    [
        *(load_motion, read_motion, read_map, read_tracks, video_identity),
        lambda path: read_body(path, "a"),
    ],
    ids=["backend", "add-on", "bone map", "tracks", "video", "body"],
)
def test_pipes_and_devices_are_no_files(read, tmp_path):
    os.mkfifo(tmp_path / "pipe.npz")
    for path in (tmp_path / "pipe.npz", Path("/dev/zero")):
        with pytest.raises((StafError, UserError), match="a pipe or a device"):
            read(path)


@pytest.mark.parametrize("read", [read_json_text, json_text.read_json_text])
@pytest.mark.parametrize("text", ["9" * 31, "NaN", "[" * 100_000, '{"a": [1e3, -Infinity]}'])
def test_both_halves_read_json_as_strictly(read, text):
    with pytest.raises(ValueError, match=r"digits|is no number|nested too deeply"):
        read(text)
    assert read('[1, -2.5, "a", {"b": 1}]') == [1, -2.5, "a", {"b": 1}]


@pytest.mark.parametrize("edit", [{"do": []}, {"do": "name", "person": 1e300}, {"do": {}}])
def test_edits_of_another_type_are_refused(edit, tmp_path):
    file = {"format": "staf-tracks", "edits": [edit], "people": []}
    (tmp_path / "a.json").write_text(json.dumps(file))
    with pytest.raises(UserError, match="means nothing here"):
        read_tracks(tmp_path / "a.json")


def test_endless_frames_of_tracks_are_refused(tmp_path):
    part = '{"first_frame": 0, "last_frame": 9, "unseen": [[1e999, 2]]}'
    people = f'[{{"person": 1, "thumbnail": null, "parts": [{part}]}}]'
    text = f'{{"format": "staf-tracks", "edits": [], "people": {people}}}'
    (tmp_path / "a.json").write_text(text)
    with pytest.raises(UserError, match="cannot be read"):
        read_tracks(tmp_path / "a.json")


def test_both_halves_have_the_same_limits():
    for name in ("KINDS", "LARGEST", "MOST_JOINTS", "MOST_SHAPES", "MOST_NAMES"):
        assert getattr(addon_ranges, name) == getattr(ranges, name)
    for name in ("_BYTES", "_GROWTH", "_MOST_DIGITS"):
        assert getattr(json_text, name) == getattr(strict_json, name)
    assert json_text._SPARE_BYTES == SPARE_BYTES


def test_arrays_of_both_orders_are_read_as_numpy_reads_them(tmp_path):
    arrays = {"a": np.asfortranarray(np.arange(12.0).reshape(3, 4)), "b": np.array(["é", "走る"])}
    arrays |= {"c": np.array(7), "d": np.zeros((0, 3))}
    np.savez_compressed(tmp_path / "a.npz", **arrays)
    kinds = dict.fromkeys(arrays, "fiU")
    for reader in (addon_archive.read_arrays, backend_archive):
        found = reader(tmp_path / "a.npz", kinds)
        for name, array in arrays.items():
            np.testing.assert_array_equal(found[name], array)
            assert found[name].dtype == array.dtype
            with pytest.raises(ValueError, match="read-only"):
                found[name][...] = array


@pytest.mark.parametrize("small", ["[]", "{}", '[""]'])
def test_tracks_of_far_more_values_than_their_size_are_refused_unread(tmp_path: Path, small: str):
    path = tmp_path / "clip.tracks.json"
    path.write_text("[" + f"{small}," * (30_000_000 // len(small)) + "0]")
    tracemalloc.start()
    try:
        with pytest.raises(UserError, match="far more numbers than it holds"):
            read_tracks(path)
        _, most = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert most < 200e6
