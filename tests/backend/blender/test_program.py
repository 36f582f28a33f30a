"""Which programs are Blenders that can be used, and what is said of the others."""

import os
import sys
from pathlib import Path

import pytest

from staf_backend.blender.error import BlenderError
from staf_backend.blender.program import blender_at, usable_blenders

pytestmark = pytest.mark.skipif(os.name != "posix", reason="programs of these tests are scripts")


def program(folder: Path, said: str, code: int = 0) -> Path:
    """A program that says something, as an old Blender would or something else would."""
    path = folder / "blender"
    folder.mkdir(parents=True, exist_ok=True)
    path.write_text(f"#!{sys.executable}\nprint({said!r})\nraise SystemExit({code})\n")
    path.chmod(0o755)
    return path


def test_its_version_is_read(tmp_path: Path):
    said = "Warning: no mount table\nBlender 4.2.23 LTS\n\tbuild date: 2026-11-17"
    blender = blender_at(program(tmp_path, said))
    assert (blender.version, blender.usable, blender.name) == ((4, 2, 23), True, "Blender 4.2.23")


def test_a_folder_leads_to_the_program_in_it(tmp_path: Path):
    inside = program(tmp_path / "Blender.app/Contents/MacOS", "Blender 5.2.0")
    inside.rename(inside.with_name("Blender"))
    assert blender_at(tmp_path / "Blender.app").program == inside.with_name("Blender")
    assert blender_at(program(tmp_path / "blender-5", "Blender 5.1.0").parent).version == (5, 1, 0)


def test_one_that_is_too_old_is_named(tmp_path: Path):
    path = program(tmp_path, "Blender 4.1.1")
    with pytest.raises(BlenderError, match=r"Blender 4.1.1 .* too old .* 4.2 or newer"):
        usable_blenders(path)


@pytest.mark.parametrize(
    ("said", "code", "reason"),
    [("GNU Emacs 30.1", 0, "is not Blender"), ("libGL is missing", 1, "code 1: libGL is missing")],
)
def test_what_is_no_blender(tmp_path: Path, said: str, code: int, reason: str):
    with pytest.raises(BlenderError, match=reason):
        usable_blenders(program(tmp_path, said, code))


def test_what_is_not_there_and_what_cannot_be_run(tmp_path: Path):
    with pytest.raises(BlenderError, match="there is no Blender at"):
        usable_blenders(tmp_path / "blender")
    (tmp_path / "blender").write_bytes(b"\x7fELF of another processor")
    (tmp_path / "blender").chmod(0o755)
    with pytest.raises(BlenderError, match="cannot be run"):
        usable_blenders(tmp_path / "blender")


def test_none_at_all(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("staf_backend.blender.program.candidates", lambda *_: [])
    with pytest.raises(BlenderError, match=r"no Blender was found .* --blender PATH"):
        usable_blenders()
