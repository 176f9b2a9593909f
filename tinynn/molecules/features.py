"""Features: what a model gets to see of a molecule, one row per sample, and how it changes with the atoms.

Each kind of features is an object: called with positions it returns the features, its `jacobian` returns
their derivatives by the positions, from which the forces of a model follow. Those without parameters
exist already, under the names in the table; the others are classes.

Which motions of the molecule leave the features unchanged decides which a model built on them cannot
tell apart; `audit_invariance` measures it.

============================  ===========  ========  ==========  =====================
features                      translation  rotation  reflection  permutation
============================  ===========  ========  ==========  =====================
`positions`                   change       change    change      change
`distances`                   same         same      same        reordered
`inverse_distances`           same         same      same        reordered
`sorted_inverse_distances`    same         same      same        same
`CoulombMatrix`               same         same      same        reordered
`CoulombSpectrum`             same         same      same        same for like atoms
`RadialSymmetryFunctions`     same         same      same        same for like atoms
`AngularSymmetryFunctions`    same         same      same        same for like atoms
============================  ===========  ========  ==========  =====================
"""

from __future__ import annotations

from abc import ABC, abstractmethod

from tinynn.backend import Array, get_array_module
from tinynn.estimator import Parametrised
from tinynn.molecules.geometry import (
    check_positions,
    pair_distances,
    pair_distances_gradient,
    pair_jacobian,
    separations,
)


class Features(Parametrised, ABC):
    """Base of all features: ``features(R)`` and ``features.jacobian(R)``.

    P is the number of features. A model E(x) of the features x has, by the chain rule, the forces
    F = -dE/dR = -sum_p dE/dx_p dx_p/dR.
    """

    @abstractmethod
    def __call__(self, R: Array) -> Array:
        """The features of every sample.

        Parameters
        ----------
        R : array of shape (M, N, D) or (N, D)

        Returns
        -------
        array of shape (M, P) or (P,)

        Raises
        ------
        TypeError, ValueError
            If R is no array of finite real numbers with two or three dimensions. Features of
            distances want two or more atoms; all of these but `distances` want no two to coincide.
        """

    @abstractmethod
    def jacobian(self, R: Array) -> Array:
        """The derivative of every feature by every coordinate.

        Parameters
        ----------
        R : array of shape (M, N, D) or (N, D)

        Returns
        -------
        array of shape (M, P, N, D) or (P, N, D)
            Element [m, p, n, d] is d x_p / d R_nd in sample m.

        Raises
        ------
        TypeError, ValueError
            As the features themselves; also if two atoms coincide, where a distance has no gradient.
        """


class Positions(Features):
    """The coordinates themselves: x, y (, z) of the first atom, then of the next; P = N D.

    In the length unit of R; a copy. Source: S2, 1.2.1.
    """

    def __call__(self, R: Array) -> Array:
        R = check_positions(R)
        return R.reshape(*R.shape[:-2], -1).copy()

    def jacobian(self, R: Array) -> Array:
        R = check_positions(R)
        xp = get_array_module(R)
        N, D = R.shape[-2:]
        identity = xp.eye(N * D, dtype=R.dtype).reshape(N * D, N, D)
        return xp.broadcast_to(identity, (*R.shape[:-2], N * D, N, D)).copy()


class Distances(Features):
    """The distance r_ij of every pair of atoms: `pair_distances` and `pair_distances_gradient`.

    P = N (N - 1) / 2 pairs in the order of `pair_indices`, in the length unit of R. Source: S2, 1.2.2.
    """

    def __call__(self, R: Array) -> Array:
        return pair_distances(R)

    def jacobian(self, R: Array) -> Array:
        return pair_distances_gradient(R)


class InverseDistances(Features):
    """1 / r_ij of every pair of atoms.

    Close pairs, which matter most for the energy, spread out; far ones fade away. P = N (N - 1) / 2
    pairs in the order of `pair_indices`, one over the length unit of R.
    """

    def __call__(self, R: Array) -> Array:
        R = check_positions(R, min_atoms=2)
        _, r = separations(R)
        return get_array_module(R).ascontiguousarray(1 / r)

    def jacobian(self, R: Array) -> Array:
        R = check_positions(R, min_atoms=2)
        d, r = separations(R)
        g = -d / (r * r * r)[..., None]  # d (1/r_ij) / d r_i = -(r_i - r_j) / r_ij^3
        return pair_jacobian(g, R.shape[-2])


class SortedInverseDistances(Features):
    """1 / r_ij of every pair of atoms, the closest pair first; P = N (N - 1) / 2.

    Renumbering the atoms reorders the pairs, and sorting undoes that: these features do not change
    under any permutation. The price:

    - Atoms of different elements are exchanged as freely as like ones.
    - Different molecules can have the same features. A rectangle of sides 1 and 2, and three atoms
      in a row, 1 apart, with a fourth beside the middle one at distance 2: both have the distances
      1, 1, 2, 2, √5, √5.
    - Where two distances cross, the features have a kink: their gradient jumps, and with it the
      forces of a model built on them. Exactly there, `jacobian` takes the tied pairs in one of their
      orders, and no order is better than another.
    """

    def __call__(self, R: Array) -> Array:
        inverse = inverse_distances(R)
        return -get_array_module(inverse).sort(-inverse, axis=-1)

    def jacobian(self, R: Array) -> Array:
        # the features are those of `inverse_distances` in another order, and so are their gradients
        J = inverse_distances.jacobian(R)
        inverse = inverse_distances(R)
        xp = get_array_module(J)
        order = xp.argsort(-inverse, axis=-1)
        first = len(inverse.T) * xp.arange(
            inverse.size // len(inverse.T)
        )  # row of J with each sample's first pair
        rows = order + first.reshape(*order.shape[:-1], 1)
        return J.reshape(-1, *J.shape[-2:]).take(rows, axis=0)


positions = Positions()
distances = Distances()
inverse_distances = InverseDistances()
sorted_inverse_distances = SortedInverseDistances()
