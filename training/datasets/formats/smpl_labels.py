"""SMPL labels that others fitted to data sets' people: EFT's and NeuralAnnot's JSON files.

    EFT          {"data": [{"imageName", "annotId", "bbox_center", "parm_pose", "parm_shape"}]}
    NeuralAnnot  {annotation id: {"smpl_param": {"pose", "shape", "trans"}, "cam_param"}}
                 Human3.6M {action: {subaction: {frame: {"pose", "shape", "trans"}}}}
                 MPI-INF-3DHP {subject: {sequence: {frame, from 1: {"pose", "shape", "trans"}}}}

EFT's pose is 24 matrices, NeuralAnnot's 72 axis-angle numbers; both give the root in camera axes
but for Human3.6M and MPI-INF-3DHP, where it is in the world's.
"""

from collections import defaultdict
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from staf_backend.geometry import rotations
from staf_backend.staf import BETAS, JOINTS
from training.datasets.formats.files import filed_under, need, read_json, reading, shaped
from training.datasets.store import SetError

_MOST_IN_IMAGE = 200
"""Labels of one picture, all of which are looked at for each person in it.  Chosen."""


class Smpl(NamedTuple):
    """Parameters of one person: quaternions (24, 4), betas (10,), and where the label lies."""

    quaternions_wxyz: np.ndarray
    betas: np.ndarray
    center_px: np.ndarray | None = None


class SmplLabels:
    """Labels by annotation id, or by image and where they lie in it.

    Args:
        path: the JSON file of EFT or NeuralAnnot.

    Raises:
        SetError: it cannot be read or is of another layout.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._by_id: dict[int, Smpl] = {}
        self._by_image: dict[str, list[Smpl]] = defaultdict(list)
        content = read_json(path)
        with reading(path):
            if isinstance(content, dict) and "data" in content:
                self._take_eft(content["data"])
            else:
                self._take_neural_annot(content)

    def __len__(self) -> int:
        return len(self._by_id) + sum(map(len, self._by_image.values()))

    def of(self, annotation: int, image: str, box_px: np.ndarray) -> Smpl | None:
        """The label of a person: by annotation id, else the nearest of the same image.

        Args:
            annotation: COCO's id, or -1.
            image: its name; folder and extension do not matter.
            box_px: (3,) the person's box; a label further than half its side is another's.
        """
        if annotation in self._by_id:
            return self._by_id[annotation]
        found = self._by_image.get(Path(image).stem, [])
        if not found:
            return None
        # a label that does not say where it lies fits anyone, so it counts only where it is alone
        gaps = [_gap(label, box_px, alone=len(found) == 1) for label in found]
        nearest = int(np.argmin(gaps))
        return found[nearest] if gaps[nearest] <= box_px[2] / 2 else None

    def _take_eft(self, data: Any) -> None:
        for entry in data:
            need(entry, ("imageName", "parm_pose", "parm_shape"), self.path)
            matrices = shaped(entry["parm_pose"], (JOINTS, 3, 3), "parm_pose", self.path)
            betas = shaped(np.ravel(entry["parm_shape"]), (BETAS,), "parm_shape", self.path)
            center = entry.get("bbox_center")
            center = None if center is None else shaped(center, (2,), "bbox_center", self.path)
            # the fits come from float32 networks: nearly, not exactly, rotations
            label = Smpl(
                rotations.to_quaternions(rotations.nearest_rotation(matrices)), betas, center
            )
            if entry.get("annotId", -1) not in (-1, None):
                self._by_id[int(entry["annotId"])] = label
            else:
                self._by_image[Path(entry["imageName"]).stem].append(label)
        if max(map(len, self._by_image.values()), default=0) > _MOST_IN_IMAGE:
            raise SetError(f"{self.path} has more labels of one picture than people fit in.")

    def _take_neural_annot(self, content: Any) -> None:
        if not isinstance(content, Mapping) or not all(map(_is_number, content)):
            raise SetError(
                f"{self.path} is neither EFT's nor NeuralAnnot's labels.",
                "Give the JSON file as its authors publish it.",
            )
        for key, entry in content.items():
            need(entry, ("smpl_param",), self.path)
            self._by_id[int(key)] = neural_annot(entry["smpl_param"], self.path)


class FiledLabels:
    """NeuralAnnot's labels of a set of several cameras, filed one within the other.

    Args:
        path: the JSON file.

    Raises:
        SetError: it cannot be read or is of another layout.
    """

    def __init__(self, path: Path) -> None:
        self.path, self._content, self._used = path, read_json(path), False
        if not _filed(self._content):
            raise SetError(
                f"{path} is not NeuralAnnot's file of this set.",
                "Give the JSON file as its authors publish it.",
            )

    def of(self, keys: tuple[str, ...], turn: np.ndarray) -> Smpl | None:
        """The label under the keys with its root turned into the camera's axes, or None.

        Args:
            keys: of each level, the frame's last.
            turn: (3, 3) from the world's axes to the camera's.

        Raises:
            SetError: the entry is of another layout.
        """
        entry = filed_under(self._content, keys)
        if entry is None:
            return None
        self._used = True
        with reading(self.path):
            label = neural_annot(entry, self.path)
        quaternions = np.array(label.quaternions_wxyz)
        root = turn @ rotations.from_quaternions(quaternions[0])
        quaternions[0] = rotations.to_quaternions(rotations.nearest_rotation(root))
        return label._replace(quaternions_wxyz=quaternions)

    def check_used(self) -> None:
        """To be called when all frames were asked for.

        Raises:
            SetError: there was a label of none.
        """
        if not self._used:
            raise nobodys(self.path)


def nobodys(path: Path) -> SetError:
    """Not one label of the file is of anybody who was read."""
    advice = "Are they labels of this edition of the set?"
    return SetError(f"Not one label of {path} is of anybody kept here.", advice)


def _filed(content: Any) -> bool:
    """Whether numbers file numbers, as sequences and subjects do."""
    levels = [content, *content.values()] if isinstance(content, Mapping) else [content]
    return all(isinstance(level, Mapping) and all(map(_is_number, level)) for level in levels)


def _is_number(key: str) -> bool:
    return key.isascii() and key.isdigit()


def neural_annot(entry: Any, path: Path) -> Smpl:
    """One person's parameters of a NeuralAnnot file.

    Raises:
        SetError: another layout.
    """
    need(entry, ("pose", "shape"), path)
    pose = shaped(np.ravel(entry["pose"]), (3 * JOINTS,), "pose", path).reshape(JOINTS, 3)
    betas = shaped(np.ravel(entry["shape"]), (BETAS,), "shape", path)
    return Smpl(rotations.to_quaternions(rotations.from_axis_angle(pose)), betas)


def smpl_rows(labels: list[Smpl | None]) -> dict[str, np.ndarray]:
    """The rows' fields of the labels, with the masks."""
    count = len(labels)
    quaternions, betas = np.zeros((count, JOINTS, 4)), np.zeros((count, BETAS))
    quaternions[..., 0] = 1
    for row, label in enumerate(labels):
        if label is not None:
            quaternions[row], betas[row] = label.quaternions_wxyz, label.betas
    known = np.array([label is not None for label in labels], np.float32)
    return {
        "quaternions_wxyz": quaternions,
        "betas": betas,
        "has_pose": known,
        "has_betas": known,
    }


def _gap(label: Smpl, box_px: np.ndarray, *, alone: bool) -> float:
    if alone:
        return 0.0
    return np.inf if label.center_px is None else float(np.hypot(*(label.center_px - box_px[:2])))
