"""How long a travelling camera's way is, in metres, and everybody as they moved in the world.

Corners tell a way but for its length (`odometry`).  Two things tell that: the floor of the corners
lies where feet tread, and feet that stand do not move.

    floor   a plane through many corners and over none, level about as the lifter has it: the camera
            is as high above it in metres as above the feet
    feet    the length of way at which, of each frame's heels and toes, the slowest is slowest

Where the two contradict each other, or neither tells, only the turning is taken out.
"""

import dataclasses
import logging
from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from staf_backend.estimators import Estimate
from staf_backend.fit import Fitter
from staf_backend.geometry import TO_Y_UP
from staf_backend.world import view
from staf_backend.world.camera_path import CameraFollower
from staf_backend.world.contacts import speeds
from staf_backend.world.movement import FEET, Movement, movement_of
from staf_backend.world.odometry import Journey
from staf_backend.world.seen import feet_seen

if TYPE_CHECKING:
    from staf_backend.body import Body
    from staf_backend.estimators import EstimatorSettings, Shot
    from staf_backend.geometry import CameraMotion
    from staf_backend.video import Picture

_log = logging.getLogger(__name__)

_PLANES, _THICK = 400, 0.02
"""Planes tried, and how thick the floor is, over its points' distance.  Chosen."""
_LEVEL = np.cos(np.radians(20))
"""Cosine of the angle between the floor's normal and the lifter's up, at most.  Chosen: the lifter
errs by 1 to 5 degrees on drawn clips, and more where people do not stand."""
_FLOOR_POINTS, _FLOOR_SHARE, _BELOW_SHARE = 40, 0.5, 0.05
"""Of the corners below the camera: the fewest that make a floor, their share, and the share that
may lie under it.  Chosen: drawn rooms have 60 to 96 % on it and hardly any below."""
_LENS_DOUBT = 0.065
"""Of the focal length, from which the floor does not say which way is up.  Measured: a drawn clip
whose camera moves sideways and never turns leaves 0.08, and its floor is tilted by 9 degrees; the
others leave 0.01 to 0.06."""
_FLOOR_SPREAD = 0.3
"""Half of the frames must agree on the length as closely, over it.  Chosen."""
_LENGTHS = np.geomspace(0.2, 5.0, 65)
"""Lengths tried by feet, over the one that makes the camera as quick as the person.  Chosen."""
_STILL_M_S = (0.15, 0.4)
"""Speeds of a foot across the view and along it from which it does not stand.  Chosen."""
_TELLS = 0.85
"""Of how little feet stand beside the camera as if it stayed, that the best length must leave.
Measured: 0.3 to 0.84 where it was right within a fifth, 0.9 and 1 where it was not."""
_AGREE = 1.5
"""Factor between the two lengths from which they contradict each other.  Chosen."""
_LEAST_CHANGE = 0.03
"""Of a lens, that is worth looking again for.  Chosen."""

TRAVELS = (
    "The camera travels; only its turning was taken out, so the path over the ground may be wrong."
)
LENS = "The lens was corrected by how the background moves past the camera."


class _Measured(NamedTuple):
    """Metres of a unit of a journey, and the way up (3,) by its floor, where one was seen."""

    metres: float
    up: np.ndarray | None


class MeasuredCamera:
    """A camera whose ways are known in metres.

    Args:
        watch: that followed it.
        measured: its journeys, by the numbers of their first frames.
    """

    def __init__(self, watch: CameraFollower, measured: dict[int, _Measured]) -> None:
        self._watch, self._measured = watch, measured

    def see(self, frame: int, picture: "Picture", /) -> None:
        """The next frame."""
        self._watch.see(frame, picture)

    def kind(self, frames: np.ndarray, /) -> "CameraMotion":
        """See `CameraWatch.kind`."""
        return self._watch.kind(frames)

    def turns(self, frames: np.ndarray, /) -> np.ndarray | None:
        """See `CameraWatch.turns`."""
        return self._watch.turns(frames)

    def places_m(self, frames: np.ndarray, /) -> np.ndarray | None:
        """See `CameraWatch.places_m`."""
        found = self._watch.journey(frames)
        if found is None or found[0] not in self._measured:
            return None
        first, journey = found
        return self._measured[first].metres * journey.places[frames - first]

    def floor_up(self, frames: np.ndarray, /) -> np.ndarray | None:
        """See `CameraWatch.floor_up`."""
        found = self._watch.journey(frames)
        measured = None if found is None else self._measured.get(found[0])
        return None if measured is None else measured.up


