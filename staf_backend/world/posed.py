"""What is posed of a movement: where its joints and the points are that may touch the ground."""

import dataclasses
from collections.abc import Iterable
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from staf_backend.body import Body
from staf_backend.files import long_array, stretches


class Posed(NamedTuple):
    """joints_m (T, J, 3), points_m (T, 9, 3) of `PARTS`, soles (T, 2, 3): the ways up that the
    soles of the left and the right foot would have if they stood flat.  4-byte floats, since a
    clip may be long."""

    joints_m: np.ndarray
    points_m: np.ndarray
    soles: np.ndarray

    def turned(self, turn: np.ndarray) -> "Posed":
        """Every point turned by (3, 3) about the origin."""
        turn = turn.astype(np.float32)
        turned = Posed(*(long_array(points.shape) for points in self))
        for rows in stretches(len(self.soles)):
            for points, out in zip(self, turned, strict=True):
                out[rows] = points[rows] @ turn.T
        return turned


@dataclass(frozen=True)
class PosedMovement:
    """Of a movement what is posed alone; see `movement.Movement` for the fields."""

    times_s: np.ndarray
    betas: np.ndarray
    body: Body
    eye_m: np.ndarray
    feet_seen: np.ndarray
    posed: Posed
    rest_heights_m: np.ndarray

    def __len__(self) -> int:
        return len(self.times_s)

    @property
    def rate_hz(self) -> float:
        """Frames a second; 30 for a single frame."""
        return rate_hz(self.times_s)

    def turned(self, turn: np.ndarray) -> "PosedMovement":
        """In other axes: every point turned by (3, 3) about the origin."""
        return dataclasses.replace(self, eye_m=self.eye_m @ turn.T, posed=self.posed.turned(turn))


def joined(parts: Iterable[Posed], frames: int) -> Posed:
    """Parts of a movement of so many frames, one after another, none of them held twice."""
    whole, done = None, 0
    for part in parts:
        if whole is None:
            shapes = ((frames, *values.shape[1:]) for values in part)
            whole = Posed(*(long_array(shape) for shape in shapes))
        rows = slice(done, done + len(part.soles))
        for values, own in zip(whole, part, strict=True):
            values[rows] = own
        done = rows.stop
    if whole is None:
        raise ValueError("a movement has at least one frame")
    return whole


def turned_roots(rotations: np.ndarray, turn: np.ndarray) -> np.ndarray:
    """Rotations (T, J, 3, 3) whose joint 0 was turned by (3, 3): they are changed."""
    for rows in stretches(len(rotations)):
        rotations[rows, 0] = turn @ rotations[rows, 0]
    return rotations


def rate_hz(times_s: np.ndarray) -> float:
    """Frames a second of times (T,); 30 for a single frame."""
    return 1 / float(np.median(np.diff(times_s))) if len(times_s) > 1 else 30.0
