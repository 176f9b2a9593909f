from functools import partial

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from reference import torch_molecules as in_torch

from tinynn.molecules import (
    AngularSymmetryFunctions,
    CoulombMatrix,
    CoulombSpectrum,
    RadialSymmetryFunctions,
    audit_invariance,
    center,
    coulomb_matrix,
    distances,
    inverse_distances,
    pair_distances,
    permute,
    positions,
    sorted_inverse_distances,
)

from .cases import BAD_POSITIONS, COINCIDENT, ONE_ATOM, SHAPES, configurations

Z = [6, 1, 8, 1, 6]
RADIAL = [(0.5, 0.0), (4.0, 1.2)]
ANGULAR = [(0.01, 1.0, 1.0), (0.3, 2.0, -1.0), (0.1, 3.5, 0.5)]
CUTOFF = 1.9  # the atoms of `configurations` are 1, 1.4, 1.7 and 2.2 apart: some pairs are beyond
radial = partial(RadialSymmetryFunctions, eta=[0.5, 4.0], r_s=[0.0, 1.2], cutoff=CUTOFF)
angular = partial(
    AngularSymmetryFunctions, eta=[0.01, 0.3, 0.1], zeta=[1, 2, 3.5], lam=[1, -1, 0.5], cutoff=CUTOFF
)

RIGID = ("translation", "rotation", "reflection")
ALL = (*RIGID, "permutation")
# features for given atomic numbers, the same in torch, and the actions that change nothing
FEATURES = {
    "positions": (lambda z: positions, lambda R, z: R.flatten(), ()),
    "distances": (lambda z: distances, lambda R, z: in_torch.pair_distances(R), RIGID),
    "inverse distances": (lambda z: inverse_distances, lambda R, z: in_torch.inverse_distances(R), RIGID),
    "sorted": (lambda z: sorted_inverse_distances, lambda R, z: in_torch.sorted_inverse_distances(R), ALL),
    "Coulomb matrix": (CoulombMatrix, in_torch.coulomb_triangle, RIGID),
    "Coulomb spectrum": (CoulombSpectrum, in_torch.coulomb_spectrum, ALL),
    "G2": (
        radial,
        partial(in_torch.radial_symmetry_functions, parameters=RADIAL, cutoff=CUTOFF),
        ALL,
    ),
    "G2 per atom": (
        partial(radial, per_atom=True),
        partial(in_torch.radial_symmetry_functions, parameters=RADIAL, cutoff=CUTOFF, per_atom=True),
        RIGID,
    ),
    "G4": (
        angular,
        partial(in_torch.angular_symmetry_functions, parameters=ANGULAR, cutoff=CUTOFF),
        ALL,
    ),
    "G4 per atom": (
        partial(angular, per_atom=True),
        partial(in_torch.angular_symmetry_functions, parameters=ANGULAR, cutoff=CUTOFF, per_atom=True),
        RIGID,
    ),
}
every_feature = pytest.mark.parametrize("name", FEATURES)
of_distances = pytest.mark.parametrize("name", [name for name in FEATURES if name != "positions"])
without_coincidence = pytest.mark.parametrize(
    "name", [name for name in FEATURES if name not in ("positions", "distances")]
)


def build(name, z=Z):
    return FEATURES[name][0](z)


# values and Jacobians


@every_feature
@pytest.mark.parametrize("D", [2, 3])
def test_values_and_jacobians_equal_torch(name, D):
    R = configurations(4, 5, D)
    features, reference = build(name), partial(FEATURES[name][1], z=Z)
    expected = np.stack([reference(sample).numpy() for sample in in_torch.torch.tensor(R)])
    jacobian = in_torch.jacobian(reference, R)
    assert features(R).shape == expected.shape
    assert features.jacobian(R).shape == jacobian.shape
    assert_allclose(features(R), expected, rtol=1e-12, atol=1e-12)
    assert_allclose(features.jacobian(R), jacobian, rtol=1e-10, atol=1e-10)
    assert abs(jacobian).max() > 0.1


@every_feature
@pytest.mark.parametrize("shape", SHAPES)
def test_jacobian_gives_the_change_for_a_small_step(name, shape):
    R = configurations(*shape)
    features = build(name, np.arange(shape[1]) % 3 + 1)
    direction = np.random.default_rng(1).normal(size=R.shape)
    h = 1e-5
    slope = (features(R + h * direction) - features(R - h * direction)) / (2 * h)
    expected = np.einsum("mpnd,mnd->mp", features.jacobian(R), direction)
    assert_allclose(expected, slope, rtol=1e-6, atol=1e-6 * abs(expected).max())


@every_feature
def test_audit_confirms_the_table_of_invariances(name):
    R = configurations(30, 5, 3)
    features = build(name)
    audit = audit_invariance(features, R, z=Z)
    assert audit.invariant_under() == FEATURES[name][2]
    assert all(audit.relative(action) < 1e-10 for action in FEATURES[name][2])


