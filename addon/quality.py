# SPDX-License-Identifier: GPL-3.0-or-later
"""What a take says of its own quality: sentences first, then the frames that deserve a look."""

from collections.abc import Iterable
from dataclasses import dataclass

import bpy
from bpy.props import FloatProperty

from .reporting import Reporting
from .scene.takes import LAST_FRAME, card_of, clock_of
from .user_error import UserError

_MOST_WORDS, _LONGEST = 20, 300
"""Sentences shown, and characters of each.  Chosen: a panel's height; the card is a stranger's."""


@dataclass(frozen=True)
class Place:
    """A frame that deserves a look."""

    frame: float
    text: str


class GoTo(Reporting, bpy.types.Operator):
    """Show this frame"""

    bl_idname = "staf.go_to"
    bl_label = "Go To"
    bl_options = {"INTERNAL"}

    frame: FloatProperty(options={"SKIP_SAVE"})

    def perform(self, context: bpy.types.Context) -> Iterable[str]:
        context.scene.frame_set(round(self.frame))
        return []


def words_of(take: bpy.types.Action) -> list[str]:
    """Sentences, the gravest first."""
    words = card_of(take).get("words", [])
    if not isinstance(words, list):
        return []
    return [one[:_LONGEST] for one in words[:_MOST_WORDS] if isinstance(one, str)]


def places_of(take: bpy.types.Action) -> list[Place]:
    """The worst frames, by time."""
    try:
        start, rate = clock_of(take)
    except UserError:  # a panel has nobody to tell
        return []
    worst = card_of(take).get("worst", [])
    found = []
    for one in worst[:_MOST_WORDS] if isinstance(worst, list) else []:
        try:
            frame = start + float(one["time_s"]) * rate
            if abs(frame) > LAST_FRAME:
                continue
            text = f"{one['what']} {float(one['value']):.3g}"[:_LONGEST]
            found.append(Place(frame, f"{round(frame)}: {text}"))
        except (KeyError, TypeError, ValueError, OverflowError):
            continue
    return found


CLASSES = (GoTo,)
