"""The multivariate normal distribution: density, samples, marginals and conditionals."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from tinynn.backend import Array, get_array_module
from tinynn.linalg import cholesky, solve_lower
from tinynn.validation import check_array, check_integer


class MultivariateNormal:
    """The normal distribution N(mu, Sigma) of a vector with k components.

        p(x) = exp(-(x - mu)' Sigma^-1 (x - mu) / 2) / sqrt((2 pi)^k det Sigma)

    Everything goes through the Cholesky factor L of Sigma = L L': z = L^-1 (x - mu) is standard
    normal, so |z|^2 is the exponent, the product of the diagonal of L is sqrt(det Sigma), and
    mu + L z is a sample. Neither an inverse nor a determinant is formed.

    Parameters
    ----------
    mean : array (k,)
        mu.
    covariance : array (k, k)
        Sigma, symmetric and positive definite.

    Raises
    ------
    TypeError, ValueError
        If the arguments are not finite numbers of these shapes, or Sigma is not symmetric.
    NotPositiveDefiniteError
        If Sigma is not positive definite: a component is a combination of others, or has no variance.

    References
    ----------
    S3 9.3, 9.4.
    """

    def __init__(self, mean: Array, covariance: Array):
        xp = get_array_module(mean=mean, covariance=covariance)
        self.mean = check_array(mean, "mean", ndim=1, dtype=np.float64)
        k = len(self.mean)
        Sigma = check_array(covariance, "covariance", shape=(k, k), dtype=np.float64)
        scale = xp.sqrt(xp.abs(xp.diagonal(Sigma)))
        if (xp.abs(Sigma - Sigma.T) > 1e-10 * scale[:, None] * scale).any():
            raise ValueError("covariance is not symmetric; wanted Cov(X_i, X_j) = Cov(X_j, X_i)")
        self.covariance = (Sigma + Sigma.T) / 2  # what is left of the difference is rounding
        self._L = cholesky(self.covariance)  # Sigma = L L'                                  S3 9.4

    def logpdf(self, x: Array) -> Array:
        """Logarithm of the density at one point (k,), a float, or at many (M, k), an array (M,).

        Raises
        ------
        TypeError, ValueError
            If x is not finite numbers of this shape.
        """
        xp = get_array_module(x=x, mean=self.mean)
        x = check_array(x, "x", ndim=(1, 2), dtype=np.float64, like=self.mean)
        k = len(self.mean)
        if x.shape[-1] != k:
            raise ValueError(f"x has shape {x.shape}; wanted ({k},) or (M, {k})")
        z = solve_lower(self._L, (xp.atleast_2d(x) - self.mean).T)
        log_determinant = 2 * xp.log(xp.diagonal(self._L)).sum()
        logp = -(xp.sum(z**2, axis=0) + log_determinant + k * math.log(2 * math.pi)) / 2  # S3 9.3
        return float(logp[0]) if x.ndim == 1 else logp

    def pdf(self, x: Array) -> Array:
        """The density itself, per unit volume of x; arguments and errors as `logpdf`."""
        logp = self.logpdf(x)
        return math.exp(logp) if isinstance(logp, float) else get_array_module(logp).exp(logp)

    def sample(self, size: int, rng: int | np.random.Generator | None = None) -> Array:
        """Draw `size` vectors: an array (size, k).

        Raises
        ------
        TypeError, ValueError
            If `size` is not a positive integer.
        """
        size = check_integer(size, "size", low=1)
        z = np.random.default_rng(rng).standard_normal((size, len(self.mean)))
        return self.mean + get_array_module(self.mean).asarray(z) @ self._L.T  # mu + L z     S3 9.4

    def marginal(self, indices: Sequence[int]) -> MultivariateNormal:
        """The distribution of some components, in that order, whatever the others are.

        Raises
        ------
        TypeError, ValueError
            If the indices are not different integers 0 .. k - 1.
        """
        a = self._check_indices(indices)
        return MultivariateNormal(self.mean[a], self.covariance[a][:, a])  # S3 9.3

    def conditional(self, indices: Sequence[int], values: Sequence[float]) -> MultivariateNormal:
        """The distribution of the other components, in their order, once some are known.

        With b the known ones, a the others:

            mu_a + Sigma_ab Sigma_bb^-1 (values - mu_b),    Sigma_aa - Sigma_ab Sigma_bb^-1 Sigma_ba

        The covariance does not depend on what the values are, only on which are known.

        Parameters
        ----------
        indices : sequence of int
            Which components are known; at least one is not.
        values : sequence of float
            Their values.

        Raises
        ------
        TypeError, ValueError
            If the indices are not different integers 0 .. k - 1, nothing is left, or the values are
            not as many finite numbers.
        """
        b = self._check_indices(indices)
        a = [i for i in range(len(self.mean)) if i not in b]
        if not a:
            raise ValueError("indices name all components; at least one has to be unknown")
        values = check_array(values, "values", shape=(len(b),), dtype=np.float64, like=self.mean)
        L = cholesky(self.covariance[b][:, b])
        W = solve_lower(L, self.covariance[b][:, a])  # W'W = Sigma_ab Sigma_bb^-1 Sigma_ba
        z = solve_lower(L, values - self.mean[b])
        return MultivariateNormal(
            self.mean[a] + W.T @ z,  # S3 9.3
            self.covariance[a][:, a] - W.T @ W,  # S3 9.3
        )

    def _check_indices(self, indices: Sequence[int]) -> list[int]:
        k = len(self.mean)
        checked = [check_integer(i, "indices", low=0) for i in indices]
        if not checked or len(set(checked)) < len(checked) or max(checked) >= k:
            raise ValueError(f"indices are {list(indices)}; wanted different integers from 0 to {k - 1}")
        return checked

    def __repr__(self) -> str:
        return f"MultivariateNormal(mean={self.mean}, covariance={self.covariance})"
