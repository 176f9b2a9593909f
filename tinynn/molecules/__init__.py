"""Molecules: pair distances, pair potentials, features and symmetries.

Configurations are arrays R (M samples, N atoms, D dimensions).
"""

from tinynn.molecules.features import distances, inverse_distances, positions, sorted_inverse_distances
from tinynn.molecules.geometry import pair_distances, pair_distances_gradient, pair_indices, pair_vectors
from tinynn.molecules.potentials import CoulombPairPotential, LennardJones, Morse, PairPotential
from tinynn.molecules.symmetry import (
    InvarianceAudit,
    audit_invariance,
    permute,
    random_rotation,
    reflect,
    rotate,
    translate,
)

__all__ = [
    "CoulombPairPotential",
    "InvarianceAudit",
    "LennardJones",
    "Morse",
    "PairPotential",
    "audit_invariance",
    "distances",
    "inverse_distances",
    "pair_distances",
    "pair_distances_gradient",
    "pair_indices",
    "pair_vectors",
    "permute",
    "positions",
    "random_rotation",
    "reflect",
    "rotate",
    "sorted_inverse_distances",
    "translate",
]
