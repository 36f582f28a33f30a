"""MPI-INF-3DHP's JSON edition, with NeuralAnnot's SMPL labels (Moon et al. 2022).

MPI-INF-3DHP_1k.json                images and people, as COCO
MPI-INF-3DHP_camera_1k.json         {subject: {sequence: {camera: {"R", "t", "focal", "princpt"}}}}
MPI-INF-3DHP_joint_3d.json          {subject: {sequence: {frame: 17 x 3 (mm, world)}}}
MPI-INF-3DHP_SMPL_NeuralAnnot.json  the same with pose, shape; also --labels
images_1k/S1/Seq1/imageSequence/    by the names in the first file
"""

from collections.abc import Iterator

from training.datasets.formats import world_json
from training.datasets.formats.world_json import Edition, Entry, Paths, WorldSet
from training.datasets.pictures import Pictures
from training.datasets.rows import Request, one_of
from training.datasets.store import Annotations

POINTS: tuple[str, ...] = (
    *("top", "neck", "right_shoulder", "right_elbow", "right_wrist", "left_shoulder"),
    *("left_elbow", "left_wrist", "right_hip", "right_knee", "right_ankle", "left_hip"),
    *("left_knee", "left_ankle", "pelvis", "spine", "face"),
)
FILE = "MPI-INF-3DHP_1k.json"
_STEM = "MPI-INF-3DHP"


def _image(entry: Entry) -> str:
    folder = f"images_1k/S{entry['subject_idx']}/Seq{entry['seq_idx']}/imageSequence"
    return f"{folder}/{entry['file_name']}"


_FILED = ("subject_idx", "seq_idx")
_EDITION = Edition(
    name="mpi-inf-3dhp",
    points=POINTS,
    filed=_FILED,
    camera=(*_FILED, "cam_idx"),
    lens=("R", "t", "focal", "princpt"),
    fps=25.0,
    kept_fps=25.0,
    image=_image,
    leaves=True,
)


def parts(request: Request, cameras: tuple[int, ...]) -> Iterator[Annotations]:
    """A part for each video of the cameras.

    Raises:
        SetError: missing, damaged, or of another layout.
    """
    root = request.root
    one_of(root, "images_1k")
    labels = request.labels or root / f"{_STEM}_SMPL_NeuralAnnot.json"
    paths = Paths(
        images=root / FILE,
        cameras=root / f"{_STEM}_camera_1k.json",
        joints=root / f"{_STEM}_joint_3d.json",
        labels=labels if request.labels is not None or labels.is_file() else None,
    )
    wanted = lambda image: image["cam_idx"] in cameras
    yield from world_json.parts(request, WorldSet(_EDITION, paths), wanted, Pictures(request))
