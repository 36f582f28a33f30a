"""Body: an SMPL-style model, from a shape and a pose to joints and vertices.

The open bodies come with the software; users' own SMPL, SMPL-H and SMPL-X files plug in.
`betas` belong to one body and mean nothing to another: carry the body's name beside them.

Rest pose: T-pose, y up, facing +z, left hand towards +x, metres.  V vertices, J joints (24,
or 52 with fingers), B = 10 shape numbers.  numpy only.
"""

import functools
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from staf_backend.body.files import BodyArrays, BodyError, read_body_file
from staf_backend.body.open_fingers import with_open_fingers
from staf_backend.body.open_knees import with_knees_in_place
from staf_backend.body.params import SHAPE_COUNT
from staf_backend.body.user_bodies import KnownBody, remember, remembered
from staf_backend.files import real_path
from staf_backend.geometry import SMPL, Skeleton, forward_kinematics

__all__ = ["OPEN_BODIES", "Body", "BodyError", "add_body", "known_bodies", "load_body"]

OPEN_BODIES = {
    f"open-{gender}": f"OPENBODY_{gender.upper()}_lbs.npz"
    for gender in ("neutral", "male", "female")
}
GENDERS = ("neutral", "male", "female")
"""Of a body model: SMPL's three."""
REDUCED_COUNT = 431
"""Vertices for mesh-aligned sampling: the count of STAF's downsampled SMPL mesh (section III-C)."""
_CHUNK_NUMBERS = 8_000_000
"""Floats of the largest array that skinning makes at once.  Chosen: 64 MB in double precision."""


