"""Data sets made to hurt whoever reads them: one sentence that names the file, and nothing left."""

import json
import os
import signal
import struct
import subprocess
import sys
import time
import tracemalloc
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy.io import savemat

from staf_backend.files import limits
from tests.support import fuzz_sets
from tests.support import make_training_sets as made
from tests.support.make_picture_sets import coco_person, make_coco, make_mpii
from tests.support.make_video_sets import insta_example, make_3dpw, make_h36m, make_posetrack
from tests.support.places import REPOSITORY
from training import prepare
from training.datasets import SetError, human36m
from training.datasets.formats import native
from training.datasets.formats.files import read_json

FULL_SPLIT = {"h36m": "test"}


@pytest.fixture
def refused(tmp_path: Path, capfd: pytest.CaptureFixture[str]):
    """Prepares the set below "root"; gives the one sentence that is told."""

    def run(name: str, *more: object) -> str:
        out = tmp_path / "out"
        words = ["--root", tmp_path / "root", "--split", FULL_SPLIT.get(name, "train")]
        code = prepare.main([name, *map(str, words), "--out", str(out), *map(str, more)])
        told = capfd.readouterr()
        assert (code, told.out) == (SetError.exit_code, "")
        assert told.err.count("\n") == 1
        assert told.err.rstrip("\n").isprintable()
        assert len(told.err) < 1000
        assert not out.exists()
        assert not list(tmp_path.glob("out.*"))
        return told.err

    return run


def eft(pose: Any, **changes: Any) -> dict[str, Any]:
    entry = {
        "imageName": "COCO_train2014_000000000025.jpg",
        "annotId": 103,
        "parm_pose": pose,
        "parm_shape": [0.5] * 10,
        "bbox_center": [50.0, 55.0],
    }
    return {"data": [entry | changes]}


@pytest.mark.parametrize("number", ["Infinity", "NaN", "1e308", "1e999", "-1e7"])
def test_labels_of_no_size(tmp_path: Path, refused: Any, number: str):
    """The singular values of an infinite matrix are sought for ever."""
    make_coco(tmp_path / "root")
    pose = np.tile(np.eye(3), (24, 1, 1)).tolist()
    pose[3][1][1] = "HERE"
    text = json.dumps(eft(pose)).replace('"HERE"', number)
    labels = tmp_path / "eft.json"
    labels.write_text(text)
    assert str(labels) in refused("coco", "--labels", labels)


def overwrite(path: Path, at: int, number: bytes) -> None:
    data = path.read_bytes()
    path.write_bytes(data[:at] + number + data[at + len(number) :])


def test_a_matlab_file_that_crashes_its_reader(tmp_path: Path, refused: Any):
    """A list of fields' names of no length: SciPy steps on address 0 or beyond."""
    make_mpii(tmp_path / "root")
    path = tmp_path / "root/mpii_human_pose_v1_u12_1.mat"
    overwrite(path, 448, struct.pack("<i", 0))
    sentence = refused("mpii", "--allow-missing")
    assert f"{path} is damaged or cut short" in sentence
    make_mpii(tmp_path / "root")
    assert (
        prepare.main(["mpii", "--root", str(tmp_path / "root"), "--out", str(tmp_path / "out")])
        == 0
    ), "the next file has a new reader"


def test_a_cdf_file_that_holds_its_reader(
    tmp_path: Path, refused: Any, monkeypatch: pytest.MonkeyPatch
):
    """Two thousand million variables, all of which cdflib lists."""
    monkeypatch.setattr(native, "NATIVE_SPARE_S", 1.0)
    make_h36m(tmp_path / "root", 9)
    path = tmp_path / "root/S9/MyPoseFeatures/D3_Positions_mono/Directions 1.60457274.cdf"
    overwrite(path, 380, struct.pack(">i", 2**31 - 1))
    start = time.perf_counter()
    assert f"{path} is damaged or cut short: reading it took more than 1 s" in refused("h36m")
    assert time.perf_counter() - start < 10


@pytest.mark.skipif(os.name != "posix", reason="Windows ends a process without asking")
def test_a_run_that_is_ended_leaves_nothing(tmp_path: Path):
    make_h36m(tmp_path / "root", 9)
    path = tmp_path / "root/S9/MyPoseFeatures/D3_Positions_mono/Directions 1.60457274.cdf"
    overwrite(path, 380, struct.pack(">i", 2**31 - 1))
    words = ["h36m", "--root", str(tmp_path / "root"), "--split", "test", "--out", "out"]
    environment = os.environ | {"PYTHONPATH": str(REPOSITORY)}
    with subprocess.Popen(
        [sys.executable, "-m", "training.prepare", *words], cwd=tmp_path, env=environment
    ) as run:
        while not (tmp_path / "out.partial").exists() and run.poll() is None:
            time.sleep(0.01)
        run.terminate()
        assert run.wait(30) == 128 + signal.SIGTERM
    assert not list(tmp_path.glob("out*"))


