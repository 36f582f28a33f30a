"""Which way is up: one direction for all people of a clip, from what their bodies say of it.

Least squares over a unit vector u, each clue by its own deviation:

    u = lifter's up                  what the lifting network saw in the pose
    u = way up of flat soles         where heel and toe both stand
    u = centre of mass - support     averaged over standing: nobody leans for long
    u . (p - mean p) = 0             places where feet stood lie in one plane

Contacts are found anew in the clip as it is levelled.  Feet that plainly do not carry (a clue more
than 40 degrees off the lifter's) are not asked.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from staf_backend.geometry import TO_Y_UP, rotation_between
from staf_backend.world.contacts import find_contacts
from staf_backend.world.movement import FEET, Poses

UP = np.array([0.0, 1.0, 0.0])
Footholds = Literal["asked", "believed", "left"]
"""How far places where feet stood say which way is up, see `find_up`."""
_LEVEL_BELOW_DEG, _LEVEL_BELOW_DOWN_DEG = 8.0, 3.5
"""A camera that is tilted by less is taken for level unless the clues plainly speak against it:
most people hold a camera level.  The second where it looks down, as cameras do that are not level.
Level drawn scenes are found tilted by 0.5 to 3.0 degrees, on uneven ground by 6.5; those that look
down by 5 to 10 by 4 to 7, since clues find half to nine tenths of a tilt."""
_SPEAKS_AGAINST, _SPEAKS_AGAINST_DOWN, _PLAINLY_AGAINST = 1.5, 1.0, 3.5
"""Deviations from level that tell a tilt above that angle, the second looking down, and one below
it.  Level drawn scenes give 0.2 to 1.0, uneven ground 3.0."""
_ROUNDS = 4
"""Contacts and up are found by turns.  Chosen: more change nothing."""
_SOLE_RAD, _BALANCE_RAD = np.radians(9.0), np.radians(6.0)
_PLANE_M = 0.04
"""Deviations of flat soles, balance, and of a foothold from the ground; of prototypes on drawn and
calibrated clips (issue 14)."""
_AGREES_RAD = np.radians(10.0)
"""Deviation of single moments of balance from their mean, beyond which the mean is unsure, by the
square: somebody dances on hands and feet.  Measured on drawn scenes: 3 to 10 degrees in walks,
kicks and jumps, whose mean is 6 off; 12 to 31 in breakdance, 3 to 36 off.  Soles do not tell so."""
_LEAST_LIFTER_RAD, _LIFTER_SHARE = np.radians(4.0), 1.6
"""Of the lifter's up, however sure it says it is (the same), and over what it says.  Measured: on
drawn scenes that look down by 10 to 30 degrees it is 9 off where it expects 6; on level ones 2."""
_LARGEST_RAD = np.radians(40.0)
"""From the lifter's up, where a clue is wrong.  The same."""
_STANDS_S = 0.3
"""Standing from which feet are asked.  Chosen."""
_FOOTHOLDS = 3
"""Places from which a plane is asked: fewer have none."""
_SLOPE_RAD = np.radians(1.0)
"""Deviation of the plane, however many places lie in it.  Chosen: ground is not quite level."""
_JUMP_M = 0.5
"""From one foothold to the next; a step on ground tilted by 30 degrees rises less.  Chosen."""
_FLAT = 0.6
"""Sine of the steepest way from foothold to foothold that may lie in the ground.  Chosen: 37
degrees; steeper is a ladder."""
_WEAKEST = 0.5
"""Deviation, as a sine, beyond which a way says nothing.  Chosen."""
_UNEVEN = 2.0
"""Deviations from what the body says, its own and the plane's together, from which footholds
count less: then the ground is uneven, not the camera tilted.  Chosen."""


@dataclass(frozen=True)
class Gravity:
    """Which way is up.

    Attributes:
        up: (3,) unit vector in the axes of the movements.
        doubt_deg: the angle by which it may be wrong (one deviation), as far as the clues tell.
        standing_s: seconds of feet that carry; 0 where nothing but the lifter was asked.
        against_level: deviations by which the clues speak against the y axis being up.
    """

    up: np.ndarray
    doubt_deg: float
    standing_s: float
    against_level: float

    @property
    def tilt_deg(self) -> float:
        """Angle between up and the y axis."""
        return float(np.degrees(np.arccos(np.clip(self.up[1], -1, 1))))

    @property
    def is_level(self) -> bool:
        """Whether the camera is to be taken for level."""
        down = self.up[2] > abs(self.up[0])
        slight = self.tilt_deg < (_LEVEL_BELOW_DOWN_DEG if down else _LEVEL_BELOW_DEG)
        enough = _SPEAKS_AGAINST_DOWN if down else _SPEAKS_AGAINST
        return self.against_level < (_PLAINLY_AGAINST if slight else enough)


