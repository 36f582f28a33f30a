"""Clothes: a colour for every point of a figure's skin, drawn at random.

place on the template ─► what is worn there (skin, hair, top, ...) ─► its cloth ─► colour
"""

from dataclasses import dataclass, replace

import numpy as np

from training.appearance.outlines import Skin
from training.synthetic import SIDE, Bank, meshes, textures

_SKIN, _HAIR, _TOP, _BOTTOM, _SHOES, _SKIRT, _INNER, _BAG = range(8)
"""Layers of cloth."""
_SLEEVES = ((0.19, 0.19), (0.25, 0.42), (0.45, 0.6), (0.655, 0.655))
_SLEEVE_SHARES = (0.1, 0.4, 0.1, 0.4)
"""Where sleeves end, along the template's arms, and how often.  Chosen."""
_HEMS = ((-0.65, -0.42), (-1.0, -0.7), (-1.13, -1.05))
_HEM_SHARES = (0.3, 0.1, 0.6)
"""Heights on the template at which trousers end.  Chosen."""
_HAIR_COLOURS = np.array(
    [[0.08, 0.07, 0.06], [0.25, 0.16, 0.1], [0.5, 0.32, 0.18], [0.8, 0.66, 0.42], [0.6, 0.58, 0.56]]
)
"""0..1: black, brown, light brown, blond, grey.  Chosen."""
_BALD, _BARE, _OPEN, _BAGS, _PRINTS, _BARE_FEET = 0.08, 0.05, 0.2, 0.15, 0.3, 0.1
"""Chances: no hair, no top, an open jacket, something on the back, a print, no shoes.  Chosen."""
_PATTERNED = 0.55
"""Share of clothes from the bank of patterns, of which two in five are plain, too.  Chosen."""
_LOG_REPEATS = (np.log(1.5), np.log(3.0))
"""Of the least and the most patterns a metre, about.  Chosen."""


@dataclass(frozen=True)
class Outfit:
    """What somebody wears.

    Attributes:
        cloth: (8, S, S, 3) uint8, a texture of each layer.
        repeats: (8,) of a texture, a metre.
        sleeve_x, hem_y, waist_y, neck_y, neck_v, shoe_y, hairline: where clothes end.
        open_m: half of what an open jacket shows; 0: closed.
        bag_m: half the width of what is on the back; 0: nothing.
        print_box: x, y, half width and half height of a print; of no size: none.
        logo: (S, S, 3) uint8 the print.
    """

    cloth: np.ndarray
    repeats: np.ndarray
    sleeve_x: float
    hem_y: float
    waist_y: float
    neck_y: float
    neck_v: float
    shoe_y: float
    hairline: float
    open_m: float
    bag_m: float
    print_box: np.ndarray
    logo: np.ndarray


def draw_outfit(bank: Bank, rng: np.random.Generator) -> Outfit:
    """Skin, hair and clothes of somebody new."""
    tone, hair = textures.skin_tone(rng), _HAIR_COLOURS[rng.choice(len(_HAIR_COLOURS))]
    hair = np.clip(hair * rng.normal(1, 0.2), 0.02, 0.95)
    skin = textures.mottled(rng, tone, 0.02)
    top = skin if rng.random() < _BARE else _cloth(bank, rng)
    bottom = _cloth(bank, rng)
    shoes = textures.mottled(rng, textures.colour(rng), 0.03)
    hanging = (top, bottom, _cloth(bank, rng))[rng.integers(3)]
    cloth = (skin, textures.mottled(rng, hair, 0.1, 32), top, bottom, shoes, hanging)
    has_print = rng.random() < _PRINTS
    return Outfit(
        np.stack([*cloth, _cloth(bank, rng), _cloth(bank, rng)]),
        np.exp(rng.uniform(*_LOG_REPEATS, len(cloth) + 2)),
        sleeve_x=float(rng.uniform(*_SLEEVES[rng.choice(4, p=_SLEEVE_SHARES)])),
        hem_y=float(rng.uniform(*_HEMS[rng.choice(3, p=_HEM_SHARES)])),
        waist_y=rng.uniform(-0.32, -0.08),
        neck_y=rng.uniform(0.19, 0.27),
        neck_v=float(rng.choice([0.0, rng.uniform(0.3, 1.2)])),
        shoe_y=-9.0 if rng.random() < _BARE_FEET else rng.uniform(-1.16, -1.0),
        hairline=9.0 if rng.random() < _BALD else rng.uniform(0.19, 0.235),
        open_m=rng.uniform(0.02, 0.09) if rng.random() < _OPEN else 0.0,
        bag_m=rng.uniform(0.06, 0.16) if rng.random() < _BAGS else 0.0,
        print_box=np.array([*rng.uniform(-0.05, 0.05, 2), *rng.uniform(0.03, 0.13, 2) * has_print]),
        logo=textures.logo(rng),
    )


