"""The terms of the fit: residuals of a posed body, their analytic Jacobians, as normal equations.

The unknowns are those of `unknowns.Unknowns`, U of them.  A joint's rotation vector d_j moves
points below the joint as `chains` has it, and with G_j its global rotation turns the others,

    dG_k = [G_j d_j]x G_k   for k = j and below.
"""

import numpy as np

from staf_backend.body.markers import COUNT, Markers, indices
from staf_backend.fit.banded import BandedSystem
from staf_backend.fit.chains import Chain, Posed, chains
from staf_backend.fit.ground import FLOOR_M, FLOOR_OUTLIER_M, Ground
from staf_backend.fit.settings import REFERENCE_HZ
from staf_backend.fit.unknowns import ANGLES, Unknowns
from staf_backend.geometry import to_axis_angle

NEAREST_M = 0.1
"""Depth, metres, from which a marker is projected as if it lay there.  Chosen: before the lens."""
_BLOCK = 100
"""Frames whose turns are tied to each other at once.  Chosen: 3 MB, and as fast as a window."""


class Reprojection:
    """Markers against viewing rays: the strong term.

    The residual is (X/Z - u) z0 with z0 the root's depth: metres across the view at the person, so
    that its scale does not depend on how far away they are.
    """

    def __init__(self, markers: Markers, unknowns: Unknowns) -> None:
        self._chains = chains(markers, np.arange(COUNT), unknowns)
        self._count = len(unknowns)

    def residuals(self, posed: Posed, rays: np.ndarray) -> np.ndarray:
        """(T, 27, 2) metres."""
        depth = posed.joints_m[:, 0, 2, None, None]
        markers = posed.markers_m
        return (markers[..., :2] / np.maximum(markers[..., 2:], NEAREST_M) - rays) * depth

    def jacobian(self, posed: Posed) -> np.ndarray:
        """(T, 27, 2, U)."""
        jacobian = np.zeros((len(posed.markers_m), COUNT, 2, self._count))
        for chain in self._chains:
            rows = self._rows(chain, posed, np.ones((1, COUNT)))
            jacobian[:, chain.marker[:, None], :, chain.columns] = rows.transpose(1, 3, 0, 2)
        return jacobian

    def add(
        self, system: BandedSystem, posed: Posed, residuals: np.ndarray, weights: np.ndarray
    ) -> None:
        """Add sum w |r|^2 / 2, with weights (T, 27)."""
        root = np.sqrt(weights)
        values = residuals * root[..., None]
        for chain in self._chains:
            rows = self._rows(chain, posed, root)
            system.add_rows(chain.columns, rows, values[:, chain.marker])

    @staticmethod
    def _rows(chain: Chain, posed: Posed, share: np.ndarray) -> np.ndarray:
        """(T, M, 2, C) of a chain's residuals times a share (T, 27), by its columns."""
        markers = posed.markers_m[:, chain.marker]
        scale = share[:, chain.marker] * posed.joints_m[:, 0, 2, None] / markers[..., 2]
        ratio = markers[..., :2] / markers[..., 2:]
        moved = chain.derivatives(posed)
        moved *= scale[..., None, None]
        rows = ratio[..., None] * moved[:, :, 2:]
        return np.subtract(moved[:, :, :2], rows, out=rows)


