import numpy as np
import pytest
from linalg.matrices import BAD, EPS, leading_cost

from tinynn import backend
from tinynn.linalg import SingularMatrixError, solve_lower, solve_upper

rng = np.random.default_rng(0)


def triangle(n, lower):
    T = rng.standard_normal((n, n)) / n + np.eye(n) * 2
    return np.tril(T) if lower else np.triu(T)


@pytest.mark.parametrize("lower", [True, False])
@pytest.mark.parametrize("n", [1, 2, 63, 64, 65, 200])
@pytest.mark.parametrize("columns", [(), (1,), (3,)])
def test_backward_error(lower, n, columns):
    T, b = triangle(n, lower), rng.standard_normal((n, *columns))
    x = (solve_lower if lower else solve_upper)(T, b)
    assert x.shape == b.shape
    assert np.linalg.norm(T @ x - b) <= 20 * EPS * n * np.linalg.norm(T) * np.linalg.norm(x)


@pytest.mark.parametrize("lower", [True, False])
def test_only_the_triangle_is_read(lower):
    T, b = triangle(100, lower), rng.standard_normal(100)
    solve, other = (solve_lower, np.triu) if lower else (solve_upper, np.tril)
    noise = other(rng.standard_normal((100, 100)))
    np.fill_diagonal(noise, 0)
    np.testing.assert_array_equal(solve(T + noise, b), solve(T, b))
    ones = T - np.diag(np.diag(T)) + np.eye(100)
    np.testing.assert_allclose(solve(T, b, unit_diagonal=True), solve(ones, b), rtol=1e-13)


def test_arguments_are_left_alone_and_dtype_is_kept():
    T, b = triangle(5, True).astype(np.float32), np.ones(5, np.float32)
    assert solve_lower(T, b).dtype == solve_upper(T.T, b).dtype == np.float32
    np.testing.assert_array_equal(b, 1)
    assert solve_lower(T, b.astype(np.float64)).dtype == np.float64
    assert solve_lower([[2]], [4]).tolist() == [2.0]


def test_singular_names_the_pivot():
    T = np.eye(70)
    T[66, 66] = 0
    for solve, name in ((solve_lower, "L"), (solve_upper, "U")):
        with pytest.raises(SingularMatrixError, match=rf"{name}\[66, 66\] is 0") as caught:
            solve(T, np.ones(70))
        assert caught.value.pivot == 66
        np.testing.assert_array_equal(solve(T, np.ones(70), unit_diagonal=True), 1)


@pytest.mark.parametrize(("A", "error", "message"), BAD.values(), ids=BAD)
def test_bad_input(A, error, message):
    for solve in (solve_lower, solve_upper):
        with pytest.raises(error, match=message):
            solve(A, np.ones(2))


def test_shapes():
    with pytest.raises(ValueError, match=r"L has shape \(2, 3\); wanted a square"):
        solve_lower(np.ones((2, 3)), np.ones(2))
    with pytest.raises(ValueError, match="b has 3 rows but U has 2"):
        solve_upper(np.eye(2), np.ones(3))


@pytest.mark.parametrize("solve", [solve_lower, solve_upper])
def test_flops(flops, solve):
    assert leading_cost(flops, solve, np.eye, np.ones) == pytest.approx(1, rel=1e-9)
    assert leading_cost(flops, solve, np.eye, lambda n: np.ones((n, 7))) == pytest.approx(7, rel=1e-9)


def test_other_array_library(device):
    T, b = triangle(80, True), rng.standard_normal((80, 2))
    x = solve_lower(backend.asarray(T, device), backend.asarray(b, device))
    np.testing.assert_allclose(backend.to_numpy(x), solve_lower(T, b), rtol=1e-12)
