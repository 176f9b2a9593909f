"""The kernels themselves: each is its equation and the derivatives of it, one line each."""

from __future__ import annotations

import math
from types import ModuleType

import numpy as np

from tinynn.backend import Array, get_array_module
from tinynn.kernels.base import BOUNDS, Bounds, Kernel
from tinynn.kernels.tiles import (
    TileRows,
    absolute_distances,
    assemble,
    dot_products,
    elementwise,
    squared_distances,
)
from tinynn.validation import check_integer, check_number


class DotProductKernel(Kernel):
    """Base of kernels k(x, y) = f(t) of the inner product t = x'y.

    A subclass gives f and its derivatives by t, elementwise on arrays:

        dk/dx = f'(t) y,    d2k/dx dy' = f'(t) I + f''(t) y x'
    """

    def f(self, t: Array) -> Array:
        """The kernel as a function of t = x'y, elementwise."""
        raise NotImplementedError

    def df(self, t: Array) -> Array:
        """df/dt, elementwise."""
        raise NotImplementedError

    def d2f(self, t: Array) -> Array:
        """d2f/dt2, elementwise."""
        raise NotImplementedError

    def _tiles(self, xp: ModuleType, X: Array, Y: Array) -> TileRows:
        return elementwise(self.f, dot_products(X, Y))

    def _diag(self, xp: ModuleType, X: Array) -> Array:
        return self.f((X * X).sum(axis=1))

    def _dx(self, xp: ModuleType, X: Array, Y: Array) -> Array:
        return self.df(X @ Y.T)[:, :, None] * Y

    def _dxdy(self, xp: ModuleType, X: Array, Y: Array) -> Array:
        t = (X @ Y.T)[:, :, None, None]
        unit = xp.eye(X.shape[1], dtype=X.dtype)
        return self.df(t) * unit + self.d2f(t) * (Y[None, :, :, None] * X[:, None, None, :])


class Linear(DotProductKernel):
    """k(x, y) = x'y: the features are x itself.

    References
    ----------
    S3 17.2; S4 (39)-(42).
    """

    def f(self, t: Array) -> Array:
        return t  # S3 17.2

    def df(self, t: Array) -> Array:
        return 0 * t + 1

    def d2f(self, t: Array) -> Array:
        return 0 * t


class Polynomial(DotProductKernel):
    """k(x, y) = (gamma x'y + coef0)^degree: all products of up to `degree` components of x.

    For one component, gamma = 1 and coef0 = 1 the features are sqrt(binomial(degree, k)) x^k, k = 0 ...
    degree; S3 leaves out the square root.

    Parameters
    ----------
    degree : int
        >= 1.
    gamma : float
        > 0.
    coef0 : float
        >= 0: with a negative one it is no kernel. 0 keeps only the products of exactly `degree`.

    References
    ----------
    S3 18.1; S4 (44).
    """

    def __init__(self, degree: int = 3, gamma: float = 1.0, coef0: float = 1.0):
        self.degree = degree
        self.gamma = gamma
        self.coef0 = coef0

    def check_parameters(self) -> None:
        check_integer(self.degree, "degree", low=1)
        check_number(self.gamma, "gamma", low=0, high=np.inf, closed="neither")
        check_number(self.coef0, "coef0", low=0, high=np.inf, closed="left")

    def f(self, t: Array) -> Array:
        return _power(self.gamma * t + self.coef0, self.degree)  # S4 (44)

    def df(self, t: Array) -> Array:
        return self.degree * self.gamma * _power(self.gamma * t + self.coef0, self.degree - 1)

    def d2f(self, t: Array) -> Array:
        d = self.degree
        return d * (d - 1) * self.gamma**2 * _power(self.gamma * t + self.coef0, max(d - 2, 0))


