"""Somebody with feet that stand, before a camera: a scene and its exact truth.

    captured motion ─► feet that stand on the floor ─► camera that holds the path ─► truth

World axes are y up, metres, the floor at y = 0; the camera looks toward -z, as Blender's front view
has it: who faces it faces +z.
"""

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from staf_backend.body import load_body
from staf_backend.files import replace_atomically
from staf_backend.geometry import forward_kinematics, from_axis_angle
from staf_backend.world.movement import FEET
from staf_backend.world.movement import Movement as WorldMovement
from training.moves import (
    BODY,
    CLIMBS,
    HELD_OUT,
    NONE,
    Clip,
    captured,
    figure_of,
    open_clips,
    planted,
    smooth_series,
    smoothed,
    split,
)
from training.scoring import WorldTruth, lowest_m, write_truth
from training.synthetic import Camera, Person, drawn_shape, looking, person_of, write_clip

RATE_HZ, SIZE_PX, FRAMES = 30, (768, 432), (75, 135)
"""Frames a second, width and height, shortest and longest clip.  Chosen: people are 150 to 350
pixels tall, and most moves are seen from their beginning to their end."""
CAMERAS = ("still", "pan", "hand", "rail")
_SHARES = (0.7, 0.1, 0.1, 0.1)
_ALONG, _ALONG_RAD = 0.4, 0.35
"""How often somebody goes along the view, and within what of it.  Chosen: it is the hardest."""
_DISTANCE_M, _LEVEL, _DOWN_DEG, _ROLL_DEG = (3.0, 7.0), 0.5, (5.0, 30.0), 1.5
"""Least distance, drawn evenly; chance of a level camera, how far the others look down; roll's
deviation.  Chosen."""
_FOCAL, _FOCAL_LOG = 1.15, 0.2
"""Focal length over the width, and deviation of its logarithm.  Chosen: a phone to a short tele."""
_OUT, _STEP_BACK, _MARGIN = 0.03, 1.08, 0.95
"""Share of joints that may leave the picture, the step of distances by which the camera goes back,
and the share of the picture that counts.  Chosen."""
_TRIES, _HIDDEN_M = 24, 0.4
"""Of a camera that goes back, and how near its axes people may come.  Chosen."""
_PAN_S, _SWAY_S, _SWAY_RAD, _SWAY_M, _RAIL_M = 0.4, 0.15, 0.0175, 0.015, (1.0, 3.0)
"""How slowly a camera follows and a hand sways, how far a hand does, how far a camera travels.
Chosen: as films by hand have it."""
_FLOOR_QUANTILE = 0.02
"""Of lowest soles, that lie on the floor.  Chosen: a few slips may reach below."""


@dataclass(frozen=True)
class Film:
    """A scene before it is drawn.

    Attributes:
        person: in the world.
        camera: its focal length over the picture's width.
        truth: of all frames.
        kind: of camera, of `CAMERAS`.
    """

    person: Person
    camera: Camera
    truth: WorldTruth
    kind: str

    def write(self, video: Path, truth: Path, teaching: bool, rng: np.random.Generator) -> None:
        """Draw the clip, then write the truth.

        Args:
            video: the .mp4 to write.
            truth: the .npz to write.
            teaching: whether clothes and rooms are those that networks are taught with.
            rng: draws them, and light.

        Raises:
            SyntheticError: nothing can draw here.
            OutputError: a file cannot be written.
        """
        part = "train" if teaching else "held-out"
        with replace_atomically(video) as temporary:
            write_clip(temporary, self.person, self.camera, SIZE_PX, RATE_HZ, part, rng)
        write_truth(truth, self.truth)


def clips_of(mocap: list[Path], teaching: bool) -> list[Clip]:
    """Captured motion of those that networks are taught with, or of those that are held out.

    Raises:
        MocapError: a file cannot be read as motion, or lacks the one or the other.
    """
    taught, held_out = split(open_clips(mocap, figure_of(BODY)), HELD_OUT)
    return [clip for clip in taught if clip.subject != CLIMBS] if teaching else held_out


def film(clips: list[Clip], rng: np.random.Generator, kind: str | None = None) -> Film:
    """A scene at random.

    Args:
        clips: captured motion.
        rng: all of its randomness.
        kind: of camera, of `CAMERAS`; None draws one.
    """
    frames = int(rng.integers(FRAMES[0], FRAMES[1] + 1))
    movement, contact = _somebody(clips, frames, rng)
    who = person_of(movement.body, movement.betas, movement.rotations, movement.root_m)
    kind = kind or str(rng.choice(CAMERAS, p=_SHARES))
    camera = _camera(who, kind, rng)
    return Film(who, camera, _truth(movement, contact, camera), kind)


