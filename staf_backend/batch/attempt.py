"""One clip: is it done already?  If not, order it, and move its files into place.

journal ─► same content, same options, files there? ─► skip
           else: order ─► slot ─► "moving" ─► rename ─► remove stale ─► "done"
"""

import contextlib
import errno
import shutil
import time
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from staf_backend.batch.clips import Clip
from staf_backend.batch.journal import Journal
from staf_backend.batch.recipe import Recipe, content_digest
from staf_backend.batch.schedule import Slot
from staf_backend.batch.worker import failed
from staf_backend.files.atomic import OutputError, make_folder
from staf_backend.files.checksum import sha256


@dataclass(frozen=True)
class Attempts:
    """Tries clips; called by `schedule.Schedule`.

    Attributes:
        journal, recipe: where to, and what.
        threads: of a worker's networks.
        force: do again what is done, and what failed for good.
        settled: told of every clip that is done, skipped ("before": true) or failed for good.
    """

    journal: Journal
    recipe: Recipe
    recipe_digest: str
    threads: int
    force: bool
    settled: Callable[[Clip, dict[str, Any], bool], None]

    def __call__(self, clip: Clip, slot: Slot, last: bool) -> bool:
        """See `schedule.Attempt`.

        Raises:
            OutputError: the journal cannot be written.
        """
        if not self.force and (entry := self._known(clip)) is not None:
            self.settled(clip, entry, True)
            return False
        began = time.monotonic()
        folder = self.journal.work / uuid.uuid4().hex[:12]
        try:
            answer = self._convert(clip, slot, folder)
        except OutputError as error:
            answer = failed(error.kind, error.message, error.advice, passing=True)
        finally:
            shutil.rmtree(folder, ignore_errors=True)
        if answer.get("kind") == "interrupted" or (answer.get("passing") and not last):
            return answer["kind"] != "interrupted"
        entry = self._entry(clip, answer, time.monotonic() - began)
        self.journal.write(entry)
        self.settled(clip, entry, False)
        return False

    def _known(self, clip: Clip) -> dict[str, Any] | None:
        """What the journal says of a clip, where that still holds."""
        entry = self.journal.last(clip.place)
        if entry is None or entry.get("recipe") != self.recipe_digest or entry.get("passing"):
            return None
        if entry.get("source_sha256") != _digest(clip.source):
            return None
        if entry["event"] == "failed":
            return entry
        whole = all(_is(self.journal.out / name, sum_) for name, sum_ in entry["files"].items())
        return entry if whole else None

    def _convert(self, clip: Clip, slot: Slot, folder: Path) -> dict[str, Any]:
        make_folder(folder)
        log = self.journal.log_of(clip.place)
        make_folder(log.parent)
        answer = slot.run(
            {
                "source": str(clip.source),
                "stem": PurePosixPath(clip.place).name,
                "folder": str(folder),
                "log": str(log),
                "recipe": self.recipe.as_values(),
                "threads": self.threads,
            }
        )
        if answer["ok"]:
            answer["files"] = self._move(clip, folder, answer["files"])
        return answer

    def _move(self, clip: Clip, folder: Path, files: dict[str, str]) -> dict[str, str]:
        """Rename a clip's files into place; their names below the output folder."""
        beside = PurePosixPath(clip.place).parent
        moved = {str(beside / name): checksum for name, checksum in files.items()}
        self.journal.write({"event": "moving", "place": clip.place, "files": list(moved)})
        make_folder(self.journal.out / beside)
        for name, target in zip(files, moved, strict=True):
            try:
                (folder / name).replace(self.journal.out / target)
            except OSError as error:
                raise OutputError.from_os(self.journal.out / target, error) from error
        for stale in self.journal.files_of(clip.place) - moved.keys():
            with contextlib.suppress(FileNotFoundError):
                (self.journal.out / stale).unlink()
        return moved

    def _entry(self, clip: Clip, answer: dict[str, Any], seconds: float) -> dict[str, Any]:
        if "source_sha256" not in answer:
            answer["source_sha256"] = _digest(clip.source)
        return {
            "event": "done" if answer.pop("ok") else "failed",
            "place": clip.place,
            "source": str(clip.source),
            "recipe": self.recipe_digest,
            "seconds": round(seconds, 3),
            **answer,
        }


def _digest(source: Path) -> str:
    """The content's digest; where it cannot be read, a word that tells why."""
    try:
        return content_digest(source)
    except OSError as error:
        return errno.errorcode.get(error.errno or 0, "unreadable")


def _is(path: Path, checksum: str) -> bool:
    try:
        return sha256(path) == checksum
    except OSError:
        return False
