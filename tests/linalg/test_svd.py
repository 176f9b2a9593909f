import sys
from fractions import Fraction

import numpy as np
import pytest
import scipy.linalg
from linalg.matrices import ANY, BAD, EPS, cases, relative

from tinynn import backend
from tinynn.linalg import ConvergenceError, svd


@cases(ANY)
def test_factors(A):
    U, s, Vt = svd(A)
    (m, n), k, eps = A.shape, min(A.shape), np.finfo(A.dtype).eps
    assert (U.shape, s.shape, Vt.shape) == ((m, k), (k,), (k, n))
    assert U.dtype == s.dtype == Vt.dtype == A.dtype
    assert np.abs(U.T @ U - np.eye(k)).max() <= 10 * eps * max(m, n)
    assert np.abs(Vt @ Vt.T - np.eye(k)).max() <= 10 * eps * max(m, n)
    assert relative((U * s) @ Vt - A, A) < 100
    assert (s >= 0).all()
    assert (s[1:] <= s[:-1]).all()
    s_ref = np.linalg.svd(A, compute_uv=False)
    assert np.abs(s - s_ref).max() <= 100 * eps * s_ref[0]


def test_small_singular_values_are_right():
    """Column scaling D does not hurt Jacobi: A = B D has the digits of B; LAPACK's gesdd loses them."""
    rng = np.random.default_rng(0)
    A = rng.standard_normal((30, 12)) * np.logspace(-20, 0, 12)
    product = 1.0
    gram = [[sum(Fraction(a) * Fraction(b) for a, b in zip(x, y, strict=True)) for y in A.T] for x in A.T]
    for i in range(12):  # exact determinant of A'A, the product of all s^2
        pivot = gram[i][i]
        product *= float(pivot) ** 0.5
        for j in range(i + 1, 12):
            factor = gram[j][i] / pivot
            gram[j] = [b - factor * a for a, b in zip(gram[i], gram[j], strict=True)]
    assert np.prod(svd(A)[1]) == pytest.approx(product, rel=1e-12, abs=0)
    assert np.prod(np.linalg.svd(A)[1]) != pytest.approx(product, rel=1e-3, abs=0)


def test_hilbert_beyond_its_precision():
    A = scipy.linalg.hilbert(30)
    U, s, Vt = svd(A)
    assert np.abs(U.T @ U - np.eye(30)).max() < 300 * EPS
    assert np.abs(Vt @ Vt.T - np.eye(30)).max() < 300 * EPS
    assert s[-1] < 1e-16


def test_no_convergence_is_an_error(monkeypatch):
    monkeypatch.setattr(sys.modules["tinynn.linalg.svd"], "MAX_SWEEPS", 2)
    with pytest.raises(ConvergenceError, match="did not converge in 2 sweeps"):
        svd(np.random.default_rng(0).standard_normal((20, 20)))


@pytest.mark.parametrize(("A", "error", "message"), BAD.values(), ids=BAD)
def test_bad_input(A, error, message):
    with pytest.raises(error, match=message):
        svd(A)


def test_flops(flops):
    """9 n^3 a sweep on top of the QR decomposition."""
    for n in (40, 80):
        A = np.random.default_rng(0).standard_normal((n, n))
        count = flops(svd, A)
        assert 5 * 9 * n**3 < count < 14 * 9 * n**3
    orthogonal = scipy.linalg.hadamard(64) / 8  # one sweep finds nothing to do: only the products are formed
    assert flops(svd, orthogonal) < 3 * 64**3 + 10 * 64**3


def test_library(device):
    A = np.random.default_rng(0).standard_normal((21, 11))
    for x, y in zip(svd(backend.asarray(A, device)), svd(A), strict=True):
        np.testing.assert_allclose(backend.to_numpy(x), y, rtol=1e-9, atol=1e-12)
