"""GaussianProcessRegressor: a prediction with its uncertainty, and a kernel that learns its length scales."""

from __future__ import annotations

import copy
import math
import warnings
from collections.abc import Callable
from types import ModuleType
from typing import Any, Self

import numpy as np
import scipy.optimize

from tinynn.backend import Array, get_array_module
from tinynn.estimator import (
    ConvergenceWarning,
    Regressor,
    as_sklearn,
    check_features,
    check_is_fitted,
    check_samples,
)
from tinynn.kernels.base import Kernel
from tinynn.kernels.functions import Gaussian
from tinynn.kernels.names import get_kernel
from tinynn.linalg import NotPositiveDefiniteError, lapack
from tinynn.linalg.factor import CholeskyFactor
from tinynn.preprocessing import StandardScaler
from tinynn.validation import check_array, check_integer

Optimizer = Callable[..., tuple[np.ndarray, float]]


class GaussianProcessRegressor(Regressor):
    """Gaussian process regression: a normal distribution of functions, given that they pass near the data.

    Before any data the values at any points are normal with mean 0 and covariance k(x, y); the data
    are such values plus noise of variance alpha. Given the data (K = k(x_i, x_j) + alpha I, and
    k(x) = the vector k(x, x_i)), the values at x are normal with

        mean  k(x)'K^-1 y    and    variance  k(x, x) - k(x)'K^-1 k(x)

    The mean is kernel ridge regression with the same alpha: the noise is the penalty. The variance
    tells where there are no data; it depends on where they are, not on what they say. The
    hyperparameters theta of the kernel are those that make the data most likely, the maximum of

        log p(y) = -y'K^-1 y / 2 - log det K / 2 - M log(2 pi) / 2

    whose three terms reward the fit, punish a flexible kernel and count samples. Everything goes
    through the Cholesky decomposition K = L L'.

    Parameters
    ----------
    kernel : Kernel, str or None
        A kernel or its name; None is Gaussian(1.0, "fixed"). Noise that is to be learned is a kernel,
        too: ``... + White()``.
    alpha : float or array (M,)
        Variance of the noise, >= 0, in the squared unit of y (with `normalize_y` of the scaled y); added
        to the diagonal of K.
    optimizer : "fmin_l_bfgs_b", callable or None
        L-BFGS within the bounds of the kernel, from scipy.optimize; or a function
        ``optimizer(objective, theta, bounds=...)`` that returns (theta, minimum), where
        ``objective(theta)`` returns -log p and its gradient; or None to keep the kernel as it is.
    n_restarts_optimizer : int
        Further starts at random places within the bounds: log p can have several maxima.
    normalize_y : bool
        Whether to scale y to mean 0 and variance 1 first. The predictions are scaled back.
    random_state : int, Generator or None
        Where the further starts come from.

    Attributes
    ----------
    kernel_ : Kernel
        With the hyperparameters found.
    X_train_ : array (M, n), y_train_ : array (M,) or (M, n_outputs)
        The data, y scaled.
    L_ : array (M, M)
    alpha_ : array of the shape of y
        K^-1 y, kernel ridge's dual coefficients.
    log_marginal_likelihood_value_ : float
        log p(y) of `kernel_`.
    n_features_in_ : int

    References
    ----------
    Rasmussen and Williams 2006, Gaussian Processes for Machine Learning, chapters 2 and 5; S3 17.2, 19.
    """

    multi_output = True

    def __init__(
        self,
        kernel: Kernel | str | None = None,
        *,
        alpha: float | Array = 1e-10,
        optimizer: str | Optimizer | None = "fmin_l_bfgs_b",
        n_restarts_optimizer: int = 0,
        normalize_y: bool = False,
        random_state: int | np.random.Generator | None = None,
    ):
        self.kernel = kernel
        self.alpha = alpha
        self.optimizer = optimizer
        self.n_restarts_optimizer = n_restarts_optimizer
        self.normalize_y = normalize_y
        self.random_state = random_state

    def fit(self, X: Array, y: Array) -> Self:
        """Learn from X (M, n) and y, (M,) or one column an output (M, n_outputs), and choose theta.

        Warns if the optimiser did not converge.

        Raises
        ------
        TypeError, ValueError
            If X or y is not finite numbers of these shapes, or a parameter is out of its range.
        NotPositiveDefiniteError
            If K is not positive definite to working precision: nothing is added to it silently.
        """
        kernel = self._kernel()
        minimise = self._minimiser()
        restarts = check_integer(self.n_restarts_optimizer, "n_restarts_optimizer", low=0)
        xp, X, y = self._check_fit(X, y)
        alpha = check_array(self.alpha, "alpha", ndim=(0, 1), dtype=np.float64, like=X)
        if alpha.shape not in ((), (len(X),)):
            raise ValueError(f"alpha has shape {alpha.shape}; wanted a number or one per sample, ({len(X)},)")
        if (alpha < 0).any():
            raise ValueError(f"alpha must be >= 0; got {float(alpha.min()):g}")
        mean, std = xp.zeros(y.shape[1:]), xp.ones(y.shape[1:])
        if self.normalize_y:
            scaler = StandardScaler().fit(y.reshape(len(y), -1))
            mean, std = (xp.reshape(a, y.shape[1:]) for a in (scaler.mean_, scaler.scale_))
        y = (y - mean) / std

        def objective(theta: np.ndarray) -> tuple[float, np.ndarray]:
            value, gradient = log_likelihood(kernel.clone_with_theta(theta), X, y, alpha)
            return -value, -gradient()

        if minimise is not None and len(kernel.theta):
            rng = np.random.default_rng(self.random_state)
            starts = [kernel.theta, *(rng.uniform(*kernel.bounds.T) for _ in range(restarts))]
            found = [minimise(objective, theta, bounds=kernel.bounds) for theta in starts]
            kernel = kernel.clone_with_theta(min(found, key=lambda result: result[1])[0])
        factor = _factor(kernel, X, alpha)
        self.kernel_, self.X_train_, self.y_train_ = kernel, X, y
        self.L_, self.alpha_ = factor.L, factor.solve(y)
        for i in range(len(X)):  # in place: a triangle of M = 20000 takes 3 GB
            self.L_[i, i + 1 :] = 0
        self.log_marginal_likelihood_value_ = log_density(xp, self.L_, y, self.alpha_)
        self._noise, self._y_mean, self._y_std = alpha, mean, std
        self.n_features_in_ = X.shape[1]
        return self

    def predict(
        self, X: Array, return_std: bool = False, return_cov: bool = False
    ) -> Array | tuple[Array, Array]:
        """The mean at X (M, n), and on request how sure it is: all in the dtype of X and the unit of y.

        Before `fit` it is the prior: mean 0, covariance k.

        Parameters
        ----------
        X : array (M, n)
        return_std : bool
            Whether to return the standard deviation as well, as (mean, std).
        return_cov : bool
            Or the covariance of the values at X, as (mean, covariance).

        Returns
        -------
        mean : array (M,) or (M, n_outputs)
        std : array of the same shape, or covariance : array (M, M) or (M, M, n_outputs)

        Raises
        ------
        TypeError, ValueError
            If X is not a matrix of finite numbers with the n features of `fit`, or both are asked for.
        """
        if return_std and return_cov:
            raise ValueError("return_std and return_cov exclude each other: the covariance has the variances")
        fitted = hasattr(self, "kernel_")
        X = check_features(self, X) if fitted else check_samples(X)
        xp, dtype = get_array_module(X), X.dtype
        X = X.astype(np.float64, copy=False)
        kernel = self.kernel_ if fitted else self._kernel()
        mean, scale, V = xp.zeros(len(X)), xp.ones(()), xp.zeros((0, len(X)))
        if fitted:
            scale = self._y_std
            K = kernel(X, self.X_train_)
            mean = self._y_mean + scale * (K @ self.alpha_)  # k(x)'K^-1 y
            if return_std or return_cov:
                V = lapack.solve_lower(self.L_, K.T)  # V'V = k(x)'K^-1 k(x)
        mean = mean.astype(dtype, copy=False)
        if return_cov:
            covariance = kernel(X) - V.T @ V
            covariance = covariance[(..., *[None] * scale.ndim)] * scale**2
            return mean, covariance.astype(dtype, copy=False)
        if return_std:
            # Rounding can leave less than nothing.
            variance = xp.maximum(kernel.diag(X) - xp.einsum("ij,ij->j", V, V), 0)
            std = xp.sqrt(variance)[(..., *[None] * scale.ndim)] * scale
            return mean, std.astype(dtype, copy=False)
        return mean

    def sample_y(
        self, X: Array, n_samples: int = 1, random_state: int | np.random.Generator | None = 0
    ) -> Array:
        """Functions drawn from the process, at X (M, n): (M, n_samples) or (M, n_outputs, n_samples).

        Before `fit` they come from the prior. Raises as `predict`, and if `n_samples` is no positive integer.
        """
        n_samples = check_integer(n_samples, "n_samples", low=1)
        mean, covariance = self.predict(X, return_cov=True)
        xp = get_array_module(mean)
        z = np.random.default_rng(random_state).standard_normal((*mean.shape, n_samples))
        z = xp.asarray(z, dtype=mean.dtype)
        outputs = [
            m[:, None] + _square_root(xp, C) @ noise
            for m, C, noise in zip(
                mean.reshape(len(mean), -1).T,
                xp.moveaxis(covariance.reshape(len(mean), len(mean), -1), 2, 0),
                xp.moveaxis(z.reshape(len(mean), -1, n_samples), 1, 0),
                strict=True,
            )
        ]
        return outputs[0] if mean.ndim == 1 else xp.stack(outputs, axis=1)

    def log_marginal_likelihood(
        self, theta: Array = None, eval_gradient: bool = False
    ) -> float | tuple[float, np.ndarray]:
        """The logarithm of the density log p(y) of the training targets, scaled as `y_train_`.

        Parameters
        ----------
        theta : array (p,), optional
            Logarithms of the hyperparameters; those of `kernel_` by default.
        eval_gradient : bool
            Whether to return the derivatives by theta (p,) as well.

        Returns
        -------
        float
            Summed over outputs; -inf if K is not positive definite.

        Raises
        ------
        NotFittedError
            Before `fit`.
        ValueError
            If `theta` is not as long as that of the kernel.
        """
        check_is_fitted(self)
        kernel = self.kernel_ if theta is None else self.kernel_.clone_with_theta(theta)
        value, gradient = log_likelihood(kernel, self.X_train_, self.y_train_, self._noise)
        return (value, gradient()) if eval_gradient else value

    def _kernel(self) -> Kernel:
        kernel = Gaussian(1.0, "fixed") if self.kernel is None else get_kernel(self.kernel)
        kernel.check_parameters()
        return copy.deepcopy(kernel)

    def _minimiser(self) -> Optimizer | None:
        if self.optimizer is None or callable(self.optimizer):
            return self.optimizer
        if self.optimizer != "fmin_l_bfgs_b":
            raise ValueError(f'optimizer must be "fmin_l_bfgs_b", a function or None; got {self.optimizer!r}')
        return l_bfgs

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.requires_fit = False
        return tags


