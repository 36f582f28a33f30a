"""Results are whole or absent, and refusals of the system are told in words."""

import errno
import os
from pathlib import Path

import pytest

from staf_backend.files import OutputError, replace_atomically


def write_half(path: Path, failure: BaseException | type[BaseException]) -> None:
    with replace_atomically(path) as temporary:
        temporary.write_text("half")
        raise failure


def write_whole(path: Path) -> None:
    with replace_atomically(path) as temporary:
        temporary.write_text("x")


def test_replaces_on_success_and_leaves_nothing_else(tmp_path: Path):
    path = tmp_path / "a.mp4"
    path.write_text("old")
    with replace_atomically(path) as temporary:
        assert temporary.parent == tmp_path
        assert temporary.suffix == ".mp4"
        temporary.write_text("new")
        assert path.read_text() == "old"
    assert path.read_text() == "new"
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.skipif(os.name != "posix", reason="permissions of POSIX")
def test_others_may_read_what_a_cautious_writer_keeps_to_itself(tmp_path: Path):
    usual = tmp_path / "usual"
    usual.write_text("x")
    with replace_atomically(tmp_path / "a.safetensors") as temporary:
        temporary.write_text("x")
        temporary.chmod(0o600)
    assert (tmp_path / "a.safetensors").stat().st_mode == usual.stat().st_mode


@pytest.mark.parametrize("failure", [KeyboardInterrupt, SystemExit, ValueError, MemoryError])
def test_any_failure_leaves_the_old_file_alone(failure: type[BaseException], tmp_path: Path):
    path = tmp_path / "a.npz"
    path.write_text("old")
    with pytest.raises(failure):
        write_half(path, failure)
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize(
    ("code", "words"),
    [
        (errno.ENOSPC, "the disk is full"),
        (errno.EACCES, "permission denied"),
        (errno.EROFS, "read-only"),
        (errno.EDQUOT, "quota"),
        (errno.EIO, "disk reported an error"),
    ],
)
def test_the_systems_refusals_in_words(code: int, words: str, tmp_path: Path):
    path = tmp_path / "a.glb"
    with pytest.raises(OutputError, match=words) as caught:
        write_half(path, OSError(code, os.strerror(code)))
    assert str(path) in caught.value.message
    assert caught.value.advice
    assert (caught.value.kind, caught.value.exit_code) == ("output", 5)
    assert not list(tmp_path.iterdir())


def test_a_full_disk():
    full = Path("/dev/full")
    if not full.exists():
        pytest.skip("this system has no /dev/full")
    with pytest.raises(OSError, match="space") as caught:
        full.write_text("x" * 100_000)
    error = OutputError.from_os(Path("a.glb"), caught.value)
    assert error.message == "cannot write a.glb: the disk is full."


def test_a_missing_folder_a_folder_and_a_file_as_folder(tmp_path: Path):
    (tmp_path / "file").write_text("")
    for path, words in (
        (tmp_path / "none" / "a.glb", "folder does not exist"),
        (tmp_path, "it is a folder"),
        (tmp_path / "file" / "a.glb", "not a folder"),
        (tmp_path / ("n" * 300), "name is too long"),
    ):
        with pytest.raises(OutputError, match=words):
            write_whole(path)
    assert [p.name for p in tmp_path.iterdir()] == ["file"]


def test_a_folder_without_permission(tmp_path: Path):
    folder = tmp_path / "locked"
    folder.mkdir()
    folder.chmod(0o500)
    if os.access(folder, os.W_OK):
        pytest.skip("this user may write anywhere")
    with pytest.raises(OutputError, match="permission denied"):
        write_whole(folder / "a")


def test_an_input_that_fails_meanwhile_keeps_its_own_error(tmp_path: Path):
    with pytest.raises(FileNotFoundError), replace_atomically(tmp_path / "a"):
        (tmp_path / "b" / "input").read_text()
    assert not list(tmp_path.iterdir())
