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
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from staf_backend.geometry import counterparts

if TYPE_CHECKING:
    from staf_backend.body.body import Body


class _Part(NamedTuple):
    """A marker of both sides (left, right), or of the middle (one number)."""

    name: str
    landmarks: tuple[int, ...]
    """Which of BlazePose's 33 (MediaPipe's `PoseLandmark`)."""
    joint: str | None
    smpl: tuple[int, ...] = ()
    """Vertices of SMPL, SMPL-H and the open body: those of smplx's `vertex_ids.py`."""
    smplx: tuple[int, ...] = ()
    """The same points on SMPL-X's mesh, from there too."""
    share: float = 0.0
    """How far from the joint to the vertex.  Between the ends, chosen: the knuckle's place."""


_PARTS = (
    _Part("nose", (0,), None, (332,), (9120,), 1.0),
    _Part("eye", (2, 5), None, (2800, 6260), (9448, 9929), 1.0),
    _Part("ear", (7, 8), None, (583, 4071), (6, 616), 1.0),
    _Part("shoulder", (11, 12), "shoulder"),
    _Part("elbow", (13, 14), "elbow"),
    _Part("wrist", (15, 16), "wrist"),
    _Part("pinky", (17, 18), "wrist", (2673, 6133), (5286, 8022), 0.6),
    _Part("index", (19, 20), "wrist", (2319, 5782), (4933, 7669), 0.55),
    _Part("thumb", (21, 22), "wrist", (2746, 6191), (5361, 8079), 0.7),
    _Part("hip", (23, 24), "hip"),
    _Part("knee", (25, 26), "knee"),
    _Part("ankle", (27, 28), "ankle"),
    _Part("heel", (29, 30), None, (3387, 6787), (8846, 8635), 1.0),
    _Part("foot_index", (31, 32), None, (3216, 6617), (5770, 8463), 1.0),
)


class _Marker(NamedTuple):
    """One marker: see `_Part`."""

    name: str
    landmark: int
    joint: str | None
    smpl: int | None
    smplx: int | None
    share: float


def _markers(part: _Part) -> list[_Marker]:
    """The markers of a part: left and right, or the one in the middle."""
    sides = ("left_", "right_") if len(part.landmarks) == 2 else ("",)
    return [
        _Marker(
            side + part.name,
            part.landmarks[k],
            None if part.joint is None else side + part.joint,
            part.smpl[k] if part.smpl else None,
            part.smplx[k] if part.smplx else None,
            part.share,
        )
        for k, side in enumerate(sides)
    ]


_MARKERS = [marker for part in _PARTS for marker in _markers(part)]
LANDMARKS = np.array([marker.landmark for marker in _MARKERS])
"""(27,) which of BlazePose's 33 landmarks each marker is."""
NAMES = tuple(marker.name for marker in _MARKERS)
"""The markers' names: BlazePose's."""
COUNT = len(NAMES)

MIRROR = counterparts(NAMES)
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
            global_rotations: (..., J, 3, 3).
            joints_m: (..., J, 3) joint positions, metres, in the frame of the answer.
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
    for k, marker in enumerate(_MARKERS):
        point = np.zeros(3)
        per_beta = np.zeros(body.joint_shape_directions.shape[1:])
        weights, share = np.zeros(len(body.skeleton)), marker.share
        if marker.joint is not None:
            joint = body.skeleton.index(marker.joint)
            point += (1 - share) * body.joint_template_m[joint]
            per_beta += (1 - share) * body.joint_shape_directions[joint]
            weights[joint] += 1 - share
        vertex = marker.smplx if body.kind == "smplx" else marker.smpl
        if vertex is not None:
            point += share * body.template_m[vertex]
            per_beta += share * body.shape_directions[vertex]
            np.add.at(weights, body.skin_joints[vertex], share * body.skin_weights[vertex])
        for i in np.flatnonzero(weights).tolist():
            offset = point - body.joint_template_m[i]
            rows.append((k, i, weights[i], offset, per_beta - body.joint_shape_directions[i]))
    return Markers(*(np.array(column) for column in zip(*rows, strict=True)))