@dataclass(frozen=True, eq=False)
class Body:
    """An SMPL-style body.  Arrays are read-only.

    Raises:
        BodyError: shapes that do not belong together.
    """

    name: str
    """"open-neutral", or kind, gender and checksum of a user's file: "smpl-male-1a2b3c4d"."""
    kind: str
    """"open", "smpl", "smplh" or "smplx"."""
    gender: str
    template_m: np.ndarray
    """(V, 3) float64 vertices of the mean shape in the rest pose."""
    faces: np.ndarray
    """(F, 3) int32, counter-clockwise from outside."""
    joint_template_m: np.ndarray
    """(J, 3) float64 regressed joints of the mean shape."""
    joint_shape_directions: np.ndarray
    """(J, 3, B) float64 metres that a joint moves for one unit of each shape number."""
    shape_directions: np.ndarray
    """(V, 3, B) float32, the same for vertices."""
    pose_directions: np.ndarray | None
    """(V, 3, 9 (J - 1)) float32 SMPL's pose blend shapes, or None."""
    skin_joints: np.ndarray
    """(V, 4) int32 joints that move a vertex; 0 where unused."""
    skin_weights: np.ndarray
    """(V, 4) float64, largest first, rows sum to 1; 0 where unused.  Where a file has more than
    four to a vertex, the strongest four are kept and share the rest: glTF carries no more."""
    reduced_vertices: np.ndarray
    """(431,) int64 well-spread vertices for mesh-aligned sampling."""
    uvs: np.ndarray | None = None
    """(U, 2) float32 texture coordinates, origin at the lower left."""
    uv_faces: np.ndarray | None = None
    """(F, 3) int32 into `uvs`, corner by corner beside `faces`."""
    skeleton: Skeleton = SMPL
    """J joints."""

    def __post_init__(self) -> None:
        vertices, joints = len(self.template_m), len(self.skeleton)
        shapes = {
            "template_m": (vertices, 3),
            "faces": (len(self.faces), 3),
            "joint_template_m": (joints, 3),
            "joint_shape_directions": (joints, 3, SHAPE_COUNT),
            "shape_directions": (vertices, 3, SHAPE_COUNT),
            "skin_joints": (vertices, 4),
            "skin_weights": (vertices, 4),
            "reduced_vertices": (REDUCED_COUNT,),
        }
        if self.pose_directions is not None:
            shapes["pose_directions"] = (vertices, 3, 9 * (joints - 1))
        for name, shape in shapes.items():
            array = getattr(self, name)
            if array.shape != shape:
                raise BodyError(f"body {self.name}: {name} must be {shape}, got {array.shape}.")
            array.setflags(write=False)
        if not (0 <= self.reduced_vertices.min() <= self.reduced_vertices.max() < vertices):
            raise BodyError(f"body {self.name}: reduced_vertices are not all there.")

    @functools.cached_property
    def dense_weights(self) -> np.ndarray:
        """(V, J) float64 skin weights."""
        weights = np.zeros((len(self.template_m), len(self.skeleton)))
        np.add.at(weights, (np.arange(len(weights))[:, None], self.skin_joints), self.skin_weights)
        weights.setflags(write=False)
        return weights

    def rest_vertices_m(self, betas: np.ndarray, subset: np.ndarray | None = None) -> np.ndarray:
        """Vertices (..., V or S, 3) of shapes `betas` (..., B) in the rest pose, metres.

        Args:
            betas: shape numbers of this body.
            subset: (S,) vertex numbers, or None for all.
        """
        picked = slice(None) if subset is None else subset
        return _shaped(betas, self.template_m[picked], self.shape_directions[picked])

    def rest_joints_m(self, betas: np.ndarray) -> np.ndarray:
        """Joints (..., J, 3) of shapes `betas` (..., B) in the rest pose, metres, by regression."""
        return _shaped(betas, self.joint_template_m, self.joint_shape_directions)

    def vertices_m(
        self,
        rotations: np.ndarray,
        betas: np.ndarray,
        root_m: np.ndarray,
        subset: np.ndarray | None = None,
    ) -> np.ndarray:
        """Posed vertices by linear blend skinning (and SMPL's pose blend shapes, if it has them).

        Loper et al., "SMPL: A Skinned Multi-Person Linear Model", 2015, equations 2 to 9.

        Args:
            rotations: (T, J, 3, 3) or (J, 3, 3) parent-relative, joint 0 in world axes.
            betas: (B,) one shape for all frames.
            root_m: (T, 3) or (3,) world position of the pelvis joint.
            subset: (S,) vertex numbers, or None for all.

        Returns:
            (T, V or S, 3) or (V or S, 3) metres, of the float type of `rotations`.

        Raises:
            ValueError: shapes that do not belong together.
        """
        if len(rotations.shape) == 3:
            return self.vertices_m(rotations[None], betas, root_m[None], subset)[0]
        rest = self.rest_vertices_m(betas, subset).astype(rotations.dtype)
        joints = self.rest_joints_m(betas).astype(rotations.dtype)
        posed = np.empty((len(rotations), *rest.shape), rotations.dtype)
        for frames, vertices in self._skin(rotations, root_m, rest, joints, subset):
            posed[frames] = vertices
        return posed

    def _skin(
        self,
        rotations: np.ndarray,
        root_m: np.ndarray,
        rest: np.ndarray,
        joints: np.ndarray,
        subset: np.ndarray | None,
    ) -> Iterator[tuple[slice, np.ndarray]]:
        """Posed vertices, some frames at a time, so that thousands of frames fit in memory."""
        turned, placed = forward_kinematics(rotations, joints, root_m, self.skeleton)
        offsets = placed - (turned @ joints[..., None])[..., 0]
        moves = np.concatenate([turned, offsets[..., None]], -1)
        picked = slice(None) if subset is None else subset
        weights = self.dense_weights[picked].astype(rotations.dtype)
        step = max(1, _CHUNK_NUMBERS // (rest.shape[0] * 9))
        for start in range(0, len(rotations), step):
            frames = slice(start, start + step)
            vertices = _blend(moves[frames], weights, rest)
            if self.pose_directions is not None:
                bend = _pose_offsets(rotations[frames], self.pose_directions[picked])
                turns = weights @ moves[frames][..., :3].reshape(-1, moves.shape[1], 9)
                bend = turns.reshape(*bend.shape, 3) @ bend[..., None]
                vertices = vertices + bend[..., 0]
            yield frames, vertices


def load_body(name: str | os.PathLike[str], *, fingers: bool = False) -> Body:
    """A body by name ("open-neutral", or one of `known_bodies`), or from a model file.

    Args:
        name: of the body, or its file.
        fingers: with SMPL-H's 52 joints instead of SMPL's 24; the mesh and the betas are the same.

    Raises:
        BodyError: no such body; the file is not a body model; a remembered file moved or changed;
            fingers of a body that has none.
        AssetError: the open body's file is damaged.
    """
    text = os.fspath(name)
    if text in OPEN_BODIES:
        return _open_body(text, fingers)
    known = remembered().get(text)
    if known is not None:
        return _remembered_body(known, fingers)
    path = Path(text).expanduser()
    if not text or not (path.exists() or path.suffix or path.name != text):
        names = ", ".join([*OPEN_BODIES, *remembered()])
        advice = f"Known bodies: {names}. Add a file with: staf body add FILE"
        raise BodyError(f"there is no body named {text!r}.", advice)
    return _from_arrays(read_body_file(path, fingers=fingers))


def add_body(path: str | os.PathLike[str], gender: str | None = None) -> Body:
    """Check a user's model file and remember where it is; its contents are not copied.

    Args:
        path: the file.
        gender: "neutral", "male" or "female" where the file's name does not tell.

    Raises:
        BodyError: not a body model, or no such gender.
        OutputError: the list of bodies cannot be written.
    """
    if gender is not None and gender not in GENDERS:
        raise BodyError(f"gender must be one of {', '.join(GENDERS)}, got {gender!r}.")
    full = real_path(Path(path).expanduser())
    arrays = read_body_file(full)
    body = _from_arrays(arrays, gender)
    remember(KnownBody(body.name, str(full), arrays.sha256, body.kind, body.gender))
    return body


def known_bodies() -> tuple[str, ...]:
    """Names of all bodies at hand: the open ones, then the user's."""
    return (*OPEN_BODIES, *remembered())


def body_path(name: str) -> str | None:
    """Where a user's body lies; None for the open ones, which are part of the package."""
    known = remembered().get(name)
    return None if known is None else known.path


@functools.cache
def _open_body(name: str, fingers: bool) -> Body:
    from staf_backend.assets import asset_path

    arrays, gender = read_body_file(asset_path(OPEN_BODIES[name])), name.removeprefix("open-")
    arrays = with_knees_in_place(arrays)
    if fingers:
        arrays = with_open_fingers(arrays, gender, asset_path("open_fingers.npz"))
    return _from_arrays(arrays, gender, name)


def _remembered_body(known: KnownBody, fingers: bool) -> Body:
    path = Path(known.path)
    advice = "Add it again with: staf body add FILE"
    if not path.exists():
        raise BodyError(f"body {known.name} was at {path}, which is gone.", advice)
    arrays = read_body_file(path, fingers=fingers)
    if arrays.sha256 != known.sha256:
        raise BodyError(f"body {known.name}: {path} has changed since it was added.", advice)
    return _from_arrays(arrays, known.gender)


def _from_arrays(arrays: BodyArrays, gender: str | None = None, name: str | None = None) -> Body:
    gender = gender or arrays.gender
    directions = arrays.shape_directions.astype(np.float64).reshape(len(arrays.template_m), -1)
    joint_directions = (arrays.regressor @ directions).reshape(-1, 3, SHAPE_COUNT)
    skin_joints, skin_weights = _four_strongest(arrays.weights)
    reduced = arrays.reduced_vertices
    return Body(
        name=name or f"{arrays.kind}-{gender}-{arrays.sha256[:8]}",
        kind=arrays.kind,
        gender=gender,
        template_m=arrays.template_m,
        faces=arrays.faces,
        joint_template_m=arrays.regressor @ arrays.template_m,
        joint_shape_directions=joint_directions,
        shape_directions=arrays.shape_directions,
        pose_directions=arrays.pose_directions,
        skin_joints=skin_joints,
        skin_weights=skin_weights,
        reduced_vertices=_well_spread(arrays.template_m) if reduced is None else reduced,
        uvs=arrays.uvs,
        uv_faces=arrays.uv_faces,
        skeleton=arrays.skeleton,
    )


def _four_strongest(weights: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Joints (V, 4) and weights (V, 4) of dense weights (V, J); glTF carries four a vertex."""
    order = np.argsort(-weights, axis=1, kind="stable")[:, :4]
    strongest = np.take_along_axis(weights, order, 1)
    strongest = strongest / strongest.sum(1, keepdims=True)
    return np.where(strongest > 0, order, 0).astype(np.int32), strongest


def _well_spread(points: np.ndarray) -> np.ndarray:
    """Numbers (431,) of points, each the farthest from those before: first the highest."""
    chosen = [int(points[:, 1].argmax())]
    distance = np.full(len(points), np.inf)
    for _ in range(REDUCED_COUNT - 1):
        distance = np.minimum(distance, ((points - points[chosen[-1]]) ** 2).sum(1))
        chosen.append(int(distance.argmax()))
    return np.array(chosen, np.int64)


def _shaped(betas: np.ndarray, template: np.ndarray, directions: np.ndarray) -> np.ndarray:
    betas = np.asarray(betas, np.float64)
    if betas.shape[-1:] != (SHAPE_COUNT,):
        raise ValueError(f"betas must be (..., {SHAPE_COUNT}), got {betas.shape}")
    flat = np.asarray(directions, np.float64).reshape(-1, SHAPE_COUNT)
    offsets = betas @ flat.swapaxes(0, 1)
    return np.asarray(template, np.float64) + offsets.reshape(*betas.shape[:-1], -1, 3)


def _blend(moves: np.ndarray, weights: np.ndarray, rest: np.ndarray) -> np.ndarray:
    """Sum over j of w_vj A_j [rest_v; 1], as one matrix product over (j, homogeneous axis).

    moves (T, J, 3, 4), weights (V, J), rest (V, 3): (T, V, 3).
    """
    count = len(weights)
    homogeneous = np.concatenate([rest, np.ones_like(rest[:, :1])], -1)
    basis = (weights[:, :, None] * homogeneous[:, None, :]).reshape(count, -1)
    flat = moves.swapaxes(-3, -2).reshape(-1, basis.shape[1])
    return (flat @ basis.swapaxes(0, 1)).reshape(-1, 3, count).swapaxes(-1, -2)


def _pose_offsets(rotations: np.ndarray, directions: np.ndarray) -> np.ndarray:
    """SMPL's pose blend shapes: (T, J, 3, 3) and (V, 3, 9 (J - 1)) give (T, V, 3) metres."""
    flat = np.asarray(directions, rotations.dtype).reshape(-1, directions.shape[-1])
    features = (rotations[:, 1:] - np.eye(3, dtype=rotations.dtype)).reshape(len(rotations), -1)
    return (features @ flat.swapaxes(0, 1)).reshape(len(rotations), -1, 3)
