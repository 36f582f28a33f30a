"""The terms of the fit: residuals of a posed body, their analytic Jacobians, as normal equations.

The unknowns are those of `unknowns.Unknowns`, U of them.  A joint's rotation vector d_j turns
everything below the joint about it, so with G_j the global rotation, P_j the position of the joint
and X a point below,

    dX / d d_j = -[X - P_j]x G_j            dG_k = [G_j d_j]x G_k   for k = j and below.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from staf_backend.body.markers import COUNT, Markers, indices
from staf_backend.fit.banded import BandedSystem
from staf_backend.fit.ground import FLOOR_M, FLOOR_OUTLIER_M, Ground
from staf_backend.fit.settings import REFERENCE_HZ
from staf_backend.fit.unknowns import ANGLES, ROOT, Unknowns
from staf_backend.geometry import to_axis_angle

NEAREST_M = 0.1
"""Depth, metres, from which a marker is projected as if it lay there.  Chosen: before the lens."""


@dataclass(frozen=True)
class Posed:
    """A body in T poses, in camera axes.

    Attributes:
        turned: (T, J, 3, 3) global rotations.
        joints_m: (T, J, 3).
        influences_m: (T, N, 3) see `markers.Markers`.
        markers_m: (T, 27, 3).
    """

    turned: np.ndarray
    joints_m: np.ndarray
    influences_m: np.ndarray
    markers_m: np.ndarray


class _LeverArms:
    """Which joints turn which markers, and the lever arms they do it with.

    A marker that is blended of several influences is turned only through those below the joint.
    """

    def __init__(self, markers: Markers, chosen: np.ndarray, unknowns: Unknowns) -> None:
        moving = unknowns.moving
        below = unknowns.above[markers.joint][:, moving]  # (N, M): influence hangs below joint
        share = np.zeros((COUNT, len(moving), len(markers.joint)))
        for n, (k, weight) in enumerate(zip(markers.marker, markers.weight)):
            share[k, below[n], n] = weight
        share = share[chosen]
        self.marker, joint = np.nonzero(share.any(-1))
        self._gather = share[self.marker, joint]  # (pairs, N)
        self._total = self._gather.sum(-1)
        self.joint = np.array(moving)[joint]
        self.columns = 3 + 3 * joint[:, None] + np.arange(3)

    def __call__(self, posed: Posed) -> np.ndarray:
        """(T, pairs, 3) from joint to marker, camera axes, times the share that is turned."""
        return (
            self._gather @ posed.influences_m - self._total[:, None] * posed.joints_m[:, self.joint]
        )

    def about_axes(self, posed: Posed, torque: Sequence[np.ndarray]) -> np.ndarray:
        """(T, pairs, 3) torques, given by their components, about the joints' own axes."""
        axes = posed.turned[:, self.joint]
        x, y, z = (component[..., None] for component in torque)
        return axes[:, :, 0] * x + axes[:, :, 1] * y + axes[:, :, 2] * z


class Reprojection:
    """Markers against viewing rays: the strong term.

    The residual is (X/Z - u) z0 with z0 the root's depth: metres across the view at the person, so
    that its scale does not depend on how far away they are.
    """

    def __init__(self, markers: Markers, unknowns: Unknowns) -> None:
        self._arms = _LeverArms(markers, np.arange(COUNT), unknowns)
        self._count = len(unknowns)

    def residuals(self, posed: Posed, rays: np.ndarray) -> np.ndarray:
        """(T, 27, 2) metres."""
        depth = posed.joints_m[:, 0, 2, None, None]
        markers = posed.markers_m
        return (markers[..., :2] / np.maximum(markers[..., 2:], NEAREST_M) - rays) * depth

    def jacobian(self, posed: Posed) -> np.ndarray:
        """(T, 27, 2, U)."""
        frames = len(posed.markers_m)
        ratio = posed.markers_m[..., :2] / posed.markers_m[..., 2:]
        scale = posed.joints_m[:, 0, 2, None] / posed.markers_m[..., 2]
        jacobian = np.zeros((frames, COUNT, 2, self._count))
        jacobian[:, :, 0, 0] = jacobian[:, :, 1, 1] = scale
        jacobian[:, :, :, 2] = -scale[..., None] * ratio
        arms, marker = self._arms, self._arms.marker
        a, b, c = np.moveaxis(arms(posed) * scale[:, marker, None], -1, 0)
        p, q = np.moveaxis(ratio[:, marker], -1, 0)
        torques = ((-p * b, c + p * a, -b), (-q * b - c, q * a, a))  # arm x (1, 0, -p), ...
        for row, torque in enumerate(torques):
            jacobian[:, marker[:, None], row, arms.columns] = arms.about_axes(posed, torque)
        return jacobian

    def add(
        self, system: BandedSystem, jacobian: np.ndarray, residuals: np.ndarray, weights: np.ndarray
    ) -> None:
        """Add sum w |r|^2 / 2, with weights (T, 27)."""
        frames = len(residuals)
        root = np.sqrt(weights)[..., None]
        rows = (jacobian * root[..., None]).reshape(frames, 2 * COUNT, self._count)
        values = (residuals * root).reshape(frames, 2 * COUNT, 1)
        across = rows.transpose(0, 2, 1)
        system.blocks += across @ rows
        system.gradient -= (across @ values)[..., 0]


