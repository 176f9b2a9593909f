"""The Cholesky factor of a large matrix: made in the memory of the matrix, and grown where it grows."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

import tinynn.linalg.lapack as lapack
from tinynn.backend import Array, get_array_module
from tinynn.linalg.errors import NotPositiveDefiniteError

BLOCK = 512  # columns at a time
SMALL = 2**13  # rows up to which a matrix is one block
LOST = 100 * np.finfo(np.float64).eps  # a pivot that small beside its diagonal element is rounding


class CholeskyFactor:
    """A = L L', with L written over A: `tinynn.linalg.cholesky` for matrices that fit in memory once.

    Only the lower half of A has to be filled; what lies above the diagonal is neither read nor written,
    but for blocks on the diagonal. Each block of columns gives up what the blocks before it explain, in
    one product of matrices, which is where nearly all the n^3/3 operations are. Its diagonal block goes to
    LAPACK (potrf), the rest is a triangular solve. A small matrix is a single block. One of 20 000 rows does
    not go to potrf as a whole: that of OpenBLAS 0.3.30 crashes on it with two threads.

    Parameters
    ----------
    A : array (n, n)
        float64; it belongs to the factor from now on.

    Raises
    ------
    NotPositiveDefiniteError
        If a pivot is not positive, or so small beside its diagonal element that it is nothing but
        rounding; its row is in ``pivot``.
    """

    def __init__(self, A: Array) -> None:
        _factor(A, A.diagonal().copy())
        self.L = A

    def __len__(self) -> int:
        return len(self.L)

    def solve_lower(self, b: Array) -> Array:
        """L^-1 b for b (n,) or (n, k)."""
        return lapack.solve_lower(self.L, b)

    def solve(self, b: Array) -> Array:
        """A^-1 b for b (n,) or (n, k)."""
        return lapack.solve_upper(self.L.T, lapack.solve_lower(self.L, b))

    def extend(self, A_21: Array, A_22: Array, empty: Callable[[int], Array]) -> None:
        """The factor of the matrix with m further rows and columns; n^2 m operations.

        ::

            [A    A_21']   [L        ] [L'  L_21']       L_21 = A_21 L'^-1
            [A_21 A_22 ] = [L_21 L_22] [    L_22']       L_22 L_22' = A_22 - L_21 L_21'

        Parameters
        ----------
        A_21 : array (m, n)
        A_22 : array (m, m)
        empty : callable
            Gives the memory for a matrix of so many rows: the old factor is copied there.

        Raises
        ------
        NotPositiveDefiniteError
            As the factor itself; it stays as it was then.
        """
        n = len(self.L)
        L_21 = self.solve_lower(A_21.T).T
        L_22 = A_22 - L_21 @ L_21.T
        _factor(L_22, A_22.diagonal(), first=n)
        L = empty(n + len(A_22))
        L[:n, :n] = self.L
        L[:n, n:] = 0
        L[n:, :n] = L_21
        L[n:, n:] = L_22
        self.L = L


def _factor(A: Array, scale: Array, first: int = 0) -> None:
    """Write L over A; pivots are compared with `scale`, and counted from `first`."""
    xp, n = get_array_module(A), len(A)
    size = BLOCK if n > SMALL else n
    for k in range(0, n, size):
        end = min(k + size, n)
        if k > 0:
            A[k:end, k:end] = xp.tril(A[k:end, k:end])  # what lies above may be no numbers at all
            A[k:, k:end] -= A[k:, :k] @ A[k:end, :k].T
        A[k:end, k:end] = _factor_block(A[k:end, k:end], scale[k:end], first + k)
        if end < n:  # L_21 = A_21 L_11'^-1
            A[end:, k:end] = lapack.solve_lower(A[k:end, k:end], A[end:, k:end].T).T


def _factor_block(A: Array, scale: Array, first: int) -> Array:
    try:
        L = lapack.cholesky(A, overwrite=True)
    except NotPositiveDefiniteError as error:
        pivot = first + error.pivot  # type: ignore[operator]  # those of Cholesky name it
        raise NotPositiveDefiniteError(f"A is not positive definite: pivot {pivot}", pivot) from error
    small = L.diagonal() ** 2 <= LOST * scale
    if small.any():
        pivot = first + int(small.argmax())
        raise NotPositiveDefiniteError(f"A is not positive definite: pivot {pivot} is rounding", pivot)
    return L