class Planted:
    """Heels and toes that stand on the ground stay where they are."""

    POINTS = indices("heel", "foot_index")[[0, 2, 1, 3]]
    """Left heel, left toe, right heel, right toe: the order of `Lifted.contact`."""

    def __init__(self, markers: Markers, unknowns: Unknowns) -> None:
        self.chains = chains(markers, self.POINTS, unknowns)
        self._points = [np.nonzero(c.marker[:, None] == self.POINTS)[1] for c in self.chains]

    def add(
        self,
        system: BandedSystem,
        posed: Posed,
        weights: np.ndarray,
        heights: tuple[np.ndarray, np.ndarray] | None = None,
        travel_m: np.ndarray | None = None,
    ) -> None:
        """Add sum w |X_t+1 - X_t|^2 / 2, and sum v |y - height|^2 / 2 where heights are known.

        Args:
            system: to add to.
            posed: the body.
            weights: (T - 1, 4) w, 1/m^2.
            heights: see `heights`.
            travel_m: (T - 1, 3) by which the camera gets on, beside which the body is posed.
        """
        for chain, points in zip(self.chains, self._points, strict=True):
            steps = np.repeat(weights[:, points], 3, axis=1)
            if not steps.any() and heights is None:
                continue
            derivatives = chain.derivatives(posed)
            if steps.any():
                moved = np.diff(posed.markers_m[:, chain.marker], axis=0)
                if travel_m is not None:
                    moved = moved + travel_m[:, None]
                moved = moved.reshape(steps.shape)
                rows = derivatives.reshape(len(derivatives), steps.shape[1], -1)
                system.add_steps(chain.columns, rows, steps, moved)
            if heights is not None:
                away, root = heights[0][:, points], np.sqrt(heights[1][:, points])
                system.add_rows(chain.columns, derivatives[:, :, 1] * root[..., None], away * root)

    def heights(
        self,
        posed: Posed,
        ground: Ground,
        times_s: np.ndarray,
        eye_m: np.ndarray | None = None,
    ) -> tuple[np.ndarray, np.ndarray] | None:
        """How far heels and toes (T, 4) are from the ground, and 1/m^2 (T, 4) of that: what stands,
        stands on it (Geman-McClure), and nothing is below it; None where nothing is."""
        down_m = posed.markers_m[:, self.POINTS, 1]
        if eye_m is not None:
            down_m = down_m + eye_m[:, 1:2]
        away, sure = ground.away_m(down_m)
        if not sure.any():
            return None
        gaps = np.gradient(times_s) if len(times_s) > 1 else np.array([1 / REFERENCE_HZ])
        weights = sure / FLOOR_M**2 / (1 + (away / FLOOR_OUTLIER_M) ** 2) ** 2
        return away, weights * np.minimum(gaps * REFERENCE_HZ, 1.0)[:, None]


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
    for begin in range(0, len(turned), _BLOCK):
        rows = slice(begin, begin + _BLOCK)
        product = _turns_together(turned[rows][:, moving], weights[rows], below)
        system.blocks[rows, ANGLES, ANGLES] += product
    pull = np.einsum("kj,tkc->tjc", below, weights[..., None] * residuals)
    turned_pull = (pull[:, :, None] @ turned[:, moving])[:, :, 0]
    system.gradient[:, ANGLES] -= turned_pull.reshape(len(turned), -1)


def _turns_together(turned: np.ndarray, weights: np.ndarray, below: np.ndarray) -> np.ndarray:
    """(T, 3 M, 3 M) G_j^T G_l times the weights (T, J) of the joints `below` (J, M) both."""
    frames, count = turned.shape[:2]
    axes = turned.transpose(0, 2, 1, 3).reshape(frames, 3, 3 * count)
    pairs = below[:, :, None] * below[:, None]
    shared = (weights @ pairs.reshape(len(pairs), -1)).reshape(frames, count, 1, count)
    product = (axes.transpose(0, 2, 1) @ axes).reshape(frames, count, 3, 3 * count)
    product *= np.repeat(shared, 3, axis=-1)
    return product.reshape(frames, 3 * count, 3 * count)


def add_diagonal(system: BandedSystem, values: np.ndarray, weights: np.ndarray) -> None:
    """Add sum w (value + x)^2 / 2 over the unknowns: values and weights (T, U)."""
    np.einsum("tii->ti", system.blocks)[...] += weights
    system.gradient -= weights * values


def second_difference(times_s: np.ndarray) -> np.ndarray:
    """Coefficients (T - 2, 3) of a second derivative at unevenly spaced times, 1/s^2."""
    before, after = np.diff(times_s)[:-1], np.diff(times_s)[1:]
    both = before + after
    return np.stack([2 / (before * both), -2 / (before * after), 2 / (after * both)], -1)
