"""Drawn looks on disk: crops as they were drawn, and beside them what the trunk sees in them."""

from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import onnx
import torch
from torch import Tensor

from staf_backend.assets import asset_path
from staf_backend.files import OutputError, make_folder, replace_atomically
from staf_backend.people.appearance import HEIGHT_PX, WIDTH_PX
from staf_backend.runtime import open_network, run
from training.appearance.network import TAPS, cells, trunk

CROP = (HEIGHT_PX, WIDTH_PX, 3)
_AT_ONCE = 48
"""Crops that the trunk sees in one go.  Chosen: a clip's."""


def write_part(path: Path, crops: np.ndarray) -> None:
    """Keep crops (clips, people, looks, 128, 64, 3) uint8.

    Raises:
        OutputError: the file cannot be written.
    """
    with replace_atomically(path) as temporary, temporary.open("wb") as file:
        np.save(file, crops)


class Looks:
    """The cells of all parts in a folder, also of those that appear later; the first is held out.

    Args:
        folder: that `training.appearance.draw` wrote.
        rng: chooses clips.
    """

    def __init__(self, folder: Path, rng: np.random.Generator) -> None:
        self._folder, self._rng = folder, rng
        self._session: Any = None
        self._parts: dict[Path, np.ndarray] = {}

    def refresh(self) -> int:
        """Take in new parts; how many there are to train on.

        Raises:
            OutputError: there are fewer than two, or one is not of looks.
        """
        make_folder(self._folder / "cells")
        for path in sorted(self._folder.glob("*.npy")):
            if path not in self._parts:
                self._parts[path] = self._cells(path)
        if len(self._parts) < 2:
            advice = "Draw at least two: python -m training.appearance.draw."
            raise OutputError(f"{self._folder} holds {len(self._parts)} parts of looks.", advice)
        return len(self._parts) - 1

    def held_out(self) -> np.ndarray:
        """Cells (clips, people, looks, 16, 8, 151) of the first part."""
        return next(iter(self._parts.values()))

    def batch(self, clips: int) -> tuple[Tensor, Tensor]:
        """Cells (N, 16, 8, 151) of clips drawn at random, and whose they are (N,)."""
        found, people = [], []
        parts = list(self._parts.values())[1:]
        for number in range(clips):
            part = parts[self._rng.integers(len(parts))]
            clip = part[self._rng.integers(len(part))].astype(np.float32)
            found.append(clip.reshape(-1, *clip.shape[2:]))
            people.append(np.repeat(np.arange(len(clip)), clip.shape[1]) + 1000 * number)
        return torch.from_numpy(np.concatenate(found)), torch.from_numpy(np.concatenate(people))

    def _cells(self, path: Path) -> np.ndarray:
        """Of a part, as they are kept or made now."""
        kept = self._folder / "cells" / path.name
        if not kept.exists():
            crops = np.load(path, allow_pickle=False)
            if crops.ndim != 6 or crops.shape[3:] != CROP or crops.dtype != np.uint8:
                advice = "Remove it, and draw it again."
                raise OutputError(f"{path} is no part of looks: {crops.shape}.", advice)
            found = self._seen(crops.reshape(-1, *CROP))
            write_part(kept, found.reshape(*crops.shape[:3], *found.shape[1:]))
        return np.load(kept, allow_pickle=False)

    def _seen(self, crops: np.ndarray) -> np.ndarray:
        """Cells (N, 16, 8, 151) float16 of crops (N, 128, 64, 3)."""
        if self._session is None:
            self._session = _open_trunk()
        parts = []
        for begin in range(0, len(crops), _AT_ONCE):
            image = crops[begin : begin + _AT_ONCE].transpose(0, 3, 1, 2).astype(np.float32)
            taps = run(self._session, image=image)
            seen = cells(torch.from_numpy(image), *(torch.from_numpy(taps[tap]) for tap in TAPS))
            parts.append(seen.numpy().astype(np.float16))
        return np.concatenate(parts)


def _open_trunk() -> Any:
    """A session of the detector's first layers, on one thread."""
    with TemporaryDirectory() as folder:
        path = Path(folder) / "trunk.onnx"
        onnx.save(trunk(asset_path("movenet_multipose.onnx")), path)
        return open_network(path, device="cpu", threads=1)
