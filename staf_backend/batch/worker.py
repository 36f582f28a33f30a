"""A worker: converts clips one after another in a process of its own, one order a line.

    ◄─ {"source", "stem", "folder", "log", "kept", "recipe", "threads", "blending", "profile"}
    ─► {"ok": true, "source_sha256", "files", "people", ...}
       {"ok": false, "kind", "message", "advice", "passing"}
    ◄─ {"put": {file: name below the store}, "store": URL}        files of the clip before
    ─► {"ok": true, "sizes": {name: bytes}} or as above

Orders are JSON on its standard input, answers on its standard output.  Where "folder" is null it
works in one of its own, and the answer has "log_text".  Networks stay open between clips.  It ends
itself when the end of its input says that whoever started it is gone.
"""

import cProfile
import io
import json
import logging
import os
import pstats
import queue
import shutil
import sys
import tempfile
import threading
from pathlib import Path
from typing import IO, Any

from staf_backend import StafError
from staf_backend.batch.convert import ChangedError, convert
from staf_backend.batch.store import Store
from staf_backend.runtime import is_alive, keep_networks_open

_log = logging.getLogger(__name__)
_OWN = "staf-batch-"
"""Before the process' number, in the name of a folder that it makes for itself."""
_LONGEST_LOG = 100_000
"""Characters of a log that travel with an answer.  Chosen: a thousand lines."""
_PROFILE_LINES = 40
"""Functions in a profile.  Chosen: those that take 1 % or more."""


def main() -> None:
    """Follow orders until there are no more."""
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)  # what libraries print is no answer
    keep_networks_open()
    sweep(Path(tempfile.gettempdir()))
    worker = Worker()
    orders: queue.Queue[str] = queue.Queue()
    threading.Thread(target=_read_orders, args=(orders, worker), daemon=True).start()
    while True:
        answer = worker.follow(json.loads(orders.get()))
        answers.write(json.dumps(answer, allow_nan=False) + "\n")
        answers.flush()


def sweep(temporary: Path) -> None:
    """Remove what workers that died left in the folder for temporary files."""
    for folder in temporary.glob(f"{_OWN}*"):
        number = folder.name.removeprefix(_OWN).split("-")[0]
        if number.isdecimal() and not is_alive(int(number)):
            shutil.rmtree(folder, ignore_errors=True)


def _read_orders(orders: "queue.Queue[str]", worker: "Worker") -> None:
    for line in sys.stdin:
        orders.put(line)
    worker.clear()
    os._exit(0)  # in the midst of a clip, too: nobody wants it any more


def failed(kind: str, message: str, advice: str = "", *, passing: bool = False) -> dict[str, Any]:
    """An answer of a clip that was not converted; `passing`: another try may go well."""
    return {"ok": False, "kind": kind, "message": message, "advice": advice, "passing": passing}


class Worker:
    """Follows orders, and remembers the folder of the last one."""

    def __init__(self) -> None:
        self._folder: Path | None = None
        self._own: Path | None = None

    def follow(self, order: dict[str, Any]) -> dict[str, Any]:
        """The answer to an order, whatever happens."""
        try:
            if "put" in order:
                return self._put(order)
            self.clear()
            if order["folder"] is None:
                self._own = Path(tempfile.mkdtemp(prefix=f"{_OWN}{os.getpid()}-"))
                log = self._own.with_suffix(".log")
                self._folder = self._own
                answer = _logged(order, self._folder, log)
                text = log.read_text(encoding="utf-8", errors="replace")
                log.unlink()
                return answer | {"log_text": text[-_LONGEST_LOG:]}
            self._folder = Path(order["folder"])
            return _logged(order, self._folder, Path(order["log"]))
        except StafError as error:
            return failed(error.kind, error.message, error.advice, passing=True)
        except OSError as error:
            return failed("output", f"The worker cannot write: {error}.", passing=True)

    def clear(self) -> None:
        """Remove a folder of its own."""
        if self._own is not None:
            shutil.rmtree(self._own, ignore_errors=True)
        self._own = self._folder = None

    def _put(self, order: dict[str, Any]) -> dict[str, Any]:
        if self._folder is None:
            return failed("crash", "The worker that made the files is gone.", passing=True)
        files = {name: self._folder / file for file, name in order["put"].items()}
        Store(order["store"]).put(files)
        return {"ok": True, "sizes": {name: path.stat().st_size for name, path in files.items()}}


def _logged(order: dict[str, Any], folder: Path, log: Path) -> dict[str, Any]:
    """Convert, with all log lines in the clip's own file."""
    handler = logging.FileHandler(log, mode="w", encoding="utf-8", errors="backslashreplace")
    handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(name)s: %(message)s"))
    root = logging.getLogger()
    root.addHandler(handler)
    root.setLevel(logging.INFO)
    try:
        with log.open("a", encoding="utf-8", errors="backslashreplace") as more:
            return _profiled(order, folder, more)
    except StafError as error:
        _log.error("%s", error)
        passing = isinstance(error, ChangedError) or getattr(error, "passing", False)
        passing = passing or error.kind == "output"
        return failed(error.kind, error.message, error.advice, passing=passing)
    except MemoryError:
        return failed("memory", "The machine's memory ran out.", passing=True)
    except Exception as error:  # one clip's fault is not the others'
        _log.exception("unexpected")
        advice = "This is a fault of the program; please report it with the clip's log."
        return failed("error", f"{type(error).__name__}: {error}", advice)
    finally:
        root.removeHandler(handler)
        handler.close()


def _profiled(order: dict[str, Any], folder: Path, log: IO[Any]) -> dict[str, Any]:
    """Convert; where it was asked for, where the time went stands at the log's end."""
    if not order["profile"]:
        return convert(order, folder, log)
    profile = cProfile.Profile()
    try:
        return profile.runcall(convert, order, folder, log)
    finally:
        text = io.StringIO()
        pstats.Stats(profile, stream=text).sort_stats("cumulative").print_stats(_PROFILE_LINES)
        log.write(text.getvalue())


if __name__ == "__main__":
    main()
