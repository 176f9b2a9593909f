"""What a kernel is: a symmetric function k(x, y) with derivatives; sums and products of kernels are kernels.

A kernel is the inner product of features, k(x, y) = phi(x)'phi(y). S4 (44) shows it for a square:
the features x_1^2, sqrt(2) x_1 x_2, x_2^2 have the inner product (x'y)^2, for which nobody has to form
them. All that a method needs of the samples is then the Gram matrix K_ij = k(x_i, x_j).

Every class gives `_tiles`, a function for any tile of the Gram matrix, and the matrix is put together
from tiles that stay in a fast cache. Of a symmetric one only half is computed.
"""

from __future__ import annotations

from collections.abc import Callable
from numbers import Real
from types import ModuleType
from typing import Any, Self

import numpy as np

from tinynn.backend import Array, get_array_module
from tinynn.estimator import Parametrised
from tinynn.validation import check_array, check_number

# BLAS uses threads from 2^19 multiplications on. Inner products over few features are computed tile by
# tile, below that, in the fastest cache. Those over many come a row of tiles at a time: few large products.
TILE, TALL_TILE = 120, 480
FEW_FEATURES = 2**19 // TILE**2

BOUNDS = (1e-5, 1e5)  # scikit-learn's; an optimiser looks for a hyperparameter in between

Bounds = tuple[float, float] | str
Tiles = Callable[[slice], Array]  # for some rows of a matrix: columns -> that tile of it
TileRows = Callable[[slice, int], Tiles]  # rows, and how many columns of them will be asked for


