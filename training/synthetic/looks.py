"""What people wear, and what stands around them: drawn once for a sequence."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from training.synthetic import meshes, textures
from training.synthetic.meshes import SkinnedMesh, Things
from training.synthetic.recipe import Looks
from training.synthetic.scene import Camera, Person
from training.synthetic.textures import Bank

# layers of textures: floor, walls, what is in front; the last one is the backdrop's
_FLOOR, _WALL, _FRONT, _BACK = range(4)

_MOST_HIDDEN = 0.55  # share of the joints that one thing hides; chosen
_HAIR = np.array(
    [
        *([0.08, 0.07, 0.06], [0.25, 0.16, 0.1], [0.5, 0.32, 0.18]),
        *([0.8, 0.66, 0.42], [0.6, 0.58, 0.56], [0.5, 0.2, 0.1]),
    ]
)
"""Colours, 0..1: black, brown, light brown, blond, grey, red; chosen, and so are their shares."""
_HAIR_SHARES = (0.34, 0.28, 0.13, 0.1, 0.1, 0.05)


@dataclass(frozen=True)
class Outfit:
    """A person's appearance.

    Attributes:
        mesh: the body with what hangs from it.
        numbers: uniforms of the person's shaders, by name.
        cloth: (7, S, S, 3) skin, hair, top, bottom, shoes, skirt, print.
        folds: (S, S, 3).
    """

    mesh: SkinnedMesh
    numbers: dict[str, Any]
    cloth: np.ndarray
    folds: np.ndarray


@dataclass(frozen=True)
class Surroundings:
    """Everything else: triangles, textures (3, S, S, 3) and (S, S, 3), uniforms of light."""

    things: Things
    surfaces: np.ndarray
    back: np.ndarray
    light: dict[str, Any]


def dress(
    person: Person, looks: Looks, bank: Bank, cell_m: float, rng: np.random.Generator
) -> Outfit:
    """Skin, hair and clothes.

    Args:
        person: who is dressed.
        looks: chances.
        bank: where cloth comes from.
        cell_m: how coarse the body's mesh may be.
        rng: where randomness comes from.
    """
    tone, hair = textures.skin_tone(rng), _hair_colour(rng)
    bald = rng.random() < looks.bald
    numbers = _tailored(rng, bald)
    mesh = _mesh(person, looks, bald, numbers["waist_y"], cell_m, rng)
    cloth = [textures.mottled(rng, tone, 0.02), textures.mottled(rng, hair, 0.12, 32)]
    cloth += [_top(bank, rng), bank.cloth(rng)]
    cloth += [textures.mottled(rng, textures.colour(rng), 0.03)]
    cloth += [cloth[2] if rng.random() < 0.5 else bank.cloth(rng), textures.logo(rng)]
    numbers |= {
        "logo": _logo(rng) if rng.random() < looks.logo else (0.0, 0.0, 0.0, 0.0),
        "iris_colour": tuple(rng.uniform(0.02, 0.2, 3)),
        "lip_colour": tuple(np.clip(tone**2 * (1.0, 0.6, 0.6), 0, 1)),
        "brow_colour": tuple(hair**2),
    }
    return Outfit(mesh, numbers, np.stack(cloth), bank.folds(rng))


def _top(bank: Bank, rng: np.random.Generator) -> np.ndarray:
    """Cloth of a shirt; sometimes with a photograph all over."""
    if bank.photos and rng.random() < 0.1:
        return textures.mirrored(bank.photograph(rng))
    return bank.cloth(rng)


def _mesh(
    person: Person,
    looks: Looks,
    bald: bool,
    waist_y: float,
    cell_m: float,
    rng: np.random.Generator,
) -> SkinnedMesh:
    """The body, perhaps with a skirt and long hair."""
    body = meshes.bare(person.body, person.betas, cell_m)
    mesh = body
    if rng.random() < looks.skirt:
        rest = person.body.rest_joints_m(person.betas)
        hem, flare = rng.uniform(-1.0, -0.5), rng.uniform(0.0, 0.12)
        mesh = mesh + meshes.skirt(body, waist_y + 0.02, hem, flare, rest)
    if not bald and rng.random() < looks.long_hair:
        mesh = mesh + meshes.long_hair(body, rng.uniform(0.02, 0.25), rng.uniform(1.1, 2.0))
    return mesh


def _tailored(rng: np.random.Generator, bald: bool) -> dict[str, Any]:
    """Where clothes end, on the template, and how thick they are."""
    sleeve = rng.choice(
        [0.19, rng.uniform(0.25, 0.42), rng.uniform(0.45, 0.6), 0.655], p=[0.1, 0.4, 0.1, 0.4]
    )
    hem = rng.choice(
        [rng.uniform(-0.65, -0.42), rng.uniform(-1.0, -0.7), rng.uniform(-1.13, -1.05)],
        p=[0.25, 0.1, 0.65],
    )
    shoe = rng.choice([-9.0, rng.uniform(-1.16, -1.1), rng.uniform(-1.1, -0.95)], p=[0.1, 0.6, 0.3])
    loose = rng.exponential(1.0, 2).clip(0, 3)
    cloth_gloss = rng.choice([0, 0.15], 4) * rng.random()
    return {
        "waist_y": rng.uniform(-0.28, -0.1),
        "neck_y": rng.uniform(0.19, 0.27),
        "neck_v": rng.choice([0.0, rng.uniform(0.3, 1.2)]),
        "sleeve_x": float(sleeve),
        "hem_y": float(hem),
        "shoe_y": shoe,
        "hairline": 9.0 if bald else rng.uniform(0.19, 0.235),
        "hair_end_y": rng.uniform(0.25, 0.31),
        "thickness": (
            *(0.0, rng.uniform(0.004, 0.03), 0.003 + 0.009 * loose[0], 0.003 + 0.008 * loose[1]),
            *(rng.uniform(0.003, 0.012), 0.003),
        ),
        "hair_lumps": rng.uniform(0, 0.6),
        "fold_waves": rng.uniform(0, 0.5),
        "fold_depth": rng.uniform(0.2, 1.6),
        "repeats": (2.0, 3.0, rng.uniform(0.8, 4), rng.uniform(0.8, 4), 3.0, rng.uniform(0.8, 4)),
        "gloss": (rng.uniform(0, 0.2), rng.uniform(0, 0.25), *cloth_gloss),
    }


def _hair_colour(rng: np.random.Generator) -> np.ndarray:
    tone = _HAIR[rng.choice(len(_HAIR), p=_HAIR_SHARES)]
    return np.clip(tone * rng.normal(1, 0.15), 0.02, 0.95)


def _logo(rng: np.random.Generator) -> tuple[float, float, float, float]:
    wide = rng.uniform(0.03, 0.12)
    return (rng.uniform(-0.05, 0.05), rng.uniform(-0.05, 0.1), wide, wide * rng.uniform(0.5, 1.2))


def surround(
    person: Person,
    camera: Camera,
    squares: np.ndarray,
    looks: Looks,
    bank: Bank,
    rng: np.random.Generator,
) -> Surroundings:
    """Floor, walls or a backdrop, things in front, and light."""
    photo = bool(bank.photos) and rng.random() < looks.photo
    back = bank.photograph(rng) if photo else bank.backdrop(rng)
    front = bank.surface(rng) if rng.random() < 0.5 else bank.cloth(rng)
    surfaces = np.stack([bank.surface(rng), bank.surface(rng), front])
    if rng.random() < looks.room and not photo:
        things = _room(person, camera, rng)
    else:
        things = _open(person, camera, photo, rng)
    for _ in range(rng.poisson(looks.occluders)):
        things = _joined(things, _occluder(person, camera, squares, rng))
    return Surroundings(things, surfaces, back, _light(looks, rng))


def _room(person: Person, camera: Camera, rng: np.random.Generator) -> Things:
    """Floor, ceiling and four walls around the person and the camera."""
    points = np.concatenate([person.pelvis_m, camera.place_m])
    low = points.min(0) - rng.uniform(0.8, 4.0, 3)
    high = points.max(0) + rng.uniform(0.8, 4.0, 3)
    low[1], high[1] = 0.0, max(high[1], 2.3)
    x, y, z = np.diag(high - low)
    scale = rng.uniform(0.3, 1.0)
    far, tall = np.maximum((high - low)[[0, 2]] * scale, 1), (high - low)[1] * scale
    things = meshes.quad(low, z, x, _FLOOR, (far[1], far[0]))
    things = things + meshes.quad(low + y, x, z, _WALL, (far[0], far[1]))
    for corner, along in ((low, x), (low + x, z), (low + x + z, -x), (low + z, -z)):
        layer = _BACK if rng.random() < 0.25 else _WALL
        length = np.linalg.norm(along) * scale
        repeats = (1.0, 1.0) if layer == _BACK else (float(length), float(tall))
        things = things + meshes.quad(corner, along, y, layer, repeats)
    return things


def _open(person: Person, camera: Camera, photo: bool, rng: np.random.Generator) -> Things:
    """A backdrop behind the person, wide enough for wherever the camera looks; mostly a floor."""
    middle = person.pelvis_m.mean(0)
    ahead = camera.view[:, 2].mean(0)
    ahead /= np.linalg.norm(ahead)
    far = np.linalg.norm(middle - camera.place_m.mean(0)) + rng.uniform(3, 15)
    centre = camera.place_m.mean(0) + ahead * far
    right = camera.view[:, 0].mean(0)
    right /= np.linalg.norm(right)
    down = np.cross(ahead, right)
    half = far * (0.9 / camera.focal + 0.4)
    corner = centre - half * (right + down)
    piece = rng.uniform(1, 2.5)
    things = meshes.quad(corner, 2 * half * right, 2 * half * down, _BACK, (piece, piece), photo)
    if rng.random() < (0.35 if photo else 0.85):
        side = rng.uniform(4, 30)
        x, z = np.array([2 * side, 0, 0]), np.array([0, 0, 2 * side])
        repeats = side * rng.uniform(0.4, 1.2)
        floor = middle * (1, 0, 1) - (x + z) / 2
        things = things + meshes.quad(floor, z, x, _FLOOR, (repeats, repeats))
    return things


def _joined(things: Things, more: Things | None) -> Things:
    return things if more is None else things + more


def _occluder(
    person: Person, camera: Camera, squares: np.ndarray, rng: np.random.Generator
) -> Things | None:
    """Something that hides a part of the person at some moment; None where it hid too much."""
    for _ in range(4):
        frame = int(rng.integers(len(squares)))
        things = _thing_before(person, camera, squares, frame, rng)
        if _hidden_share(things, person, camera, frame) <= _MOST_HIDDEN:
            return things
    return None


def _hidden_share(things: Things, person: Person, camera: Camera, frame: int) -> float:
    """Share of the joints behind the rectangle about the thing, at one frame."""
    still = Camera(camera.view[[frame]], camera.place_m[[frame]], camera.focal)
    outline = still.project(things.world_m[None])[0]
    joints = still.project(person.joints_m[[frame]])[0]
    return float(((joints > outline.min(0)) & (joints < outline.max(0))).all(-1).mean())


def _thing_before(
    person: Person, camera: Camera, squares: np.ndarray, frame: int, rng: np.random.Generator
) -> Things:
    """A box or a blob between camera and person, somewhere in the frame's crop."""
    x, y, side = squares[frame]
    depth = camera.seen(person.pelvis_m[:, None])[frame, 0, 2] * rng.uniform(0.45, 0.8)
    spot = np.array([x, y]) + rng.uniform(-0.5, 0.5, 2) * side
    seen = np.array([*(spot / camera.focal), 1.0]) * depth
    centre = seen @ camera.view[frame] + camera.place_m[frame]
    size = side / camera.focal * depth
    if rng.random() < 0.3:
        radii = rng.uniform(0.06, 0.22, 3) * size
        return meshes.blob(centre, radii, _FRONT, rng.uniform(0.3, 1))
    turn = np.linalg.qr(rng.standard_normal((3, 3)))[0] if rng.random() < 0.4 else np.eye(3)
    long = np.array([1.0, 1.0, 1.0])
    long[rng.integers(3)] = rng.choice([1.0, 5.0])
    edges = turn * (rng.uniform(0.08, 0.3, 3) * long * size)[:, None]
    return meshes.box(centre, edges, _FRONT, rng.uniform(0.2, 1))


def _light(looks: Looks, rng: np.random.Generator) -> dict[str, Any]:
    """A first light that may throw shadows, a second one, and what comes from all around."""
    warmth = rng.normal(0, 0.1)
    tint = np.array([1 + warmth, 1, 1 - warmth])
    bright = rng.uniform(0.7, 1.35)
    split = rng.uniform(0.2, 0.8)
    around = rng.uniform(0.3, 0.65)
    return {
        "sun_to": tuple(_above(rng)),
        "sun_colour": tuple(bright * split * 1.6 * tint),
        "fill_to": tuple(_above(rng)),
        "fill_colour": tuple(bright * (1 - split) * (2 - tint)),
        "sky_colour": tuple(around * bright * (2 - tint) * rng.uniform(0.8, 1.2)),
        "ground_colour": tuple(around * bright * rng.uniform(0.3, 0.9) * tint),
        "shadows": float(rng.random() < looks.shadows),
    }


def _above(rng: np.random.Generator) -> np.ndarray:
    direction = rng.standard_normal(3)
    direction[1] = abs(direction[1]) + 0.3
    return direction / np.linalg.norm(direction)
