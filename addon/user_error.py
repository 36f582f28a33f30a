# SPDX-License-Identifier: GPL-3.0-or-later
"""What went wrong, in the user's words."""

import traceback


class UserError(Exception):
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

    @property
    def whole(self) -> str:
        """For "Show Log", which has room for what a line cuts off."""
        return f"{self}\n\n{self.log}".strip()


def unforeseen(error: Exception) -> UserError:
    """A fault of the add-on's own as one sentence, with its traceback as the log."""
    words = " ".join(f"{type(error).__name__}: {error}".split())[:300]
    advice = "Show Log has the details, which a bug report needs."
    return UserError(
        f"the add-on failed: {words}.", advice, "".join(traceback.format_exception(error))
    )
