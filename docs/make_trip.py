"""The trip of a video as a drawing.

python -m docs.make_trip            # writes docs/pictures/trip.svg
"""

from pathlib import Path

from docs.svg import arrow, box, drawing, text

TARGET = Path(__file__).parent / "pictures" / "trip.svg"
OTHER_FILL = "#f6ecd9"
WIDTH, STEP, TOP = 620.0, 92.0, 40.0
LEFT = 250.0

STEPS = (  # box, its wing, what leaves it
    ("video", "video", "frames (H, W, 3), each with its time"),
    ("find and follow people", "people", "a Track each: boxes, 17 key points, seen or filled in"),
    ("read landmarks", "landmarks", "33 points in pixels, visibility; left stays left"),
    ("lift", "landmarks", "rotations of 24 joints, how far each may be off, up, contacts"),
    ("fit", "fit", "SmplParams: rotations, root, one shape; camera axes"),
    ("motion", "motion", "y up, metres, seconds; quaternions"),
    ("files", "export", ""),
)
INSTEAD = (2, 4)
"""The steps that STAF takes the place of: first and last."""


def draw() -> str:
    """The SVG."""
    shapes = []
    for number, (name, wing, leaves) in enumerate(STEPS):
        y = TOP + STEP * number
        shapes.append(box((LEFT, y), 190, [name, wing]))
        if leaves:
            shapes.append(arrow([(LEFT, y + 22), (LEFT, y + STEP - 23)]))
            shapes.append(text((LEFT + 14, y + STEP / 2 + 4), leaves, 12, anchor="start"))
    return drawing(
        WIDTH, TOP + STEP * (len(STEPS) - 0.5), "The trip of a video", [*_staf(), *shapes]
    )


def _staf() -> list[str]:
    """The other estimator, beside the steps whose place it takes; its arrows lie below the text."""
    first, last = (TOP + STEP * step for step in INSTEAD)
    x, y = 70.0, (first + last) / 2
    bent = [(LEFT, first - STEP + 22), (x, first - STEP / 4), (x, y - 31)]
    back = [(x, y + 30), (x, last + STEP / 4), (LEFT, last + STEP - 23)]
    box_of = box((x, y), 116, ["STAF", "estimators.staf", "instead, if chosen"], OTHER_FILL)
    return [arrow(bent), arrow(back), box_of]


if __name__ == "__main__":
    TARGET.write_text(draw(), encoding="utf-8")
