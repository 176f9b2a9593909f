"""Least squares that is already small: from the normal equations, or from a triangle R and Q'y.

A tall problem reaches these through `tinynn.linalg.accumulators`, which read the data once; a wide
one is turned into a square problem here. All arrays are matrices, checked by the caller; y has one
column for each right-hand side.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from types import SimpleNamespace
from typing import Any, NamedTuple

import numpy as np

import tinynn.linalg.lapack as lapack
from tinynn.backend import Array, get_array_module
from tinynn.linalg.cholesky import cholesky
from tinynn.linalg.errors import (
    FactorizationError,
    NotPositiveDefiniteError,
    RankDeficientError,
    SingularMatrixError,
)
from tinynn.linalg.lu import lu
from tinynn.linalg.qr import append_rows, qr
from tinynn.linalg.svd import svd
from tinynn.linalg.triangular import solve_lower, solve_upper

GRAM_METHODS = ("normal", "cholesky")
ORTHOGONAL_METHODS = ("qr", "pivoted_qr", "svd")


def _solve_svd(A: Array, b: Array) -> tuple[Array, Array]:
    U, s, Vt = svd(A)
    smallest = np.finfo(s.dtype).tiny  # what is divided by zero here is not used: the rank is too small
    return Vt.T @ ((U.T @ b) / s.clip(smallest)[:, None]), s


FACTORIZATIONS: dict[str, Any] = {
    "lapack": lapack,
    "tinynn": SimpleNamespace(
        gram=lambda A: A.T @ A,
        solve_lower=solve_lower,
        solve_upper=solve_upper,
        lu=lu,
        cholesky=cholesky,
        qr=qr,
        append_rows=append_rows,
        svd=svd,
        solve_svd=_solve_svd,
    ),
}


def check_choice(name: str, argument: str, choices: Iterable[str]) -> str:
    """`name` if it is one of the choices, else a ValueError that lists them."""
    if name not in choices:
        raise ValueError(f"{argument} must be one of {', '.join(choices)}; got {name!r}")
    return name


def check_precision(dtype: Any) -> np.dtype:
    """`dtype` as float32 or float64; a ValueError for any other."""
    if np.dtype(dtype) not in (np.float32, np.float64):
        raise ValueError(f"dtype must be float32 or float64; got {dtype!r}")
    return np.dtype(dtype)


class Solution(NamedTuple):
    """Coefficients (n, k), numerical rank, and condition number with the columns equilibrated."""

    coef: Array
    rank: int
    condition_number: float


def default_rcond(method: str, M: int, n: int, dtype: Any) -> float:
    """Singular values smaller than this times the largest count as zero.

    max(M, n) eps is how far rounding moves them. X'X squares them, so there their root counts.
    """
    eps = float(np.finfo(dtype).eps)
    return (min(M, n) * eps) ** 0.5 if method in GRAM_METHODS else max(M, n) * eps


def solve_wide(X: Array, y: Array, method: str, alpha: float, rcond: float, tools: Any) -> Solution:
    """Minimum-norm (or ridge) solution for X (M, n) with M < n: it is a combination of the rows of X."""
    xp = get_array_module(X)
    if method in GRAM_METHODS:
        # (X'X + alpha I)^-1 X' = X' (X X' + alpha I)^-1, where the matrix on the right is only M x M
        v, rank, condition = solve_gram(X @ X.T, y, method, alpha, rcond, tools)
        return Solution(X.T @ v, rank, condition)
    Z, S = tools.qr(X.T)  # X = S' Z', so w = Z v has the length of v, and X w = S' v
    square = xp.concatenate([S.T, y], axis=1)
    start = xp.zeros((square.shape[1], square.shape[1]), dtype=X.dtype)
    triangle = tools.append_rows(start, square)
    v, rank, condition = solve_triangle(triangle, len(X), method, alpha, rcond, tools, equilibrate=False)
    return Solution(Z @ v, rank, condition)


def solve_gram(G: Array, b: Array, method: str, alpha: float, rcond: float, tools: Any) -> Solution:
    """Solve (G + alpha I) w = b, the normal equations with G = X'X and b = X'y."""
    solve, condition = factor_gram(G, method, alpha, rcond, tools)
    return Solution(solve(b), len(G), condition)  # S4 (15), S4 (22)


def factor_gram(
    G: Array, method: str, alpha: float, rcond: float, tools: Any
) -> tuple[Callable[[Array], Array], float]:
    """The map b -> (G + alpha I)^-1 b, by Cholesky or else by LU, and the condition number of X.

    Rows and columns are scaled so that the diagonal is about 1, which brings the condition number
    within a factor n of the best that scaling can do (van der Sluis 1969, Numer. Math. 14, 14).

    Raises
    ------
    NotPositiveDefiniteError, SingularMatrixError
        If G + alpha I is so to working precision: a pivot or 1 / condition number is below rcond^2.
    """
    xp = get_array_module(G)
    n = len(G)
    suggestion = suggest_alpha(xp.diagonal(G), rcond**2)
    G, diagonal = G.copy(), range(n)
    G[diagonal, diagonal] += alpha  # S4 (20)
    d = power_of_two(xp, xp.sqrt(xp.diagonal(G)))
    G /= d
    G /= d[:, None]
    kind = NotPositiveDefiniteError if method == "cholesky" else SingularMatrixError
    what = "X'X is not positive definite" if method == "cholesky" else "X'X is singular"
    try:
        if method == "cholesky":
            L = tools.cholesky(G)
            pivots = xp.diagonal(L) ** 2
        else:
            p, L, U = tools.lu(G)
            pivots = xp.abs(xp.diagonal(U))
    except FactorizationError as error:
        raise kind(f"{what} to working precision (pivot {error.pivot})", error.pivot, suggestion) from None
    small = pivots <= rcond**2
    if small.any():
        pivot = int(small.argmax())
        raise kind(f"{what} to working precision (pivot {pivot})", pivot, suggestion)

    def solve(b: Array) -> Array:
        b = b / d[:, None]
        if method == "cholesky":
            z = tools.solve_upper(L.T, tools.solve_lower(L, b))
        else:
            z = tools.solve_upper(U, tools.solve_lower(L, b[p]))
        return z / d[:, None]

    condition = (
        estimate_condition(xp, lambda x: G @ x, lambda x: d[:, None] * solve(d[:, None] * x), n) ** 0.5
    )
    if not condition < 1 / rcond:
        raise kind(f"{what} to working precision (condition number {condition**2:.1e})", None, suggestion)
    return solve, condition


def solve_triangle(
    triangle: Array, n: int, method: str, alpha: float, rcond: float, tools: Any, *, equilibrate: bool = True
) -> Solution:
    """Minimise |R w - c|^2 + alpha |w|^2, with the w of least norm if there are many.

    `triangle` is that of [X y], R its first n columns and c = Q'y the others. Whether columns depend
    on each other must not hinge on their units, so ranks are found with all columns scaled to about
    the same length. The least norm is that of the true w.

    Raises
    ------
    RankDeficientError
        If the method is "qr" and R is singular to working precision.
    """
    xp = get_array_module(triangle)
    lengths = scales = _column_lengths(xp, triangle[:n, :n])
    if alpha > 0:  # as n more samples, sqrt(alpha) I under X and zeros under y
        ridge = alpha**0.5 * xp.eye(n, triangle.shape[1], dtype=triangle.dtype)  # S4 (18)
        triangle = tools.append_rows(triangle, ridge)
        scales = _column_lengths(xp, triangle[:n, :n])
    R, c = triangle[:n, :n], triangle[:n, n:]
    d = power_of_two(xp, scales) if equilibrate else xp.ones_like(lengths)
    T = R / d
    if method == "qr":
        condition = _condition_of_triangle(xp, T, tools)
        if not condition < 1 / rcond:
            raise RankDeficientError(
                "the columns of X depend on each other to working precision "
                f"(condition number {condition:.1e})",
                None,
                suggest_alpha(lengths**2, rcond),
            )
        return Solution(tools.solve_upper(R, c), n, condition)  # S4 (25)
    if method == "svd":
        z, s = tools.solve_svd(T, c)
        rank = int((s > rcond * s[0]).sum())
        if rank == n:
            return Solution(z / d[:, None], n, float(s[0] / s[-1]))
        U, s, Vt = tools.svd(T)
        rows, c = s[:rank, None] * Vt[:rank], U[:, :rank].T @ c
    else:
        Q, T, p = tools.qr(T, pivoting=True)
        pivots = xp.abs(xp.diagonal(T))
        rank = int((pivots > rcond * pivots[0]).sum())
        rows = xp.zeros_like(T[:rank])
        rows[:, p], c = T[:rank], Q[:, :rank].T @ c
        if rank == n:
            z = xp.zeros_like(c)
            z[p] = tools.solve_upper(T, c)
            return Solution(z / d[:, None], n, _condition_of_triangle(xp, T, tools))
    return Solution(_minimum_norm(rows * d, c, tools), rank, np.inf)


def _minimum_norm(A: Array, b: Array, tools: Any) -> Array:
    """The shortest w with A w = b, for rows of A that are independent."""
    if len(A) == 0:
        return get_array_module(A).zeros((A.shape[1], b.shape[1]), dtype=A.dtype)
    Z, S = tools.qr(A.T)
    return Z @ tools.solve_lower(S.T, b)


def estimate_condition(
    xp: Any, multiply: Callable[[Array], Array], solve: Callable[[Array], Array], n: int, steps: int = 5
) -> float:
    """Condition number of a symmetric positive definite matrix, from below, by power iteration.

    The largest eigenvalue of the matrix times that of its inverse, each as far as `steps` products
    find it. Seldom short by more than a factor 2, and n^2 instead of n^3 operations.
    """
    condition = 1.0
    for apply in (multiply, solve):
        x = xp.cos(xp.arange(n))[:, None]  # without structure, so not orthogonal to what is looked for
        for _ in range(steps):
            with np.errstate(over="ignore", invalid="ignore"):
                x = apply(x / xp.linalg.norm(x))
        condition *= float(xp.linalg.norm(x))
    return condition if np.isfinite(condition) else np.inf


def _condition_of_triangle(xp: Any, T: Array, tools: Any) -> float:
    if (xp.diagonal(T) == 0).any():
        return np.inf
    squared = estimate_condition(
        xp,
        lambda x: T.T @ (T @ x),
        lambda x: tools.solve_upper(T, tools.solve_lower(T.T, x)),
        len(T),
    )
    return squared**0.5


def suggest_alpha(squared_lengths: Array, noise: float) -> float:
    """A ridge term that drowns what rounding leaves of dependent columns of these lengths.

    Rounding turns a singular value 0 into sigma, about `noise` times the length of a column, and the
    ridge answers with y sigma / (sigma^2 + alpha) along it: harmless only if alpha exceeds sigma times
    that length by far. The 1000 keeps two or three digits right whatever y is.
    """
    return 1000 * len(squared_lengths) * noise * float(squared_lengths.max()) or 1.0


def power_of_two(xp: Any, lengths: Array) -> Array:
    """The powers of two next to `lengths`, and 1 for 0: scaling by them rounds nothing."""
    return xp.exp2(xp.round(xp.log2(xp.where(lengths > 0, lengths, 1))))


def _column_lengths(xp: Any, A: Array) -> Array:
    """Euclidean lengths, also where squares would overflow."""
    largest = xp.abs(A).max(axis=0)
    largest = xp.where(largest > 0, largest, 1)
    return largest * xp.sqrt(xp.sum((A / largest) ** 2, axis=0))
