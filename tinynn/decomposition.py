"""Fewer features: principal components, and projections drawn at random."""

from __future__ import annotations

import math
from typing import Self

import numpy as np

from tinynn.backend import Array, get_array_module
from tinynn.estimator import Transformer, check_features, check_is_fitted, check_samples
from tinynn.validation import check_integer, check_number


class PCA(Transformer):
    """Principal component analysis: the orthogonal directions along which the data vary most.

    The singular value decomposition of the centred data, X - mean = U S V', gives all at once: the
    rows of V' are the directions, S^2 / (M - 1) the variances along them, U S the coordinates. The
    covariance matrix X'X / (M - 1) has the same eigenvectors, but forming it squares the condition
    number. Directions are defined up to their sign; here the entry of largest size is positive.

    Parameters
    ----------
    n_components : int, float or None
        How many directions are kept; a float in (0, 1) keeps as many as explain more than that
        fraction of the variance; None keeps all min(M, n).

    Attributes
    ----------
    components_ : array (n_components_, n)
        Orthonormal directions, largest variance first.
    explained_variance_, explained_variance_ratio_ : array (n_components_,)
        Variance along each, in squared units of X, and as a fraction of the whole variance.
    singular_values_ : array (n_components_,)
    noise_variance_ : float
        Mean variance along the directions that are left out.
    mean_ : array (n,)
    n_components_, n_features_in_ : int

    References
    ----------
    S3 6.2; Pearson 1901, "On lines and planes of closest fit".
    """

    def __init__(self, n_components: int | float | None = None):
        self.n_components = n_components

    def fit(self, X: Array, y: object = None) -> Self:
        """Learn the directions from X (M, n); y is ignored.

        Raises
        ------
        TypeError, ValueError
            If X is not a matrix of finite numbers with at least two samples, or
            `n_components` is neither 1 ... min(M, n) nor a fraction.
        """
        X = check_samples(X)
        M, n = X.shape
        if M < 2:
            raise ValueError("X has 1 sample (n_samples = 1); a variance needs at least 2")
        X = X.astype(np.float64, copy=False)
        xp = get_array_module(X)
        mean = X.mean(axis=0)
        _, S, Vt = xp.linalg.svd(X - mean, full_matrices=False)  # X - mean = U S V'           S3 6.2
        variance = S**2 / (M - 1)
        total = variance.sum()
        ratio = variance / xp.where(total > 0, total, 1.0)
        k = self._count(ratio)
        largest = xp.take_along_axis(Vt, xp.abs(Vt).argmax(axis=1)[:, None], axis=1)
        self.mean_ = mean
        self.components_ = (Vt * xp.sign(largest))[:k]
        self.explained_variance_, self.explained_variance_ratio_ = variance[:k], ratio[:k]
        self.singular_values_ = S[:k]
        self.noise_variance_ = float(variance[k:].mean()) if k < len(S) else 0.0
        self.n_components_, self.n_features_in_ = k, n
        return self

    def _count(self, ratio: Array) -> int:
        wanted = self.n_components
        if wanted is None:
            return len(ratio)
        if isinstance(wanted, float):
            fraction = check_number(wanted, "n_components", low=0, high=1, closed="neither")
            return min(int((ratio.cumsum() <= fraction).sum()) + 1, len(ratio))
        k = check_integer(wanted, "n_components", low=1)
        if k > len(ratio):
            raise ValueError(f"n_components is {k}; X allows at most min(M, n) = {len(ratio)}")
        return k

    def transform(self, X: Array) -> Array:
        """Coordinates (M, n_components_) of X (M, n) along the directions, in the dtype of X.

        Raises
        ------
        NotFittedError
            Before `fit`.
        TypeError, ValueError
            If X is not a matrix of finite numbers with the n features of `fit`.
        """
        X = check_features(self, X)
        return ((X - self.mean_) @ self.components_.T).astype(X.dtype, copy=False)

    def inverse_transform(self, X: Array) -> Array:
        """The points (M, n) in feature space with coordinates X (M, n_components_), in the dtype of X.

        ``inverse_transform(transform(X))`` is the closest that n_components_ directions come to X.

        Raises
        ------
        NotFittedError
            Before `fit`.
        TypeError, ValueError
            If X is not a matrix of finite numbers with n_components_ columns.
        """
        check_is_fitted(self)
        X = check_samples(X)
        if X.shape[1] != self.n_components_:
            raise ValueError(
                f"X has {X.shape[1]} columns; wanted one for each of {self.n_components_} components"
            )
        return (X @ self.components_ + self.mean_).astype(X.dtype, copy=False)


