"""Permutations of like atoms: which there are, and which are composed of a few."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from tinynn.backend import Array
from tinynn.molecules.geometry import check_atomic_numbers
from tinynn.molecules.symmetry import check_permutation

LARGEST_ORDER = 50_000  # permutations of a group; 8! = 40320 fits, and is slow enough


def generate_permutations(z: Array, generators: Sequence[Array] | None = None) -> np.ndarray:
    """All permutations that can be composed of the generators, the identity first.

    Parameters
    ----------
    z : array of int of shape (N,)
        Atomic numbers; only atoms of one element may be exchanged.
    generators : sequence of permutations, each of N ints, optional
        By default `like_atom_generators`, of which all permutations of like atoms can be composed.
        They are many, n! for n atoms of one element. A real molecule reaches few of them, since
        atoms do not exchange their bonds: give those.

    Returns
    -------
    array of int of shape (n_permutations, N)

    Raises
    ------
    TypeError, ValueError
        If z holds anything but positive integers; if a generator does not name every atom once or
        exchanges atoms of different elements; if there are more than 50 000 permutations.

    References
    ----------
    S3, 20.1.2.
    """
    z = check_atomic_numbers(z)
    if generators is None:
        _check_order(math.prod(math.factorial(int((z == element).sum())) for element in np.unique(z)))
        generators = like_atom_generators(z)
    moves = [check_permutation(p, len(z), z).tolist() for p in generators]
    found = {tuple(range(len(z))): None}  # a dict keeps the order in which they are found
    new = list(found)
    while new:
        new = [q for p in new for move in moves if (q := tuple(p[k] for k in move)) not in found]
        found |= dict.fromkeys(new)
        new = list(dict.fromkeys(new))
        _check_order(len(found))
    return np.array(list(found))


def like_atom_generators(z: Array) -> list[list[int]]:
    """Permutations of which every permutation of like atoms can be composed.

    Two for each element: the cyclic shift of its atoms, and the exchange of its first two. Without
    like atoms it is the identity alone.

    Parameters
    ----------
    z : array of int of shape (N,)
        Atomic numbers.

    Returns
    -------
    list of permutations, each a list of N ints

    Raises
    ------
    TypeError, ValueError
        If z holds anything but positive integers.
    """
    z = check_atomic_numbers(z)
    generators = []
    for element in np.unique(z):
        atoms = np.flatnonzero(z == element)
        for order in (np.roll(atoms, 1), np.concatenate([atoms[1::-1], atoms[2:]])):
            permutation = np.arange(len(z))
            permutation[atoms] = order
            generators.append(permutation.tolist())
    unchanged = list(range(len(z)))
    return [p for p in generators if p != unchanged] or [unchanged]


def _check_order(order: int) -> None:
    if order > LARGEST_ORDER:
        raise ValueError(
            f"more than {LARGEST_ORDER} permutations ({order}): pass fewer generators, "
            "those that exchange atoms which the molecule itself can exchange"
        )
