"""The reports of a training run as one picture of curves."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

_COLUMNS = 4
"""Panels side by side.  Chosen: a screen's width."""
_WIDTH_IN, _HEIGHT_IN = 3.0, 2.2
"""Of a panel."""
_FRAME = (0.2, 0.12, 0.75, 0.74)
"""Left, bottom, width and height of a curve's frame in its panel.  Chosen: numbers of six signs fit
beside it; letting Matplotlib measure them triples the time."""


def draw_reports(reports: Sequence[Mapping[str, Any]], path: Path) -> None:
    """A panel for each loss, score and the rate, over the steps; nothing where there is no report.

    Args:
        reports: of the run's log: `step`, and `losses` and `rate`, or `scores`.
        path: of the PNG.

    Raises:
        OutputError: it cannot be written.
    """
    from matplotlib.figure import Figure

    from staf_backend.files import replace_atomically

    curves = _curves(reports)
    if not curves:
        return
    rows = -(-len(curves) // _COLUMNS)
    figure = Figure(figsize=(_WIDTH_IN * _COLUMNS, _HEIGHT_IN * rows))
    for number, (name, points) in enumerate(curves.items()):
        axes = figure.add_axes(_place(number, rows))
        steps, values = zip(*points, strict=True)
        axes.plot(steps, values, linewidth=1, marker="." if len(points) < 30 else None)
        axes.set_title(name, fontsize=9)
        axes.locator_params(nbins=4)
        axes.tick_params(labelsize=7)
    with replace_atomically(path) as temporary:
        figure.savefig(temporary, format="png", dpi=90, metadata={"Software": None})


def _place(number: int, rows: int) -> tuple[float, float, float, float]:
    """Left, bottom, width and height of a panel's frame, in parts of the picture."""
    row, column = divmod(number, _COLUMNS)
    left, below, width, height = _FRAME
    return (
        (column + left) / _COLUMNS,
        (rows - 1 - row + below) / rows,
        width / _COLUMNS,
        height / rows,
    )


def _curves(reports: Sequence[Mapping[str, Any]]) -> dict[str, list[tuple[int, float]]]:
    """(step, value) by name, in the order of their first report."""
    curves: dict[str, list[tuple[int, float]]] = {}
    for report in reports:
        values = {f"loss/{name}": value for name, value in report.get("losses", {}).items()}
        values |= {f"score/{name}": value for name, value in report.get("scores", {}).items()}
        if "rate" in report:
            values["rate"] = report["rate"]
        for name, value in values.items():
            curves.setdefault(name, []).append((report["step"], value))
    return curves
