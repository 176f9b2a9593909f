"""Cholesky decomposition of a symmetric positive definite matrix: A = L L'."""

from __future__ import annotations

import numpy as np

from tinynn.backend import Array, get_array_module
from tinynn.linalg.errors import NotPositiveDefiniteError
from tinynn.linalg.triangular import BLOCK, check_square, solve_lower


def cholesky(A: Array) -> Array:
    """The lower triangular L with a positive diagonal and ``A = L @ L.T``.

    Half the work of `lu`, and no pivoting: A = L L' says that the squares in a row of L add up to
    the diagonal element of A, so nothing can grow. Each block of columns first gives up what the
    blocks before it explain, in one matrix product; then its diagonal block is factored and the rest
    is a triangular solve.

    1/3 n^3 operations (S4).

    Parameters
    ----------
    A : array (n, n)

    Returns
    -------
    array (n, n)

    Raises
    ------
    NotPositiveDefiniteError
        If a pivot is not positive; its row is in ``pivot``.
    TypeError, ValueError
        If A is no square matrix of finite numbers, or not symmetric.

    References
    ----------
    Golub and Van Loan, Matrix Computations, 4th ed., section 4.2.
    """
    A = check_square(A, "A")
    xp = get_array_module(A)
    if xp.abs(A - A.T).max() > 100 * np.finfo(A.dtype).eps * xp.abs(A).max():
        raise ValueError("A is not symmetric; the Cholesky decomposition needs A = A'")
    n = len(A)
    L = xp.zeros_like(A)
    for k in range(0, n, BLOCK):
        end = min(k + BLOCK, n)
        L[k:, k:end] = A[k:, k:end] - L[k:, :k] @ L[k:end, :k].T
        for j in range(k, end):
            pivot = L[j, j] - L[j, k:j] @ L[j, k:j]
            if not pivot > 0:
                raise NotPositiveDefiniteError(
                    f"A is not positive definite: pivot {j} is {float(pivot):.2g}", j
                )
            L[j, j] = xp.sqrt(pivot)
            L[j + 1 : end, j] = (L[j + 1 : end, j] - L[j + 1 : end, k:j] @ L[j, k:j]) / L[j, j]
        L[end:, k:end] = solve_lower(L[k:end, k:end], L[end:, k:end].T).T  # L_21 = A_21 L_11'^-1
    return xp.tril(L)
