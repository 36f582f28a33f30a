"""The reports of a training run as one picture of curves."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

_COLUMNS = 4
"""Panels side by side.  Chosen: a screen's width."""


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
    figure = Figure(figsize=(3 * _COLUMNS, 2.2 * rows), layout="constrained")
    panels = figure.subplots(rows, _COLUMNS, squeeze=False).flatten()
    for axes, (name, points) in zip(panels, curves.items(), strict=False):
        steps, values = zip(*points, strict=True)
        axes.plot(steps, values, linewidth=1, marker="." if len(points) < 30 else None)
        axes.set_title(name, fontsize=9)
        axes.tick_params(labelsize=7)
    for axes in panels[len(curves) :]:
        axes.set_axis_off()
    with replace_atomically(path) as temporary:
        figure.savefig(temporary, format="png", dpi=90, metadata={"Software": None})


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
