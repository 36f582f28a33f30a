"""One clip: is it done already?  If not, order it, and move its files into place.

journal ─► same content, same options, files there? ─► skip
           else: order ─► slot ─► "moving" ─► rename, or put ─► remove stale ─► "done"
"""

import base64
import errno
import shutil
import time
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from staf_backend.batch.clips import Clip
from staf_backend.batch.inside import check_way, place_for, plain_file, remove
from staf_backend.batch.journal import Journal
from staf_backend.batch.recipe import Recipe
from staf_backend.batch.schedule import Slot
from staf_backend.batch.store import Store
from staf_backend.batch.worker import failed
from staf_backend.files import OutputError, content_digest, make_folder, sha256


@dataclass(frozen=True)
class Attempts:
    """Tries clips; called by `schedule.Schedule`.

    Attributes:
        journal, recipe: where to, and what.
        words: of every order, beside the clip's own: threads, blending, profile.
        store: where results go; None is the journal's folder.
        force: do again what is done, and what failed for good.
        settled: told of every clip that is done, skipped ("before": true) or failed for good.
    """

    journal: Journal
    recipe: Recipe
    recipe_digest: str
    words: Mapping[str, Any]
    store: Store | None
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
        return entry if self._whole(entry) else None

    def _whole(self, entry: dict[str, Any]) -> bool:
        """Whether all files of a clip are there."""
        if self.store is None:
            root = self.journal.out
            return all(_is(root, name, sum_) for name, sum_ in entry["files"].items())
        sizes = entry.get("sizes", {})
        return entry["files"].keys() == sizes.keys() and all(
            self.store.holds(name, size) for name, size in sizes.items()
        )

    def _convert(self, clip: Clip, slot: Slot, folder: Path) -> dict[str, Any]:
        log = self.journal.new_log(clip.place)
        here = self.store is None
        if here:
            check_way(self.journal.out, clip.place)
            make_folder(folder)
        beside = PurePosixPath(clip.place).parent
        answer = slot.run(
            {
                "source": str(clip.source),
                "stem": PurePosixPath(clip.place).name,
                "folder": str(folder) if here else None,
                "log": str(log) if here else None,
                "kept": str(self.journal.out / beside) if here else None,
                "recipe": self.recipe.as_values(),
                **self.words,
            }
        )
        if "log_text" in answer:
            _write_log(log, answer.pop("log_text"))
        return self._placed(clip, slot, folder, answer) if answer["ok"] else answer

    def _placed(
        self, clip: Clip, slot: Slot, folder: Path, answer: dict[str, Any]
    ) -> dict[str, Any]:
        """The answer, once the clip's files are where they belong, and stale ones are gone."""
        beside = PurePosixPath(clip.place).parent
        names = {file: str(beside / file) for file in answer["files"]}
        self.journal.write({"event": "moving", "place": clip.place, "files": list(names.values())})
        sizes: dict[str, int] | None = None
        if self.store is None:
            self._move(folder, names)
        else:
            put = slot.run({"put": names, "store": self.store.url})
            if not put["ok"]:
                return put
            sizes = put["sizes"]
        answer["files"] = {names[file]: sum_ for file, sum_ in answer["files"].items()}
        for stale in sorted(self.journal.files_of(clip.place) - answer["files"].keys()):
            self._remove(stale)
        return answer if sizes is None else answer | {"sizes": sizes}

    def _move(self, folder: Path, names: Mapping[str, str]) -> None:
        for file, name in names.items():
            target = place_for(self.journal.out, name)
            try:
                (folder / file).replace(target)
            except OSError as error:
                raise OutputError.from_os(target, error) from error

    def _remove(self, stale: str) -> None:
        if self.store is not None:
            self.store.remove(stale)
        else:
            remove(self.journal.out, stale)

    def _entry(self, clip: Clip, answer: dict[str, Any], seconds: float) -> dict[str, Any]:
        self.journal.keep_picture(clip.place, base64.b64decode(answer.pop("thumbnail", "")))
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


def _is(root: Path, name: str, checksum: str) -> bool:
    try:
        return sha256(plain_file(root, name)) == checksum
    except OSError:
        return False


def _write_log(path: Path, text: str) -> None:
    """Raises OutputError."""
    try:
        path.write_text(text, encoding="utf-8", errors="replace")
    except OSError as error:
        raise OutputError.from_os(path, error) from error
