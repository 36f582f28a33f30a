"""Pictures for surfaces: noise, cloth, floors, walls, prints, and photographs from a folder.

All are square RGB uint8 (S, S, 3), encoded for a screen.  All but backdrops tile.
"""

import contextlib
from functools import lru_cache
from pathlib import Path

import numpy as np

from training.synthetic.recipe import SyntheticError

SIDE = 256
"""Pixels along a cloth's or a floor's side."""
FAR_SIDE = 512
"""Pixels along a backdrop's side."""
_SUFFIXES = (".jpg", ".jpeg", ".png", ".webp")
_COUNTS = {"cloth": 256, "surface": 128, "backdrop": 160, "folds": 32}  # textures that a bank holds
_CLOTHS = ("plain", "stripes", "checks", "dots", "blotches", "print")
_SURFACES = ("plaster", "tiles", "planks", "gravel", "cloth")


def noise(rng: np.random.Generator, size: int, coarsest: int, octaves: int = 4) -> np.ndarray:
    """Value noise (S, S) float32 about 0, deviation near 1, that tiles; coarsest cells a side."""
    import cv2

    total = np.zeros((size, size), np.float32)
    for octave in range(octaves):
        cells = coarsest * 2**octave
        if cells > size:
            break
        grid = np.pad(rng.standard_normal((cells, cells), np.float32), 2, mode="wrap")
        scale = size // cells
        big = cv2.resize(grid, None, fx=scale, fy=scale, interpolation=cv2.INTER_CUBIC)
        total += big[2 * scale :, 2 * scale :][:size, :size] * np.float32(0.6**octave)
    return total


def colour(rng: np.random.Generator, vivid: float = 0.2) -> np.ndarray:
    """A colour (3,) float32, 0..1: a third grey, most of the others dull, a share vivid."""
    kind, value = rng.random(), rng.beta(1.5, 1.3)
    if kind < 0.35:
        tone = value + rng.normal(0, 0.03, 3)
    else:
        saturation = rng.uniform(0.6, 1) if kind > 1 - vivid else rng.beta(1.3, 3.0)
        ramp = np.clip(np.abs((rng.random() * 6 + np.array([0, 4, 2])) % 6 - 3) - 1, 0, 1)
        tone = (0.15 + 0.8 * value) * (1 - saturation * (1 - ramp))
    return np.clip(tone, 0.03, 0.97).astype(np.float32)


def skin_tone(rng: np.random.Generator) -> np.ndarray:
    """A skin's colour, 0..1, from very dark to very pale."""
    dark, middle, pale = np.array([[0.29, 0.19, 0.14], [0.68, 0.49, 0.38], [0.94, 0.79, 0.70]])
    at = rng.uniform(0, 2)
    tone = dark + (middle - dark) * at if at < 1 else middle + (pale - middle) * (at - 1)
    return np.clip(tone * rng.normal(1, 0.04) + rng.normal(0, 0.015, 3), 0.05, 0.97)


def mottled(rng: np.random.Generator, base: np.ndarray, depth: float, cells: int = 8) -> np.ndarray:
    """A plain colour with noise of deviation `depth`."""
    grain = _grain(int(rng.integers(16)), cells)[..., None]
    tint = (1 + rng.normal(0, 0.3, 3)).astype(np.float32)
    return _bytes(base.astype(np.float32) + np.float32(depth) * grain * tint)


@lru_cache(maxsize=64)
def _grain(number: int, cells: int) -> np.ndarray:
    """One of the noises (S, S) of skins, hair and shoes."""
    return noise(np.random.default_rng([number, cells]), SIDE, cells)


def _grid() -> tuple[np.ndarray, np.ndarray]:
    """Rows and columns (S, S), 0..1."""
    v, u = np.mgrid[0:SIDE, 0:SIDE].astype(np.float32) / SIDE
    return v, u


def _cloth(rng: np.random.Generator) -> np.ndarray:
    """A cloth's pattern: plain, stripes, checks, dots, blotches, or something printed."""
    first, second, third = (colour(rng) for _ in range(3))
    kind = rng.choice(_CLOTHS, p=[0.42, 0.17, 0.13, 0.06, 0.12, 0.1])
    if kind == "print":
        return mirrored(_backdrop(rng))
    mask, other = _pattern(str(kind), rng)
    picture = np.where(mask[..., None], second, first)
    picture = np.where(other[..., None], (picture + third) / 2, picture)
    grain = rng.standard_normal((SIDE, SIDE), np.float32) * 0.02 + 0.04 * noise(rng, SIDE, 4)
    return _bytes(picture + grain[..., None] * np.float32(rng.random()))


