"""What a kernel is: a symmetric function k(x, y) with derivatives; sums and products of kernels are kernels.

A kernel is the inner product of features, k(x, y) = phi(x)'phi(y). S4 (44) shows it for a square:
the features x_1^2, sqrt(2) x_1 x_2, x_2^2 have the inner product (x'y)^2, for which nobody has to form
them. All that a method needs of the samples is then the Gram matrix K_ij = k(x_i, x_j).

Every class gives `_tiles`, a function for any tile of the Gram matrix; see `tinynn.kernels.tiles`.
"""

from __future__ import annotations

import operator
from numbers import Real
from types import ModuleType
from typing import Any, Self

import numpy as np

from tinynn.backend import Array, get_array_module
from tinynn.estimator import Parametrised
from tinynn.kernels.tiles import TileRows, assemble, combine, constant, contract_below, stored
from tinynn.validation import check_array, check_number

BOUNDS = (1e-5, 1e5)  # scikit-learn's; an optimiser looks for a hyperparameter in between

Bounds = tuple[float, float] | str


class Kernel(Parametrised):
    """Base of all kernels.

    Inputs are X (M, n) and Y (N, n); kernels between molecules take samples of another shape. Without Y
    they are the same samples, Y = X; it is only then that a sample meets itself, which `White` needs to know.

    `hyperparameter` names the positive number that a Gaussian process may learn, if there is one. It
    has bounds in the parameter ``<hyperparameter>_bounds``: (low, high), or "fixed", which takes it out
    of `theta`.
    """

    hyperparameter = ""

    def __call__(self, X: Array, Y: Array = None) -> Array:
        """The Gram matrix k(x_i, y_j), (M, N), in the dtype of the inputs.

        Nothing of that size is needed besides the result.

        Raises
        ------
        TypeError, ValueError
            If X or Y is not a matrix of finite numbers, they have different numbers of features, or
            a parameter is out of its range.
        """
        return _gram(self, *self._check(X, Y))

    def diag(self, X: Array) -> Array:
        """k(x_i, x_i), (M,): the diagonal of the Gram matrix of X (M, n); raises as calling the kernel."""
        xp, X, _ = self._check(X)
        return self._diag(xp, X).astype(X.dtype, copy=False)

    def dx(self, X: Array, Y: Array = None) -> Array:
        """Derivative d k(x_i, y_j) / d x_i, (M, N, n); arguments and errors as calling the kernel."""
        xp, X, Y = self._check(X, Y)
        return self._dx(xp, X, Y).astype(X.dtype, copy=False)

    def dxdy(self, X: Array, Y: Array = None) -> Array:
        """Derivatives d2 k(x_i, y_j) / d x_i d y_j', (M, N, n, n); otherwise as `dx`."""
        xp, X, Y = self._check(X, Y)
        return self._dxdy(xp, X, Y).astype(X.dtype, copy=False)

    @property
    def theta(self) -> np.ndarray:
        """The logarithms of the hyperparameters that are not fixed, (p,)."""
        return np.log([getattr(self, self.hyperparameter)]) if self._is_free() else np.empty(0)

    @property
    def bounds(self) -> np.ndarray:
        """The bounds of `theta`, (p, 2), logarithms as well."""
        return np.log([self._bounds()]) if self._is_free() else np.empty((0, 2))

    def clone_with_theta(self, theta: Array) -> Self:
        """The same kernel with other hyperparameters, given by their logarithms (p,).

        Raises
        ------
        ValueError
            If `theta` is not as long as that of this kernel.
        """
        self._check_theta(theta)
        new = {self.hyperparameter: float(np.exp(theta[0]))} if self._is_free() else {}
        return type(self)(**self.get_params(deep=False) | new)

    def dtheta(self, X: Array, Y: Array = None) -> Array:
        """Derivatives d k(x_i, y_j) / d theta, (M, N, p); arguments and errors as calling the kernel."""
        xp, X, Y = self._check(X, Y)
        return self._dtheta(xp, X, Y).astype(X.dtype, copy=False)

    def theta_gradient(self, X: Array, W: Array) -> np.ndarray:
        """sum_ij W_ij d k(x_i, x_j) / d theta, (p,), without forming `dtheta`.

        Parameters
        ----------
        X : array (M, n)
        W : array (M, M)
            Symmetric weights, of which only the lower triangle is read.

        Raises
        ------
        TypeError, ValueError
            As calling the kernel.
        """
        xp, X, _ = self._check(X)
        return np.array(self._theta_gradient(xp, X, stored(W), xp.diagonal(W)))

    def check_parameters(self) -> None:
        """Raise for parameters out of their range: a hyperparameter that is not positive, wrong bounds.

        Raises
        ------
        TypeError, ValueError
            Naming the parameter. Whatever computes the kernel checks it as well.
        """
        if self.hyperparameter:
            check_number(
                getattr(self, self.hyperparameter), self.hyperparameter, low=0, high=np.inf, closed="neither"
            )
            self._bounds()

    def __add__(self, other: Any) -> Sum:
        other = _as_kernel(other)
        return NotImplemented if other is None else Sum(self, other)

    def __radd__(self, other: Any) -> Sum:
        other = _as_kernel(other)
        return NotImplemented if other is None else Sum(other, self)

    def __mul__(self, other: Any) -> Product:
        other = _as_kernel(other)
        return NotImplemented if other is None else Product(self, other)

    def __rmul__(self, other: Any) -> Product:
        other = _as_kernel(other)
        return NotImplemented if other is None else Product(other, self)

    __array_ufunc__ = None  # so that NumPy's numbers leave + and * to the kernel

    # What a class has to give, on arrays that are checked.

    def _ndim(self) -> tuple[int, ...]:
        """How many dimensions X may have, the samples' own and one for their number."""
        return (2,)

    def _tiles(self, xp: ModuleType, X: Array, Y: Array) -> TileRows:
        """A function of rows and the number of columns that gives one of columns for tiles of k(x_i, y_j)."""
        raise NotImplementedError

    def _diag(self, xp: ModuleType, X: Array) -> Array:
        raise NotImplementedError

    def _dx(self, xp: ModuleType, X: Array, Y: Array) -> Array:
        raise NotImplementedError

    def _dxdy(self, xp: ModuleType, X: Array, Y: Array) -> Array:
        raise NotImplementedError

    def _hyper_tiles(self, xp: ModuleType, X: Array, Y: Array) -> TileRows:
        """Derivatives of k(x_i, y_j) by the hyperparameter, by tiles."""
        raise NotImplementedError

    def _hyper_diag(self, xp: ModuleType, X: Array) -> Array:
        """Those of k(x_i, x_i)."""
        raise NotImplementedError

    def _dhyper(self, xp: ModuleType, X: Array, Y: Array) -> Array:
        """Those of k(x_i, y_j), (M, N)."""
        diagonal = self._hyper_diag(xp, X) if Y is X else None
        return assemble(xp, self._hyper_tiles(xp, X, Y), X, Y, diagonal)

    def _dtheta(self, xp: ModuleType, X: Array, Y: Array) -> Array:
        if not self._is_free():
            return xp.zeros((len(X), len(Y), 0), dtype=X.dtype)
        h = getattr(self, self.hyperparameter)
        return (h * self._dhyper(xp, X, Y))[:, :, None]  # dk / d log h = h dk / dh

    def _theta_gradient(self, xp: ModuleType, X: Array, W: TileRows, W_diag: Array) -> list[float]:
        if not self._is_free():
            return []
        below = contract_below(xp, self._hyper_tiles(xp, X, X), W, X)
        on = float((W_diag * self._hyper_diag(xp, X)).sum())
        return [getattr(self, self.hyperparameter) * (2 * below + on)]

    def _check(self, X: Array, Y: Array = None) -> tuple[ModuleType, Array, Array]:
        """The array library, and X and Y (X itself if that is None) in one dtype, once all is checked."""
        self.check_parameters()
        xp = get_array_module(X=X) if Y is None else get_array_module(X=X, Y=Y)
        X = check_array(X, "X", ndim=self._ndim())
        if Y is None:
            return xp, X, X
        Y = check_array(Y, "Y", ndim=self._ndim(), like=X)
        if X.shape[1:] != Y.shape[1:]:
            raise ValueError(f"X has samples of shape {X.shape[1:]} but Y of {Y.shape[1:]}")
        dtype = np.promote_types(X.dtype, Y.dtype)
        # That Y is X says from here on that there was no Y, so what was passed twice is made a second array.
        return xp, X.astype(dtype, copy=False), Y[:].astype(dtype, copy=False)

    def _is_free(self) -> bool:
        return bool(self.hyperparameter) and not isinstance(
            getattr(self, f"{self.hyperparameter}_bounds"), str
        )

    def _bounds(self) -> Bounds:
        name = f"{self.hyperparameter}_bounds"
        bounds = getattr(self, name)
        if isinstance(bounds, str):
            if bounds != "fixed":
                raise ValueError(f'{name} must be (low, high) or "fixed"; got {bounds!r}')
            return bounds
        if np.shape(bounds) == (2,):
            low, high = (check_number(bound, name) for bound in bounds)
            if 0 < low <= high < np.inf:
                return low, high
        raise ValueError(f"{name} must be (low, high) with 0 < low <= high; got {bounds!r}")

    def _check_theta(self, theta: Array) -> None:
        if np.shape(theta) != self.theta.shape:
            raise ValueError(f"theta has shape {np.shape(theta)}; wanted {self.theta.shape}")


