"""Outlines: posed bodies seen by a camera, not yet dressed, in crops as tracking makes them.

    body of drawn shape ─► points of its skin ─► posed ─► camera ─► crop: a point in each pixel

What a pixel shows is a point of the skin and the way the skin faces there, so that one outline can
be worn by any number of people: clothes are colours of points (`clothes`).
"""

from dataclasses import dataclass

import numpy as np

from staf_backend.geometry import SMPL
from staf_backend.people.appearance import box_about, turn
from staf_backend.people.keypoints import NAMES, indices
from training.joints import JOINTS_49
from training.moves import Clip, Movement, Variety, captured, sampled
from training.synthetic import SKIN, Camera, Person, SkinnedMesh, meshes, stand

WIDTH_PX, HEIGHT_PX = 96, 192
"""Of an outline: half as fine again as a crop, so that edges are smooth in it."""
NOTHING = 65535
"""In place of a point: the surroundings."""
BODIES = ("open-neutral", "open-male", "open-female")
_POINT_M = 0.008
"""Distance of a skin's points.  Chosen: less than a pixel of a grown person."""
_STRETCH, _RATE_HZ = 10, 1.5
"""Moments taken from one motion, and how many a second.  Chosen: poses that differ."""
_SAMPLED = 0.25
"""Share of motions that are made up.  Chosen."""
_SKIRTS, _LONG_HAIR = 0.2, 0.4
"""Chances.  Chosen."""
_LOOSE_M = 0.012
"""Mean that clothes stand off, of tops and of trousers.  Chosen."""
_LOG_FAR_M = (np.log(2.5), np.log(9.0))
_PITCH_DEG, _ROLL_DEG = (6.0, 14.0), 4.0
"""Logarithms of distances; mean and deviation of looking down; deviation of a slanted horizon.
Chosen."""
_OFF, _SHIFTED, _SCALED = 0.015, 0.05, 0.09
"""Deviations of key points over the person's height; of a box's place and size.  Chosen: boxes are
wrong by a tenth."""
_LEGS_UNSEEN, _SHANKS_UNSEEN = 0.06, 0.1
"""Chances that the picture ends above the knees, or above the ankles.  Chosen."""
_POINTS = [JOINTS_49.index(name) for name in NAMES]
"""COCO's key points among the 49."""


@dataclass(frozen=True)
class Skin:
    """Points of one figure's surface.

    Attributes:
        rest_m, normal: (P, 3) in the rest pose.
        template_m: (P, 3) the place on the neutral template, which tells clothes.
        template_z: (P,) which way the template faces there, 1 to the front.
        weights: (P, 24) float32.
        kind: (P,) of `meshes`.
    """

    rest_m: np.ndarray
    normal: np.ndarray
    template_m: np.ndarray
    template_z: np.ndarray
    weights: np.ndarray
    kind: np.ndarray


@dataclass(frozen=True)
class Outlines:
    """One figure in N poses, from N sides.

    Attributes:
        skin: what its pixels name.
        points: (N, 192, 96) uint16 of `skin`, or `NOTHING`.
        facing: (N, 192, 96, 3) int8, 127 times the normal in camera axes (x right, y down, z away).
        heading: (N,) radians, 0 where the person faces the camera.
    """

    skin: Skin
    points: np.ndarray
    facing: np.ndarray
    heading: np.ndarray


def draw_outlines(clips: list[Clip], count: int, rng: np.random.Generator) -> Outlines:
    """A new figure in `count` poses."""
    movement = _moments(clips, count, rng)
    person = stand(BODIES[rng.integers(len(BODIES))], movement, rng)
    skin = _skin(_mesh(person, rng), rng)
    camera = _cameras(person, rng)
    points = np.empty((count, HEIGHT_PX, WIDTH_PX), np.uint16)
    facing = np.empty((count, HEIGHT_PX, WIDTH_PX, 3), np.int8)
    for at in range(count):
        points[at], facing[at] = _outline(skin, person, camera, at, rng)
    ahead = np.einsum("tij,tj->ti", camera.view, movement.local[:, 0, :, 2])
    return Outlines(skin, points, facing, np.arctan2(ahead[:, 0], -ahead[:, 2]))


