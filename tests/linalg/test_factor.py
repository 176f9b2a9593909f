import tracemalloc

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from tinynn.backend import asarray, to_numpy
from tinynn.linalg import NotPositiveDefiniteError, cholesky, factor
from tinynn.linalg.factor import CholeskyFactor


@pytest.fixture(autouse=True, params=[True, False], ids=["blocks", "whole"])
def blocks(request, monkeypatch):
    """Many small blocks, or a single one."""
    monkeypatch.setattr(factor, "BLOCK", 8)
    monkeypatch.setattr(factor, "SMALL", 0 if request.param else 1000)
    return request.param


def positive(n, seed=0):
    X = np.random.default_rng(seed).normal(size=(n, n + 5))
    return X @ X.T


@pytest.mark.parametrize("n", [1, 7, 8, 9, 30])
def test_factor_equals_the_one_by_hand(n):
    A = positive(n)
    assert_allclose(np.tril(CholeskyFactor(A.copy()).L), cholesky(A), rtol=1e-10, atol=1e-12)


def test_factor_is_written_over_the_lower_half_and_nothing_else_is_touched(blocks):
    A = positive(20)
    expected = cholesky(A)
    A[np.triu_indices(20, 1)] = np.nan
    factor = CholeskyFactor(A)
    assert factor.L is A
    assert_allclose(np.tril(A), expected, rtol=1e-10, atol=1e-12)
    if blocks:
        beside = np.add.outer(-(np.arange(20) // 8), np.arange(20) // 8) > 0  # the blocks on the diagonal
        assert np.isnan(A[beside]).all()
        A[beside] = 0
    assert_allclose(factor.solve(np.ones(20)), np.linalg.solve(positive(20), np.ones(20)))


def test_uninitialised_memory_above_the_diagonal_does_no_harm():
    """Signalling NaN and infinities, which any arithmetic would warn of."""
    for garbage in np.array([0x7FF4000000000000, 0x7FF0000000000000], dtype=np.uint64).view(np.float64):
        A = positive(20)
        A[np.triu_indices(20, 1)] = garbage
        assert_allclose(np.tril(CholeskyFactor(A).L), cholesky(positive(20)), rtol=1e-10, atol=1e-12)


def test_no_copy_of_the_matrix(monkeypatch):
    monkeypatch.setattr(factor, "BLOCK", 32)
    A = positive(600)
    tracemalloc.start()
    CholeskyFactor(A).solve(np.ones(600))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 0.25 * A.nbytes


@pytest.mark.parametrize("shape", [(20,), (20, 3)])
def test_solve(shape):
    A = positive(20)
    b = np.random.default_rng(1).normal(size=shape)
    L = CholeskyFactor(A.copy())
    assert_allclose(A @ L.solve(b), b, atol=1e-9)
    assert_allclose(cholesky(A) @ L.solve_lower(b), b, atol=1e-12)


@pytest.mark.parametrize("m", [1, 3, 12])
def test_extended_factor_is_that_of_the_whole(m):
    A = positive(30)
    n = 30 - m
    L = CholeskyFactor(A[:n, :n].copy())
    L.extend(A[n:, :n], A[n:, n:], lambda rows: np.empty((rows, rows)))
    assert len(L) == 30
    assert_allclose(np.tril(L.L), cholesky(A), rtol=1e-9, atol=1e-11)


def test_pivot_that_fails_is_named():
    A = positive(20)
    A[13, 13] = 0
    with pytest.raises(NotPositiveDefiniteError, match="pivot 13") as caught:
        CholeskyFactor(A)
    assert caught.value.pivot == 13


def test_pivot_that_is_rounding_is_no_pivot():
    """Two equal rows: what is left for the second one is 0, or by rounding a bit more."""
    for seed in range(20):
        A = positive(20, seed)
        A[:, 15], A[15, :] = A[:, 4], A[4, :]
        A[15, 15] = A[4, 4]
        with pytest.raises(NotPositiveDefiniteError, match="pivot 15"):
            CholeskyFactor(A)


def test_failed_extension_changes_nothing():
    A = positive(20)
    L = CholeskyFactor(A.copy())
    before = L.L.copy()
    with pytest.raises(NotPositiveDefiniteError, match="pivot 20"):
        L.extend(A[3:4], A[3:4, 3:4], lambda rows: np.empty((rows, rows)))
    assert_array_equal(L.L, before)


def test_on_another_array_library(device):
    A, b = positive(30), np.arange(30.0)
    moved = asarray(A, device)
    L = CholeskyFactor(moved[:20, :20].copy())
    L.extend(moved[20:, :20], moved[20:, 20:], lambda rows: asarray(np.empty((rows, rows)), device))
    assert_allclose(A @ to_numpy(L.solve(asarray(b, device))), b, atol=1e-9)
    for A in (np.diag([1.0, 2.0, -3.0, 4.0]), np.diag([1.0, 0.0, 1.0])):
        failing = int((np.diagonal(A) <= 0).argmax())
        with pytest.raises(NotPositiveDefiniteError, match=f"pivot {failing}"):
            CholeskyFactor(asarray(A, device))
