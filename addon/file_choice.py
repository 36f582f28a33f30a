# SPDX-License-Identifier: GPL-3.0-or-later
"""Operators that read files: chosen in the browser, dropped into the window, or of a script."""

from pathlib import Path

import bpy
from bpy.props import CollectionProperty, StringProperty
from bpy_extras.io_utils import ImportHelper

from .settings import absolute
from .user_error import UserError

VIDEO_ENDINGS = (".mp4", ".mov", ".mkv", ".webm", ".avi", ".m4v")
VIDEO_FILTER = ";".join(f"*{ending}" for ending in VIDEO_ENDINGS)


class ReadsFiles(ImportHelper):
    """Mix-in: one file or several."""

    directory: StringProperty(subtype="DIR_PATH", options={"HIDDEN", "SKIP_SAVE"})
    files: CollectionProperty(
        type=bpy.types.OperatorFileListElement, options={"HIDDEN", "SKIP_SAVE"}
    )

    def names(self) -> list[str]:
        """Of the files of a browser or a drop."""
        return [one.name for one in self.files if one.name]

    def paths(self) -> list[Path]:
        """The files of a browser or a drop; else the one path of a script.

        Raises:
            UserError: none.
        """
        if names := self.names():
            folder = absolute(self.directory) or Path(self.filepath).parent
            return [folder / name for name in names]
        path = absolute(self.filepath)
        if path is None:
            raise UserError("no file is chosen.")
        return [path]

    def invoke(self, context: bpy.types.Context, event: bpy.types.Event) -> set[str]:
        if self.directory and self.names():
            return self.execute(context)  # dropped into the window
        return ImportHelper.invoke(self, context, event)
