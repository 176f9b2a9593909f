"""Least squares over blocks of rows: for data larger than memory, and spread over machines.

An accumulator keeps one small matrix that stands for all rows [X y] it has seen. Two of them merge into
that of all their rows, so blocks may be read by any process in any order.
"""

from __future__ import annotations

import copy
import mmap
from collections.abc import Iterable, Iterator
from types import ModuleType
from typing import Any, Self

import numpy as np

from tinynn.backend import Array, OnBackend, get_array_module
from tinynn.linalg.direct import (
    FACTORIZATIONS,
    ORTHOGONAL_METHODS,
    Solution,
    check_choice,
    check_precision,
    default_rcond,
    solve_gram,
    solve_triangle,
    solve_wide,
)
from tinynn.linalg.errors import FactorizationError
from tinynn.linalg.result import LeastSquaresResult
from tinynn.validation import check_array, check_integer, check_number, check_same_length

STRIP = 128  # rows that are turned from C's into Fortran's order at a time: their columns stay in cache


def row_blocks(
    X: Array, y: Array, rows: int | None = None, origin: tuple[Array, Array] | None = None
) -> Iterator[tuple[Array, Array]]:
    """Blocks (X[i:j], y[i:j]) of `rows` rows, by default about 2 MiB, which stay in a fast cache.

    Of memory-mapped files (``numpy.load(path, mmap_mode="r")``) only the present block takes memory.

    Parameters
    ----------
    X : array (M, n)
    y : array (M,) or (M, k)
    rows : int, optional
    origin : (array (n,), float or array (k,)), optional
        Taken off from every row of X and of y. Where it is their means, the blocks are those of centred
        data, of which there never is a whole copy.

    Raises
    ------
    TypeError, ValueError
        If the numbers of samples differ or `rows` is no positive integer.
    """
    M = check_same_length(X=X, y=y)
    if rows is None:
        rows = max(8 * X.shape[1], 2**18 // X.shape[1])
    rows = check_integer(rows, "rows", low=1)
    for i in range(0, M, rows):
        block = X[i : i + rows], y[i : i + rows]
        if origin is not None:
            with np.errstate(invalid="ignore"):  # inf - inf: whoever adds up the blocks finds the NaN
                block = block[0] - origin[0], block[1] - origin[1]
        yield block
        for a in (X, y):
            if isinstance(a, np.memmap) and a.mode in ("r", "r+") and hasattr(mmap, "MADV_DONTNEED"):
                # Else every page read so far would count as ours until the file is closed.
                a._mmap.madvise(mmap.MADV_DONTNEED)  # type: ignore[attr-defined]


def column_means(A: Array, dtype: Any = np.float64) -> Array:
    """The mean of `A` (M, ...) over its rows; that of equal values is exactly this value.

    A rounded mean would leave a constant column minus its mean as noise, and nothing is what must
    be left of it.
    """
    xp = get_array_module(A)
    columns = A.reshape(len(A), -1)
    with np.errstate(all="ignore"):  # NaN and inf are found, and refused, by those who compute with A
        means = columns.mean(axis=0, dtype=dtype)
    suspects = xp.flatnonzero(columns[0] == columns[-1])
    constant = (columns[:, suspects] == columns[0, suspects]).all(axis=0)
    means[suspects] = xp.where(constant, columns[0, suspects], means[suspects])
    return means.reshape(A.shape[1:])


class _Accumulator(OnBackend):
    """What the two share: checks, blocks, merging.

    Parameters
    ----------
    dtype : dtype
        Precision of the sums, whatever that of the blocks.
    factorization : str
        "lapack", or "tinynn" for the factorisations by hand.
    """

    methods: tuple[str, ...]
    remedy: str

    def __init__(self, *, dtype: Any = np.float64, factorization: str = "lapack"):
        self.dtype = check_precision(dtype)
        self.factorization = check_choice(factorization, "factorization", FACTORIZATIONS)
        self.n_samples = 0
        self._state: Array = None
        self._shapes: Any = None  # of a row of X and of y

    def update(self, X: Array, y: Array) -> Self:
        """Add a block of rows: X (m, n) and y (m,) or (m, k), with the same n and k in all blocks.

        Raises
        ------
        TypeError, ValueError
            If the block is not finite numbers, or does not fit to those before; nothing is added then.
        """
        X = check_array(X, "X", ndim=2, like=self._state, finite=False)
        y = check_array(y, "y", ndim=(1, 2), like=X, finite=False)
        check_same_length(X=X, y=y)
        self._check_shapes((X.shape[1:], y.shape[1:]))
        if not self.add(X, y):  # to look for NaN beforehand would be one more pass over the data
            check_array(X, "X", dtype=self.dtype), check_array(y, "y", dtype=self.dtype)
            raise ValueError(f"X or y is too large: sums of its squares overflow in {self.dtype}; rescale it")
        return self

    def extend(self, blocks: Iterable[tuple[Array, Array]]) -> Self:
        """Add all blocks (X, y) of an iterator, for example of `row_blocks`; raises as `update`."""
        for X, y in blocks:
            self.update(X, y)
        return self

    def merge(self, other: Self) -> Self:
        """Add all rows that another accumulator of the same kind has seen; ``a + b`` leaves both alone.

        Raises
        ------
        TypeError, ValueError
            If it is of another kind, dtype or array library, or its blocks had another shape.
        """
        if type(other) is not type(self) or other.dtype != self.dtype:
            raise TypeError(
                f"other is {type(other).__name__} ({getattr(other, 'dtype', 'no dtype')}); "
                f"wanted {type(self).__name__} ({self.dtype})"
            )
        if other._state is None:
            return self
        if self._state is not None:
            get_array_module(self=self._state, other=other._state)
            self._check_shapes(other._shapes)
        self._state = other._state.copy() if self._state is None else self._merged(other._state)
        self._shapes, self.xp = other._shapes, other.xp
        self.n_samples += other.n_samples
        return self

    def __add__(self, other: Self) -> Self:
        return copy.deepcopy(self).merge(other)

    def solve(
        self, method: str | None = None, alpha: float = 0.0, rcond: float | None = None
    ) -> LeastSquaresResult:
        """Minimise |X w - y|^2 + alpha |w|^2 over all rows; more may be added afterwards.

        Parameters
        ----------
        method : str, optional
            One of ``methods``; the first by default.
        alpha, rcond
            As in `tinynn.linalg.least_squares`, as are the errors.

        Raises
        ------
        ValueError
            If there are no rows yet.
        """
        method = check_choice(self.methods[0] if method is None else method, "method", self.methods)
        alpha = check_number(alpha, "alpha", low=0, high=np.inf, closed="left")
        if self._state is None or self._shapes is None:
            raise ValueError("no rows yet: call update(X, y) first")
        if rcond is None:
            rcond = default_rcond(method, self.n_samples, self._shapes[0][0], self.dtype)
        rcond = check_number(rcond, "rcond", low=0, high=1, closed="left")
        try:
            w, rank, condition = self.solve_reduced(method, alpha, rcond)
        except FactorizationError as error:
            raise type(error)(
                f"method {method!r} failed: {error}; "
                f"what would work: {self.remedy}, or alpha={error.alpha:.2g}",
                error.pivot,
                error.alpha,
            ) from None
        residual_norm = self.residual_norm(w)
        if self._shapes[1] == ():
            w, residual_norm = w[:, 0], float(residual_norm[0])
        return LeastSquaresResult(w, residual_norm, rank, condition, method)

    def _check_shapes(self, shapes: Any) -> None:
        if self._shapes not in (None, shapes):
            raise ValueError(
                f"rows of X and y have shapes {shapes[0]} and {shapes[1]}, "
                f"but in the blocks before {self._shapes[0]} and {self._shapes[1]}"
            )

    def add(self, X: Array, y: Array) -> bool:
        """`update` without checks: whether the sums are still finite; if not, nothing is added."""
        xp = get_array_module(X)
        with np.errstate(all="ignore"):
            state = self._updated(xp, X, y[:, None] if y.ndim == 1 else y)
            if not xp.isfinite(state).all():
                return False
        self._state, self._shapes, self.xp = state, (X.shape[1:], y.shape[1:]), xp
        self.n_samples += len(X)
        return True

    def solve_reduced(self, method: str, alpha: float, rcond: float) -> Solution:
        """`solve` without checks and advice: coefficients (n, k), rank and condition number."""
        raise NotImplementedError

    def residual_norm(self, w: Array) -> Array:
        """|X w - y| over all rows for coefficients (n, k), one for each of their columns."""
        raise NotImplementedError

    @property
    def _tools(self) -> Any:
        return FACTORIZATIONS[self.factorization]

    def _updated(self, xp: ModuleType, X: Array, y: Array) -> Array:
        raise NotImplementedError

    def _merged(self, state: Array) -> Array:
        raise NotImplementedError


class GramAccumulator(_Accumulator):
    """Keeps the sums X'X and X'y, and |y|^2 of each column of y.

    The fastest way, m n (n + k) operations for a block of m rows, and sums merge exactly. But X'X
    has the square of the condition number of X: half of the digits are gone before anything is
    solved, and the residual norm is a small difference of large numbers. Where that matters
    `TSQRAccumulator` is twice the work.

    Methods: "cholesky" and "normal" (LU).
    """

    methods = ("cholesky", "normal")
    remedy = "a TSQRAccumulator, which needs the data again"

    def _updated(self, xp: ModuleType, X: Array, y: Array) -> Array:
        X, y = X.astype(self.dtype, copy=False), y.astype(self.dtype, copy=False)
        n = X.shape[1]
        sums = xp.zeros((n + 1, n + y.shape[1]), dtype=self.dtype)
        sums[:n, :n] = self._tools.gram(X)  # S4 (8)
        sums[:n, n:] = X.T @ y  # S4 (13)
        sums[n, n:] = xp.einsum("ij,ij->j", y, y)
        return sums if self._state is None else self._state + sums

    def _merged(self, state: Array) -> Array:
        return self._state + state

    def solve_reduced(self, method: str, alpha: float, rcond: float) -> Solution:
        n = self._shapes[0][0]
        return solve_gram(self._state[:n, :n], self._state[:n, n:], method, alpha, rcond, self._tools)

    def residual_norm(self, w: Array) -> Array:
        G, b, squares = self._state[:-1, : len(w)], self._state[:-1, len(w) :], self._state[-1, len(w) :]
        # |X w - y|^2 = w'X'X w - 2 w'X'y + |y|^2
        return self.xp.sqrt(((w * (G @ w - 2 * b)).sum(axis=0) + squares).clip(0))


class TSQRAccumulator(_Accumulator):
    """Keeps the triangle R of a QR decomposition of Z = [X y], as accurate as one of all rows at once.

    The triangle so far is stacked on the new block and triangularised again: reflections do not
    change lengths, so |Z v| = |R v| for every v, and nothing is squared. 2 m (n + k)^2 operations for
    a block of m rows, if m is several n.

    Methods: "qr", "pivoted_qr" and "svd".

    References
    ----------
    Demmel, Grigori, Hoemmen, Langou 2012, SIAM J. Sci. Comput. 34, A206.
    """

    methods = ORTHOGONAL_METHODS
    remedy = "method='pivoted_qr' or 'svd'"

    def _updated(self, xp: ModuleType, X: Array, y: Array) -> Array:
        n, columns = X.shape[1], X.shape[1] + y.shape[1]
        Z = xp.empty((len(X), columns), dtype=self.dtype, order="F")
        for i in range(0, len(X), STRIP):
            Z[i : i + STRIP, :n] = X[i : i + STRIP]
        Z[:, n:] = y
        R = xp.zeros((columns, columns), dtype=self.dtype) if self._state is None else self._state
        return self._tools.append_rows(R, Z)  # S4 (24)

    def _merged(self, state: Array) -> Array:
        return self._tools.append_rows(self._state, state.copy())  # LAPACK overwrites it

    def solve_reduced(self, method: str, alpha: float, rcond: float) -> Solution:
        n = self._shapes[0][0]
        if self.n_samples < n:
            R, c = self._state[: self.n_samples, :n], self._state[: self.n_samples, n:]
            return solve_wide(R, c, method, alpha, rcond, self._tools)
        return solve_triangle(self._state, n, method, alpha, rcond, self._tools)

    def residual_norm(self, w: Array) -> Array:
        xp, R = self.xp, self._state
        return xp.linalg.norm(R @ xp.concatenate([w, -xp.eye(w.shape[1], dtype=w.dtype)]), axis=0)
