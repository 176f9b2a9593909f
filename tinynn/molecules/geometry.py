"""Pairs of atoms: who they are, how far apart, and how that changes when an atom moves.

A configuration is an array R (N atoms, D dimensions), a set of samples one of shape (M, N, D); every
function takes either and returns the leading M only for the second. The P = N (N - 1) / 2 pairs
i < j are ordered (0, 1), (0, 2), ..., (N-2, N-1), as `scipy.spatial.distance.pdist` orders them.
"""

from __future__ import annotations

import functools
from collections.abc import Sequence
from types import ModuleType

import numpy as np

from tinynn.backend import Array, get_array_module, to_numpy
from tinynn.validation import check_array, check_integer

# What the package exports; the other functions serve its other modules.
__all__ = ["pair_distances", "pair_distances_gradient", "pair_indices", "pair_vectors"]


def check_positions(R: Array, *, min_atoms: int = 1, ndim: int | Sequence[int] = (2, 3)) -> Array:
    """`R` as a floating-point array of one configuration (N, D) or of samples (M, N, D).

    Raises
    ------
    TypeError
        If R does not hold real numbers.
    ValueError
        If R has another number of dimensions, is empty, holds NaN or inf, or too few atoms.
    """
    R = check_array(R, "R", ndim=ndim)
    if R.shape[-2] < min_atoms:
        raise ValueError(f"R holds {R.shape[-2]} atom (shape {R.shape}); wanted at least {min_atoms}")
    return R


def check_atomic_numbers(z: Array, n_atoms: int | None = None) -> np.ndarray:
    """`z` as integers (N,) on the host, one atomic number for each of `n_atoms` atoms if that is known.

    Raises
    ------
    TypeError, ValueError
        If z holds anything but positive integers, or not one for each atom.
    """
    numbers = to_numpy(check_array(z, "z", ndim=1))
    wrong = (numbers < 1) | (numbers % 1 != 0)
    if wrong.any():
        first = int(wrong.argmax())
        raise ValueError(f"z[{first}] is {numbers[first]:g}; atomic numbers are 1 for H, 2 for He, ...")
    if n_atoms is not None and len(numbers) != n_atoms:
        raise ValueError(f"z has {len(numbers)} atomic numbers, but R has {n_atoms} atoms")
    return numbers.astype(int)


def pair_indices(n_atoms: int) -> tuple[Array, Array]:
    """The atoms i < j of every pair.

    Parameters
    ----------
    n_atoms : int
        Number of atoms N, at least 2.

    Returns
    -------
    i, j : arrays of int, each of shape (P,)

    Raises
    ------
    TypeError, ValueError
        If `n_atoms` is no integer or is below 2.
    """
    i, j = _pair_indices(check_integer(n_atoms, "n_atoms", low=2), np)
    return i.copy(), j.copy()


def pair_vectors(R: Array) -> Array:
    """r_i - r_j for every pair.

    Parameters
    ----------
    R : array of shape (M, N, D) or (N, D)

    Returns
    -------
    array of shape (M, P, D) or (P, D)
        In the length unit of R.

    Raises
    ------
    TypeError, ValueError
        If R is no array of finite real numbers with two or three dimensions and two or more atoms.
    """
    return _vectors(check_positions(R, min_atoms=2))


def pair_distances(R: Array) -> Array:
    """r_ij = |r_i - r_j| for every pair; zero for atoms that coincide.

    Parameters
    ----------
    R : array of shape (M, N, D) or (N, D)

    Returns
    -------
    array of shape (M, P) or (P,)
        In the length unit of R.

    Raises
    ------
    TypeError, ValueError
        As `pair_vectors`.
    """
    R = check_positions(R, min_atoms=2)
    return get_array_module(R).ascontiguousarray(_lengths(_vectors(R)))