@dataclass(frozen=True)
class LiftedUp:
    """up (3,) y-up axes, and the angle by which the lifter expects it to err."""

    up: np.ndarray
    deviation_rad: float


def to_level(up: np.ndarray) -> np.ndarray:
    """The shortest turn (3, 3) that takes up to +y."""
    return rotation_between(up, UP)


def up_of_tilt(pitch_deg: float, roll_deg: float) -> np.ndarray:
    """Up (3,), y-up axes of a camera that looks down by `pitch_deg`, leaning clockwise by roll."""
    pitch, roll = np.radians([pitch_deg, roll_deg])
    across = np.cos(pitch)
    return TO_Y_UP @ [-np.sin(roll) * across, -np.cos(roll) * across, -np.sin(pitch)]


def find_up(
    people: Sequence[tuple[Poses, LiftedUp | None]], footholds: Footholds = "asked"
) -> Gravity | None:
    """One way up for all people of a clip.

    Args:
        people: each movement in the camera's axes (y up), and the lifter's up where there is one.
        footholds: whether places where feet stood are asked for a plane, and count less where
            bodies speak against it; "believed" counts in full the way in which they lie farthest
            apart; "left" asks bodies alone.

    Returns:
        None where nobody tells anything of it.
    """
    up = _start(people)
    found = None
    for _ in range(_ROUNDS):
        clues, standing = _Clues(), 0.0
        for movement, lifted in people:
            own = _Clues()
            standing += _ask(own, movement, lifted, up, footholds)
            clues.take(own, 1 / np.sqrt(len(people)))
        if not clues.rows:
            return None
        up, doubt_rad, against_level = clues.solve()
        found = Gravity(up, float(np.degrees(doubt_rad)), standing, against_level)
    return found


def _start(people: Sequence[tuple[Poses, LiftedUp | None]]) -> np.ndarray:
    ups = [lifted.up for _, lifted in people if lifted is not None]
    return _unit(np.sum(ups, 0)) if ups else UP


class _Clues:
    """Rows a . u = b, each already over its deviation."""

    def __init__(self) -> None:
        self.rows: list[np.ndarray] = []
        self.values: list[float] = []

    def direction(self, way: np.ndarray, deviation_rad: float) -> None:
        """u is this unit vector."""
        for axis in range(3):
            self.rows.append(np.eye(3)[axis] / deviation_rad)
            self.values.append(way[axis] / deviation_rad)

    def across(self, way: np.ndarray, deviation: float) -> None:
        """u is at right angles to this unit vector."""
        self.rows.append(way / deviation)
        self.values.append(0.0)

    def take(self, other: "_Clues", weight: float) -> None:
        """Those of one person, who says as much as all together: people err alike."""
        self.rows += [row * weight for row in other.rows]
        self.values += [value * weight for value in other.values]

    def solve(self) -> tuple[np.ndarray, float, float]:
        """Up (3,), its doubt in radians, and the deviations that the y axis is from it."""
        a, b = np.array(self.rows), np.array(self.values)
        up = _unit(np.linalg.lstsq(a, b, rcond=None)[0])
        information = a.T @ a
        spread = max(1.0, float(np.sqrt(np.mean((a @ up - b) ** 2))))
        tangent = np.linalg.svd(up[None])[2][1:]
        doubts = np.linalg.inv(tangent @ information @ tangent.T)
        away = np.sqrt((UP - up) @ information @ (UP - up))
        return up, spread * float(np.sqrt(np.trace(doubts) / 2)), float(away) / spread


def _ask(
    clues: _Clues,
    movement: Poses,
    lifted: LiftedUp | None,
    up: np.ndarray,
    footholds: Footholds,
) -> float:
    """Add what one person says; returns the seconds that feet carried."""
    if lifted is not None:
        deviation_rad = max(_LIFTER_SHARE * lifted.deviation_rad, _LEAST_LIFTER_RAD)
        clues.direction(lifted.up, deviation_rad)
    found = find_contacts(movement.turned(to_level(up)))
    near = up if lifted is None else lifted.up
    weights = np.where(found.feet, found.probability[:, : len(FEET)].clip(0.5), 0.0)
    seconds = float(weights.max(1).sum() / movement.rate_hz)
    if seconds < _STANDS_S:
        return 0.0
    soles = _flat_soles(movement, weights)
    if soles is not None and _angle(soles, near) < _LARGEST_RAD:
        clues.direction(soles, _SOLE_RAD)
    balance, deviation_rad = _balance(movement, weights)
    if _angle(balance, near) >= _LARGEST_RAD:
        return 0.0
    clues.direction(balance, deviation_rad)
    if footholds != "left":
        runs = [found.spans(part) for part in range(len(FEET))]
        _ask_footholds(clues, movement, runs, up, footholds == "believed")
    return seconds


