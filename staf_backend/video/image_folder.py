"""A folder of numbered pictures, read as if it were a video."""

import re
from collections.abc import Generator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from staf_backend.video.clock import Origin
from staf_backend.video.error import VideoError
from staf_backend.video.lens import Focal, focal_of_still
from staf_backend.video.picture import Picture, ReadyPicture
from staf_backend.video.picture_file import read_picture
from staf_backend.video.upright import Upright

SUFFIXES = (".png", ".jpg", ".jpeg")
"""Of pictures; any other file of a folder is passed over."""


@dataclass(frozen=True)
class ImageFolder:
    """Pictures of one size, in natural order; see `video.Video` for the fields."""

    paths: tuple[Path, ...]
    fps: float
    width_px: int
    height_px: int
    upright: Upright
    focal: Focal | None
    has_audio: bool = False

    @property
    def times_s(self) -> np.ndarray:
        """(F,) seconds from 0, evenly spaced."""
        return np.arange(len(self.paths)) / self.fps

    @property
    def origin(self) -> Origin:
        """Pictures have no sound."""
        return Origin()

    def pictures(
        self,
        first: int,
        last: int,
        threads: int | None = None,  # noqa: ARG002 - of a movie's decoder
    ) -> Generator[Picture, None, None]:
        """Upright pictures first .. last - 1."""
        expected = self.upright.size(self.width_px, self.height_px)
        for path in self.paths[first:last]:
            stored, upright, _ = read_picture(path)
            image = upright.apply(stored)
            if image.shape[1::-1] != expected:
                message = "{} is {}x{} px, the first picture {}x{}."
                raise VideoError(
                    message.format(path, *image.shape[1::-1], *expected),
                    "All pictures of a folder must have one size.",
                )
            yield ReadyPicture(image)


def open_image_folder(folder: Path, fps: float) -> ImageFolder:
    """The pictures directly in `folder`, shown at `fps`.

    Raises:
        VideoError: no pictures there, or the first one cannot be read.
    """
    if not (fps > 0 and np.isfinite(fps)):
        raise VideoError(f"{fps} frames per second is no frame rate.", "Give a positive number.")
    found = [p for p in folder.iterdir() if p.suffix.lower() in SUFFIXES and p.is_file()]
    paths = tuple(sorted((p for p in found if not p.name.startswith(".")), key=_natural))
    if not paths:
        advice = f"A folder must hold the frames as {', '.join(SUFFIXES)}."
        raise VideoError(f"{folder} is a folder without pictures.", advice)
    stored, upright, exif = read_picture(paths[0])
    height, width = stored.shape[:2]
    focal = focal_of_still(exif.focal_35mm, exif.make, exif.model, width, height)
    return ImageFolder(paths, float(fps), width, height, upright, focal)


def _natural(path: Path) -> tuple:
    """Sorting key by which frame9 comes before frame10; else the name's text decides."""
    parts = re.split("([0-9]+)", path.name.lower())  # every second one is a number
    numbered = [(int(p), "") if i % 2 else (-1, p) for i, p in enumerate(parts)]
    return tuple(numbered), path.name