def pair_distances_gradient(R: Array) -> Array:
    """The Jacobian of all pair distances by all positions.

    A pair pulls at its own two atoms only, along the line through them::

        d r_ij / d r_i =  (r_i - r_j) / r_ij
        d r_ij / d r_j = -(r_i - r_j) / r_ij

    so that all but 2 of its N rows are zero. Forces do not need it: see `PairPotential`.

    Parameters
    ----------
    R : array of shape (M, N, D) or (N, D)

    Returns
    -------
    array of shape (M, P, N, D) or (P, N, D)
        Element [m, p, n] is d r_p / d r_n in sample m; without unit.

    Raises
    ------
    TypeError, ValueError
        As `pair_vectors`; also if two atoms coincide, where the distance has no gradient.
    """
    R = check_positions(R, min_atoms=2)
    d, r = separations(R)
    return pair_jacobian(d / r[..., None], R.shape[-2])


def separations(R: Array) -> tuple[Array, Array]:
    """Vectors r_i - r_j and distances r_ij of checked positions, no distance zero.

    Raises
    ------
    ValueError
        If two atoms coincide; names the first such pair and its sample.
    """
    d = _vectors(R)
    r = _lengths(d)
    if r.all():
        return d, r
    xp = get_array_module(R)
    *sample, pair = (int(index[0]) for index in xp.nonzero(r == 0))
    i, j = (int(atom[pair]) for atom in _pair_indices(R.shape[-2], xp))
    where = f" of sample {sample[0]}" if sample else ""
    raise ValueError(f"R has coincident atoms: atoms {i} and {j}{where} are at distance zero")


def pair_jacobian(g: Array, n_atoms: int, diagonal: bool = False) -> Array:
    """The Jacobian of one feature a pair, given its gradient g_ij by r_i; its gradient by r_j is -g_ij.

    Parameters
    ----------
    g : array of shape (M, P, D) or (P, D)
    n_atoms : int
    diagonal : bool
        Whether the pairs (i, i) are among the P, with g_ii = 0.

    Returns
    -------
    array of shape (M, P, N, D) or (P, N, D)
    """
    xp = get_array_module(g)
    jacobian = xp.zeros((*g.shape[:-1], n_atoms, g.shape[-1]), dtype=g.dtype)
    i, j = xp.triu_indices(n_atoms, 0 if diagonal else 1)
    p = xp.arange(len(i))
    jacobian[..., p, i, :] = g
    jacobian[..., p, j, :] = -g
    return jacobian


def sum_pair_forces(f: Array, n_atoms: int) -> Array:
    """The force on every atom, given for every pair the force f_ij on i by j; f_ji = -f_ij.

    Parameters
    ----------
    f : array of shape (M, P, D) or (P, D)
    n_atoms : int

    Returns
    -------
    array of shape (M, N, D) or (N, D)
    """
    f = f.T  # (D, P, M)
    F = get_array_module(f).zeros((f.shape[0], n_atoms, *f.shape[2:]), dtype=f.dtype)
    first = 0
    for i in range(n_atoms - 1):
        last = first + n_atoms - 1 - i
        f_i = f[:, first:last]  # the pairs (i, i+1), ..., (i, N-1) stand side by side
        F[:, i] += f_i.sum(axis=1)
        F[:, i + 1 :] -= f_i
        first = last
    return F.T


@functools.lru_cache(maxsize=64)
def _pair_indices(n_atoms: int, xp: ModuleType) -> tuple[Array, Array]:
    i, j = xp.indices((n_atoms, n_atoms))
    return i[i < j], j[i < j]


def _vectors(R: Array) -> Array:
    """r_i - r_j of positions already checked, (M, P, D), samples innermost in memory.

    D is 2 or 3, M is hundreds: elementwise loops that run along M are many times faster.
    """
    xp = get_array_module(R)
    i, j = _pair_indices(R.shape[-2], xp)
    columns = xp.ascontiguousarray(R.T)  # (D, N, M)
    return (columns.take(i, axis=1) - columns.take(j, axis=1)).T


def _lengths(d: Array) -> Array:
    columns = d.T  # (D, P, M), the order in memory
    return get_array_module(d).sqrt((columns * columns).sum(axis=0)).T
