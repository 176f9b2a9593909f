"""QR decomposition by Householder reflections, in blocks, also with column pivoting.

A reflection I - tau v v' maps a column onto a multiple of the first unit vector. The product of the
reflections of a block of columns is written I - V T V' with V their vectors side by side and T a
small upper triangle (the compact WY form), so that it acts through matrix products.
"""

from __future__ import annotations

from types import ModuleType
from typing import NamedTuple

import numpy as np

from tinynn.backend import Array, get_array_module
from tinynn.validation import check_array

BLOCK = 32


class _Block(NamedTuple):
    """The reflections I - V T V' of one block of columns; they act on the rows from `row` on."""

    row: int
    V: Array
    T: Array


def qr(A: Array, pivoting: bool = False) -> tuple[Array, ...]:
    """Thin QR decomposition: ``A = Q @ R``, or ``A[:, p] = Q @ R`` with pivoting.

    R takes 2 m n^2 - 2/3 n^3 operations for m >= n (S4), and Q as many again; a least-squares
    solution needs R and Q'y only, see `append_rows`. With pivoting half of the work for R is
    products of a matrix with a vector, since the next pivot is known only after each column.

    The computed Q is orthogonal to working precision whatever A is; no reflection can change a
    length. The slides say Q = Q' and Q^2 = I: that holds for one reflection, not for their product,
    and Q Q' = I holds only if Q is square (an erratum of S4).

    Parameters
    ----------
    A : array (m, n)
        Any shape; k = min(m, n).
    pivoting : bool
        Take as the next column the one with the most left outside the span of those before: the
        diagonal of R does not grow, and small elements at its end show dependent columns.

    Returns
    -------
    Q : array (m, k)
        Orthonormal columns.
    R : array (k, n)
        Upper triangular.
    p : int array (n,)
        Only with pivoting: column j of Q R is column p[j] of A.

    Raises
    ------
    TypeError, ValueError
        If A is no matrix of finite numbers. A singular A is no error: R then has zeros.

    References
    ----------
    S4 (24). Schreiber and Van Loan 1989, SIAM J. Sci. Stat. Comput. 10, 53 (compact WY);
    Quintana-Orti, Sun, Bischof 1998, SIAM J. Sci. Comput. 19, 1486 (pivoting in blocks).
    """
    xp, A, scale = _prepare(check_array(A, "A", ndim=2))
    p = xp.arange(A.shape[1])
    blocks = _factor_pivoting(xp, A, p) if pivoting else _factor(xp, A)
    Q, R = _form_q(xp, blocks, *A.shape), _upper(xp, A, scale)
    return (Q, R, p) if pivoting else (Q, R)


def append_rows(R: Array, A: Array) -> Array:
    """The triangle that belongs to R stacked on A: what Q leaves of it, without forming Q.

    R (n, n) is the triangle of earlier rows, zeros at the start; A (m, n) holds new ones. To solve
    least squares let y be the last column: in the triangle it becomes Q'y. To begin with zeros on
    top is worth digits where rows differ in size: in exact arithmetic the same, and by Bjorck (1967)
    modified Gram-Schmidt in disguise. 2 m n^2 operations for m much larger than n.
    """
    xp, stack, scale = _prepare(get_array_module(A).concatenate([R, A]))
    _factor(xp, stack)
    return _upper(xp, stack, scale)


def _prepare(A: Array) -> tuple[ModuleType, Array, float]:
    """A copy of A to work in, divided by a power of two: exact, and no square of it can overflow."""
    xp = get_array_module(A)
    largest = float(xp.abs(A).max())
    scale = float(np.exp2(np.floor(np.log2(largest)))) if largest > 0 else 1.0
    return xp, A / scale, scale


def _upper(xp: ModuleType, A: Array, scale: float) -> Array:
    return xp.triu(A[: min(A.shape)]) * scale


