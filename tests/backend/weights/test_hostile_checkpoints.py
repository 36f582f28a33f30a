"""Checkpoints that would hang, crash or fill the memory of whoever reads them as they ask."""

import collections
import io
import json
import pickle
import struct
import subprocess
import sys
import time
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from staf_backend.weights import WeightsError
from staf_backend.weights.checkpoint_file import read_checkpoint
from staf_backend.weights.store import add_weights
from tests.support.command_line import environment
from tests.support.forked import Forked
from tests.support.make_hostile import (
    check_refused,
    forked_with_limits,
    get,
    limit_memory,
    long,
    put,
    text,
)

STORAGE = b"(" + text("storage") + b"ctorch\nFloatStorage\n" + text("0") + text("cpu")
MAGIC = pickle.dumps(0x1950A86A20F9469CFC6C, 2) + pickle.dumps(1001, 2)
SYSTEM = pickle.dumps({"little_endian": True}, 2)
OPEN = b"\x80\x02}" + text("model") + b"}"
CLOSE = b"ss."


def tensor(
    numbers: int,
    sizes: tuple[int, ...],
    strides: tuple[int, ...],
    offset: int = 0,
    view: bytes = b"",
) -> bytes:
    """Steps that make a tensor of the storage "0"."""
    shapes = b"".join(b"(" + b"".join(map(long, shape)) + b"t" for shape in (sizes, strides))
    storage = STORAGE + long(numbers) + view + b"tQ"
    return (
        b"ctorch._utils\n_rebuild_tensor_v2\n("
        + storage
        + long(offset)
        + shapes
        + b"\x89ccollections\nOrderedDict\n)RtR"
    )


def entry(value: bytes, name: str = "conv1.weight") -> bytes:
    return text(name) + value


def content(value: bytes) -> bytes:
    """The pickle of {"model": {name: value}}."""
    return OPEN + entry(value) + CLOSE


def zipped(
    pickled: bytes,
    storage: bytes = bytes(16),
    method: int = zipfile.ZIP_STORED,
    byteorder: bytes = b"little",
) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", method) as archive:
        entries = {"data.pkl": pickled, "byteorder": byteorder, "data/0": storage}
        for name, data in entries.items():
            archive.writestr(f"base_model/{name}", data)
    return file.getvalue()


def in_a_row(
    pickled: bytes, keys: Any = ("0",), count: int = 4, storage: bytes = bytes(16)
) -> bytes:
    numbers = struct.pack("<q", count) + storage
    view = MAGIC + SYSTEM + pickled
    return view + pickle.dumps(list(keys), 2) + numbers


def many_tensors(each: bytes, times: int) -> bytes:
    made = b"\x80\x02}" + each + put(1) + b"0"
    return made + b"".join(text(f"n{n}") + each + b"s" for n in range(times)) + b"."


def key_bomb() -> bytes:
    nest = b"K\x01" + b"2\x86" * 42
    storage = (
        b"(" + text("storage") + b"ctorch\nFloatStorage\n" + nest + text("cpu") + long(4) + b"tQ"
    )
    return content(storage)


def repeated_states() -> bytes:
    """A large state given to the same dictionary ten thousand times."""
    state = b"}(" + b"".join(text(f"k{n}") + b"N" for n in range(50_000)) + b"u" + put(2) + b"0"
    made = b"\x80\x02" + state + b"ccollections\nOrderedDict\n)R" + put(1)
    return made + (get(2) + b"b") * 50_000 + b"."


def transposed() -> bytes:
    """A thousand views of one storage, each of which would be a copy when made contiguous."""
    return many_tensors(tensor(250_000, (500, 500), (1, 500)), 5_000)


def compressed() -> bytes:
    count = 50_000_000
    pickled = content(tensor(count, (count,), (1,)))
    return zipped(pickled, bytes(4 * count), zipfile.ZIP_DEFLATED)


