"""The level view: which way is up, and everybody as a level camera would have seen them."""

import dataclasses
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from staf_backend.body import SmplParams
from staf_backend.estimators import Estimate, Evidence
from staf_backend.fit import Fitter
from staf_backend.geometry import TO_Y_UP
from staf_backend.world import view
from staf_backend.world.gravity import Footholds, Gravity, LiftedUp, find_up, up_of_tilt
from staf_backend.world.movement import Movement, movement_of, posed_movement
from staf_backend.world.posed import PosedMovement
from staf_backend.world.seen import feet_seen
from staf_backend.world.settings import WorldSettings

if TYPE_CHECKING:
    from staf_backend.body import Body
    from staf_backend.estimators import Shot

_FLOOR_DOUBT_DEG = 2.0
"""Of the way up that the floor says.  Measured: 0.3 to 2.3 degrees on drawn clips."""

NO_UP = "Nobody's feet tell which way is up: the camera is taken for level."


@dataclass
class Person:
    """One track on its way to the floor; all of it in the level view, once that is known.

    Attributes:
        estimate: of the track.
        params: T frames of it, camera axes.
        evidence: what they were made from.
        seen: (T, 2) bool, whether the left and the right foot were seen.
        distance_mm: of the landmarks, median.
        eye_m: (T, 3) where a camera that travels stood.
        floor_up: (3,) way up that the floor says which such a camera saw, camera axes.
    """

    estimate: Estimate
    params: SmplParams
    evidence: Evidence | None
    seen: np.ndarray
    distance_mm: float
    eye_m: np.ndarray | None
    floor_up: np.ndarray | None

    @property
    def own(self) -> np.ndarray | None:
        """Rotations that may be changed; None where the estimate's are asked for again, or where
        they are larger than a movement's."""
        mine = self.params is not self.estimate.params
        rotations = self.params.rotations
        return rotations if mine and rotations.dtype == np.float32 else None

    def movement(self, body: "Body") -> Movement:
        """What becomes of the parameters, which nobody may ask for any more."""
        times_s = self.estimate.track.times_s
        return movement_of(self.params, times_s, body, self.seen, self.eye_m, self.own)

    def posed(self, body: "Body") -> PosedMovement:
        """What is posed of the movement alone."""
        times_s = self.estimate.track.times_s
        return posed_movement(self.params, times_s, body, self.seen, self.eye_m)

    def turn(self, turn: np.ndarray) -> None:
        """Into the axes of a camera that is turned by (3, 3)."""
        self.params = view.turned_params(self.params, turn, self.own)
        if self.evidence is not None:
            self.evidence = view.turned_evidence(self.evidence, turn)
        self._turn_eye(turn)

    def _turn_eye(self, turn: np.ndarray) -> None:
        if self.eye_m is not None:
            self.eye_m = self.eye_m @ turn.T

    def see_again(self, turn: np.ndarray, fitter: Fitter, betas: np.ndarray | None) -> None:
        """As a camera turned by (3, 3) sees them: lifted and fitted again where possible."""
        if self.evidence is None:
            self.turn(turn)
            return
        self._turn_eye(turn)
        times_s = self.estimate.track.times_s
        self.evidence = view.lifted_again(self.evidence, turn, times_s)
        self.params, _ = view.fitted_again(self.evidence, times_s, fitter, betas, eye_m=self.eye_m)

    @classmethod
    def of(cls, estimate: Estimate, shot: "Shot") -> "Person":
        """Somebody as estimated."""
        distance = estimate.quality.get("landmark_distance_mm", 0.0)
        seen, frames = feet_seen(estimate, shot.camera), estimate.track.frames
        eye_m, floor_up = shot.watch.places_m(frames), shot.watch.floor_up(frames)
        params, evidence = estimate.params, estimate.evidence
        return cls(estimate, params, evidence, seen, distance, eye_m, floor_up)

    def lifted_up(self) -> LiftedUp | None:
        if self.evidence is None:
            return None
        lifted = self.evidence.lifted
        return LiftedUp(TO_Y_UP @ lifted.up, lifted.up_deviation_rad)


@dataclass(frozen=True)
class Level:
    """turn (3, 3): camera axes of the first key -> level ones; and what was found."""

    turn: np.ndarray
    gravity: Gravity | None
    words: tuple[str, ...] = ()

    @property
    def kept(self) -> bool:
        """Whether a tilt was found, and the camera taken for level all the same."""
        return self.gravity is not None and bool(np.array_equal(self.turn, np.eye(3)))


def found_level(
    people: list[Person],
    fitter: Fitter,
    world: WorldSettings,
    footholds: Footholds,
    slight: bool,
) -> Level:
    """Find up, and bring all people into the level view.

    Args:
        people: in camera axes, and in level ones afterwards.
        fitter: of their body.
        world: what the user chose.
        footholds: how far they may say which way is up.
        slight: whether a slight tilt counts.
    """
    if world.level == "off":
        return Level(np.eye(3), None)
    if world.tilt_deg is not None:
        turn = view.level_turn(up_of_tilt(*world.tilt_deg))
        _see_again(people, turn, fitter)
        return Level(turn, None)
    floor_up = _floor_up(people)
    if floor_up is not None:
        turn = view.level_turn(floor_up)
        _see_again(people, turn, fitter)
        return Level(turn, Gravity(floor_up, _FLOOR_DOUBT_DEG, 0.0, 0.0))
    first = _up(people, fitter.body, footholds)
    if first is None or first.standing_s == 0:
        return Level(np.eye(3), None, (NO_UP,))
    if first.is_level and not slight:
        return Level(np.eye(3), dataclasses.replace(first, up=np.array([0.0, 1.0, 0.0])))
    turn = view.level_turn(first.up)
    _see_again(people, turn, fitter)
    second = _up(people, fitter.body, footholds)
    if second is None or second.standing_s == 0:
        return Level(turn, first)
    rest = view.level_turn(second.up)
    for person in people:
        person.turn(rest)
    up = TO_Y_UP @ (rest @ turn).T @ TO_Y_UP @ [0.0, 1.0, 0.0]
    return Level(rest @ turn, dataclasses.replace(second, up=up))


def _floor_up(people: list[Person]) -> np.ndarray | None:
    """Up (3,), y-up axes, by the floor that the camera saw; None where people were not filmed by
    one camera that travelled over it."""
    first = people[0].floor_up if people else None
    alike = all(person.floor_up is first for person in people)
    return None if first is None or not alike else TO_Y_UP @ first


def _up(people: list[Person], body: "Body", footholds: Footholds) -> Gravity | None:
    return find_up([(person.posed(body), person.lifted_up()) for person in people], footholds)


def _see_again(people: list[Person], turn: np.ndarray, fitter: Fitter) -> None:
    """Everybody as a camera turned by (3, 3) sees them; all parts of a person have one shape."""
    betas: dict[int, np.ndarray] = {}
    for person in people:
        number = person.estimate.track.person
        person.see_again(turn, fitter, betas.get(number))
        if person.evidence is not None:
            betas.setdefault(number, person.params.betas)
