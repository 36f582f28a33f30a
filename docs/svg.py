"""A few shapes of SVG, enough for the site's drawings; lengths in pixels of the drawing."""

from collections.abc import Sequence
from html import escape
from itertools import pairwise

INK, SOFT_INK, FAINT, PAPER, FILL = "#1f2933", "#52606d", "#7b8794", "#ffffff", "#e8eef7"
FONT = "font-family='Helvetica, Arial, sans-serif'"

Point = tuple[float, float]


def drawing(width: float, height: float, title: str, shapes: Sequence[str]) -> str:
    """A whole SVG file."""
    arrow = (
        "<marker id='arrow' viewBox='0 0 8 8' refX='7' refY='4' markerWidth='7' markerHeight='7' "
        f"orient='auto'><path d='M0 0L8 4L0 8z' fill='{FAINT}'/></marker>"
    )
    head = (
        f"<svg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 {width:.0f} {height:.0f}' "
        f"width='{width:.0f}' height='{height:.0f}' role='img' {FONT}>"
    )
    paper = f"<rect width='100%' height='100%' rx='6' fill='{PAPER}'/>"
    parts = [head, f"<title>{escape(title)}</title>", f"<defs>{arrow}</defs>", paper, *shapes]
    return "\n".join([*parts, "</svg>\n"])


def box(middle: Point, width: float, lines: Sequence[str], fill: str = FILL) -> str:
    """A box of lines of text, the first one bold; 16 px a line."""
    height = 16 * len(lines) + 12
    x, y = middle[0] - width / 2, middle[1] - height / 2
    frame = (
        f"<rect x='{x:.1f}' y='{y:.1f}' width='{width:.1f}' height='{height:.1f}' rx='5' "
        f"fill='{fill}' stroke='{FAINT}'/>"
    )
    rows = [
        text((middle[0], y + 20 + 16 * row), line, 13 if row == 0 else 11, bold=row == 0)
        for row, line in enumerate(lines)
    ]
    return "\n".join([frame, *rows])


def text(
    at: Point,
    words: str,
    size_px: float = 12,
    *,
    bold: bool = False,
    anchor: str = "middle",
    colour: str = "",
) -> str:
    """One line of text; `at` is its middle (or start, or end) on the base line."""
    weight = " font-weight='bold'" if bold else ""
    colour = colour or (INK if bold else SOFT_INK)
    return (
        f"<text x='{at[0]:.1f}' y='{at[1]:.1f}' font-size='{size_px:g}' fill='{colour}' "
        f"text-anchor='{anchor}'{weight}>{escape(words)}</text>"
    )


def arrow(points: Sequence[Point]) -> str:
    """A smooth line down through points, with a head at its end."""
    path = f"M{points[0][0]:.1f} {points[0][1]:.1f}"
    for (x0, y0), (x1, y1) in pairwise(points):
        bend = (y1 - y0) / 2
        path += f"C{x0:.1f} {y0 + bend:.1f} {x1:.1f} {y1 - bend:.1f} {x1:.1f} {y1:.1f}"
    return f"<path d='{path}' fill='none' stroke='{FAINT}' marker-end='url(#arrow)'/>"


def line(points: Sequence[Point], colour: str, width: float = 1.5) -> str:
    """A line through points."""
    path = " ".join(f"{x:.1f},{y:.1f}" for x, y in points)
    return f"<polyline points='{path}' fill='none' stroke='{colour}' stroke-width='{width:g}'/>"