class _PlacelessKernel(Kernel):
    """A kernel that does not look at x and y: of samples of any kind, with derivatives 0 by both."""

    def _ndim(self) -> tuple[int, ...]:
        return (2, 3)

    def _dx(self, xp: ModuleType, X: Array, Y: Array) -> Array:
        return xp.zeros((len(X), len(Y), *X.shape[1:]), dtype=X.dtype)

    def _dxdy(self, xp: ModuleType, X: Array, Y: Array) -> Array:
        return xp.zeros((len(X), len(Y), *X.shape[1:], *X.shape[1:]), dtype=X.dtype)

    def _hyper_diag(self, xp: ModuleType, X: Array) -> Array:
        return xp.ones(len(X), dtype=X.dtype)


class Constant(_PlacelessKernel):
    """k(x, y) = value: a number in a sum or product of kernels.

    Parameters
    ----------
    value : float
        > 0; in a product the variance of the functions that the other kernel describes.
    value_bounds : (float, float) or "fixed"
    """

    hyperparameter = "value"

    def __init__(self, value: float = 1.0, value_bounds: Bounds = BOUNDS):
        self.value = value
        self.value_bounds = value_bounds

    def _tiles(self, xp: ModuleType, X: Array, Y: Array) -> TileRows:
        return constant(xp, X, Y, self.value)

    def _diag(self, xp: ModuleType, X: Array) -> Array:
        return xp.full(len(X), self.value, dtype=X.dtype)

    def _hyper_tiles(self, xp: ModuleType, X: Array, Y: Array) -> TileRows:
        return constant(xp, X, Y, 1)


