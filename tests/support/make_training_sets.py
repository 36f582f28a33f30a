"""Small data sets in the formats in which their authors distribute them, with our own numbers.

Nothing of the real sets is here: pictures are noise, people are random points.  What is exact is
the layout: names, shapes, units, order of axes, kinds of files.
"""

import json
import struct
from pathlib import Path
from typing import Any

import av
import cv2
import numpy as np

from training.datasets import PreparedSet

POSETRACK = (
    *("nose", "head_bottom", "head_top", "left_ear", "right_ear", "left_shoulder"),
    *("right_shoulder", "left_elbow", "right_elbow", "left_wrist", "right_wrist", "left_hip"),
    *("right_hip", "left_knee", "right_knee", "left_ankle", "right_ankle"),
)
"""Names as PoseTrack's files of 2018 list them."""


def extents(prepared: PreparedSet) -> np.ndarray:
    """(S, 2) first row of each sequence of a prepared set and the row after its last."""
    first = np.flatnonzero(np.diff(prepared.sequence, prepend=np.int32(-1)))
    return np.stack([first, np.append(first[1:], len(prepared))], -1)[: len(first)]


def picture(path: Path, width: int = 160, height: int = 120, seed: int = 0) -> Path:
    """A JPEG or PNG of noise."""
    path.parent.mkdir(parents=True, exist_ok=True)
    noise = np.random.default_rng(seed).integers(0, 255, (height // 8, width // 8, 3), np.uint8)
    assert cv2.imwrite(str(path), cv2.resize(noise, (width, height)))
    return path


def video(path: Path, frames: int, fps: int, width: int = 128, height: int = 128) -> Path:
    """A video whose frame n is of brightness 10 n."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with av.open(str(path), "w") as container:
        stream = container.add_stream("mpeg4", rate=fps)
        stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
        for number in range(frames):
            grey = np.full((height, width, 3), 10 * number % 256, np.uint8)
            container.mux(stream.encode(av.VideoFrame.from_ndarray(grey)))
        container.mux(stream.encode())
    return path


def write_json(path: Path, content: Any) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(content))
    return path


def cdf(path: Path, values: np.ndarray) -> Path:
    """A Common Data Format file with the one variable "Pose" of one record, as Human3.6M's."""
    from cdflib.cdfwrite import CDF

    path.parent.mkdir(parents=True, exist_ok=True)
    file = CDF(str(path), cdf_spec={"Compressed": 0}, delete=True)
    spec = {
        "Variable": "Pose",
        "Data_Type": 44,
        "Num_Elements": 1,
        "Rec_Vary": True,
        "Dim_Sizes": list(values.shape),
        "Compress": 6,
    }
    file.write_var(spec, var_data=values[None])
    file.close()
    return path


def python2_pickle(value: Any) -> bytes:
    """What Python 2's cPickle of protocol 2 and its numpy write: byte strings, old module names."""
    return b"\x80\x02" + _pickled(value) + b"."


def _pickled(value: Any) -> bytes:
    if isinstance(value, dict):
        items = b"".join(_pickled(key) + _pickled(entry) for key, entry in value.items())
        return b"}(" + items + b"u"
    if isinstance(value, list):
        return b"](" + b"".join(map(_pickled, value)) + b"e"
    if isinstance(value, str | bytes):
        data = value.encode("latin1") if isinstance(value, str) else value
        return b"T" + struct.pack("<i", len(data)) + data
    if isinstance(value, np.ndarray):
        return _pickled_array(value)
    if isinstance(value, bool) or value is None:
        return b"N" if value is None else b"\x88" if value else b"\x89"
    if isinstance(value, int):
        return b"J" + struct.pack("<i", value)
    raise TypeError(f"{type(value)}")


def _pickled_array(value: np.ndarray) -> bytes:
    minus = _pickled(-1)
    dtype = (
        b"cnumpy\ndtype\n(" + _pickled(value.dtype.str[1:]) + b"K\x00K\x01tR"
        b"(K\x03" + _pickled("<") + b"NNN" + minus + minus + b"K\x00tb"
    )
    shape = b"(" + b"".join(_pickled(int(size)) for size in value.shape) + b"t"
    return (
        b"cnumpy.core.multiarray\n_reconstruct\n(cnumpy\nndarray\n(K\x00t" + _pickled("b") + b"tR"
        b"(K\x01" + shape + dtype + b"\x89" + _pickled(value.tobytes()) + b"tb"
    )


def tfrecord(path: Path, messages: list[bytes]) -> Path:
    """A TFRecord file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("wb") as file:
        for message in messages:
            length = struct.pack("<Q", len(message))
            file.write(length + _masked(length) + message + _masked(message))
    return path


def _masked(data: bytes) -> bytes:
    """CRC-32C bit by bit, masked as TensorFlow does."""
    crc = 0xFFFFFFFF
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = (crc >> 1) ^ (0x82F63B78 if crc & 1 else 0)
    crc ^= 0xFFFFFFFF
    return struct.pack("<I", (((crc >> 15) | (crc << 17)) + 0xA282EAD8) % 2**32)


def example(features: dict[str, Any]) -> bytes:
    """tf.train.Example as Google's protobuf package writes it."""
    kinds = {bytes: "bytes_list", float: "float_list", int: "int64_list"}
    message = _example_class()()
    for name, values in features.items():
        entry = message.features.feature.add(key=name)
        getattr(entry.value, kinds[type(values[0])]).value.extend(values)
    return message.SerializeToString()


def _example_class() -> Any:
    """TensorFlow's example.proto and feature.proto, in which a map is a repeated entry."""
    from google.protobuf import descriptor_pb2, descriptor_pool, message_factory

    file = descriptor_pb2.FileDescriptorProto(name="example.proto", syntax="proto3", package="tf")
    types = descriptor_pb2.FieldDescriptorProto
    layout = [
        ("BytesList", [("value", 1, types.TYPE_BYTES, None, True)]),
        ("FloatList", [("value", 1, types.TYPE_FLOAT, None, True)]),
        ("Int64List", [("value", 1, types.TYPE_INT64, None, True)]),
        (
            "Feature",
            [
                ("bytes_list", 1, types.TYPE_MESSAGE, "BytesList", False),
                ("float_list", 2, types.TYPE_MESSAGE, "FloatList", False),
                ("int64_list", 3, types.TYPE_MESSAGE, "Int64List", False),
            ],
        ),
        (
            "Entry",
            [
                ("key", 1, types.TYPE_STRING, None, False),
                ("value", 2, types.TYPE_MESSAGE, "Feature", False),
            ],
        ),
        ("Features", [("feature", 1, types.TYPE_MESSAGE, "Entry", True)]),
        ("Example", [("features", 1, types.TYPE_MESSAGE, "Features", False)]),
    ]
    for name, fields in layout:
        kind = file.message_type.add(name=name)
        for field, number, field_type, of, many in fields:
            label = types.LABEL_REPEATED if many else types.LABEL_OPTIONAL
            added = kind.field.add(name=field, number=number, type=field_type, label=label)
            if of:
                added.type_name = f".tf.{of}"
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    return message_factory.GetMessageClass(pool.FindMessageTypeByName("tf.Example"))
