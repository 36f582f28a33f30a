"""A set of weights that `training` wrote, taken in: checked whole, then copied whole."""

import dataclasses
import shutil
from pathlib import Path

from staf_backend.files import replace_folder_atomically
from staf_backend.weights.error import WeightsError
from staf_backend.weights.info import BODY_FILE, INFO_FILE, WeightsInfo, read_info, weights_folder
from staf_backend.weights.set_body import check_body
from staf_backend.weights.store import load_weights


def adopt_weights(folder: Path, *, name: str, root: Path | None = None) -> WeightsInfo:
    """Takes in the folder of a set, such as RUN/weights.

    Args:
        folder: holds `weights.json` and what it names.
        name: what to call the set; one of the same name is replaced.
        root: folder of all sets; the user's data folder by default.

    Raises:
        WeightsError: it is no set, its files are damaged, or its body is not here.
        OutputError: the set cannot be written.
    """
    if not (folder / INFO_FILE).is_file():
        raise WeightsError(
            f"{folder} is no set of weights: it has no {INFO_FILE}.",
            "Give the folder that training wrote, RUN/weights, or the authors' checkpoints.",
        )
    folder = folder.resolve()
    info = dataclasses.replace(read_info(folder.name, folder.parent), name=name)
    load_weights(folder.name, root=folder.parent)
    if info.has_body:
        check_body(folder / BODY_FILE)
    with replace_folder_atomically(weights_folder(root) / name) as new:
        for file in info.files:
            shutil.copy(folder / file, new / file)
        (new / INFO_FILE).write_text(info.to_json(), encoding="utf-8")
    return info
