"""The error about a training run, apart so that its rooms can all raise it."""

from staf_backend import StafError


class RunError(StafError):
    """A run cannot start, go on or end: its folder, its checkpoint, its data or its loss."""

    kind = "training"
    exit_code = 6