class White(_PlacelessKernel):
    """The noise of observations: `noise_level` where a sample meets itself, 0 elsewhere.

    k(X) is noise_level times the unit matrix, k(X, Y) is 0 even where rows of X and Y are equal: two
    measurements at the same place have noise of their own. The noise belongs to the sample, not to the
    place, so that the derivatives by x and y are 0.

    Parameters
    ----------
    noise_level : float
        Variance of the noise, > 0.
    noise_level_bounds : (float, float) or "fixed"
    """

    hyperparameter = "noise_level"

    def __init__(self, noise_level: float = 1.0, noise_level_bounds: Bounds = BOUNDS):
        self.noise_level = noise_level
        self.noise_level_bounds = noise_level_bounds

    def _tiles(self, xp: ModuleType, X: Array, Y: Array) -> TileRows:
        return constant(xp, X, Y, 0)

    def _diag(self, xp: ModuleType, X: Array) -> Array:
        return xp.full(len(X), self.noise_level, dtype=X.dtype)

    def _hyper_tiles(self, xp: ModuleType, X: Array, Y: Array) -> TileRows:
        return constant(xp, X, Y, 0)

    def _theta_gradient(self, xp: ModuleType, X: Array, W: TileRows, W_diag: Array) -> list[float]:
        return [self.noise_level * float(W_diag.sum())] if self._is_free() else []


class _Pair(Kernel):
    """Two kernels that make one; its hyperparameters are those of both, in order."""

    def __init__(self, k1: Kernel, k2: Kernel):
        self.k1 = k1
        self.k2 = k2

    @property
    def theta(self) -> np.ndarray:
        return np.concatenate([self.k1.theta, self.k2.theta])

    @property
    def bounds(self) -> np.ndarray:
        return np.concatenate([self.k1.bounds, self.k2.bounds])

    def clone_with_theta(self, theta: Array) -> Self:
        self._check_theta(theta)
        p = len(self.k1.theta)
        return type(self)(self.k1.clone_with_theta(theta[:p]), self.k2.clone_with_theta(theta[p:]))

    def check_parameters(self) -> None:
        for name, kernel in (("k1", self.k1), ("k2", self.k2)):
            if not isinstance(kernel, Kernel):
                raise TypeError(f"{name} must be a Kernel; got {kernel!r}")
            kernel.check_parameters()
        if not self._ndim():
            raise ValueError(
                f"k1 takes X of {_or(self.k1._ndim())} dimensions but k2 of {_or(self.k2._ndim())}: rows of "
                "features have 2, samples of molecules 3"
            )

    def _ndim(self) -> tuple[int, ...]:
        return tuple(n for n in self.k1._ndim() if n in self.k2._ndim())


