# SPDX-License-Identifier: GPL-3.0-or-later
"""Equations in which each unknown meets its neighbours alone, by cyclic reduction.

D_0 U_0                    every other block is eliminated, all at once; what is left has the
U_0' D_1 U_1               same shape and half the blocks.
     U_1' D_2 ...          (Hockney 1965; Golub and Van Loan, Matrix Computations, 4.5.4)
"""

import numpy as np


def solve_blocks(diagonal: np.ndarray, upper: np.ndarray, right: np.ndarray) -> np.ndarray:
    """x (N, n) of a symmetric, positive definite matrix of N by N blocks.

    Args:
        diagonal: (N, n, n) D_i.
        upper: (N - 1, n, n) U_i, from block i to i + 1.
        right: (N, n)

    Raises:
        LinAlgError: the matrix is singular.
    """
    count = len(diagonal)
    if count == 1:
        return np.linalg.solve(diagonal, right[..., None])[..., 0]
    odd = slice(1, None, 2)
    before = upper[0::2].swapaxes(-1, -2)  # from each odd block to the one before
    after = upper[1::2]  # and to the one after, which the last may lack
    known = np.concatenate([before, right[odd][..., None]], -1)
    known = np.linalg.solve(diagonal[odd], known)
    before_x, right_x = known[..., :-1], known[..., -1:]
    last = len(after)
    after_x = np.linalg.solve(diagonal[odd][:last], after)
    left = upper[0::2]
    kept, kept_right = diagonal[0::2].copy(), right[0::2].copy()
    kept[: len(left)] -= left @ before_x
    kept_right[: len(left)] -= (left @ right_x)[..., 0]
    kept[1 : last + 1] -= after.swapaxes(-1, -2) @ after_x
    kept_right[1 : last + 1] -= (after.swapaxes(-1, -2) @ right_x[:last])[..., 0]
    even = solve_blocks(kept, -(left[:last] @ after_x), kept_right)
    out = np.empty_like(right)
    out[0::2] = even
    out[odd] = (right_x - before_x @ even[: len(left), :, None])[..., 0]
    out[odd][:last] -= (after_x @ even[1 : last + 1, :, None])[..., 0]
    return out
