"""Human3.6M's JSON edition, with NeuralAnnot's SMPL labels (Moon et al. 2022).

annotations/Human36M_subject1_data.json       images and people, as COCO
annotations/Human36M_subject1_camera.json     {camera: {"R", "t" (mm), "f", "c"}}
annotations/Human36M_subject1_joint_3d.json   {action: {subaction: {frame: 17 x 3 (mm, world)}}}
annotations/Human36M_subject1_SMPL_NeuralAnnot.json   the same with pose, shape; also --labels
images/s_01_act_02_subact_01_ca_01/s_01_act_02_subact_01_ca_01_000001.jpg
"""

from collections.abc import Iterator
from pathlib import Path

from training.datasets.formats import world_json
from training.datasets.formats.world_json import Edition, Paths, WorldSet
from training.datasets.pictures import Pictures
from training.datasets.rows import Request, one_of
from training.datasets.store import Annotations

POINTS: tuple[str, ...] = (
    *("pelvis", "right_hip", "right_knee", "right_ankle", "left_hip", "left_knee", "left_ankle"),
    *("spine", "neck", "face", "top", "left_shoulder", "left_elbow", "left_wrist"),
    *("right_shoulder", "right_elbow", "right_wrist"),
)
_FRONT_CAMERA = 4  # number of 60457274 in this edition
_EDITION = Edition(
    name="h36m",
    points=POINTS,
    filed=("action_idx", "subaction_idx"),
    camera=("cam_idx",),
    lens=("R", "t", "f", "c"),
    fps=50.0,
    kept_fps=25.0,
    image=lambda image: f"images/{image['file_name']}",
    leaves=False,
)


def parts(request: Request, subjects: tuple[int, ...]) -> Iterator[Annotations]:
    """A part for each video of the subjects; scores are of the front camera.

    Raises:
        SetError: missing, damaged, or of another layout.
    """
    one_of(request.root, "images")
    pictures, every = Pictures(request), request.split == "train"
    for subject in subjects:
        found = WorldSet(_EDITION, _paths(request, subject))
        yield from world_json.parts(
            request, found, lambda image: every or image["cam_idx"] == _FRONT_CAMERA, pictures
        )


def _paths(request: Request, subject: int) -> Paths:
    folder = request.root / "annotations"
    path = folder / f"Human36M_subject{subject}"
    labels = (request.labels or folder) / f"{path.name}_SMPL_NeuralAnnot.json"
    return Paths(
        images=Path(f"{path}_data.json"),
        cameras=Path(f"{path}_camera.json"),
        joints=Path(f"{path}_joint_3d.json"),
        labels=labels if request.labels is not None or labels.is_file() else None,
    )
