"""What lies where a set is made, or is read from, and is none: nothing is lost, nothing hangs."""

import json
import os
import struct
import zlib
from pathlib import Path

import numpy as np
import pytest

from tests.support.make_picture_sets import coco_person, make_coco, ready
from training import prepare
from training.data.crops import PreparedImages
from training.datasets import SetError, open_set

needs_pipes = pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="pipes with names are POSIX's")


def prepared(tmp_path: Path, *more: object, root: Path | None = None, out: str = "set") -> int:
    words = ["--root", root or tmp_path / "root", "--out", tmp_path / out, *more]
    return prepare.main(["coco", *map(str, words)])


@pytest.mark.parametrize("name", ["set.old", "set.partial"])
def test_a_neighbour_of_a_users_stays(tmp_path: Path, name: str):
    make_coco(tmp_path / "root")
    assert prepared(tmp_path) == 0
    (tmp_path / name).mkdir()
    (tmp_path / name / "thesis.txt").write_text("mine")
    prepared(tmp_path)
    assert (tmp_path / name / "thesis.txt").read_text() == "mine"
    assert len(open_set(tmp_path / "set")) == 2


def test_what_a_killed_run_left_is_removed(tmp_path: Path):
    make_coco(tmp_path / "root")
    (tmp_path / "set.partial").mkdir()
    (tmp_path / "set.partial/.half-made").touch()
    (tmp_path / "set.partial/image.safetensors").write_bytes(b"half")
    assert prepared(tmp_path) == 0
    assert sorted(path.name for path in tmp_path.iterdir()) == ["root", "set"]
    assert not (tmp_path / "set/.half-made").exists()


@pytest.mark.parametrize("index", ['{"site": 1}', '{"format": 3, "files": ["a"]}', "{", None])
def test_another_folder_with_an_index_stays(
    tmp_path: Path, index: str | None, capsys: pytest.CaptureFixture[str]
):
    make_coco(tmp_path / "root")
    (tmp_path / "set").mkdir()
    (tmp_path / "set/thesis.txt").write_text("mine")
    if index is not None:
        (tmp_path / "set/index.json").write_text(index)
    assert prepared(tmp_path) == SetError.exit_code
    assert "is not empty and no prepared set" in capsys.readouterr().err
    assert (tmp_path / "set/thesis.txt").read_text() == "mine"


def test_a_set_in_which_its_download_lies_is_not_replaced(tmp_path: Path):
    make_coco(tmp_path / "root")
    assert prepared(tmp_path) == 0
    make_coco(tmp_path / "set/root")
    assert prepared(tmp_path, root=tmp_path / "set/root") == SetError.exit_code
    assert (tmp_path / "set/root/train2014").is_dir()


