"""A room with a floor and a wall, filmed on any way: pictures, and the poses of their camera."""

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from staf_backend.geometry import TO_Y_UP, Camera, from_axis_angle
from tests.support.walker import FLOOR_M

CAMERA = Camera(450.0, 640, 360, focal_assumed=False, focal_source="given")
_WALL_M, _NEAR_M, _HALF_M, _HEIGHT_M = -9.0, -1.2, 12.0, 5.0
"""The wall's z, where the floor begins, and how far both reach to the sides and up."""
_PX_PER_M = 48
"""Of the textures."""


class Filmed(NamedTuple):
    """Pictures (T, H, W, 3), and of each its camera's view (T, 3, 3), world axes (y up) to camera
    axes, and place_m (T, 3)."""

    pictures: list[np.ndarray]
    view: np.ndarray
    place_m: np.ndarray


def film(place_m: np.ndarray, vectors_deg: np.ndarray, camera: Camera = CAMERA) -> Filmed:
    """What a camera sees on its way.

    Args:
        place_m: (T, 3) y up, level with the walker's eyes at 0; it looks along -z.
        vectors_deg: (T, 3) by which it is turned, in its own axes.
        camera: its lens.
    """
    view = from_axis_angle(np.radians(vectors_deg)) @ TO_Y_UP
    planes = list(_planes())
    pictures = [_picture(planes, camera, *pose) for pose in zip(view, place_m, strict=True)]
    return Filmed(pictures, view, place_m)


def _planes() -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Textures, and (3, 3) that puts their pixels (x, y, 1) into the room."""
    rng = np.random.default_rng(5)
    wide = round(2 * _HALF_M * _PX_PER_M)
    step = 1 / _PX_PER_M
    deep = round((_NEAR_M - _WALL_M) * _PX_PER_M)
    left = -_HALF_M
    yield (
        _texture(rng, round(_HEIGHT_M * _PX_PER_M), wide),
        np.array([[step, 0, left], [0, -step, FLOOR_M + _HEIGHT_M], [0, 0, _WALL_M]]),
    )
    yield (
        _texture(rng, deep, wide),
        np.array([[step, 0, left], [0, 0, FLOOR_M], [0, step, _WALL_M]]),
    )


def _texture(rng: np.random.Generator, height: int, width: int) -> np.ndarray:
    """Noise of several sizes, uint8."""
    import cv2

    whole = np.zeros((height, width))
    for size in (4, 12, 40):
        small = rng.normal(0, 1, (height // size + 2, width // size + 2))
        whole += cv2.resize(small, (width, height), interpolation=cv2.INTER_CUBIC)
    return (128 + 38 * whole).clip(0, 255).astype(np.uint8)


def _picture(
    planes: list[tuple[np.ndarray, np.ndarray]],
    camera: Camera,
    view: np.ndarray,
    place_m: np.ndarray,
) -> np.ndarray:
    import cv2

    size = camera.width_px, camera.height_px
    middle = camera.principal_point_px - 0.5
    lens = np.array([[camera.focal_px, 0, middle[0]], [0, camera.focal_px, middle[1]], [0, 0, 1]])
    picture = np.full(size[::-1], 90, np.uint8)
    for texture, into_room in planes:
        way = into_room - np.outer(place_m, [0, 0, 1])
        there = lens @ view @ way
        transparent = cv2.BORDER_TRANSPARENT
        cv2.warpPerspective(texture, there, size, dst=picture, borderMode=transparent)
    return np.repeat(cv2.GaussianBlur(picture, (0, 0), 0.6)[..., None], 3, axis=-1)
