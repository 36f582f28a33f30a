"""From estimates in the axes of their camera to motions that stand on a floor.

    estimates ─► gravity ─► level view, lifted and fitted again ─► contacts, floors
              ─► grounded fit (or a locked root) ─► feet on their places ─► layers

Where nothing tells the ground, a person keeps the ungrounded motion, and a sentence says why.
"""

import dataclasses
import logging
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from staf_backend.estimators import Estimate, Evidence
from staf_backend.fit import Fitter, Ground, looseness
from staf_backend.geometry import TO_Y_UP
from staf_backend.motion import Motion
from staf_backend.people import Track
from staf_backend.runtime import give_back_heap
from staf_backend.world import layers, view
from staf_backend.world.contacts import Contacts, find_contacts, told_contacts
from staf_backend.world.feet import foot_places, ground_under, heights_of, held
from staf_backend.world.floors import (
    Floors,
    Foothold,
    footholds,
    is_even,
    main_level_m,
    shared_floors,
    stepped_on_m,
)
from staf_backend.world.gravity import Footholds
from staf_backend.world.level import Level, Person, found_level
from staf_backend.world.lock import locked
from staf_backend.world.movement import FEET, Movement, movement_of
from staf_backend.world.settings import WorldSettings
from staf_backend.world.toes import bent

if TYPE_CHECKING:
    from staf_backend.body import Body
    from staf_backend.estimators import EstimatorSettings, Shot
    from staf_backend.reporting import Report

_log = logging.getLogger(__name__)
_WORSE, _WORSE_MM, _NEAR_MM = 1.3, 4.0, 12.0
"""A grounded motion whose landmarks are farther by this share and by this is refused, and farther
than the last.  Chosen: holding feet moves landmarks by 1 to 3 mm; what costs more is a wrong floor.
The balance clip's ungrounded landmarks are 11 mm away."""
_LEAST_STANDING_S = 0.3
"""From which there is a floor.  Chosen: one step of a walk has more."""

_MOST_DOUBTS = 3.3
"""Up is what footholds say whatever bodies do, if it is within so many deviations of what bodies
say; else somebody climbs.  Measured: a drawn walk away from the camera is 2.9 to 3.0 off, steps
that rise by a third of their length 3.6."""

NO_FEET = "No feet are seen standing: the motion is not put on a floor."
ONLY_STEPS = (
    "Feet step on the ground and hardly stand: the motion is raised onto its floor and otherwise "
    "as it was estimated."
)
NO_FLOOR = "The heights at which feet stand do not agree: the motion is not put on a floor."
HELD = "The heights at which feet stand do not agree: each foot is held where it stands."
WORSE = "Standing on the floor would leave the picture: the motion is as it was estimated."


def stand(
    estimates: list[Estimate],
    shot: "Shot",
    body: "Body",
    settings: "EstimatorSettings",
    world: WorldSettings,
    report: "Report",
) -> list[Motion]:
    """Motions on a floor.

    Args:
        estimates: of all tracks of a shot; the list is emptied as they become motions, since those
            of a long clip are large.
        shot: the footage and its camera.
        body: what was estimated.
        settings: what the fit trusts, and its threads.
        world: what the user chose.
        report: told about progress.
    """
    fitter, count = Fitter(body, settings.fit), len(estimates)
    report("ground", 0, count, "finding the floor")
    scene = _scene(estimates, shot, fitter, world)
    if world.level == "auto" and scene.uneven:
        scene = _on_other_ground(estimates, shot, fitter, world, scene.level)
    turn = TO_Y_UP @ scene.level.turn @ TO_Y_UP
    motions: list[Motion] = []
    while estimates:
        report("ground", len(motions), count, f"grounding person {estimates[0].track.person}")
        raw = layers.raw_motion(_without_evidence(estimates), shot, body, turn, scene.rise_m)
        give_back_heap()
        motions.append(_motion(raw, scene.standing.pop(0), shot, fitter, scene, world))
    report("ground", count, count, "grounded")
    return motions


def _without_evidence(estimates: list[Estimate]) -> Estimate:
    """Take the first out of a list, alone: what stands has evidence of its own."""
    return dataclasses.replace(estimates.pop(0), evidence=None)


