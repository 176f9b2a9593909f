"""KernelRidge: ridge regression in the feature space of a kernel, by one Cholesky decomposition."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Self

import numpy as np

from tinynn.backend import Array
from tinynn.estimator import Regressor, check_features
from tinynn.kernels.base import Kernel
from tinynn.kernels.gram import check_symmetric
from tinynn.kernels.names import get_kernel
from tinynn.linalg import NotPositiveDefiniteError
from tinynn.linalg.factor import CholeskyFactor
from tinynn.validation import check_array, check_number


class KernelRidge(Regressor):
    """Ridge regression on the features phi(x) of a kernel k(x, y) = phi(x)'phi(y), which are never formed.

    The weights that minimise |phi w - y|^2 + alpha |w|^2, with one row of phi a sample, are

        w = (phi'phi + alpha I)^-1 phi'y = phi'a,    a = (phi phi' + alpha I)^-1 y = (K + alpha I)^-1 y

    The first form (primal) has as many unknowns as there are features, the second (dual) as there are
    samples, and needs only the Gram matrix K. Both agree because of the alpha I, which S3 leaves out:
    without it one of the two matrices has no inverse. There is no intercept; take the mean off y,
    or a kernel with a constant feature.

    Parameters
    ----------
    alpha : float
        Strength of the penalty, >= 0, in the squared unit of the features; as for
        `tinynn.linear_model.Ridge` it is lambda M of the slides. 0 interpolates, if K allows it.
    kernel : Kernel, str or callable
        A kernel, its name (see `tinynn.kernels.get_kernel`), "precomputed" if K itself is passed for X,
        or a function of two samples (n,), (n,) that returns a number.
    gamma : float, optional
        Parameter of a kernel given by its name; by default 1 / n_features.
    degree, coef0 : int, float
        Parameters of a polynomial kernel given by its name.
    kernel_params : dict, optional
        Further arguments of a callable.

    Attributes
    ----------
    dual_coef_ : array (M,), or (M, n_outputs) if y has columns, float64
        a.
    X_fit_ : array (M, n)
        The training samples; if the kernel is precomputed, K (M, M).
    n_features_in_ : int

    References
    ----------
    S3 17.2, 18.1; Saunders, Gammerman and Vovk 1998, "Ridge regression learning algorithm in dual
    variables".
    """

    multi_output = True

    def __init__(
        self,
        alpha: float = 1.0,
        *,
        kernel: Kernel | str | Callable[..., float] = "linear",
        gamma: float | None = None,
        degree: int = 3,
        coef0: float = 1.0,
        kernel_params: dict[str, Any] | None = None,
    ):
        self.alpha = alpha
        self.kernel = kernel
        self.gamma = gamma
        self.degree = degree
        self.coef0 = coef0
        self.kernel_params = kernel_params

    def fit(self, X: Array, y: Array) -> Self:
        """Learn a from X (M, n), or K (M, M) if precomputed, and y, (M,) or (M, n_outputs).

        Raises
        ------
        TypeError, ValueError
            If X or y is not finite numbers of these shapes, a parameter is unknown or out of its
            range, or the K of a precomputed or callable kernel is not finite or not symmetric.
        NotPositiveDefiniteError
            If K + alpha I is not positive definite: samples that coincide need alpha > 0; if a larger
            alpha does not help, the precomputed or callable kernel is no kernel.
        """
        alpha = check_number(self.alpha, "alpha", low=0, high=np.inf, closed="left")
        _, X, y = self._check_fit(X, y)
        K = X.copy() if self._is_precomputed() else self._gram(X)
        if self._is_precomputed() or self._function():
            check_symmetric(K)
        K[range(len(K)), range(len(K))] += alpha
        try:
            factor = CholeskyFactor(K)
        except NotPositiveDefiniteError as error:
            raise NotPositiveDefiniteError(
                f"the Gram matrix plus alpha={alpha:g} is not positive definite: samples coincide, or nearly "
                "so, and a larger alpha helps; or what was given is no kernel and has negative eigenvalues",
                error.pivot,
            ) from error
        self.dual_coef_ = factor.solve(y)  # a = (K + alpha I)^-1 y                    S3 18.1
        self.X_fit_ = X
        self.n_features_in_ = X.shape[1]
        return self

    def predict(self, X: Array) -> Array:
        """sum_m a_m k(x, x_m), (M,) or (M, n_outputs), for X (M, n), or k(x, x_m) (M, M_fit) if precomputed.

        Raises as `tinynn.estimator.check_features`.
        """
        X = check_features(self, X)
        K = X if self._is_precomputed() else self._gram(X, self.X_fit_)
        return (K @ self.dual_coef_).astype(X.dtype, copy=False)  # S3 18.1

    def _is_precomputed(self) -> bool:
        return isinstance(self.kernel, str) and self.kernel == "precomputed"

    def _function(self) -> Callable[..., float] | None:
        return self.kernel if callable(self.kernel) and not isinstance(self.kernel, Kernel) else None

    def _gram(self, X: Array, Y: Array = None) -> Array:
        if function := self._function():
            arguments = self.kernel_params or {}
            rows = [[float(function(x, y, **arguments)) for y in (X if Y is None else Y)] for x in X]
            return check_array(rows, "the kernel's matrix", dtype=np.float64, like=X)
        gamma = 1 / X.shape[1] if self.gamma is None else self.gamma
        kernel: Any = self.kernel
        return get_kernel(kernel, gamma=gamma, degree=self.degree, coef0=self.coef0)(X, Y)

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.pairwise = self._is_precomputed()
        return tags