def _somebody(
    clips: list[Clip], frames: int, rng: np.random.Generator
) -> tuple[WorldMovement, np.ndarray]:
    """A movement whose floor is at y = 0, and (T, 4) bool which of `FEET` stand."""
    move = captured(clips, frames, RATE_HZ, NONE, rng)
    way = move.pelvis_m[-1] - move.pelvis_m[0]
    heading = rng.uniform(-np.pi, np.pi)
    if rng.random() < _ALONG:
        heading = rng.choice([0.0, np.pi]) + rng.normal(0, _ALONG_RAD)
    turn = from_axis_angle(np.array([0.0, heading - np.arctan2(way[0], way[2]), 0.0]))
    betas = drawn_shape(rng)
    found, contact = planted(move, load_body(BODY), betas, RATE_HZ, turn, np.zeros(3))
    floor = np.quantile(lowest_m(found), _FLOOR_QUANTILE)
    found.root_m[:, 1] -= floor
    return found, contact


@dataclass(frozen=True)
class _Setup:
    """How a camera is set up: its kind, how far, focal length, radians that it looks down and
    leans, the way that it rolls along, and a hand's sway (T, 6)."""

    kind: str
    far_m: float
    focal: float
    down: float
    roll: float
    rail_m: float
    sway: np.ndarray

    def camera(self, path: np.ndarray) -> Camera:
        """Before the middle of somebody's path (T, 3)."""
        middle = (path.min(0) + path.max(0)) / 2
        back = np.array([0, np.sin(self.down), np.cos(self.down)])
        place, aim = (np.tile(at, (len(path), 1)) for at in (middle + self.far_m * back, middle))
        turns = np.zeros_like(path)
        if self.kind == "rail":
            for points in (place, aim):
                points[:, 0] += self.rail_m * np.linspace(-0.5, 0.5, len(path))
        if self.kind == "pan":
            aim = smoothed(path, _PAN_S * RATE_HZ)
        if self.kind == "hand":
            place += self.sway[:, 3:] * _SWAY_M
            turns = self.sway[:, :3] * _SWAY_RAD
        view = from_axis_angle(turns) @ looking(place, aim, self.roll)
        return Camera(view, place, self.focal)


def _camera(who: Person, kind: str, rng: np.random.Generator) -> Camera:
    """A camera that goes back until it holds the person."""
    level = rng.random() < _LEVEL
    down = rng.normal(0, np.radians(1)) if level else np.radians(rng.uniform(*_DOWN_DEG))
    roll = rng.normal(0, np.radians(_ROLL_DEG))
    focal = _FOCAL * float(np.exp(rng.normal(0, _FOCAL_LOG)))
    far_m, rail_m = rng.uniform(*_DISTANCE_M), rng.choice([-1, 1]) * rng.uniform(*_RAIL_M)
    sway = smooth_series(rng, len(who.pelvis_m), 6, _SWAY_S * RATE_HZ)
    setup = _Setup(kind, far_m, focal, down, roll, rail_m, sway)
    for _ in range(_TRIES):
        if _out(who, setup.camera(who.pelvis_m)) <= _OUT:
            break
        setup = replace(setup, far_m=setup.far_m * _STEP_BACK)
    return setup.camera(who.pelvis_m)


def _out(who: Person, camera: Camera) -> float:
    """Share of joints that are out of the picture."""
    seen = camera.seen(who.joints_m)
    near = seen[..., 2] < _HIDDEN_M
    flat = np.abs(camera.focal * seen[..., :2] / np.where(near, 1.0, seen[..., 2])[..., None])
    half = np.array([0.5, 0.5 * SIZE_PX[1] / SIZE_PX[0]]) * _MARGIN
    return float((near | (flat > half).any(-1)).mean())


def _truth(movement: WorldMovement, contact: np.ndarray, camera: Camera) -> WorldTruth:
    rest = movement.body.rest_joints_m(movement.betas)
    _, joints = forward_kinematics(movement.rotations, rest, movement.root_m)
    return WorldTruth(
        joints_m=joints,
        feet_m=movement.posed.points_m[:, : len(FEET)],
        contact=contact,
        low_m=lowest_m(movement),
        view=camera.view,
        place_m=camera.place_m,
        rate_hz=RATE_HZ,
        focal_px=camera.focal * SIZE_PX[0],
        size_px=np.array(SIZE_PX),
    )