@dataclass(frozen=True)
class _Standing:
    """Of one person in the level view: the movement, what it was made from, how far its landmarks
    are, what touches, and on which floors."""

    movement: Movement
    evidence: Evidence | None
    distance_mm: float
    contacts: Contacts
    holds: list[Foothold]
    floors: Floors

    @property
    def uneven(self) -> bool:
        """Whether the ground under this person is no floor."""
        return not self.floors.own_m and not is_even(self.holds)


@dataclass(frozen=True)
class _Scene:
    """The level view, how everybody stands there, and how far the camera is above the floor."""

    level: Level
    standing: list[_Standing]
    rise_m: float

    @property
    def uneven(self) -> bool:
        """Whether feet stand, and nobody's at one height."""
        some = [own for own in self.standing if own.holds]
        return bool(some) and all(own.uneven for own in some)


def _on_other_ground(
    estimates: Sequence[Estimate], shot: "Shot", fitter: Fitter, world: WorldSettings, level: Level
) -> _Scene:
    """Where feet do not agree on a floor: a camera that was taken for level is as little tilted as
    was found, or any as footholds say whatever bodies do, if feet agree then; else the ground is
    uneven."""
    if level.kept:
        scene = _scene(estimates, shot, fitter, world, slight=True)
        if not scene.uneven:
            return scene
    scene = _scene(estimates, shot, fitter, world, "left")
    other = _scene(estimates, shot, fitter, world, "believed", slight=True)
    near = not other.uneven and _doubts(other.level, scene.level) < _MOST_DOUBTS
    return other if near else scene


def _doubts(one: Level, other: Level) -> float:
    """By how many deviations of the other one's way up two differ."""
    if one.gravity is None or other.gravity is None:
        return np.inf
    cosine = np.clip(one.gravity.up @ other.gravity.up, -1, 1)
    return float(np.degrees(np.arccos(cosine))) / other.gravity.doubt_deg


def _scene(
    estimates: Sequence[Estimate],
    shot: "Shot",
    fitter: Fitter,
    world: WorldSettings,
    footholds_say: Footholds = "asked",
    slight: bool = False,
) -> _Scene:
    """Up, contacts and floors; `footholds_say` is how far footholds say which way is up, and a
    slight tilt counts only where asked."""
    people = [Person.of(estimate, shot) for estimate in estimates]
    level = found_level(people, fitter, world, footholds_say, slight)
    known = [(person.evidence, person.distance_mm) for person in people]
    tracks = [person.estimate.track for person in people]
    movements = []
    while people:  # their parameters are large, and no more needed
        movements.append(people.pop(0).movement(fitter.body))
    found = [find_contacts(m, world.feet == "always") for m in movements]
    found = [_told_contacts(*pair, shot) for pair in zip(tracks, found, strict=True)]
    holds = [_holds(m, contacts) for m, contacts in zip(movements, found, strict=True)]
    floors = shared_floors(holds)
    floor_m = main_level_m(holds, floors)
    if floor_m is None:
        steps_m = [stepped_on_m(movement) for movement in movements]
        floor_m = min((height for height in steps_m if height is not None), default=None)
    standing = [
        _Standing(movement, *by_what, *own)
        for movement, by_what, own in zip(
            movements, known, zip(found, holds, floors, strict=True), strict=True
        )
    ]
    return _Scene(level, standing, 0.0 if floor_m is None else -floor_m)


def _told_contacts(track: Track, found: Contacts, shot: "Shot") -> Contacts:
    """What the user says of when feet stand; else what was found."""
    if track.person not in shot.stands:
        return found
    return told_contacts(found, shot.stands[track.person], track.times_s)


def _holds(movement: Movement, contacts: Contacts) -> list[Foothold]:
    """Where feet stood; nothing where they hardly did."""
    seconds = contacts.feet.any(1).sum() / movement.rate_hz
    return footholds(movement, contacts) if seconds >= _LEAST_STANDING_S else []