def _factor(xp: ModuleType, A: Array) -> list[_Block]:
    """Turn A into R in place; what is left below the diagonal has no meaning."""
    m, n = A.shape
    blocks = []
    for k in range(0, min(m, n), BLOCK):
        end = min(k + BLOCK, m, n)
        V = xp.zeros((m - k, end - k), dtype=A.dtype)
        taus = []
        for i, j in enumerate(range(k, end)):
            V[i:, i], tau, A[j, j] = _reflection(xp, A[j:, j])
            A[j:, j + 1 : end] -= xp.outer(V[i:, i], tau * (V[i:, i] @ A[j:, j + 1 : end]))
            taus.append(tau)
        block = _Block(k, V, _compact(xp, V, taus))
        A[k:, end:] -= V @ (block.T.T @ (V.T @ A[k:, end:]))  # (I - V T V')' A
        blocks.append(block)
    return blocks


def _factor_pivoting(xp: ModuleType, A: Array, p: Array) -> list[_Block]:
    """As `_factor`, with the columns of A and the elements of p exchanged on the way.

    Columns to the right are brought up to date only once per block. Until then F remembers what
    they lack: the current matrix is A - V F'. The pivots need only their norms, which follow from
    each new row of R; a block ends early when that subtraction has cost too many digits.
    """
    m, n = A.shape
    K = min(m, n)
    blocks = []
    k = 0
    while k < K:
        width = min(BLOCK, K - k)
        V = xp.zeros((m - k, width), dtype=A.dtype)
        F = xp.zeros((n - k, width), dtype=A.dtype)
        B = A[k:, k:]  # a view: what is left to factor
        norms = xp.sum(B * B, axis=0)  # squared
        fresh = norms.copy()
        taus: list[Array] = []
        for i in range(width):
            pivot = i + int(norms[i:].argmax())
            if pivot != i:
                A[:, [k + i, k + pivot]] = A[:, [k + pivot, k + i]]
                p[[k + i, k + pivot]] = p[[k + pivot, k + i]]
                F[[i, pivot]] = F[[pivot, i]]
                norms[pivot], fresh[pivot] = norms[i], fresh[i]
            B[i:, i] -= V[i:, :i] @ F[i, :i]
            v, tau, B[i, i] = _reflection(xp, B[i:, i])
            V[i:, i] = v
            F[i + 1 :, i] = tau * (v @ B[i:, i + 1 :])
            F[i + 1 :, i] -= F[i + 1 :, :i] @ (tau * (V[i:, :i].T @ v))
            B[i, i + 1 :] -= F[i + 1 :, : i + 1] @ V[i, : i + 1]
            taus.append(tau)
            norms[i + 1 :] -= B[i, i + 1 :] ** 2
            if (norms[i + 1 :] <= np.sqrt(np.finfo(A.dtype).eps) * fresh[i + 1 :]).any():
                break
        done = len(taus)
        V = V[:, :done]
        B[done:, done:] -= V[done:] @ F[done:, :done].T
        blocks.append(_Block(k, V, _compact(xp, V, taus)))
        k += done
    return blocks


def _reflection(xp: ModuleType, x: Array) -> tuple[Array, Array, Array]:
    """The v with v[0] = 1, tau and beta such that (I - tau v v') x = beta e_1."""
    beta = -xp.copysign(xp.linalg.norm(x), x[0])  # of the other sign, so that x_0 - beta cancels nothing
    v = xp.zeros_like(x)
    v[0] = 1
    if not (x[1:] != 0).any():
        return v, 0 * beta, x[0]
    v[1:] = x[1:] / (x[0] - beta)
    return v, (beta - x[0]) / beta, beta


def _compact(xp: ModuleType, V: Array, taus: list[Array]) -> Array:
    """T such that (I - tau_0 v_0 v_0') (I - tau_1 v_1 v_1') ... = I - V T V'."""
    T = xp.zeros((len(taus), len(taus)), dtype=V.dtype)
    for i, tau in enumerate(taus):
        T[:i, i] = -tau * (T[:i, :i] @ (V[:, :i].T @ V[:, i]))
        T[i, i] = tau
    return T


def _form_q(xp: ModuleType, blocks: list[_Block], m: int, n: int) -> Array:
    """The first min(m, n) columns of the product of all reflections."""
    Q = xp.eye(m, min(m, n), dtype=blocks[0].V.dtype)
    for k, V, T in reversed(blocks):
        Q[k:, k:] -= V @ (T @ (V.T @ Q[k:, k:]))  # columns before k are still unit vectors
    return Q
