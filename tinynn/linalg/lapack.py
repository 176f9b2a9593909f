"""The same factorisations from LAPACK through SciPy, or from cuSOLVER through CuPy.

Names, arguments, results and errors are those of the factorisations by hand, so that either can
stand for the other. Arrays are not checked again: whoever calls these has done so.
"""

from __future__ import annotations

import warnings
from contextlib import AbstractContextManager, nullcontext, suppress
from typing import Any

import numpy as np
import scipy.linalg

from tinynn.backend import Array, get_array_module
from tinynn.linalg.cholesky import cholesky as cholesky_by_hand
from tinynn.linalg.errors import NotPositiveDefiniteError, SingularMatrixError
from tinynn.linalg.qr import qr as qr_by_hand

# Columns that tpqrt treats at once. Inside a block it does without matrix products, whose share
# therefore falls with the block and rises with the width of the whole.
NARROW, NARROW_BLOCK, BLOCK = 400, 16, 32


def solve_lower(L: Array, b: Array) -> Array:
    """As `tinynn.linalg.solve_lower`."""
    return _scipy_linalg(L).solve_triangular(L, b, lower=True, check_finite=False)


def solve_upper(U: Array, b: Array) -> Array:
    """As `tinynn.linalg.solve_upper`."""
    return _scipy_linalg(U).solve_triangular(U, b, lower=False, check_finite=False)


def gram(A: Array) -> Array:
    """A'A. Of a narrow A by BLAS's syrk, which for few columns NumPy's product cuts up among threads."""
    if get_array_module(A) is not np or A.shape[1] > NARROW:
        return A.T @ A
    (syrk,) = scipy.linalg.get_blas_funcs(("syrk",), (A,))
    upper = syrk(1.0, A.T)  # in Fortran's order, as BLAS wants it, without a copy
    return upper + np.triu(upper, 1).T


def lu(A: Array) -> tuple[Array, Array, Array]:
    """As `tinynn.linalg.lu`."""
    xp = get_array_module(A)
    if xp is np:
        (getrf,) = scipy.linalg.get_lapack_funcs(("getrf",), (A,))
        LU, swaps, _ = getrf(A)
    else:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", RuntimeWarning)  # singular: there is an error for that
            LU, swaps = _scipy_linalg(A).lu_factor(A, check_finite=False)
    zero = xp.diagonal(LU) == 0
    if zero.any():
        first = int(zero.argmax())
        raise SingularMatrixError(f"A is singular: column {first} has no pivot other than 0", first)
    p = np.arange(len(A))
    for i, j in enumerate(swaps.tolist()):
        p[[i, j]] = p[[j, i]]
    return xp.asarray(p), xp.tril(LU, -1) + xp.eye(len(A), dtype=A.dtype), xp.triu(LU)


def cholesky(A: Array, overwrite: bool = False) -> Array:
    """As `tinynn.linalg.cholesky`; reads the lower triangle only. `overwrite` permits to write L over A."""
    xp = get_array_module(A)
    if xp is not np:
        with suppress(np.linalg.LinAlgError), _watching(A):
            return xp.linalg.cholesky(A)
        return cholesky_by_hand(xp.tril(A) + xp.tril(A, -1).T)  # whose error knows the pivot
    overwrite = overwrite and A.flags.c_contiguous
    if not overwrite:
        # NumPy and SciPy bring a BLAS each, and the idle threads of one keep the other waiting: what follows
        # one of NumPy's products is faster in NumPy. Its error does not know the pivot, SciPy's does.
        with suppress(np.linalg.LinAlgError):
            return np.linalg.cholesky(A)
    (potrf,) = scipy.linalg.get_lapack_funcs(("potrf",), (A,))
    U, info = potrf(A.T, lower=False, overwrite_a=overwrite, clean=True)  # A' lies as LAPACK wants it
    if info:
        pivot = info - 1
        raise NotPositiveDefiniteError(f"A is not positive definite: pivot {pivot} is not positive", pivot)
    return U.T


def invert_cholesky(L: Array) -> Array:
    """(L L')^-1, of which only the lower triangle has a meaning; 2/3 n^3 operations, on a GPU 2 n^3."""
    xp = get_array_module(L)
    if xp is not np:
        return solve_upper(L.T, solve_lower(L, xp.eye(len(L), dtype=L.dtype)))
    (potri,) = scipy.linalg.get_lapack_funcs(("potri",), (L,))
    return potri(L.T, lower=False)[0].T  # transposed, so that rows lie in memory as NumPy's do


def qr(A: Array, pivoting: bool = False) -> tuple[Array, ...]:
    """As `tinynn.linalg.qr`; with pivoting on a GPU, for which there is no library, it is that one."""
    xp = get_array_module(A)
    if xp is np:
        return scipy.linalg.qr(A, mode="economic", pivoting=pivoting, check_finite=False)
    return qr_by_hand(A, pivoting=True) if pivoting else xp.linalg.qr(A, mode="reduced")


def append_rows(R: Array, A: Array) -> Array:
    """As `tinynn.linalg.qr.append_rows`; overwrites A if that is in Fortran's order."""
    xp = get_array_module(A)
    if xp is not np:
        return xp.linalg.qr(xp.concatenate([R, A]), mode="r")
    (tpqrt,) = scipy.linalg.get_lapack_funcs(("tpqrt",), (A,))  # knows that R is a triangle already
    block = NARROW_BLOCK if len(R) < NARROW else BLOCK
    return tpqrt(0, min(block, len(R)), R, A, overwrite_b=True)[0]


def solve(A: Array, b: Array) -> Array:
    """A^-1 b for a square A (n, n) and b (n,) or (n, k), by LU; LinAlgError if a pivot is exactly 0."""
    with _watching(A):
        return get_array_module(A).linalg.solve(A, b)


def svd(A: Array) -> tuple[Array, Array, Array]:
    """As `tinynn.linalg.svd`, by bidiagonalisation and divide and conquer (gesdd)."""
    return get_array_module(A).linalg.svd(A, full_matrices=False)


def solve_svd(A: Array, b: Array) -> tuple[Array, Array]:
    """A^-1 b through the singular values of a square A, and these: LAPACK's gelsd forms no U and V."""
    if get_array_module(A) is np:
        x, _, _, s = scipy.linalg.lstsq(A, b, cond=0.0, lapack_driver="gelsd", check_finite=False)
        return x, s
    U, s, Vt = svd(A)
    return Vt.T @ ((U.T @ b) / s[:, None]), s


def _watching(A: Array) -> AbstractContextManager:
    """Inside, cuSOLVER's failures are errors; CuPy would return its numbers, which have no meaning then."""
    if get_array_module(A) is np:
        return nullcontext()
    import cupyx

    return cupyx.errstate(linalg="raise")


def _scipy_linalg(A: Array) -> Any:
    """scipy.linalg, or CuPy's version of it."""
    if get_array_module(A) is np:
        return scipy.linalg
    import cupyx.scipy.linalg

    return cupyx.scipy.linalg
