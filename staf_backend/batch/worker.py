"""A worker: converts clips one after another in a process of its own, one order a line.

    ◄─ {"source", "stem", "folder", "log", "recipe", "threads"}    JSON on its standard input
    ─► {"ok": true, "source_sha256", "files", "people", ...}       JSON on its standard output
       {"ok": false, "kind", "message", "advice", "passing"}

Networks stay open between clips.  It ends itself when the end of its input says that whoever
started it is gone.
"""

import base64
import json
import logging
import os
import queue
import sys
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from staf_backend import StafError
from staf_backend.batch.recipe import Recipe, content_digest
from staf_backend.export.deliver import Written, deliver
from staf_backend.files.checksum import sha256
from staf_backend.pipeline import solve
from staf_backend.runtime.onnx_session import keep_networks_open
from staf_backend.video.error import VideoError
from staf_backend.video.video import check_path

if TYPE_CHECKING:
    from staf_backend.pipeline import Solved

_log = logging.getLogger(__name__)
_THUMBNAIL_PX = 160
"""Width of a picture in the report.  Chosen: about 5 kB each."""


def main() -> None:
    """Follow orders until there are no more."""
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)  # what libraries print is no answer
    keep_networks_open()
    orders: queue.Queue[str] = queue.Queue()
    threading.Thread(target=_read_orders, args=(orders,), daemon=True).start()
    while True:
        answer = follow(json.loads(orders.get()))
        answers.write(json.dumps(answer, allow_nan=False) + "\n")
        answers.flush()


def _read_orders(orders: "queue.Queue[str]") -> None:
    for line in sys.stdin:
        orders.put(line)
    os._exit(0)  # in the midst of a clip, too: nobody wants it any more


def follow(order: dict[str, Any]) -> dict[str, Any]:
    """One clip to files in the order's folder, and what to say of it."""
    handler = logging.FileHandler(order["log"], mode="w", encoding="utf-8")
    handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(name)s: %(message)s"))
    root = logging.getLogger()
    root.addHandler(handler)
    root.setLevel(logging.INFO)
    try:
        return _convert(order)
    except StafError as error:
        _log.error("%s", error)
        return failed(error.kind, error.message, error.advice, passing=error.kind == "output")
    except MemoryError:
        return failed("memory", "The machine's memory ran out.", passing=True)
    except Exception as error:  # one clip's fault is not the others'
        _log.exception("unexpected")
        advice = "This is a fault of the program; please report it with the clip's log."
        return failed("error", f"{type(error).__name__}: {error}", advice)
    finally:
        root.removeHandler(handler)
        handler.close()


def failed(kind: str, message: str, advice: str = "", *, passing: bool = False) -> dict[str, Any]:
    """An answer of a clip that was not converted; `passing`: another try may go well."""
    return {"ok": False, "kind": kind, "message": message, "advice": advice, "passing": passing}


def _convert(order: dict[str, Any]) -> dict[str, Any]:
    source, folder = Path(order["source"]), Path(order["folder"])
    check_path(source)
    recipe, stages = Recipe.from_values(order["recipe"]), _Stages()
    try:
        before = content_digest(source)
    except OSError as error:
        message = f"{source} cannot be read: {error.strerror}."
        raise VideoError(message, "Check its permissions and its disk.") from error
    outputs = recipe.outputs_in(folder, order["stem"])
    outputs.check(source)
    solved = solve(source, recipe.settings_with(order["threads"]), stages.report)
    written = deliver(solved, outputs, stages.report)
    if content_digest(source) != before:
        return failed("video", f"{source} changed while it was read.", passing=True)
    paths = dict.fromkeys(path for one in written for path in one.files)
    return {
        "ok": True,
        "source_sha256": before,
        "files": {path.name: sha256(path) for path in paths},
        "people": [_person(one) for one in written],
        "stages_s": stages.seconds(),
        "thumbnail": _thumbnail(solved),
    }


def _person(one: Written) -> dict[str, Any]:
    motion = one.motion
    return {
        "person": motion.person,
        "name": motion.name,
        "frames": len(motion.frames),
        "seconds": round(float(motion.times_s[-1] - motion.times_s[0]), 3),
        "coverage": round(float(motion.observed.mean()), 4),
        "estimator": motion.estimator,
        "body": motion.body,
        "quality": dict(motion.quality),
    }


def _thumbnail(solved: "Solved") -> str:
    """A small JPEG of the main person's middle frame, in base 64."""
    import cv2

    frames = solved.motions[0].frames
    middle = int(frames[len(frames) // 2])
    picture = next(iter(solved.video.frames(middle, middle + 1)))
    height = max(1, round(picture.shape[0] * _THUMBNAIL_PX / picture.shape[1]))
    small = cv2.resize(picture, (_THUMBNAIL_PX, height), interpolation=cv2.INTER_AREA)
    _, encoded = cv2.imencode(".jpg", small[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, 75])
    return base64.b64encode(encoded.tobytes()).decode("ascii")


class _Stages:
    """How long each stage of a clip took."""

    def __init__(self) -> None:
        self._began: list[tuple[str, float]] = [("open", time.monotonic())]

    def report(self, stage: str, _done: int, _total: int, _message: str) -> None:
        """For the pipeline."""
        if self._began[-1][0] != stage:
            self._began.append((stage, time.monotonic()))

    def seconds(self) -> dict[str, float]:
        """Stage -> seconds."""
        ends = [began for _, began in self._began[1:]] + [time.monotonic()]
        spent: dict[str, float] = {}
        for (stage, began), end in zip(self._began, ends, strict=True):
            spent[stage] = round(spent.get(stage, 0.0) + end - began, 3)
        return spent


if __name__ == "__main__":
    main()
