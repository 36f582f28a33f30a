"""The site says what is so: exit codes, messages, the motion file, progress lines."""

import ast
import json
import re
from functools import cache
from pathlib import Path

import numpy as np
import pytest

from staf_backend import reporting
from staf_backend.export import gltf
from staf_backend.motion import save_motion
from tests.support.documents import SITE, rows
from tests.support.places import REPOSITORY
from tests.support.sample_motions import with_all

FORMATS, MESSAGES = SITE / "formats.md", SITE / "troubleshooting.md"


@cache
def sources() -> list[ast.Module]:
    """Every module of the backend, parsed."""
    files = sorted((REPOSITORY / "staf_backend").rglob("*.py"))
    return [ast.parse(path.read_text(encoding="utf-8")) for path in files]


def errors() -> dict[str, tuple[str, int]]:
    """Class -> kind and exit code, of every error that a user sees."""
    found: dict[str, tuple[str, int]] = {}
    classes = [node for tree in sources() for node in tree.body if isinstance(node, ast.ClassDef)]
    while True:
        before = len(found)
        for node in classes:
            bases = {ast.unparse(base) for base in node.bases}
            if node.name == "StafError" or bases & set(found):
                inherited = next((found[base] for base in bases if base in found), ("", 0))
                said = {
                    ast.unparse(one.targets[0]): ast.literal_eval(one.value)
                    for one in node.body
                    if isinstance(one, ast.Assign) and isinstance(one.value, ast.Constant)
                }
                kind, code = said.get("kind", inherited[0]), said.get("exit_code", inherited[1])
                found[node.name] = (kind, code)
        if len(found) == before:
            return found


def test_the_exit_codes_are_those_of_the_errors_and_no_others():
    table = {
        int(code): set(re.findall(r"`(\w+)`", kinds))
        for code, kinds, _ in rows(FORMATS, "Exit codes")
    }
    real: dict[int, set[str]] = {0: set()}
    for kind, code in errors().values():
        real.setdefault(code, set()).add(kind)
    assert len(errors()) >= 12
    assert table == real


def test_troubleshooting_has_a_section_for_every_kind_of_error():
    headings = " ".join(re.findall(r"^## (.*)$", MESSAGES.read_text(), re.M))
    kinds = {kind for kind, _ in errors().values()} - {"interrupted"}
    assert {kind for kind in kinds if f"`{kind}`" not in headings} == set()


def said_in_the_code() -> list[str]:
    """Every text of the backend's code, the values in it as "…", docstrings too."""
    found = []
    for tree in sources():
        for node in ast.walk(tree):
            if isinstance(node, ast.Constant) and isinstance(node.value, str):
                found.append(node.value)
            if isinstance(node, ast.JoinedStr):
                parts = (p.value if isinstance(p, ast.Constant) else "…" for p in node.values)
                found.append("".join(map(str, parts)))
    return found


def test_every_message_of_troubleshooting_is_one_of_the_programs():
    """Parts between "…" stand in one text of the code, in that order."""
    told = re.findall(r"^\| `([^`]+)` \|", MESSAGES.read_text(), re.M)
    assert len(told) > 50
    texts = "\n".join(said_in_the_code())
    lost = []
    for message in told:
        parts = [re.escape(part.strip()) for part in message.split("…") if part.strip(" .()")]
        if not re.search(r"[^\n]*?".join(parts), texts):
            lost.append(message)
    assert lost == []


@pytest.fixture
def members(tmp_path: Path) -> dict[str, np.ndarray]:
    """What is in a motion file."""
    save_motion(tmp_path / "motion.npz", with_all())
    with np.load(tmp_path / "motion.npz") as file:
        return dict(file)


def test_members_of_the_motion_file_are_documented_with_type_and_shape(
    members: dict[str, np.ndarray],
):
    for name, kind, shape, *_ in rows(FORMATS, "The motion file"):
        member = members.pop(name.strip("`"), None)
        if member is None:
            assert name.startswith("`keypoint"), name
            continue
        assert kind == ("str" if member.dtype.kind == "U" else member.dtype.name), name
        sizes = [size for size in re.split(r"[(),\s]+", shape) if size]
        assert len(sizes) == member.ndim, name
        fixed = [(size, real) for size, real in zip(sizes, member.shape) if size.isdigit()]
        assert all(int(size) == real for size, real in fixed), name
    assert set(members) == set()


def test_words_of_the_motion_files_header_are_documented(members: dict[str, np.ndarray]):
    header = json.loads(str(members["header"]))
    told = {name.strip("`") for name, *_ in rows(FORMATS, "The header")}
    assert told == set(header)
    text = FORMATS.read_text()
    assert {word for word in header["camera"] if f"`{word}`" not in text} == set()


def test_what_a_glb_says_of_its_people_is_documented():
    tree = ast.parse(Path(gltf.__file__).read_text())
    texts = [
        node
        for node in ast.walk(tree)
        if isinstance(node, ast.FunctionDef) and node.name == "motion_extras"
    ]
    words = {
        key.value
        for node in ast.walk(texts[0])
        if isinstance(node, ast.Dict)
        for key in node.keys
        if isinstance(key, ast.Constant)
    }
    assert len(words) > 5
    assert {word for word in words if f"`{word}`" not in FORMATS.read_text()} == set()


def test_events_of_the_progress_lines_are_documented():
    docstring = reporting.__doc__ or ""
    told = {name.strip("`") for name, _ in rows(FORMATS, "Progress lines")}
    assert told == set(re.findall(r'"event": "(\w+)"', docstring))
    assert f"This is protocol {reporting.PROTOCOL}." in FORMATS.read_text()


def test_stages_of_the_progress_lines_are_documented():
    calls = {
        str(node.args[0].value)
        for tree in sources()
        for node in ast.walk(tree)
        if isinstance(node, ast.Call)
        and ast.unparse(node.func).split(".")[-1] == "report"
        and node.args
        and isinstance(node.args[0], ast.Constant)
    }
    words = "detect landmarks fit staf ground hands write overlay report blender"
    assert calls == set(words.split())
    line = re.search(r"^Stages of .*?:(.*?)\. A stage", FORMATS.read_text(), re.M | re.S)
    assert line
    assert calls == set(re.findall(r"`(\w+)`", line[1]))
