"""Are the pictures there and whole?  Looked at without being decoded: sets hold millions."""

from pathlib import Path

import numpy as np

from staf_backend.files import shown
from staf_backend.video import VideoError, open_container, read_picture, video_stream
from training.datasets.rows import Request
from training.datasets.store import SetError

_JPEG, _JPEG_END, _PNG, _PNG_END = b"\xff\xd8", b"\xff\xd9", b"\x89PNG", b"IEND"
_TAIL_BYTES = 1024  # cameras append a few bytes after the end mark
_FEW_FRAMES, _TWENTIETH = 2, 20  # by so many frames, or such a part, labels and video may differ
_WITHOUT = "Fetch it again, or prepare the set again without it."
_RATE_OFF = 0.02  # share by which a rate may differ: 29.97 counts as 30


class Pictures:
    """Checks images below a root, each once, and counts those missing or broken."""

    def __init__(self, request: Request) -> None:
        self._request = request
        self._states: dict[str, str] = {}

    def usable(self, names: list[str]) -> np.ndarray:
        """(len(names),) bool; counts the others, each row.

        Raises:
            SetError: one is missing, unless the request allows it.
        """
        return np.array([self._usable(name) for name in names], bool)

    def _usable(self, name: str) -> bool:
        if name not in self._states:
            self._states[name] = image_state(self._request.root / name)
        state = self._states[name]
        if state == "missing" and not self._request.allow_missing:
            raise SetError(
                f"{self._request.root / name} is missing.",
                "Finish the download, or go on without it: --allow-missing",
            )
        if state != "whole":
            self._request.skip(f"image {state}")
        return state == "whole"


def image_state(path: Path) -> str:
    """ "whole", "missing", "no JPEG or PNG" or "cut short"."""
    try:
        if not path.is_file():  # opening a pipe would wait for its other end
            return "missing"
        with path.open("rb") as file:
            start = file.read(8)
            size = file.seek(0, 2)
            file.seek(max(0, size - _TAIL_BYTES))
            end = file.read()
    except OSError:
        return "missing"
    if start.startswith(_JPEG):
        return "whole" if _JPEG_END in end else "cut short"
    if start.startswith(_PNG):
        return "whole" if _PNG_END in end else "cut short"
    return "no JPEG or PNG"


def frame_of(name: str) -> tuple[str, int | None]:
    """The file of one of `Annotations.images`, and which frame of it; None for a picture's."""
    path, _, number = name.rpartition("#")
    return (path, int(number)) if number.isascii() and number.isdigit() and path else (name, None)


def stored_picture(path: Path) -> np.ndarray:
    """RGB picture (H, W, 3) as stored: labels know nothing of cameras' orientation tags.

    Raises:
        SetError: missing, broken, or larger than any video.
    """
    state = image_state(path)
    if state != "whole":
        raise SetError(f"The picture {path} is {state}.", _WITHOUT)
    try:
        return read_picture(path)[0]
    except VideoError as error:
        raise SetError(error.message, _WITHOUT) from error


def image_size(path: Path) -> tuple[int, int]:
    """Width and height in pixels.

    Raises:
        SetError: it cannot be read.
    """
    height, width = stored_picture(path).shape[:2]
    return width, height


def video_facts(path: Path) -> tuple[int, float, tuple[int, int]]:
    """Number of frames, frames a second, (width, height); packets are counted, not decoded.

    Raises:
        SetError: missing, or no video.
    """
    from av.error import FFmpegError

    if not path.is_file():
        raise SetError(f"{path} is missing.", "Finish the download.")
    try:
        with open_container(path) as container:
            stream = video_stream(container)
            rate = float(stream.average_rate or 0)
            size = (stream.codec_context.width, stream.codec_context.height)
            count = sum(1 for packet in container.demux(stream) if packet.size)
    except (FFmpegError, VideoError, ValueError, ArithmeticError, MemoryError) as error:
        message = f"{path} is broken or no video ({shown(str(error))})."
        raise SetError(message, "Fetch it again.") from error
    return count, rate, size


def frames_to_keep(request: Request, labelled: int, pictured: int, path: Path) -> int:
    """How many frames have both a label and a picture; counts the labels without one.

    Raises:
        SetError: labels and pictures differ by more than a twentieth: not of the same video.
    """
    if abs(labelled - pictured) > max(_FEW_FRAMES, labelled // _TWENTIETH):
        raise SetError(
            f"{path} has {pictured} frames, its labels {labelled}.",
            "Video and labels are of different versions, or one is cut short: fetch both again.",
        )
    request.skip("label beyond the end of the video", max(0, labelled - pictured))
    return min(labelled, pictured)


def stride_for(wanted_fps: float, fps: float, path: Path) -> int:
    """Every how many frames of a video to keep one.

    Raises:
        SetError: the wanted rate does not divide the video's.
    """
    stride = round(fps / wanted_fps)
    if stride < 1 or abs(fps / stride - wanted_fps) > _RATE_OFF * wanted_fps:
        raise SetError(
            f"{path} has {fps:g} frames a second: {wanted_fps:g} does not divide it.",
            "Give another --fps.",
        )
    return stride
