"""Cameras of a Skeletool calibration file, as MPI-INF-3DHP has one beside each sequence.

Skeletool Camera Calibration File V1.0
name          0
  sensor      10 10
  size        2048 2048
  animated    0
  intrinsic   16 numbers
  extrinsic   16 numbers, world to camera axes, mm
  radial      0
"""

from pathlib import Path

import numpy as np

from training.datasets.formats.files import read_whole, shaped
from training.datasets.store import SetError

_HEAD = "Skeletool Camera Calibration File"


def read_turns(path: Path) -> dict[int, np.ndarray]:
    """Rotations (3, 3) from the world's axes to the camera's, by the camera's number.

    Raises:
        SetError: missing, or no such file.
    """
    try:
        lines = read_whole(path).decode().splitlines()
    except UnicodeDecodeError as error:
        raise _damaged(path) from error
    if not lines or not lines[0].startswith(_HEAD):
        raise _damaged(path)
    turns: dict[int, np.ndarray] = {}
    camera = -1
    for line in lines[1:]:
        word, *numbers = line.split() or [""]
        try:
            if word == "name":
                camera = int(numbers[0])
            elif word == "extrinsic":
                pose = np.array(numbers, np.float64).reshape(4, 4)
                turns[camera] = shaped(pose, (4, 4), "extrinsic", path)[:3, :3]
        except (ValueError, IndexError) as error:
            raise _damaged(path) from error
    return turns


def _damaged(path: Path) -> SetError:
    return SetError(f"{path} is no camera calibration, or damaged.", "Fetch it again.")
