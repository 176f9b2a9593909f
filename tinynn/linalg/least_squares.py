"""least_squares: one function for all the ways to solve X w = y in the least-squares sense."""

from __future__ import annotations

import functools
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import numpy as np

from tinynn.backend import Array, get_array_module
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
from tinynn.linalg.iterative import conjugate_gradient, gradient_descent, newton, sgd
from tinynn.linalg.result import LeastSquaresResult
from tinynn.validation import check_array, check_number, check_same_length

_ITERATIVE: dict[str, Callable[..., tuple[Array, int]]] = {
    "gradient_descent": gradient_descent,
    "sgd": sgd,
    "newton": newton,
    "conjugate_gradient": conjugate_gradient,
}
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
    problem = _Problem(X, y, method, alpha, rcond, factorization, fit_intercept, dtype, options)
    try:
        if method in _ITERATIVE:
            w, residual_norm, rank, condition, iterations = _iterate(problem)
        else:
            iterations = None
            w, residual_norm, rank, condition = (_solve_tall if n <= M else _solve_wide)(problem)
    except FactorizationError as error:
        raise type(error)(
            f"method {method!r} failed: {error}; what would work: {_what_would_work(problem)}, "
            f"or alpha={error.alpha:.2g}",
            error.pivot,
            error.alpha,
        ) from None
    b, w = problem.intercept(w).astype(X.dtype, copy=False), w.astype(X.dtype, copy=False)
    if y.ndim == 1:
        w, b, residual_norm = w[:, 0], float(b[0]), float(residual_norm[0])
    return LeastSquaresResult(w, residual_norm, rank, condition, method, iterations, b)


@dataclass(frozen=True)
class _Problem:
    """What `least_squares` was asked, checked but for NaN and inf; y as it came, w and b for columns of y."""

    X: Array
    y: Array
    method: str
    alpha: float
    rcond: float
    factorization: str
    fit_intercept: bool
    dtype: Any
    options: dict[str, Any]

    @functools.cached_property
    def means(self) -> tuple[Array, Array] | None:
        """Of X and of y, if there is an intercept."""
        return (
            (column_means(self.X, self.dtype), column_means(self.y, self.dtype))
            if self.fit_intercept
            else None
        )

    def matrices(self) -> tuple[Array, Array]:
        """X and y, a matrix too, centred if there is an intercept; ValueError for NaN and inf."""
        X, y = check_array(self.X, "X", dtype=self.dtype), check_array(self.y, "y", dtype=self.dtype)
        if self.means is not None:
            X, y = X - self.means[0], y - self.means[1]
        return X, y[:, None] if y.ndim == 1 else y

    def intercept(self, w: Array) -> Array:
        """The b that belongs to each column of w."""
        return 0 * w[0] if self.means is None else self.means[1] - self.means[0] @ w

    def residual_norm(self, w: Array) -> Array:
        """|X w + b - y| for each column, from the data themselves."""
        residual = self.X @ w
        residual += self.intercept(w)
        residual -= self.y[:, None] if self.y.ndim == 1 else self.y
        return get_array_module(w).linalg.norm(residual, axis=0)


def _solve_tall(p: _Problem) -> tuple[Array, Array, int, float]:
    kind = GramAccumulator if p.method in GRAM_METHODS else TSQRAccumulator
    rows = kind(dtype=p.dtype, factorization=p.factorization)
    for block in row_blocks(p.X, p.y, origin=p.means):
        if not rows.add(*block):
            p.matrices()  # says where the NaN is
            raise ValueError(f"X or y is too large: sums of its squares overflow in {p.dtype}; rescale it")
    w, rank, condition = rows.solve_reduced(p.method, p.alpha, p.rcond)
    residual_norm = rows.residual_norm(w)
    if p.method in GRAM_METHODS:
        # From X'X it comes as a difference: where that leaves less than 8 digits, the data are read again.
        noise = np.finfo(p.dtype).eps * p.X.shape[1] * condition**2 * rows.residual_norm(0 * w) ** 2
        if (residual_norm**2 < 1e8 * noise).any():
            residual_norm = p.residual_norm(w)
    return w, residual_norm, rank, condition


def _solve_wide(p: _Problem) -> tuple[Array, Array, int, float]:
    X, y = p.matrices()
    w, rank, condition = solve_wide(X, y, p.method, p.alpha, p.rcond, FACTORIZATIONS[p.factorization])
    return w, p.residual_norm(w), rank, condition


def _iterate(p: _Problem) -> tuple[Array, Array, None, None, int]:
    X, y = p.matrices()
    newton_too = {"factorization": p.factorization} if p.method == "newton" else {}
    w, iterations = _ITERATIVE[p.method](X, y, p.alpha, **newton_too | p.options)
    return w, p.residual_norm(w), None, None, iterations


def _what_would_work(p: _Problem) -> str:
    """The method to take instead of one that cannot."""
    if p.method != "qr":
        with suppress(FactorizationError):
            least_squares(
                *(p.X, p.y, "qr", p.alpha),
                factorization=p.factorization,
                fit_intercept=p.fit_intercept,
                dtype=p.dtype,
            )
            return "method='qr'"
    return "method='pivoted_qr' or 'svd'"
