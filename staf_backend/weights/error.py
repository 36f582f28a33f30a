"""The error about network weights, apart so that several rooms can raise it."""

from staf_backend import StafError


class WeightsError(StafError):
    """A weights file is missing, unreadable, of another network, incomplete or damaged."""

    kind = "weights"
    exit_code = 6
