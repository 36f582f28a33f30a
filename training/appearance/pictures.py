"""Crops of dressed people in one clip: its surroundings, its light, its camera, and its flaws.

    outline + colours ─► lit ─► others in the way ─► surroundings ─► camera ─► (128, 64, 3)

All people of a clip share what is around them and how they are filmed, so that nothing but their
looks tells them apart.
"""

from dataclasses import dataclass

import numpy as np

from staf_backend.people import appearance
from training.appearance.outlines import HEIGHT_PX, NOTHING, WIDTH_PX
from training.synthetic import FAR_SIDE, Bank, textures

_OTHERS, _THINGS, _SHADOWS, _HAZE = 0.2, 0.08, 0.25, 0.2
"""Chances that a look has somebody else, a thing in front, a shadow across, haze.  Chosen."""
_WANDERS, _GOES_AROUND = (0.25, 1.5), 0.45
"""Deviations of the light's direction in clips of a camera that stands and of one that goes around
people, and share of the latter.  Chosen."""
_PHOTOS = 0.7
"""Share of surroundings that are photographs where there are any.  Chosen."""
_LINEAR = (np.arange(256, dtype=np.float32) / 255) ** 2
"""Of what a screen shows, about."""
_BLURRED, _COARSE, _PACKED = 0.3, 0.25, 0.4
"""Chances of blur, of few pixels, of compression.  Chosen."""


@dataclass(frozen=True)
class Clip:
    """What all looks of a clip share.

    Attributes:
        around: (512, 512, 3) uint8 its surroundings; more than one where the camera goes around.
        scale: pixels of the surroundings for one of an outline.
        light: (3,) where the main light comes from, in camera axes.
        around_light, main_light: (3,) strengths of colours.
        wander: how far the light moves from look to look, as the camera goes around people.
        tint, gamma: (3,) of its camera, and one number.
        noise: deviation, 0..1.
    """

    around: tuple[np.ndarray, ...]
    scale: float
    light: np.ndarray
    around_light: np.ndarray
    main_light: np.ndarray
    wander: float
    tint: np.ndarray
    gamma: float
    noise: float


def draw_clip(bank: Bank, rng: np.random.Generator) -> Clip:
    """A new place and camera."""
    goes_around = bool(rng.random() < _GOES_AROUND)
    light = rng.standard_normal(3) - (0, 0.8, 0.3)
    share, bright = rng.uniform(0.2, 0.75), rng.uniform(0.6, 1.25)
    warmth = rng.normal(0, 0.08) * np.array([1, 0, -1])
    return Clip(
        around=tuple(_place(bank, rng) for _ in range(3 if goes_around else 1)),
        scale=float(np.exp(rng.uniform(np.log(0.6), np.log(2.2)))),
        light=light / np.linalg.norm(light),
        around_light=bright * (1 - share) * (1 - warmth),
        main_light=1.6 * bright * share * (1 + warmth),
        wander=_WANDERS[goes_around],
        tint=np.exp(rng.normal(0, 0.08, 3)),
        gamma=float(np.exp(rng.normal(0, 0.18))),
        noise=rng.exponential(0.012),
    )


def _place(bank: Bank, rng: np.random.Generator) -> np.ndarray:
    photo = bool(bank.photos) and rng.random() < _PHOTOS
    return bank.photograph(rng) if photo else bank.backdrop(rng)


