"""JSON that people edit: the line of what is wrong, and nothing of a stranger's that takes long or
much memory."""

import json
import time
import tracemalloc
from pathlib import Path

import pytest

from staf_backend import StafError
from staf_backend.files import EditedJson, Place
from staf_backend.files.json_lines import line_of, repeated_key

TEXT = """{
 "first": [1, {"a": "}{", "b": [
   2,
   [3, 4]]}],
 "sec\\u006fnd": {"first": {"x": 1.5e3,

  "y": null}}
}"""
_FILE = EditedJson("tracks", StafError, "Correct it.", 100_000_000)
DEEP = 900


@pytest.mark.parametrize(
    ("path", "line"),
    [
        ((), 1),
        (("first",), 2),
        (("first", 1, "b"), 2),
        (("first", 1, "b", 0), 3),
        (("first", 1, "b", 1, 1), 4),
        (("second", "first", "y"), 7),
        (("second", "first", "absent"), 5),
        (("first", 7), 2),
        (("second", 0), 5),
    ],
)
def test_a_value_is_found_or_its_nearest_holder(path: tuple[str | int, ...], line: int):
    json.loads(TEXT)
    assert line_of(TEXT, path) == line


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ('{"a": 1, "b": {"a": 2},\n "c": [{"a": 1}, {"a": 2}]}', None),
        ('{"a": {"x": 1},\n "b": 1,\n "a": 2}', ("a", 3)),
        ('{"b": {"a": 1,\n "\\u0061": 2}}', ("a", 2)),
        ('{"q\\"": "q\\"", "r": ["q\\"", "{"],\n "q\\"" : 0}', ('q"', 2)),
    ],
)
def test_a_key_that_stands_twice_in_one_object_is_found(text: str, found: tuple[str, int] | None):
    json.loads(text)
    assert repeated_key(text) == found


def read_within(path: Path, seconds: float, most_bytes: float) -> str:
    """What is said of a file in which something is missing."""
    begin_s = time.process_time()
    tracemalloc.start()
    with pytest.raises(StafError) as caught:
        _FILE.read(path, lambda file: file.at("missing"))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert time.process_time() - begin_s < seconds
    assert peak < most_bytes
    return caught.value.message


def test_many_keys_deep_inside_take_no_memory_for_the_way_to_them(tmp_path: Path):
    """Eight megabytes of them took 5.5 GB and 70 s."""
    path = tmp_path / "deep.json"
    inner = ",".join(f'"{i}":0' for i in range(60_000))
    path.write_text('{"a":' * DEEP + "{" + inner + "}" + "}" * DEEP)
    assert '"missing" is missing' in read_within(path, 10, 40e6)


def test_a_long_string_takes_no_more_than_its_length(tmp_path: Path):
    """Eight megabytes of escapes took 480 MB."""
    path = tmp_path / "long.json"
    path.write_text('{"a":"' + '\\"' * 2_000_000 + '"}')
    assert '"missing" is missing' in read_within(path, 10, 40e6)


@pytest.mark.parametrize("small", ["[]", "{}", '{"a":0}', '[""]'])
def test_far_more_values_than_a_file_of_that_size_has_are_refused_unread(
    tmp_path: Path, small: str
):
    path = tmp_path / "many.json"
    path.write_text("[" + f"{small}," * (30_000_000 // len(small)) + "0]")
    assert "far more numbers than it holds" in read_within(path, 10, 200e6)


def test_a_file_is_read_up_to_what_it_may_have(tmp_path: Path):
    path = tmp_path / "one.json"
    path.write_text('{"a": 1}')
    assert _FILE.read(path, lambda file: file.at("a").whole(), 8) == 1
    with pytest.raises(StafError, match="too large"):
        _FILE.read(path, Place.items, 7)
