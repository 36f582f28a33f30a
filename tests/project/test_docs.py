"""What the documents say is so: commands parse, versions and checksums are right."""

import hashlib
import re
import shlex
import tomllib
from pathlib import Path

import pytest

from staf_backend import __version__
from staf_backend.cli import _parser
from tests.support.places import REPOSITORY

README = REPOSITORY / "README.md"


def commands() -> list[str]:
    """Every line in the README's code fences that runs `staf`, continued lines joined."""
    found = []
    for block in re.findall(r"^```[^\n]*\n(.*?)^```", README.read_text(), re.M | re.S):
        for line in block.replace("\\\n", " ").splitlines():
            words = line.strip().removeprefix("$ ")
            match = re.search(r"(?:^|&& |[\w./]*/)staf (.*)$", words)
            if match and not words.startswith("#"):
                found.append(match[1].split("#")[0].split("&&")[0].strip())
    return found


def test_the_readme_shows_the_main_command():
    assert any(command.startswith("convert ") for command in commands())


@pytest.mark.parametrize("command", commands() if README.exists() else [])
def test_every_command_of_the_readme_is_understood(command: str):
    words = shlex.split(command)
    if {"--help", "--version", "-h"} & set(words):
        with pytest.raises(SystemExit, match=r"^0$"):
            _parser().parse_args(words)
    else:
        _parser().parse_args(words)


def test_options_that_the_readme_names_exist(capsys: pytest.CaptureFixture[str]):
    known = set()
    for words in ([], ["convert"], ["people"], ["info"], ["doctor"], ["body", "add"]):
        with pytest.raises(SystemExit):
            _parser().parse_args([*words, "--help"])
        known |= set(re.findall(r"--[a-z][a-z-]+", capsys.readouterr().out))
    in_text = re.sub(r"^```.*?^```", "", README.read_text(), flags=re.M | re.S)
    named = set(re.findall(r"`(--[a-z][a-z-]+)", in_text))
    others = {"--background", "--python"}  # Blender's own
    assert named - others <= known


def test_files_that_the_readme_names_are_there():
    text = README.read_text()
    linked = re.findall(r"\]\(([^)#]+)\)", text) + re.findall(r"(?:src|href)=\"([^\"#]+)\"", text)
    local = [link for link in linked if "://" not in link]
    assert local, "at least the picture"
    assert [link for link in local if not (REPOSITORY / link).exists()] == []
    clips = re.findall(r"examples/footage/[\w.-]+", text)
    assert clips
    assert [clip for clip in clips if not (REPOSITORY / clip).exists()] == []


def test_the_readmes_picture_comes_first():
    head = README.read_text().split("\n## ")[0]
    assert re.search(r"!\[|<img", head)


def test_the_two_set_up_commands_are_marked_for_the_automatic_checks():
    text = README.read_text()
    match = re.search(r"<!-- tests -->\s*```[^\n]*\n(.+?)```", text, re.S)
    assert match
    assert "pytest" in match[1]


def test_exit_codes_are_documented():
    text = README.read_text()
    for code in (0, 1, 2, 3, 4, 5, 6, 7, 8, 130, 143):
        assert re.search(rf"(?<!\d){code}(?!\d)", text), code


def test_the_changelog_begins_with_this_version():
    text = (REPOSITORY / "CHANGELOG.md").read_text()
    versions = re.findall(r"^## \[?v?(\d+\.\d+\.\d+)", text, re.M)
    assert versions[0] == __version__


def test_the_documents_tell_no_places_of_one_machine():
    for name in ("README.md", "CHANGELOG.md", "NOTICE"):
        text = (REPOSITORY / name).read_text()
        assert str(REPOSITORY) not in text, name
        assert f"{Path.home()}/" not in text, name


class TestNotice:
    ROWS = re.findall(
        r"^  (\S+)\n    sha256 ([0-9a-f]{64})$", (REPOSITORY / "NOTICE").read_text(), re.M
    )

    @pytest.mark.parametrize(("name", "digest"), ROWS, ids=[name for name, _ in ROWS])
    def test_checksums_are_right(self, name: str, digest: str):
        assert hashlib.sha256((REPOSITORY / name).read_bytes()).hexdigest() == digest

    def test_everything_from_others_is_in_it(self):
        told = {name for name, _ in self.ROWS}
        theirs = [p for p in (REPOSITORY / "examples" / "footage").iterdir() if p.suffix == ".mp4"]
        theirs += (REPOSITORY / "staf_backend" / "assets").glob("OPENBODY_*.npz")
        theirs += (REPOSITORY / "staf_backend" / "assets").glob("pose_landmark_*.onnx")
        theirs += (REPOSITORY / "staf_backend" / "assets").glob("movenet_*.onnx")
        assert len(theirs) >= 10
        assert {p.relative_to(REPOSITORY).as_posix() for p in theirs} <= told

    def test_its_licence_texts_are_there(self):
        named = re.findall(r"[\w/]*LICENSE[\w.-]*[\w]", (REPOSITORY / "NOTICE").read_text())
        assert len(set(named)) >= 4
        assert [name for name in named if not (REPOSITORY / name).is_file()] == []


class TestPackage:
    METADATA = tomllib.loads((REPOSITORY / "pyproject.toml").read_text())["project"]

    def test_every_dependency_is_bounded(self):
        optional = [p for extra in self.METADATA["optional-dependencies"].values() for p in extra]
        for line in [*self.METADATA["dependencies"], *optional]:
            if not line.startswith("staf-backend"):
                assert re.fullmatch(r"[\w-]+>=[\d.]+,<[\d.]+", line), line

    def test_the_promised_extras_are_there(self):
        promised = {"staf", "training", "blender", "ray", "smplx", "test"}
        assert promised <= set(self.METADATA["optional-dependencies"])

    def test_the_default_needs_no_torch(self):
        assert not any(line.startswith("torch") for line in self.METADATA["dependencies"])

    def test_the_command_is_installed(self):
        assert self.METADATA["scripts"] == {"staf": "staf_backend.cli:main"}