def entries_over_one_another() -> bytes:
    """A thousand entries of the directory that all name the same megabyte."""
    data = zipped(content(b"N"), bytes(1_000_000))
    end = data.rindex(b"PK\5\6")
    size, place = struct.unpack("<LL", data[end + 12 : end + 20])
    directory = data[place : place + size]
    last = directory[directory.rindex(b"PK\1\2") :]
    copies = b"".join(last[:-1] + bytes([65 + n % 26]) for n in range(1000))
    tail = struct.pack("<4s4H2LH", b"PK\5\6", 0, 0, 4, 4, size + len(copies), place, 0)
    return data[:place] + directory + copies + tail


def long_directory() -> bytes:
    data = zipped(content(b"N"))
    end = data.rindex(b"PK\5\6")
    size, place = struct.unpack("<LL", data[end + 12 : end + 20])
    last = data[place : place + size][-60:]
    copies = b"PK\1\2".join([last] * 200_000)
    tail = struct.pack("<4s4H2LH", b"PK\5\6", 0, 0, 4, 4, size + len(copies), place, 0)
    return data[: place + size] + copies + tail


def saved(value: Any, new_format: bool = True) -> bytes:
    file = io.BytesIO()
    torch.save(value, file, _use_new_zipfile_serialization=new_format)
    return file.getvalue()


def quantised() -> bytes:
    made = torch.quantize_per_tensor(torch.zeros(4), 0.1, 0, torch.qint8)
    return saved({"model": {"w": made}})


BOMBS = {
    "stride 0": content(tensor(1, (3_000_000_000,), (0,))),
    "stride 0, smaller": content(tensor(4, (30_000, 30_000), (0, 0))),
    "beyond its numbers": content(tensor(4, (5,), (1,))),
    "from beyond its numbers": content(tensor(4, (1,), (1,), offset=2**40)),
    "backwards": content(tensor(4, (4,), (-1,), offset=3)),
    "of negative size": content(tensor(4, (-4,), (1,))),
    "of enormous size, empty": content(tensor(4, (0, 2**62), (1, 1))),
    "of a thousand axes": content(tensor(4, (1,) * 1000, (1,) * 1000)),
    "of too large a storage": content(tensor(1_000_000_000_000, (4,), (1,))),
    "of a larger storage than there is": content(tensor(10_000, (4,), (1,))),
    "of a storage of negative size": content(tensor(-4, (4,), (1,))),
    "hash of a tuple": b"\x80\x02}K\x01" + b"2\x86" * 42 + b"Ns.",
    "hash of a tuple as key of a storage": key_bomb(),
    "hash of a tuple in a call": content(
        b"ccollections\nOrderedDict\n](](K\x01" + b"2\x86" * 42 + b"Nee\x85R"
    ),
    "hash of a tuple in a set": content(b"cbuiltins\nset\n](K\x01" + b"2\x86" * 42 + b"e\x85R"),
    "deep tuple": content(b"K\x01" + b"\x85" * 200_000),
    "long codec": content(b"c_codecs\nencode\n" + text("a" * 99_999) + text("punycode") + b"\x86R"),
    "long bytes": content(b"X\xff\xff\xff\xff"),
    "long bytearray": content(b"cbuiltins\nbytearray\n" + long(2**40) + b"\x85R"),
    "steps": content(b"]0" * 4_000_000 + b"N"),
    "repeated states": repeated_states(),
    "state of a tensor": content(
        tensor(4, (4,), (1,))
        + b"("
        + STORAGE
        + long(4)
        + b"tQ"
        + long(2)
        + long(9)
        + b"\x85"
        + long(0)
        + b"\x85tb"
    ),
    "entry of a tensor": content(tensor(4, (4,), (1,)) + b"K\x01K\x02s"),
    "no tensor": content(b"ctorch._utils\n_rebuild_tensor_v2\n(K\x01K\x02K\x03K\x04tR"),
    "sparse": content(b"ctorch._utils\n_rebuild_sparse_tensor\n(tR"),
    "meta": content(b"ctorch._utils\n_rebuild_meta_tensor_no_storage\n(tR"),
    # 4 MB, which each of a hundred thousand members would go through
    "members of a tensor": content(
        tensor(1, (1_000_000,), (0,)) + b"(" + b"K\x01" * 100_000 + b"\x90"
    ),
    "terminal": content(b"c\x1b[2J\x07os\nsystem\n"),
}

