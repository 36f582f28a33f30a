"""Somebody dressed, in a room with a floor, as a clip of whole pictures."""

from pathlib import Path

import av
import numpy as np

from training.synthetic import looks
from training.synthetic.draw import Actor, Shot, renderer
from training.synthetic.recipe import PARTS, Looks
from training.synthetic.scene import Camera, Person
from training.synthetic.textures import Bank

_CELL_M, _BLUR_PX, _ENCODING = 0.018, 0.6, {"crf": "18", "preset": "veryfast"}
_LOOKS = Looks(skirt=0.05, room=1.0, photo=0.0, occluders=0.0, other_person=0.0)
"""Chosen: all of the person is seen, on a floor that is seen."""


def write_clip(
    path: Path,
    person: Person,
    camera: Camera,
    size_px: tuple[int, int],
    rate_hz: int,
    part: str,
    rng: np.random.Generator,
) -> None:
    """Write somebody as .mp4.

    Args:
        path: of the file.
        person: of T frames, on the floor at y = 0.
        camera: whose focal length is over the picture's width.
        size_px: width and height; no higher than wide.
        rate_hz: frames a second.
        part: whose appearances, of `PARTS`.
        rng: draws clothes, room and light.

    Raises:
        SyntheticError: nothing can draw here.
    """
    frames, (width, height) = len(person.pelvis_m), size_px
    squares = np.tile([0.0, 0.0, 1.0], (frames, 1))
    bank = Bank(PARTS.index(part), ())
    outfit = looks.dress(person, _LOOKS, bank, _CELL_M, rng)
    around = looks.surround(person, camera, squares, _LOOKS, bank, rng)
    drawing = renderer(width)
    drawing.begin(Shot((Actor(person, outfit),), around, camera, squares))
    top = (width - height) // 2
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=rate_hz, options=_ENCODING)
        stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
        for frame in range(frames):
            picture = _softened(drawing.picture(frame, frame)[top : top + height])
            container.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
        container.mux(stream.encode(None))


def _softened(picture: np.ndarray) -> np.ndarray:
    import cv2

    return cv2.GaussianBlur(np.ascontiguousarray(picture), (0, 0), _BLUR_PX)
