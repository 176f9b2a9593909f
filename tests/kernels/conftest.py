"""LAPACK for the array library of the tests, which has none."""

from types import SimpleNamespace

import pytest

from tinynn import linalg
from tinynn.linalg import lapack


@pytest.fixture
def device_with_lapack(device, monkeypatch):
    if device == "strict_array":

        def solve_triangular(A, b, lower, check_finite):
            return (linalg.solve_lower if lower else linalg.solve_upper)(A, b)

        library = SimpleNamespace(solve_triangular=solve_triangular)
        monkeypatch.setattr(lapack, "_scipy_linalg", lambda A: library)
    return device
