# SPDX-License-Identifier: GPL-3.0-or-later
"""Which video a motion is of: by what is in the file, for two may be called take.mp4.

numpy only.
"""

import hashlib
from pathlib import Path

from ..archive import open_file
from ..user_error import UserError
from .motion_file import MotionClip

_PIECE_BYTES = 1 << 20
"""Read at each place.  Chosen: no two videos share a first, a middle and a last megabyte and their
size, and reading them takes a hundredth of a second."""


def video_identity(path: Path) -> str:
    """32 hexadecimal digits: of a file's size and of its beginning, middle and end.

    Raises:
        UserError: it cannot be read.
    """
    try:
        size = path.stat().st_size
        digest = hashlib.sha256(str(size).encode())
        with open_file(path) as file:
            for place in (0, size // 2, max(0, size - _PIECE_BYTES)):
                file.seek(place)
                digest.update(file.read(_PIECE_BYTES))
    except OSError as error:
        reason = error.strerror or str(error)
        raise UserError(f"the video {path} cannot be read: {reason}.") from None
    return digest.hexdigest()[:32]


def clip_identity(clip: MotionClip, video: Path | None) -> str:
    """The video's, or where it is not at hand, one of what the motion says of it.

    Raises:
        UserError: the video cannot be read.
    """
    if video is not None:
        return video_identity(video)
    film = clip.camera
    told = (clip.source or clip.name, clip.source_fps, film.width_px, film.height_px, film.focal_px)
    return hashlib.sha256(repr(told).encode()).hexdigest()[:32]


def person_identity(clip: MotionClip, video: Path | None) -> str:
    """Of the person in that video: number and body; without the video the shape tells, too."""
    told = f"{clip_identity(clip, video)} {clip.person} {clip.body}"
    shape = "" if video is not None else clip.betas.tobytes().hex()
    return hashlib.sha256(f"{told} {shape}".encode()).hexdigest()[:32]
