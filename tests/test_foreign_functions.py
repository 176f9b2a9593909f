"""Molecules, metrics and preprocessing on an array library other than NumPy give NumPy's numbers."""

import numpy as np
import pytest

from tinynn import metrics, molecules, preprocessing
from tinynn.backend import asarray, to_numpy

rng = np.random.default_rng(0)
R = rng.standard_normal((5, 4, 3))
X, X_new = rng.standard_normal((6, 3)), rng.standard_normal((2, 3))
Y, Y_PRED = rng.standard_normal(7), rng.standard_normal(7)
Z = [6, 1, 1, 8]
RADIAL = molecules.RadialSymmetryFunctions(Z, eta=[0.5, 2.0], r_s=1.0, cutoff=3.0)
ANGULAR = molecules.AngularSymmetryFunctions(Z, eta=0.1, zeta=[1.0, 3.0], lam=-1.0, cutoff=3.0, per_atom=True)
LABELS, PREDICTED = np.array([0, 2, 1, 1]), np.array([0, 1, 1, 1])

CASES = {
    "pair_vectors": (molecules.pair_vectors, R),
    "pair_distances": (molecules.pair_distances, R),
    "pair_distances_gradient": (molecules.pair_distances_gradient, R),
    "positions": (molecules.positions, R),
    "inverse_distances": (molecules.inverse_distances, R),
    "sorted_inverse_distances": (molecules.sorted_inverse_distances, R),
    "positions, Jacobian": (molecules.positions.jacobian, R),
    "inverse_distances, Jacobian": (molecules.inverse_distances.jacobian, R),
    "sorted_inverse_distances, Jacobian": (molecules.sorted_inverse_distances.jacobian, R),
    "coulomb_matrix": (lambda R: molecules.coulomb_matrix(R, Z), R),
    "CoulombMatrix, Jacobian": (molecules.CoulombMatrix(Z).jacobian, R),
    "CoulombSpectrum": (molecules.CoulombSpectrum(Z), R),
    "CoulombSpectrum, Jacobian": (molecules.CoulombSpectrum(Z).jacobian, R),
    "RadialSymmetryFunctions": (RADIAL, R),
    "RadialSymmetryFunctions, Jacobian": (RADIAL.jacobian, R),
    "AngularSymmetryFunctions": (ANGULAR, R),
    "AngularSymmetryFunctions, Jacobian": (ANGULAR.jacobian, R),
    "Coulomb energy": (molecules.CoulombPairPotential().energy, R),
    "Coulomb forces": (molecules.CoulombPairPotential().forces, R),
    "Lennard-Jones energy": (molecules.LennardJones().energy, R),
    "Lennard-Jones forces": (molecules.LennardJones().forces, R),
    "Morse energy": (molecules.Morse(1.0, 1.0, 1.0).energy, R),
    "Morse forces": (molecules.Morse(1.0, 1.0, 1.0).forces, R),
    "translate": (lambda R, v: molecules.translate(R, v), R, np.ones(3)),
    "rotate": (lambda R, Q: molecules.rotate(R, Q), R, molecules.random_rotation(3, 0)),
    "reflect": (molecules.reflect, R),
    "permute": (lambda R: molecules.permute(R, [3, 0, 1, 2]), R),
    "center": (molecules.center, R),
    "orbit": (lambda R: molecules.orbit(R, molecules.permutation_group(Z)), R),
    "group_average": (
        lambda R: molecules.group_average(molecules.positions, molecules.reflection_group(2))(R),
        R,
    ),
    "StandardScaler": (lambda X, Z: preprocessing.StandardScaler().fit(X).transform(Z), X, X_new),
    "MinMaxScaler": (lambda X, Z: preprocessing.MinMaxScaler().fit(X).inverse_transform(Z), X, X_new),
    "one_hot": (preprocessing.one_hot, LABELS),
    "r2_score": (metrics.r2_score, Y, Y_PRED),
    "mean_squared_error": (metrics.mean_squared_error, Y, Y_PRED),
    "mean_absolute_error": (metrics.mean_absolute_error, Y, Y_PRED),
    "accuracy": (metrics.accuracy, LABELS, PREDICTED),
    "confusion_matrix": (metrics.confusion_matrix, LABELS, PREDICTED),
}


@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
def test_a_foreign_library_gives_the_same(case, device):
    function, *arguments = case
    ours, theirs = function(*arguments), function(*(asarray(a, device) for a in arguments))
    if not isinstance(ours, float):
        assert type(theirs).__module__.partition(".")[0] == device
    np.testing.assert_allclose(to_numpy(theirs), ours, rtol=1e-12, atol=1e-14)


def test_the_audit_runs_on_a_foreign_library(device):
    class Model:
        def predict(self, R):
            potential = molecules.CoulombPairPotential()
            return potential.energy(R), potential.forces(R)

    assert molecules.audit_invariance(Model(), asarray(R, device)).is_invariant()
