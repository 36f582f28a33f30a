"""One clip: its video to files in a folder, and what to say of it."""

import base64
import time
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

from staf_backend import StafError
from staf_backend.batch.blend import Blending, write_blends
from staf_backend.batch.recipe import Recipe
from staf_backend.export.deliver import Written, deliver
from staf_backend.files import content_digest, scratch_in, sha256
from staf_backend.pipeline import solve
from staf_backend.video import VideoError, check_path

if TYPE_CHECKING:
    from staf_backend.pipeline import Solved

_THUMBNAIL_PX = 160
"""Width of a picture in the report.  Chosen: about 5 kB each."""


class ChangedError(StafError):
    """The video was another one after it was read than before."""

    kind = "video"
    exit_code = 3


def convert(order: dict[str, Any], folder: Path, log: IO[Any]) -> dict[str, Any]:
    """Convert a clip, see `worker` for the order and the answer.

    Args:
        folder: for its files; empty.
        log: gets what programs say that it runs.

    Raises:
        StafError: it cannot be converted.
    """
    source = Path(order["source"])
    check_path(source)
    recipe, stages = Recipe.from_values(order["recipe"]), _Stages()
    before = _digest(source)
    outputs = recipe.outputs_in(folder, order["stem"])
    outputs.check(source)
    with scratch_in(folder):
        solved = solve(source, recipe.settings_with(order["threads"]), stages.report)
        written = deliver(solved, outputs, stages.report)
        paths = [path for one in written for path in one.files]
        if recipe.blender:
            stages.report("blender", 0, 1, "")
            paths += _blends(order, folder / order["stem"], recipe, solved, log)
    if _digest(source) != before:
        raise ChangedError(f"{source} changed while it was read.", "Convert it again.")
    return {
        "ok": True,
        "source_sha256": before,
        "files": {path.name: sha256(path) for path in dict.fromkeys(paths)},
        "people": [_person(one) for one in written],
        "stages_s": stages.seconds(),
        "thumbnail": _thumbnail(solved),
    }


def _digest(source: Path) -> str:
    try:
        return content_digest(source)
    except OSError as error:
        message = f"{source} cannot be read: {error.strerror}."
        raise VideoError(message, "Check its permissions and its disk.") from error


def _blends(
    order: dict[str, Any], stem: Path, recipe: Recipe, solved: "Solved", log: IO[Any]
) -> list[Path]:
    kept = Path(order["kept"]) if "motion" in recipe.extras and order["kept"] else None
    blending = Blending.from_values(order["blending"])
    return write_blends(stem, solved.motions, Path(order["source"]), kept, blending, log)


def _person(one: Written) -> dict[str, Any]:
    motion = one.motion
    return {
        "person": motion.person,
        "name": motion.name,
        "frames": len(motion.frames),
        "seconds": round(float(motion.times_s[-1] - motion.times_s[0]), 3),
        "coverage": round(float(motion.observed.mean()), 4),
        "estimator": motion.estimator,
        "configuration": motion.configuration,
        "precision": one.precision,
        "body": motion.body,
        "quality": dict(motion.quality),
        "words": list(motion.card.get("words", ())),
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
