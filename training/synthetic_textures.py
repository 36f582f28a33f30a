"""Pictures for surfaces: noise, cloth, floors, walls, prints, and photographs from a folder.

All are square RGB uint8 (S, S, 3) that tile, except backdrops, and encoded for a screen.
"""

from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from .synthetic_recipe import SyntheticError

SIDE = 256
"""Pixels along a cloth's or a floor's side."""
PHOTO_SIDE = 512
_SUFFIXES = (".jpg", ".jpeg", ".png", ".webp")


def noise(rng: np.random.Generator, size: int, coarsest: int, octaves: int = 4) -> np.ndarray:
    """Value noise (S, S) about 0 with deviation near 1 that tiles; coarsest cells to a side."""
    import cv2

    total = np.zeros((size, size), np.float32)
    for octave in range(octaves):
        cells = coarsest * 2**octave
        if cells > size:
            break
        grid = rng.standard_normal((cells, cells)).astype(np.float32)
        grid = np.pad(grid, 2, mode="wrap")
        scale = size // cells
        big = cv2.resize(grid, None, fx=scale, fy=scale, interpolation=cv2.INTER_CUBIC)
        total += big[2 * scale :, 2 * scale :][:size, :size] * 0.6**octave
    return total


def colour(rng: np.random.Generator) -> np.ndarray:
    """A colour as clothes and walls have them, 0..1: mostly dull, some vivid, some grey."""
    kind = rng.random()
    value = rng.beta(1.2, 1.4)
    if kind < 0.35:
        return np.clip(value + rng.normal(0, 0.03, 3), 0.02, 0.98)
    saturation = rng.beta(1.5, 2.0) if kind < 0.8 else rng.uniform(0.6, 1)
    hue = rng.random() * 6
    ramp = np.clip(np.abs((hue + np.array([0, 4, 2])) % 6 - 3) - 1, 0, 1)
    return np.clip((0.15 + 0.8 * value) * (1 - saturation * (1 - ramp)), 0.02, 0.98)


def skin_tone(rng: np.random.Generator) -> np.ndarray:
    """A skin's colour, 0..1 as encoded for a screen, from very dark to very pale."""
    dark, middle, pale = np.array([[0.26, 0.17, 0.12], [0.66, 0.47, 0.36], [0.93, 0.78, 0.69]])
    at = rng.uniform(0, 2)
    tone = dark + (middle - dark) * at if at < 1 else middle + (pale - middle) * (at - 1)
    return np.clip(tone * rng.normal(1, 0.04) + rng.normal(0, 0.015, 3), 0.05, 0.97)


def mottled(rng: np.random.Generator, base: np.ndarray, depth: float, cells: int = 8) -> np.ndarray:
    """A plain colour with noise of deviation `depth`."""
    grain = noise(rng, SIDE, cells)[..., None]
    tint = rng.normal(0, 0.3, 3)
    return _bytes(base + depth * grain * (1 + tint))


def cloth(rng: np.random.Generator, photos: tuple[Path, ...] = ()) -> np.ndarray:
    """A cloth's pattern: plain, stripes, checks, dots, blotches, or a piece of a photograph."""
    first, second, third = colour(rng), colour(rng), colour(rng)
    kind = rng.choice(["plain", "stripes", "checks", "dots", "blotches", "print"],
                      p=[0.42, 0.17, 0.13, 0.06, 0.12, 0.1])  # fmt: skip
    v, u = np.mgrid[0:SIDE, 0:SIDE] / SIDE
    if kind == "print":
        return _print(rng, photos)
    if kind == "plain":
        mask, other = np.zeros((SIDE, SIDE)), np.zeros((SIDE, SIDE))
    elif kind == "blotches":
        rough = noise(rng, SIDE, int(rng.choice([2, 4, 8, 16])), 3)
        mask, other = rough > rng.normal(0, 0.5), rough > 0.9
    else:
        count, width = int(rng.choice([1, 2, 4, 8])), rng.uniform(0.15, 0.6)
        across, down = (u * count) % 1, (v * count) % 1
        stripes = down if rng.random() < 0.75 else across
        if kind == "stripes":
            mask, other = stripes < width, (stripes - width / 3) % 1 < width / 4
        elif kind == "checks":
            mask, other = across < width, down < width
        else:
            mask, other = (across - 0.5) ** 2 + (down - 0.5) ** 2 < (width / 2) ** 2, 0 * u
    picture = np.where(mask[..., None], second, first)
    picture = np.where(np.asarray(other, bool)[..., None], (picture + third) / 2, picture)
    weave = rng.normal(0, 0.02, (SIDE, SIDE, 1)) + 0.04 * noise(rng, SIDE, 4)[..., None]
    return _bytes(picture + weave * rng.random())