def log_likelihood(
    kernel: Kernel, X: Array, y: Array, alpha: Array
) -> tuple[float, Callable[[], np.ndarray]]:
    """The logarithm of p(y), and a function for its derivatives by theta (p,), which cost more.

    Where K is not positive definite they are -inf and 0.
    """
    xp = get_array_module(X)
    try:
        factor = _factor(kernel, X, alpha)
    except NotPositiveDefiniteError:
        return -math.inf, lambda: np.zeros_like(kernel.theta)
    a = factor.solve(y)
    return log_density(xp, factor.L, y, a), lambda: log_density_gradient(xp, kernel, X, factor.L, a)


def log_density(xp: ModuleType, L: Array, y: Array, a: Array) -> float:
    """The logarithm of the density N(y; 0, K), summed over outputs, for K = L L' and a = K^-1 y.

    References
    ----------
    Rasmussen and Williams 2006, algorithm 2.1.
    """
    log_determinant = 2 * float(xp.log(xp.diagonal(L)).sum())
    outputs = y.size // len(y)
    return -0.5 * (float((y * a).sum()) + outputs * (log_determinant + len(y) * math.log(2 * math.pi)))


def log_density_gradient(xp: ModuleType, kernel: Kernel, X: Array, L: Array, a: Array) -> np.ndarray:
    """The derivatives of `log_density` by the kernel's theta, (p,), summed over outputs.

        1/2 sum_ij W_ij dK_ij / d theta,    W = a a' - K^-1

    dK/dtheta is never stored: the kernel contracts it with W tile by tile.

    References
    ----------
    Rasmussen and Williams 2006, eq. (5.9).
    """
    a = a.reshape(len(a), -1)
    W = a @ a.T
    W -= a.shape[1] * lapack.invert_cholesky(L)  # of W only the lower triangle is read
    return kernel.theta_gradient(X, W) / 2