class Sum(_Pair):
    """k1(x, y) + k2(x, y): the features of both, one after the other.

    Parameters
    ----------
    k1, k2 : Kernel
    """

    def _tiles(self, xp: ModuleType, X: Array, Y: Array) -> TileRows:
        return combine(operator.add, self.k1._tiles(xp, X, Y), self.k2._tiles(xp, X, Y))

    def _diag(self, xp: ModuleType, X: Array) -> Array:
        return self.k1._diag(xp, X) + self.k2._diag(xp, X)

    def _dx(self, xp: ModuleType, X: Array, Y: Array) -> Array:
        return self.k1._dx(xp, X, Y) + self.k2._dx(xp, X, Y)

    def _dxdy(self, xp: ModuleType, X: Array, Y: Array) -> Array:
        return self.k1._dxdy(xp, X, Y) + self.k2._dxdy(xp, X, Y)

    def _dtheta(self, xp: ModuleType, X: Array, Y: Array) -> Array:
        return xp.concatenate([self.k1._dtheta(xp, X, Y), self.k2._dtheta(xp, X, Y)], axis=2)

    def _theta_gradient(self, xp: ModuleType, X: Array, W: TileRows, W_diag: Array) -> list[float]:
        return [g for k in (self.k1, self.k2) for g in k._theta_gradient(xp, X, W, W_diag)]


class Product(_Pair):
    """k1(x, y) k2(x, y): every feature of one times every feature of the other.

    Parameters
    ----------
    k1, k2 : Kernel
    """

    def _tiles(self, xp: ModuleType, X: Array, Y: Array) -> TileRows:
        return combine(operator.mul, self.k1._tiles(xp, X, Y), self.k2._tiles(xp, X, Y))

    def _diag(self, xp: ModuleType, X: Array) -> Array:
        return self.k1._diag(xp, X) * self.k2._diag(xp, X)

    def _dx(self, xp: ModuleType, X: Array, Y: Array) -> Array:
        new = (None,) * (X.ndim - 1)
        k1, k2 = (_gram(k, xp, X, Y)[:, :, *new] for k in (self.k1, self.k2))
        return self.k1._dx(xp, X, Y) * k2 + k1 * self.k2._dx(xp, X, Y)

    def _dxdy(self, xp: ModuleType, X: Array, Y: Array) -> Array:
        new = (None,) * (X.ndim - 1)
        k1, k2 = (_gram(k, xp, X, Y)[:, :, *new, *new] for k in (self.k1, self.k2))
        dx1, dx2 = (k._dx(xp, X, Y)[..., *new] for k in (self.k1, self.k2))
        # k(x, y) = k(y, x), so that the derivative by the second argument is that by the first, exchanged.
        dy1, dy2 = (xp.swapaxes(k._dx(xp, Y, X), 0, 1)[:, :, *new] for k in (self.k1, self.k2))
        return self.k1._dxdy(xp, X, Y) * k2 + dx1 * dy2 + dx2 * dy1 + k1 * self.k2._dxdy(xp, X, Y)

    def _dtheta(self, xp: ModuleType, X: Array, Y: Array) -> Array:
        k1, k2 = (_gram(k, xp, X, Y)[:, :, None] for k in (self.k1, self.k2))
        return xp.concatenate([self.k1._dtheta(xp, X, Y) * k2, k1 * self.k2._dtheta(xp, X, Y)], axis=2)

    def _theta_gradient(self, xp: ModuleType, X: Array, W: TileRows, W_diag: Array) -> list[float]:
        # What one factor changes is weighted with the other.
        return [
            g
            for k, other in ((self.k1, self.k2), (self.k2, self.k1))
            for g in k._theta_gradient(
                xp, X, combine(operator.mul, W, other._tiles(xp, X, X)), W_diag * other._diag(xp, X)
            )
        ]


def _gram(kernel: Kernel, xp: ModuleType, X: Array, Y: Array) -> Array:
    """The Gram matrix for arrays that are checked."""
    diagonal = kernel._diag(xp, X) if Y is X else None
    return assemble(xp, kernel._tiles(xp, X, Y), X, Y, diagonal)


def _as_kernel(other: Any) -> Kernel | None:
    if isinstance(other, Kernel):
        return other
    return Constant(float(other)) if isinstance(other, Real) else None


def _or(numbers: tuple[int, ...]) -> str:
    return " or ".join(map(str, numbers))
