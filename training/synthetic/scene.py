"""Where a synthetic person stands, who looks from where, and what of it is the truth.

    Movement ─► a body of drawn shape on a floor ─► camera (T views) ─► boxes ─► crops ─► Targets

World axes are y up, metres, the floor at y = 0.  A picture's coordinates are its height's shares
from its middle (x right, y down); a point p in camera axes falls on focal · (p.x, p.y) / p.z.
What targets mean on crops is said in `targets.squares`.
"""

from dataclasses import dataclass

import numpy as np
import torch

from staf_backend.body import Body, load_body
from staf_backend.geometry import rotations, skeleton
from staf_backend.staf.body import LANDMARK_VERTICES, BodyPoints, tables_from_body
from training.moves import BETA_WIDTHS, Movement, smooth_series, smoothed
from training.synthetic.recipe import Views
from training.targets import (
    BodyJoints,
    Targets,
    crop_turns,
    exact_targets,
    on_crops,
    tracked_squares,
)

_WIDEST_BETA = 2.5  # deviations; chosen: nobody beyond
_SLIPS = 0.02  # share of frames whose lowest point may lie below the floor; chosen
_NEAREST_M = 0.6  # no part of the person comes nearer to the camera; chosen
_LOWEST_M = 0.15  # cameras stay above the floor; chosen
_FOLLOW_S, _HAND_S, _BOX_DRIFT_S = 0.4, 0.25, 0.6
"""How slowly a travelling camera follows, a hand sways, and a box drifts; chosen."""
_PART = (0.45, 0.9)  # least and most of the side that a crop of a part keeps; chosen


@dataclass(frozen=True)
class Person:
    """A posed body.

    Attributes:
        body: its model.
        betas: (10,).
        rotations: (T, 24, 3, 3) parent-relative, joint 0 in the world.
        bones: (T, 24, 3, 4) from the rest pose to the world.
        box_m: (T, 452, 3) well-spread vertices, for boxes.
        joints_m: (T, 49, 3) in the world.
        pelvis_m: (T, 3).
    """

    body: Body
    betas: np.ndarray
    rotations: np.ndarray
    bones: np.ndarray
    box_m: np.ndarray
    joints_m: np.ndarray
    pelvis_m: np.ndarray


@dataclass(frozen=True)
class Camera:
    """A camera that may move.

    Attributes:
        view: (T, 3, 3) world to camera axes (x right, y down, z away).
        place_m: (T, 3) in the world.
        focal: over the picture's height.
    """

    view: np.ndarray
    place_m: np.ndarray
    focal: float

    def seen(self, points_m: np.ndarray) -> np.ndarray:
        """World points (T, K, 3) in camera axes."""
        return (points_m - self.place_m[:, None]) @ self.view.swapaxes(-1, -2)

    def project(self, points_m: np.ndarray) -> np.ndarray:
        """Picture coordinates (T, K, 2) of world points (T, K, 3)."""
        seen = self.seen(points_m)
        return self.focal * seen[..., :2] / seen[..., 2:]


def stand(
    name: str, movement: Movement, rng: np.random.Generator, place_m: tuple[float, float] = (0, 0)
) -> Person:
    """A body of drawn shape in this motion; its lowest point of all frames is on the floor.

    Args:
        name: of the body.
        movement: T frames.
        rng: draws the betas.
        place_m: x and z that are added to the path.
    """
    body, betas = load_body(name), drawn_shape(rng)
    path = movement.pelvis_m + np.array([place_m[0], 0, place_m[1]])
    subset = np.concatenate([body.reduced_vertices, LANDMARK_VERTICES])
    skin = body.vertices_m(movement.local, betas, path, subset)
    rise = np.array([0, -np.quantile(skin[..., 1].min(1), _SLIPS), 0])
    return _person(body, betas, movement.local, path + rise, skin + rise)


def drawn_shape(rng: np.random.Generator) -> np.ndarray:
    """Betas (10,) of somebody."""
    drawn = rng.standard_normal(len(BETA_WIDTHS))
    return np.clip(drawn, -_WIDEST_BETA, _WIDEST_BETA) * BETA_WIDTHS


def person_of(body: Body, betas: np.ndarray, rotations: np.ndarray, pelvis_m: np.ndarray) -> Person:
    """A person posed already; arguments as in `Person`."""
    subset = np.concatenate([body.reduced_vertices, LANDMARK_VERTICES])
    skin = body.vertices_m(rotations, betas, pelvis_m, subset)
    return _person(body, betas, rotations, pelvis_m, skin)


def _person(
    body: Body, betas: np.ndarray, local: np.ndarray, pelvis_m: np.ndarray, skin_m: np.ndarray
) -> Person:
    rest = body.rest_joints_m(betas)
    turned, placed = skeleton.forward_kinematics(local, rest, pelvis_m)
    offsets = placed - (turned @ rest[..., None])[..., 0]
    bones = np.concatenate([turned, offsets[..., None]], -1)
    joints = _joints_49(body, skin_m[:, -len(LANDMARK_VERTICES) :], placed)
    return Person(body, betas, local, bones, skin_m, joints, pelvis_m)


