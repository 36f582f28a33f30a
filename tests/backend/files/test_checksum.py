"""A file's checksum is the published SHA-256."""

from pathlib import Path

from staf_backend.files.checksum import sha256


def test_the_checksum_of_three_letters(tmp_path: Path):
    """The example of FIPS 180-2, appendix B.1."""
    path = tmp_path / "abc"
    path.write_bytes(b"abc")
    assert sha256(path) == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
