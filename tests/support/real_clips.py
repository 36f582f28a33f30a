"""The repository's footage, converted once a test run however many tests look at the result."""

from functools import cache
from pathlib import Path

from staf_backend.pipeline import Settings, Solved, solve


def silent(_stage: str, _done: int, _total: int, _message: str) -> None:
    """A report that nobody reads."""


@cache
def solve_clip(path: Path, **settings: object) -> Solved:
    """A clip's motions, one thread."""
    return solve(path, Settings(threads=1, **settings), silent)  # type: ignore[arg-type]