class _LengthScaleKernel(Kernel):
    """A kernel with a length scale."""

    hyperparameter = "length_scale"

    def __init__(self, length_scale: float = 1.0, length_scale_bounds: Bounds = BOUNDS):
        self.length_scale = length_scale
        self.length_scale_bounds = length_scale_bounds

    def d_length_scale(self, X: Array, Y: Array = None) -> Array:
        """Derivative d k(x_i, y_j) / d length_scale, (M, N); arguments and errors as calling the kernel."""
        return self._dhyper(*self._check(X, Y))

    def _hyper_diag(self, xp: ModuleType, X: Array) -> Array:
        return xp.zeros(len(X), dtype=X.dtype)  # k(x, x) = 1 for all length scales


class RadialKernel(_LengthScaleKernel):
    """Base of kernels k(x, y) = f(s) of the squared distance s = |x - y|^2.

    A subclass gives f and its derivatives, elementwise on arrays of s:

        dk/dx = 2 f'(s) (x - y),    d2k/dx dy' = -2 f'(s) I - 4 f''(s) (x - y)(x - y)'

    Parameters
    ----------
    length_scale : float
        l: how far apart two samples can be and still tell of each other; > 0, in the unit of X.
    length_scale_bounds : (float, float) or "fixed"
    """

    def f(self, s: Array) -> Array:
        """The kernel as a function of s = |x - y|^2, elementwise."""
        raise NotImplementedError

    def df(self, s: Array) -> Array:
        """df/ds, elementwise."""
        raise NotImplementedError

    def d2f(self, s: Array) -> Array:
        """d2f/ds2, elementwise."""
        raise NotImplementedError

    def df_dlength(self, s: Array) -> Array:
        """df/d length_scale, elementwise."""
        raise NotImplementedError

    def _tiles(self, xp: ModuleType, X: Array, Y: Array) -> TileRows:
        return elementwise(self.f, squared_distances(xp, X, Y))

    def _hyper_tiles(self, xp: ModuleType, X: Array, Y: Array) -> TileRows:
        return elementwise(self.df_dlength, squared_distances(xp, X, Y))

    def _diag(self, xp: ModuleType, X: Array) -> Array:
        return self.f(xp.zeros(len(X), dtype=X.dtype))

    def _dx(self, xp: ModuleType, X: Array, Y: Array) -> Array:
        d = X[:, None, :] - Y
        s = (d * d).sum(axis=2)[:, :, None]
        return 2 * self.df(s) * d

    def _dxdy(self, xp: ModuleType, X: Array, Y: Array) -> Array:
        d = X[:, None, :] - Y
        s = (d * d).sum(axis=2)[:, :, None, None]
        unit = xp.eye(X.shape[1], dtype=X.dtype)
        return -2 * self.df(s) * unit - 4 * self.d2f(s) * (d[:, :, :, None] * d[:, :, None, :])


class Gaussian(RadialKernel):
    """k(x, y) = exp(-|x - y|^2 / (2 l^2)), with the length scale l: very smooth functions.

    With g = 1/(2 l^2), scikit-learn's gamma, it is a polynomial kernel of infinite degree,

        k = exp(-g |x|^2) exp(-g |y|^2) sum_k (2 g x'y)^k / k!

    S4 (45) expands exp(-g |x - y|^2) itself instead, whose terms are no kernels. S3 18.1 finds the
    same kernel as the inner product of bell curves, one around x and one around y.

    Parameters as `RadialKernel`.

    References
    ----------
    S3 18.1; S4 (45).
    """

    def f(self, s: Array) -> Array:
        return get_array_module(s).exp(s * (-0.5 / self.length_scale**2))  # S4 (45)

    def df(self, s: Array) -> Array:
        return self.f(s) * (-0.5 / self.length_scale**2)

    def d2f(self, s: Array) -> Array:
        return self.f(s) * (0.25 / self.length_scale**4)

    def df_dlength(self, s: Array) -> Array:
        return self.f(s) * s * self.length_scale**-3.0