def _flat_soles(movement: Poses, weights: np.ndarray) -> np.ndarray | None:
    """The mean way up of soles whose heel and toe both stand."""
    flat = np.stack([weights[:, 0] * weights[:, 1], weights[:, 2] * weights[:, 3]], -1)
    if flat.sum() / movement.rate_hz < _STANDS_S / 3:
        return None
    return _unit((movement.posed.soles * flat[..., None]).sum((0, 1)))


def _balance(movement: Poses, weights: np.ndarray) -> tuple[np.ndarray, float]:
    """From the middle of what stands to the centre of mass, on average, and its deviation in
    radians."""
    feet = movement.posed.points_m[:, : len(FEET)]
    total = weights.sum(1, keepdims=True)
    support = (feet * weights[..., None]).sum(1) / np.maximum(total, 1e-6)
    lean, sure = centre_of_mass(movement) - support, weights.max(1)
    mean = _unit(sure @ lean)
    cosines = (lean @ mean) / np.linalg.norm(lean, axis=-1).clip(1e-9)
    spread_rad = np.sqrt(np.average(np.arccos(cosines.clip(-1, 1)) ** 2, weights=sure))
    return mean, _BALANCE_RAD * max(1.0, float(spread_rad) / _AGREES_RAD) ** 2


def _ask_footholds(
    clues: _Clues,
    movement: Poses,
    found: list[list[tuple[int, int]]],
    up: np.ndarray,
    believed: bool,
) -> None:
    """Places where feet stood lie in a plane: the ways between them are at right angles to up."""
    feet = movement.posed.points_m
    runs = sorted((a, b, f) for f, spans in enumerate(found) for a, b in spans)
    if len(runs) < _FOOTHOLDS:
        return
    away = _about_their_level(np.array([np.median(feet[a:b, f], 0) for a, b, f in runs]), up)
    squares, ways = np.linalg.eigh(away.T @ away)
    body_up, doubt_rad, _ = clues.solve()
    for square, way, longest in zip(squares[1:], ways.T[1:], (False, True), strict=True):
        deviation = np.hypot(_PLANE_M / np.sqrt(max(square, 1e-9)), _SLOPE_RAD)
        if deviation < _WEAKEST and abs(way @ up) < _FLAT:
            off = (way @ body_up) / (_UNEVEN * np.hypot(deviation, doubt_rad))
            sure = believed and longest
            clues.across(way, deviation if sure else deviation * (1 + off**2))


def _about_their_level(places: np.ndarray, up: np.ndarray) -> np.ndarray:
    """Footholds (N, 3) in order of time, each about the middle of those of the same level: between
    two levels somebody jumped."""
    jumps = np.abs(np.diff(places @ up)) > _JUMP_M
    level = np.concatenate([[0], np.cumsum(jumps)])
    middles = np.stack([places[level == k].mean(0) for k in range(level[-1] + 1)])
    return places - middles[level]


_SEGMENTS = (
    *(("pelvis", "spine3", 0.355), ("spine3", "neck", 0.142), ("neck", "head", 0.08)),
    *(("left_hip", "left_knee", 0.1), ("right_hip", "right_knee", 0.1)),
    *(("left_knee", "left_ankle", 0.0465), ("right_knee", "right_ankle", 0.0465)),
    *(("left_ankle", "left_foot", 0.0145), ("right_ankle", "right_foot", 0.0145)),
    *(("left_shoulder", "left_elbow", 0.028), ("right_shoulder", "right_elbow", 0.028)),
    *(("left_elbow", "left_wrist", 0.022), ("right_elbow", "right_wrist", 0.022)),
)
"""Ends of each part of the body and its share of the mass (Winter, "Biomechanics and Motor Control
of Human Movement", table 4.1; hands with the forearms, the trunk parted at the chest)."""


def centre_of_mass(movement: Poses) -> np.ndarray:
    """(T, 3) metres."""
    joints, skeleton = movement.posed.joints_m, movement.body.skeleton
    total, mass = np.zeros((len(movement), 3)), 0.0
    for one, other, share in _SEGMENTS:
        total += share * (joints[:, skeleton.index(one)] + joints[:, skeleton.index(other)]) / 2
        mass += share
    return total / mass


def _angle(one: np.ndarray, other: np.ndarray) -> float:
    return float(np.arccos(np.clip(one @ other, -1, 1)))


def _unit(vector: np.ndarray) -> np.ndarray:
    return vector / np.linalg.norm(vector)