class GaussianRandomProjection(Transformer):
    """Project onto directions drawn at random: distances hardly change, whatever the data.

    The entries of components_ are N(0, 1 / n_components): squared lengths are kept on average, and
    with enough directions for every pair of samples to within a factor 1 +- eps (Johnson and
    Lindenstrauss). How many that are depends on the number of samples, not of features.

    Parameters
    ----------
    n_components : int or "auto"
        Number of directions; "auto" takes `johnson_lindenstrauss_min_dim` of the samples.
    eps : float
        In (0, 1), for "auto".
    random_state : int, Generator or None
        Where the directions come from.

    Attributes
    ----------
    components_ : array (n_components_, n)
    n_components_, n_features_in_ : int

    References
    ----------
    S3 6.2, corrected: the map goes to a low dimension.
    """

    def __init__(
        self,
        n_components: int | str = "auto",
        *,
        eps: float = 0.1,
        random_state: int | np.random.Generator | None = None,
    ):
        self.n_components = n_components
        self.eps = eps
        self.random_state = random_state

    def fit(self, X: Array, y: object = None) -> Self:
        """Draw the directions for X (M, n), of which only the shape counts; y is ignored.

        Raises
        ------
        TypeError, ValueError
            If X is not a matrix of finite numbers, `n_components` no positive integer, or "auto"
            would take more directions than there are features.
        """
        X = check_samples(X)
        M, n = X.shape
        if isinstance(self.n_components, str):
            if self.n_components != "auto":
                raise ValueError(f'n_components must be an integer or "auto"; got {self.n_components!r}')
            k = johnson_lindenstrauss_min_dim(M, eps=self.eps)
            if not 1 <= k <= n:
                raise ValueError(
                    f"eps={self.eps} for {M} samples takes {k} directions, but X has {n} features: "
                    "choose a larger eps or n_components"
                )
        else:
            k = check_integer(self.n_components, "n_components", low=1)
        rng = np.random.default_rng(self.random_state)
        directions = rng.normal(scale=k**-0.5, size=(k, n))  # E |A x|^2 = |x|^2             S3 6.2
        self.components_ = get_array_module(X).asarray(directions)
        self.n_components_, self.n_features_in_ = k, n
        return self

    def transform(self, X: Array) -> Array:
        """X (M, n) projected to (M, n_components_), in the dtype of X; raises as `PCA.transform`."""
        X = check_features(self, X)
        return (X @ self.components_.T).astype(X.dtype, copy=False)


def johnson_lindenstrauss_min_dim(n_samples: int, *, eps: float = 0.1) -> int:
    """Directions that keep all squared distances between n_samples points to within 1 +- eps.

        k >= 4 ln(M) / (eps^2 / 2 - eps^3 / 3),    about 8 ln(M) / eps^2 for small eps

    Parameters
    ----------
    n_samples : int
        M, at least 1.
    eps : float
        In (0, 1).

    Raises
    ------
    TypeError, ValueError
        If an argument is outside.

    References
    ----------
    Dasgupta and Gupta 2003, "An elementary proof of a theorem of Johnson and Lindenstrauss".
    """
    M = check_integer(n_samples, "n_samples", low=1)
    eps = check_number(eps, "eps", low=0, high=1, closed="neither")
    return math.ceil(4 * math.log(M) / (eps**2 / 2 - eps**3 / 3))  # S3 6.2
