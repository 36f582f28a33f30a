"""Prepared sets: what is written is read back, through maps; rubbish is refused with one line."""

import dataclasses
import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load_file

from tests.support.make_training_sets import extents
from tests.support.places import REPOSITORY
from training.datasets import Annotations, SetError, open_set, write_set
from training.datasets.store import ROW_FIELDS
from training.datasets.store_folder import made_whole


def labels(count: int = 12, seed: int = 0, people: int = 3, **changes) -> Annotations:
    """`people` people of `count / people` frames each, all fields filled."""
    rng = np.random.default_rng(seed)
    arrays = {
        name: rng.random((count, *shape)).astype(dtype)
        for name, (dtype, shape) in ROW_FIELDS.items()
    }
    arrays["quaternions_wxyz"] /= np.linalg.norm(arrays["quaternions_wxyz"], axis=-1)[..., None]
    arrays["boxes_px"] += 1
    arrays |= {name: rng.integers(0, 2, count).astype("f4") for name in ("has_pose", "has_betas")}
    arrays["image"] = np.arange(count, dtype="i4")
    arrays["sequence"] = np.repeat(np.arange(people, dtype="i4"), count // people)
    arrays["frame"] = np.tile(np.arange(count // people, dtype="i4"), people)
    arrays |= {name: np.asarray(value) for name, value in changes.items()}
    images = tuple(f"videos{seed}/{'ä' * (i % 3)}{i}.avi#{i}" for i in range(count))
    return Annotations("made", "train", "smpl-neutral", 25.0, images, **arrays)


def assert_same(found, expected) -> None:
    for name in ROW_FIELDS:
        np.testing.assert_array_equal(getattr(found, name), getattr(expected, name), name)


def test_a_set_is_read_back(tmp_path: Path):
    made = labels()
    write_set(tmp_path / "set", made, {"kept": 12}, root=tmp_path)
    read = open_set(tmp_path / "set")
    assert_same(read, made)
    assert tuple(read.images) == made.images
    assert read.images[-1] == made.images[11]
    assert read.images[2:5] == made.images[2:5]
    head = (read.name, read.split, read.body, read.fps, read.root, len(read))
    assert head == ("made", "train", "smpl-neutral", 25.0, tmp_path, 12)
    assert read.report() == {"kept": 12}
    assert isinstance(read.joints_m, np.memmap)
    assert extents(read).tolist() == [[0, 4], [4, 8], [8, 12]]


def test_others_can_read_the_arrays(tmp_path: Path):
    made = labels()
    write_set(tmp_path / "set", made, {})
    for name in ROW_FIELDS:
        content = load_file(tmp_path / "set" / f"{name}.safetensors")
        np.testing.assert_array_equal(content[name], getattr(made, name))


def test_parts_become_one(tmp_path: Path):
    """Each part numbers its own images and sequences from zero."""
    parts = [labels(seed=seed) for seed in range(3)]
    write_set(tmp_path / "set", iter(parts), {})
    read = open_set(tmp_path / "set")
    assert len(read) == 36
    assert len(extents(read)) == 9
    for index, part in enumerate(parts):
        rows = slice(12 * index, 12 * index + 12)
        assert [read.image_of(row) for row in range(36)[rows]] == list(part.images)
        np.testing.assert_array_equal(read.joints_m[rows], part.joints_m)


def test_the_root_can_be_the_set_or_moved(tmp_path: Path):
    write_set(tmp_path / "set", labels(), {})
    assert open_set(tmp_path / "set").root.resolve() == (tmp_path / "set").resolve()
    assert open_set(tmp_path / "set", tmp_path).root == tmp_path


def test_opening_takes_no_memory(tmp_path: Path):
    """A set of 200 MB opens in a process that grows by less than a tenth of that."""
    count = 1000
    part = labels(count, people=10)
    write_set(tmp_path / "set", (part for _ in range(100)), {})
    size = sum(file.stat().st_size for file in (tmp_path / "set").iterdir())
    assert size > 150e6
    code = (
        "import resource, sys; from pathlib import Path\n"
        "from training.datasets.store import open_set\n"
        "peak = lambda: resource.getrusage(resource.RUSAGE_SELF).ru_maxrss\n"
        f"before = peak(); read = open_set(Path({str(tmp_path / 'set')!r}))\n"
        "for row in range(0, len(read), 10007): read.images[int(read.image[row])]\n"
        "print(len(read), peak() - before)"
    )
    run = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=REPOSITORY
    )
    rows, grown = map(int, run.stdout.split())
    assert rows == 100 * count
    assert grown < 20_000


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"betas": np.zeros((11, 10), "f4")}, r"betas must be \(12, 10\), got \(11, 10\)"),
        ({"frame": np.zeros(12, "i8")}, "frame must be int32"),
        ({"joints_m": np.full((12, 49, 4), np.nan, "f4")}, "joints_m is not finite in row 0"),
        ({"frame": np.zeros(12, "i4")}, "frame must increase"),
        ({"sequence": np.arange(12, dtype="i4")[::-1].copy()}, "sequence must not decrease"),
        ({"image": np.full(12, 12, "i4")}, "image must index the 12 images"),
        ({"boxes_px": np.zeros((12, 3), "f4")}, "boxes_px: no side in row 0"),
        ({"quaternions_wxyz": np.ones((12, 24, 4), "f4")}, "unit length"),
        ({"has_pose": np.full(12, 0.5, "f4")}, "has_pose must be 0 or 1"),
        ({"gender": np.full(12, 3, "i1")}, "gender must be"),
    ],
)
def test_rubbish_is_refused_at_the_door(changes, message: str):
    with pytest.raises(ValueError, match=message):
        labels(**changes)


