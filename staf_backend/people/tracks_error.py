"""What is wrong with a tracks file."""

from staf_backend import StafError


class TracksError(StafError):
    """A tracks file that cannot be used."""

    kind = "tracks"
    exit_code = 10
