"""Symmetric block-banded normal equations over time, and their solution.

Each of T frames has n unknowns.  A frame's own terms fill an n x n block on the diagonal, terms of
two neighbours the block below it; terms that tie an unknown to itself fill single entries n and 2 n
below the diagonal:

    D0 . .  .        D  n x n blocks
    E0 D1 .  .       E  n x n blocks (ties of neighbours)
    b0 E1 D2 .       b  diagonal n x n blocks (ties of next neighbours)
    .  b1 E2 D3

Cholesky keeps the band of 2 n, so solving costs T n (2 n)^2: linear in the length of the clip.
"""

from dataclasses import dataclass

import numpy as np


@dataclass
class BandedSystem:
    """Normal equations A x = g of T frames with n unknowns each.

    Attributes:
        blocks: (T, n, n) symmetric diagonal blocks.
        gradient: (T, n) right-hand side.
        next_blocks: (T - 1, n, n) blocks of frame t + 1 (rows) and frame t (columns).
        second_ties: (T - 2, n) entries between frames t and t + 2.
    """

    blocks: np.ndarray
    gradient: np.ndarray
    next_blocks: np.ndarray
    second_ties: np.ndarray

    @classmethod
    def zeros(cls, frames: int, unknowns: int) -> "BandedSystem":
        """An empty system."""
        return cls(
            np.zeros((frames, unknowns, unknowns)),
            np.zeros((frames, unknowns)),
            np.zeros((max(frames - 1, 0), unknowns, unknowns)),
            np.zeros((max(frames - 2, 0), unknowns)),
        )

    def add_squares(self, coefficients: np.ndarray, weights: np.ndarray, values: np.ndarray):
        """Add half of sum_t sum_i w_ti (values_ti + c_t0 x_ti + c_t1 x_t+1,i + c_t2 x_t+2,i)^2.

        Args:
            coefficients: (T - 2, 3) of three consecutive frames.
            weights: (T - 2, n).
            values: (T - 2, n) the terms' present values.
        """
        frames = len(weights)
        diagonal = np.einsum("tii->ti", self.blocks)
        c = coefficients[..., None]
        for i in range(3):
            diagonal[i : i + frames] += weights * c[:, i] ** 2
            self.gradient[i : i + frames] -= weights * c[:, i] * values
        ties = np.einsum("tii->ti", self.next_blocks)
        ties[:frames] += weights * c[:, 0] * c[:, 1]
        ties[1 : frames + 1] += weights * c[:, 1] * c[:, 2]
        self.second_ties += weights * c[:, 0] * c[:, 2]

    def add_steps(self, jacobian: np.ndarray, weights: np.ndarray, values: np.ndarray) -> None:
        """Add half of sum_t sum_r w_tr (values_tr + J_t+1,r x_t+1 - J_tr x_t)^2.

        Args:
            jacobian: (T, R, n) of what should not change from frame to frame.
            weights: (T - 1, R).
            values: (T - 1, R) how much it changes at present.
        """
        before, after = jacobian[:-1], jacobian[1:]
        weighted_before = (before * weights[..., None]).transpose(0, 2, 1)
        weighted_after = (after * weights[..., None]).transpose(0, 2, 1)
        self.blocks[:-1] += weighted_before @ before
        self.blocks[1:] += weighted_after @ after
        self.next_blocks -= weighted_after @ before
        self.gradient[:-1] += (weighted_before @ values[..., None])[..., 0]
        self.gradient[1:] -= (weighted_after @ values[..., None])[..., 0]

    def solve(self, damping: float) -> np.ndarray:
        """The solution x (T, n) of (A + damping diag(A)) x = g."""
        from scipy.linalg import solveh_banded

        frames, unknowns = self.gradient.shape
        band = self._lower_band()
        band[0] *= 1 + damping
        step = solveh_banded(
            band, self.gradient.ravel(), lower=True, overwrite_ab=True, check_finite=False
        )
        return step.reshape(frames, unknowns)

    def _lower_band(self) -> np.ndarray:
        """LAPACK's lower form: band[i - j, j] = A[i, j], (2 n + 1, T n), Fortran order."""
        frames, unknowns = self.gradient.shape
        width = 2 * unknowns + 1
        band = np.zeros((frames, unknowns, width))  # [t, j, offset]: the transpose, C order
        for j in range(unknowns):
            band[:, j, : unknowns - j] = self.blocks[:, j:, j]
            band[:-1, j, unknowns - j : 2 * unknowns - j] = self.next_blocks[:, :, j]
        band[:-2, :, 2 * unknowns] = self.second_ties
        lower = band.reshape(frames * unknowns, width).T
        return lower[: min(width, frames * unknowns)]
