"""A file's checksum is the published SHA-256."""

import os
from pathlib import Path

import pytest

from staf_backend.files import sha256


def test_the_checksum_of_three_letters(tmp_path: Path):
    """The example of FIPS 180-2, appendix B.1."""
    path = tmp_path / "abc"
    path.write_bytes(b"abc")
    assert sha256(path) == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="POSIX")
def test_what_has_no_end_has_no_checksum(tmp_path: Path):
    os.mkfifo(tmp_path / "pipe")
    for path in (tmp_path / "pipe", Path("/dev/zero")):
        with pytest.raises(OSError, match="no file"):
            sha256(path)


def test_a_folder_and_nothing_have_no_checksum(tmp_path: Path):
    for path in (tmp_path, tmp_path / "nothing"):
        with pytest.raises(OSError):
            sha256(path)
