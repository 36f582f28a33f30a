"""The 49 joints of SMPL's bodies by gender, from the files of a user who has them."""

import io
from dataclasses import replace
from pathlib import Path
from zipfile import BadZipFile

import numpy as np
import torch

from staf_backend.body import BodyError, load_body
from staf_backend.files import shown
from staf_backend.staf.body import SmplBody, tables_from_body
from training.datasets.formats.files import read_whole, shaped
from training.datasets.store import SetError
from training.targets import BodyJoints

_REGRESSOR = "J_regressor_extra.npy"
_SPIN, _GRAPHCMR = (9, 6890), (14, 6890)  # regressed joints, SMPL's vertices
_CHUNK = 64  # bodies posed at once, for memory's sake


class GenderedBodies:
    """SMPL of each gender of which the folder holds a file (.pkl or .npz, any name).

    Args:
        folder: with the model files and, if the user has it, SPIN's J_regressor_extra.npy.

    Raises:
        SetError: the folder holds no SMPL file, or a regressor of another layout.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        regressor = _regressor(folder / _REGRESSOR)
        self._bodies: dict[str, tuple[SmplBody, BodyJoints]] = {}
        for path in sorted([*folder.glob("*.pkl"), *folder.glob("*.npz")]):
            try:
                body = load_body(path)
            except BodyError:
                continue  # other files may lie there; what is missing is an error when it is needed
            if body.kind == "smpl":
                tables = replace(tables_from_body(body), extra_regressor=regressor)
                self._bodies[body.gender] = SmplBody(tables), BodyJoints(tables)
        if not self._bodies:
            raise SetError(f"{folder} holds no SMPL model file.", "See smpl.is.tue.mpg.de.")

    def joints_m(
        self, gender: str, betas: np.ndarray, local: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray]:
        """Joints (T, 49, 3) and the pelvis (T, 3) of poses, metres, in the root's axes.

        Args:
            gender: "male", "female" or "neutral".
            betas: (10,).
            local: (T, 24, 3, 3) parent-relative rotations.

        Raises:
            SetError: the folder holds no file of that gender.
        """
        if gender not in self._bodies:
            have = ", ".join(sorted(self._bodies))
            raise SetError(
                f"{self.folder} holds no {gender} SMPL file (only {have}).",
                "Add it, or leave out --bodies.",
            )
        body, joints = self._bodies[gender]
        every, pelvis = [], []
        with torch.inference_mode():
            for part in torch.from_numpy(local).float().split(_CHUNK):
                points = body(torch.from_numpy(betas).float().expand(len(part), -1), part)
                every.append(joints(points).numpy())
                pelvis.append(points.joints_m[:, 0].numpy())
        return np.concatenate(every), np.concatenate(pelvis)


def _regressor(path: Path) -> np.ndarray | None:
    if not path.is_file():
        return None
    try:
        # from its bytes: then a header's size is checked against what is there
        rows = np.load(io.BytesIO(read_whole(path)), allow_pickle=False)
    except (OSError, ValueError, EOFError, MemoryError, BadZipFile) as error:
        message = f"{path} cannot be read: {shown(str(error))}."
        raise SetError(message, "Fetch it again.") from error
    if not isinstance(rows, np.ndarray):
        raise SetError(f"{path} is an archive, not one array.", "Give SPIN's file.")
    if rows.shape == _GRAPHCMR:  # an edition of the same name: SPIN's is its end
        rows = rows[-_SPIN[0] :]
    if rows.shape != _SPIN:
        raise SetError(f"{path} is {rows.shape}, not {_SPIN}.", "Give SPIN's file.")
    return shaped(rows, _SPIN, "the regressor", path)