@pytest.mark.skipif(os.name != "posix", reason="Windows ends a process without asking")
def test_an_end_while_a_reader_starts_waits_for_nothing(tmp_path: Path):
    (tmp_path / "labels.mat").write_bytes(b"")
    program = """
import os, pathlib, signal, sys, threading
from training.datasets.formats import native
from training.datasets.formats.files import read_json
signal.signal(signal.SIGTERM, lambda number, _: sys.exit(128 + number))
start = threading.Timer.start
def end_after(timer):
    start(timer)
    os.kill(os.getpid(), signal.SIGTERM)
threading.Timer.start = end_after
native.read_native("mat", pathlib.Path("labels.mat"), keys=["joints"])
"""
    environment = os.environ | {"PYTHONPATH": str(REPOSITORY)}
    words = [sys.executable, "-c", program]
    ran = subprocess.run(words, cwd=tmp_path, env=environment, timeout=30, check=False)
    assert ran.returncode == 128 + signal.SIGTERM


def test_small_files_are_answered_for_within_ten_seconds():
    memory_bytes, seconds = native.limits_of(10_000)
    assert seconds < 8
    assert memory_bytes < 1.5e9


def test_a_matlab_file_that_unpacks_to_gigabytes(
    tmp_path: Path, refused: Any, monkeypatch: pytest.MonkeyPatch
):
    pytest.importorskip("resource", reason="limits of a process are POSIX's")
    monkeypatch.setattr(native, "NATIVE_SPARE_BYTES", 200_000_000)
    (tmp_path / "root").mkdir()
    path = tmp_path / "root/joints.mat"
    savemat(path, {"joints": np.zeros((14, 3, 250_000))}, do_compression=True)
    assert f"{path} stands for far more numbers" in refused("lsp-extended")


def test_an_hdf_file_that_stands_for_petabytes(tmp_path: Path):
    h5py = pytest.importorskip("h5py")
    path = tmp_path / "annot_data.mat"
    with h5py.File(path, "w") as file:
        file.create_dataset("annot2", (1 << 40, 1000), "f4", chunks=(1, 1000))
    with pytest.raises(SetError, match=r"annot_data\.mat stands for far more numbers"):
        native.read_native("hdf", path, keys=["annot2"])


@pytest.mark.parametrize("way", ["other file", "other place", "raw bytes", "virtual"])
def test_an_hdf_file_that_reads_from_elsewhere(tmp_path: Path, way: str):
    """HDF5 can tie an entry to any file of the user's, whose bytes would be taken for labels."""
    h5py = pytest.importorskip("h5py")
    path, secret = tmp_path / "annot.mat", tmp_path / "secret.bin"
    with h5py.File(tmp_path / "other.h5", "w") as other:
        other["annot2"] = np.zeros(4)
    secret.write_bytes(np.arange(4.0).tobytes())
    with h5py.File(path, "w") as file:
        if way == "other file":
            file["annot2"] = h5py.ExternalLink(tmp_path / "other.h5", "annot2")
        elif way == "other place":
            file["annot2"] = h5py.SoftLink("/elsewhere")
        elif way == "raw bytes":
            file.create_dataset("annot2", (4,), "f8", external=[(str(secret), 0, 32)])
        else:
            layout = h5py.VirtualLayout((4,), "f8")
            layout[:] = h5py.VirtualSource(tmp_path / "other.h5", "annot2", (4,))
            file.create_virtual_dataset("annot2", layout)
    with pytest.raises(SetError, match="keeps the entry 'annot2' in another"):
        native.read_native("hdf", path, keys=["annot2"])


@pytest.mark.parametrize(
    "text",
    [
        "[" * 200_000,
        '{"data":' + "[" * 3000 + "]" * 3000 + "}",
        '{"data": 5}',
        '{"data": [5]}',
        '{"data": [{"imageName": 1, "parm_pose": 1, "parm_shape": 1}]}',
        '{"\\u00b2": {"smpl_param": 1}}',
        json.dumps(eft(np.tile(np.eye(3), (24, 1, 1)).tolist(), annotId="\x1b[2J")),
        '{"data": [' + "9" * 5000 + "]}",
    ],
)
def test_labels_of_odd_forms(tmp_path: Path, refused: Any, text: str):
    make_coco(tmp_path / "root")
    labels = tmp_path / "eft.json"
    labels.write_text(text)
    assert str(labels) in refused("coco", "--labels", labels)