def l_bfgs(
    objective: Callable[[np.ndarray], tuple[float, np.ndarray]], theta: np.ndarray, bounds: np.ndarray
) -> tuple[np.ndarray, float]:
    """Where the objective has a minimum within the bounds, and the minimum; warns if L-BFGS gives up.

    References
    ----------
    Byrd et al. 1995, "A limited memory algorithm for bound constrained optimization".
    """
    result = scipy.optimize.minimize(objective, theta, method="L-BFGS-B", jac=True, bounds=bounds)
    if not result.success:
        warnings.warn(
            f"L-BFGS did not converge: {result.message}. Scale X and y, raise alpha or narrow the bounds",
            as_sklearn(ConvergenceWarning),
            stacklevel=3,
        )
    return result.x, result.fun


def _factor(kernel: Kernel, X: Array, alpha: Array) -> CholeskyFactor:
    """L with L L' = k(X) + alpha I."""
    K = kernel(X)
    K[range(len(K)), range(len(K))] += alpha
    try:
        return CholeskyFactor(K)
    except NotPositiveDefiniteError as error:
        raise NotPositiveDefiniteError(
            f"the covariance K of the training samples, with alpha={float(alpha.max()):g}, is not positive "
            "definite: samples coincide, or nearly so for this length scale. Raise alpha, the variance of "
            "the noise (a jitter of 1e-8 times that of the kernel is often enough), or add White() to it",
            error.pivot,
        ) from error


def _square_root(xp: ModuleType, C: Array) -> Array:
    """S with S S' = C, for a C that may be singular, as that of close points is to rounding."""
    s, U = xp.linalg.eigh(C)
    return U * xp.sqrt(xp.maximum(s, 0))
