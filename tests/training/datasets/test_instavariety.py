"""InstaVariety's records, read as TensorFlow writes them."""

from pathlib import Path

import numpy as np
import pytest

from tests.support import make_training_sets as made
from tests.support.make_picture_sets import SLOT, known, ready
from tests.support.make_video_sets import insta_example
from training.datasets import SetError
from training.datasets.formats import tfrecord
from training.datasets.instavariety import POINTS as INSTA


def test_insta_variety(tmp_path: Path):
    """Crops are unpacked as they are; the axis of x, y, seen comes before that of the points."""
    message, points = insta_example(tmp_path)
    name = "insta_variety_00_copy00_hmr_noS5.ckpt-642561.tfrecord"
    made.tfrecord(tmp_path / "root/train" / name, [message, message])
    found = ready("insta-variety", tmp_path)
    assert (len(found), len(made.extents(found)), found.root.resolve()) == (
        10,
        2,
        (tmp_path / "set").resolve(),
    )
    assert found.images[6] == "images/insta_variety_00_copy00_hmr_noS5/001/000001.jpg"
    picture = made.picture(tmp_path / "crop.jpg", seed=1).read_bytes()
    assert (found.root / found.images[6]).read_bytes() == picture
    for joint in ("op_left_big_toe", "op_right_wrist", "head_top", "op_left_ear"):
        expected = points[:, INSTA.index(joint)]
        np.testing.assert_allclose(found.keypoints_px[:5, SLOT[joint]], expected, rtol=1e-5)
    assert known(found.keypoints_px[0]) == set(INSTA) - {"op_nose"}


def test_insta_variety_test_split(tmp_path: Path):
    """Nineteen points, without toes; the track's place in its video stands with it."""
    message, points = insta_example(tmp_path, {"image/toe_pts": [], "meta/time_pts": [3, 8]})
    made.tfrecord(tmp_path / "root/test/insta_variety_00.tfrecord", [message])
    found = ready("insta-variety", tmp_path, split="test")
    assert (len(found), found.split) == (5, "test")
    wrist = points[:, INSTA.index("op_right_wrist")]
    np.testing.assert_allclose(found.keypoints_px[:, SLOT["op_right_wrist"]], wrist, rtol=1e-5)
    assert known(found.keypoints_px[0]) == set(INSTA[:19]) - {"op_nose"}
    with pytest.raises(SetError, match=r"holds no \.tfrecord files"):
        ready("insta-variety", tmp_path)


def test_insta_variety_rubbish(tmp_path: Path):
    path = tmp_path / "root/a.tfrecord"
    made.tfrecord(path, [insta_example(tmp_path, {"image/face_pts": []})[0]])
    with pytest.raises(SetError, match="example 0 lacks the entry 'image/face_pts'"):
        ready("insta-variety", tmp_path)
    made.tfrecord(path, [insta_example(tmp_path, {"meta/N": [4]})[0]])
    with pytest.raises(SetError, match="its points do not fit 4 frames"):
        ready("insta-variety", tmp_path)
    message, _ = insta_example(tmp_path)
    made.tfrecord(path, [message])
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(SetError, match="is cut short"):
        ready("insta-variety", tmp_path)
    path.write_bytes(b"<html>" * 10)
    with pytest.raises(SetError, match="is no TFRecord file"):
        ready("insta-variety", tmp_path)
    made.tfrecord(path, [b"\x0a\xff\xff\xff\xff\x0f"])
    with pytest.raises(SetError, match="example 0 is damaged"):
        ready("insta-variety", tmp_path)
    broken = [b"\xff\xd8 no end"] * 5
    made.tfrecord(path, [message, insta_example(tmp_path, {"image/encoded": broken})[0]])
    assert len(ready("insta-variety", tmp_path)) == 5


def test_examples_are_read_as_protobuf_reads_them():
    values = {"a": [b"x" * 300, b""], "b": [1.5, -2.0], "c": [-3, 0, 1 << 40]}
    found = tfrecord.example(made.example(values))
    assert found["a"] == values["a"]
    assert np.asarray(found["b"]).tolist() == values["b"]
    assert np.asarray(found["c"]).tolist() == values["c"]


def test_records_are_read_as_tensorboard_writes_them(tmp_path: Path):
    writer = pytest.importorskip("tensorboard.summary.writer.record_writer")
    messages = [b"one", b"", b"three" * 1000]
    with (tmp_path / "a.tfrecord").open("wb") as file:
        records = writer.RecordWriter(file)
        for message in messages:
            records.write(message)
        records.flush()
        assert list(tfrecord.records(tmp_path / "a.tfrecord")) == messages


@pytest.mark.parametrize("small", [b"\x0a\x00", b"\x0a\x01\x00"])
def test_an_example_of_millions_of_tiny_fields_is_refused(small: bytes):
    """As Python's objects they took twenty times their size."""
    with pytest.raises(ValueError, match="far more fields"):
        tfrecord.example(small * 1_200_000)


def test_an_example_of_millions_of_numbers_is_refused():
    entry = lambda number, content: b"%c" % (number << 3 | 2) + _length(content) + content
    numbers = entry(3, entry(1, b"\x00" * 1_200_000))
    message = entry(1, entry(1, entry(1, b"meta/N") + entry(2, numbers)))
    with pytest.raises(ValueError, match="far more numbers"):
        tfrecord.example(message)


def _length(content: bytes) -> bytes:
    """A varint."""
    left, found = len(content), []
    while left > 127:
        found.append(left & 127 | 128)
        left >>= 7
    return bytes([*found, left])
