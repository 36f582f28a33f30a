"""What the documents say is so: commands parse, options, paths and versions are right."""

import importlib.util
import re
import shlex
from pathlib import Path

import pytest

from staf_backend import __version__
from staf_backend.cli import _parser
from tests.support.documents import (
    ALL,
    CONTRIBUTING,
    README,
    called,
    prose,
    quoted,
    shell_lines,
    staf_commands,
)
from tests.support.places import REPOSITORY

COMMANDS = sorted(set(staf_commands(ALL)))
OTHERS_OPTIONS = {
    *("--background", "--python", "--python-exit-code"),  # Blender's
    *("--strict", "--prefix"),  # mkdocs', npm's
    *("--maxprocesses", "--dist"),  # pytest-xdist's
    "--no-blend",  # of examples/03_blender_batch.py
    *("--root", "--sheet", "--encoder", "--weight"),  # training's
}


def test_the_readme_shows_the_main_command():
    assert any(command.startswith("convert ") for command in staf_commands([README]))


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_is_understood(command: str):
    words = shlex.split(command)
    if {"--help", "--version", "-h"} & set(words):
        with pytest.raises(SystemExit, match=r"^0$"):
            _parser().parse_args(words)
    else:
        _parser().parse_args(words)


@pytest.mark.parametrize("path", ALL, ids=called)
def test_commands_named_in_a_sentence_exist(path: Path):
    """`staf body add` leads through the parsers; options and names of files are not looked at."""
    for text in quoted(path):
        if not text.startswith("staf "):
            continue
        parser = _parser()
        for word in text.split()[1:]:
            inner = [a.choices for a in parser._actions if isinstance(a.choices, dict)]
            if inner and not word.startswith("-"):
                assert word in inner[0], text
                parser = inner[0][word]


@pytest.fixture(scope="module")
def options() -> set[str]:
    """Every option of `staf`."""
    found: set[str] = set()
    waiting = [_parser()]
    while waiting:
        for action in waiting.pop()._actions:
            found |= set(action.option_strings)
            if isinstance(action.choices, dict):
                waiting += action.choices.values()
    return found


@pytest.mark.parametrize("path", [p for p in ALL if p.parent.name != "training"], ids=called)
def test_options_that_a_document_names_exist(path: Path, options: set[str]):
    named = {word for text in quoted(path) for word in re.findall(r"(?<!\S)--[a-z][\w-]+", text)}
    assert named - OTHERS_OPTIONS <= options


@pytest.mark.parametrize("path", ALL, ids=called)
def test_python_modules_that_a_document_runs_exist(path: Path):
    lines = [*shell_lines(path), *quoted(path)]
    named = {name for line in lines for name in re.findall(r"python3? -m ([\w.]+)", line)}
    packages = ("training", "staf_backend", "docs", "tests")
    ours = {name for name in named if name.split(".")[0] in packages}
    files = {name: REPOSITORY.joinpath(*name.split(".")) for name in ours}
    missing = [n for n, file in files.items() if not file.with_suffix(".py").exists()]
    assert missing == []
    assert named - ours <= {"venv", "pip", "pytest"}


@pytest.mark.parametrize("path", [p for p in ALL if p.parent.name != "training"], ids=called)
def test_commands_of_training_are_understood(path: Path):
    """`training/README.md` has a test of its own, which knows the parsers."""
    pytest.importorskip("torch")
    from tests.training.test_commands import parser_of

    for line in [*shell_lines(path), *quoted(path)]:
        match = re.search(r"python -m training\.([\w.]+) (.+)", line.replace("NAME", "coco"))
        if match:
            words = shlex.split(match[2])
            parser_of(match[1], words).parse_args(words)


@pytest.mark.parametrize("path", ALL, ids=called)
def test_options_of_the_examples_exist(path: Path, options: set[str]):
    for line in [*shell_lines(path), *quoted(path)]:
        match = re.search(r"(examples/\w+\.py)(.*)", line)
        if match:
            script = (REPOSITORY / match[1]).read_text()
            passed_on = options if '"batch", *words' in script else set()
            named = set(re.findall(r"--[a-z][\w-]+", match[2])) - passed_on
            assert [option for option in named if f'"{option}"' not in script] == [], line


@pytest.mark.parametrize("path", ALL, ids=called)
def test_paths_that_a_document_names_exist(path: Path):
    folders = {p.name for p in REPOSITORY.iterdir() if p.is_dir() and p.name[0] != "."} | {".ci"}
    lines = [*shell_lines(path), *quoted(path)]
    words = {word for line in lines for word in line.split()}
    ours = {word.strip(",:;()") for word in words if word.split("/")[0] in folders and "/" in word}
    real = {word for word in ours if not re.search(r"NAME|[*{<]", word)}
    assert [word for word in sorted(real) if not (REPOSITORY / word).exists()] == []


@pytest.mark.parametrize("path", ALL, ids=called)
def test_links_within_the_repository_lead_somewhere(path: Path):
    links = re.findall(r"\]\(([^)]+)\)", prose(path))
    files = {link.split("#")[0] for link in links if "://" not in link}
    made = {file for file in files if file.startswith("reference/")}  # at the site's build
    missing = [f for f in sorted(files - made) if f and not (path.parent / f).exists()]
    assert missing == []
    modules = [file.removeprefix("reference/").removesuffix(".md") for file in made]
    assert [m for m in modules if not importlib.util.find_spec(m.replace("/", "."))] == []


def test_names_of_the_code_in_contributing_exist():
    """`WRITERS` of `staf_backend/export/deliver.py`, and so on: a name and its file."""
    text = prose(CONTRIBUTING)
    pairs = re.findall(r"`(\w+)`\s+(?:of|in)\s+`([\w/]+\.py)`", text)
    assert len(pairs) >= 6
    lost = [pair for pair in pairs if pair[0] not in (REPOSITORY / pair[1]).read_text()]
    assert lost == []


def test_the_readmes_picture_comes_first():
    head = README.read_text().split("\n## ")[0]
    assert re.search(r"!\[|<img", head)


def test_the_two_set_up_commands_are_marked_for_the_automatic_checks():
    text = README.read_text()
    match = re.search(r"<!-- tests -->\s*```[^\n]*\n(.+?)```", text, re.S)
    assert match
    assert "pytest" in match[1]
    assert re.search(r"<!-- run -->\s*```[^\n]*\n.*staf convert examples/footage", text, re.S)


def test_the_changelog_begins_with_this_version():
    text = (REPOSITORY / "CHANGELOG.md").read_text()
    versions = re.findall(r"^## \[?v?(\d+\.\d+\.\d+)", text, re.M)
    assert versions[0] == __version__


@pytest.mark.parametrize(
    "path", [*ALL, *map(REPOSITORY.joinpath, ("CHANGELOG.md", "NOTICE"))], ids=called
)
def test_the_documents_tell_no_places_of_one_machine(path: Path):
    text = path.read_text()
    assert str(REPOSITORY) not in text
    assert f"{Path.home()}/" not in text