class Kernel(Parametrised):
    """Base of all kernels.

    Inputs are X (M, n) and Y (N, n). Without Y they are the same samples, Y = X; it is only then that
    a sample meets itself, which `White` needs to know.

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
        xp, X, Z = self._check(X, Y)
        diagonal = self._diag(xp, X) if Y is None else None
        return assemble(xp, self._tiles(xp, X, Z), X, Z, diagonal)

    def diag(self, X: Array) -> Array:
        """k(x_i, x_i), (M,): the diagonal of the Gram matrix of X (M, n); raises as calling the kernel."""
        xp, X, _ = self._check(X)
        return self._diag(xp, X)

    def dx(self, X: Array, Y: Array = None) -> Array:
        """Derivative d k(x_i, y_j) / d x_i, (M, N, n); arguments and errors as calling the kernel."""
        xp, X, Y = self._check(X, Y)
        return self._dx(xp, X, Y)

    def dxdy(self, X: Array, Y: Array = None) -> Array:
        """Derivatives d2 k(x_i, y_j) / d x_i d y_j', (M, N, n, n); otherwise as `dx`."""
        xp, X, Y = self._check(X, Y)
        return self._dxdy(xp, X, Y)

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
        check_array(theta, "theta", shape=self.theta.shape, empty=True)
        new = {self.hyperparameter: float(np.exp(theta[0]))} if self._is_free() else {}
        return type(self)(**self.get_params(deep=False) | new)

    def dtheta(self, X: Array) -> Array:
        """Derivatives d k(x_i, x_j) / d theta, (M, M, p), for X (M, n); raises as calling the kernel."""
        xp, X, _ = self._check(X)
        return self._dtheta(xp, X)

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
        return np.array(self._theta_gradient(xp, X, W))

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

    def _check_parameters(self) -> None:
        """Raise for parameters out of their range: a hyperparameter that is not positive, wrong bounds."""
        if self.hyperparameter:
            check_number(
                getattr(self, self.hyperparameter), self.hyperparameter, low=0, high=np.inf, closed="neither"
            )
            self._bounds()

    def _tiles(self, xp: ModuleType, X: Array, Y: Array) -> TileRows:
        """A function of rows and the number of columns that gives one of columns for tiles of k(x_i, y_j)."""
        raise NotImplementedError

    def _diag(self, xp: ModuleType, X: Array) -> Array:
        raise NotImplementedError

    def _dx(self, xp: ModuleType, X: Array, Y: Array) -> Array:
        raise NotImplementedError

    def _dxdy(self, xp: ModuleType, X: Array, Y: Array) -> Array:
        raise NotImplementedError

    def _dlog_tiles(self, xp: ModuleType, X: Array) -> TileRows:
        """Derivatives of k(x_i, x_j), i != j, by the logarithm of the hyperparameter, by tiles."""
        raise NotImplementedError

    def _dlog_diag(self, xp: ModuleType, X: Array) -> Array:
        """Those of k(x_i, x_i)."""
        raise NotImplementedError

    def _dtheta(self, xp: ModuleType, X: Array) -> Array:
        if not self._is_free():
            return xp.zeros((len(X), len(X), 0), dtype=X.dtype)
        return assemble(xp, self._dlog_tiles(xp, X), X, X, self._dlog_diag(xp, X))[:, :, None]

    def _theta_gradient(self, xp: ModuleType, X: Array, W: Array) -> list[float]:
        if not self._is_free():
            return []
        on_diagonal = float((xp.diagonal(W) * self._dlog_diag(xp, X)).sum())
        return [2 * contract_below(xp, self._dlog_tiles(xp, X), X, W) + on_diagonal]

    def _check(self, X: Array, Y: Array = None) -> tuple[ModuleType, Array, Array]:
        """The array library, and X and Y (X itself if that is None) in one dtype, once all is checked."""
        self._check_parameters()
        xp = get_array_module(X=X) if Y is None else get_array_module(X=X, Y=Y)
        X = check_array(X, "X", ndim=2)
        if Y is None:
            return xp, X, X
        Y = check_array(Y, "Y", ndim=2, like=X)
        if X.shape[1] != Y.shape[1]:
            raise ValueError(f"X has {X.shape[1]} features but Y has {Y.shape[1]}")
        dtype = np.promote_types(X.dtype, Y.dtype)
        # That Y is X says from here on that there was no Y, so what was passed twice is made a second array.
        return xp, X.astype(dtype, copy=False), Y[:].astype(dtype, copy=False)

    def _is_free(self) -> bool:
        return bool(self.hyperparameter) and self._bounds() != "fixed"

    def _bounds(self) -> Bounds:
        name = f"{self.hyperparameter}_bounds"
        bounds = getattr(self, name)
        if isinstance(bounds, str):
            if bounds != "fixed":
                raise ValueError(f'{name} must be (low, high) or "fixed"; got {bounds!r}')
            return bounds
        low, high = check_array(bounds, name, shape=(2,)).tolist()
        if not 0 < low <= high:
            raise ValueError(f"{name} must be (low, high) with 0 < low <= high; got {bounds!r}")
        return low, high


class Constant(Kernel):
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
        return _constant_tiles(xp, X, Y, self.value)

    def _diag(self, xp: ModuleType, X: Array) -> Array:
        return xp.full(len(X), self.value, dtype=X.dtype)

    def _dx(self, xp: ModuleType, X: Array, Y: Array) -> Array:
        return _zeros_dx(xp, X, Y)

    def _dxdy(self, xp: ModuleType, X: Array, Y: Array) -> Array:
        return _zeros_dxdy(xp, X, Y)

    def _dlog_tiles(self, xp: ModuleType, X: Array) -> TileRows:
        return self._tiles(xp, X, X)

    def _dlog_diag(self, xp: ModuleType, X: Array) -> Array:
        return self._diag(xp, X)


class White(Kernel):
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
        return _constant_tiles(xp, X, Y, 0)

    def _diag(self, xp: ModuleType, X: Array) -> Array:
        return xp.full(len(X), self.noise_level, dtype=X.dtype)

    def _dx(self, xp: ModuleType, X: Array, Y: Array) -> Array:
        return _zeros_dx(xp, X, Y)

    def _dxdy(self, xp: ModuleType, X: Array, Y: Array) -> Array:
        return _zeros_dxdy(xp, X, Y)

    def _dlog_tiles(self, xp: ModuleType, X: Array) -> TileRows:
        return self._tiles(xp, X, X)

    def _dlog_diag(self, xp: ModuleType, X: Array) -> Array:
        return self._diag(xp, X)


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
        check_array(theta, "theta", shape=self.theta.shape, empty=True)
        p = len(self.k1.theta)
        return type(self)(self.k1.clone_with_theta(theta[:p]), self.k2.clone_with_theta(theta[p:]))

    def _check_parameters(self) -> None:
        for name, kernel in (("k1", self.k1), ("k2", self.k2)):
            if not isinstance(kernel, Kernel):
                raise TypeError(f"{name} must be a Kernel; got {kernel!r}")
            kernel._check_parameters()