@pytest.mark.parametrize(
    "name", ["../../../etc/passwd", "/dev/zero", "\x00", "\x1b[2J", "a\\..\\..\\b", "C:x", 7, None]
)
def test_pictures_lie_below_the_root(tmp_path: Path, refused: Any, name: Any):
    images = [{"id": 9, "file_name": name}]
    make_coco(tmp_path / "root", images=images, annotations=[coco_person(101, 9)])
    assert "names a picture" in refused("coco")


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="pipes with names are POSIX's")
def test_a_pipe_is_no_picture(tmp_path: Path, refused: Any):
    make_coco(tmp_path / "root")
    path = tmp_path / "root/train2014/COCO_train2014_000000000009.jpg"
    path.unlink()
    os.mkfifo(path)
    assert f"{path} is missing" in refused("coco")


def test_one_array_named_again_and_again_is_not_a_crowd(tmp_path: Path, refused: Any):
    """A megabyte in a list ten thousand times would be ten gigabytes of rows."""
    content = make_3dpw(tmp_path / "root")
    lists = ("poses", "betas", "jointPositions", "campose_valid", "genders")
    make_3dpw(tmp_path / "root", **{name: content[name][:1] * 50 for name in lists})
    assert "yard_00.pkl has 50 people" in refused("3dpw")


def test_frames_beyond_counting(tmp_path: Path, refused: Any):
    make_posetrack(tmp_path / "root", categories=7)
    assert "000001_bonn_train.json is damaged" in refused("posetrack")


def test_a_record_longer_than_its_file(tmp_path: Path, refused: Any):
    message, _ = insta_example(tmp_path)
    path = made.tfrecord(tmp_path / "root/a.tfrecord", [message])
    path.write_bytes(path.read_bytes()[: 12 + 100])
    assert f"{path} is cut short" in refused("insta-variety")


@pytest.fixture(scope="module")
def samples(tmp_path_factory: pytest.TempPathFactory):
    """All kinds of sets, the sets of many videos as short as can be."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(human36m, "SUBJECTS", dict(human36m.SUBJECTS))
        for name in ("SUBJECTS", "SEQUENCES", "CAMERAS", "TEST_SUBJECTS"):
            patch.setattr(fuzz_sets.mpi_inf_3dhp, name, getattr(fuzz_sets.mpi_inf_3dhp, name))
        fuzz_sets.shorten()
        yield tmp_path_factory.mktemp("samples")


@pytest.mark.parametrize(("native_ones", "cases"), [(False, 225), (True, 60)])
def test_damaged_files_of_every_kind(
    samples: Path, native_ones: bool, cases: int, monkeypatch: pytest.MonkeyPatch
):
    """`python -m tests.support.fuzz_sets 3000` tries more, each in a process that may die."""
    monkeypatch.setattr(native, "NATIVE_SPARE_S", 1.0)
    names = [n for n, sample in fuzz_sets.SAMPLES.items() if sample.native == native_ones]
    fuzz = fuzz_sets.Fuzz(samples, names)
    said = [fuzz.outcome(number, seed=3) for number in range(cases)]
    assert [line for line in said if "BAD" in line] == []
    for name in names:
        assert f"{name}: refused" in said


def test_the_limits_leave_room_for_real_files():
    """MPII's release of 13 MB: 0.6 GB of objects, 23 s on a busy machine."""
    memory_bytes, seconds = native.limits_of(13_000_000)
    assert memory_bytes > 2 * 0.6e9
    assert seconds > 3 * 23
    assert limits.LARGEST_LABEL > 1e5, "a hundred metres in millimetres"


@pytest.mark.parametrize("small", ["[]", "{}", '{"a":0}', "[1,2]"])
def test_labels_of_far_more_values_than_their_size_are_refused_unread(tmp_path: Path, small: str):
    """Sixty megabytes of them took 1.5 GB."""
    path = tmp_path / "labels.json"
    path.write_text("[" + f"{small}," * (30_000_000 // len(small)) + "0]")
    tracemalloc.start()
    try:
        with pytest.raises(SetError, match=r"labels\.json .* far more numbers than it holds"):
            read_json(path)
        _, most = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert most < 100e6


def test_labels_of_pairs_of_whole_numbers_are_read(tmp_path: Path):
    path = tmp_path / "labels.json"
    path.write_text("[" + "[620,394]," * 1_000_000 + "[1,2]]")
    assert len(read_json(path)) == 1_000_001
