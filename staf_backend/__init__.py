"""Turn video of people into rigged, keyframed SMPL-style animation.

Read `pipeline.py` first: it is the whole trip of a video on one page.  This module imports
nothing heavy, so that `import staf_backend` costs nothing.
"""

import os

__version__ = "0.1.0"

# ONNX Runtime reads this once, when it is loaded; without it, versions from 1.32 on keep a device
# id and a store of events in the user's cache and look for their maker's server
os.environ["ORT_DISABLE_TELEMETRY"] = "1"


class StafError(Exception):
    """Base of every error that a user sees: what happened, and what to do about it, in one line.

    Rooms derive their own errors and set `kind` (a stable word for programs) and `exit_code`
    (what the command line returns).

    Args:
        message: what happened, naming the file or value.
        advice: what the user can do; may be empty.
    """

    kind = "error"
    exit_code = 1

    def __init__(self, message: str, advice: str = "") -> None:
        super().__init__(f"{message} {advice}".strip())
        self.message = message
        self.advice = advice
