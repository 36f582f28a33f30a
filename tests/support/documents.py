"""The documents that people read, and the commands and names that stand in them."""

import re
from collections.abc import Iterable
from pathlib import Path

from tests.support.places import REPOSITORY

README = REPOSITORY / "README.md"
CONTRIBUTING = REPOSITORY / "CONTRIBUTING.md"
SITE = REPOSITORY / "docs"
ALL = (
    README,
    CONTRIBUTING,
    *sorted(SITE.glob("*.md")),
    REPOSITORY / "addon" / "README.md",
    REPOSITORY / "training" / "README.md",
)


def called(path: Path) -> str:
    """A document's name, for people."""
    return path.relative_to(REPOSITORY).as_posix()


def shell_lines(path: Path) -> list[str]:
    """Commands of a document: lines of its shell blocks, continued ones joined, comments off."""
    found = []
    for block in re.findall(r"^```sh\n(.*?)^```", path.read_text(encoding="utf-8"), re.M | re.S):
        for line in block.replace("\\\n", " ").splitlines():
            words = line.split(" #")[0].strip()
            found += [part.strip() for part in words.split("&&") if part.strip()]
    return [line for line in found if not line.startswith("#")]


def staf_commands(paths: Iterable[Path]) -> list[str]:
    """What stands after `staf` in the shell blocks of documents."""
    lines = [line for path in paths for line in shell_lines(path)]
    return [match[1] for line in lines if (match := re.match(r"(?:\S*/)?staf (.+)", line))]


def prose(path: Path) -> str:
    """A document without its blocks of code."""
    return re.sub(r"^```.*?^```", "", path.read_text(encoding="utf-8"), flags=re.M | re.S)


def quoted(path: Path) -> list[str]:
    """Everything between single back-ticks, outside blocks of code."""
    return re.findall(r"`([^`\n]+)`", prose(path))


def rows(path: Path, heading: str) -> list[list[str]]:
    """Cells of the first table below a heading, without its head."""
    text = path.read_text(encoding="utf-8")
    below = re.split(rf"^#+ {re.escape(heading)}$", text, flags=re.M)
    assert len(below) == 2, heading
    table = re.search(r"^\|.*?(?=^[^|]|\Z)", below[1], re.M | re.S)
    assert table, heading
    lines = table[0].strip().splitlines()[2:]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]
