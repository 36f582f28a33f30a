# SPDX-License-Identifier: GPL-3.0-or-later
"""What went wrong, in the user's words."""


class Problem(Exception):
    """Base of every error that a user of the add-on sees.

    Args:
        message: what happened, naming the file or object.
        advice: what the user can do; may be empty.
        log: the whole story, for "Show log"; may be empty.
    """

    def __init__(self, message: str, advice: str = "", log: str = "") -> None:
        super().__init__(f"{message} {advice}".strip())
        self.message = message
        self.advice = advice
        self.log = log