HOSTILE: dict[str, Callable[[], bytes]] = {
    **{f"zip: {kind}": lambda pickled=pickled: zipped(pickled) for kind, pickled in BOMBS.items()},
    **{
        f"row: {kind}": lambda pickled=pickled: in_a_row(pickled) for kind, pickled in BOMBS.items()
    },
    "zip: transposed": lambda: zipped(transposed(), bytes(1_000_000)),
    "row: transposed": lambda: in_a_row(transposed(), count=250_000, storage=bytes(1_000_000)),
    "zip: compressed": compressed,
    "zip: other order": lambda: zipped(content(b"N"), byteorder=b"big"),
    "zip: entries over one another": entries_over_one_another,
    "zip: long directory": long_directory,
    "zip: script": lambda: zipped(content(b"c__torch__\nNet\n)\x81")),
    "row: first pickle": lambda: b"\x80\x02K\x01" + b"2\x86" * 42 + b".",
    "row: system": lambda: MAGIC + b"\x80\x02}K\x01" + b"2\x86" * 42 + b"Ns.",
    "row: keys": lambda: in_a_row(content(tensor(4, (4,), (1,))), keys=(("0",),)),
    "row: same key": lambda: in_a_row(content(tensor(4, (4,), (1,))), keys=("0", "0")),
    "row: no keys": lambda: in_a_row(content(tensor(4, (4,), (1,))), keys=()),
    "row: count": lambda: in_a_row(content(tensor(4, (4,), (1,), view=b"N")), count=2**60),
    "row: numbers": lambda: in_a_row(content(tensor(4, (4,), (1,), view=b"N")), storage=b"1"),
    "row: view": lambda: in_a_row(content(tensor(4, (4,), (1,), view=b"(K\x01K\x02K\x03t"))),
    "quantised": quantised,
    "sparse of torch": lambda: saved({"model": {"w": torch.eye(3).to_sparse()}}),
    "meta of torch": lambda: saved({"model": {"w": torch.zeros(3, device="meta")}}),
    "only dictionaries": lambda: saved({"model": {}, "state_dict": {1: 2}}),
}


@pytest.mark.filterwarnings("ignore:torch.quantize_per_tensor")
def test_checkpoints_that_attack_their_reader_are_refused_at_once(tmp_path: Path):
    """All in one process, which takes seconds to start; each is one refusal."""
    code = (
        "import sys, json, time, pathlib\n"
        "from staf_backend.weights.store import WeightsError, add_weights\n"
        "for path in sorted(pathlib.Path('evil').iterdir(), key=lambda p: int(p.stem)):\n"
        "    start_s, words = time.perf_counter(), ''\n"
        "    print(json.dumps([path.stem]), flush=True)\n"
        "    try: add_weights([path], root=pathlib.Path('home'))\n"
        "    except WeightsError as error: words = str(error)\n"
        "    print(json.dumps([path.stem, words, time.perf_counter() - start_s]), flush=True)\n"
    )
    (tmp_path / "evil").mkdir()
    for number, make in enumerate(HOSTILE.values()):
        (tmp_path / "evil" / f"{number}.pt").write_bytes(make())
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=tmp_path,
        env=environment(),
        capture_output=True,
        text=True,
        timeout=120,
        preexec_fn=limit_memory,
        check=False,
    )
    told = [json.loads(row) for row in done.stdout.splitlines()]
    kinds = list(HOSTILE)
    assert done.returncode == 0, (kinds[int(told[-1][0])], done.stderr[-2000:])
    assert done.stderr == ""
    for number, words, spent_s in (row for row in told if len(row) == 3):
        kind = kinds[int(number)]
        assert words, kind
        assert words.isprintable(), kind
        assert len(words) < 400, (kind, words)
        assert spent_s < 3, kind
    assert len(told) == 2 * len(kinds)
    assert not (tmp_path / "home").exists()


