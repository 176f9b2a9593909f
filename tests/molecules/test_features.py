import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from tinynn.molecules import (
    distances,
    inverse_distances,
    pair_distances,
    permute,
    positions,
    sorted_inverse_distances,
)

from .cases import BAD_POSITIONS, COINCIDENT, ONE_ATOM, SHAPES, configurations

FEATURES = [positions, distances, inverse_distances, sorted_inverse_distances]
every_feature = pytest.mark.parametrize("feature", FEATURES)


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


@every_feature
def test_single_configuration_is_one_sample_without_its_axis(feature):
    R = configurations(3, 4, 3)
    assert_array_equal(feature(R[1]), feature(R)[1])


@every_feature
def test_dtype_is_kept_and_rows_are_contiguous(feature):
    R = configurations(5, 4, 2).astype(np.float32)
    X = feature(R)
    assert X.dtype == np.float32
    assert X.flags.c_contiguous
    assert_allclose(X, feature(R.astype(np.float64)), rtol=1e-5)


@every_feature
@pytest.mark.parametrize(("R", "error", "message"), BAD_POSITIONS)
def test_bad_positions(feature, R, error, message):
    with pytest.raises(error, match=message):
        feature(R)


@pytest.mark.parametrize("feature", FEATURES[1:])
@pytest.mark.parametrize(("R", "error", "message"), ONE_ATOM)
def test_one_atom_has_no_distances(feature, R, error, message):
    with pytest.raises(error, match=message):
        feature(R)


@pytest.mark.parametrize("feature", FEATURES[2:])
@pytest.mark.parametrize(("R", "error", "message"), COINCIDENT)
def test_no_inverse_where_atoms_coincide(feature, R, error, message):
    with pytest.raises(error, match=message):
        feature(R)
