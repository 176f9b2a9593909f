"""Scaling of features, and one-hot labels.

Fit a scaler on the training part only and apply it to the rest: test data that shape the scaling
are no longer unseen. X and y each get a scaler of their own.
"""

from __future__ import annotations

from typing import Any, Self

import numpy as np

from tinynn.backend import Array, get_array_module
from tinynn.estimator import Transformer, check_features, check_samples
from tinynn.validation import check_classes, check_labels, check_number


class StandardScaler(Transformer):
    """Scale each feature to mean zero and standard deviation one.

        x_sc = (x - mu) / sigma,    sigma = sqrt(|x - mu|^2 / M)

    with the mean mu and the standard deviation sigma over the M samples. (The slide's sigma lacks
    the square on the norm.)

    Parameters
    ----------
    with_mean, with_std : bool
        Whether to subtract mu, whether to divide by sigma.

    Attributes
    ----------
    mean_, var_ : array (n,), float64
        mu and sigma^2.
    scale_ : array (n,), float64
        sigma, but 1 for a constant column, which is thus only shifted; None without `with_std`.
    n_features_in_ : int

    References
    ----------
    S4 (35), corrected.
    """

    def __init__(self, *, with_mean: bool = True, with_std: bool = True):
        self.with_mean = with_mean
        self.with_std = with_std

    def fit(self, X: Array, y: object = None) -> Self:
        """Learn mean and standard deviation of each column of X (M, n).

        Raises
        ------
        TypeError, ValueError
            If X is not a matrix of finite numbers.
        """
        X = check_samples(X)
        xp = get_array_module(X)
        M, n = X.shape
        mean = xp.mean(X, axis=0, dtype=np.float64)
        var = xp.mean((X - mean) ** 2, axis=0)  # S4 (35)
        std = xp.sqrt(var)
        # The mean carries a rounding error of up to M eps |mean|: a spread below that is none.
        constant = std <= M * np.finfo(np.float64).eps * xp.abs(mean)
        self.mean_, self.var_ = mean, var
        self.scale_ = xp.where(constant, 1.0, std) if self.with_std else None
        self.n_features_in_ = n
        return self

    def transform(self, X: Array) -> Array:
        """X (M, n) scaled, in its own dtype.

        Raises
        ------
        NotFittedError
            Before `fit`.
        TypeError, ValueError
            If X is not a matrix of finite numbers with the n features of `fit`.
        """
        X = check_features(self, X)
        shift, scale = self._shift_and_scale()
        return ((X - shift) / scale).astype(X.dtype, copy=False)  # S4 (35)

    def inverse_transform(self, X: Array) -> Array:
        """Scaled X (M, n) back in the original units; raises as `transform`."""
        X = check_features(self, X)
        shift, scale = self._shift_and_scale()
        return (X * scale + shift).astype(X.dtype, copy=False)

    def _shift_and_scale(self) -> tuple[Any, Any]:
        return (self.mean_ if self.with_mean else 0.0, self.scale_ if self.with_std else 1.0)


class MinMaxScaler(Transformer):
    """Scale each feature linearly so that its smallest and largest value become low and high.

        x_sc = low + (x - min) (high - low) / (max - min)

    Parameters
    ----------
    feature_range : (float, float)
        low and high.

    Attributes
    ----------
    data_min_, data_max_ : array (n,)
        Smallest and largest value of each column.
    scale_, min_ : array (n,), float64
        Slope and intercept: ``x_sc = x * scale_ + min_``. A constant column has nothing to stretch:
        its max - min counts as 1, so that it becomes low.
    n_features_in_ : int

    References
    ----------
    S0 2.2.
    """

    def __init__(self, feature_range: tuple[float, float] = (0, 1)):
        self.feature_range = feature_range

    def fit(self, X: Array, y: object = None) -> Self:
        """Learn minimum and maximum of each column of X (M, n).

        Raises
        ------
        TypeError, ValueError
            If X is not a matrix of finite numbers, or `feature_range` not two rising numbers.
        """
        low, high = self._check_range()
        X = check_samples(X)
        xp = get_array_module(X)
        self.data_min_, self.data_max_ = X.min(axis=0), X.max(axis=0)
        width = self.data_max_.astype(np.float64) - self.data_min_
        self.scale_ = (high - low) / xp.where(width == 0, 1.0, width)
        self.min_ = low - self.data_min_ * self.scale_
        self.n_features_in_ = X.shape[1]
        return self

    def transform(self, X: Array) -> Array:
        """X (M, n) scaled, in its own dtype; values outside the fitted range leave [low, high].

        Raises
        ------
        NotFittedError
            Before `fit`.
        TypeError, ValueError
            If X is not a matrix of finite numbers with the n features of `fit`.
        """
        X = check_features(self, X)
        low, _ = self.feature_range
        # Not X * scale_ + min_: with a minimum far from zero that subtracts two large numbers.
        return ((X - self.data_min_) * self.scale_ + low).astype(X.dtype, copy=False)  # S0 2.2

    def inverse_transform(self, X: Array) -> Array:
        """Scaled X (M, n) back in the original units; raises as `transform`."""
        X = check_features(self, X)
        low, _ = self.feature_range
        return ((X - low) / self.scale_ + self.data_min_).astype(X.dtype, copy=False)

    def _check_range(self) -> tuple[float, float]:
        if np.shape(self.feature_range) != (2,):
            raise ValueError(f"feature_range must be two numbers (low, high); got {self.feature_range!r}")
        low, high = (check_number(value, "feature_range") for value in self.feature_range)
        if not (-np.inf < low < high < np.inf):
            raise ValueError(f"feature_range must be finite with low < high; got {self.feature_range!r}")
        return low, high


def one_hot(labels: Array, n_classes: int | None = None, dtype: object = np.float64) -> Array:
    """One row per label: 1 in the column of its class, 0 elsewhere.

    Parameters
    ----------
    labels : array (M,)
        Integers 0 .. K - 1.
    n_classes : int, optional
        K; by default the largest label + 1.
    dtype : dtype
        Of the result.

    Returns
    -------
    array (M, K)

    Raises
    ------
    TypeError, ValueError
        If labels are no integers, or outside 0 .. K - 1; names the first such label.
    """
    labels = check_labels(labels, "labels")
    n_classes = check_classes(n_classes, labels=labels)
    xp = get_array_module(labels)
    return (labels[:, None] == xp.arange(n_classes)).astype(dtype)
