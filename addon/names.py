# SPDX-License-Identifier: GPL-3.0-or-later
"""What a name from outside may be: a stranger's file, or a broken backend, could say a path."""

import os
import re
from pathlib import Path

BODY_NAME = re.compile(r"[A-Za-z0-9][\w.-]{0,99}", re.ASCII)
"""Of a body; it becomes the name of a file, and a word of a command line."""
_LONGEST_NAME = 255
"""Bytes: what file systems and Blender take."""
_LONGEST_WORDS = 300
"""Characters of a message.  Chosen: what a pop-up can show."""


def is_plain(name: str) -> bool:
    """Whether it can only ever be a name, never a path."""
    short = len(os.fsencode(name)) <= _LONGEST_NAME
    return short and name != ".." and Path(name).name == name and min(name, default=" ") >= " "


def in_a_line(text: str) -> str:
    """Words out of a file as they may stand in a message: printable, and not too long."""
    short = text if len(text) <= _LONGEST_WORDS else text[:_LONGEST_WORDS] + "..."
    return "".join(letter if letter.isprintable() else "?" for letter in short)
