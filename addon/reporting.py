# SPDX-License-Identifier: GPL-3.0-or-later
"""Operators that answer with one clear line.

In a window a failure is a message; in a script the same report raises RuntimeError with its text,
which is how Blender tells Python that an operator failed.
"""

import textwrap
from collections.abc import Iterable

import bpy

from .user_error import UserError

_last_log = [""]
_LETTER_PX, _MARGIN_PX = 6.6, 60.0
"""Of Blender's font at a scale of 1, and of a panel's edges.  Measured on 4.3."""


class Reporting:
    """Mix-in of operators: `perform` does the work and raises `UserError`."""

    def perform(self, context: bpy.types.Context, /) -> Iterable[str]:
        """Do it.

        Returns:
            what the user should know, if anything.

        Raises:
            UserError: the reason why not.
        """
        raise NotImplementedError

    def execute(self, context: bpy.types.Context) -> set[str]:
        try:
            notes = list(self.perform(context))
        except UserError as error:
            remember_log(error.whole)
            self.report({"ERROR"}, str(error))  # type: ignore[attr-defined]
            return {"CANCELLED"}
        except KeyboardInterrupt:  # Ctrl-C in a script
            self.report({"ERROR"}, "interrupted.")  # type: ignore[attr-defined]
            return {"CANCELLED"}
        for note in notes:
            self.report({"INFO"}, note)  # type: ignore[attr-defined]
        return {"FINISHED"}


def remember_log(text: str) -> None:
    """Keep a log for "Show Log"."""
    if text:
        _last_log[0] = text


def last_log() -> str:
    """What the backend said last."""
    return _last_log[0]


def draw_text(
    layout: bpy.types.UILayout, context: bpy.types.Context, text: str, icon: str = "NONE"
) -> None:
    """A sentence on as many lines as the width of the region needs."""
    width_px = context.region.width if context.region else 280
    scale = context.preferences.system.ui_scale
    column = layout.column(align=True)
    letters = max(20, int((width_px / scale - _MARGIN_PX) / _LETTER_PX))
    for number, line in enumerate(textwrap.wrap(text, letters)):
        column.label(text=line, icon=icon if number == 0 else "NONE")
