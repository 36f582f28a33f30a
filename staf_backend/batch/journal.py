"""What became of every clip, one JSON object a line, only ever appended.

OUT/.staf-batch/journal.jsonl:

    {"event": "moving", "place", "files"}       before results are moved into place
    {"event": "done", "place", "files", ...}    after that
    {"event": "failed", "place", "kind", "message", ...}

Whatever moment a machine dies at, the lines that are whole tell what to do next; a torn last line
is passed over.
"""

import json
import logging
import shutil
import threading
from pathlib import Path, PurePosixPath
from typing import Any

from staf_backend.files import OutputError, make_folder, read_json_text
from staf_backend.files.lock import lock

_log = logging.getLogger(__name__)
FOLDER = ".staf-batch"
"""In the output folder: everything that is no result."""


class Journal:
    """The journal of an output folder, which one batch at a time may write.

    Opening it sweeps what an interrupted batch left behind.

    Raises:
        OutputError: the folder cannot be written to, or another batch is at work in it.
    """

    def __init__(self, out: Path) -> None:
        self.out = make_folder(out).resolve()
        self._path = make_folder(self.out / FOLDER) / "journal.jsonl"
        self._writing = threading.Lock()
        self._last: dict[str, dict[str, Any]] = {}
        self._files: dict[str, set[str]] = {}
        try:
            self._file = self._path.open("ab+")
        except OSError as error:
            raise OutputError.from_os(self._path, error) from error
        if not lock(self._file):
            self._file.close()
            raise OutputError(f"Another batch is writing to {out}.", "Wait for it, or end it.")
        self._read()
        shutil.rmtree(self.work, ignore_errors=True)
        make_folder(self.work)

    @property
    def work(self) -> Path:
        """Where workers write before results are moved into place."""
        return self.out / FOLDER / "work"

    def log_of(self, place: str) -> Path:
        """The log file of a clip."""
        return self.out / FOLDER / "logs" / f"{place}.log"

    def picture_of(self, place: str) -> Path:
        """The small picture of a clip that is done, a JPEG."""
        return self.out / FOLDER / "pictures" / f"{place}.jpg"

    def last(self, place: str) -> dict[str, Any] | None:
        """The last "done" or "failed" of a place."""
        return self._last.get(place)

    def files_of(self, place: str) -> set[str]:
        """Every file that this place may ever have put there, relative to the output folder."""
        return self._files.get(place, set())

    def places(self, prefix: str) -> list[str]:
        """Every place that begins so and ever had files."""
        return sorted(place for place in self._files if place.startswith(prefix))

    def write(self, entry: dict[str, Any]) -> None:
        """Append an entry.

        Raises:
            OutputError: it cannot be written.
        """
        line = json.dumps(entry, allow_nan=False).encode() + b"\n"
        with self._writing:
            try:
                self._file.write(line)
                self._file.flush()
            except OSError as error:
                raise OutputError.from_os(self._path, error) from error
            self._take(entry)

    def close(self) -> None:
        """Remove what is no result, and let go of the folder."""
        shutil.rmtree(self.work, ignore_errors=True)
        self._file.close()

    def _read(self) -> None:
        self._file.seek(0)
        line = b"\n"
        for line in self._file:
            try:
                self._take(read_json_text(line))
            except (ValueError, KeyError, TypeError, AttributeError, IndexError):
                _log.info("%s: a line that was cut off is passed over", self._path)
        if not line.endswith(b"\n"):
            self._file.write(b"\n")

    def _take(self, entry: dict[str, Any]) -> None:
        """Raises ValueError, KeyError, TypeError or AttributeError for what `write` never wrote."""
        place, event = _text(entry["place"]), entry["event"]
        if event in ("moving", "done"):
            names = {_name(name) for name in entry["files"]}
            self._files.setdefault(place, set()).update(names)
        if event in ("done", "failed"):
            _check(entry)
            self._last[place] = entry


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise TypeError("no text")
    return value


def _name(value: Any) -> str:
    """A name below the output folder: files of it are removed, and a stranger may have written it.

    Raises:
        ValueError: it leads out of the folder.
    """
    path = PurePosixPath(_text(value).replace("\\", "/"))
    if path.is_absolute() or ".." in path.parts or ":" in path.parts[0] or "\0" in value:
        raise ValueError("it leads out of the folder")
    return value


def _check(entry: dict[str, Any]) -> None:
    """What the reports use."""
    if entry["event"] == "failed":
        _text(entry["message"])
        return
    for name, checksum in entry["files"].items():
        _text(name + checksum)
    if not isinstance(entry.get("people", []), list):
        raise TypeError("no list")
    float(entry.get("seconds", 0.0))