class Sum(_Pair):
    """k1(x, y) + k2(x, y): the features of both, one after the other.

    Parameters
    ----------
    k1, k2 : Kernel
    """

    def _tiles(self, xp: ModuleType, X: Array, Y: Array) -> TileRows:
        k1, k2 = self.k1._tiles(xp, X, Y), self.k2._tiles(xp, X, Y)

        def tile_rows(rows: slice, stop: int) -> Tiles:
            tile1, tile2 = k1(rows, stop), k2(rows, stop)
            return lambda columns: tile1(columns) + tile2(columns)

        return tile_rows

    def _diag(self, xp: ModuleType, X: Array) -> Array:
        return self.k1._diag(xp, X) + self.k2._diag(xp, X)

    def _dx(self, xp: ModuleType, X: Array, Y: Array) -> Array:
        return self.k1._dx(xp, X, Y) + self.k2._dx(xp, X, Y)

    def _dxdy(self, xp: ModuleType, X: Array, Y: Array) -> Array:
        return self.k1._dxdy(xp, X, Y) + self.k2._dxdy(xp, X, Y)

    def _dtheta(self, xp: ModuleType, X: Array) -> Array:
        return xp.concatenate([self.k1._dtheta(xp, X), self.k2._dtheta(xp, X)], axis=2)

    def _theta_gradient(self, xp: ModuleType, X: Array, W: Array) -> list[float]:
        return self.k1._theta_gradient(xp, X, W) + self.k2._theta_gradient(xp, X, W)


class Product(_Pair):
    """k1(x, y) k2(x, y): every feature of one times every feature of the other.

    Parameters
    ----------
    k1, k2 : Kernel
    """

    def _tiles(self, xp: ModuleType, X: Array, Y: Array) -> TileRows:
        k1, k2 = self.k1._tiles(xp, X, Y), self.k2._tiles(xp, X, Y)

        def tile_rows(rows: slice, stop: int) -> Tiles:
            tile1, tile2 = k1(rows, stop), k2(rows, stop)
            return lambda columns: tile1(columns) * tile2(columns)

        return tile_rows

    def _diag(self, xp: ModuleType, X: Array) -> Array:
        return self.k1._diag(xp, X) * self.k2._diag(xp, X)

    def _dx(self, xp: ModuleType, X: Array, Y: Array) -> Array:
        k1, k2 = (_gram(k, xp, X, Y)[:, :, None] for k in (self.k1, self.k2))
        return self.k1._dx(xp, X, Y) * k2 + k1 * self.k2._dx(xp, X, Y)

    def _dxdy(self, xp: ModuleType, X: Array, Y: Array) -> Array:
        k1, k2 = (_gram(k, xp, X, Y)[:, :, None, None] for k in (self.k1, self.k2))
        dx1, dx2 = (k._dx(xp, X, Y)[:, :, :, None] for k in (self.k1, self.k2))
        # k(x, y) = k(y, x), so that the derivative by the second argument is that by the first, exchanged.
        dy1, dy2 = (xp.swapaxes(k._dx(xp, Y, X), 0, 1)[:, :, None, :] for k in (self.k1, self.k2))
        return self.k1._dxdy(xp, X, Y) * k2 + dx1 * dy2 + dx2 * dy1 + k1 * self.k2._dxdy(xp, X, Y)

    def _dtheta(self, xp: ModuleType, X: Array) -> Array:
        k1, k2 = (_gram(k, xp, X, X)[:, :, None] for k in (self.k1, self.k2))
        return xp.concatenate([self.k1._dtheta(xp, X) * k2, k1 * self.k2._dtheta(xp, X)], axis=2)

    def _theta_gradient(self, xp: ModuleType, X: Array, W: Array) -> list[float]:
        k1, k2 = (_gram(k, xp, X, X) for k in (self.k1, self.k2))
        return self.k1._theta_gradient(xp, X, W * k2) + self.k2._theta_gradient(xp, X, W * k1)


