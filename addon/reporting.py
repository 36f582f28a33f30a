# SPDX-License-Identifier: GPL-3.0-or-later
"""Operators that answer with one clear line.

In a window a failure is a message; in a script the same report raises RuntimeError with its text,
which is how Blender tells Python that an operator failed.
"""

from collections.abc import Iterable

import bpy

from .problem import Problem

_last_log = [""]


class Reporting:
    """Mix-in of operators: `perform` does the work and raises `Problem`."""

    def perform(self, context: bpy.types.Context) -> Iterable[str]:
        """Do it.

        Returns:
            what the user should know, if anything.

        Raises:
            Problem: the reason why not.
        """
        raise NotImplementedError

    def execute(self, context: bpy.types.Context) -> set[str]:
        try:
            notes = list(self.perform(context))
        except Problem as problem:
            remember_log(problem.log)
            self.report({"ERROR"}, str(problem))  # type: ignore[attr-defined]
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
