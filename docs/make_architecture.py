"""The wings of a package and what they use, drawn from the imports.

    python -m docs.make_architecture            # writes docs/pictures/architecture-*.svg

A row stands above everything its wings use.  An arrow points to what is used; one that follows
from others is left out.  `tests/project/test_architecture.py` checks that the files are current.
"""

from collections.abc import Iterable
from graphlib import TopologicalSorter
from itertools import pairwise
from pathlib import Path

from docs.svg import arrow, box, drawing
from tests.project.test_layers import imports, levels, modules, wing

FOLDER = Path(__file__).parent / "pictures"
PACKAGES = ("staf_backend", "training", "addon")
ROW_PX, GAP_PX, LETTER_PX = 58, 26, 8.2
"""Height of a row, room between boxes, width of a letter.  Chosen: nothing overlaps."""
SWEEPS = 24
"""How often rows are ordered by what they hang on.  Chosen: nothing changes after."""

Graph = dict[str, set[str]]


def graph_of(package: str) -> Graph:
    """Wing -> wings it imports."""
    known, homes = modules(package), levels(package)
    graph: Graph = {}
    for name, used in imports(package).items():
        here = wing(name, homes)
        if here:
            there = {wing(other, homes) for other in used & set(known)}
            graph.setdefault(here, set()).update(there - {"", here})
    return graph


def reduced(graph: Graph) -> Graph:
    """Without the arrows that follow from others."""
    below = _below(graph)
    return {
        name: {one for one in used if not any(one in below[other] for other in used - {one})}
        for name, used in graph.items()
    }


def _below(graph: Graph) -> Graph:
    """Wing -> everything it uses, at any distance."""
    below: Graph = {}
    for name in TopologicalSorter(graph).static_order():
        used = graph.get(name, set())
        below[name] = used | {far for one in used for far in below[one]}
    return below


def heights(graph: Graph) -> dict[str, int]:
    """Wing -> its row from below: one above the highest that it uses."""
    found: dict[str, int] = {}
    for name in TopologicalSorter(graph).static_order():
        found[name] = 1 + max((found[one] for one in graph.get(name, ())), default=-1)
    return found


def draw(package: str) -> str:
    """The SVG of one package."""
    graph = graph_of(package)
    arrows, height = reduced(graph), heights(graph)
    chains = [_chain(a, b, height) for a in sorted(arrows) for b in sorted(arrows[a])]
    rows = _rows(height, chains)
    widths = {name: _width(name) for row in rows for name in row}
    places = _places(_ordered(rows, chains), widths)
    width = max(x + widths[name] / 2 for name, (x, _) in places.items()) + GAP_PX
    shapes = [_arrow([places[one] for one in chain]) for chain in chains]
    shapes += [box(places[name], widths[name], [name]) for name in sorted(height)]
    return drawing(width, ROW_PX * len(rows), f"The wings of {package}", shapes)


def _chain(start: str, end: str, height: dict[str, int]) -> list[str]:
    """The stations of an arrow: its ends, and a place that it passes in every row between."""
    between = range(height[start] - 1, height[end], -1)
    return [start, *(f"|{start}>{end}@{row}" for row in between), end]


def _rows(height: dict[str, int], chains: Iterable[list[str]]) -> list[list[str]]:
    """Names by row, the highest first; places that an arrow passes start with a bar."""
    rows: list[list[str]] = [[] for _ in range(max(height.values()) + 1)]
    for name in sorted(height):
        rows[height[name]].append(name)
    for chain in chains:
        for passed in chain[1:-1]:
            rows[int(passed.rpartition("@")[2])].append(passed)
    return rows[::-1]


def _ordered(rows: list[list[str]], chains: Iterable[list[str]]) -> list[list[str]]:
    """Each row by the mean position of its neighbours above and below, so that few arrows cross."""
    beside: dict[str, list[str]] = {name: [] for row in rows for name in row}
    for chain in chains:
        for above, under in pairwise(chain):
            beside[above].append(under)
            beside[under].append(above)
    for _ in range(SWEEPS):
        at = {name: (i + 0.5) / len(row) for row in rows for i, name in enumerate(row)}
        mean = {n: sum(at[m] for m in [n, *near]) / (1 + len(near)) for n, near in beside.items()}
        rows = [sorted(row, key=lambda name: (round(mean[name], 9), name)) for row in rows]
    return rows


def _width(name: str) -> float:
    return 8.0 if name.startswith("|") else max(78.0, LETTER_PX * len(name) + 22)


def _places(rows: list[list[str]], widths: dict[str, float]) -> dict[str, tuple[float, float]]:
    """Middles of all boxes: rows from the top, each in the middle of the page."""
    lengths = [sum(widths[name] + GAP_PX for name in row) for row in rows]
    places = {}
    for number, (row, length) in enumerate(zip(rows, lengths, strict=True)):
        x = (max(lengths) - length) / 2 + GAP_PX
        for name in row:
            places[name] = (x + widths[name] / 2, ROW_PX * (number + 0.5))
            x += widths[name] + GAP_PX
    return places


def _arrow(stations: list[tuple[float, float]]) -> str:
    """From the lower edge of the first box to the upper edge of the last."""
    (x0, y0), (x1, y1) = stations[0], stations[-1]
    return arrow([(x0, y0 + 14), *stations[1:-1], (x1, y1 - 15)])


if __name__ == "__main__":
    for package in PACKAGES:
        (FOLDER / f"architecture-{package}.svg").write_text(draw(package), encoding="utf-8")
