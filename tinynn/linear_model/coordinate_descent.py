"""Lasso and elastic net: a penalty on |w| that sets weights to exactly zero, by coordinate descent."""

from __future__ import annotations

from types import ModuleType
from typing import Self

import numpy as np

from tinynn.backend import Array
from tinynn.estimator import warn_not_converged
from tinynn.linear_model.base import LinearRegressor, center
from tinynn.validation import check_integer, check_number


class ElasticNet(LinearRegressor):
    """Least squares with both penalties, |w|_1 for zeros and |w|^2 to share among correlated features.

        1/(2 M) |X w + b - y|^2 + alpha (l1_ratio |w|_1 + (1 - l1_ratio) / 2 |w|^2)

    is minimised by solving for one weight at a time, `coordinate_descent`, until the duality gap
    proves how far the objective can still fall.

    Parameters
    ----------
    alpha : float
        Strength of the penalty, > 0. Unlike Ridge's it belongs to the mean over samples, as the
        lambda of the slides: ElasticNet(alpha, l1_ratio=0) would be Ridge(alpha M).
    l1_ratio : float
        In (0, 1]; 1 is the lasso. (For 0 use Ridge.)
    fit_intercept : bool
        Whether b is learned, without penalty; else it is 0.
    max_iter : int
        Sweeps over all features.
    tol : float
        Stop when the duality gap is below tol |y|^2, with y centred.

    Attributes
    ----------
    coef_ : array (n,), float64
        w. A constant column gets 0 next to an intercept.
    intercept_ : float
        b.
    dual_gap_ : float
        The objective is at most this much above its minimum.
    n_iter_ : int
        Sweeps done.
    n_features_in_ : int

    References
    ----------
    Tibshirani 1996, "Regression shrinkage and selection via the lasso"; Zou and Hastie 2005,
    "Regularization and variable selection via the elastic net"; S3 5.3.
    """

    def __init__(
        self,
        alpha: float = 1.0,
        *,
        l1_ratio: float = 0.5,
        fit_intercept: bool = True,
        max_iter: int = 1000,
        tol: float = 1e-4,
    ):
        self.alpha = alpha
        self.l1_ratio = l1_ratio
        self.fit_intercept = fit_intercept
        self.max_iter = max_iter
        self.tol = tol

    def fit(self, X: Array, y: Array) -> Self:
        """Learn w and b from X (M, n) and y (M,); warns if `max_iter` sweeps were too few.

        Raises
        ------
        TypeError, ValueError
            If X or y is not finite numbers of these shapes, or a parameter is out of its range.
        """
        return self._fit(X, y, check_number(self.l1_ratio, "l1_ratio", low=0, high=1, closed="right"))

    def _fit(self, X: Array, y: Array, l1_ratio: float) -> Self:
        alpha = check_number(self.alpha, "alpha", low=0, high=np.inf, closed="neither")
        tol = check_number(self.tol, "tol", low=0)
        max_iter = check_integer(self.max_iter, "max_iter", low=1)
        xp, X, y = self._check_fit(X, y)
        X, X_mean = center(xp, X, self.fit_intercept)
        y, y_mean = center(xp, y, self.fit_intercept)
        M, n = X.shape
        # M times the objective is 1/2 w'G w - w'q + 1/2 |y|^2 + l1 |w|_1: the samples enter through G
        # and q only, once, and a sweep costs n^2 whatever M is.
        G = X.T @ X
        G[range(n), range(n)] += M * alpha * (1 - l1_ratio)
        w, gap, sweeps = coordinate_descent(xp, G, X.T @ y, float(y @ y), M * alpha * l1_ratio, max_iter, tol)
        self.coef_, self.intercept_ = w, y_mean - X_mean @ w
        self.dual_gap_, self.n_iter_ = gap / M, sweeps
        self.n_features_in_ = n
        if gap > tol * float(y @ y):
            warn_not_converged(
                self, f"the duality gap is {self.dual_gap_:.3g}", "scale features, or raise alpha"
            )
        return self


