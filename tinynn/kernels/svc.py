"""SVC: the plane with the widest margin in the feature space of a kernel."""

from __future__ import annotations

from itertools import combinations
from types import ModuleType
from typing import Any, Self

import numpy as np

from tinynn.backend import Array, get_array_module, to_numpy
from tinynn.estimator import Classifier, check_features, check_is_fitted, check_samples, warn_not_converged
from tinynn.kernels.base import Kernel
from tinynn.kernels.gram import Function, gram, gram_rows, part, whole_gram
from tinynn.kernels.names import get_kernel
from tinynn.kernels.smo import smo
from tinynn.validation import check_integer, check_number

SHAPES = ("ovr", "ovo")
GAMMAS = ("scale", "auto")


class SVC(Classifier):
    """Support vector classifier: a wide margin among the features phi(x) of a kernel k(x, y) = phi(x)'phi(y).

        1/2 |w|^2 + C sum_m max(0, 1 - y_m (w'phi(x_m) + b)),    y_m = -1 or +1

    is minimised through its dual, which needs of the features only the Gram matrix (see
    `tinynn.kernels.smo`). There w = sum_m a_m y_m phi(x_m) with 0 <= a_m <= C, and a sample is

    - outside the margin with a_m = 0: the plane would be the same without it,
    - on the edge of the margin with a_m in between,
    - within the margin, or on the wrong side, with a_m = C.

    The last two are the support vectors. For more than two classes there is one plane for each pair of
    them, and they vote.

    The slides divide the sum by M, so that their C is M times this one, which is scikit-learn's. A
    large C makes the margin hard.

    Parameters
    ----------
    C : float
        Price of the margin violations and upper bound of the weights, > 0.
    kernel : Kernel, str or callable
        A kernel, its name (see `tinynn.kernels.get_kernel`), "precomputed" if Gram matrices are passed
        for X, or a function of X (M, n) and Y (N, n) that returns the matrix (M, N).
    degree : int
        Of the polynomial kernel.
    gamma : "scale", "auto" or float
        Of kernels given by name, > 0; "scale" is 1 / (n times the variance of all elements of X), "auto"
        1 / n.
    coef0 : float
        Of the polynomial kernel.
    tol : float
        Stop when no pair of weights violates its condition by more; in (0, 2), and 2 would be no fit at all.
    cache_size : float
        Memory for Gram matrices in MB (10^6 bytes), > 0. While that of all samples fits it is computed
        as a whole; else that of each pair of classes, or only the rows that are needed, of which so many
        are kept. What needs less memory takes longer.
    max_iter : int
        Steps at most for each plane; -1 for 10 million.
    decision_function_shape : "ovr" or "ovo"
        Whether `decision_function` gives scores of the K classes or of the K (K - 1) / 2 pairs; there
        is one score for two classes.

    Attributes
    ----------
    classes_ : array (K,)
        Labels in order.
    support_ : array (n_SV,), int
        Which samples are support vectors, class by class.
    support_vectors_ : array (n_SV, n)
        They; empty if the kernel is precomputed.
    n_support_ : array (K,), int
        How many are of each class.
    dual_coef_ : array (K - 1, n_SV)
        Their a_m y_m in the K - 1 planes that separate their class from the others, in order of these.
        In the plane between two of several classes y_m = +1 belongs to the first; if there are only two,
        to the second.
    intercept_ : array (K (K - 1) / 2,)
        b of the planes.
    dual_gap_ : float
        The objective is at most this much above its minimum; the largest of the planes.
    n_iter_ : array (K (K - 1) / 2,), int
        Steps done.
    kernel_ : Kernel, str or callable
        The kernel used.
    n_features_in_ : int

    References
    ----------
    S4 (36), (39)-(45); `tinynn.kernels.smo` for the method.
    """

    def __init__(
        self,
        C: float = 1.0,
        *,
        kernel: Function | str = "rbf",
        degree: int = 3,
        gamma: str | float = "scale",
        coef0: float = 0.0,
        tol: float = 1e-3,
        cache_size: float = 200,
        max_iter: int = -1,
        decision_function_shape: str = "ovr",
    ):
        self.C = C
        self.kernel = kernel
        self.degree = degree
        self.gamma = gamma
        self.coef0 = coef0
        self.tol = tol
        self.cache_size = cache_size
        self.max_iter = max_iter
        self.decision_function_shape = decision_function_shape

    def fit(self, X: Array, y: Array) -> Self:
        """Learn from X (M, n), or K (M, M) if precomputed, and labels y (M,); warns if `max_iter` was short.

        Raises
        ------
        TypeError, ValueError
            If X is not finite numbers, y not one label per sample of at least two classes, or a
            parameter is unknown or out of its range; if a precomputed or callable kernel is none: not
            symmetric, or not positive semidefinite (seen on a subset if memory is short of the matrix).
        """
        C = check_number(self.C, "C", low=0, high=np.inf, closed="neither")
        tol = check_number(self.tol, "tol", low=0, high=2, closed="neither")
        memory = check_number(self.cache_size, "cache_size", low=0, closed="neither") * 1e6
        max_iter = 10_000_000 if self.max_iter == -1 else check_integer(self.max_iter, "max_iter", low=1)
        if self.decision_function_shape not in SHAPES:
            raise ValueError(
                f"decision_function_shape must be one of {SHAPES}; got {self.decision_function_shape!r}"
            )
        xp, X, classes, index = self._check_fit(X, y)
        kernel = self._resolve_kernel(X)
        index = to_numpy(index)
        K = whole_gram(kernel, X, memory)
        dual_coef = np.zeros((len(classes) - 1, len(X)))
        planes = []
        for p, q in combinations(range(len(classes)), 2):
            pair = np.flatnonzero((index == p) | (index == q))
            row, diagonal = gram_rows(kernel, X[xp.asarray(pair)], memory) if K is None else part(K, pair)
            first = index[pair] == p
            plane = smo(row, diagonal, np.where(first, 1.0, -1.0), C, tol, max_iter)
            dual_coef[q - 1, pair[first]] = plane.c[first]
            dual_coef[p, pair[~first]] = plane.c[~first]
            planes.append(plane)
        sign = -1 if len(classes) == 2 else 1  # the score of two classes is that of the second
        support = np.flatnonzero((dual_coef != 0).any(axis=0))
        support = support[np.argsort(index[support], kind="stable")]
        self.classes_ = classes
        self.kernel_ = kernel
        self.support_ = xp.asarray(support)
        self.support_vectors_ = xp.zeros((0, 0)) if kernel == "precomputed" else X[self.support_]
        self.n_support_ = np.bincount(index[support], minlength=len(classes))
        self.dual_coef_ = xp.asarray(sign * dual_coef[:, support])
        self.intercept_ = xp.asarray(np.array([sign * plane.b for plane in planes]))
        self.dual_gap_ = max(plane.gap for plane in planes)
        self.n_iter_ = np.array([plane.steps for plane in planes])
        self.n_features_in_ = X.shape[1]
        violation = max(plane.violation for plane in planes)
        if violation > tol:
            what = (
                f"the weights violate a condition by {violation:.3g}, the duality gap is {self.dual_gap_:.3g}"
            )
            warn_not_converged(self, what, "scale features, or lower C")
        return self

    def decision_function(self, X: Array) -> Array:
        """Scores w'phi(x) + b of X (M, n), or of k(x, x_m) (M, M_fit) if precomputed, in the dtype of X.

        Returns
        -------
        array (M,) or (M, K) or (M, K (K - 1) / 2)
            For two classes, positive on the side of the second. For more, with "ovo", those of all
            pairs, positive on the side of the first; with "ovr" the votes for each class, plus something
            between -1/3 and 1/3 that grows with the sum of its scores.

        Raises
        ------
        NotFittedError
            Before `fit`.
        TypeError, ValueError
            If X is not a matrix of finite numbers with the n features of `fit`.
        """
        X = self._check_query(X)
        xp = get_array_module(X)
        Z = self._plane_scores(xp, X)
        if len(self.classes_) == 2:
            Z = Z.ravel()
        elif self.decision_function_shape == "ovr":
            Z = _votes(xp, Z, len(self.classes_))
        return Z.astype(X.dtype, copy=False)

    def predict(self, X: Array) -> Array:
        """The label with the most votes for each sample of X, (M,); raises as `decision_function`.

        Ties go to the larger sum of scores (scikit-learn's ``break_ties=True``).
        """
        X = self._check_query(X)
        xp = get_array_module(X)
        Z = self._plane_scores(xp, X)
        if len(self.classes_) == 2:
            return self.classes_[(Z.ravel() > 0).astype(int)]
        return self.classes_[_votes(xp, Z, len(self.classes_)).argmax(axis=1)]

    def _plane_scores(self, xp: ModuleType, X: Array) -> Array:
        """w'phi(x) + b for every plane, (M, K (K - 1) / 2), by blocks of samples that fit in the memory."""
        ends = np.cumsum(self.n_support_).tolist()
        own = [slice(end - n, end) for end, n in zip(ends, self.n_support_.tolist(), strict=True)]
        height = max(1, int(self.cache_size * 1e6 / (8 * len(self.support_))))
        blocks = []
        for start in range(0, len(X), height):
            x = X[start : start + height]
            precomputed = isinstance(self.kernel_, str)
            K = x[:, self.support_] if precomputed else gram(self.kernel_, x, self.support_vectors_)
            scores = [
                K[:, own[p]] @ self.dual_coef_[q - 1, own[p]] + K[:, own[q]] @ self.dual_coef_[p, own[q]]
                for p, q in combinations(range(len(own)), 2)
            ]
            blocks.append(xp.stack(scores, axis=1) + self.intercept_)
        return xp.concatenate(blocks)

    def _resolve_kernel(self, X: Array) -> Any:
        if isinstance(self.kernel, Kernel) or callable(self.kernel):
            return self.kernel
        if self.kernel == "precomputed":
            if X.shape[0] != X.shape[1]:
                raise ValueError(
                    f"X is no precomputed kernel: it has shape {X.shape}; wanted k(x_i, x_j), (M, M)"
                )
            return self.kernel
        return get_kernel(self.kernel, gamma=self._resolve_gamma(X), degree=self.degree, coef0=self.coef0)

    def _resolve_gamma(self, X: Array) -> float:
        if not isinstance(self.gamma, str):
            return check_number(self.gamma, "gamma", low=0, high=np.inf, closed="neither")
        if self.gamma not in GAMMAS:
            raise ValueError(f"gamma must be a number or one of {GAMMAS}; got {self.gamma!r}")
        variance = float(X.var()) if self.gamma == "scale" else 1.0
        return 1 / (X.shape[1] * variance) if variance > 0 else 1.0

    def _check_query(self, X: Array) -> Array:
        """`X` checked by what `fit` saw."""
        if self.kernel == "precomputed":
            check_is_fitted(self)
            X = check_samples(X)
            if X.shape[1] != self.n_features_in_:
                raise ValueError(
                    f"X has shape {X.shape}; wanted the precomputed k(x, x_m) of samples x with the "
                    f"{self.n_features_in_} of fit, (M, {self.n_features_in_})"
                )
            return X
        return check_features(self, X)

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.pairwise = self.kernel == "precomputed"
        return tags


def _votes(xp: ModuleType, Z: Array, K: int) -> Array:
    """Pair scores Z (M, K (K - 1) / 2) as scores of the classes (M, K): the votes, and a bit for clear ones.

    The bit is s / (3 (|s| + 1)) of the sum s of a class's scores, so that it only decides between equals.
    """
    votes, total = xp.zeros((len(Z), K)), xp.zeros((len(Z), K))
    for z, (p, q) in zip(Z.T, combinations(range(K), 2), strict=True):
        votes[:, p] += z > 0
        votes[:, q] += z <= 0
        total[:, p] += z
        total[:, q] -= z
    return votes + total / (3 * (xp.abs(total) + 1))
