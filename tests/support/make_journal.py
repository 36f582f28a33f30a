"""Journals of a batch, as a batch writes them and as strangers do."""

import contextlib
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from staf_backend.batch.journal import Journal

STATE = ".staf-batch"
DONE: dict[str, Any] = {
    "event": "done",
    "place": "a",
    "files": {"a.npz": "0" * 64},
    "people": [{"person": 1, "name": "a", "coverage": 0.9, "words": ["It was dark."]}],
    "seconds": 1.0,
}
"""A line of a clip "a" that is done."""


def tell(out: Path, *lines: object) -> None:
    """Lines of a journal, as a stranger writes them."""
    text = "".join(f"{line if isinstance(line, str) else json.dumps(line)}\n" for line in lines)
    (out / STATE / "journal.jsonl").write_text(text)


@contextlib.contextmanager
def opened(out: Path) -> Iterator[Journal]:
    """The journal of an output folder, closed after use."""
    with contextlib.closing(Journal(out)) as journal:
        yield journal
