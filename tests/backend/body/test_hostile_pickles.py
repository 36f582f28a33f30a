"""Pickles that would hang, crash or fill the memory of whoever reads them as they ask."""

import os
import pickle
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from staf_backend.body import BodyError, read_body_file
from staf_backend.body.pickles import RefusedNameError, read_pickled_arrays, read_pickled_lists
from staf_backend.files import shown
from staf_backend.files.pickle_scan import MOST_STEPS, scan_pickle
from tests.support.command_line import environment
from tests.support.forked import Forked
from tests.support.make_body_files import fake_chumpy, model_arrays, write_official_pickle
from tests.support.make_hostile import (
    check_refused,
    forked_with_limits,
    get,
    long,
    put,
    resource,
    staf_with_limits,
    text,
)

HEAD = b"\x80\x02}"
DTYPE = (
    b"cnumpy\ndtype\n(" + text("f8") + b"K\x00K\x01tR(K\x03" + text("<") + b"NNNJ\xff\xff\xff\xff"
    b"J\xff\xff\xff\xffK\x00tb"
)
NEW_ARRAY = b"cnumpy.core.multiarray\n_reconstruct\n(cnumpy\nndarray\nK\x00\x85" + text("b") + b"tR"
SPARSE = b"cscipy.sparse.csc\ncsc_matrix\n)\x81}("
CHUMPY = b"cchumpy.ch\nCh\n)\x81}("


def array(shape: bytes, raw: bytes, dtype: bytes = DTYPE) -> bytes:
    """Steps that make an array; each part is steps."""
    return NEW_ARRAY + b"(K\x01" + shape + dtype + b"\x89" + raw + b"tb"


def raw(data: bytes) -> bytes:
    return b"B" + len(data).to_bytes(4, "little") + data


def line(numbers: np.ndarray, code: str = "i8") -> bytes:
    """Steps that make a one-dimensional array of whole numbers."""
    dtype = DTYPE.replace(b"f8", code.encode())
    return array(long(len(numbers)) + b"\x85", raw(numbers.astype(code).tobytes()), dtype)


def entry(value: bytes, name: str = "v_template") -> bytes:
    return text(name) + value + b"s"


def deep(step: bytes, times: int) -> bytes:
    return HEAD + b"K\x01" + step * times + b"Ns."


