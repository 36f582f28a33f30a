# SPDX-License-Identifier: GPL-3.0-or-later
"""The backend's contacts file: when parts of the body stand, as the animator corrected it.

Knows nothing of Blender.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

from ..user_error import UserError

PARTS = (
    *("left_heel", "left_toe", "right_heel", "right_toe"),
    *("left_hand", "right_hand", "left_knee", "right_knee", "seat"),
)


@dataclass(frozen=True)
class Span:
    """A part stands from one second to another, both included."""

    part: str
    start_s: float
    end_s: float


def write_contacts(path: Path, clip: str, people: Mapping[int, Sequence[Span]]) -> None:
    """Write a contacts file.

    Args:
        path: of the file.
        clip: file name of the video.
        people: the spans of each person, by number.

    Raises:
        UserError: a span ends before it starts, two of one part overlap, or the file cannot be
            written.
    """
    listed = []
    for person, spans in people.items():
        ordered = sorted(spans, key=lambda span: (PARTS.index(span.part), span.start_s))
        _check(ordered)
        contacts = [
            {"part": one.part, "start_s": round(one.start_s, 4), "end_s": round(one.end_s, 4)}
            for one in ordered
        ]
        listed.append({"person": person, "contacts": contacts})
    document = {"format": "staf-contacts", "version": 1, "clip": clip, "people": listed}
    try:
        path.write_text(json.dumps(document, indent=1, ensure_ascii=False) + "\n", "utf-8")
    except OSError as error:
        raise UserError(f"{path} cannot be written: {error.strerror}.") from None


def _check(spans: Sequence[Span]) -> None:
    for span in spans:
        if span.end_s < span.start_s:
            raise UserError(f"a contact of the {_said(span)} ends before it starts.")
    for one, after in pairwise(spans):
        if one.part == after.part and after.start_s <= one.end_s:
            raise UserError(f"two contacts of the {_said(one)} overlap.", "Join or shorten them.")


def _said(span: Span) -> str:
    return span.part.replace("_", " ")
