"""Gram matrices for an estimator: of a kernel, a function or a given matrix; whole, or row by row."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable

import numpy as np

from tinynn.backend import Array, get_array_module, to_numpy
from tinynn.kernels.base import Kernel
from tinynn.kernels.smo import Row
from tinynn.linalg import NotPositiveDefiniteError
from tinynn.linalg.factor import CholeskyFactor
from tinynn.validation import check_array

Function = Kernel | Callable[..., Array]

ROUNDING = 1e-7  # of the trace: so far below 0 may the eigenvalues of a matrix in float32 come to lie
ASYMMETRY = 1e-6  # of the largest element: so much may K_ij and K_ji in float32 differ
ROWS = 256  # of a matrix that are compared with its columns at a time
SOME = 200  # samples of which a function is checked to be a kernel where memory is scarce


def gram(function: Function, X: Array, Y: Array) -> Array:
    """The matrix k(x_i, y_j), (M, N), for X (M, n) and Y (N, n); Y is X itself for the Gram matrix.

    Raises
    ------
    TypeError, ValueError
        If the function does not return a matrix of finite numbers of this shape; as the kernel raises.
    """
    K = function(X) if Y is X and isinstance(function, Kernel) else function(X, Y)
    return check_array(K, "the kernel's matrix", shape=(len(X), len(Y)), dtype=np.float64, like=X)


def whole_gram(function: Function | str, X: Array, memory: float) -> np.ndarray | None:
    """The Gram matrix of X, (M, M), on the host, or None if it needs more than `memory` bytes.

    If the function is "precomputed", it is X itself. What is no `Kernel` might be no kernel, and is checked.
    """
    if isinstance(function, str):
        K = to_numpy(X)
    elif 8 * len(X) ** 2 <= memory:
        K = to_numpy(gram(function, X, X))
    else:
        return None
    if not isinstance(function, Kernel):
        check_is_kernel(K)
    return K


def gram_rows(function: Function, X: Array, memory: float) -> tuple[Row, np.ndarray]:
    """Row m of the Gram matrix of X (M, n), as a function of m, and the diagonal (M,), on the host.

    Without memory for the whole matrix, rows are computed when asked for; as many as fit are kept. What is
    no `Kernel` is then checked on a subset of the samples.
    """
    K = whole_gram(function, X, memory)
    if K is not None:
        return K.__getitem__, K.diagonal()
    if not isinstance(function, Kernel):
        some = X[:: math.ceil(len(X) / SOME)]
        check_is_kernel(to_numpy(gram(function, some, some)))
    samples = [X[m : m + 1] for m in range(len(X))]
    if isinstance(function, Kernel):
        diagonal = to_numpy(function.diag(X))
    else:
        diagonal = np.array([float(gram(function, x, x)[0, 0]) for x in samples])

    @functools.lru_cache(maxsize=max(2, int(memory / (8 * len(X)))))
    def row(m: int) -> np.ndarray:
        K_m = to_numpy(gram(function, samples[m], X))[0]
        K_m[m] = diagonal[m]  # a `White` kernel knows only from the whole matrix where a sample meets itself
        return K_m

    return row, diagonal


def part(K: np.ndarray, samples: np.ndarray) -> tuple[Row, np.ndarray]:
    """As `gram_rows`, of some of the samples whose Gram matrix is K; sorted, without repetition."""
    if len(samples) == len(K):
        return K.__getitem__, K.diagonal()
    return functools.cache(lambda m: K[samples[m]].take(samples)), K.diagonal()[samples]


def check_is_kernel(K: np.ndarray) -> None:
    """Raise ValueError unless K (M, M) is symmetric and positive semidefinite, up to rounding."""
    check_symmetric(K)
    shifted = K.copy()
    shifted[range(len(K)), range(len(K))] += ROUNDING * abs(K.trace()) + np.finfo(float).tiny
    try:
        CholeskyFactor(shifted)
    except NotPositiveDefiniteError as error:
        smallest = np.linalg.eigvalsh(K)[0]
        raise ValueError(
            "the kernel is not positive semidefinite: its Gram matrix has an eigenvalue "
            f"{smallest:.3g}; inner products of features have none below 0"
        ) from error


def check_symmetric(K: Array) -> None:
    """Raise ValueError unless K is a square matrix with K = K' up to rounding."""
    if K.shape[0] != K.shape[1]:
        raise ValueError(
            f"a precomputed kernel has shape {K.shape}; wanted k(x_i, x_j), a square matrix (M, M)"
        )
    xp = get_array_module(K)
    tolerance = ASYMMETRY * float(xp.abs(K).max())
    for i in range(0, len(K), ROWS):
        difference = xp.abs(K[i : i + ROWS] - K[:, i : i + ROWS].T)
        if difference.max() > tolerance:
            row, column = divmod(int(difference.argmax()), len(K))
            raise ValueError(
                f"the kernel is not symmetric: K[{i + row}, {column}] is {float(K[i + row, column]):g}, "
                f"K[{column}, {i + row}] is {float(K[column, i + row]):g}"
            )