def test_an_end_as_soon_as_the_folder_is_there_leaves_nothing(tmp_path: Path, monkeypatch):
    touch = Path.touch

    def ended(path: Path) -> None:
        touch(path)
        raise SystemExit(143)

    monkeypatch.setattr(Path, "touch", ended)
    with pytest.raises(SystemExit), made_whole(tmp_path / "set"):
        pass
    assert not list(tmp_path.iterdir())


def test_nothing_half_written_takes_a_place(tmp_path: Path):
    """A reader that fails leaves the older set as it was and nothing beside it."""
    write_set(tmp_path / "set", labels(seed=1), {})

    def failing():
        yield labels(seed=2)
        raise SetError("The video is broken.")

    with pytest.raises(SetError, match="broken"):
        write_set(tmp_path / "set", failing(), {})
    assert_same(open_set(tmp_path / "set"), labels(seed=1))
    assert [path.name for path in tmp_path.iterdir()] == ["set"]
    write_set(tmp_path / "set", labels(seed=3), {})
    assert_same(open_set(tmp_path / "set"), labels(seed=3))
    assert [path.name for path in tmp_path.iterdir()] == ["set"]


def test_a_full_disk_leaves_the_older_set(tmp_path: Path):
    write_set(tmp_path / "set", labels(seed=1), {})
    code = (
        "import resource, signal, sys; from pathlib import Path\n"
        "from tests.training.datasets.test_store import labels\n"
        "from training.datasets.store import SetError, write_set\n"
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (200_000, 200_000))\n"
        "try: write_set(Path(sys.argv[1]), (labels(300) for _ in range(9)), {})\n"
        "except SetError as error: print(error)"
    )
    run = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path / "set")],
        capture_output=True,
        text=True,
        check=True,
        cwd=REPOSITORY,
    )
    assert "cannot be written" in run.stdout
    assert_same(open_set(tmp_path / "set"), labels(seed=1))
    assert [path.name for path in tmp_path.iterdir()] == ["set"]


def test_parts_of_two_sets_do_not_mix(tmp_path: Path):
    other = dataclasses.replace(labels(), body="smpl-male")
    with pytest.raises(SetError, match="Parts disagree"):
        write_set(tmp_path / "set", iter([labels(), other]), {})


def test_an_empty_set_is_an_error(tmp_path: Path):
    with pytest.raises(SetError, match="every row was skipped"):
        write_set(tmp_path / "set", iter([]), {})


def test_a_folder_of_somebody_else_is_left_alone(tmp_path: Path):
    (tmp_path / "thesis.txt").write_text("mine")
    with pytest.raises(SetError, match="not empty and no prepared set"):
        write_set(tmp_path, labels(), {})
    assert (tmp_path / "thesis.txt").read_text() == "mine"


def damage(folder: Path, how: str) -> None:
    index = json.loads((folder / "index.json").read_text())
    if how == "newer":
        index["format"] = 2
    elif how == "joints":
        index["joint_names"] = index["joint_names"][::-1]
    elif how == "rows":
        index["rows"] = 13
    elif how == "no key":
        del index["fps"]
    (folder / "index.json").write_text(json.dumps(index))
    if how == "cut":
        with (folder / "joints_m.safetensors").open("r+b") as file:
            file.truncate(1000)
    elif how == "gone":
        (folder / "joints_m.safetensors").unlink()
    elif how == "no json":
        (folder / "index.json").write_text("{")
    elif how == "half":
        folder.rename(folder.with_name("set.partial"))
    elif how == "swapped":
        (folder / "frame.safetensors").write_bytes((folder / "image.safetensors").read_bytes())


@pytest.mark.parametrize(
    ("how", "message"),
    [
        ("newer", "has format 2; this software reads 1. Update"),
        ("joints", "its joints are not the 49"),
        ("rows", r"is \(12,\), not \(13,\)"),
        ("no key", "damaged: 'fps'"),
        ("cut", "joints_m.safetensors has 1000 bytes of"),
        ("gone", "joints_m.safetensors is missing"),
        ("no json", "index.json cannot be read"),
        ("half", "was not finished"),
        ("swapped", "frame.safetensors has no header of an array frame"),
    ],
)
def test_damaged_sets_say_what_is_wrong(tmp_path: Path, how: str, message: str):
    write_set(tmp_path / "set", labels(), {})
    damage(tmp_path / "set", how)
    with pytest.raises(SetError, match=message):
        open_set(tmp_path / "set")


def test_no_folder(tmp_path: Path):
    with pytest.raises(SetError, match="is no prepared set"):
        open_set(tmp_path / "nothing")