@pytest.fixture(scope="module")
def forked() -> Iterator[Forked]:
    with Forked("staf_backend.weights.commands") as running:
        yield running


@pytest.mark.parametrize("kind", ["zip: stride 0", "row: hash of a tuple", "zip: terminal"])
def test_the_command_refuses_them(kind: str, forked: Forked, tmp_path: Path):
    (tmp_path / "base_model.pt").write_bytes(HOSTILE[kind]())
    done = forked_with_limits(forked, "weights", "add", "base_model.pt", cwd=tmp_path)
    check_refused(done, 6, tmp_path / "home")


@pytest.mark.parametrize("new_format", [True, False])
def test_what_torch_writes_is_read_as_torch_reads_it(new_format: bool, tmp_path: Path):
    """Views, shared and empty tensors, parameters, every type; and what optimisers keep."""
    base = torch.arange(24.0).reshape(4, 6)
    kinds = (
        "float64",
        "float32",
        "float16",
        "bfloat16",
        "int64",
        "int32",
        "int16",
        "int8",
        "uint8",
    )
    state: dict[str, Any] = {kind: torch.arange(5).to(getattr(torch, kind)) for kind in kinds}
    state |= {
        "base": base,
        "transposed": base.T,
        "part": base[1:3, ::2],
        "wide": base[:1].expand(3, 6),
        "scalar": torch.tensor(3),
        "empty": torch.zeros(0, 3),
        "flags": torch.tensor([True, False]),
        "parameter": torch.nn.Parameter(base.clone()),
    }
    ordered = collections.OrderedDict(state)
    ordered._metadata = collections.OrderedDict({"": {"version": 1}})  # type: ignore[attr-defined]
    network = torch.nn.Linear(3, 2)
    optimiser = torch.optim.Adam(network.parameters())
    network(torch.ones(3)).sum().backward()
    optimiser.step()
    written = {
        "model": ordered,
        "epoch": 3,
        "best": np.float64(48.0),
        "size": torch.Size([1, 2]),
        "device": torch.device("cpu"),
        "dtype": torch.float32,
        "steps": collections.Counter("aab"),
        "gen_optimizer": optimiser.state_dict(),
        140737488355328: "a place in memory",
    }
    path = tmp_path / "model.pt"
    path.write_bytes(saved(written, new_format))
    read: dict[Any, Any] = read_checkpoint(path)
    assert list(read["model"]) == list(state)
    for name, expected in state.items():
        found = read["model"][name]
        assert found.dtype == expected.dtype, name
        assert torch.equal(found, expected.detach()), name
    moment = read["gen_optimizer"]["state"][0]["exp_avg"]
    assert torch.equal(moment, optimiser.state_dict()["state"][0]["exp_avg"])
    assert (read["epoch"], read[140737488355328]) == (3, "a place in memory")


def test_thousands_of_damaged_checkpoints_are_read_or_refused_quickly(tmp_path: Path):
    rng = np.random.default_rng(0)
    state = {"model": {"a": torch.rand(3, 4), "b": torch.rand(4).to(torch.float16)}, "epoch": 1}
    row, pickled = saved(state, new_format=False), content(tensor(4, (2, 2), (2, 1)))
    start_s, refused, path = time.perf_counter(), 0, tmp_path / "model.pt"
    for turn in range(1500):
        data = bytearray(row if turn % 2 else pickled)
        for _ in range(rng.integers(1, 5)):
            data[rng.integers(len(data))] = rng.integers(256)
        path.write_bytes(bytes(data) if turn % 2 else zipped(bytes(data)))
        try:
            read_checkpoint(path)
        except WeightsError:
            refused += 1
    assert refused > 500
    assert time.perf_counter() - start_s < 15


def test_a_checkpoint_of_large_tensors_costs_little_more_than_reading_it(tmp_path: Path):
    torch.save({"model": {"w": torch.zeros(50_000_000)}}, tmp_path / "model.pt")
    start_s = time.perf_counter()
    with pytest.raises(WeightsError, match="no STAF encoder"):
        add_weights([tmp_path / "model.pt"], root=tmp_path)
    assert time.perf_counter() - start_s < 5
