"""3DPW (von Marcard et al. 2018).

    sequenceFiles/train/courtyard_arguing_00.pkl   (train, validation, test), pickled by Python 2
    imageFiles/courtyard_arguing_00/image_00000.jpg

The files are read by the restricted machine that reads SMPL's own, so nothing in them is run.
SMPL's pose and shape are of the person's own gender ("smpl-gendered").

The 49 joints are those of the posed body where the user gives SMPL's files of both genders (and
SPIN's J_regressor_extra.npy, without which hips, neck and head are composed).  Without files only
the joints that the sequence lists are known: SMPL's 24, among which those hips are not.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from staf_backend.body.pickles import RefusedNameError, read_pickled_lists
from staf_backend.files import shown
from staf_backend.geometry import SMPL, rotations
from staf_backend.staf import BETAS, JOINTS
from training.datasets.formats.files import name_below, need, read_whole, reading, shaped
from training.datasets.pictures import Pictures
from training.datasets.rows import (
    Head,
    Request,
    about_the_hips,
    among_49,
    annotations,
    boxes_of,
    good_rows,
    keep,
    one_of,
    runs,
    with_confidence,
)
from training.datasets.store import GENDERS, Annotations, SetError
from training.joints import JOINTS_49

if TYPE_CHECKING:
    from training.datasets.formats.smpl_bodies import GenderedBodies

FOLDERS = {"train": "train", "val": "validation", "test": "test"}
FPS = 30.0
"""Of the labels' frames (3DPW's own documentation)."""
POINTS: tuple[str, ...] = (
    *("op_mid_hip", "op_left_hip", "op_right_hip", "", "left_knee", "right_knee", "", "left_ankle"),
    *("right_ankle", "", "", "", "op_neck", "", "", "", "left_shoulder", "right_shoulder"),
    *("left_elbow", "right_elbow", "left_wrist", "right_wrist", "", ""),
)
"""SMPL's 24 that are among the 49; limbs stand there twice, also under OpenPose's names."""
FEWEST = 6
"""Known points of a person; chosen."""
_AHEAD_M = 0.1  # joints nearer to the camera's plane, or behind it, are not seen
_GENDERS = {"m": GENDERS.index("male"), "f": GENDERS.index("female")}
_MOST_PEOPLE = 16
"""Of a sequence.  Chosen: 3DPW's have one or two."""
_LISTS = ("poses", "betas", "jointPositions", "campose_valid", "genders")
_NEEDED = ("sequence", "img_frame_ids", "cam_poses", "cam_intrinsics", *_LISTS)


def parts(request: Request) -> Iterator[Annotations]:
    """A part for each person of each sequence.

    Raises:
        SetError: missing, damaged, of another layout, or a file asks for code to be run.
    """
    folder = one_of(request.root, f"sequenceFiles/{FOLDERS[request.split]}")
    one_of(request.root, "imageFiles")
    paths = sorted(folder.glob("*.pkl"))
    if not paths:
        raise SetError(f"{folder} holds no .pkl files.", "Finish the download.")
    bodies = _bodies(request)
    pictures = Pictures(request)
    for path in paths:
        with reading(path):
            content = _read(path)
            for person in range(len(content["poses"])):
                yield from _person(request, path, content, person, bodies, pictures)


def _bodies(request: Request) -> "GenderedBodies | None":
    """The user's bodies, which need torch; nothing else here does."""
    if request.bodies is None:
        return None
    from training.datasets.formats.smpl_bodies import GenderedBodies

    return GenderedBodies(request.bodies)


def _read(path: Path) -> dict[str, Any]:
    try:
        content = read_pickled_lists(read_whole(path))
    except RefusedNameError as error:
        raise SetError(
            f"{path} asks to run code ({error.name}); it was not run.",
            "Do not use this file unless you know where it comes from.",
        ) from error
    except ValueError as error:
        message = f"{path} is damaged or cut short: {shown(str(error))}."
        raise SetError(message, "Fetch it again.") from error
    need(content, _NEEDED, path)
    name_below(content["sequence"], path)
    people = {name: len(content[name]) for name in _LISTS}
    if len(set(people.values())) != 1:
        raise SetError(
            f"{path} disagrees on how many people there are: {people}.", "Fetch it again."
        )
    if people["poses"] > _MOST_PEOPLE:  # a list may name one array again and again
        raise SetError(f"{path} has {people['poses']} people.", "3DPW's have at most two.")
    return content


