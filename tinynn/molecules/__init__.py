"""Molecules: geometry, pair potentials, features, symmetries and kernels.

Configurations are arrays R (M samples, N atoms, D dimensions).
"""

from tinynn.molecules.audit import InvarianceAudit, audit_invariance
from tinynn.molecules.bonds import bond_graph, feasible_permutations
from tinynn.molecules.calculator import ModelCalculator
from tinynn.molecules.coulomb import CoulombMatrix, CoulombSpectrum, coulomb_matrix
from tinynn.molecules.extxyz import Configurations, read_extxyz, write_extxyz
from tinynn.molecules.features import (
    Distances,
    Features,
    InverseDistances,
    Positions,
    SortedInverseDistances,
    distances,
    inverse_distances,
    positions,
    sorted_inverse_distances,
)
from tinynn.molecules.forces import EnergyForceRegressor
from tinynn.molecules.geometry import pair_distances, pair_distances_gradient, pair_indices, pair_vectors
from tinynn.molecules.groups import (
    are_equivalent,
    direct_product,
    group_average,
    identity,
    orbit,
    permutation_group,
    reflection_group,
    rotation_group,
    sample_rotations,
)
from tinynn.molecules.kernels import AtomPairKernel, FeatureKernel, SymmetrizedKernel
from tinynn.molecules.learned_features import NetworkFeatures
from tinynn.molecules.on_the_fly import LearningCalculator, learn_on_the_fly
from tinynn.molecules.on_the_fly_log import Comparison, OnTheFlyLog
from tinynn.molecules.permutations import generate_permutations, like_atom_generators
from tinynn.molecules.potentials import CoulombPairPotential, LennardJones, Morse, PairPotential
from tinynn.molecules.symmetry import center, permute, random_rotation, reflect, rotate, translate
from tinynn.molecules.symmetry_functions import AngularSymmetryFunctions, RadialSymmetryFunctions
from tinynn.molecules.units import convert_energy, energy_units

__all__ = [
    "AngularSymmetryFunctions",
    "AtomPairKernel",
    "Comparison",
    "Configurations",
    "CoulombMatrix",
    "CoulombPairPotential",
    "CoulombSpectrum",
    "Distances",
    "EnergyForceRegressor",
    "FeatureKernel",
    "Features",
    "InvarianceAudit",
    "InverseDistances",
    "LearningCalculator",
    "LennardJones",
    "ModelCalculator",
    "Morse",
    "NetworkFeatures",
    "OnTheFlyLog",
    "PairPotential",
    "Positions",
    "RadialSymmetryFunctions",
    "SortedInverseDistances",
    "SymmetrizedKernel",
    "are_equivalent",
    "audit_invariance",
    "bond_graph",
    "center",
    "convert_energy",
    "coulomb_matrix",
    "direct_product",
    "distances",
    "energy_units",
    "feasible_permutations",
    "generate_permutations",
    "group_average",
    "identity",
    "inverse_distances",
    "learn_on_the_fly",
    "like_atom_generators",
    "orbit",
    "pair_distances",
    "pair_distances_gradient",
    "pair_indices",
    "pair_vectors",
    "permutation_group",
    "permute",
    "positions",
    "random_rotation",
    "read_extxyz",
    "reflect",
    "reflection_group",
    "rotate",
    "rotation_group",
    "sample_rotations",
    "sorted_inverse_distances",
    "translate",
    "write_extxyz",
]