class Planted:
    """Heels and toes that stand on the ground stay where they are."""

    POINTS = indices("heel", "foot_index")[[0, 2, 1, 3]]
    """Left heel, left toe, right heel, right toe: the order of `Lifted.contact`."""

    def __init__(self, markers: Markers, unknowns: Unknowns) -> None:
        self._arms = _LeverArms(markers, self.POINTS, unknowns)
        self._count = len(unknowns)

    def jacobian(self, posed: Posed) -> np.ndarray:
        """(T, 4, 3, U) of the points' positions in camera axes."""
        jacobian = np.zeros((len(posed.markers_m), len(self.POINTS), 3, self._count))
        jacobian[..., ROOT] = np.eye(3)
        arms = self._arms
        a, b, c = np.moveaxis(arms(posed), -1, 0)
        none = np.zeros_like(a)
        torques = ((none, c, -b), (-c, none, a), (b, -a, none))  # arm x (1, 0, 0), ...
        for row, torque in enumerate(torques):
            jacobian[:, arms.marker[:, None], row, arms.columns] = arms.about_axes(posed, torque)
        return jacobian

    def add(self, system: BandedSystem, posed: Posed, weights: np.ndarray) -> None:
        """Add sum w |X_t+1 - X_t|^2 / 2, with weights (T - 1, 4) in 1/m^2."""
        frames = len(posed.markers_m)
        moved = np.diff(posed.markers_m[:, self.POINTS], axis=0)
        rows = self.jacobian(posed).reshape(frames, -1, self._count)
        system.add_steps(rows, np.repeat(weights, 3, axis=1), moved.reshape(frames - 1, -1))

    def add_heights(
        self, system: BandedSystem, posed: Posed, ground: Ground, times_s: np.ndarray
    ) -> None:
        """Add sum w |y - height|^2 / 2: what stands, stands on the ground (Geman-McClure), and
        nothing is below it."""
        away, sure = ground.away_m(posed.markers_m[:, self.POINTS, 1])
        if not sure.any():
            return
        gaps = np.gradient(times_s) if len(times_s) > 1 else np.array([1 / REFERENCE_HZ])
        weights = sure / FLOOR_M**2 / (1 + (away / FLOOR_OUTLIER_M) ** 2) ** 2
        weights = weights * np.minimum(gaps * REFERENCE_HZ, 1.0)[:, None]
        rows = self.jacobian(posed)[:, :, 1]
        weighted = (rows * weights[..., None]).transpose(0, 2, 1)
        system.blocks += weighted @ rows
        system.gradient -= (weighted @ away[..., None])[..., 0]


def orientation_residuals(turned: np.ndarray, prior: np.ndarray) -> np.ndarray:
    """Rotation vectors (T, J, 3), camera axes, from prior to present global rotations."""
    return to_axis_angle(turned @ np.swapaxes(prior, -1, -2))


def add_orientations(
    system: BandedSystem,
    turned: np.ndarray,
    residuals: np.ndarray,
    weights: np.ndarray,
    unknowns: Unknowns,
) -> None:
    """Add sum w |log(G prior^T)|^2 / 2, with weights (T, J).

    With every joint's turn the same size in all axes, the block of joints j and l is
    G_j^T G_l times the weights of all joints below both.
    """
    moving, below = unknowns.moving, unknowns.above[:, unknowns.moving].astype(float)
    frames, count = len(turned), len(moving)
    axes = turned[:, moving].transpose(0, 2, 1, 3).reshape(frames, 3, 3 * count)
    shared = np.einsum("kj,tk,kl->tjl", below, weights, below, optimize=True)
    product = (axes.transpose(0, 2, 1) @ axes).reshape(frames, count, 3, count, 3)
    product *= shared[:, :, None, :, None]
    system.blocks[:, ANGLES, ANGLES] += product.reshape(frames, 3 * count, 3 * count)
    pull = np.einsum("kj,tkc->tjc", below, weights[..., None] * residuals)
    turned_pull = (pull[:, :, None] @ turned[:, moving])[:, :, 0]
    system.gradient[:, ANGLES] -= turned_pull.reshape(frames, -1)


def add_diagonal(system: BandedSystem, values: np.ndarray, weights: np.ndarray) -> None:
    """Add sum w (value + x)^2 / 2 over the unknowns: values and weights (T, U)."""
    np.einsum("tii->ti", system.blocks)[...] += weights
    system.gradient -= weights * values


def second_difference(times_s: np.ndarray) -> np.ndarray:
    """Coefficients (T - 2, 3) of a second derivative at unevenly spaced times, 1/s^2."""
    before, after = np.diff(times_s)[:-1], np.diff(times_s)[1:]
    both = before + after
    return np.stack([2 / (before * both), -2 / (before * after), 2 / (after * both)], -1)
