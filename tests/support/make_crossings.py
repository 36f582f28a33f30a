"""Drawn clips of two people who cross, meet, or pass behind a pillar, with exact truth.

two walkers ─► one still camera ─► drawn ─► frames/000000.png ...   and their boxes in each
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from staf_backend.geometry import SMPL, rotations
from training.moves import Movement
from training.synthetic import (
    Camera,
    Degradation,
    Looks,
    Person,
    Studio,
    SyntheticRecipe,
    Take,
    Views,
    degrade,
    looks,
    picture_file,
    scene,
    write_png,
)
from training.synthetic.draw import Actor, Shot

KINDS = ("cross", "meet", "pillar")
RATE_HZ, FRAMES, SIZE_PX = 25.0, 50, 512
_STEPS_HZ = 0.9
"""Of a gait: double steps a second."""
_PILLAR = (0.46, 0.54)
"""Shares of the picture's width between which the pillar stands."""
_MOST_HIDDEN = 0.5
"""Share of a box behind the pillar beyond which nobody can say where the person is."""
RECIPE = SyntheticRecipe(
    pixels=224,
    cell_m=0.03,
    bodies=(("open-neutral", 1.0), ("open-male", 1.0), ("open-female", 1.0)),
    looks=Looks(occluders=0.0, other_person=0.0),
    views=Views(truncated=0.0),
    degradation=Degradation(0, 1, 0, 0, 0.01, 0.02, 0.05, 0, (90, 95)),
)


@dataclass(frozen=True)
class Crossing:
    """What is true of a clip.

    Attributes:
        kind: one of `KINDS`.
        boxes_px: (2, T, 4) corners x0, y0, x1, y1 of both people's skins in the pictures.
        judged: (T,) bool; False where the pillar hides more than half of somebody.
    """

    kind: str
    boxes_px: np.ndarray
    judged: np.ndarray


def write_crossing(folder: Path, number: int) -> Crossing:
    """Draw a clip into an empty folder; its kind goes round with its number.

    Raises:
        SyntheticError: nothing can draw here.
    """
    rng = np.random.default_rng([20, number])
    kind, studio = KINDS[number % len(KINDS)], Studio(RECIPE)
    people = [_walker(kind, way, rng) for way in (1, -1)]
    view = np.diag([1.0, -1.0, -1.0])
    place = np.array([0.0, rng.uniform(1.0, 1.7), rng.uniform(5.0, 6.5)])
    camera = Camera(np.tile(view, (FRAMES, 1, 1)), np.tile(place, (FRAMES, 1)), 1.1)
    squares = np.tile([0.0, 0.0, 1.0], (FRAMES, 1))
    outfits = [looks.dress(p, RECIPE.looks, studio.bank, RECIPE.cell_m, rng) for p in people]
    actors = tuple(Actor(p, o) for p, o in zip(people, outfits, strict=True))
    around = looks.surround(people[0], camera, squares, RECIPE.looks, studio.bank, rng)
    flaws = degrade.draw_flaws(RECIPE.degradation, squares, 0.0, rng)
    truth = scene.truth(people[0], camera, squares, False)
    shot = Shot(actors, around, camera, squares)
    take = Take(shot, flaws, truth, np.arange(FRAMES) / RATE_HZ, 0.0, number)
    for frame, picture in enumerate(studio.pictures(take, 0, FRAMES, SIZE_PX)):
        if kind == "pillar":
            left, right = (round(share * SIZE_PX) for share in _PILLAR)
            picture[:, left:right] = (90, 84, 78)
        write_png(picture_file(folder, frame), picture)
    boxes_px = np.stack([_boxes(person, camera) for person in people])
    return Crossing(kind, boxes_px, _judged(kind, boxes_px))


def _walker(kind: str, way: int, rng: np.random.Generator) -> Person:
    """Somebody who walks to the right (1) or the left (-1)."""
    time_s = np.arange(FRAMES) / RATE_HZ
    if kind == "meet":  # they come together, stand close for a while, and go back
        far = 1.6 - 1.25 * np.clip(1.7 * np.sin(np.pi * time_s / time_s[-1]), 0, 1)
    else:
        far = np.linspace(1.6, -1.6, FRAMES) * rng.uniform(0.85, 1.0)
    path = np.column_stack([-way * far, np.zeros(FRAMES), np.full(FRAMES, way * 0.35)])
    phase = 2 * np.pi * (_STEPS_HZ * time_s + rng.random())
    turns = np.zeros((FRAMES, len(SMPL), 3))
    for side, sign in (("L", 1), ("R", -1)):
        swing = sign * np.sin(phase)
        turns[:, SMPL.index(f"{side}_Hip"), 0] = -0.45 * swing
        turns[:, SMPL.index(f"{side}_Knee"), 0] = 0.35 - 0.3 * np.cos(phase + sign * np.pi / 2)
        turns[:, SMPL.index(f"{side}_Shoulder"), 2] = -sign * 1.15
        turns[:, SMPL.index(f"{side}_Shoulder"), 1] = 0.4 * np.sin(phase)
    local = rotations.from_axis_angle(turns)
    local[:, 0] = rotations.from_axis_angle(np.array([0, way * np.pi / 2, 0])) @ local[:, 0]
    names = [name for name, _ in RECIPE.bodies]
    return scene.stand(names[rng.integers(len(names))], Movement(local, path), rng)


def _boxes(person: Person, camera: Camera) -> np.ndarray:
    """(T, 4) corners in pixels."""
    skin = (camera.project(person.box_m) + 0.5) * SIZE_PX
    return np.concatenate([skin.min(1), skin.max(1)], -1)


def _judged(kind: str, boxes_px: np.ndarray) -> np.ndarray:
    if kind != "pillar":
        return np.ones(boxes_px.shape[1], bool)
    left, right = (share * SIZE_PX for share in _PILLAR)
    low, high = boxes_px[..., 0], boxes_px[..., 2]
    hidden = np.clip(np.minimum(high, right) - np.maximum(low, left), 0, None) / (high - low)
    return np.asarray((hidden < _MOST_HIDDEN).all(0))