def travelled(
    watch: CameraFollower,
    shot: "Shot",
    estimates: Sequence[Estimate],
    body: "Body",
    settings: "EstimatorSettings",
) -> tuple["Shot", list[Estimate]]:
    """The shot whose camera's ways are known in metres, and its estimates made again with them.

    Nothing changes where no camera travels.

    Args:
        watch: that followed the camera through the footage.
        shot: the footage and its camera.
        estimates: of all its tracks.
        body: what was estimated.
        settings: what the fit trusts, and its threads.
    """
    kept, lost = list(estimates), False
    parts: dict[int, tuple[Journey, list[int]]] = {}
    for number, estimate in enumerate(kept):
        found = watch.journey(estimate.track.frames)
        if found is not None:
            parts.setdefault(found[0], (found[1], []))[1].append(number)
        elif watch.kind(estimate.track.frames) == "moving":
            lost = True
    if parts:
        shot, kept, unmeasured = _with_ways(watch, shot, kept, parts, Fitter(body, settings.fit))
        lost |= unmeasured
    if lost:
        _log.warning(TRAVELS)
    return shot, kept


def _with_ways(
    watch: CameraFollower,
    shot: "Shot",
    kept: list[Estimate],
    parts: dict[int, tuple[Journey, list[int]]],
    fitter: Fitter,
) -> tuple["Shot", list[Estimate], bool]:
    """The same of journeys, by the numbers of their first frames, with the numbers of their
    estimates; and whether one could not be measured."""
    shot, kept = _with_lens(shot, kept, [journey for journey, _ in parts.values()])
    measured: dict[int, _Measured] = {}
    for first, (journey, numbers) in parts.items():
        people = [_beside(kept[n], shot, fitter, first) for n in numbers]
        found = _measure(journey, people)
        if found is not None:
            measured[first] = found
    shot = dataclasses.replace(shot, watch=MeasuredCamera(watch, measured))
    for _, numbers in parts.values():
        for n in numbers:
            kept[n] = _again(kept[n], shot, fitter)
    return shot, kept, len(measured) < len(parts)


def _with_lens(
    shot: "Shot", estimates: list[Estimate], journeys: Sequence[Journey]
) -> tuple["Shot", list[Estimate]]:
    """With the lens that the journeys tell, where it was assumed and everybody can be seen anew."""
    factor = float(np.median([journey.longer for journey in journeys]))
    again = all(estimate.evidence is not None for estimate in estimates)
    assumed = shot.camera.focal_source == "assumed"
    if not assumed or not again or abs(factor - 1) < _LEAST_CHANGE:
        return shot, estimates
    _log.info(LENS)
    focal_px = shot.camera.focal_px * factor
    camera = dataclasses.replace(shot.camera, focal_px=focal_px, focal_source="travel")
    seen = [_through(estimate, factor) for estimate in estimates]
    return dataclasses.replace(shot, camera=camera), seen


def _through(estimate: Estimate, factor: float) -> Estimate:
    """An estimate whose evidence was seen through a lens longer by a factor."""
    known = estimate.evidence
    assert known is not None
    evidence = dataclasses.replace(known, rays=known.rays / np.float32(factor))
    evidence = view.lifted_again(evidence, np.eye(3), estimate.track.times_s)
    evidence = dataclasses.replace(evidence, world_m=known.world_m)
    return dataclasses.replace(estimate, evidence=evidence)


class _Person(NamedTuple):
    """Rows of the journey (T,), the movement beside the camera, and the lifter's up (3,), camera
    axes, where there is one."""

    rows: np.ndarray
    movement: Movement
    up: np.ndarray | None


def _beside(estimate: Estimate, shot: "Shot", fitter: Fitter, first: int) -> _Person:
    """Somebody as seen beside the camera: no foot is taken for one that stands."""
    known, track, params, up = estimate.evidence, estimate.track, estimate.params, None
    if known is not None:
        loose = dataclasses.replace(known.lifted, contact=np.zeros_like(known.lifted.contact))
        free = dataclasses.replace(known, lifted=loose)
        params, _ = view.fitted_again(free, track.times_s, fitter, params.betas)
        up = known.lifted.up
    movement = movement_of(params, track.times_s, fitter.body, feet_seen(estimate, shot.camera))
    return _Person(track.frames - first, movement, up)


def _again(estimate: Estimate, shot: "Shot", fitter: Fitter) -> Estimate:
    """Fitted as somebody who moves evenly in the world, not beside the camera."""
    if estimate.evidence is None:
        return estimate
    track = estimate.track
    params, distance_mm = view.fitted_again(
        estimate.evidence,
        track.times_s,
        fitter,
        estimate.params.betas,
        eye_m=shot.watch.places_m(track.frames),
    )
    quality = {**estimate.quality, "landmark_distance_mm": distance_mm}
    return dataclasses.replace(estimate, params=params, quality=quality)


def _measure(journey: Journey, people: Sequence[_Person]) -> _Measured | None:
    """How long a journey is; None where nothing tells, or what does contradicts itself."""
    floor, feet = _by_floor(journey, people), _by_feet(journey, people)
    _log.debug("metres of a unit by the floor %s, by feet %s", floor, feet)
    if floor is None:
        return None if feet is None else _Measured(feet, None)
    if feet is None:
        return floor
    if max(floor.metres, feet) > _AGREE * min(floor.metres, feet):
        return None
    return floor._replace(metres=float(np.sqrt(floor.metres * feet)))


