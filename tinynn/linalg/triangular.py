"""Forward and backward substitution, in blocks."""

from __future__ import annotations

import numpy as np

from tinynn.backend import Array, get_array_module
from tinynn.linalg.errors import SingularMatrixError
from tinynn.validation import check_array

BLOCK = 64  # a diagonal block of float64 takes 32 KiB, which fits into the fastest cache


def solve_lower(L: Array, b: Array, *, unit_diagonal: bool = False) -> Array:
    """Solve L x = b from the top down; L is lower triangular, what lies above its diagonal is not read.

    n^2 operations for each right-hand side, nearly all of them in matrix products: of the rows
    above, a block of rows takes off what it depends on in one product.

    Parameters
    ----------
    L : array (n, n)
    b : array (n,) or (n, k)
    unit_diagonal : bool
        Take the diagonal as 1, without reading it.

    Returns
    -------
    array of the shape of b

    Raises
    ------
    SingularMatrixError
        If a diagonal element is 0; its index is in ``pivot``.
    TypeError, ValueError
        If L is no square matrix, b does not fit, or either is not finite numbers.

    References
    ----------
    Golub and Van Loan, Matrix Computations, 4th ed., section 3.1.
    """
    L, x = _check(L, b, "L", unit_diagonal)
    n = len(x)
    for i in range(0, n, BLOCK):
        stop = min(i + BLOCK, n)
        x[i:stop] -= L[i:stop, :i] @ x[:i]
        for j in range(i, stop):
            x[j] -= L[j, i:j] @ x[i:j]  # x_j = (b_j - sum_(l<j) L_jl x_l) / L_jj
            if not unit_diagonal:
                x[j] /= L[j, j]
    return x


def solve_upper(U: Array, b: Array, *, unit_diagonal: bool = False) -> Array:
    """Solve U x = b from the bottom up; U is upper triangular, what lies below its diagonal is not read.

    Cost, arguments and errors as `solve_lower`, with U for L.
    """
    U, x = _check(U, b, "U", unit_diagonal)
    n = len(x)
    for stop in range(n, 0, -BLOCK):
        i = max(stop - BLOCK, 0)
        x[i:stop] -= U[i:stop, stop:] @ x[stop:]
        for j in range(stop - 1, i - 1, -1):
            x[j] -= U[j, j + 1 : stop] @ x[j + 1 : stop]  # x_j = (b_j - sum_(l>j) U_jl x_l) / U_jj
            if not unit_diagonal:
                x[j] /= U[j, j]
    return x


def _check(T: Array, b: Array, name: str, unit_diagonal: bool) -> tuple[Array, Array]:
    """T, and a copy of b that the solution may overwrite, once they are known to fit."""
    T = check_square(T, name)
    b = check_array(b, "b", ndim=(1, 2), empty=True, like=T)
    if len(b) != len(T):
        raise ValueError(f"b has {len(b)} rows but {name} has {len(T)}")
    xp = get_array_module(T)
    zero = xp.diagonal(T) == 0
    if not unit_diagonal and zero.any():
        first = int(zero.argmax())
        raise SingularMatrixError(f"{name} is singular: {name}[{first}, {first}] is 0", first)
    return T, xp.array(b, dtype=np.promote_types(T.dtype, b.dtype))


def check_square(A: Array, name: str) -> Array:
    """`A` as a finite square matrix; TypeError or ValueError otherwise."""
    A = check_array(A, name, ndim=2)
    if A.shape[0] != A.shape[1]:
        raise ValueError(f"{name} has shape {A.shape}; wanted a square matrix (n, n)")
    return A