def _moments(clips: list[Clip], count: int, rng: np.random.Generator) -> Movement:
    """Poses of several motions one after another."""
    parts = []
    for _ in range(-(-count // _STRETCH)):
        if not clips or rng.random() < _SAMPLED:
            parts.append(sampled(_STRETCH, _RATE_HZ, Variety(), rng))
        else:
            parts.append(captured(clips, _STRETCH, _RATE_HZ, Variety(), rng))
    local = np.concatenate([part.local for part in parts])[:count]
    return Movement(local, np.concatenate([part.pelvis_m for part in parts])[:count])


def _mesh(person: Person, rng: np.random.Generator) -> SkinnedMesh:
    """The body, perhaps with a skirt and long hair."""
    body = meshes.bare(person.body, person.betas, 0.0)
    mesh = body
    if rng.random() < _SKIRTS:
        rest = person.body.rest_joints_m(person.betas)
        hem, flare = rng.uniform(-1.0, -0.5), rng.uniform(0.0, 0.12)
        mesh = mesh + meshes.skirt(body, rng.uniform(-0.22, -0.08), hem, flare, rest)
    if rng.random() < _LONG_HAIR:
        mesh = mesh + meshes.long_hair(body, rng.uniform(0.02, 0.25), rng.uniform(1.1, 2.0))
    return mesh


def _skin(mesh: SkinnedMesh, rng: np.random.Generator) -> Skin:
    """Points spread over a mesh, the larger triangles more of them; clothes stand off."""
    corners = mesh.rest_m[mesh.faces]
    across = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    area_m2 = np.linalg.norm(across, axis=-1) / 2
    count = np.maximum(1, np.round(area_m2 / _POINT_M**2)).astype(int)
    face = np.repeat(np.arange(len(mesh.faces)), count)[: NOTHING - 1]
    share = rng.dirichlet((1, 1, 1), len(face)).astype(np.float32)
    of = mesh.faces[face]

    def spread(values: np.ndarray) -> np.ndarray:
        return np.einsum("pk,pk...->p...", share, values[of])

    dense = np.zeros((len(mesh.rest_m), len(SMPL)), np.float32)
    np.add.at(dense, (np.arange(len(dense))[:, None], mesh.joints), mesh.weights)
    normal, template = spread(mesh.normal), spread(mesh.template_m)
    kind = mesh.kind[of[:, 0]]
    low, high = template[:, 1] < -0.2, np.abs(template[:, 0]) < 0.6
    top, legs = rng.exponential(_LOOSE_M, 2)
    off = np.where(low, legs, np.where(high & (template[:, 1] < 0.2), top, 0.0))
    rest = spread(mesh.rest_m) + normal * (off * (kind == SKIN))[:, None].astype(np.float32)
    return Skin(rest, normal, template, mesh.normal[of[:, 0], 2], spread(dense), kind)


def _cameras(person: Person, rng: np.random.Generator) -> Camera:
    """A camera for each moment, from any side, that looks at the pelvis."""
    count = len(person.pelvis_m)
    yaw = rng.uniform(0, 2 * np.pi, count)
    pitch = np.radians(rng.normal(*_PITCH_DEG, count)).clip(-0.5, 1.0)
    outward = np.stack(
        [np.cos(pitch) * np.sin(yaw), np.sin(pitch), np.cos(pitch) * np.cos(yaw)], -1
    )
    right = np.stack([np.cos(yaw), 0 * yaw, -np.sin(yaw)], -1)
    view = np.stack([right, np.cross(-outward, right), -outward], 1)
    roll = np.radians(rng.normal(0, _ROLL_DEG, count))
    slant = np.zeros((count, 3, 3))
    slant[:, 0, 0] = slant[:, 1, 1] = np.cos(roll)
    slant[:, 0, 1], slant[:, 1, 0], slant[:, 2, 2] = -np.sin(roll), np.sin(roll), 1
    far_m = np.exp(rng.uniform(*_LOG_FAR_M, count))[:, None]
    return Camera(slant @ view, person.pelvis_m + far_m * outward, 1000.0)


def _outline(
    skin: Skin, person: Person, camera: Camera, at: int, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """Points and ways they face (192, 96, ...) of one moment."""
    bones = np.tensordot(skin.weights, person.bones[at].astype(np.float32), 1)
    world = np.einsum("pij,pj->pi", bones[..., :3], skin.rest_m) + bones[..., 3]
    view = camera.view[at].astype(np.float32)
    seen = (world - camera.place_m[at].astype(np.float32)) @ view.T
    normal = np.einsum("pij,pj->pi", bones[..., :3], skin.normal) @ view.T
    flat = camera.focal * seen[:, :2] / seen[:, 2:]
    box = _box(person, camera, at, rng)
    inside = (flat - box[:2]) @ turn(box[4]) / box[2:4] + 0.5
    pixel = np.floor(inside * (WIDTH_PX, HEIGHT_PX) - 0.5).astype(int)
    near = (normal * seen).sum(-1) < 0
    near &= ((pixel >= 0) & (pixel < (WIDTH_PX - 1, HEIGHT_PX - 1))).all(-1)
    rows = np.flatnonzero(near)
    rows = rows[np.argsort(-seen[rows, 2])]  # the nearest is written last, and stays
    spot = pixel[rows, 1] * WIDTH_PX + pixel[rows, 0]
    spots = spot[:, None] + np.array([0, 1, WIDTH_PX, WIDTH_PX + 1])
    points = np.full(HEIGHT_PX * WIDTH_PX, NOTHING, np.uint16)
    points[spots.ravel()] = np.repeat(rows, 4)
    facing = np.zeros((len(points), 3), np.int8)
    shown = points != NOTHING
    unit = normal[points[shown]]
    unit /= np.linalg.norm(unit, axis=-1, keepdims=True) + 1e-6
    facing[shown] = np.round(127 * unit)
    return points.reshape(HEIGHT_PX, WIDTH_PX), facing.reshape(HEIGHT_PX, WIDTH_PX, 3)


def _box(person: Person, camera: Camera, at: int, rng: np.random.Generator) -> np.ndarray:
    """The box that tracking would cut, of key points and a size that are a little wrong."""
    still = Camera(camera.view[[at]], camera.place_m[[at]], camera.focal)
    points = still.project(person.joints_m[[at]])[0, _POINTS]
    size = np.ptp(points[:, 1])
    points = points + rng.normal(0, _OFF * size, points.shape) * rng.exponential(0.7)
    scores = np.ones(len(points))
    fate = rng.random()
    if fate < _LEGS_UNSEEN + _SHANKS_UNSEEN:
        scores[indices("ankle")] = 0
    if fate < _LEGS_UNSEEN:
        scores[indices("knee")] = 0
    box = box_about(np.concatenate([points, scores[:, None]], -1))
    box[:2] += turn(box[4]) @ (rng.normal(0, _SHIFTED, 2) * box[2:4])
    box[2:4] *= np.exp(rng.normal(0, _SCALED, 2))
    return box
