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
from numpy.lib.stride_tricks import as_strided


@dataclass
class BandedSystem:
    """Normal equations A x = g of T frames with n unknowns each.

    Attributes:
        gradient: (T, n) right-hand side.
        ties: (T, n) the diagonals b of next neighbours' ties.
        band: (T, n, 2 n + 1) what is below the diagonal, LAPACK's lower form: column j of frame t
            of the whole matrix is band[t, j], from the diagonal down; b is added by `solve`.
        blocks: (T, n, n) symmetric diagonal blocks, within the band: row j begins at its diagonal
            in column j, and what is left of that lies at the end of column j - 1, where the matrix
            has nothing but b.
    """

    gradient: np.ndarray
    ties: np.ndarray
    band: np.ndarray
    blocks: np.ndarray

    @classmethod
    def zeros(cls, frames: int, unknowns: int) -> "BandedSystem":
        """An empty system."""
        band = np.zeros((frames, unknowns, 2 * unknowns + 1))
        frame, column, row = band.strides
        blocks = as_strided(band, (frames, unknowns, unknowns), (frame, column - row, row))
        gradient, ties = np.zeros((2, frames, unknowns))
        return cls(gradient, ties, band, blocks)

    @property
    def next_blocks(self) -> np.ndarray:
        """(T - 1, n, n) the blocks of frame t + 1 (rows) and frame t (columns), within the band."""
        frames, unknowns = self.gradient.shape
        frame, column, row = self.band.strides
        return as_strided(
            self.band[..., unknowns:],
            (max(frames - 1, 0), unknowns, unknowns),
            (frame, row, column - row),
        )

    def add_rows(self, columns: np.ndarray, rows: np.ndarray, values: np.ndarray) -> None:
        """Add half of sum_t sum_r (values_tr + J_tr x_t)^2.

        Args:
            columns: (C,) the unknowns that it is about, rising.
            rows: (T, ..., C) J.
            values: (T, ...) present values.
        """
        frames = len(rows)
        rows, values = rows.reshape(frames, -1, len(columns)), values.reshape(frames, -1, 1)
        across = rows.transpose(0, 2, 1)
        _add(self.blocks, columns, across @ rows)
        self.gradient[:, columns] -= (across @ values)[..., 0]

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
            share = weights * c[:, i]
            diagonal[i : i + frames] += share * c[:, i]
            self.gradient[i : i + frames] -= share * values
        ties = np.einsum("tii->ti", self.next_blocks)
        ties[:frames] += weights * (c[:, 0] * c[:, 1])
        ties[1 : frames + 1] += weights * (c[:, 1] * c[:, 2])
        self.ties[:frames] += weights * (c[:, 0] * c[:, 2])

    def add_steps(
        self, columns: np.ndarray, jacobian: np.ndarray, weights: np.ndarray, values: np.ndarray
    ) -> None:
        """Add half of sum_t sum_r w_tr (values_tr + J_t+1,r x_t+1 - J_tr x_t)^2.

        Args:
            columns: (C,) the unknowns that it is about, rising.
            jacobian: (T, R, C) of what should not change from frame to frame.
            weights: (T - 1, R).
            values: (T - 1, R) how much it changes at present.
        """
        before, after = jacobian[:-1], jacobian[1:]
        weighted_before = (before * weights[..., None]).transpose(0, 2, 1)
        weighted_after = (after * weights[..., None]).transpose(0, 2, 1)
        _add(self.blocks[:-1], columns, weighted_before @ before)
        _add(self.blocks[1:], columns, weighted_after @ after)
        _add(self.next_blocks, columns, -weighted_after @ before)
        self.gradient[:-1, columns] += (weighted_before @ values[..., None])[..., 0]
        self.gradient[1:, columns] -= (weighted_after @ values[..., None])[..., 0]

    def solve(self, damping: float) -> np.ndarray:
        """The solution x (T, n) of (A + damping diag(A)) x = g; the system is used up."""
        from scipy.linalg import solveh_banded

        frames, unknowns = self.gradient.shape
        for j in range(unknowns):
            self.band[:, j, 2 * unknowns - j :] = 0
        self.band[..., -1] = self.ties
        self.band[..., 0] *= 1 + damping
        lower = self.band.reshape(frames * unknowns, -1).T[: frames * unknowns]
        step = solveh_banded(
            lower, self.gradient.ravel(), lower=True, overwrite_ab=True, check_finite=False
        )
        return step.reshape(frames, unknowns)


def _add(blocks: np.ndarray, columns: np.ndarray, some: np.ndarray) -> None:
    """Add (T, C, C) to the rows and columns (C,) of blocks (T, n, n), run by run."""
    ends = np.flatnonzero(np.diff(columns) > 1) + 1
    runs = np.split(np.arange(len(columns)), ends)
    for here in runs:
        for there in runs:
            rows, across = (slice(columns[k[0]], columns[k[-1]] + 1) for k in (here, there))
            blocks[:, rows, across] += some[:, here[0] : here[-1] + 1, there[0] : there[-1] + 1]