def _person(
    request: Request,
    path: Path,
    content: dict[str, Any],
    person: int,
    bodies: "GenderedBodies | None",
    pictures: Pictures,
) -> Iterator[Annotations]:
    rows = _rows(path, content, person, bodies)
    scored = rows.pop("posed")
    rows["image"] = np.array(
        [f"imageFiles/{content['sequence']}/image_{f:05d}.jpg" for f in rows["frame"]], object
    )
    if request.split == "train":
        request.skip("the camera's pose is not known", (~scored).sum())
        rows = keep(rows, scored)
        rows = keep(rows, good_rows(request, rows, request.enough(FEWEST)))
    else:  # windows see the video whole; `valid` says what is scored
        rows["valid"] = scored & (rows["keypoints_px"][..., 2] > 0).any(1)
        rows = keep(rows, rows["boxes_px"][:, 2] > 0)
    rows = keep(rows, pictures.usable(list(rows["image"])))
    if len(rows["image"]):
        images = list(rows["image"])
        rows |= {"image": np.arange(len(images)), "sequence": runs(rows["frame"])}
        yield annotations(Head("3dpw", request.split, "smpl-gendered", FPS), images, rows)


def _rows(
    path: Path, content: dict[str, Any], person: int, bodies: "GenderedBodies | None"
) -> dict[str, np.ndarray]:
    poses = shaped(content["poses"][person], (-1, 3 * JOINTS), "poses", path)
    count = len(poses)
    world_m = shaped(content["jointPositions"][person], (count, 3 * JOINTS), "jointPositions", path)
    cameras = shaped(content["cam_poses"], (count, 4, 4), "cam_poses", path)
    lens = shaped(content["cam_intrinsics"], (3, 3), "cam_intrinsics", path)
    posed = shaped(content["campose_valid"][person], (count,), "campose_valid", path) > 0
    betas = shaped(np.ravel(content["betas"][person])[:BETAS], (BETAS,), "betas", path)
    shaped(content["img_frame_ids"], (count,), "img_frame_ids", path)
    gender = _GENDERS.get(str(content["genders"][person])[:1].lower(), 0)

    turn, shift = cameras[:, :3, :3], cameras[:, :3, 3]
    smpl_m = world_m.reshape(count, JOINTS, 3) @ turn.transpose(0, 2, 1) + shift[:, None]
    local = rotations.from_axis_angle(poses.reshape(count, JOINTS, 3))
    local[:, 0] = rotations.nearest_rotation(turn @ local[:, 0])
    joints = _listed(smpl_m) if bodies is None else _of_body(bodies, gender, betas, local, smpl_m)
    keypoints = _projected(joints, lens)
    return {
        "frame": np.arange(count),
        "posed": posed,
        "keypoints_px": keypoints,
        "boxes_px": boxes_of(keypoints),
        "joints_m": about_the_hips(joints, smpl_m[:, list(SMPL.indices("hip"))].mean(1)),
        "quaternions_wxyz": rotations.to_quaternions(local),
        "betas": np.broadcast_to(betas, (count, BETAS)),
        "has_pose": np.ones(count),
        "has_betas": np.ones(count),
        "gender": np.full(count, gender),
    }


def _listed(smpl_m: np.ndarray) -> np.ndarray:
    """SMPL's joints (T, 24, 3) that are among the 49, under both of their names."""
    out = among_49(POINTS, with_confidence(smpl_m))
    for name in ("ankle", "knee", "wrist", "elbow", "shoulder"):
        for side in ("left", "right"):
            source = JOINTS_49.index(f"{side}_{name}")
            out[:, JOINTS_49.index(f"op_{side}_{name}")] = out[:, source]
    return out


def _of_body(
    bodies: "GenderedBodies",
    gender: int,
    betas: np.ndarray,
    local: np.ndarray,
    smpl_m: np.ndarray,
) -> np.ndarray:
    """All 49 joints (T, 49, 4) in the camera, the body's pelvis put where the listed one is."""
    joints_m, pelvis_m = bodies.joints_m(GENDERS[gender], betas, local)
    return with_confidence(joints_m + (smpl_m[:, 0] - pelvis_m)[:, None])


def _projected(joints: np.ndarray, lens: np.ndarray) -> np.ndarray:
    """Key points (T, 49, 3) of joints in the camera (T, 49, 4); none of those behind it."""
    ahead = joints[..., 2] > _AHEAD_M
    image = joints[..., :3] @ lens.T
    points_px = image[..., :2] / np.where(ahead, image[..., 2], 1)[..., None]
    return with_confidence(points_px, joints[..., 3] * ahead)