def test_the_folder_one_stands_in(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    make_coco(tmp_path / "root")
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    words = ["coco", "--root", str(tmp_path / "root"), "--out", "."]
    assert prepare.main(words) == SetError.exit_code
    assert "is where you are" in capsys.readouterr().err


@pytest.mark.parametrize("words", [["--fps", "0"], ["--fps", "nan"], ["--min-side-px", "-1"]])
def test_numbers_that_mean_nothing(
    tmp_path: Path, words: list[str], capsys: pytest.CaptureFixture[str]
):
    make_coco(tmp_path / "root")
    with pytest.raises(SystemExit, match="2"):
        prepared(tmp_path, *words)
    assert f"argument {words[0]}: {words[1]} is no number above 0" in capsys.readouterr().err


def test_names_too_long_to_be_one(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    make_coco(tmp_path / "root")
    assert prepared(tmp_path, root=tmp_path / ("a" * 300)) == SetError.exit_code
    assert prepared(tmp_path, out="a" * 300) == SetError.exit_code
    assert "File name too long" in capsys.readouterr().err


@needs_pipes
def test_a_pipe_is_no_record_file(tmp_path: Path):
    (tmp_path / "root").mkdir()
    os.mkfifo(tmp_path / "root/a.tfrecord")
    with pytest.raises(SetError, match=r"a\.tfrecord cannot be read: it is no file but a pipe"):
        ready("insta-variety", tmp_path)


@needs_pipes
def test_a_pipe_is_no_array(tmp_path: Path):
    make_coco(tmp_path / "root")
    ready("coco", tmp_path)
    index = json.loads((tmp_path / "set/index.json").read_text())
    (tmp_path / "set/index.json").write_text(json.dumps(index | {"files": {}}))
    (tmp_path / "set/frame.safetensors").unlink()
    os.mkfifo(tmp_path / "set/frame.safetensors")
    with pytest.raises(SetError, match=r"is damaged: .*it is no file but a pipe"):
        open_set(tmp_path / "set")


@pytest.mark.parametrize("changes", [{"files": []}, {"rows": 1e300}, {"files": {"a": [2]}}])
def test_an_index_of_odd_values(tmp_path: Path, changes: dict[str, object]):
    make_coco(tmp_path / "root")
    ready("coco", tmp_path)
    index = json.loads((tmp_path / "set/index.json").read_text())
    (tmp_path / "set/index.json").write_text(json.dumps(index | changes))
    with pytest.raises(SetError, match="set is damaged"):
        open_set(tmp_path / "set")


def test_an_index_without_end(tmp_path: Path):
    make_coco(tmp_path / "root")
    ready("coco", tmp_path)
    with (tmp_path / "set/index.json").open("r+b") as file:
        file.truncate(1 << 34)
    with pytest.raises(SetError, match=r"index\.json cannot be read: it is far too large"):
        open_set(tmp_path / "set")


def test_names_with_a_hash_are_pictures(tmp_path: Path):
    images = [{"id": 9, "file_name": "a#b.png"}]
    make_coco(tmp_path / "root", images=images, annotations=[coco_person(101, 9)])
    (tmp_path / "root/train2014/COCO_train2014_000000000009.jpg").rename(
        tmp_path / "root/train2014/a#b.png"
    )
    images = PreparedImages(ready("coco", tmp_path))
    assert images.image(0, np.random.default_rng(0))[0].shape == (224, 224, 3)


def test_a_picture_named_like_a_frame(tmp_path: Path):
    images = [{"id": 9, "file_name": "a.jpg#7"}]
    make_coco(tmp_path / "root", images=images, annotations=[coco_person(101, 9)])
    with pytest.raises(SetError, match="names a picture"):
        ready("coco", tmp_path)


def chunk(kind: bytes, content: bytes) -> bytes:
    check = struct.pack(">I", zlib.crc32(kind + content))
    return struct.pack(">I", len(content)) + kind + content + check


def test_a_picture_of_gigabytes_in_kilobytes(tmp_path: Path):
    """A PNG of 100,000 x 100,000 px, whole: 30 GB of RGB, were it decoded."""
    make_coco(tmp_path / "root")
    head = struct.pack(">IIBBBBB", 100_000, 100_000, 8, 2, 0, 0, 0)
    parts = chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(bytes(10))) + chunk(b"IEND", b"")
    for path in (tmp_path / "root/train2014").iterdir():
        path.write_bytes(b"\x89PNG\r\n\x1a\n" + parts)
    images = PreparedImages(ready("coco", tmp_path))
    with pytest.raises(SetError, match="says that its pictures have 100000x100000 px"):
        images.image(0, np.random.default_rng(0))


def test_a_row_of_no_picture(tmp_path: Path):
    make_coco(tmp_path / "root")
    ready("coco", tmp_path)
    path = tmp_path / "set/image.safetensors"
    path.write_bytes(path.read_bytes()[:-4] + struct.pack("<i", 77))
    with pytest.raises(SetError, match="names no picture of a row"):
        PreparedImages(open_set(tmp_path / "set")).image(1, np.random.default_rng(0))
