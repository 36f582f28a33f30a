"""The betas of a track, solved for beside the poses of frames that share them."""

from typing import TYPE_CHECKING

import numpy as np

from staf_backend.body.markers import COUNT, Markers
from staf_backend.fit.banded import BandedSystem
from staf_backend.fit.chains import Posed
from staf_backend.fit.state import bounded

if TYPE_CHECKING:
    from staf_backend.body import Body

DAMPING = 1e-4
"""Share of the diagonal that is added to it (Levenberg-Marquardt).  Chosen: nearly none."""
_LARGEST_CHANGE = 1.0
"""Of a beta in a step, in their deviations.  Chosen."""


def shape_jacobian(body: "Body", markers: Markers, posed: Posed) -> np.ndarray:
    """(T, 27, 2, B): how the markers' residuals move with the betas."""
    per_joint = body.joint_shape_directions
    moved = [np.zeros((len(posed.turned), 3, per_joint.shape[-1]))]
    for j, parent in enumerate(body.skeleton.parents[1:], start=1):
        bone = per_joint[j] - per_joint[parent]
        moved.append(moved[parent] + posed.turned[:, parent] @ bone)
    joints = np.stack(moved, 1)
    offsets = posed.turned[:, markers.joint] @ markers.offset_per_beta
    influences = offsets + joints[:, markers.joint]
    points = np.einsum("kn,tncb->tkcb", markers.blending(), influences)
    ratio = (posed.markers_m[..., :2] / posed.markers_m[..., 2:])[..., None]
    scale = (posed.joints_m[:, :1, 2] / posed.markers_m[..., 2])[..., None, None]
    return scale * (points[:, :, :2] - ratio * points[:, :, 2:])


def step_with_shape(
    system: BandedSystem,
    jacobian: np.ndarray,
    by_beta: np.ndarray,
    residuals: np.ndarray,
    weights: np.ndarray,
    prior: tuple[np.ndarray, float],
) -> tuple[np.ndarray, np.ndarray]:
    """One step of independent frames that share their betas: Schur complement on the betas.

    Args:
        system: the frames' own equations, which are overwritten.
        jacobian: (T, 27, 2, U) of the markers' residuals.
        by_beta: (T, 27, 2, B) how those residuals move with the betas.
        residuals: (T, 27, 2) metres.
        weights: (T, 27) 1/m^2.
        prior: (B,) how far the betas are from the expected ones, and that error's deviation.

    Returns:
        The step (T, U), and the change of the betas (B,).
    """
    frames, count = len(residuals), by_beta.shape[-1]
    away, deviation = prior
    rows = jacobian.reshape(frames, 2 * COUNT, -1)
    shape_rows = by_beta.reshape(frames, 2 * COUNT, count)
    w = np.repeat(weights, 2, axis=1)[..., None]
    cross = rows.transpose(0, 2, 1) @ (w * shape_rows)
    diagonal = np.einsum("tii->ti", system.blocks)
    diagonal *= 1 + DAMPING
    both = np.concatenate([cross, system.gradient[..., None]], -1)
    solved = np.linalg.solve(system.blocks, both)
    across = shape_rows.transpose(0, 2, 1)
    own = (across @ (w * shape_rows)).sum(0) + np.eye(count) / deviation**2
    pull = -(across @ (w * residuals.reshape(frames, -1, 1))).sum(0)[:, 0] - away / deviation**2
    own -= np.einsum("tub,tuc->bc", cross, solved[..., :count])
    pull -= np.einsum("tub,tu->b", cross, solved[..., count])
    change = np.linalg.solve(own, pull).clip(-_LARGEST_CHANGE, _LARGEST_CHANGE)
    return bounded(solved[..., count] - solved[..., :count] @ change), change
