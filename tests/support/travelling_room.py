"""A room with a floor and a wall or four, filmed on any way: pictures, and their cameras' poses."""

from functools import cache
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


def film(
    place_m: np.ndarray,
    vectors_deg: np.ndarray,
    camera: Camera = CAMERA,
    closed: bool = False,
) -> Filmed:
    """What a camera sees on its way.

    Args:
        place_m: (T, 3) y up, level with the walker's eyes at 0; it looks along -z.
        vectors_deg: (T, 3) by which it is turned, in its own axes.
        camera: its lens.
        closed: with walls to the sides and behind, too, and a floor up to them.
    """
    view = from_axis_angle(np.radians(vectors_deg)) @ TO_Y_UP
    pictures = [
        _picture(_planes(closed), camera, *pose) for pose in zip(view, place_m, strict=True)
    ]
    return Filmed(pictures, view, place_m)


@cache
def _planes(closed: bool) -> list[tuple[np.ndarray, np.ndarray]]:
    """Textures, and (3, 3) that puts their pixels (x, y, 1) into the room."""
    rng, step = np.random.default_rng(5), 1 / _PX_PER_M
    along_x, along_z, down = (np.array(way) * step for way in ([1, 0, 0], [0, 0, 1], [0, -1, 0]))
    left, top, wide = -_HALF_M, FLOOR_M + _HEIGHT_M, 2 * _HALF_M
    planes = [
        (_HEIGHT_M, wide, along_x, down, (left, top, _WALL_M)),
        (_NEAR_M - _WALL_M, wide, along_x, along_z, (left, FLOOR_M, _WALL_M)),
    ]
    if closed:
        deep = _HALF_M - _WALL_M
        planes += [
            (_HALF_M - _NEAR_M, wide, along_x, along_z, (left, FLOOR_M, _NEAR_M)),
            (_HEIGHT_M, wide, along_x, down, (left, top, _HALF_M)),
            (_HEIGHT_M, deep, along_z, down, (left, top, _WALL_M)),
            (_HEIGHT_M, deep, along_z, down, (_HALF_M, top, _WALL_M)),
        ]
    sizes = [[round(metres * _PX_PER_M) for metres in plane[:2]] for plane in planes]
    columns = [np.stack(plane[2:], 1) for plane in planes]
    return [(_texture(rng, *size), into) for size, into in zip(sizes, columns, strict=True)]


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
    """(H, W, 3): through every pixel, what of the room lies there before the camera."""
    import cv2

    size = camera.width_px, camera.height_px
    x, y = np.meshgrid(*(np.arange(n, dtype=np.float32) for n in size))
    middle = camera.principal_point_px - 0.5
    rays = np.stack([x - middle[0], y - middle[1], np.full_like(x, camera.focal_px)])
    ways = (view.T @ rays.reshape(3, -1)).astype(np.float32)
    picture = np.full(size[::-1], 90, np.uint8)
    for texture, into_room in planes:
        # place + s way = into_room (x, y, 1), so (x, y, 1) / s = inverse of (into_room - place) way
        there = np.linalg.inv(into_room - np.outer(place_m, [0, 0, 1])).astype(np.float32) @ ways
        before = there[2] > 1e-6
        columns, rows = (
            np.where(before, there[k] / np.where(before, there[2], 1), -9).clip(-9, 9e3)
            for k in (0, 1)
        )
        x, y = (values.astype(np.float32).reshape(size[::-1]) for values in (columns, rows))
        cv2.remap(texture, x, y, cv2.INTER_LINEAR, dst=picture, borderMode=cv2.BORDER_TRANSPARENT)
    return np.repeat(cv2.GaussianBlur(picture, (0, 0), 0.6)[..., None], 3, axis=-1)
