"""What a wing shows in its `__init__`, and how much passes between wings."""

import ast
from collections import Counter
from functools import cache
from pathlib import Path

import pytest

from tests.project.test_layers import REPOSITORY, WINGS, imports, modules, parsed

_DOORS = {
    "staf_backend": """geometry files runtime devices video body motion people staf staf.encoders
        landmarks staf.streaming fit weights estimators world options""",
    "training": "targets moves model datasets synthetic run scoring",
}
DOORS = {f"{package}.{name}" for package, names in _DOORS.items() for name in names.split()}
"""Wings that everybody uses: others take what these offer at the door, not out of a room."""


def offered(wing: str) -> set[str]:
    """Names that a wing's `__init__` imports from its own modules."""
    tree = parsed(modules(wing.split(".")[0])[wing])
    found = [node for node in tree.body if isinstance(node, ast.ImportFrom)]
    assert all(str(node.module).startswith(f"{wing}.") for node in found), wing
    return {alias.name for node in found for alias in node.names}


@pytest.mark.parametrize("package", WINGS)
def test_wings_say_what_they_hold(package: str):
    """A docstring, and what a door offers; the other wings' modules are imported by name."""
    for name, path in modules(package).items():
        if path.name == "__init__.py" and name not in (package, f"{package}.assets"):
            tree = parsed(path)
            assert ast.get_docstring(tree), name
            rest = tree.body[1:]
            assert name in DOORS or rest == [], name
            kinds = Counter(type(node) for node in rest)
            assert set(kinds) <= {ast.ImportFrom, ast.Assign}, name
            assert kinds[ast.Assign] == (name in DOORS), name


@cache
def taken() -> list[tuple[Path, str, frozenset[str]]]:
    """Every `from MODULE import NAMES` of ours: where, of what, and the names."""
    return [
        (path, node.module, frozenset(alias.name for alias in node.names))
        for package in ("staf_backend", "training", "tests", "examples", "docs")
        for path in sorted((REPOSITORY / package).rglob("*.py"))
        for node in ast.walk(parsed(path))
        if isinstance(node, ast.ImportFrom) and node.module
    ]


@pytest.mark.parametrize("wing", sorted(DOORS))
def test_nobody_climbs_in_where_a_door_is(wing: str):
    names, inside = offered(wing), REPOSITORY / wing.replace(".", "/")
    assert names
    climbed = [
        f"{path.relative_to(REPOSITORY)}: {module} {set(names & some)}"
        for path, module, some in taken()
        if module.startswith(f"{wing}.") and names & some and not path.is_relative_to(inside)
    ]
    assert climbed == []


@pytest.mark.parametrize("package", ["staf_backend", "training"])
def test_most_imports_stay_in_their_wing(package: str):
    """Of a module by a module; what lies on top of the wings is a wing each, a door counts once."""
    known = set(modules(package)) - {package, f"{package}.__main__"}
    inside = across = 0
    for name, used in imports(package).items():
        if name in known:
            there = [other.split(".")[1] for other in used & known]
            inside += there.count(name.split(".")[1])
            across += len(there) - there.count(name.split(".")[1])
    assert inside > 100
    assert across / (inside + across) < 0.40
