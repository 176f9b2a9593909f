"""What linear models share: the intercept by centring, and the prediction X w + b."""

from __future__ import annotations

from types import ModuleType

from tinynn.backend import Array
from tinynn.estimator import Classifier, Regressor, check_features
from tinynn.linalg import column_means


class LinearRegressor(Regressor):
    """Base of regressors that predict X w + b."""

    coef_: Array
    intercept_: Array

    def predict(self, X: Array) -> Array:
        """X w + b: (M,), or (M, n_outputs) if y had columns; in the dtype of X (M, n).

        Raises
        ------
        NotFittedError
            Before `fit`.
        TypeError, ValueError
            If X is not a matrix of finite numbers with the n features of `fit`.
        """
        X = check_features(self, X)
        return (X @ self.coef_.T + self.intercept_).astype(X.dtype, copy=False)  # S4 (5)


class LinearClassifier(Classifier):
    """Base of classifiers that decide by the sign, or the largest, of the scores X w + b."""

    coef_: Array
    intercept_: Array

    def decision_function(self, X: Array) -> Array:
        """Scores X w + b of X (M, n) in the dtype of X: (M,) for two classes, (M, K) for more.

        The score of two classes is that of the second one, ``classes_[1]``.

        Raises
        ------
        NotFittedError
            Before `fit`.
        TypeError, ValueError
            If X is not a matrix of finite numbers with the n features of `fit`.
        """
        X = check_features(self, X)
        Z = (X @ self.coef_.T + self.intercept_).astype(X.dtype, copy=False)  # S4 (29)
        return Z.ravel() if Z.shape[1] == 1 else Z

    def predict(self, X: Array) -> Array:
        """The label of each sample of X (M, n), as in ``classes_``; raises as `decision_function`."""
        scores = self.decision_function(X)
        index = (scores > 0).astype(int) if scores.ndim == 1 else scores.argmax(axis=1)
        return self.classes_[index]


def center(xp: ModuleType, A: Array, fit_intercept: bool) -> tuple[Array, Array]:
    """`A` (M, ...) with the mean of each column taken off, and the means; without intercept zeros.

    The best intercept for given weights is b = mean(y) - mean(X) w. Put into the loss it leaves the
    same problem for X - mean(X) and y - mean(y) without intercept: both have to be centred, not
    only y (an erratum of S4).
    """
    if not fit_intercept:
        return A, xp.zeros_like(A[0])
    mean = column_means(A)
    return A - mean, mean
