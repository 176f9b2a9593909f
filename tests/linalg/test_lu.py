import numpy as np
import pytest
import scipy.linalg
from linalg.matrices import BAD, EPS, SQUARE, cases, leading_cost, relative

from tinynn import backend
from tinynn.linalg import SingularMatrixError, lu, solve_lower, solve_upper


@cases(SQUARE)
def test_factors(A):
    p, L, U = lu(A)
    assert relative(L @ U - A[p], A) < 20 * len(A)
    assert sorted(p) == list(range(len(A)))
    np.testing.assert_array_equal(L, np.tril(L))
    np.testing.assert_array_equal(U, np.triu(U))
    np.testing.assert_array_equal(np.diag(L), 1)
    assert np.abs(L).max() == 1


@cases({name: A for name, A in SQUARE.items() if name != "Hilbert 70"})  # there rounding chooses pivots
def test_agrees_with_lapack(A):
    p, L, U = lu(A)
    order, L_ref, U_ref = scipy.linalg.lu(A, p_indices=True)
    np.testing.assert_array_equal(p, np.argsort(order))
    assert relative(U - U_ref, A) < 100
    if len(A) != 12:  # the last pivots of Hilbert's matrix are rounding, and L divides by them
        assert relative(L - L_ref, L_ref) < 100


def test_hilbert_solves_as_well_as_lapack():
    A = scipy.linalg.hilbert(12)
    b = A @ np.ones(12)
    p, L, U = lu(A)
    x = solve_upper(U, solve_lower(L, b[p]))
    assert np.linalg.norm(A @ x - b) <= 20 * 12 * EPS * np.linalg.norm(A) * np.linalg.norm(x)


@pytest.mark.parametrize(("n", "column"), [(1, 0), (3, 1), (100, 70)])
def test_singular_names_the_pivot(n, column):
    A = np.triu(np.ones((n, n)))
    A[:, column] = 0
    with pytest.raises(SingularMatrixError, match=f"column {column} has no pivot") as caught:
        lu(A)
    assert caught.value.pivot == column
    assert isinstance(caught.value, np.linalg.LinAlgError)


@pytest.mark.parametrize(("A", "error", "message"), BAD.values(), ids=BAD)
def test_bad_input(A, error, message):
    with pytest.raises(error, match=message):
        lu(A)


def test_flops(flops):
    random = np.random.default_rng(0)
    assert leading_cost(flops, lu, lambda n: random.standard_normal((n, n))) == pytest.approx(2 / 3, rel=1e-9)


def test_dtype_and_library(device):
    A = np.random.default_rng(0).standard_normal((70, 70)).astype(np.float32)
    p, L, U = lu(backend.asarray(A, device))
    assert L.dtype == U.dtype == np.float32
    assert relative(backend.to_numpy(L @ U) - A[backend.to_numpy(p)], A) < 200
    assert not np.shares_memory(lu(A)[2], A)
