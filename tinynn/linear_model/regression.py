"""LinearRegression and Ridge: `tinynn.linalg.least_squares` with an intercept, as estimators."""

from __future__ import annotations

from typing import Self

from tinynn.backend import Array
from tinynn.linalg import least_squares
from tinynn.linear_model.base import LinearRegressor
from tinynn.validation import check_number


class _LeastSquaresRegressor(LinearRegressor):
    """Minimises |X w + b - y|^2 + alpha |w|^2."""

    multi_output = True
    method: str
    fit_intercept: bool

    def _fit(self, X: Array, y: Array, alpha: float) -> Self:
        _, X, y = self._check_fit(X, y)
        solution = least_squares(
            X, y, method=self.method, alpha=alpha, fit_intercept=bool(self.fit_intercept)
        )
        self.coef_, self.intercept_ = solution.coef.T, solution.intercept
        self.rank_, self.n_iter_ = solution.rank, solution.iterations
        self.n_features_in_ = X.shape[1]
        return self


class LinearRegression(_LeastSquaresRegressor):
    """Least squares: the w and b that minimise |X w + b - y|^2.

    Parameters
    ----------
    method : str
        How `tinynn.linalg.least_squares` solves it. The default pivots, and so finds the solution of
        least norm where there are many: for more features than samples, for duplicated columns
        (which share their weight) and for constant ones (weight 0 next to an intercept). A method
        that cannot do so raises an error.
    fit_intercept : bool
        Whether b is learned; else it is 0.

    Attributes
    ----------
    coef_ : array (n,), or (n_outputs, n) if y has columns, float64
        w.
    intercept_ : float or array (n_outputs,)
        b.
    rank_ : int or None
        Rank of X, centred if there is an intercept; iterative methods do not learn it.
    n_iter_ : int or None
        Iterations of an iterative method.
    n_features_in_ : int

    References
    ----------
    S4 (5)-(17); S3 9.2.
    """

    def __init__(self, *, method: str = "pivoted_qr", fit_intercept: bool = True):
        self.method = method
        self.fit_intercept = fit_intercept

    def fit(self, X: Array, y: Array) -> Self:
        """Learn w and b from X (M, n) and y, (M,) or one column an output (M, n_outputs).

        Raises
        ------
        TypeError, ValueError
            If X or y is not finite numbers of these shapes, or `method` is unknown.
        RankDeficientError, NotPositiveDefiniteError, SingularMatrixError, ConvergenceError
            If `method` cannot solve this problem; the message says which one would.
        """
        return self._fit(X, y, alpha=0.0)


class Ridge(_LeastSquaresRegressor):
    """Least squares with a penalty on the weights: minimises |X w + b - y|^2 + alpha |w|^2.

    The intercept b costs nothing: shifting y shifts b and leaves w alone.

    The slides divide by M: 1/(2 M) |X w - y|^2 + lambda/2 |w|^2. Multiplied by 2 M that is the
    objective here with alpha = lambda M, the lambda M of their solution
    w = (X'X + lambda M I)^-1 X'y. So a fixed lambda means an alpha that grows with the data.

    Parameters
    ----------
    alpha : float
        Strength of the penalty, >= 0, in the squared unit of the features; 0 is LinearRegression.
        Features of different scale are penalised differently: scale them first.
    fit_intercept : bool
        Whether b is learned; else it is 0.
    method : str
        How `tinynn.linalg.least_squares` solves it.

    Attributes
    ----------
    coef_, intercept_, n_iter_, n_features_in_
        As for `LinearRegression`.
    rank_ : int or None
        With alpha > 0 always n: the penalty makes every problem well-posed.

    References
    ----------
    S4 (18)-(22); Hoerl and Kennard 1970, "Ridge regression".
    """

    def __init__(self, alpha: float = 1.0, *, fit_intercept: bool = True, method: str = "cholesky"):
        self.alpha = alpha
        self.fit_intercept = fit_intercept
        self.method = method

    def fit(self, X: Array, y: Array) -> Self:
        """Learn w and b; arguments and errors as `LinearRegression.fit`, and `alpha` must be >= 0."""
        return self._fit(
            X, y, alpha=check_number(self.alpha, "alpha", low=0, high=float("inf"), closed="left")
        )
