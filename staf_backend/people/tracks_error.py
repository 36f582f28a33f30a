"""What is wrong with a tracks file, and where."""

from staf_backend import StafError
from staf_backend.people.json_lines import Path


class TracksError(StafError):
    """A tracks file that cannot be used."""

    kind = "tracks"
    exit_code = 10


class WrongAtError(ValueError):
    """A value of a tracks file is wrong: the reason, and the path that leads to it."""

    def __init__(self, path: Path, reason: str) -> None:
        super().__init__(reason)
        self.path = path