def surface(rng: np.random.Generator) -> np.ndarray:
    """A floor's or a wall's surface: planks, tiles, plaster, grass, gravel."""
    first, second = colour(rng), colour(rng)
    kind = rng.choice(
        ["plaster", "tiles", "planks", "gravel", "cloth"], p=[0.3, 0.2, 0.2, 0.2, 0.1]
    )
    if kind == "cloth":
        return cloth(rng)
    v, u = np.mgrid[0:SIDE, 0:SIDE] / SIDE
    rough = noise(rng, SIDE, 4, 6)
    picture = first + rng.uniform(0.01, 0.06) * rough[..., None]
    if kind == "gravel":
        mix = np.clip(0.5 + 0.5 * noise(rng, SIDE, 32, 3), 0, 1)[..., None]
        picture = picture * mix + second * (1 - mix)
    elif kind in ("tiles", "planks"):
        count = int(rng.choice([2, 4, 8]))
        row = (v * count).astype(int)
        shifted = (u * (count if kind == "tiles" else 1) + 0.37 * row * (kind == "planks")) % 64
        tone = rng.normal(0, rng.uniform(0, 0.08), (64, 64))
        picture = picture + tone[row % 64, shifted.astype(int) % 64][..., None]
        gap = np.minimum((v * count) % 1, shifted % 1 * (1 if kind == "tiles" else count)) < 0.04
        picture = np.where(gap[..., None], second * 0.7, picture)
    return _bytes(picture)


def backdrop(rng: np.random.Generator, photos: tuple[Path, ...]) -> np.ndarray:
    """What is far behind (512, 512, 3): a photograph where there are some, else a made-up view."""
    if photos:
        return _photo_piece(rng, photos)
    import cv2

    v = np.mgrid[0:PHOTO_SIDE, 0:PHOTO_SIDE][0][..., None] / PHOTO_SIDE
    picture = colour(rng) * (1 - v) + colour(rng) * v
    for _ in range(int(rng.integers(2, 9))):
        picture = _shape_on(picture, rng)
    for cells in (2, 8, 32):
        blot = noise(rng, PHOTO_SIDE, cells, 4)
        mask = np.clip((blot - rng.normal(0.8, 0.6)) * rng.uniform(1, 8), 0, 1)[..., None]
        picture = picture * (1 - mask * 0.7) + colour(rng) * mask * 0.7
    picture += 0.04 * noise(rng, PHOTO_SIDE, 16, 6)[..., None]
    blur = rng.uniform(0.3, 4)
    return _bytes(cv2.GaussianBlur(picture.astype(np.float32), (0, 0), blur))