def _joints_49(body: Body, landmarks_m: np.ndarray, joints_m: np.ndarray) -> np.ndarray:
    """The 49 joints (T, 49, 3) of landmark vertices (T, 21, 3) and joints (T, 24, 3)."""
    # BodyJoints picks the landmarks out of a full mesh; the rest of it is never read
    mesh = np.full((len(joints_m), max(LANDMARK_VERTICES) + 1, 3), np.nan, np.float32)
    mesh[:, list(LANDMARK_VERTICES)] = landmarks_m
    points = BodyPoints(torch.from_numpy(mesh), torch.from_numpy(joints_m.astype(np.float32)))
    return _regressor(body.name)(points).numpy().astype(np.float64)


_REGRESSORS: dict[str, BodyJoints] = {}


def _regressor(name: str) -> BodyJoints:
    if name not in _REGRESSORS:
        _REGRESSORS[name] = BodyJoints(tables_from_body(load_body(name)))
    return _REGRESSORS[name]


def look(person: Person, rate_hz: float, views: Views, rng: np.random.Generator) -> Camera:
    """A camera that sees the person: still, travelling, or held by a hand."""
    frames = len(person.pelvis_m)
    middle = person.pelvis_m.mean(0)
    far = np.exp(rng.uniform(*np.log(views.distance_m)))
    steep = rng.random() < views.steep
    pitch = (
        rng.uniform(-0.4, 1) * views.steep_deg if steep else rng.normal(0.2, 1) * views.pitch_deg
    )
    yaw = np.full(frames, rng.uniform(0, 2 * np.pi))
    aim = np.repeat(middle[None], frames, 0)
    if rng.random() < views.moving:
        aim += rng.uniform(0.3, 1) * (smoothed(person.pelvis_m, _FOLLOW_S * rate_hz) - middle)
        yaw += rng.normal(0, 0.12) * np.linspace(-1, 1, frames) * frames / rate_hz
        far *= np.exp(rng.normal(0, 0.06) * np.linspace(-1, 1, frames))
    tilt = np.radians(pitch)
    outward = np.stack(
        [np.cos(tilt) * np.sin(yaw), np.sin(tilt) + 0 * yaw, np.cos(tilt) * np.cos(yaw)]
    )
    place = middle + np.reshape(far, (-1, 1)) * outward.T
    place += outward.T * _too_near(person.box_m, place, outward.T)
    focal = float(np.exp(rng.uniform(*np.log(views.focal))))
    # where in the picture the person is: off the middle, but within it
    room = 0.5 * min(0.3, 0.45 / focal) * np.mean(far)
    aim = aim + rng.uniform(-1, 1, 3) * (room * 1.4, room * 0.5, room * 1.4)
    if rng.random() < views.shaken:
        sway = smooth_series(rng, frames, 6, _HAND_S * rate_hz) * rng.random() * 0.015
        place, aim = place + sway[:, :3], aim + sway[:, 3:] * np.mean(far)
    place[:, 1] = np.maximum(place[:, 1], _LOWEST_M)
    roll = np.radians(rng.normal(0, views.roll_deg))
    return Camera(looking(place, aim, roll), place, focal)


def _too_near(points_m: np.ndarray, place_m: np.ndarray, outward: np.ndarray) -> float:
    """How far to move the camera outward, so that all points (T, K, 3) are well before it."""
    depth = -np.einsum("tkc,tc->tk", points_m - place_m[:, None], outward)
    return float(max(0.0, _NEAREST_M - depth.min()))


def looking(place_m: np.ndarray, aim_m: np.ndarray, roll: float) -> np.ndarray:
    """Rotations (T, 3, 3), world to camera axes, that look from places to aims (T, 3)."""
    ahead = aim_m - place_m
    ahead = ahead / np.linalg.norm(ahead, axis=-1, keepdims=True)
    right = np.cross(ahead, (0.0, 1.0, 0.0))
    right = right / np.linalg.norm(right, axis=-1, keepdims=True)
    view = np.stack([right, np.cross(ahead, right), ahead], 1)
    return rotations.from_axis_angle(np.array([0, 0, roll])) @ view


def crop_squares(
    person: Person, camera: Camera, rate_hz: float, views: Views, rng: np.random.Generator
) -> np.ndarray:
    """Crops (T, 3): centre x, y and side, in picture coordinates.

    A tracker's box: the visible extent, smoothed a little, off by a slow drift and a slight
    jitter; enlarged to the crop.  Some hold a part of the person only.
    """
    flat = camera.project(person.box_m)
    low, high = flat.min(1), flat.max(1)
    boxes = np.column_stack([(low + high) / 2, np.log((high - low).max(-1))])
    boxes = smoothed(boxes, rng.uniform(0.5, 0.12 * rate_hz))
    drift = smooth_series(rng, len(boxes), 3, _BOX_DRIFT_S * rate_hz)
    jitter = rng.standard_normal((len(boxes), 3)) * 0.01 * rng.exponential(1.0)
    error = (drift + jitter) * views.box_jitter * (1, 1, 0.5)
    side = np.exp(boxes[:, 2:] + error[:, 2:])
    part, off = np.ones(1), np.zeros(2)
    if rng.random() < views.truncated:
        part, off = rng.uniform(*_PART, 1), rng.uniform(-1, 1, 2)
    return tracked_squares(boxes[:, :2], side, error[:, :2], part, off)


def truth(person: Person, camera: Camera, squares: np.ndarray, betas_known: bool) -> Targets:
    """Exact targets of all frames, on crops (T, 3)."""
    return exact_targets(
        person.joints_m,
        on_crops(camera.project(person.joints_m), squares),
        person.rotations,
        np.tile(person.betas, (len(squares), 1)),
        crop_turns(squares, camera.focal) @ camera.view,
        betas_known=betas_known,
    )
