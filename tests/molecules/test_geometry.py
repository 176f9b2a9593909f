import hypothesis.extra.numpy as hnp
import hypothesis.strategies as st
import numpy as np
import pytest
from hypothesis import given, settings
from numpy.testing import assert_allclose, assert_array_equal
from reference import torch_molecules
from scipy.spatial.distance import pdist

from tinynn.molecules import pair_distances, pair_distances_gradient, pair_indices, pair_vectors

from .cases import BAD_POSITIONS, COINCIDENT, ONE_ATOM, SHAPES, configurations

FUNCTIONS = [pair_vectors, pair_distances, pair_distances_gradient]

# any positions of 2 to 6 atoms in 1 to 3 dimensions, coincident ones included
positions = st.tuples(st.integers(1, 3), st.integers(2, 6), st.integers(1, 3)).flatmap(
    lambda shape: hnp.arrays(np.float64, shape, elements=st.floats(-100, 100, width=32))
)


def square(r):
    """Pair distances (M, P) as symmetric matrices (M, N, N)."""
    n_atoms = int((1 + np.sqrt(1 + 8 * r.shape[-1])) / 2)
    matrix = np.zeros((len(r), n_atoms, n_atoms))
    i, j = pair_indices(n_atoms)
    matrix[:, i, j] = matrix[:, j, i] = r
    return matrix


def test_pairs_come_in_the_order_of_pdist():
    i, j = pair_indices(4)
    assert list(zip(i, j, strict=True)) == [(0, 1), (0, 2), (0, 3), (1, 2), (1, 3), (2, 3)]


@pytest.mark.parametrize("shape", SHAPES)
def test_distances_equal_scipy(shape):
    R = configurations(*shape)
    assert_allclose(pair_distances(R), [pdist(sample) for sample in R], rtol=1e-14)


@pytest.mark.parametrize("shape", SHAPES)
def test_vectors_point_from_j_to_i(shape):
    R = configurations(*shape)
    i, j = pair_indices(shape[1])
    assert_array_equal(pair_vectors(R), R[:, i] - R[:, j])


@pytest.mark.parametrize("shape", SHAPES)
def test_gradient_equals_torch(shape):
    R = configurations(*shape)
    expected = torch_molecules.jacobian(torch_molecules.pair_distances, R)
    assert pair_distances_gradient(R).shape == expected.shape
    assert_allclose(pair_distances_gradient(R), expected, rtol=1e-12, atol=1e-14)


@pytest.mark.parametrize("function", FUNCTIONS)
def test_single_configuration_is_one_sample_without_its_axis(function):
    R = configurations(3, 4, 3)
    assert_array_equal(function(R[1]), function(R)[1])


@pytest.mark.parametrize("function", FUNCTIONS)
def test_dtype_is_kept(function):
    R = configurations(3, 4, 3).astype(np.float32)
    assert function(R).dtype == np.float32
    assert_allclose(function(R), function(R.astype(np.float64)), rtol=1e-5, atol=1e-6)
    assert function([[0, 0], [3, 4]]).dtype == np.float64


@pytest.mark.parametrize("function", FUNCTIONS)
def test_any_memory_layout(function):
    R = configurations(3, 4, 3)
    backwards = np.asfortranarray(R[::-1])[::-1]
    assert_array_equal(function(backwards), function(R))


def test_rows_of_distances_are_contiguous():
    assert pair_distances(configurations(5, 4, 2)).flags.c_contiguous


def test_distance_of_coincident_atoms_is_zero():
    assert_array_equal(pair_distances([[1.5, 2], [1.5, 2], [1.5, 3]]), [0, 1, 1])


@settings(deadline=None)
@given(positions)
def test_distances_are_a_metric(R):
    r = square(pair_distances(R))
    i, j = pair_indices(R.shape[1])
    apart = (R[:, i] != R[:, j]).any(axis=-1)
    assert_array_equal(r[:, i, j] > 0, apart)
    via = r[:, :, :, None] + r[:, None, :, :]  # i to j to k
    assert (r[:, :, None, :] <= via * (1 + 1e-12)).all()


@settings(deadline=None)
@given(positions, st.integers(0, 2**32 - 1))
def test_distances_are_invariant_under_rigid_motion(R, seed):
    rng = np.random.default_rng(seed)
    D = R.shape[-1]
    Q, _ = np.linalg.qr(rng.normal(size=(D, D)))  # a rotation, or a reflection and a rotation
    moved = R @ Q.T + rng.normal(size=D)
    assert_allclose(pair_distances(moved), pair_distances(R), rtol=1e-12, atol=1e-12)


@settings(deadline=None)
@given(positions, st.randoms(use_true_random=False))
def test_permuting_atoms_permutes_both_axes_of_the_distances(R, random):
    order = list(range(R.shape[1]))
    random.shuffle(order)
    r = square(pair_distances(R))
    assert_array_equal(square(pair_distances(R[:, order])), r[:, order][:, :, order])


@settings(deadline=None)
@given(positions)
def test_reversing_the_atoms_keeps_the_distances_as_a_multiset(R):
    reverse = pair_distances(R[:, ::-1])
    assert_array_equal(np.sort(reverse), np.sort(pair_distances(R)))


@pytest.mark.parametrize("shape", SHAPES)
def test_gradient_has_unit_rows_that_cancel(shape):
    J = pair_distances_gradient(configurations(*shape))
    assert_array_equal(J.sum(axis=-2), 0)  # translation changes no distance
    assert_allclose(np.linalg.norm(J, axis=-1).sum(axis=-1), 2, rtol=1e-14)


@pytest.mark.parametrize("function", FUNCTIONS)
@pytest.mark.parametrize(("R", "error", "message"), BAD_POSITIONS + ONE_ATOM)
def test_bad_positions(function, R, error, message):
    with pytest.raises(error, match=message):
        function(R)


@pytest.mark.parametrize(("R", "error", "message"), COINCIDENT)
def test_no_gradient_where_atoms_coincide(R, error, message):
    with pytest.raises(error, match=message):
        pair_distances_gradient(R)


@pytest.mark.parametrize(
    ("n_atoms", "error", "message"),
    [
        (1, ValueError, "^n_atoms must be at least 2; got 1"),
        (4.0, TypeError, "^n_atoms must be an integer; got 4.0"),
        (True, TypeError, "^n_atoms must be an integer; got True"),
        ("4", TypeError, "^n_atoms must be an integer; got '4'"),
    ],
)
def test_bad_number_of_atoms(n_atoms, error, message):
    with pytest.raises(error, match=message):
        pair_indices(n_atoms)
