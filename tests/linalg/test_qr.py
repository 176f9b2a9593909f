import numpy as np
import pytest
import scipy.linalg
import strict_array
from hypothesis import given
from hypothesis import strategies as st
from linalg.matrices import ANY, BAD, EPS, cases, leading_cost, relative

from tinynn import backend
from tinynn.linalg import qr
from tinynn.linalg.qr import _factor, append_rows


@pytest.mark.parametrize("pivoting", [False, True])
@cases(ANY)
def test_factors(A, pivoting):
    Q, R, *p = qr(A, pivoting=pivoting)
    (m, n), k, eps = A.shape, min(A.shape), np.finfo(A.dtype).eps
    assert (Q.shape, R.shape) == ((m, k), (k, n))
    assert Q.dtype == R.dtype == A.dtype
    assert np.abs(Q.T @ Q - np.eye(k)).max() <= 10 * eps * max(m, n)
    np.testing.assert_array_equal(R, np.triu(R))
    permuted = A[:, p[0]] if pivoting else A
    assert relative(Q @ R - permuted, A) < 100
    if pivoting:
        assert sorted(p[0]) == list(range(n))
        d = np.abs(np.diag(R))
        assert (d[1:] <= d[:-1] * (1 + 1e-6) + 100 * eps * d[0]).all()


FULL_RANK = {name: A for name, A in ANY.items() if name not in ("Hilbert 70", "rank 10", "equal columns")}


@pytest.mark.parametrize("pivoting", [False, True])
@cases(FULL_RANK)
def test_agrees_with_lapack(A, pivoting):
    R, *p = qr(A, pivoting=pivoting)[1:]
    R_ref, *p_ref = scipy.linalg.qr(A, mode="r", pivoting=pivoting)
    np.testing.assert_array_equal(p, p_ref)
    assert relative(np.abs(R) - np.abs(R_ref[: len(R)]), A) < 100


@pytest.mark.parametrize("pivoting", [False, True])
@cases({name: A for name, A in ANY.items() if name not in FULL_RANK})
def test_diagonal_agrees_with_lapack_without_rank(A, pivoting):
    """Beyond the rank rounding chooses the pivots and fills the rows of R."""
    d = np.abs(np.diag(qr(A, pivoting=pivoting)[1]))
    d_ref = np.abs(np.diag(scipy.linalg.qr(A, mode="r", pivoting=pivoting)[0]))
    assert relative(np.diag(d - d_ref[: len(d)]), A) < 100


def test_pivots_show_the_rank():
    rng = np.random.default_rng(0)
    for r in (1, 10, 33, 40):
        A = rng.standard_normal((100, r)) @ rng.standard_normal((r, 60))
        d = np.abs(np.diag(qr(A, pivoting=True)[1]))
        assert (d > 1e-10 * d[0]).sum() == r


def test_kahan_and_close_columns_keep_their_norms():
    """Norms that are updated by subtraction lose their digits; the pivots must not notice."""
    rng = np.random.default_rng(1)
    A = np.ones((60, 1)) + 1e-9 * rng.standard_normal((60, 50))
    R, p = qr(A, pivoting=True)[1:]
    R_ref = scipy.linalg.qr(A, mode="r", pivoting=True)[0]
    np.testing.assert_allclose(np.abs(np.diag(R)), np.abs(np.diag(R_ref)[:50]), rtol=1e-5)
    assert p[0] == scipy.linalg.qr(A, mode="r", pivoting=True)[1][0]


@given(st.integers(1, 40), st.integers(1, 40), st.booleans(), st.integers(0, 2**32 - 1))
def test_any_shape(m, n, pivoting, seed):
    A = np.random.default_rng(seed).standard_normal((m, n))
    Q, R, *p = qr(A, pivoting=pivoting)
    assert relative(Q @ R - (A[:, p[0]] if p else A), A) < 100
    assert np.abs(Q.T @ Q - np.eye(len(R))).max() <= 10 * EPS * max(m, n)


def test_append_rows():
    A = np.random.default_rng(0).standard_normal((150, 40))
    R = append_rows(append_rows(np.zeros((40, 40)), A[:100]), A[100:])
    np.testing.assert_allclose(R.T @ R, A.T @ A, rtol=1e-12, atol=1e-12)
    np.testing.assert_array_equal(R, np.triu(R))


@pytest.mark.parametrize(("A", "error", "message"), BAD.values(), ids=BAD)
def test_bad_input(A, error, message):
    if message != "empty":
        with pytest.raises(error, match=message):
            qr(A)


def test_input_is_left_alone():
    A = np.arange(12.0).reshape(4, 3)
    qr(A), qr(A, pivoting=True)
    np.testing.assert_array_equal(A, np.arange(12.0).reshape(4, 3))


@pytest.mark.parametrize("ratio", [1, 2, 5])
def test_flops(flops, ratio):
    """2 m n^2 - 2/3 n^3 for R, here with m = ratio n, and Q as many again."""
    random = np.random.default_rng(0)
    leading = 2 * ratio - 2 / 3

    def matrix(n):
        return random.standard_normal((ratio * n, n))

    def only_R(A):
        _factor(strict_array, strict_array.array(A))

    assert leading_cost(flops, only_R, matrix) == pytest.approx(leading, rel=1e-9)
    assert leading_cost(flops, qr, matrix) == pytest.approx(2 * leading, rel=1e-9)


def test_pivoting_costs_no_more_than_a_few_percent(flops):
    A = np.random.default_rng(0).standard_normal((512, 256))
    assert flops(lambda A: qr(A, pivoting=True), A) == pytest.approx(flops(qr, A), rel=0.05)


def test_library(device):
    A = np.random.default_rng(0).standard_normal((90, 70))
    for pivoting in (False, True):
        ours = [backend.to_numpy(x) for x in qr(backend.asarray(A, device), pivoting=pivoting)]
        for x, y in zip(ours, qr(A, pivoting=pivoting), strict=True):
            np.testing.assert_allclose(x, y, rtol=1e-9, atol=1e-12)