def _by_floor(journey: Journey, people: Sequence[_Person]) -> _Measured | None:
    """The length of way that has the floor where feet tread."""
    ups = [person.up for person in people if person.up is not None]
    up = np.mean(ups, axis=0) if ups else np.array([0.0, -1.0, 0.0])
    floor = _floor(journey, up / np.linalg.norm(up))
    if floor is None:
        return None
    normal, height = floor
    lengths = []
    for rows, movement, _ in people:
        feet = movement.posed.points_m[:, : len(FEET)] @ TO_Y_UP @ normal
        above = journey.places[rows] @ normal - height
        seen = movement.feet_seen.any(1) & (above > 0)
        lengths.append(-feet.min(1)[seen] / above[seen])
    every = np.concatenate(lengths)
    if not len(every):
        return None
    low, middle, high = np.quantile(every, (0.25, 0.5, 0.75))
    agreed = middle > 0 and high - low < _FLOOR_SPREAD * middle
    up = normal if journey.lens_doubt < _LENS_DOUBT else None
    return _Measured(float(middle), up) if agreed else None


def _floor(journey: Journey, up: np.ndarray) -> tuple[np.ndarray, float] | None:
    """The normal (3,) of the floor and its height along that, in the journey's axes."""
    middle = journey.places[journey.known].mean(0)
    low = journey.points[(journey.points - middle) @ up < 0]
    if len(low) < _FLOOR_POINTS:
        return None
    three = np.random.default_rng(len(low)).integers(0, len(low), (_PLANES, 3))
    a, b, c = (low[three[:, k]] for k in range(3))
    normals = np.cross(b - a, c - a)
    normals /= np.maximum(np.linalg.norm(normals, axis=1, keepdims=True), 1e-12)
    normals *= np.sign(normals @ up)[:, None]
    thick = _THICK * np.linalg.norm(low - middle, axis=1)
    off = low @ normals.T - (a * normals).sum(1)
    on, under = np.abs(off) < thick[:, None], off < -3 * thick[:, None]
    score = np.where(normals @ up > _LEVEL, on.sum(0) - 2 * under.sum(0), -np.inf)
    best = int(score.argmax())
    enough = max(_FLOOR_POINTS, _FLOOR_SHARE * len(low))
    if on[:, best].sum() < enough or under[:, best].mean() > _BELOW_SHARE:
        return None
    points, weights = low[on[:, best]], 1 / thick[on[:, best]]
    centre = np.average(points, axis=0, weights=weights**2)
    normal = np.linalg.svd((points - centre) * weights[:, None])[2][2]
    normal = normal * np.sign(normal @ up)
    return normal, float(centre @ normal)


def _by_feet(journey: Journey, people: Sequence[_Person]) -> float | None:
    """The length of way at which feet stand best."""
    parts = [_foot_ways(journey, person) for person in people]
    beside, ray, travel = (np.concatenate(values) for values in zip(*parts, strict=True))
    quick = np.linalg.norm(travel, axis=-1)
    if len(quick) < 2 or not quick.any():
        return None
    typical = float(np.median(np.linalg.norm(beside, axis=-1)) / max(np.median(quick), 1e-9))
    lengths = typical * _LENGTHS
    costs = np.array([_slip(beside + length * travel[:, None], ray) for length in lengths])
    best = int(costs.argmin())
    inside = 0 < best < len(lengths) - 1
    return float(lengths[best]) if inside and costs[best] < _TELLS * _slip(beside, ray) else None


def _foot_ways(journey: Journey, person: _Person) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Velocities (N, 4, 3) of heels and toes beside the camera, rays to them, and the camera's own
    (N, 3) in no unit, camera axes; frames whose feet are seen."""
    movement = person.movement
    feet = movement.posed.points_m[:, : len(FEET)] @ TO_Y_UP
    ray = feet / np.maximum(np.linalg.norm(feet, axis=-1, keepdims=True), 1e-6)
    places = journey.places[person.rows]
    own = speeds(places[:, None], movement.times_s)[:, 0]
    seen = movement.feet_seen.all(1) & journey.known[person.rows]
    return speeds(feet, movement.times_s)[seen], ray[seen], own[seen]


def _slip(velocity: np.ndarray, ray: np.ndarray) -> float:
    """How little feet stand, 0..1: of velocities (N, 4, 3) each frame's slowest, robustly."""
    along = (velocity * ray).sum(-1)
    across = np.linalg.norm(velocity - along[..., None] * ray, axis=-1)
    square = (across / _STILL_M_S[0]) ** 2 + (along / _STILL_M_S[1]) ** 2
    return float((square / (1 + square)).min(-1).mean())
