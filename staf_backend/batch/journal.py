"""What became of every clip, one JSON object a line, only ever appended.

OUT/.staf-batch/journal.jsonl:

    {"event": "moving", "place", "files"}       before results are moved into place
    {"event": "done", "place", "files", ...}    after that
    {"event": "failed", "place", "kind", "message", ...}

Whatever moment a machine dies at, the lines that are whole tell what to do next; a torn last line
is passed over, and so is a line with words that no batch writes (see `entry`).
"""

import contextlib
import json
import logging
import os
import shutil
import threading
from pathlib import Path
from typing import Any

from staf_backend.batch.entry import STATE_FOLDER, checked
from staf_backend.batch.inside import (
    check_way,
    clear_place,
    open_to_append,
    own_folder,
    read,
    remove,
)
from staf_backend.files import OutputError, make_folder, read_json_text, real_path
from staf_backend.files.limits import (
    JOURNAL_BYTES,
    JOURNAL_LINE_BYTES,
    JOURNAL_LINES,
    JOURNAL_STRANGE_LINES,
    THUMBNAIL_BYTES,
)
from staf_backend.files.lock import lock

_log = logging.getLogger(__name__)
_ANEW = "Delete it and the batch begins anew."


class Journal:
    """The journal of an output folder, which one batch at a time may write.

    Opening it sweeps what an interrupted batch left behind.

    Raises:
        OutputError: the folder cannot be written to, another batch is at work in it, what is no
            result is a link there, or the journal is too large.
    """

    def __init__(self, out: Path) -> None:
        self.out = real_path(make_folder(out))
        for name in ("logs", "pictures"):
            own_folder(self.out, f"{STATE_FOLDER}/{name}")
        check_way(self.out, f"{STATE_FOLDER}/work/any")
        self._path = self.out / STATE_FOLDER / "journal.jsonl"
        self._writing = threading.Lock()
        # as it stands in the file: as objects it would take three to five times the memory
        self._last: dict[str, bytes] = {}
        self._files: dict[str, set[str]] = {}
        self._file = open_to_append(self.out, f"{STATE_FOLDER}/journal.jsonl")
        try:
            if not lock(self._file):
                raise OutputError(f"Another batch is writing to {out}.", "Wait for it, or end it.")
            self._read()
        except BaseException:
            self._file.close()
            raise
        shutil.rmtree(self.work, ignore_errors=True)
        make_folder(self.work)

    @property
    def work(self) -> Path:
        """Where workers write before results are moved into place."""
        return self.out / STATE_FOLDER / "work"

    def new_log(self, place: str) -> Path:
        """Where a clip's log is to be written; the one before is gone.

        Raises:
            OutputError: it cannot be written there.
        """
        return clear_place(self.out, f"{STATE_FOLDER}/logs/{place}.log")

    def keep_picture(self, place: str, jpeg: bytes) -> None:
        """Keep the small picture of a clip, or none where it is empty; pictures of ten thousand
        clips are no matter of memory.  Where it cannot be kept there is none: a report without it
        is still right."""
        with contextlib.suppress(OSError, OutputError):
            if not jpeg:
                remove(self.out, _picture(place))
                return
            with clear_place(self.out, _picture(place)).open("xb") as file:
                file.write(jpeg)

    def picture(self, place: str) -> bytes:
        """The small picture of a clip that is done, a JPEG; empty where there is none."""
        try:
            return read(self.out, _picture(place), THUMBNAIL_BYTES)
        except OSError:
            return b""

    def last(self, place: str) -> dict[str, Any] | None:
        """The last "done" or "failed" of a place."""
        line = self._last.get(place)
        return None if line is None else checked(read_json_text(line))

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
            self._take(entry, line)

    def close(self) -> None:
        """Remove what is no result, and let go of the folder."""
        shutil.rmtree(self.work, ignore_errors=True)
        self._file.close()

    def _read(self) -> None:
        """Raises OutputError where it is too large, or not what a batch writes."""
        if os.fstat(self._file.fileno()).st_size > JOURNAL_BYTES:
            raise self._no_journal(f"more than {JOURNAL_BYTES // 1_000_000} MB")
        self._file.seek(0)
        count, strange, whole = 0, 0, True
        while line := self._file.readline(JOURNAL_LINE_BYTES):
            began, whole = whole, line.endswith(b"\n")
            count += began
            if count > JOURNAL_LINES:
                raise self._no_journal(f"more than {JOURNAL_LINES} lines")
            if strange > JOURNAL_STRANGE_LINES:
                raise self._no_journal(f"more than {JOURNAL_STRANGE_LINES} lines are not its own")
            if began:
                strange += not (whole or len(line) < JOURNAL_LINE_BYTES) or self._is_strange(line)
        if not whole:
            self._file.write(b"\n")
        if strange:
            lines = f"{strange} lines are" if strange > 1 else "one line is"
            told = f"{lines} not what a batch writes; what stood there is done anew"
            _log.warning("%s: %s.", self._path, told)

    def _no_journal(self, reason: str) -> OutputError:
        return OutputError(f"{self._path} is no journal of a batch: {reason}.", _ANEW)

    def _is_strange(self, line: bytes) -> bool:
        """Take a line; whether it is whole and yet nothing that `write` ever wrote."""
        try:
            self._take(checked(read_json_text(line)), line)
        except json.JSONDecodeError:
            _log.info("%s: a line that was cut off is passed over", self._path)
        except ValueError as error:
            _log.info("%s: a line is passed over: %s", self._path, error)
            return True
        return False

    def _take(self, entry: dict[str, Any], line: bytes) -> None:
        place, event = entry["place"], entry["event"]
        if event in ("moving", "done") and entry["files"]:
            self._files.setdefault(place, set()).update(entry["files"])
        if event in ("done", "failed"):
            self._last[place] = line


def _picture(place: str) -> str:
    return f"{STATE_FOLDER}/pictures/{place}.jpg"
