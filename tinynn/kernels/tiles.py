"""Matrices over pairs of samples, tile by tile: no temporary is much larger than a fast cache.

A matrix (M, N) that is not stored is a function `TileRows`. It takes rows, and how many columns of them
will be asked for, and returns a function that computes the tile of these rows and any of those columns.
Such functions are combined here (`elementwise`, `combine`) and at last put together to a stored matrix
(`assemble`) or to a number (`contract_below`). Of a symmetric matrix only half is computed.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from types import ModuleType
from typing import Any

import numpy as np

from tinynn.backend import Array

Tiles = Callable[[slice], Array]
TileRows = Callable[[slice, int], Tiles]

# Up to this many features, tiles are so small that BLAS does not use threads for their inner products:
# there threads cost more than they bring. For more features, inner products take most of the time, and
# come for a row of tiles at once.
FEW_FEATURES = 100
ONE_THREAD = 2**19  # multiplications
TILE, TALL_TILE = 120, 240


def assemble(xp: ModuleType, tile_rows: TileRows, X: Array, Y: Array, diagonal: Array = None) -> Array:
    """The matrix (M, N) with these tiles; if its `diagonal` is given, it is taken to be symmetric."""
    height, width = _tile_shape(X.shape[1])
    K = xp.empty((len(X), len(Y)), dtype=X.dtype)
    for i in range(0, len(X), height):
        _assemble_rows(K, slice(i, i + height), width, tile_rows, diagonal is not None)
    if diagonal is not None:
        every = xp.arange(len(X))
        K[every, every] = diagonal
    return K


def _assemble_rows(K: Array, rows: slice, width: int, tile_rows: TileRows, symmetric: bool) -> None:
    tiles = tile_rows(rows, rows.stop if symmetric else K.shape[1])
    for j in range(0, rows.start if symmetric else K.shape[1], width):
        columns = slice(j, j + width)
        tile = tiles(columns)
        K[rows, columns] = tile
        if symmetric:
            K[columns, rows] = tile.T
    if symmetric:
        tile = tiles(rows)
        K[rows, rows] = (tile + tile.T) / 2  # the halves differ by rounding


def contract_below(xp: ModuleType, tile_rows: TileRows, weights: TileRows, X: Array) -> float:
    """The sum over i > j of the products of the elements of two matrices (M, M)."""
    height, width = _tile_shape(X.shape[1])
    total = xp.zeros(())
    for i in range(0, len(X), height):
        rows = slice(i, i + height)
        tiles, W = tile_rows(rows, i + height), weights(rows, i + height)
        for j in range(0, i, width):
            columns = slice(j, j + width)
            total += xp.einsum("ij,ij->", W(columns), tiles(columns))
        total += xp.einsum("ij,ij->", xp.tril(W(rows), -1), tiles(rows))
    return float(total)


def stored(A: Array) -> TileRows:
    """A itself, as tiles."""
    return lambda rows, _: lambda columns: A[rows, columns]


def constant(xp: ModuleType, X: Array, Y: Array, value: float) -> TileRows:
    """The same number everywhere."""
    number = xp.asarray(value, dtype=X.dtype)
    return lambda rows, _: lambda columns: xp.broadcast_to(number, (len(X[rows]), len(Y[columns])))


def elementwise(f: Callable[[Array], Array], tile_rows: TileRows) -> TileRows:
    """The function `f` of every element of a matrix."""

    def of(tiles: Tiles) -> Tiles:
        return lambda columns: f(tiles(columns))

    return lambda rows, stop: of(tile_rows(rows, stop))


def combine(operation: Callable[[Array, Array], Array], first: TileRows, second: TileRows) -> TileRows:
    """The sum, product ... of two matrices, element by element."""

    def of(tiles1: Tiles, tiles2: Tiles) -> Tiles:
        return lambda columns: operation(tiles1(columns), tiles2(columns))

    return lambda rows, stop: of(first(rows, stop), second(rows, stop))


def dot_products(X: Array, Y: Array) -> TileRows:
    """The inner products x_i'y_j."""

    def tile_rows(rows: slice, stop: int) -> Tiles:
        if rows.stop - rows.start < TALL_TILE:
            return lambda columns: X[rows] @ Y[columns].T
        product = X[rows] @ Y[:stop].T
        return lambda columns: product[:, columns]

    return tile_rows


def squared_distances(xp: ModuleType, X: Array, Y: Array) -> TileRows:
    """The squares |x_i - y_j|^2, in float64.

    |x - y|^2 = |x|^2 - 2 x'y + |y|^2 is one matrix product, but the squares cancel where samples are
    close to each other and far from 0. So the samples are centred first.
    """
    centre = Y.mean(axis=0, dtype=np.float64)
    X, Y = X - centre, Y - centre
    left = xp.column_stack([(X * X).sum(axis=1), -2 * X, xp.ones(len(X))])
    right = xp.column_stack([xp.ones(len(Y)), Y, (Y * Y).sum(axis=1)])
    # Rounding can leave less than nothing.
    return elementwise(lambda s: xp.maximum(s, 0, out=s), dot_products(left, right))


def absolute_distances(xp: ModuleType, X: Array, Y: Array) -> TileRows:
    """The sums |x_i - y_j|_1, one component after the other, so that no array has three dimensions."""

    def tile(x: Array, y: Array) -> Array:
        total: Any = xp.abs(x[:, :1] - y[:, 0])
        for j in range(1, x.shape[1]):
            total += xp.abs(x[:, j : j + 1] - y[:, j])
        return total

    return lambda rows, _: lambda columns: tile(X[rows], Y[columns])


def _tile_shape(n_features: int) -> tuple[int, int]:
    if n_features > FEW_FEATURES:
        return TALL_TILE, TILE
    side = min(TILE, math.isqrt(ONE_THREAD // (n_features + 2)))  # squared_distances adds two columns
    return side, side