@of_distances
def test_jacobians_are_orthogonal_to_translation_and_rotation(name):
    R = configurations(5, 5, 3)
    J = build(name).jacobian(R)
    assert_allclose(J.sum(axis=2), 0, atol=1e-12 * abs(J).max())
    about_z = np.stack([-R[..., 1], R[..., 0], 0 * R[..., 2]], axis=-1)
    assert_allclose(np.einsum("mpnd,mnd->mp", J, about_z), 0, atol=1e-12 * abs(J).max())


def test_positions_are_a_flat_copy():
    R = configurations(3, 4, 2)
    X = positions(R)
    assert_array_equal(X[1], [x for atom in R[1] for x in atom])
    X[...] = 0
    assert R.any()


@pytest.mark.parametrize("shape", SHAPES)
def test_distances_and_their_inverses(shape):
    R = configurations(*shape)
    r = pair_distances(R)
    assert_array_equal(distances(R), r)
    assert_allclose(inverse_distances(R), 1 / r, rtol=1e-15)
    assert_allclose(sorted_inverse_distances(R), 1 / np.sort(r, axis=-1), rtol=1e-15)


# sorting


@pytest.mark.parametrize("order", [[3, 0, 1, 2], [1, 0, 2, 3], [2, 3, 1, 0]])
def test_sorting_undoes_permutations(order):
    R = configurations(50, 4, 2)
    assert_array_equal(sorted_inverse_distances(permute(R, order)), sorted_inverse_distances(R))
    assert abs(inverse_distances(permute(R, order)) - inverse_distances(R)).max() > 0.1


def test_sorting_merges_different_molecules():
    rectangle = np.array([[0, 0], [2, 0], [2, 1], [0, 1]])
    tee = np.array([[-1, 0], [0, 0], [1, 0], [0, 2]])
    assert_allclose(sorted_inverse_distances(rectangle), sorted_inverse_distances(tee), rtol=1e-15)
    to_all_others = [np.linalg.norm(R[:, None] - R, axis=-1).sum(axis=1) for R in (rectangle, tee)]
    assert abs(np.sort(to_all_others[0]) - np.sort(to_all_others[1])).max() > 0.1  # not the same molecule


def test_sorted_distances_have_a_kink_where_two_cross():
    """The atom in the middle of three moves: its nearest neighbour changes from the left to the right."""

    def row(x):
        return np.array([[0.0, 0.0], [1 + x, 0.0], [2.0, 0.0]])

    left, right = (sorted_inverse_distances.jacobian(row(x))[0, 1, 0] for x in (-1e-9, 1e-9))
    assert_allclose([left, right], [-1, 1], rtol=1e-8)
    assert sorted_inverse_distances.jacobian(row(0.0))[0, 1, 0] in (-1, 1)


# the Coulomb matrix


def test_coulomb_matrix_of_water_by_hand():
    R, z = np.array([[0.0, 0], [2, 0], [0, 2]]), [8, 1, 1]
    C = coulomb_matrix(R, z)
    assert_allclose(C, [[0.5 * 8**2.4, 4, 4], [4, 0.5, 1 / 8**0.5], [4, 1 / 8**0.5, 0.5]])
    assert_allclose(CoulombMatrix(z)(R), C[np.triu_indices(3)])
    assert_array_equal(coulomb_matrix(np.stack([R, 2 * R]), z)[0], C)


def test_spectrum_is_sorted_by_magnitude():
    R = 0.3 * configurations(3, 5, 3)  # so dense that some eigenvalues are negative
    spectrum = CoulombSpectrum(Z)(R)
    assert (spectrum < 0).any()
    assert (np.diff(abs(spectrum), axis=-1) <= 0).all()
    assert_allclose(spectrum.sum(axis=-1), np.trace(coulomb_matrix(R, Z), axis1=1, axis2=2))


# symmetry functions


def test_atoms_beyond_the_cutoff_do_not_count():
    R = configurations(1, 5, 3)[0]
    far = np.vstack([R, [[50.0, 0, 0]]])
    for features in (radial, angular):
        inside = features(Z, per_atom=True)(R)
        assert_array_equal(features([*Z, 1], per_atom=True)(far)[: inside.size], inside)
        assert_array_equal(features([*Z, 1], per_atom=True)(far)[inside.size :], 0)


def test_symmetry_functions_fade_smoothly_at_the_cutoff():
    for features in (radial([1, 1, 1]), angular([1, 1, 1])):
        edge = np.array([[0.0, 0.0], [CUTOFF - 1e-6, 0.0], [0.5, 1.0]])
        beyond = np.array([[0.0, 0.0], [CUTOFF + 1e-6, 0.0], [0.5, 1.0]])
        assert_allclose(features(edge), features(beyond), atol=1e-5)
        assert_allclose(features.jacobian(edge), features.jacobian(beyond), atol=1e-5)


@pytest.mark.parametrize("features", [radial, angular])
def test_parameters_of_numpy_keep_the_dtype_too(features):
    features = features(Z, cutoff=np.float64(CUTOFF), eta=np.float64(0.5))
    R = configurations(5, 5, 3).astype(np.float32)
    assert features(R).dtype == features.jacobian(R).dtype == np.float32


