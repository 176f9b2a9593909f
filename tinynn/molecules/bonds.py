"""Which atoms are bonded, and which renumberings of a molecule its atoms can reach by moving.

The energy is the same for every renumbering of like atoms, n! for n atoms of one element. Nearly all of
them would break bonds to be reached; no trajectory comes near them, and a model need not know of them.
The others, the feasible ones in the words of Longuet-Higgins, are what turning groups and vibration
can do:

1. They keep the bonds: atom i is bonded to j where p(i) is bonded to p(j), an automorphism of the
   bond graph.
2. They keep the handedness of every atom with three or more bonds that do not lie in a plane, or they
   reverse it at all of them. To exchange two hydrogens of a methyl group and nothing else turns
   the group inside out. The molecule as a whole may turn into its mirror image, since no distance
   changes by that.

The bond graph of ethanol has 12 automorphisms, 6 orders of the methyl group's hydrogens times 2 of those of
the CH2 group. 6 are feasible: cyclic exchanges in the one group and none in the other, and odd ones in
both.

References
----------
H. C. Longuet-Higgins, Mol. Phys. 6, 445 (1963).
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations

import numpy as np

from tinynn.backend import Array, to_numpy
from tinynn.molecules.geometry import check_atomic_numbers, check_positions, separations
from tinynn.molecules.permutations import LARGEST_ORDER
from tinynn.molecules.symmetry import check_permutation

# Covalent radii of H to Xe in Å: Cordero et al., Dalton Trans. 2008, 2832 (low spin for Mn, Fe, Co).
# fmt: off
COVALENT_RADII = np.array([
    0.31, 0.28,
    1.28, 0.96, 0.84, 0.76, 0.71, 0.66, 0.57, 0.58,
    1.66, 1.41, 1.21, 1.11, 1.07, 1.05, 1.02, 1.06,
    2.03, 1.76,
    1.70, 1.60, 1.53, 1.39, 1.39, 1.32, 1.26, 1.24, 1.32, 1.22, 1.22, 1.20, 1.19, 1.20, 1.20, 1.16,
    2.20, 1.95,
    1.90, 1.75, 1.64, 1.54, 1.47, 1.46, 1.42, 1.39, 1.45, 1.44, 1.42, 1.39, 1.39, 1.38, 1.39, 1.40,
])
# fmt: on

STRETCH = 1.3  # a bond, on average over the samples, is at most that much longer than its two radii
PLANAR = 0.3  # three unit vectors along bonds span 0.77 in methane, 0.67 in ammonia, 0 in a plane


def bond_graph(R: Array, z: Array) -> np.ndarray:
    """Which pairs of atoms are bonded: on average closer than 1.3 times the sum of their covalent radii.

    Parameters
    ----------
    R : array of shape (M, N, D) or (N, D)
        Positions in Å.
    z : array of int of shape (N,)
        Atomic numbers, 1 to 54.

    Returns
    -------
    array of bool of shape (N, N)
        Symmetric, False on the diagonal.

    Raises
    ------
    TypeError, ValueError
        If R is no array of finite real numbers with two or three dimensions, or two atoms coincide; if z
        does not hold one integer from 1 to 54 for each atom.
    """
    R = to_numpy(check_positions(R))
    z = check_atomic_numbers(z, R.shape[-2])
    if z.max() > len(COVALENT_RADII):
        raise ValueError(
            f"z holds element {z.max()}; covalent radii are known up to {len(COVALENT_RADII)} (Xe)"
        )
    _, r = separations(R)
    radius = COVALENT_RADII[z - 1]
    i, j = np.triu_indices(len(z), 1)
    bonds = np.zeros((len(z), len(z)), dtype=bool)
    bonds[i, j] = bonds[j, i] = np.atleast_2d(r).mean(axis=0) < STRETCH * (radius[i] + radius[j])
    return bonds


def feasible_permutations(R: Array, z: Array) -> np.ndarray:
    """The renumberings of like atoms that a molecule can reach without breaking bonds.

    Parameters
    ----------
    R : array of shape (M, N, D) or (N, D)
        Positions in Å of one or more configurations of the molecule, all with the same bonds.
    z : array of int of shape (N,)
        Atomic numbers, 1 to 54.

    Returns
    -------
    array of int of shape (n_permutations, N)
        A group, the identity first. Of atoms without bonds it is all permutations of like ones.

    Raises
    ------
    TypeError, ValueError
        As `bond_graph`; also if there are more than 50 000 permutations.
    """
    bonds = bond_graph(R, z)
    z = check_atomic_numbers(z)
    hands = _handedness(to_numpy(check_positions(R)), bonds)
    found = [p for p in _automorphisms(z, bonds) if _keeps_or_reverses(p, hands)]
    return np.array(found)


def check_permutation_group(
    permutations: Sequence[Array], n_atoms: int, z: Array | None = None
) -> np.ndarray:
    """`permutations` as integers (G, N), the identity first, once they are known to form a group.

    Raises
    ------
    TypeError, ValueError
        If one does not name every atom once or, with z, exchanges atoms of different elements; if two
        of them in a row are not among them.
    """
    group = {tuple(check_permutation(p, n_atoms, z).tolist()) for p in permutations}
    for p in group:
        for q in group:
            both = tuple(p[k] for k in q)
            if both not in group:
                raise ValueError(
                    f"permutations form no group: {list(p)} and {list(q)} in a row are {list(both)}, which "
                    "is missing; generate_permutations(z, permutations) adds what is missing"
                )
    if not group:
        raise ValueError("permutations is empty; the smallest group holds the identity, or pass None")
    return np.array(sorted(group))  # the identity 0, 1, 2, ... sorts before all others


def _automorphisms(z: np.ndarray, bonds: np.ndarray) -> list[list[int]]:
    """Permutations p with z[p] = z and bonds[p][:, p] = bonds, in lexical order."""
    kind = z
    for _ in z:  # atoms can change places only if their neighbours, and the neighbours of these, are alike
        signature = [(kind[i], *sorted(kind[bonds[i]])) for i in range(len(z))]
        kind = np.array([sorted(set(signature)).index(s) for s in signature])
    order: list[int] = []  # along bonds: there each atom leaves the next few choices
    for first in range(len(z)):
        queue = [first]
        for i in queue:
            if i not in order:
                order.append(i)
                queue += np.flatnonzero(bonds[i]).tolist()
    found: list[list[int]] = [[]]
    for n, i in enumerate(order):
        found = [
            [*p, a]
            for p in found
            for a in np.flatnonzero(kind == kind[i]).tolist()
            if a not in p and (bonds[a, p] == bonds[i, order[:n]]).all()
        ]
        if len(found) > LARGEST_ORDER:
            raise ValueError(f"more than {LARGEST_ORDER} permutations keep the bonds: name those that matter")
    return sorted([p[n] for n in np.argsort(order)] for p in found)


def _handedness(R: np.ndarray, bonds: np.ndarray) -> dict[tuple[int, ...], float]:
    """For every atom i and three of its neighbours j < k < l: +1 or -1, the sense in which these go round.

    Where that is not clear, as in a plane, there is no entry.
    """
    if R.shape[-1] != 3:
        return {}
    R = R.reshape(-1, *R.shape[-2:])
    hands: dict[tuple[int, ...], float] = {}
    for i in range(len(bonds)):
        u = R[:, bonds[i]] - R[:, i, None]
        u /= np.sqrt((u * u).sum(axis=-1, keepdims=True))
        for three in combinations(range(u.shape[1]), 3):
            volume = np.linalg.det(u[:, three]).mean()
            if abs(volume) > PLANAR:
                hands[i, *np.flatnonzero(bonds[i])[list(three)].tolist()] = np.sign(volume)
    return hands


def _keeps_or_reverses(p: list[int], hands: dict[tuple[int, ...], float]) -> bool:
    """Whether p leaves every handedness as it is, or reverses all of them."""
    changes = set()
    for (i, *three), hand in hands.items():
        image = [p[k] for k in three]
        odd = sum(a > b for a, b in combinations(image, 2)) % 2
        changes.add(hand * hands.get((p[i], *sorted(image)), 0) * (-1) ** odd)
    return changes <= {1} or changes == {-1}