def _cloth(bank: Bank, rng: np.random.Generator) -> np.ndarray:
    """A pattern, or plain and mostly dull."""
    if rng.random() < _PATTERNED:
        return bank.cloth(rng)
    return textures.mottled(rng, textures.colour(rng, 0.12), 0.04)


def changed(outfit: Outfit, bank: Bank, rng: np.random.Generator) -> Outfit:
    """The same clothes but for one or two: somebody who is hard to tell apart."""
    other = draw_outfit(bank, rng)
    layers = rng.choice([_TOP, _BOTTOM], 1 + (rng.random() < 0.5), replace=False)
    cloth = outfit.cloth.copy()
    keep = {_SKIN, _HAIR, _SHOES, _SKIRT} if rng.random() < 0.5 else set()
    for layer in [*layers, *(set(range(len(cloth))) - {_TOP, _BOTTOM} - keep)]:
        cloth[layer] = other.cloth[layer]
    return replace(outfit, cloth=cloth)


def paint(outfit: Outfit, skin: Skin) -> np.ndarray:
    """Colours (P, 3) uint8 of a figure's points."""
    worn = _worn(outfit, skin)
    x, y, z = skin.template_m.T
    repeats = outfit.repeats[worn] * SIDE
    col = ((x + 0.6 * z) * repeats).astype(int) % SIDE
    row = (-y * repeats).astype(int) % SIDE
    colours = outfit.cloth[worn, row, col]
    mid_x, mid_y, wide, high = outfit.print_box
    if wide > 0:
        across, down = (x - mid_x) / wide, (mid_y - y) / high
        shown = (worn == _TOP) & (skin.template_z > 0.1)
        shown &= (np.abs(across) < 1) & (np.abs(down) < 1)
        spot = [((v[shown] + 1) / 2 * (SIDE - 1)).astype(int) for v in (down, across)]
        colours[shown] = outfit.logo[spot[0], spot[1]]
    return colours


def _worn(outfit: Outfit, skin: Skin) -> np.ndarray:
    """(P,) layer of each point."""
    x, y, z = np.abs(skin.template_m[:, 0]), skin.template_m[:, 1], skin.template_m[:, 2]
    top = (y > outfit.waist_y) & (x < outfit.sleeve_x)
    worn = np.where(y > outfit.waist_y, np.where(top, _TOP, _SKIN), _SKIN)
    low = y <= outfit.waist_y
    worn[low & (y > outfit.hem_y)] = _BOTTOM
    worn[y < outfit.shoe_y] = _SHOES
    worn[top & (skin.template_z > 0.2) & (x < outfit.open_m)] = _INNER
    worn[top & (skin.template_z < -0.2) & (x < outfit.bag_m) & (y < 0.2)] = _BAG
    neck = outfit.neck_y - outfit.neck_v * np.maximum(z + 0.02, 0) - 0.25 * x
    worn[(y > 0.05) & (y > neck) & (x < 0.17)] = _SKIN
    worn[(y > 0.27) & (x < 0.14) & (0.65 * y - 0.76 * z > outfit.hairline)] = _HAIR
    worn[skin.kind == meshes.SKIRT] = _SKIRT
    worn[skin.kind == meshes.HAIR] = _HAIR
    return worn