def test_many_samples_are_worked_off_in_blocks(monkeypatch):
    R = configurations(7, 5, 3)
    for features in (radial(Z), angular(Z)):
        expected = features(R), features.jacobian(R)
        monkeypatch.setattr("tinynn.molecules.symmetry_functions.BLOCK", 3 * 5**3)
        assert_allclose(features(R), expected[0], rtol=1e-14)
        assert_allclose(features.jacobian(R), expected[1], rtol=1e-14)


def test_atoms_in_a_row_have_no_nan():
    """1 + cos 180° is zero, or by rounding less, and would have no power 3.5."""
    row = np.array([[0.1, 0.3, 0.7]]).T * np.array([[0.3, 0.1, 0.7]])
    features = angular([1, 1, 1])
    assert np.isfinite(features(row)).all()
    assert np.isfinite(features.jacobian(row)).all()


# what all have in common


@every_feature
def test_single_configuration_is_one_sample_without_its_axis(name):
    R, features = configurations(3, 5, 3), build(name)
    assert_allclose(features(R[1]), features(R)[1], rtol=1e-13)
    assert_allclose(features.jacobian(R[1]), features.jacobian(R)[1], rtol=1e-12, atol=1e-13)


@every_feature
def test_dtype_is_kept_and_rows_are_contiguous(name):
    R, features = configurations(5, 5, 2).astype(np.float32), build(name)
    X, J = features(R), features.jacobian(R)
    assert X.dtype == J.dtype == np.float32
    assert X.flags.c_contiguous
    assert J.flags.c_contiguous
    assert_allclose(X, features(R.astype(np.float64)), rtol=1e-4, atol=1e-5)
    assert_allclose(J, features.jacobian(R.astype(np.float64)), rtol=1e-3, atol=1e-3)


@every_feature
def test_input_is_left_alone(name):
    R = configurations(3, 5, 3)
    before = R.copy()
    build(name)(R)
    build(name).jacobian(R)
    assert_array_equal(R, before)


@every_feature
@pytest.mark.parametrize("method", ["__call__", "jacobian"])
@pytest.mark.parametrize(("R", "error", "message"), BAD_POSITIONS)
def test_bad_positions(name, method, R, error, message):
    with pytest.raises(error, match=message):
        getattr(build(name), method)(R)


@of_distances
@pytest.mark.parametrize("method", ["__call__", "jacobian"])
@pytest.mark.parametrize(("R", "error", "message"), ONE_ATOM)
def test_one_atom_has_no_distances(name, method, R, error, message):
    with pytest.raises(error, match=message):
        getattr(build(name), method)(R)


@without_coincidence
@pytest.mark.parametrize("method", ["__call__", "jacobian"])
@pytest.mark.parametrize(("R", "error", "message"), COINCIDENT)
def test_no_inverse_where_atoms_coincide(name, method, R, error, message):
    with pytest.raises(error, match=message):
        getattr(build(name, [1, 1, 8]), method)(R)


@pytest.mark.parametrize("features", [CoulombMatrix, CoulombSpectrum, radial, angular])
@pytest.mark.parametrize(
    ("z", "error", "message"),
    [
        ([6, 1, 8, 1], ValueError, "^z has 4 atomic numbers, but R has 5 atoms"),
        ([6, 1, 0, 1, 6], ValueError, r"^z\[2\] is 0; atomic numbers are 1 for H"),
        ([6, 1, 1.5, 1, 6], ValueError, r"^z\[2\] is 1.5; atomic numbers"),
        (["C", "H", "O", "H", "C"], TypeError, "^z has dtype <U1"),
        ([], ValueError, "^z is empty"),
        (8, ValueError, "^z has 0 dimensions"),
    ],
)
def test_bad_atomic_numbers(features, z, error, message):
    with pytest.raises(error, match=message):
        features(z)(configurations(2, 5, 3))


@pytest.mark.parametrize(
    ("features", "error", "message"),
    [
        (radial(Z, cutoff=0), ValueError, r"^cutoff must lie in \(0, inf\)"),
        (radial(Z, cutoff="far"), TypeError, "^cutoff must be a number"),
        (radial(Z, eta=[1.0, 2, 3]), ValueError, "^the numbers of parameters differ: eta has 3, r_s has 2"),
        (radial(Z, eta=[np.nan, 1]), ValueError, "^eta contains 1 NaN"),
        (radial(Z, eta=[0.5, -1.0]), ValueError, r"^eta must lie in \[0, inf\]; got -1.0"),
        (angular(Z, eta=-0.1), ValueError, r"^eta must lie in \[0, inf\]; got -0.1"),
        (angular(Z, zeta=0.5), ValueError, r"^zeta must lie in \[1, inf\]"),
        (angular(Z, lam=2), ValueError, r"^lam must lie in \[-1, 1\]"),
    ],
)
def test_bad_parameters(features, error, message):
    for method in (features, features.jacobian):
        with pytest.raises(error, match=message):
            method(configurations(2, 5, 3))


def test_centred_positions_lose_the_place_only():
    R = configurations(5, 4, 3)
    assert audit_invariance(lambda R: positions(center(R)), R).invariant_under() == ("translation",)