def _shape_on(picture: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """A rectangle, furniture-like, or an ellipse on the picture."""
    import cv2

    mask = np.zeros((PHOTO_SIDE, PHOTO_SIDE), np.uint8)
    x, y = rng.integers(0, PHOTO_SIDE, 2).tolist()
    wide, high = (rng.exponential(1.0, 2) * 60 + 8).astype(int).tolist()
    if rng.random() < 0.7:
        cv2.rectangle(mask, (x - wide, y - high), (x + wide, y + high), 1, -1)
    else:
        cv2.ellipse(mask, (x, y), (wide, high), rng.uniform(0, 180), 0, 360, 1, -1)
    shade = colour(rng) * rng.uniform(0.7, 1.1) + np.zeros_like(picture)
    if rng.random() < 0.5:
        grain = cv2.resize(cloth(rng), (PHOTO_SIDE, PHOTO_SIDE)) / 255
        shade = shade * 0.5 + grain * 0.5
    return np.where(mask[..., None] > 0, shade, picture)


def photographs(folder: str) -> tuple[Path, ...]:
    """Pictures in a folder and below it, sorted; none for an empty name.

    Raises:
        SyntheticError: there is no such folder, or it holds no picture.
    """
    if not folder:
        return ()
    found = sorted(p for p in Path(folder).rglob("*") if p.suffix.lower() in _SUFFIXES)
    if not found:
        advice = "Give a folder with .jpg, .png or .webp files, or leave photos out."
        raise SyntheticError(f"{folder} holds no photographs.", advice)
    return tuple(found)


@cache
def _photo(path: Path) -> Any:
    """A photograph at most 1024 pixels wide.

    Raises:
        SyntheticError: it cannot be read.
    """
    import cv2

    picture = cv2.imread(str(path), cv2.IMREAD_COLOR)
    if picture is None:
        raise SyntheticError(f"{path} cannot be read as a picture.", "Remove it from the folder.")
    scale = min(1.0, 1024 / max(picture.shape[:2]))
    small = cv2.resize(picture, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
    return np.ascontiguousarray(small[..., ::-1])


def _photo_piece(rng: np.random.Generator, photos: tuple[Path, ...]) -> np.ndarray:
    """A square piece (512, 512, 3) of a photograph, perhaps mirrored."""
    import cv2

    picture = _photo(photos[int(rng.integers(len(photos)))])
    side = int(min(picture.shape[:2]) * rng.uniform(0.5, 1))
    top, left = (int(rng.integers(0, size - side + 1)) for size in picture.shape[:2])
    piece = picture[top : top + side, left : left + side]
    if rng.random() < 0.5:
        piece = piece[:, ::-1]
    return cv2.resize(piece, (PHOTO_SIDE, PHOTO_SIDE), interpolation=cv2.INTER_AREA)


def _print(rng: np.random.Generator, photos: tuple[Path, ...]) -> np.ndarray:
    """A picture-like pattern, mirrored so that it tiles."""
    import cv2

    half = cv2.resize(backdrop(rng, photos), (SIDE // 2, SIDE // 2), interpolation=cv2.INTER_AREA)
    both = np.concatenate([half, half[:, ::-1]], 1)
    return np.concatenate([both, both[::-1]])


def logo(rng: np.random.Generator) -> np.ndarray:
    """A print for a shirt: letters or blotches on a plain ground."""
    import cv2

    picture = np.empty((SIDE, SIDE, 3), np.uint8)
    picture[:] = _bytes(colour(rng))
    for _ in range(int(rng.integers(1, 4))):
        ink = _bytes(colour(rng)).tolist()
        text = "".join(chr(int(code)) for code in rng.integers(48, 91, int(rng.integers(1, 7))))
        spot = (int(rng.integers(0, 90)), int(rng.integers(60, 250)))
        size = float(rng.uniform(1, 5))
        cv2.putText(
            picture, text, spot, int(rng.integers(0, 8)), size, ink, int(rng.integers(2, 16))
        )
    return picture


def folds(rng: np.random.Generator) -> np.ndarray:
    """Bumps of cloth: three noises about 0.5, elongated."""
    channels = [noise(rng, SIDE, int(rng.choice([2, 4])), 4) for _ in range(3)]
    return _bytes(0.5 + 0.18 * np.stack(channels, -1))


def _bytes(picture: np.ndarray) -> np.ndarray:
    return (np.clip(picture, 0, 1) * 255).astype(np.uint8)