def _pattern(kind: str, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Where the second and the third colour are (S, S) bool."""
    none = np.zeros((SIDE, SIDE), bool)
    if kind == "plain":
        return none, none
    if kind == "blotches":
        rough = noise(rng, SIDE, int(rng.choice([2, 4, 8, 16])), 3)
        return rough > rng.normal(0, 0.5), rough > 0.9
    v, u = _grid()
    count, width = int(rng.choice([1, 2, 4, 8])), rng.uniform(0.15, 0.6)
    across, down = (u * count) % 1, (v * count) % 1
    if kind == "stripes":
        stripes = down if rng.random() < 0.75 else across
        return stripes < width, (stripes - width / 3) % 1 < width / 4
    if kind == "checks":
        return across < width, down < width
    return (across - 0.5) ** 2 + (down - 0.5) ** 2 < (width / 2) ** 2, none


def _surface(rng: np.random.Generator) -> np.ndarray:
    """A floor's or a wall's surface: plaster, tiles, planks, gravel, grass."""
    first, second = colour(rng, 0.06), colour(rng, 0.06)
    kind = rng.choice(_SURFACES, p=[0.3, 0.2, 0.2, 0.2, 0.1])
    if kind == "cloth":
        return _cloth(rng)
    depth = np.float32(rng.uniform(0.01, 0.06))
    picture = first + depth * noise(rng, SIDE, 4, 6)[..., None]
    if kind == "gravel":
        mix = np.clip(0.5 + 0.5 * noise(rng, SIDE, 32, 3), 0, 1)[..., None]
        picture = picture * mix + second * (1 - mix)
    elif kind in ("tiles", "planks"):
        picture = _laid(picture, second, kind == "tiles", rng)
    return _bytes(picture)


def _laid(
    picture: np.ndarray, joint: np.ndarray, square: bool, rng: np.random.Generator
) -> np.ndarray:
    """Tiles or staggered planks, each with its own tone, and the joints between them."""
    v, u = _grid()
    count = int(rng.choice([2, 4, 8]))
    row = (v * count).astype(int)
    along = u * count if square else (u + 0.375 * row) % 1
    tone = rng.normal(0, rng.uniform(0, 0.08), (8, 8)).astype(np.float32)
    picture = picture + tone[row % 8, along.astype(int) % 8][..., None]
    gap = np.minimum((v * count) % 1, along % 1 * (1 if square else count)) < 0.04
    return np.where(gap[..., None], joint * np.float32(0.7), picture)


def _backdrop(rng: np.random.Generator) -> np.ndarray:
    """A made-up view (512, 512, 3): shades, furniture-like shapes, foliage-like noise."""
    import cv2

    v = np.linspace(0, 1, FAR_SIDE, dtype=np.float32)[:, None, None]
    picture = np.empty((FAR_SIDE, FAR_SIDE, 3), np.float32)
    picture[:] = colour(rng, 0.1) * (1 - v) + colour(rng, 0.1) * v
    for cells in (2, 8, 32):
        if rng.random() < 0.5:
            rough = noise(rng, FAR_SIDE, cells, 4) - np.float32(rng.normal(0.8, 0.6))
            mask = np.clip(rough * np.float32(rng.uniform(1, 8)), 0, 0.7)[..., None]
            picture += (colour(rng, 0.1) - picture) * mask
    for _ in range(int(rng.integers(2, 14))):
        _shape_on(picture, rng)
    picture += np.float32(0.03) * noise(rng, FAR_SIDE, 16, 6)[..., None]
    return _bytes(cv2.GaussianBlur(picture, (0, 0), rng.uniform(0.3, 3)))


def _shape_on(picture: np.ndarray, rng: np.random.Generator) -> None:
    """Put a rectangle, plain or patterned, or an ellipse on the picture."""
    import cv2

    x, y = rng.integers(0, FAR_SIDE, 2).tolist()
    wide, high = (rng.exponential(1.0, 2) * 60 + 8).astype(int).tolist()
    shade = colour(rng, 0.15)
    if rng.random() < 0.25:
        cv2.ellipse(picture, (x, y), (wide, high), rng.uniform(0, 180), 0, 360, shade.tolist(), -1)
        return
    area = picture[max(y - high, 0) : y + high, max(x - wide, 0) : x + wide]
    area[:] = shade
    if rng.random() < 0.4:
        grain = np.tile(_cloth_cheap(rng), (2, 2, 1))[: area.shape[0], : area.shape[1]]
        area[: grain.shape[0], : grain.shape[1]] = grain


def _cloth_cheap(rng: np.random.Generator) -> np.ndarray:
    """Two colours in a pattern (S, S, 3) float32."""
    mask, _ = _pattern(str(rng.choice(["stripes", "checks", "blotches"])), rng)
    return np.where(mask[..., None], colour(rng, 0.1), colour(rng, 0.1))


class Bank:
    """Textures by number: each is made once, and then only tinted, mirrored and recoloured.

    Making one costs as much as drawing several pictures.  What a number holds depends on nothing
    but the number and the part, so draws do not depend on what was drawn before.
    """

    def __init__(self, part: int, photos: tuple[Path, ...]) -> None:
        self.part, self.photos = part, photos

    def cloth(self, rng: np.random.Generator) -> np.ndarray:
        """A cloth (256, 256, 3)."""
        return self._varied("cloth", rng)

    def surface(self, rng: np.random.Generator) -> np.ndarray:
        """A floor's or a wall's surface (256, 256, 3)."""
        return self._varied("surface", rng)

    def backdrop(self, rng: np.random.Generator) -> np.ndarray:
        """A made-up view (512, 512, 3)."""
        return self._varied("backdrop", rng)

    def folds(self, rng: np.random.Generator) -> np.ndarray:
        """Bumps of cloth (256, 256, 3)."""
        return _made("folds", int(rng.integers(_COUNTS["folds"])), self.part)

    def photograph(self, rng: np.random.Generator) -> np.ndarray:
        """A square piece of a photograph (512, 512, 3), perhaps mirrored.

        Raises:
            SyntheticError: it cannot be read.
        """
        import cv2

        picture = _photo(self.photos[int(rng.integers(len(self.photos)))])
        side = int(min(picture.shape[:2]) * rng.uniform(0.5, 1))
        top, left = (int(rng.integers(0, size - side + 1)) for size in picture.shape[:2])
        piece = picture[top : top + side, left : left + side]
        if rng.random() < 0.5:
            piece = piece[:, ::-1]
        return cv2.resize(piece, (FAR_SIDE, FAR_SIDE), interpolation=cv2.INTER_AREA)

    def _varied(self, kind: str, rng: np.random.Generator) -> np.ndarray:
        import cv2

        picture = _made(kind, int(rng.integers(_COUNTS[kind])), self.part)
        channels = rng.permutation(3)
        gains = rng.uniform(0.75, 1.2) * np.exp(rng.normal(0, 0.08, 3))
        if kind != "cloth" and rng.random() < 0.8:
            channels = np.arange(3)  # the sky stays blue, and wood brown
        ramp = np.arange(256)[:, None] * gains
        table = np.clip(ramp, 0, 255).astype(np.uint8)[None]
        return cv2.LUT(np.ascontiguousarray(picture[..., channels]), table)


@lru_cache(maxsize=1024)
def _made(kind: str, number: int, part: int) -> np.ndarray:
    makers = {"cloth": _cloth, "surface": _surface, "backdrop": _backdrop, "folds": _folds}
    rng = np.random.default_rng([list(makers).index(kind), number, part])
    return makers[kind](rng)


def photographs(folder: str) -> tuple[Path, ...]:
    """Pictures in a folder and below it, sorted; none for an empty name.

    Raises:
        SyntheticError: there is no such folder, or it holds no picture.
    """
    if not folder:
        return ()
    found = sorted(
        p for p in Path(folder).rglob("*") if p.suffix.lower() in _SUFFIXES and p.is_file()
    )
    if not found:
        advice = "Give a folder with .jpg, .png or .webp files, or leave photos out."
        raise SyntheticError(f"{folder} holds no photographs.", advice)
    return tuple(found)


@lru_cache(maxsize=128)
def _photo(path: Path) -> np.ndarray:
    """A photograph, at most 1024 pixels along its longer side.

    Raises:
        SyntheticError: it cannot be read.
    """
    import cv2

    picture = None
    with contextlib.suppress(cv2.error):  # a bomb
        picture = cv2.imread(str(path), cv2.IMREAD_COLOR)
    if picture is None:
        raise SyntheticError(f"{path} cannot be read as a picture.", "Remove it from the folder.")
    scale = min(1.0, 1024 / max(picture.shape[:2]))
    small = cv2.resize(picture, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
    return np.ascontiguousarray(small[..., ::-1])


def mirrored(picture: np.ndarray) -> np.ndarray:
    """A cloth (256, 256, 3) of a picture, mirrored so that it tiles."""
    import cv2

    half = cv2.resize(picture, (SIDE // 2, SIDE // 2), interpolation=cv2.INTER_AREA)
    both = np.concatenate([half, half[:, ::-1]], 1)
    return np.concatenate([both, both[::-1]])


def logo(rng: np.random.Generator) -> np.ndarray:
    """A print for a shirt: letters on a plain ground."""
    import cv2

    picture = np.empty((SIDE, SIDE, 3), np.uint8)
    picture[:] = _bytes(colour(rng))
    for _ in range(int(rng.integers(1, 4))):
        ink = _bytes(colour(rng)).tolist()
        text = "".join(chr(int(code)) for code in rng.integers(48, 91, int(rng.integers(1, 7))))
        spot = (int(rng.integers(0, 90)), int(rng.integers(60, 250)))
        size, thick = float(rng.uniform(1, 5)), int(rng.integers(2, 16))
        cv2.putText(picture, text, spot, int(rng.integers(0, 8)), size, ink, thick)
    return picture


def _folds(rng: np.random.Generator) -> np.ndarray:
    """Bumps of cloth: three noises about 0.5."""
    channels = [noise(rng, SIDE, int(rng.choice([2, 4])), 4) for _ in range(3)]
    return _bytes(0.5 + 0.18 * np.stack(channels, -1))


def _bytes(picture: np.ndarray) -> np.ndarray:
    return (np.clip(picture, 0, 1) * 255).astype(np.uint8)
