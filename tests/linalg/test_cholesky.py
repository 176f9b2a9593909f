import numpy as np
import pytest
import scipy.linalg
from linalg.matrices import BAD, cases, leading_cost, relative

from tinynn import backend
from tinynn.linalg import NotPositiveDefiniteError, cholesky


def _positive(n, seed=0):
    X = np.random.default_rng(seed).standard_normal((2 * n + 3, n))
    return X.T @ X


def _graded(n):
    d = np.logspace(6, -6, n)
    return _positive(n) * d * d[:, None]


POSITIVE = {f"random {n}": _positive(n) for n in (1, 2, 64, 65, 150)}
POSITIVE |= {f"graded {n}": _graded(n) for n in (5, 70)} | {"Hilbert": scipy.linalg.hilbert(7)}
POSITIVE |= {"tiny": 1e-300 * _positive(20), "huge": 1e290 * _positive(20)}


@cases(POSITIVE)
def test_factor(A):
    L = cholesky(A)
    np.testing.assert_array_equal(L, np.tril(L))
    assert (np.diag(L) > 0).all()
    scale = np.abs(A).max()
    assert relative((L / scale**0.5) @ (L / scale**0.5).T - A / scale, A / scale) < 20 * len(A)


@cases(POSITIVE)
def test_agrees_with_lapack(A):
    L = np.linalg.cholesky(A)
    assert relative(cholesky(A) - L, L) < 100 * max(1, np.linalg.cond(L) if len(A) == 7 else 1)


@pytest.mark.parametrize(("n", "pivot"), [(1, 0), (5, 3), (150, 100)])
def test_names_the_pivot(n, pivot):
    A = _positive(n)
    L = np.linalg.cholesky(A)
    A[pivot, pivot] -= 1.001 * L[pivot, pivot] ** 2
    with pytest.raises(NotPositiveDefiniteError, match=f"pivot {pivot} is -") as caught:
        cholesky(A)
    assert caught.value.pivot == pivot
    assert isinstance(caught.value, np.linalg.LinAlgError)


def test_semidefinite_and_indefinite():
    with pytest.raises(NotPositiveDefiniteError, match="pivot 1 is 0"):
        cholesky(np.ones((3, 3)))
    with pytest.raises(NotPositiveDefiniteError, match="pivot 0 is 0"):
        cholesky(np.zeros((2, 2)))


def test_needs_symmetry():
    with pytest.raises(ValueError, match="not symmetric"):
        cholesky([[2.0, 1.0], [0.0, 2.0]])


@pytest.mark.parametrize(("A", "error", "message"), BAD.values(), ids=BAD)
def test_bad_input(A, error, message):
    with pytest.raises(error, match=message):
        cholesky(A)


def test_flops(flops):
    assert leading_cost(flops, cholesky, _positive) == pytest.approx(1 / 3, rel=1e-9)


def test_dtype_and_library(device):
    A = _positive(70).astype(np.float32)
    L = cholesky(backend.asarray(A, device))
    assert L.dtype == np.float32
    assert relative(backend.to_numpy(L @ L.T) - A, A) < 200
