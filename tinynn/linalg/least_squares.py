"""least_squares: one function for all the ways to solve X w = y in the least-squares sense."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeAlias

import numpy as np

from tinynn.backend import Array, get_array_module
from tinynn.linalg import iterative
from tinynn.linalg.accumulators import GramAccumulator, TSQRAccumulator, column_means, row_blocks
from tinynn.linalg.direct import (
    FACTORIZATIONS,
    GRAM_METHODS,
    ORTHOGONAL_METHODS,
    check_choice,
    check_precision,
    default_rcond,
    solve_wide,
)
from tinynn.linalg.errors import FactorizationError
from tinynn.linalg.result import LeastSquaresResult
from tinynn.validation import check_array, check_number, check_same_length

_ITERATIVE: dict[str, Callable[..., tuple[Array, int]]] = {
    "gradient_descent": iterative.gradient_descent,
    "sgd": iterative.sgd,
    "newton": iterative.newton,
    "conjugate_gradient": iterative.conjugate_gradient,
}
_Means: TypeAlias = tuple[Array, Array] | None  # of X and of y, if there is an intercept
_Parts: TypeAlias = tuple[Array, Array, int | None, float | None, int | None]  # what LeastSquaresResult needs
METHODS = (*GRAM_METHODS, *ORTHOGONAL_METHODS, *_ITERATIVE)  # S4 (23)


def least_squares(
    X: Array,
    y: Array,
    method: str = "qr",
    alpha: float = 0.0,
    rcond: float | None = None,
    factorization: str = "lapack",
    *,
    fit_intercept: bool = False,
    dtype: Any = np.float64,
    **options: Any,
) -> LeastSquaresResult:
    """The w that minimises |X w - y|^2 + alpha |w|^2; of many such w the shortest.

    With `fit_intercept` it is |X w + b - y|^2 + alpha |w|^2, where b costs nothing.

    =================== ============================== ==========================================
    method              operations for X (M, n), M > n digits lost to the condition number kappa
    =================== ============================== ==========================================
    normal              M n^2 + 2/3 n^3                2 log10 kappa; LU of X'X
    cholesky            M n^2 + 1/3 n^3                2 log10 kappa; half as much as LU
    qr                  2 M n^2 - 2/3 n^3              log10 kappa (twice that if y is far from X w)
    pivoted_qr          qr + 4/3 n^3                   as qr; also for dependent columns
    svd                 qr + 4 to 20 n^3               as qr; also for dependent columns
    gradient_descent    4 M n a step                   about kappa^2 steps for each digit
    sgd                 8 M n an epoch                 as gradient descent, more when M is small
    newton              M n^2 + 1/3 n^3                works while kappa^2 < 1 / eps; refines itself
    conjugate_gradient  4 M n a step                   about kappa steps for each digit
    =================== ============================== ==========================================

    "qr" is the default: accurate, and it refuses dependent columns instead of choosing for you. No
    method is ever replaced by another. The one that cannot solve the problem raises an error, which
    says what would. (One rounding error is never the whole story: "up to machine precision", as the
    slides have it, holds for no method, an erratum of S4.)

    Tall problems are read once, in blocks of rows that stay in cache. For wide ones (M < n) the
    methods work on X' and find the shortest w. Columns are scaled to equal length by powers of two
    where that saves digits: for pivots, ranks and condition numbers, and for X'X; it never changes
    which w is the answer. The iterative methods take X as it is.

    `alpha` is scikit-learn's. The slides write 1/(2 M) |X w - y|^2 + lambda/2 |w|^2, which has the same
    minimum for alpha = lambda M. Every coefficient is penalised, a column of ones included: an
    intercept is not. The penalty is the same as least squares with n more samples, sqrt(alpha) I under
    X and zeros under y, and so it makes any problem well-posed.

    Parameters
    ----------
    X : array (M, n)
    y : array (M,) or (M, k)
        One column for each right-hand side.
    method : str
        See the table.
    alpha : float
        Ridge term, >= 0.
    rcond : float, optional
        Singular values smaller than this times the largest, columns scaled, count as zero; by default
        max(M, n) eps, and the root of min(M, n) eps for normal and cholesky, which square them.
    factorization : str
        "lapack" (SciPy; for CuPy arrays cuSOLVER), or "tinynn", those by hand in this package.
    fit_intercept : bool
        Whether there is a b. The best one is mean(y) - mean(X) w, so w is that of X and y with their
        means taken off: of both, not only of y (an erratum of the slides).
    dtype : dtype
        Precision of the computation, whatever that of X.
    **options
        For the iterative methods: tol, max_iter, callback, learning_rate ...; see `tinynn.linalg.iterative`.

    Returns
    -------
    LeastSquaresResult
        ``coef`` and ``intercept`` have the dtype of X. Rank and condition number are those of X as it
        is solved for: with an intercept, centred.

    Raises
    ------
    TypeError
        If X or y is sparse, text or of different array libraries, or an option is unknown.
    ValueError
        If X or y is complex, empty, not finite or of the wrong shape, or an argument is out of range.
    SingularMatrixError, NotPositiveDefiniteError
        From normal, and from cholesky and newton: X'X is so to working precision.
    RankDeficientError
        From qr: columns of X (if it is wide, rows) depend on each other to working precision.
    ConvergenceError
        From the iterative methods.

    References
    ----------
    S4 (8)-(25). Bjorck, Numerical Methods for Least Squares Problems (1996); Higham, Accuracy and
    Stability of Numerical Algorithms (2002), chapter 20.
    """
    method = check_choice(method, "method", METHODS)
    factorization = check_choice(factorization, "factorization", FACTORIZATIONS)
    alpha = check_number(alpha, "alpha", low=0, closed="left")
    X = check_array(X, "X", ndim=2, finite=False)
    y = check_array(y, "y", ndim=(1, 2), finite=False, like=X)
    M, n = check_same_length(X=X, y=y), X.shape[1]
    dtype = check_precision(dtype)
    if rcond is None:
        rcond = default_rcond(method, M, n, dtype)
    rcond = check_number(rcond, "rcond", low=0, high=1, closed="left")
    if options and method not in _ITERATIVE:
        raise TypeError(f"method {method!r} takes no {', '.join(options)}: it does not iterate")
    means = (column_means(X, dtype), column_means(y, dtype)) if fit_intercept else None
    solve: Callable[..., _Parts]
    if method in _ITERATIVE:
        solve = _iterate
    else:
        solve = _solve_tall if n <= M else _solve_wide
    try:
        w, residual_norm, rank, condition, iterations = solve(
            X, y, means, method, alpha, rcond, factorization, dtype, options
        )
    except FactorizationError as error:
        advice = _what_would_work(X, y, means, method, alpha, factorization, dtype)
        raise type(error)(
            f"method {method!r} failed: {error}; what would work: {advice}, or alpha={error.alpha:.2g}",
            error.pivot,
            error.alpha,
        ) from None
    b, w = _intercept(means, w).astype(X.dtype, copy=False), w.astype(X.dtype, copy=False)
    if y.ndim == 1:
        w, b, residual_norm = w[:, 0], float(b[0]), float(residual_norm[0])
    return LeastSquaresResult(w, residual_norm, rank, condition, method, iterations, b)


def _solve_tall(
    X: Array,
    y: Array,
    means: _Means,
    method: str,
    alpha: float,
    rcond: float,
    factorization: str,
    dtype: Any,
    _: Any,
) -> _Parts:
    kind = GramAccumulator if method in GRAM_METHODS else TSQRAccumulator
    rows = kind(dtype=dtype, factorization=factorization)
    for block in row_blocks(X, y, origin=means):
        if not rows.add(*block):
            _check_finite(X, y, dtype)
            raise ValueError(f"X or y is too large: sums of its squares overflow in {dtype}; rescale it")
    w, rank, condition = rows.solve_reduced(method, alpha, rcond)
    residual_norm = rows.residual_norm(w)
    if method in GRAM_METHODS:
        # From X'X it comes as a difference: where that leaves less than 8 digits, the data are read again.
        noise = np.finfo(dtype).eps * X.shape[1] * condition**2 * rows.residual_norm(0 * w) ** 2
        if (residual_norm**2 < 1e8 * noise).any():
            residual_norm = _residual_norm(X, y, w, _intercept(means, w))
    return w, residual_norm, rank, condition, None


def _solve_wide(
    X: Array,
    y: Array,
    means: _Means,
    method: str,
    alpha: float,
    rcond: float,
    factorization: str,
    dtype: Any,
    _: Any,
) -> _Parts:
    X, Y = _check_finite(X, y, dtype, means)
    w, rank, condition = solve_wide(X, Y, method, alpha, rcond, FACTORIZATIONS[factorization])
    return w, _residual_norm(X, Y, w), rank, condition, None


def _iterate(
    X: Array,
    y: Array,
    means: _Means,
    method: str,
    alpha: float,
    rcond: float,
    factorization: str,
    dtype: Any,
    options: Any,
) -> _Parts:
    X, Y = _check_finite(X, y, dtype, means)
    if method == "newton":
        options = {"factorization": factorization, **options}
    w, iterations = _ITERATIVE[method](X, Y, alpha, **options)
    return w, _residual_norm(X, Y, w), None, None, iterations


def _check_finite(X: Array, y: Array, dtype: Any, means: _Means = None) -> tuple[Array, Array]:
    """Both in the precision of the computation, y as a matrix; ValueError if a number is not finite."""
    X, y = check_array(X, "X", dtype=dtype), check_array(y, "y", dtype=dtype)
    if means is not None:
        X, y = X - means[0], y - means[1]
    return X, y[:, None] if y.ndim == 1 else y


def _intercept(means: _Means, w: Array) -> Array:
    """The b that belongs to each column of w."""
    return 0 * w[0] if means is None else means[1] - means[0] @ w


def _residual_norm(X: Array, y: Array, w: Array, b: Array = 0.0) -> Array:
    """|X w + b - y| for each column, from the data themselves."""
    xp = get_array_module(X)
    residual = X @ w
    residual += b
    residual -= y[:, None] if y.ndim == 1 else y
    return xp.linalg.norm(residual, axis=0)


def _what_would_work(
    X: Array, y: Array, means: _Means, method: str, alpha: float, factorization: str, dtype: Any
) -> str:
    """The method to take instead of one that cannot."""
    if method != "qr":
        fit_intercept = means is not None
        try:
            least_squares(
                X, y, "qr", alpha, factorization=factorization, fit_intercept=fit_intercept, dtype=dtype
            )
        except FactorizationError:
            pass
        else:
            return "method='qr'"
    return "method='pivoted_qr' or 'svd'"