def assemble(xp: ModuleType, tile_rows: TileRows, X: Array, Y: Array, diagonal: Array = None) -> Array:
    """The matrix (M, N) whose tiles `tile_rows` computes; symmetric if its `diagonal` is given."""
    height = TILE if X.shape[1] < FEW_FEATURES else TALL_TILE
    K = xp.empty((len(X), len(Y)), dtype=X.dtype)
    for i in range(0, len(X), height):
        rows = slice(i, i + height)
        tiles = tile_rows(rows, len(Y) if diagonal is None else i + height)
        for j in range(0, len(Y) if diagonal is None else i, TILE):
            columns = slice(j, j + TILE)
            tile = tiles(columns)
            K[rows, columns] = tile
            if diagonal is not None:
                K[columns, rows] = tile.T
        if diagonal is not None:
            tile = tiles(rows)  # symmetric but for rounding
            K[rows, rows] = xp.tril(tile) + xp.tril(tile, -1).T
    if diagonal is not None:
        every = xp.arange(len(X))
        K[every, every] = diagonal
    return K


def contract_below(xp: ModuleType, tile_rows: TileRows, X: Array, W: Array) -> float:
    """The sum of W_ij times the matrix whose tiles `tile_rows` computes, over the triangle i > j."""
    height = TILE if X.shape[1] < FEW_FEATURES else TALL_TILE
    total = xp.zeros(())
    for i in range(0, len(X), height):
        rows = slice(i, i + height)
        tiles = tile_rows(rows, i + height)
        for j in range(0, i, TILE):
            columns = slice(j, j + TILE)
            total += xp.einsum("ij,ij->", W[rows, columns], tiles(columns))
        total += xp.einsum("ij,ij->", xp.tril(W[rows, rows], -1), tiles(rows))
    return float(total)


def matrix_product(A: Array, B: Array) -> TileRows:
    """A B', by tiles."""

    def tile_rows(rows: slice, stop: int) -> Tiles:
        if A.shape[1] < FEW_FEATURES:
            return lambda columns: A[rows] @ B[columns].T
        product = A[rows] @ B[:stop].T
        return lambda columns: product[:, columns]

    return tile_rows


def elementwise(f: Callable[[Array], Array], tile_rows: TileRows) -> TileRows:
    """The function `f` of every element of a matrix, by tiles."""

    def of(tiles: Tiles) -> Tiles:
        return lambda columns: f(tiles(columns))

    return lambda rows, stop: of(tile_rows(rows, stop))


def _gram(kernel: Kernel, xp: ModuleType, X: Array, Y: Array) -> Array:
    diagonal = kernel._diag(xp, X) if Y is X else None
    return assemble(xp, kernel._tiles(xp, X, Y), X, Y, diagonal)


def _constant_tiles(xp: ModuleType, X: Array, Y: Array, value: float) -> TileRows:
    return lambda rows, _: lambda columns: xp.full((len(X[rows]), len(Y[columns])), value, dtype=X.dtype)


def _as_kernel(other: Any) -> Kernel | None:
    if isinstance(other, Kernel):
        return other
    return Constant(float(other)) if isinstance(other, Real) else None


def _zeros_dx(xp: ModuleType, X: Array, Y: Array) -> Array:
    return xp.zeros((len(X), len(Y), X.shape[1]), dtype=X.dtype)


def _zeros_dxdy(xp: ModuleType, X: Array, Y: Array) -> Array:
    return xp.zeros((len(X), len(Y), X.shape[1], X.shape[1]), dtype=X.dtype)
