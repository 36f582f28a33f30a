"""Motion files: kept exactly, equal bytes, old formats read, faults named, never half written."""

import dataclasses
import io
import json
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from staf_backend import StafError
from staf_backend.files import OutputError
from staf_backend.geometry import SMPL, Camera
from staf_backend.motion import MotionError, load_motion, plain_name, save_motion
from tests.support.sample_motions import assert_equal, sample_motion, with_all, with_keypoints


@pytest.fixture
def saved(tmp_path: Path) -> Path:
    save_motion(tmp_path / "arc.npz", with_all())
    return tmp_path / "arc.npz"


def rewrite(path: Path, **changes: Any) -> Path:
    """The same file with members replaced, or removed where None; header words by `header_`."""
    with np.load(path) as archive:
        members: dict[str, Any] = dict(archive)
    header = json.loads(str(members["header"]))
    for name, value in changes.items():
        if name.startswith("header_"):
            header[name.removeprefix("header_")] = value
    members["header"] = json.dumps(header)
    members |= {name: v for name, v in changes.items() if not name.startswith("header_")}
    members = {name: value for name, value in members.items() if value is not None}
    np.savez(path, allow_pickle=True, **members)
    return path


@pytest.mark.parametrize("make", [sample_motion, with_keypoints, with_all])
def test_round_trip(make: Any, tmp_path: Path):
    motion = make()
    save_motion(tmp_path / "m.npz", motion)
    assert_equal(load_motion(tmp_path / "m.npz"), motion)


def test_odd_names_survive(tmp_path: Path):
    motion = sample_motion(name="Läuferin 走る", source="caf\udce9.mp4")
    save_motion(tmp_path / "m.npz", motion)
    assert load_motion(tmp_path / "m.npz").source == motion.source
    assert load_motion(tmp_path / "m.npz").name == motion.name


@pytest.mark.parametrize(
    "name", ["a\nb\x1b[2J.mp4", "\x07", "ü" * 200, "caf\udce9", "\udce9" * 99, "plain"]
)
def test_a_files_odd_name_becomes_one_that_is_read(name: str, tmp_path: Path):
    plain = plain_name(name)
    assert (plain == name) == (name == "plain")
    save_motion(tmp_path / "m.npz", sample_motion(name=plain, source=plain))
    assert load_motion(tmp_path / "m.npz").name == plain
    assert plain.encode("utf-8")


@pytest.mark.parametrize(
    "field",
    [
        {"name": "a\nb"},
        {"name": "a/b"},
        {"source": "x" * 256},
        {"body": "../body"},
        {"estimator": "\x1b[2J"},
        {"source_fps": 1e9},
        {"root_m": np.full((40, 3), 1e9)},
        {"quality": {"jitter": 1e99}},
    ],
)
def test_what_would_not_be_read_is_not_written(field: dict[str, Any], tmp_path: Path):
    """Else a night's work is refused the next morning."""
    motion = dataclasses.replace(sample_motion(), **field)
    with pytest.raises(MotionError, match=r"m\.npz: no motion file holds this: .* must be "):
        save_motion(tmp_path / "m.npz", motion)
    assert list(tmp_path.iterdir()) == []


def test_camera_survives(tmp_path: Path):
    camera = Camera(
        focal_px=900.5,
        width_px=720,
        height_px=1280,
        focal_assumed=False,
        principal_point_px=np.array([350.0, 650.0]),
        rotation_wxyz=np.array([0.6, 0.8, 0.0, 0.0]),
        position_m=np.array([0.1, 1.6, -2.0]),
        rotation_deg=90,
        motion="unsure",
    )
    save_motion(tmp_path / "m.npz", sample_motion(camera=camera))
    assert_equal(load_motion(tmp_path / "m.npz").camera, camera)


def test_equal_motions_give_equal_bytes(tmp_path: Path):
    paths = [tmp_path / "a.npz", tmp_path / "b.npz"]
    for path in paths:
        save_motion(path, with_keypoints())
    assert paths[0].read_bytes() == paths[1].read_bytes()
    with zipfile.ZipFile(paths[0]) as archive:
        assert {entry.date_time[0] for entry in archive.infolist()} == {1980}


def test_plain_numpy_reads_the_file_without_pickle(saved: Path):
    with np.load(saved, allow_pickle=False) as archive:
        assert archive["format"] == 2
        assert archive["kind"] == "staf-motion"
        assert archive["rotations_wxyz"].shape == (40, 24, 4)
        assert json.loads(str(archive["header"]))["camera"]["focal_px"] == 1200
        assert archive["joint_names"][16] == "L_Shoulder"


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"format": 3}, "format 3; this version .* reads 1 to 2"),
        ({"format": 0}, "format 0"),
        ({"header": "[" * 100_000}, "nested too deeply"),
        ({"kind": "spectrum"}, "spectrum"),
        ({"root_m": np.full((40, 3), np.nan)}, "root_m must be finite"),
        ({"rotations_wxyz": np.zeros((40, 23, 4), np.float32)}, "rotations_wxyz must have shape"),
        ({"root_m": np.full((40, 3), None)}, "pickled objects"),
        ({"root_m": None}, "root_m"),
        ({"parents": np.array([*SMPL.parents[:23], 23])}, "parents must start with -1"),
        ({"parents": np.array(SMPL.parents[:23])}, "parents must be 24 numbers"),
        ({"joint_names": np.array(["a"] * 24)}, "joint_names must be different words"),
        ({"camera_positions_m": None}, "camera_positions_m"),
        ({"camera_rotations_wxyz": np.zeros((40, 4))}, "camera_rotations_wxyz must be unit"),
        ({"contact_probability": np.full((40, 2), 1.5)}, "contact_probability must be 0 to 1"),
        ({"contact_names": np.array(["left_heel", "tail"])}, "contact_names must be different"),
        ({"contact_names": np.array(["seat", "seat"])}, "contact_names must be different"),
        ({"raw_root_m": None}, "must be given together"),
        ({"header_contacts": "none"}, "contact n must have part, start_s"),
        ({"header_contacts": [{"part": "seat"}]}, "contact .*seat.* must have part, start_s"),
        ({"header_contacts": None}, "not a sound motion"),
        ({"header_card": [1]}, "card must be an object"),
        ({"header_camera": None}, "not a sound motion"),
        ({"header_camera": {}}, "not a sound motion"),
        ({"header_quality": "good"}, "not a sound motion"),
        ({"header_body": 7}, "body must be text"),
        ({"header": "{not json"}, "not a sound motion"),
    ],
)
def test_a_file_with_a_fault_is_refused(changes: dict[str, Any], words: str, saved: Path):
    with pytest.raises(MotionError, match=words) as caught:
        load_motion(rewrite(saved, **changes))
    assert str(saved) in str(caught.value)
    assert (caught.value.kind, caught.value.exit_code) == ("motion", 8)


