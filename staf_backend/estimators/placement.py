"""From what STAF says about the frames of a track to one person in the real camera.  numpy.

The network gives each frame a shape and a camera of its own; a person has one shape, and stands in
the camera that filmed all frames.
"""

from dataclasses import dataclass

import numpy as np

from staf_backend import StafError
from staf_backend.body import Body, SmplParams
from staf_backend.geometry import Camera, forward_kinematics
from staf_backend.staf import place


class RecoveryError(StafError):
    """The network's answers for a track cannot be used."""

    kind = "estimate"
    exit_code = 4


@dataclass(frozen=True, eq=False)
class NetworkTrack:
    """The network's answers for T frames of one track, in the axes of the crops.

    `rotations` (T, 24, 3, 3), joint 0 in camera axes; `betas` (T, 10); `camera` (T, 3);
    `squares_px` (T, 3) exactly what was cut.
    """

    rotations: np.ndarray
    betas: np.ndarray
    camera: np.ndarray
    squares_px: np.ndarray

    def __post_init__(self) -> None:
        frames = len(self.camera)
        shapes = {"rotations": (24, 3, 3), "betas": (10,), "camera": (3,), "squares_px": (3,)}
        for name, shape in shapes.items():
            if getattr(self, name).shape != (frames, *shape):
                raise ValueError(f"{name} must be {(frames, *shape)}")


def to_smpl_params(
    track: NetworkTrack,
    body: Body,
    camera: Camera,
    *,
    observed: np.ndarray | None = None,
    betas: np.ndarray | None = None,
) -> tuple[SmplParams, np.ndarray]:
    """One shape, and a place in the real camera, solved in full perspective.

    Args:
        track: the network's answers.
        body: the body that the betas belong to.
        camera: that filmed.
        observed: (T,) frames where the person was seen; the shape is their median.
        betas: (10,) the person's shape where another track of theirs has told it already.

    Returns:
        The parameters, and (T,) whether a frame's place is the network's own: the others, whose
        cameras make no sense, stand on the line between their neighbours.

    Raises:
        RecoveryError: an answer is not finite, or no frame has a sensible camera.
    """
    values = (track.rotations, track.betas, track.camera)
    if not all(np.isfinite(value).all() for value in values):
        raise RecoveryError(
            "The network's answer is not a number.",
            "Its weights may be damaged, or float16 too coarse for them; try bfloat16 or float32.",
        )
    seen = np.ones(len(track.camera), bool) if observed is None else observed
    if betas is None:
        betas = np.median(track.betas[seen if seen.any() else slice(None)], axis=0)
    placed = place(
        _posed_joints_m(body, track.rotations, track.betas),
        track.rotations[:, 0],
        track.camera,
        track.squares_px,
        camera,
        shown_m=_posed_joints_m(body, track.rotations, np.broadcast_to(betas, track.betas.shape)),
    )
    rotations = np.array(track.rotations, float)
    rotations[:, 0] = placed.root_rotations
    root_m = _between_neighbours(placed.root_m, placed.valid)
    return SmplParams(rotations, root_m, betas.astype(float)), placed.valid


def _posed_joints_m(body: Body, rotations: np.ndarray, betas: np.ndarray) -> np.ndarray:
    """Joints (T, 24, 3) in SMPL's own space: the pelvis stays where the rest pose has it."""
    rest_m = np.asarray(body.rest_joints_m(betas.astype(float)))
    return forward_kinematics(rotations.astype(float), rest_m, rest_m[:, 0])[1]


def _between_neighbours(root_m: np.ndarray, valid: np.ndarray) -> np.ndarray:
    if not valid.any():
        raise RecoveryError(
            "The network places this person nowhere: its camera has no positive scale.",
            "Its weights may be those of another network, or the footage unlike any it knows.",
        )
    frames = np.arange(len(valid))
    return np.stack([np.interp(frames, frames[valid], axis[valid]) for axis in root_m.T], 1)
