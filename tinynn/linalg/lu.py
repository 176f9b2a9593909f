"""LU decomposition with partial pivoting: P A = L U."""

from __future__ import annotations

from tinynn.backend import Array, get_array_module
from tinynn.linalg.errors import SingularMatrixError
from tinynn.linalg.triangular import BLOCK, check_square, solve_lower


def lu(A: Array) -> tuple[Array, Array, Array]:
    """Factors of A with its rows permuted: ``A[p] = L @ U``.

    Gaussian elimination. In each column the largest element left becomes the pivot, so that no
    multiplier in L exceeds 1. A block of columns is eliminated one by one (the panel), then all that
    stands to its right in one triangular solve and one matrix product.

    2/3 n^3 operations (S4); solving with the factors takes 2 n^2 more for each right-hand side.

    Parameters
    ----------
    A : array (n, n)

    Returns
    -------
    p : int array (n,)
        Row p[i] of A is row i of L U.
    L : array (n, n)
        Lower triangular, 1 on the diagonal.
    U : array (n, n)
        Upper triangular.

    Raises
    ------
    SingularMatrixError
        If a pivot is exactly 0; its column is in ``pivot``. Rounding makes most singular matrices
        slightly regular: small is not 0, only a condition number tells.
    TypeError, ValueError
        If A is no square matrix of finite numbers.

    References
    ----------
    Golub and Van Loan, Matrix Computations, 4th ed., section 3.4.
    """
    A = check_square(A, "A")
    xp = get_array_module(A)
    n = len(A)
    LU = xp.array(A)  # U and, below its diagonal, L
    p = xp.arange(n)
    for k in range(0, n, BLOCK):
        end = min(k + BLOCK, n)
        for j in range(k, end):
            pivot = j + int(xp.abs(LU[j:, j]).argmax())
            if LU[pivot, j] == 0:
                raise SingularMatrixError(f"A is singular: column {j} has no pivot other than 0", j)
            if pivot != j:
                LU[[j, pivot]] = LU[[pivot, j]]
                p[[j, pivot]] = p[[pivot, j]]
            LU[j + 1 :, j] /= LU[j, j]
            LU[j + 1 :, j + 1 : end] -= xp.outer(LU[j + 1 :, j], LU[j, j + 1 : end])
        LU[k:end, end:] = solve_lower(LU[k:end, k:end], LU[k:end, end:], unit_diagonal=True)
        LU[end:, end:] -= LU[end:, k:end] @ LU[k:end, end:]
    return p, xp.tril(LU, -1) + xp.eye(n, dtype=LU.dtype), xp.triu(LU)