class Matern32(RadialKernel):
    """k(x, y) = (1 + a) exp(-a), a = sqrt(3) |x - y| / l: functions with one derivative.

    Parameters as `RadialKernel`.

    References
    ----------
    Rasmussen and Williams 2006, Gaussian Processes for Machine Learning, eq. (4.17).
    """

    def f(self, s: Array) -> Array:
        a = self._a(s)
        return (1 + a) * get_array_module(s).exp(-a)

    def df(self, s: Array) -> Array:
        return get_array_module(s).exp(-self._a(s)) * (-1.5 / self.length_scale**2)

    def d2f(self, s: Array) -> Array:
        """d2f/ds2, elementwise; 0 at s = 0.

        There it grows like 1 / |x - y|, but what it is multiplied with in d2k/dx dy', the product
        (x - y)(x - y)', falls like |x - y|^2. Their product tends to 0, as with any finite number here.
        """
        xp = get_array_module(s)
        a = self._a(s)
        return xp.where(a > 0, xp.exp(-a) / xp.where(a > 0, a, 1), 0) * (2.25 / self.length_scale**4)

    def df_dlength(self, s: Array) -> Array:
        a = self._a(s)
        return a * a * get_array_module(s).exp(-a) * (1 / self.length_scale)

    def _a(self, s: Array) -> Array:
        return get_array_module(s).sqrt(s) * (math.sqrt(3) / self.length_scale)


class Matern52(RadialKernel):
    """k(x, y) = (1 + a + a^2/3) exp(-a), a = sqrt(5) |x - y| / l: functions with two derivatives.

    Parameters as `RadialKernel`.

    References
    ----------
    Rasmussen and Williams 2006, Gaussian Processes for Machine Learning, eq. (4.17).
    """

    def f(self, s: Array) -> Array:
        a = self._a(s)
        return (1 + a + a * a * (1 / 3)) * get_array_module(s).exp(-a)

    def df(self, s: Array) -> Array:
        a = self._a(s)
        return (1 + a) * get_array_module(s).exp(-a) * (-5 / 6 / self.length_scale**2)

    def d2f(self, s: Array) -> Array:
        return get_array_module(s).exp(-self._a(s)) * (25 / 12 / self.length_scale**4)

    def df_dlength(self, s: Array) -> Array:
        a = self._a(s)
        return a * a * (1 + a) * get_array_module(s).exp(-a) * (1 / 3 / self.length_scale)

    def _a(self, s: Array) -> Array:
        return get_array_module(s).sqrt(s) * (math.sqrt(5) / self.length_scale)


class Laplacian(_LengthScaleKernel):
    """k(x, y) = exp(-|x - y|_1 / l), the sum of absolute differences over the length scale l.

    scikit-learn's gamma is 1/l. Where a component of x equals that of y there is a kink; the
    derivatives are those of the average of both sides.

    Parameters as `RadialKernel`.
    """

    def _tiles(self, xp: ModuleType, X: Array, Y: Array) -> TileRows:
        l = self.length_scale
        return elementwise(lambda s: xp.exp(s * (-1 / l)), absolute_distances(xp, X, Y))

    def _hyper_tiles(self, xp: ModuleType, X: Array, Y: Array) -> TileRows:
        l = self.length_scale
        return elementwise(lambda s: xp.exp(s * (-1 / l)) * s * l**-2.0, absolute_distances(xp, X, Y))

    def _diag(self, xp: ModuleType, X: Array) -> Array:
        return xp.ones(len(X), dtype=X.dtype)

    def _dx(self, xp: ModuleType, X: Array, Y: Array) -> Array:
        k = assemble(xp, self._tiles(xp, X, Y), X, Y)[:, :, None]
        return xp.sign(X[:, None, :] - Y) * k * (-1 / self.length_scale)

    def _dxdy(self, xp: ModuleType, X: Array, Y: Array) -> Array:
        k = assemble(xp, self._tiles(xp, X, Y), X, Y)[:, :, None, None]
        sign = xp.sign(X[:, None, :] - Y)
        return sign[:, :, :, None] * sign[:, :, None, :] * k * (-1 / self.length_scale**2)


def _power(x: Array, n: int) -> Array:
    """x^n = (x^2)^(n/2) for a whole number n: many times faster than the general power."""
    if n < 2:
        return x if n else 0 * x + 1
    even = _power(x * x, n // 2)
    return even * x if n % 2 else even
