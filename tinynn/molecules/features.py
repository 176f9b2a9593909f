"""Features: what a model gets to see of a molecule, one row per sample.

Which motions of the molecule leave the features unchanged decides which a model built on them cannot
tell apart; `audit_invariance` measures it.

============================  ===========  ========  ==========  ===========
feature                       translation  rotation  reflection  permutation
============================  ===========  ========  ==========  ===========
`positions`                   changes      changes   changes     changes
`distances`                   same         same      same        reordered
`inverse_distances`           same         same      same        reordered
`sorted_inverse_distances`    same         same      same        same
============================  ===========  ========  ==========  ===========
"""

from __future__ import annotations

from tinynn.backend import Array, get_array_module
from tinynn.molecules.geometry import check_positions, pair_distances, separations


def positions(R: Array) -> Array:
    """The coordinates themselves: x, y (, z) of the first atom, then of the next.

    Parameters
    ----------
    R : array of shape (M, N, D) or (N, D)

    Returns
    -------
    array of shape (M, N D) or (N D,)
        A copy, in the length unit of R.

    Raises
    ------
    TypeError, ValueError
        If R is no array of finite real numbers with two or three dimensions.

    References
    ----------
    S2, 1.2.1.
    """
    R = check_positions(R)
    return R.reshape(*R.shape[:-2], -1).copy()


def distances(R: Array) -> Array:
    """The distance r_ij of every pair of atoms: `pair_distances`.

    Parameters
    ----------
    R : array of shape (M, N, D) or (N, D)

    Returns
    -------
    array of shape (M, P) or (P,)
        P = N (N - 1) / 2 pairs in the order of `pair_indices`, in the length unit of R.

    Raises
    ------
    TypeError, ValueError
        If R is no array of finite real numbers with two or three dimensions and two or more atoms.

    References
    ----------
    S2, 1.2.2.
    """
    return pair_distances(R)


def inverse_distances(R: Array) -> Array:
    """1 / r_ij of every pair of atoms.

    Close pairs, which matter most for the energy, spread out; far ones fade away.

    Parameters
    ----------
    R : array of shape (M, N, D) or (N, D)

    Returns
    -------
    array of shape (M, P) or (P,)
        In the order of `pair_indices`, one over the length unit of R.

    Raises
    ------
    TypeError, ValueError
        As `distances`; also if two atoms coincide.
    """
    R = check_positions(R, min_atoms=2)
    _, r = separations(R)
    return get_array_module(R).ascontiguousarray(1 / r)


def sorted_inverse_distances(R: Array) -> Array:
    """1 / r_ij of every pair of atoms, the closest pair first.

    Renumbering the atoms reorders the pairs, and sorting undoes that: these features do not change
    under any permutation. The price:

    - Atoms of different elements are exchanged as freely as like ones.
    - Different molecules can have the same features. A rectangle of sides 1 and 2, and three atoms
      in a row, 1 apart, with a fourth beside the middle one at distance 2: both have the distances
      1, 1, 2, 2, √5, √5.
    - Where two distances cross, the features have a kink: their gradient jumps, and with it the
      forces of a model built on them.

    Parameters
    ----------
    R : array of shape (M, N, D) or (N, D)

    Returns
    -------
    array of shape (M, P) or (P,)
        Descending in every row, one over the length unit of R.

    Raises
    ------
    TypeError, ValueError
        As `inverse_distances`.
    """
    inverse = inverse_distances(R)
    return -get_array_module(inverse).sort(-inverse, axis=-1)
