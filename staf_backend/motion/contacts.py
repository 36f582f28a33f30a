"""When a part of the body stood on something: spans that a person may edit."""

import itertools
import math
from collections.abc import Iterable
from dataclasses import dataclass

from staf_backend.geometry import require

PARTS = (
    *("left_heel", "left_toe", "right_heel", "right_toe"),
    *("left_hand", "right_hand", "left_knee", "right_knee", "seat"),
)
"""What can stand, kneel, sit or lean on something."""


@dataclass(frozen=True)
class ContactSpan:
    """One stretch of time in which a part of the body stays on one spot.

    Raises:
        ValueError: an unknown part, a number that is not finite, or an end before its start; the
            message names the span.
    """

    part: str
    """One of `PARTS`."""
    start_s: float
    """Time of the first key that stands."""
    end_s: float
    """Time of the last one, not before `start_s`."""
    floor_m: float
    """Height, in the motion's axes, of the ground that it belongs to."""

    def __post_init__(self) -> None:
        require(self.part in PARTS, f"the part of contact {self}", f"one of {', '.join(PARTS)}")
        for name in ("start_s", "end_s", "floor_m"):
            value = getattr(self, name)
            number = isinstance(value, int | float) and not isinstance(value, bool)
            require(number and math.isfinite(value), f"{name} of contact {self}", "a number")
            object.__setattr__(self, name, float(value))
        require(self.start_s <= self.end_s, f"end_s of contact {self}", "at or after its start_s")

    def __str__(self) -> str:
        return f"{self.part} from {self.start_s} to {self.end_s} s"


def in_order(
    spans: Iterable[ContactSpan], first_s: float, last_s: float
) -> tuple[ContactSpan, ...]:
    """Spans by part and start.

    Args:
        spans: of one clip, in any order.
        first_s, last_s: times of the clip's first and last key.

    Raises:
        ValueError: one reaches beyond the clip, or into the next one of its part.
    """
    ordered = tuple(sorted(spans, key=lambda span: (PARTS.index(span.part), span.start_s)))
    for span in ordered:
        inside = first_s <= span.start_s and span.end_s <= last_s
        require(inside, f"contact {span}", f"within the clip, {first_s} to {last_s} s")
    for span, after in itertools.pairwise(ordered):
        apart = span.part != after.part or span.end_s <= after.start_s
        require(apart, f"contact {after}", f"after the one before it, {span}")
    return ordered


def clipped(spans: Iterable[ContactSpan], first_s: float, last_s: float) -> tuple[ContactSpan, ...]:
    """What of the spans lies between two times."""
    return tuple(
        ContactSpan(s.part, max(s.start_s, first_s), min(s.end_s, last_s), s.floor_m)
        for s in spans
        if s.start_s <= last_s and s.end_s >= first_s
    )


def other_side(part: str) -> str:
    """The part of the other side of the body: left_heel for right_heel; the seat is its own."""
    side, _, rest = part.partition("_")
    return {"left": f"right_{rest}", "right": f"left_{rest}"}.get(side, part)