def _motion(
    raw: Motion,
    own: _Standing,
    shot: "Shot",
    fitter: Fitter,
    scene: _Scene,
    world: WorldSettings,
) -> Motion:
    level, rise_m = scene.level, scene.rise_m
    words = list(level.words)
    if not own.holds:
        steps = rise_m != 0 and stepped_on_m(own.movement) == -rise_m
        return _told(raw, level, [*words, ONLY_STEPS if steps else NO_FEET])
    ungrounded = layers.with_contacts(raw, own.contacts, own.floors, own.movement, rise_m)
    if not own.floors.own_m:
        told = world.feet == "always" or raw.person in shot.stands
        if own.uneven and not told:
            return _told(ungrounded, level, [*words, NO_FLOOR])
        words += [HELD]
    if world.grounding == 0:
        return _told(ungrounded, level, words)
    grounded, contacts, reached = _planted(own, fitter, world), own.contacts, own.floors.reached
    if grounded is None:
        return _told(raw, level, [*words, WORSE])
    del own  # of a long clip large, and no more needed
    if world.feet != "never":
        # a stance that was far from every level may be near one now, and is held there
        ungrounded = layers.with_contacts(ungrounded, contacts, reached, grounded, rise_m)
        grounded = held(grounded, contacts, reached, world.feet == "ground-only")
        grounded = bent(grounded, contacts)
    motion = layers.grounded_motion(ungrounded, grounded, rise_m, world.grounding)
    return _told(motion, level, words)


def _planted(own: _Standing, fitter: Fitter, world: WorldSettings) -> Movement | None:
    """The movement, fitted again or its root moved so that its feet stand; None where that leaves
    the picture."""
    movement, contacts, evidence = own.movement, own.contacts, own.evidence
    places = foot_places(movement, contacts, own.floors)
    if evidence is None:
        if world.feet == "never":
            return movement
        return locked(movement, contacts, heights_of(places, movement, own.floors))
    ground = _ground(own, evidence, places, fitter, world)
    params, distance_mm = view.fitted_again(
        evidence, movement.times_s, fitter, movement.betas, ground, movement.travel_m
    )
    limit = max(_WORSE * own.distance_mm, own.distance_mm + _WORSE_MM, _NEAR_MM)
    if distance_mm > limit and world.feet != "always":
        return None
    known = movement.times_s, movement.body, movement.feet_seen, movement.travel_m
    return movement_of(params, *known, out=params.rotations)


def _ground(
    own: _Standing, evidence: Evidence, places: np.ndarray, fitter: Fitter, world: WorldSettings
) -> Ground:
    contacts, movement = own.contacts, own.movement
    sure = np.where(contacts.feet, contacts.probability[:, : len(FEET)].clip(0.5), 0.0)
    heights = heights_of(places, movement, own.floors)
    ground = ground_under(movement, contacts, own.floors)[:, None]
    none = np.zeros_like(sure)
    never = world.feet == "never"
    return Ground(
        sure if world.feet in ("auto", "always") else none,
        none if never else sure,
        -heights,
        np.full_like(sure, np.nan) if never else -(ground + movement.rest_heights_m[: len(FEET)]),
        looseness(
            evidence.rays,
            evidence.visibility,
            _depth_m(movement, evidence.turns),
            movement.times_s,
            fitter.unknowns,
        ),
    )


def _depth_m(movement: Movement, turns: np.ndarray | None) -> np.ndarray:
    """(T,) how far before the camera, which is turned by (T, 3, 3) from the level view, the root
    is."""
    away_m = (movement.root_m - movement.eye_m) @ TO_Y_UP
    return away_m[:, 2] if turns is None else np.einsum("ta,ta->t", turns[:, 2], away_m)


def _told(motion: Motion, level: Level, words: Sequence[str]) -> Motion:
    """With what was found of the camera's tilt, and the sentences."""
    quality = dict(motion.quality)
    if level.gravity is not None:
        up = TO_Y_UP @ level.gravity.up
        quality["camera_pitch_deg"] = float(np.degrees(np.arcsin(np.clip(-up[2], -1, 1))))
        quality["camera_roll_deg"] = float(np.degrees(np.arctan2(-up[0], -up[1])))
        quality["up_doubt_deg"] = level.gravity.doubt_deg
    for sentence in dict.fromkeys(words):
        _log.warning("Person %d: %s", motion.person, sentence)
    card = dict(motion.card)
    if words:
        card["words"] = [*card.get("words", ()), *dict.fromkeys(words)]
    return dataclasses.replace(motion, quality=quality, card=card)
