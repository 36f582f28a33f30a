"""The landmarks that a body shares with the landmark network: 27 points, posed with the body.

BlazePose reports 33 landmarks; the six that lie within a few centimetres of another one (corners of
the eyes and of the mouth) say nothing more about a body and are left out.  Each of the others is
tied to SMPL joints or to the vertices that SMPL's users agree on (the nose is vertex 332, and so
on; SMPL-H and the open body keep those slots, SMPL-X has its own), so one table serves every body:

    shoulder, elbow, wrist, hip, knee, ankle   the joint itself
    nose, eyes, ears, heel, big toe            a vertex of the skin
    knuckles of index, little finger, thumb    a point between the wrist and the finger's tip

A marker moves by linear blend skinning.  With global rotations G_i and joint positions P_i,

    X = sum_i w_i (G_i d_i + P_i),     d_i = marker minus joint i, both in the rest pose,

where d_i is linear in the betas.  numpy only.
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from staf_backend.body.body import Body

# name: BlazePose index, left body joint or vertex (the right one follows by symmetry)
_JOINTS = {
    "shoulder": (11, 16),
    "elbow": (13, 18),
    "wrist": (15, 20),
    "hip": (23, 1),
    "knee": (25, 4),
    "ankle": (27, 7),
}
_VERTICES = {"eye": (2, 2800), "ear": (7, 583), "heel": (29, 3387), "foot_index": (31, 3216)}
_KNUCKLES = {"pinky": (17, 2673, 0.6), "index": (19, 2319, 0.55), "thumb": (21, 2746, 0.7)}
_RIGHT_VERTEX = {2800: 6260, 583: 4071, 3387: 6787, 3216: 6617, 2673: 6133, 2319: 5782, 2746: 6191}
_RIGHT_LANDMARK = {2: 5}  # elsewhere the right landmark follows the left one
_NOSE_VERTEX = 332
# the same points on SMPL-X's mesh
_SMPLX_VERTEX = {332: 9120, 2800: 9448, 6260: 9929, 583: 6, 4071: 616, 3387: 8846, 6787: 8635}
_SMPLX_VERTEX |= {3216: 5770, 6617: 8463, 2673: 5286, 6133: 8022, 2319: 4933, 5782: 7669}
_SMPLX_VERTEX |= {2746: 5361, 6191: 8079}


def _table() -> dict[int, tuple[str, int | None, int | None, float]]:
    """BlazePose index -> name, joint, vertex, share of the vertex (the rest is the joint's)."""
    rows: dict[int, tuple[str, int | None, int | None, float]] = {}
    rows[0] = ("nose", None, _NOSE_VERTEX, 1.0)
    for side in (0, 1):
        prefix = ("left_", "right_")[side]
        for name, (landmark, joint) in _JOINTS.items():
            rows[landmark + side] = (prefix + name, joint + side, None, 0.0)
        for name, (landmark, vertex) in _VERTICES.items():
            index = _RIGHT_LANDMARK.get(landmark, landmark + 1) if side else landmark
            rows[index] = (prefix + name, None, _RIGHT_VERTEX[vertex] if side else vertex, 1.0)
        for name, (landmark, vertex, share) in _KNUCKLES.items():
            tip = _RIGHT_VERTEX[vertex] if side else vertex
            rows[landmark + side] = (prefix + name, 20 + side, tip, share)
    return dict(sorted(rows.items()))


_TABLE = _table()
LANDMARKS = np.array(list(_TABLE))
"""(27,) which of BlazePose's 33 landmarks each marker is."""
NAMES = tuple(row[0] for row in _TABLE.values())
"""The markers' names: BlazePose's."""
COUNT = len(NAMES)


def _swapped(name: str) -> str:
    for one, other in (("left_", "right_"), ("right_", "left_")):
        if name.startswith(one):
            return other + name.removeprefix(one)
    return name


MIRROR = np.array([NAMES.index(_swapped(name)) for name in NAMES])
"""(27,) the marker on the other side of the body."""


def indices(*names: str) -> np.ndarray:
    """Where the named markers stand; "left_hip" names one, "hip" both, left first."""
    found: list[int] = []
    for name in names:
        both = [name] if name in NAMES else [f"left_{name}", f"right_{name}"]
        found += [NAMES.index(one) for one in both]
    return np.array(found)


@dataclass(frozen=True)
class Markers:
    """The markers of one body as flat lists of influences (N influences of K = 27 markers).

    Attributes:
        marker: (N,) which marker an influence belongs to.
        joint: (N,) which joint moves it.
        weight: (N,) its share; the shares of a marker sum to 1.
        offset_m: (N, 3) marker minus joint in the rest pose of the mean shape, metres.
        offset_per_beta: (N, 3, B) how the betas move that offset.
    """

    marker: np.ndarray
    joint: np.ndarray
    weight: np.ndarray
    offset_m: np.ndarray
    offset_per_beta: np.ndarray

    def offsets_m(self, betas: np.ndarray) -> np.ndarray:
        """Rest offsets (N, 3) for betas (B,)."""
        return self.offset_m + self.offset_per_beta @ betas

    def influences_m(
        self, global_rotations: np.ndarray, joints_m: np.ndarray, betas: np.ndarray
    ) -> np.ndarray:
        """Where each influence alone would put its marker: (..., N, 3).

        Args:
            global_rotations: (..., 24, 3, 3).
            joints_m: (..., 24, 3) joint positions, metres, in the frame of the answer.
            betas: (B,).
        """
        turned = global_rotations[..., self.joint, :, :] @ self.offsets_m(betas)[..., None]
        return turned[..., 0] + joints_m[..., self.joint, :]

    def blend(self, influences_m: np.ndarray) -> np.ndarray:
        """Markers (..., K, 3) of influences (..., N, 3): their weighted sums."""
        return self.blending() @ influences_m

    def blending(self) -> np.ndarray:
        """Dense weights (K, N): row k sums marker k's influences."""
        dense = np.zeros((COUNT, len(self.marker)))
        dense[self.marker, np.arange(len(self.marker))] = self.weight
        return dense


def markers_of(body: "Body") -> Markers:
    """The markers of the open body, or of a user's SMPL, SMPL-H or SMPL-X."""
    rows: list[tuple[int, int, float, np.ndarray, np.ndarray]] = []
    for k, (_, joint, vertex, share) in enumerate(_TABLE.values()):
        point = np.zeros(3)
        per_beta = np.zeros(body.joint_shape_directions.shape[1:])
        weights = np.zeros(len(body.joint_template_m))
        if joint is not None:
            point += (1 - share) * body.joint_template_m[joint]
            per_beta += (1 - share) * body.joint_shape_directions[joint]
            weights[joint] += 1 - share
        if vertex is not None:
            vertex = _SMPLX_VERTEX[vertex] if body.kind == "smplx" else vertex
            point += share * body.template_m[vertex]
            per_beta += share * body.shape_directions[vertex]
            np.add.at(weights, body.skin_joints[vertex], share * body.skin_weights[vertex])
        for i in np.flatnonzero(weights).tolist():
            offset = point - body.joint_template_m[i]
            rows.append((k, i, weights[i], offset, per_beta - body.joint_shape_directions[i]))
    marker, joint, weight, offset, per_beta = (np.array(column) for column in zip(*rows))
    return Markers(marker, joint, weight, offset, per_beta)
