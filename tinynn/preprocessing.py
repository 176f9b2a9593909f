"""Scaling of features, polynomial features, and one-hot labels.

Fit a scaler on the training part only and apply it to the rest: test data that shape the scaling
are no longer unseen. X and y each get a scaler of their own.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from itertools import chain, combinations, combinations_with_replacement
from typing import Any, Self

import numpy as np

from tinynn.backend import Array, get_array_module
from tinynn.estimator import Transformer, check_features, check_is_fitted, check_samples
from tinynn.validation import check_classes, check_integer, check_labels, check_number


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


class PolynomialFeatures(Transformer):
    """All products of features up to a degree: a linear model of them is a polynomial of the features.

        degree 2, features a, b:    1, a, b, a^2, a b, b^2

    For one feature x the columns are 1, x, x^2, ...: the Vandermonde matrix. n features have
    binomial(n + degree, degree) products.

    Parameters
    ----------
    degree : int
        Largest number of factors, >= 0.
    interaction_only : bool
        Leave out products in which a feature occurs twice.
    include_bias : bool
        Keep the column of ones. Leave it out before a model that has an intercept of its own.

    Attributes
    ----------
    powers_ : int array (n_output_features_, n)
        Exponent of each feature in each product.
    n_output_features_, n_features_in_ : int

    References
    ----------
    S4 (4), (38).
    """

    def __init__(self, degree: int = 2, *, interaction_only: bool = False, include_bias: bool = True):
        self.degree = degree
        self.interaction_only = interaction_only
        self.include_bias = include_bias

    def fit(self, X: Array, y: object = None) -> Self:
        """List the products of the columns of X (M, n).

        Raises
        ------
        TypeError, ValueError
            If X is not a matrix of finite numbers, `degree` is no integer >= 0, or no product is left.
        """
        degree = check_integer(self.degree, "degree", low=0)
        n = check_samples(X).shape[1]
        choose = combinations if self.interaction_only else combinations_with_replacement
        products = list(chain.from_iterable(choose(range(n), k) for k in range(degree + 1)))
        if not self.include_bias:
            del products[0]
        if not products:
            raise ValueError(f"degree={degree} without bias leaves no feature; wanted degree of at least 1")
        self._products = products
        self.powers_ = np.array([np.bincount(product, minlength=n) for product in products])
        self.n_output_features_, self.n_features_in_ = len(products), n
        return self

    def transform(self, X: Array) -> Array:
        """The products (M, n_output_features_) of the columns of X (M, n), in the dtype of X.

        Raises
        ------
        NotFittedError
            Before `fit`.
        TypeError, ValueError
            If X is not a matrix of finite numbers with the n features of `fit`.
        """
        X = check_features(self, X)
        xp = get_array_module(X)
        features = xp.ascontiguousarray(X.T)
        values: dict[tuple[int, ...], Array] = {(): xp.ones_like(features[0])}
        for product in self._products:
            if product:  # a product is one feature times a product that came before it
                values[product] = values[product[:-1]] * features[product[-1]]  # S4 (4)
        return xp.ascontiguousarray(xp.stack([values[product] for product in self._products]).T)

    def get_feature_names_out(self, input_features: Sequence[str] | None = None) -> np.ndarray:
        """Text for each product, like ``x0^2 x1``; `input_features` names the features x0, x1, ...

        Raises
        ------
        NotFittedError
            Before `fit`.
        ValueError
            If the number of names is not the number of features.
        """
        check_is_fitted(self)
        n = self.n_features_in_
        names = [f"x{j}" for j in range(n)] if input_features is None else list(input_features)
        if len(names) != n:
            raise ValueError(f"input_features has {len(names)} names; wanted one for each of {n} features")
        return np.array([_product_name(names, product) for product in self._products], dtype=object)


def _product_name(names: list[str], product: tuple[int, ...]) -> str:
    powers = Counter(product).items()
    return " ".join(names[j] if power == 1 else f"{names[j]}^{power}" for j, power in powers) or "1"


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
