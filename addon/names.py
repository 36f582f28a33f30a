# SPDX-License-Identifier: GPL-3.0-or-later
"""What a name from outside may be: a stranger's file, or a broken backend, could say a path."""

import os
import re
from pathlib import Path

BODY_NAME = re.compile(r"[A-Za-z0-9][\w.-]{0,99}", re.ASCII)
"""Of a body; it becomes the name of a file, and a word of a command line."""
_LONGEST_NAME = 255
"""Bytes: what file systems and Blender take."""


def is_plain(name: str) -> bool:
    """Whether it can only ever be a name, never a path."""
    short = len(os.fsencode(name)) <= _LONGEST_NAME
    return short and name != ".." and Path(name).name == name and min(name, default=" ") >= " "