class Lasso(ElasticNet):
    """Least squares with an absolute-value penalty: minimises 1/(2 M) |X w + b - y|^2 + alpha |w|_1.

    Parameters
    ----------
    alpha, fit_intercept, max_iter, tol
        As for `ElasticNet`. All weights are zero from alpha = max_j |x_j'y| / M on, centred.

    Attributes
    ----------
    coef_, intercept_, dual_gap_, n_iter_, n_features_in_
        As for `ElasticNet`.

    References
    ----------
    Tibshirani 1996, "Regression shrinkage and selection via the lasso"; S3 5.3.
    """

    def __init__(
        self, alpha: float = 1.0, *, fit_intercept: bool = True, max_iter: int = 1000, tol: float = 1e-4
    ):
        self.alpha = alpha
        self.fit_intercept = fit_intercept
        self.max_iter = max_iter
        self.tol = tol

    def fit(self, X: Array, y: Array) -> Self:
        return self._fit(X, y, l1_ratio=1.0)


def coordinate_descent(
    xp: ModuleType, G: Array, q: Array, yy: float, l1: float, max_iter: int, tol: float
) -> tuple[Array, float, int]:
    """The w that minimises P(w) = 1/2 w'G w - w'q + 1/2 yy + l1 |w|_1, its duality gap and the sweeps.

    With r = q - G w, the weight w_j alone has its minimum at

        w_j = S(r_j + G_jj w_j, l1) / G_jj,    S(z, t) = sign(z) max(|z| - t, 0)

    and a sweep does so for each j in turn. Stops when the gap is at most tol yy.

    Parameters
    ----------
    xp : module
        The array library.
    G : array (n, n)
        X'X, symmetric and positive semidefinite.
    q : array (n,)
        X'y.
    yy : float
        |y|^2.
    l1 : float
        > 0.
    max_iter : int
    tol : float

    References
    ----------
    Friedman, Hastie and Tibshirani 2010, "Regularization paths for generalized linear models via
    coordinate descent", 2.2 (covariance updates).
    """
    w = xp.zeros_like(q)
    r = q.copy()
    diagonal = [float(g) for g in xp.diagonal(G)]
    sweeps, gap = 0, np.inf
    while gap > tol * yy and sweeps < max_iter:
        for j, curvature in enumerate(diagonal):
            if curvature == 0:  # a column of zeros
                continue
            old = float(w[j])
            z = float(r[j]) + curvature * old
            new = max(abs(z) - l1, 0.0) * (1 if z > 0 else -1) / curvature
            if new != old:
                w[j] = new
                r -= (new - old) * G[j]
        gap = duality_gap(xp, w, q, r, yy, l1)
        sweeps += 1
    return w, gap, sweeps


def duality_gap(xp: ModuleType, w: Array, q: Array, r: Array, yy: float, l1: float) -> float:
    """An upper bound of P(w) - min P, for P as in `coordinate_descent` and r = q - G w.

    Any theta with |X'theta|_inf <= l1 bounds the minimum from below by theta'y - 1/2 |theta|^2. The
    residual y - X w becomes such a theta when shrunk by s = min(1, l1 / |r|_inf), for r = X'(y - X w).
    At the minimum s = 1 and the gap is zero.

    Parameters
    ----------
    xp, w, q, r, yy, l1
        As in `coordinate_descent`.

    References
    ----------
    Kim et al. 2007, "An interior-point method for large-scale l1-regularized least squares", III.
    """
    largest = float(xp.abs(r).max())
    s = min(1.0, l1 / largest) if largest > 0 else 1.0
    residual_y = yy - float(w @ q)  # (y - X w)'y
    residual2 = residual_y - float(w @ r)  # |y - X w|^2
    return (1 + s**2) / 2 * residual2 + l1 * float(xp.abs(w).sum()) - s * residual_y
