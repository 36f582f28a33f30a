"""What became of every clip, one JSON object a line, only ever appended.

OUT/.staf-batch/journal.jsonl:

    {"event": "moving", "place", "files"}       before results are moved into place
    {"event": "done", "place", "files", ...}    after that
    {"event": "failed", "place", "kind", "message", ...}

Whatever moment a machine dies at, the lines that are whole tell what to do next; a torn last line
is passed over, and so is a line with words that no batch writes (see `entry`).  Memory holds where
each clip's lines stand, not the lines: those of ten thousand clips have a quarter of a gigabyte.
"""

import contextlib
import json
import logging
import os
import shutil
import threading
from collections import Counter
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
    JOURNAL_FILES,
    JOURNAL_LINE_BYTES,
    JOURNAL_LINES,
    JOURNAL_STRANGE_LINES,
    JOURNAL_VALUES,
    THUMBNAIL_BYTES,
)
from staf_backend.files.lock import lock

_log = logging.getLogger(__name__)
_ANEW = "Delete it and the batch begins anew."
_Stretch = tuple[int, int]
"""Of the file: where a line begins, and its bytes."""


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
        self._using = threading.Lock()
        self._last: dict[str, _Stretch] = {}
        self._naming: dict[str, list[_Stretch]] = {}
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
        return self._said(self._last[place], place) if place in self._last else None

    def files_of(self, place: str) -> set[str]:
        """Every file that this place may ever have put there, relative to the output folder."""
        said = (self._said(stretch, place) for stretch in self._naming.get(place, ()))
        return {name for entry in said if entry is not None for name in entry["files"]}

    def places(self, prefix: str) -> list[str]:
        """Every place that begins so and ever had files."""
        return sorted(place for place in self._naming if place.startswith(prefix))

    def write(self, entry: dict[str, Any]) -> None:
        """Append an entry.

        Raises:
            OutputError: it cannot be written.
        """
        line = json.dumps(entry, allow_nan=False).encode() + b"\n"
        with self._using:
            try:
                self._file.write(line)
                self._file.flush()
            except OSError as error:
                raise OutputError.from_os(self._path, error) from error
            self._note(entry, (self._file.tell() - len(line), len(line)))

    def close(self) -> None:
        """Remove what is no result, and let go of the folder."""
        shutil.rmtree(self.work, ignore_errors=True)
        self._file.close()

    def _said(self, stretch: _Stretch, place: str) -> dict[str, Any] | None:
        """What a line says of a place; None where somebody has changed it since it was noted."""
        with self._using:
            self._file.seek(stretch[0])
            line = self._file.read(stretch[1])
        with contextlib.suppress(ValueError):
            entry = checked(read_json_text(line))
            return entry if entry["place"] == place else None
        return None

    def _read(self) -> None:
        """Raises OutputError where it is too large, or not what a batch writes."""
        if os.fstat(self._file.fileno()).st_size > JOURNAL_BYTES:
            raise self._no_journal(f"more than {JOURNAL_BYTES // 1_000_000} MB")
        self._file.seek(0)
        found: Counter[str] = Counter()
        at, whole = 0, True
        while line := self._file.readline(JOURNAL_LINE_BYTES):
            began, whole = whole, line.endswith(b"\n")
            if began:
                found["lines"] += 1
                found["values"] += line.count(b",") + line.count(b"[") + line.count(b"{")
                self._check(found)
                self._read_line(line, at, found)
            at += len(line)
        self._check(found)
        if not whole:
            self._file.write(b"\n")
        if strange := found["lines are not its own"]:
            lines = f"{strange} lines are" if strange > 1 else "one line is"
            told = f"{lines} not what a batch writes; what stood there is done anew"
            _log.warning("%s: %s.", self._path, told)

    def _check(self, found: Counter[str]) -> None:
        """Refuse more than any batch wrote, before the next line is looked at."""
        for words, most in (
            ("lines", JOURNAL_LINES),
            ("values", JOURNAL_VALUES),
            ("names of files", JOURNAL_FILES),
            ("lines are not its own", JOURNAL_STRANGE_LINES),
            ("lines are cut off", JOURNAL_STRANGE_LINES),
        ):
            if found[words] > most:
                raise self._no_journal(f"more than {most} {words}")

    def _no_journal(self, reason: str) -> OutputError:
        return OutputError(f"{self._path} is no journal of a batch: {reason}.", _ANEW)

    def _read_line(self, line: bytes, at: int, found: Counter[str]) -> None:
        """Note a line, and count what was found in it."""
        try:
            if len(line) == JOURNAL_LINE_BYTES and not line.endswith(b"\n"):
                raise ValueError("it is longer than any")
            entry = checked(read_json_text(line))
        except json.JSONDecodeError:
            _log.info("%s: a line that was cut off is passed over", self._path)
            found["lines are cut off"] += 1
        except ValueError as error:
            _log.info("%s: a line is passed over: %s", self._path, error)
            found["lines are not its own"] += 1
        else:
            self._note(entry, (at, len(line)))
            found["names of files"] += len(entry.get("files", ())) + len(entry.get("sizes", ()))

    def _note(self, entry: dict[str, Any], stretch: _Stretch) -> None:
        place, event = entry["place"], entry["event"]
        if event in ("moving", "done") and entry["files"]:
            self._naming.setdefault(place, []).append(stretch)
        if event in ("done", "failed"):
            self._last[place] = stretch


def _picture(place: str) -> str:
    return f"{STATE_FOLDER}/pictures/{place}.jpg"
