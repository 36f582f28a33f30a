"""Arrays that wait on the disk: what is in them, in memory, and left behind."""

import errno
import mmap
import os
import shutil
import subprocess
import sys
import threading
from pathlib import Path

import numpy as np
import pytest
from pygltflib import GLTF2

from staf_backend.export.gltf_buffer import collected
from staf_backend.files import (
    STRETCH,
    give_back_pages,
    long_array,
    long_copy,
    scratch_in,
    stretches,
)
from staf_backend.files.scratch import LEAST_BYTES, LEFT_BYTES
from staf_backend.geometry import keep_array

FRAMES = LEAST_BYTES // 4
LINUX = pytest.mark.skipif(sys.platform != "linux", reason="asks Linux what a process holds")


def on_disk(array: np.ndarray) -> bool:
    return isinstance(array.base, mmap.mmap)


def resident_bytes() -> int:
    pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE")


def test_a_long_array_lies_on_the_disk_and_a_short_one_in_memory(tmp_path: Path):
    with scratch_in(tmp_path):
        assert on_disk(long_array((FRAMES,)))
        assert not on_disk(long_array((FRAMES - 1,)))
    assert not on_disk(long_array((FRAMES,)))


def test_no_file_is_seen_while_there_is_one(tmp_path: Path):
    with scratch_in(tmp_path):
        array = long_array((FRAMES,))
    assert not list(tmp_path.iterdir())
    array[:] = 3
    assert (array == 3).all()


def test_what_was_written_is_there_after_pages_were_given_back(tmp_path: Path):
    numbers = np.arange(8 * FRAMES, dtype=np.float32).reshape(FRAMES, 8)
    with scratch_in(tmp_path):
        array = long_copy(numbers)
        give_back_pages()
        twice = long_copy(array, np.float64)
    assert on_disk(array)
    assert twice.dtype == np.float64
    assert np.array_equal(twice, numbers)
    assert np.array_equal(array, numbers)


@LINUX
def test_of_what_is_on_the_disk_a_stretch_is_in_memory(tmp_path: Path):
    with scratch_in(tmp_path):
        array = long_array((40_000, 200))
    before, most = resident_bytes(), 0
    for rows in stretches(len(array)):
        array[rows] = 1
        most = max(most, resident_bytes())
    a_stretch = array[:STRETCH].nbytes
    assert most - before < 4 * a_stretch
    assert array.nbytes == 40 * a_stretch


@LINUX
def test_room_is_free_again_once_an_array_is_let_go(tmp_path: Path):
    def files() -> int:
        return len(list(Path("/proc/self/fd").iterdir()))

    before = files()
    with scratch_in(tmp_path):
        arrays = [long_array((FRAMES,)) for _ in range(5)]
    assert files() == before + 5
    del arrays
    assert files() == before


@LINUX
def test_a_program_that_is_killed_leaves_nothing(tmp_path: Path):
    program = (
        "import os, signal, sys; from pathlib import Path\n"
        "from staf_backend.files import long_array, scratch_in\n"
        "with scratch_in(Path(sys.argv[1])):\n"
        f"    array = long_array(({FRAMES},))\n"
        "    array[:] = 1\n"
        "    os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    run = subprocess.run([sys.executable, "-c", program, str(tmp_path)], check=False)
    assert run.returncode == -9
    assert not list(tmp_path.iterdir())


def test_where_the_disk_has_no_room_an_array_is_in_memory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "posix_fallocate", full, raising=False)
    with scratch_in(tmp_path):
        assert not on_disk(long_array((FRAMES,)))


def test_room_for_results_is_left(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    usage = shutil.disk_usage(tmp_path)
    for free, expected in ((LEFT_BYTES + 4 * FRAMES, True), (LEFT_BYTES + 4 * FRAMES - 1, False)):
        free_there = usage._replace(free=free)
        monkeypatch.setattr(shutil, "disk_usage", lambda _folder, there=free_there: there)
        with scratch_in(tmp_path):
            assert on_disk(long_array((FRAMES,))) is expected


def keep_open_files(monkeypatch: pytest.MonkeyPatch) -> None:
    """As shared folders of virtual machines: none without a name, and no open one is removed."""
    system = (os.open, os.close, os.unlink)
    names: dict[int, str] = {}

    def open_it(path, flags, *words, **more):
        if flags & getattr(os, "O_TMPFILE", 0) == getattr(os, "O_TMPFILE", -1):
            raise OSError(errno.EOPNOTSUPP, os.strerror(errno.EOPNOTSUPP))
        number = system[0](path, flags, *words, **more)
        names[number] = str(path)
        return number

    def close(number):
        names.pop(number, None)
        system[1](number)

    def unlink(path, *words, **more):
        if str(path) in names.values():
            raise OSError(errno.ETXTBSY, os.strerror(errno.ETXTBSY))
        system[2](path, *words, **more)

    for name, ours in (("open", open_it), ("close", close), ("unlink", unlink)):
        monkeypatch.setattr(os, name, ours)


@pytest.mark.skipif(os.name != "posix", reason="elsewhere the system removes what is closed")
def test_a_folder_that_lets_no_open_file_go_keeps_none_of_ours(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    keep_open_files(monkeypatch)
    with scratch_in(tmp_path):
        array = long_array((FRAMES,))
    with collected(GLTF2(), tmp_path) as buffer:
        buffer.add(np.zeros(2 * FRAMES, np.float32))
        buffer.write(tmp_path / "clip.glb")
    assert not on_disk(array)
    assert [path.name for path in tmp_path.iterdir()] == ["clip.glb"]
    assert (tmp_path / "clip.glb").stat().st_size > 8 * FRAMES


def test_where_there_is_no_folder_an_array_is_in_memory(tmp_path: Path):
    with scratch_in(tmp_path / "gone"):
        assert not on_disk(long_array((FRAMES,)))


def test_room_is_taken_where_the_system_cannot_be_asked_for_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.delattr(os, "posix_fallocate", raising=False)
    with scratch_in(tmp_path):
        array = long_array((FRAMES + 100,))
    assert on_disk(array)
    assert not array.any()


def test_another_thread_has_arrays_of_its_own(tmp_path: Path):
    made: list[np.ndarray] = []
    with scratch_in(tmp_path):
        thread = threading.Thread(target=lambda: made.append(long_array((FRAMES,))))
        thread.start()
        thread.join()
    assert not on_disk(made[0])


def test_stretches_cover_all_frames_once():
    rows = np.concatenate([np.arange(10)[rows] for rows in stretches(10, 4)])
    assert np.array_equal(rows, np.arange(10))
    assert list(stretches(0)) == []


def test_a_type_keeps_a_read_only_array_that_is_on_the_disk(tmp_path: Path):
    class Owner:
        values: np.ndarray

    owner = Owner()
    with scratch_in(tmp_path):
        owner.values = long_array((FRAMES,))
        owner.values[:] = 1
        owner.values.setflags(write=False)
        mine = owner.values
        keep_array(owner, "values", np.float32, (FRAMES,))
        assert owner.values is mine
        owner.values = np.ones(FRAMES, np.float32)
        keep_array(owner, "values", np.float32, (FRAMES,))
    assert on_disk(owner.values)
    mine = owner.values = long_copy(mine)
    mine[-1] = np.nan
    with pytest.raises(ValueError, match="values must be finite"):
        keep_array(owner, "values", np.float32, (FRAMES,))