@dataclass(frozen=True)
class Look:
    """One outline, worn.

    Attributes:
        points: (192, 96) uint16.
        facing: (192, 96, 3) int8.
        colours: (P, 3) uint8.
    """

    points: np.ndarray
    facing: np.ndarray
    colours: np.ndarray

    def lit(self, clip: Clip, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
        """Picture (192, 96, 3) of linear light, and where it is of the person (192, 96) bool."""
        shown = self.points != NOTHING
        albedo = _LINEAR[self.colours[self.points[shown]]]
        normal = self.facing[shown].astype(np.float32) / 127
        light = clip.light + rng.normal(0, clip.wander, 3)
        light = (light / np.linalg.norm(light)).astype(np.float32)
        above = 0.8 - 0.3 * normal[:, 1:2]
        main = np.clip(normal @ light, 0, None)[:, None]
        strength = above * clip.around_light.astype(np.float32)
        strength += main * clip.main_light.astype(np.float32)
        picture = np.zeros((*shown.shape, 3), np.float32)
        picture[shown] = albedo * strength
        return picture, shown


def take(clip: Clip, look: Look, others: list[Look], rng: np.random.Generator) -> np.ndarray:
    """A crop (128, 64, 3) uint8 of a look; one of the others may be in the way."""
    import cv2

    picture, person = look.lit(clip, rng)
    behind = _surroundings(clip, rng)
    if others and rng.random() < _OTHERS:
        other, where = _moved(*others[rng.integers(len(others))].lit(clip, rng), rng)
        if rng.random() < 0.5:
            behind[where] = other[where]
        else:
            picture[where], person = other[where], person | where
    picture[~person] = behind[~person]
    if rng.random() < _THINGS:
        _put_thing(picture, rng)
    if rng.random() < _SHADOWS:
        picture *= _patches(rng, rng.uniform(0.25, 0.7))
    size = (appearance.WIDTH_PX, appearance.HEIGHT_PX)
    picture = cv2.resize(picture, size, interpolation=cv2.INTER_AREA)
    return _filmed(picture, clip, rng)


def _surroundings(clip: Clip, rng: np.random.Generator) -> np.ndarray:
    """A piece (192, 96, 3) of linear light."""
    import cv2

    size = np.array([WIDTH_PX, HEIGHT_PX]) * clip.scale * np.exp(rng.normal(0, 0.15))
    size = np.minimum(size, FAR_SIDE - 1).astype(int)
    x, y = (int(rng.integers(0, FAR_SIDE - n)) for n in size)
    around = clip.around[rng.integers(len(clip.around))]
    piece = around[y : y + size[1], x : x + size[0]]
    piece = cv2.resize(piece, (WIDTH_PX, HEIGHT_PX), interpolation=cv2.INTER_LINEAR)
    return _LINEAR[np.asarray(piece, np.uint8)]


def _moved(
    picture: np.ndarray, person: np.ndarray, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """Somebody shifted to one side."""
    right = int(rng.choice([-1, 1]) * rng.uniform(0.3, 0.75) * WIDTH_PX)
    down = int(rng.normal(0, 0.08) * HEIGHT_PX)
    moved, where = np.zeros_like(picture), np.zeros_like(person)
    to = [slice(max(n, 0), size + min(n, 0)) for n, size in ((down, HEIGHT_PX), (right, WIDTH_PX))]
    of = [
        slice(max(-n, 0), size + min(-n, 0)) for n, size in ((down, HEIGHT_PX), (right, WIDTH_PX))
    ]
    moved[to[0], to[1]], where[to[0], to[1]] = picture[of[0], of[1]], person[of[0], of[1]]
    return moved, where


def _put_thing(picture: np.ndarray, rng: np.random.Generator) -> None:
    """A post, a table's edge or a ball in front."""
    wide, high = (rng.uniform(0.08, 0.4, 2) * (WIDTH_PX, HEIGHT_PX)).astype(int) + 2
    if rng.random() < 0.4:
        high = HEIGHT_PX
    elif rng.random() < 0.4:
        wide = WIDTH_PX
    x = int(rng.integers(-wide // 2, WIDTH_PX - wide // 2))
    y = int(rng.integers(0, HEIGHT_PX))
    x, y = max(x, 0), 0 if high == HEIGHT_PX else y
    colour = textures.colour(rng) ** 2
    picture[y : y + high, x : x + wide] = colour * rng.uniform(0.7, 1.2)


def _patches(rng: np.random.Generator, depth: float) -> np.ndarray:
    """Smooth light and shade (192, 96, 1), 1 - depth to 1."""
    import cv2

    coarse = rng.standard_normal((int(rng.integers(2, 7)), int(rng.integers(2, 5)))) * 3
    smooth = cv2.resize(coarse, (WIDTH_PX, HEIGHT_PX), interpolation=cv2.INTER_CUBIC)
    return (1 - depth / (1 + np.exp(-smooth)))[..., None].astype(np.float32)


def _filmed(picture: np.ndarray, clip: Clip, rng: np.random.Generator) -> np.ndarray:
    """What the clip's camera makes (128, 64, 3) uint8 of linear light."""
    import cv2

    exposure = clip.tint * np.exp(rng.normal(0, 0.08 + 0.1 * clip.wander) + rng.normal(0, 0.03, 3))
    if rng.random() < _HAZE:
        share = rng.uniform(0.05, 0.45)
        picture = picture * (1 - share) + share * rng.uniform(0.3, 0.8)
    gamma = 0.5 * clip.gamma * np.exp(rng.normal(0, 0.06))
    shown = np.power(picture * exposure.astype(np.float32), np.float32(gamma))
    if rng.random() < _BLURRED:
        wide, high = rng.exponential(0.8, 2) + 0.1
        shown = cv2.GaussianBlur(shown, (0, 0), wide, sigmaY=high)
    if rng.random() < _COARSE:
        factor = rng.uniform(0.25, 0.8)
        small = cv2.resize(shown, None, fx=factor, fy=factor, interpolation=cv2.INTER_AREA)
        shown = cv2.resize(small, shown.shape[1::-1], interpolation=cv2.INTER_LINEAR)
    shown = shown + rng.standard_normal(shown.shape, np.float32) * clip.noise
    crop = np.round(255 * np.clip(shown, 0, 1)).astype(np.uint8)
    if rng.random() < 0.5:
        crop = np.ascontiguousarray(crop[:, ::-1])
    if rng.random() < _PACKED:
        quality = [cv2.IMWRITE_JPEG_QUALITY, int(rng.integers(25, 90))]
        packed = cv2.imencode(".jpg", crop, quality)[1]
        crop = np.asarray(cv2.imdecode(packed, cv2.IMREAD_COLOR), np.uint8)
    return crop