SPAN = {"part": "left_toe", "start_s": 2.6, "end_s": 2.8, "floor_m": 0.0}


@pytest.mark.parametrize(
    ("spans", "words"),
    [
        ([{**SPAN, "end_s": 9.0}], r"contact left_toe from 2.6 to 9.0 s must be within the clip"),
        ([{**SPAN, "start_s": 1.0}], r"left_toe from 1.0 to 2.8 s must be within the clip, 2.5"),
        ([SPAN, {**SPAN, "start_s": 2.7}], r"left_toe from 2.7 to 2.8 s must be after .* 2.6 to"),
        ([{**SPAN, "start_s": 2.9}], "end_s of contact left_toe from 2.9 to 2.8 s"),
        ([{**SPAN, "part": "tail"}], "part of contact tail from 2.6 to 2.8 s must be one of"),
        ([{**SPAN, "floor_m": "0"}], "floor_m of contact left_toe from 2.6"),
        ([{**SPAN, "floor_m": True}], "floor_m of contact left_toe from 2.6"),
    ],
)
def test_an_edited_contact_that_cannot_be_is_named(spans: list[Any], words: str, saved: Path):
    with pytest.raises(MotionError, match=words):
        load_motion(rewrite(saved, header_contacts=spans))


def test_edited_contacts_come_in_order(saved: Path):
    spans = [{**SPAN, "start_s": 2.85, "end_s": 2.85}, SPAN, {**SPAN, "part": "left_heel"}]
    read = load_motion(rewrite(saved, header_contacts=spans)).contacts
    assert [(s.part, s.start_s) for s in read] == [
        *(("left_heel", 2.6), ("left_toe", 2.6), ("left_toe", 2.85))
    ]


def test_a_file_of_format_1_is_read(tmp_path: Path):
    motion = sample_motion()
    save_motion(tmp_path / "m.npz", motion)
    camera = {
        f.name: v.tolist() if isinstance(v := getattr(motion.camera, f.name), np.ndarray) else v
        for f in dataclasses.fields(Camera)
        if f.name != "motion"
    }
    assert_equal(
        load_motion(rewrite(tmp_path / "m.npz", format=np.int64(1), header_camera=camera)), motion
    )


def npz_bytes(**arrays: Any) -> bytes:
    file = io.BytesIO()
    np.savez(file, **arrays)
    return file.getvalue()


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "an empty file"),
        (b"<!DOCTYPE html><html>", "an HTML page"),
        (b"glTF\x02\0\0\0", "glTF"),
        (b"\x80\x02}q\0.", "a Python pickle"),
        (b"hello", "a text file"),
        (bytes(range(128, 256)), "unknown kind"),
        (npz_bytes(poses=np.zeros(3), trans=np.zeros(3)), "an AMASS motion"),
        (npz_bytes(v_template=np.zeros(3)), "a body or face model"),
        (npz_bytes(a=np.zeros(3)), "a NumPy archive with a"),
    ],
)
def test_another_file_is_told_by_its_content(content: bytes, words: str, tmp_path: Path):
    path = tmp_path / "m.npz"
    path.write_bytes(content)
    with pytest.raises(MotionError, match=words):
        load_motion(path)


def test_a_folder_and_a_missing_file(tmp_path: Path):
    with pytest.raises(MotionError, match="a folder"):
        load_motion(tmp_path)
    with pytest.raises(MotionError, match="does not exist"):
        load_motion(tmp_path / "none.npz")


def test_a_truncated_or_flipped_file_is_refused_or_read_never_crashes(saved: Path):
    whole = saved.read_bytes()
    for size in range(1, len(whole), len(whole) // 40):
        saved.write_bytes(whole[:size])
        with pytest.raises(MotionError):
            load_motion(saved)
    rng, refused = np.random.default_rng(0), 0
    for place in rng.integers(0, len(whole), 150):
        broken = bytearray(whole)
        broken[place] ^= 0x55
        saved.write_bytes(broken)
        try:
            load_motion(saved)
        except StafError:
            refused += 1
    assert refused > 100


def test_a_failed_write_leaves_the_old_file(saved: Path, monkeypatch: pytest.MonkeyPatch):
    before = saved.read_bytes()

    def interrupt(*_: Any, **__: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(np.lib.format, "write_array", interrupt)
    with pytest.raises(KeyboardInterrupt):
        save_motion(saved, sample_motion())
    assert saved.read_bytes() == before
    assert list(saved.parent.iterdir()) == [saved]


def test_writing_into_a_missing_folder(tmp_path: Path):
    with pytest.raises(OutputError, match="folder does not exist"):
        save_motion(tmp_path / "none" / "m.npz", sample_motion())