def shared_big_arrays() -> bytes:
    """Ten thousand arrays over the same megabyte."""
    size = 1_000_000
    first = HEAD + raw(bytes(size)) + put(1) + b"0" + DTYPE + put(2) + b"0"
    each = array(long(size // 8) + b"\x85", get(1), get(2))
    return first + b"".join(entry(each, f"n{n}") for n in range(10_000)) + b"."


def many_calls_with_many_arguments() -> bytes:
    call = get(1) + get(2) + b"R0"
    arguments = b"(" + b"N" * 100_000 + b"t" + put(2) + b"0"
    return HEAD + b"cchumpy.ch\nCh\n" + put(1) + b"0" + arguments + call * 30_000 + b"."


def text_as_arguments() -> bytes:
    return HEAD + b"cchumpy.ch\nCh\n" + text("a" * 5_000_000) + b"R."


def chumpy_doubling(levels: int = 90) -> bytes:
    made = HEAD + line(np.zeros(1)) + put(0) + b"0"
    for level in range(levels):
        part = text("a") + get(level) + text("idxs") + get(level)
        made += CHUMPY + part + b"ub" + put(level + 1) + b"0"
    return made + entry(get(levels)) + b"."


def chumpy_growing() -> bytes:
    """Each selection takes ten thousand numbers of the one before: many for few bytes."""
    numbers = line(np.zeros(10_000), "i1")
    made = HEAD + line(np.zeros(1)) + put(0) + b"0" + numbers + put(1) + b"0"
    for level in range(5_000):
        part = text("a") + get(0) + text("idxs") + get(1)
        made += entry(CHUMPY + part + b"ub", f"n{level}")
    return made + b"."


def sparse(shape: bytes, data: bytes, **parts: bytes) -> bytes:
    named = b"".join(text(name) + value for name, value in parts.items())
    return SPARSE + text("_shape") + shape + text("data") + data + named + b"ub"


def sparse_from_nothing() -> bytes:
    one = line(np.zeros(1))
    starts = line(np.array([0, 1]))
    made = HEAD
    for n in range(20):
        shape = long(50_000_000) + b"K\x01\x86"
        made += entry(sparse(shape, one, indices=one, indptr=starts), f"n{n}")
    return made + b"."


def sparse_crossed() -> bytes:
    """Rows (N, 1) and columns (1, N): N times N places."""
    count, ones = 30_000, np.zeros(30_000)
    kinds = [long(count) + b"K\x01\x86", b"K\x01" + long(count) + b"\x86"]
    dtype = DTYPE.replace(b"f8", b"i1")
    data = raw(ones.astype("i1").tobytes())
    rows, columns = (array(shape, data, dtype) for shape in kinds)
    matrix = sparse(b"K\x01K\x01\x86", line(np.zeros(1)), row=rows, col=columns)
    return HEAD + entry(matrix) + b"."


def sparse_wrapping() -> bytes:
    """Starts whose differences wrap around to be positive."""
    starts = np.array([0, 2**62, -(2**63), -(2**62), 0])
    one = line(np.zeros(0))
    matrix = sparse(b"K\x01K\x04\x86", one, indices=one, indptr=line(starts))
    return HEAD + entry(matrix) + b"."


def lists_of_lists() -> bytes:
    """Many names for a long list; only `read_pickled_lists` looks inside."""
    made = HEAD + b"](" + b"K\x01" * 100_000 + b"e" + put(1) + b"0"
    return made + b"".join(entry(get(1), f"n{n}") for n in range(30_000)) + b"."


def colliding_keys() -> bytes:
    """Numbers that all have the hash 0."""
    prime = 2**61 - 1
    numbers = [(n * prime).to_bytes(12, "little") for n in range(1, 60_000)]
    return HEAD + b"(" + b"".join(b"\x8a\x0c" + n + b"N" for n in numbers) + b"u."


def equal_keys() -> bytes:
    """Two long words that are equal but not the same, put in by turns."""
    word = text("a" * 2_000_000)
    keys = word + put(1) + b"0" + word + put(2) + b"0"
    turns = (get(1) + b"Ns" + get(2) + b"Ns") * 60_000
    return HEAD + keys + turns + b"."


def select(places: np.ndarray, code: str = "i8") -> bytes:
    part = text("a") + line(np.zeros(3)) + text("idxs") + line(places, code)
    return HEAD + entry(CHUMPY + part + b"ub") + b"."


def strange_dtype(code: str) -> bytes:
    dtype = b"cnumpy\ndtype\n(" + text(code) + b"K\x00K\x01tR"
    return HEAD + entry(array(long(10**9) + b"\x85", raw(b""), dtype)) + b"."


def doubling_codec() -> bytes:
    """A codec whose written form is 2^90 long."""
    codec = b"K\x01" + b"2\x86" * 90
    encoded = b"c_codecs\nencode\n" + text("a") + codec + b"\x86R"
    return HEAD + entry(array(b"K\x01\x85", encoded)) + b"."


HOSTILE: dict[str, Callable[[], bytes]] = {
    "hash of a tuple": lambda: deep(b"2\x86", 42),
    "hash of a tuple, by mark": lambda: HEAD + b"(K\x01" + b"2\x86" * 42 + b"Nu.",
    "hash of a tuple, whole dictionary": lambda: b"\x80\x02(K\x01" + b"2\x86" * 42 + b"Nd.",
    "hash of a tuple, set": lambda: b"\x80\x04}\x8f(K\x01" + b"2\x86" * 42 + b"\x90.",
    "hash of a tuple, frozen set": lambda: b"\x80\x04}(K\x01" + b"2\x86" * 42 + b"\x91.",
    "hash of a tuple, memo": lambda: (
        HEAD
        + b"K\x01q\x00"
        + b"".join(b"h%ch%c\x86q%c" % (n, n, n + 1) for n in range(50))
        + b"Ns."
    ),
    "deep tuple": lambda: deep(b"\x85", 200_000),
    "deep lists": lambda: HEAD + entry(b"]" * 100_000 + b"a" * 99_999) + b".",
    "deep marks": lambda: HEAD + b"(" * 250_000 + b".",
    "colliding keys": colliding_keys,
    "equal keys": equal_keys,
    "steps": lambda: HEAD + b"\x8f0" * 5_000_000 + b".",
    "bytearray": lambda: b"\x80\x05}\x96" + (3 << 30).to_bytes(8, "little") + b".",
    "bytes": lambda: b"\x80\x05}\x8e" + (2**62).to_bytes(8, "little") + b".",
    "text": lambda: b"\x80\x05}\x8d" + (2**63 - 1).to_bytes(8, "little") + b".",
    "frame": lambda: b"\x80\x04\x95" + (2**62).to_bytes(8, "little") + b"}.",
    "string of negative length": lambda: HEAD + b"T\xff\xff\xff\xff.",
    "long number": lambda: (
        HEAD + b"\x8b" + (4_000_000).to_bytes(4, "little") + b"\x7f" * 4_000_000 + b"Ns."
    ),
    "long number in words": lambda: b"(dp0\nL" + b"9" * 4_000_000 + b"L\nNs.",
    "place in words": lambda: b"(dp" + b"9" * 1_000_000 + b"\n.",
    "many arguments": many_calls_with_many_arguments,
    "text as arguments": text_as_arguments,
    "extension": lambda: HEAD + b"\x82\x01Ns.",
    "persistent": lambda: HEAD + entry(b"K\x01Q") + b".",
    "outside buffer": lambda: b"\x80\x05}\x97Ns.",
    "name of numbers": lambda: b"\x80\x04}K\x01K\x02\x93Ns.",
    "shared arrays": shared_big_arrays,
    "shared lists": lists_of_lists,
    "chumpy doubling": chumpy_doubling,
    "chumpy doubling, few": lambda: chumpy_doubling(30),
    "chumpy growing": chumpy_growing,
    "chumpy before its start": lambda: select(np.array([-1, -2])),
    "chumpy beyond its end": lambda: select(np.array([2**62])),
    "chumpy between places": lambda: select(np.array([0.5, np.nan]), "f8"),
    "sparse from nothing": sparse_from_nothing,
    "sparse crossed": sparse_crossed,
    "sparse wrapping": sparse_wrapping,
    "doubling codec": doubling_codec,
    "terminal": lambda: b"\x80\x02c\x1b]0;owned\x07\x1b[2J\x1b[1;32mthis file is safe\x1b[0m\nx\n.",
    "terminal in a key": lambda: HEAD + entry(line(np.zeros(1)), "\x1b[2J\x07") + b".",
    "endless name": lambda: HEAD + b"c" + b"a" * 1_000_000 + b"\nb\n.",
    "endless key": lambda: HEAD + entry(line(np.zeros(1)), "a" * 900) + b".",
    **{f"type {c!r}": lambda c=c: strange_dtype(c) for c in ("f8,f8", "S0", "O", "", "V0", "f0")},
}


@pytest.fixture(scope="module")
def forked() -> Iterator[Forked]:
    with Forked("staf_backend.commands") as running:
        yield running


@pytest.mark.parametrize("kind", HOSTILE)
def test_a_pickle_that_attacks_its_reader_is_refused_at_once(
    kind: str, forked: Forked, tmp_path: Path
):
    (tmp_path / "evil.pkl").write_bytes(HOSTILE[kind]())
    done = forked_with_limits(forked, "body", "add", "evil.pkl", cwd=tmp_path)
    check_refused(done, 7, tmp_path / "home")


def test_the_limits_are_limits(forked: Forked, tmp_path: Path):
    """What the tests above rely on."""
    env = environment(STAF_HOME=str(tmp_path / "home"))
    limits = {resource.RLIMIT_AS: 1_000_000}
    words = ("body", "export", "open-neutral", "-o", "b.npz")
    done = forked.staf(*words, cwd=tmp_path, env=env, limits=limits, wait_s=60)
    assert done.returncode == 1
    assert "MemoryError" in done.stderr


def test_lists_of_arrays_are_read_in_proportion():
    """The other reader, for 3DPW: each kind within a second or two, whatever comes of it."""
    for kind, make in HOSTILE.items():
        data, start_s, words = make(), time.perf_counter(), ""
        try:
            read_pickled_lists(data)
        except (ValueError, RefusedNameError) as error:
            words = str(error)
        assert words.isprintable(), kind
        assert len(words) < 300, kind
        assert time.perf_counter() - start_s < 5, kind


def test_a_body_of_wild_numbers_is_refused_without_warnings(forked: Forked, tmp_path: Path):
    wild = {"v_template": 1e300, "posedirs": 1e300, "f": 1e300, "kintree_table": 1e300}
    for name, number in wild.items():
        arrays = model_arrays()
        arrays[name] = np.asarray(arrays[name], np.float64).copy()
        arrays[name].flat[5] = number
        (tmp_path / "evil.pkl").write_bytes(pickle.dumps(arrays, protocol=4))
        done = forked_with_limits(forked, "body", "add", "evil.pkl", cwd=tmp_path)
        check_refused(done, 7, tmp_path / "home")


def test_a_body_without_faces_is_refused(tmp_path: Path):
    arrays = model_arrays() | {"f": np.zeros((0, 3), np.uint32)}
    (tmp_path / "evil.pkl").write_bytes(pickle.dumps(arrays, protocol=4))
    check_refused(staf_with_limits("body", "add", "evil.pkl", cwd=tmp_path), 7, tmp_path / "home")


def test_an_archive_that_unpacks_to_far_more_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    path = tmp_path / "evil.npz"
    np.savez_compressed(path, v_template=np.zeros((6890, 3)), posedirs=np.zeros((6890, 3, 207)))
    monkeypatch.setattr("staf_backend.body.files._LARGEST_FILE_BYTES", 1_000_000)
    assert path.stat().st_size < 100_000
    with pytest.raises(BodyError, match="larger than any body model once unpacked"):
        read_body_file(path)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no such files here")
def test_a_pipe_is_not_waited_for(tmp_path: Path):
    os.mkfifo(tmp_path / "evil.pkl")
    check_refused(staf_with_limits("body", "add", "evil.pkl", cwd=tmp_path), 7, tmp_path / "home")


def test_every_protocol_of_python_is_walked_to_its_end():
    numbers = [0, -1, 255, 2**31, -(2**40), 2**100, 1.5, True, None]
    words = ["a", "ä€😀", "x" * 300, b"raw", b"r" * 300, bytearray(b"xyz"), "\n\\'\""]
    value: Any = {
        "n": numbers,
        "w": words,
        3: (1, 2, 3, 4),
        "d": {"e": {1, 2}},
        "s": frozenset("a"),
    }
    value["again"] = value["n"]
    for protocol in range(6):
        data = pickle.dumps(value, protocol)
        assert scan_pickle(data + b"rest", lambda *_: None) == len(data)


def test_official_files_are_far_from_the_limits(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("staf_backend.files.pickle_scan.MOST_STEPS", MOST_STEPS // 100)
    monkeypatch.setattr("staf_backend.files.pickle_scan._DEEPEST", 25)
    monkeypatch.setattr("staf_backend.files.limits.GROWTH", 3)
    for protocol in (0, 2, 5):
        path = write_official_pickle(tmp_path / "m.pkl", model_arrays(), protocol)
        assert {"v_template", "shapedirs", "J_regressor"} <= read_pickled_arrays(
            path.read_bytes()
        ).keys()


def test_long_arrays_are_stepped_over():
    data = pickle.dumps({"v_template": np.zeros(20_000_000)}, protocol=4)
    start_s = time.perf_counter()
    scan_pickle(data, lambda *_: None)
    assert time.perf_counter() - start_s < 0.1


def test_a_selection_of_selections_is_still_read():
    with fake_chumpy() as chumpy:
        value = chumpy.Ch()
        value.__dict__["x"] = np.arange(10.0)
        for _ in range(8):
            outer = chumpy.Select()
            outer.__dict__.update(a=value, idxs=np.arange(9, -1, -1), preferred_shape=(2, 5))
            value = outer
        read = read_pickled_arrays(pickle.dumps({"v": value}, protocol=2))
    np.testing.assert_array_equal(read["v"], np.arange(10.0).reshape(2, 5))


def test_words_of_a_file_are_shown_so_that_nothing_obeys_them():
    assert shown("\x1b[2J\r\n\u202eabc\ud800") == "\\x1b[2J\\r\\n\\u202eabc\\ud800"
    assert len(shown("\0" * 10_000)) < 400


def test_thousands_of_damaged_pickles_are_read_or_refused_quickly():
    """Steps of all kinds, shuffled and doubled: never a hang, never another error."""
    rng = np.random.default_rng(0)
    small = {name: model_arrays()[name][:2, :4] for name in ("v_template", "weights", "shapedirs")}
    seeds = [pickle.dumps(small, protocol) for protocol in (0, 2, 4, 5)]
    seeds += [chumpy_doubling(5), sparse_wrapping(), sparse_crossed()[:400], doubling_codec()]
    codes = np.frombuffer(bytes(range(256)), np.uint8)
    start_s, slowest_s, refused = time.perf_counter(), 0.0, 0
    for turn in range(3000):
        data = np.frombuffer(seeds[turn % len(seeds)], np.uint8).copy()
        places = rng.integers(len(data), size=rng.integers(1, 6))
        data[places] = rng.choice(codes, len(places))
        cut = rng.integers(len(data))
        broken = data.tobytes() if turn % 3 else data[cut:].tobytes() + data[:cut].tobytes()
        one_s = time.perf_counter()
        try:
            read_pickled_arrays(broken)
        except (ValueError, RefusedNameError):
            refused += 1
        slowest_s = max(slowest_s, time.perf_counter() - one_s)
    assert refused > 1000
    assert slowest_s < 1
    assert time.perf_counter() - start_s < 15
