import os
from pathlib import Path

import numpy as np
import pytest
import scipy.linalg
import scipy.sparse
from hypothesis import given
from hypothesis import strategies as st
from linalg.matrices import EPS

from tinynn import backend, datasets
from tinynn.linalg import (
    METHODS,
    ConvergenceError,
    FactorizationError,
    NotPositiveDefiniteError,
    RankDeficientError,
    SingularMatrixError,
    least_squares,
)

DIRECT = ("normal", "cholesky", "qr", "pivoted_qr", "svd")
RANK_REVEALING = ("pivoted_qr", "svd")
TOLERANCE = dict.fromkeys((*DIRECT, "newton"), 1e-8) | dict.fromkeys(
    ("gradient_descent", "sgd", "conjugate_gradient"), 1e-5
)
SHAPES = {"tall": (120, 6), "square": (6, 6), "wide": (6, 25), "one sample": (1, 4), "one feature": (9, 1)}
both = pytest.mark.parametrize("factorization", ["lapack", "tinynn"])
every_method = pytest.mark.parametrize("method", METHODS)


def problem(shape, seed=0, columns=()):
    """Well-conditioned: singular values between 1 and 4."""
    rng = np.random.default_rng(seed)
    U, _, Vt = np.linalg.svd(rng.standard_normal(shape), full_matrices=False)
    X = (U * np.linspace(4, 1, min(shape))) @ Vt
    return X, rng.standard_normal((shape[0], *columns))


def assert_close(a, b, tolerance):
    assert a.shape == b.shape
    assert np.linalg.norm(a - b) <= tolerance * np.linalg.norm(b)


@both
@every_method
@pytest.mark.parametrize("shape", SHAPES.values(), ids=SHAPES)
@pytest.mark.parametrize("columns", [(), (3,)])
def test_methods_agree_on_the_minimum_norm_solution(method, factorization, shape, columns):
    X, y = problem(shape, columns=columns)
    result = least_squares(X, y, method, factorization=factorization)
    w = np.linalg.pinv(X) @ y
    assert_close(result.coef, w, TOLERANCE[method])
    np.testing.assert_allclose(
        result.residual_norm, np.linalg.norm(X @ w - y, axis=0), atol=1e-5 * np.linalg.norm(y)
    )
    assert isinstance(result.residual_norm, np.ndarray if columns else float)
    assert result.method == method
    if method in DIRECT:
        assert result.rank == min(shape)
        assert result.iterations is None
        kappa = np.linalg.cond(X / np.linalg.norm(X, axis=0)) if shape[0] >= shape[1] else np.linalg.cond(X)
        assert kappa / 3 < result.condition_number < 3 * kappa
    else:
        assert (result.rank, result.condition_number) == (None, None)
        assert result.iterations >= 1


@both
@every_method
@pytest.mark.parametrize("shape", SHAPES.values(), ids=SHAPES)
def test_ridge_is_the_augmented_problem(method, factorization, shape):
    X, y = problem(shape)
    alpha, n = 0.7, X.shape[1]
    augmented = np.concatenate([X, alpha**0.5 * np.eye(n)]), np.concatenate([y, np.zeros(n)])
    ridge = least_squares(X, y, method, alpha, factorization=factorization)
    assert_close(ridge.coef, np.linalg.lstsq(*augmented)[0], TOLERANCE[method])
    assert_close(ridge.coef, least_squares(*augmented, method).coef, 2 * TOLERANCE[method])
    assert ridge.residual_norm == pytest.approx(np.linalg.norm(X @ ridge.coef - y), rel=1e-9, abs=1e-12)


@both
@every_method
@pytest.mark.parametrize(("shape", "alpha"), [((120, 6), 0.0), ((120, 6), 0.7), ((3, 25), 0.7)])
@pytest.mark.parametrize("columns", [(), (3,)])
def test_the_intercept_is_not_penalised(method, factorization, shape, alpha, columns):
    X, y = problem(shape, columns=columns)
    X, y = X + 1.0, y + 5.0
    result = least_squares(X, y, method, alpha, factorization=factorization, fit_intercept=True)
    Xc, yc = X - X.mean(axis=0), y - y.mean(axis=0)
    w = np.linalg.solve(Xc.T @ Xc + alpha * np.eye(shape[1]), Xc.T @ yc)
    assert_close(result.coef, w, TOLERANCE[method])
    np.testing.assert_allclose(result.intercept, (y - X @ w).mean(axis=0), rtol=TOLERANCE[method])
    residual = X @ result.coef + result.intercept - y
    np.testing.assert_allclose(result.residual_norm, np.linalg.norm(residual, axis=0), atol=1e-6)
    assert isinstance(result.intercept, np.ndarray if columns else float)


def test_centred_samples_depend_on_each_other():
    X, y = problem((3, 25))
    w = least_squares(X, y, "svd", fit_intercept=True).coef
    assert_close(w, np.linalg.pinv(X - X.mean(axis=0)) @ (y - y.mean()), 1e-8)
    for method in ("normal", "cholesky", "qr"):
        assert least_squares(X, y, method).rank == 3
        with pytest.raises(FactorizationError, match="what would work: method='pivoted_qr' or 'svd'"):
            least_squares(X, y, method, fit_intercept=True)


def test_no_digit_is_lost_to_a_large_mean():
    X, y = problem((500, 4))
    shifted = least_squares(X + 1e6, y - 1e6, "cholesky", fit_intercept=True)
    assert_close(shifted.coef, least_squares(X, y, "cholesky", fit_intercept=True).coef, 1e-8)


@pytest.mark.parametrize("method", DIRECT)
@given(st.integers(1, 30), st.integers(1, 30), st.integers(0, 2**32 - 1))
def test_the_gradient_vanishes(method, M, n, seed):
    X, y = problem((M, n), seed, columns=(2,))
    result = least_squares(X, y, method)
    assert np.abs(X.T @ (X @ result.coef - y)).max() < 1e-12 * np.linalg.norm(X) * np.linalg.norm(y)
    assert result.rank == min(M, n)


def dependent(kind):
    rng = np.random.default_rng(3)
    X = rng.standard_normal((40, 5))
    if kind == "duplicated column":
        X[:, 3] = X[:, 1]
    elif kind == "zero column":
        X[:, 2] = 0
    elif kind == "two constant columns":
        X[:, 0], X[:, 4] = 1, 3
    elif kind == "rank 2":
        X = X[:, :2] @ rng.standard_normal((2, 5))
    elif kind == "wide, equal rows":
        X = X[:4].repeat(2, axis=0)[:, :5] @ rng.standard_normal((5, 20))
    elif kind == "badly scaled":
        X[:, 3] = X[:, 1]
        X = X * np.array([1e4, 1, 1e-3, 1, 1e2])
    elif kind == "zeros":
        X[:] = 0
    return X, rng.standard_normal((len(X), 2))


DEPENDENT = {
    "duplicated column": 4,
    "zero column": 4,
    "two constant columns": 4,
    "rank 2": 2,
    "wide, equal rows": 4,
    "badly scaled": 4,
    "zeros": 0,
}


@both
@pytest.mark.parametrize(("kind", "rank"), DEPENDENT.items())
@pytest.mark.parametrize("method", RANK_REVEALING)
def test_dependent_columns_have_the_shortest_solution(method, kind, rank, factorization):
    X, y = dependent(kind)
    result = least_squares(X, y, method, factorization=factorization)
    assert result.rank == rank
    assert result.condition_number == np.inf
    if kind == "badly scaled":  # exact: equal columns share their weight, and the others are independent
        w = np.linalg.lstsq(X[:, [0, 1, 2, 4]] / [1e4, 1, 1e-3, 1e2], y)[0] / [[1e4], [2], [1e-3], [1e2]]
        np.testing.assert_allclose(result.coef, w[[0, 1, 2, 1, 3]], rtol=1e-7)
    else:
        assert_close(result.coef, np.linalg.pinv(X, rcond=1e-12) @ y, 1e-9)


@both
@pytest.mark.parametrize("kind", DEPENDENT)
@pytest.mark.parametrize(
    ("method", "error"),
    [
        ("normal", SingularMatrixError),
        ("cholesky", NotPositiveDefiniteError),
        ("newton", NotPositiveDefiniteError),
        ("qr", RankDeficientError),
    ],
)
def test_a_method_that_cannot_says_what_would_work(method, error, kind, factorization):
    X, y = dependent(kind)
    with pytest.raises(error, match=f"method '{method}' failed: .*'pivoted_qr' or 'svd'") as caught:
        least_squares(X, y, method, factorization=factorization)
    assert f"alpha={caught.value.alpha:.2g}" in str(caught.value)
    alpha = float(f"{caught.value.alpha:.2g}")  # as a reader of the message would type it
    result = least_squares(X, y, method, alpha, factorization=factorization)
    reference = least_squares(X, y, "svd", alpha)
    assert_close(result.coef, reference.coef, 0.03)
    assert_close(result.residual_norm, reference.residual_norm, 1e-3)


def test_the_advice_of_cholesky_is_qr_where_that_is_enough():
    rng = np.random.default_rng(0)
    X = rng.standard_normal((50, 5))
    X[:, 4] = X[:, 3] + 1e-9 * rng.standard_normal(50)
    for method in ("normal", "cholesky", "newton"):
        with pytest.raises(FactorizationError, match="what would work: method='qr', or alpha="):
            least_squares(X, X[:, 0], method)
    assert_close(least_squares(X, X @ np.ones(5), "qr").coef, np.ones(5), 1e-5)


def test_pivot_is_named():
    X, y = dependent("duplicated column")
    with pytest.raises(NotPositiveDefiniteError, match=r"pivot 3") as caught:
        least_squares(X, y, "cholesky")
    assert caught.value.pivot == 3


@pytest.mark.parametrize("method", DIRECT)
def test_units_of_the_columns_do_not_matter(method):
    """Scaling by powers of two is undone exactly, whatever it does to the condition number of X itself."""
    X, y = problem((50, 5))
    d = 2.0 ** np.array([0, 200, -200, 30, -60])
    plain, scaled = least_squares(X, y, method), least_squares(X * d, y, method)
    np.testing.assert_array_equal(scaled.coef * d, plain.coef)
    assert scaled.condition_number == plain.condition_number


def test_rcond_decides_the_rank():
    X, y = problem((50, 5))
    X[:, 4] = X[:, 3] + 1e-5 * X[:, 4]
    for method in RANK_REVEALING:
        assert least_squares(X, y, method).rank == 5
        assert least_squares(X, y, method, rcond=1e-3).rank == 4
    with pytest.raises(RankDeficientError):
        least_squares(X, y, "qr", rcond=1e-3)
    with pytest.raises(NotPositiveDefiniteError):
        least_squares(X, y, "cholesky", rcond=1e-3)


@pytest.mark.parametrize("method", DIRECT)
def test_backward_error(method):
    X, _ = problem((60, 60))
    w = least_squares(X, X @ np.ones(60), method).coef
    n = 60 * (np.linalg.cond(X) if method in ("normal", "cholesky") else 1)
    assert np.linalg.norm(X @ w - X @ np.ones(60)) <= 20 * EPS * n * np.linalg.norm(X, 2) * np.linalg.norm(w)


@every_method
def test_dtype_is_kept_and_the_work_done_in_float64(method):
    X, y = problem((60, 4))
    X, y = X.astype(np.float32), y.astype(np.float32)
    result = least_squares(X, y, method)
    exact = least_squares(X.astype(np.float64), y.astype(np.float64), method).coef
    assert result.coef.dtype == np.float32
    np.testing.assert_array_equal(result.coef, exact.astype(np.float32))
    assert least_squares(X.astype(int), y.astype(int) + 1, "svd").coef.dtype == np.float64


@pytest.mark.parametrize("method", DIRECT)
@both
def test_float32_all_the_way(method, factorization):
    for shape in SHAPES.values():
        X, y = problem(shape)
        result = least_squares(X, y, method, dtype=np.float32, factorization=factorization)
        assert 1e-9 < np.abs(result.coef - np.linalg.pinv(X) @ y).max() < 1e-4
        assert result.coef.dtype == np.float64


def test_arguments_are_left_alone():
    for shape in SHAPES.values():
        X, y = problem(shape)
        X, y = np.asfortranarray(X), y
        X_before, y_before = X.copy(), y.copy()
        for method in METHODS:
            least_squares(X, y, method, alpha=0.1)
        np.testing.assert_array_equal(X, X_before)
        np.testing.assert_array_equal(y, y_before)


def test_many_blocks_of_rows():
    """More rows than one block holds."""
    rng = np.random.default_rng(0)
    X, y = rng.standard_normal((50_000, 7)), rng.standard_normal(50_000)
    w = np.linalg.lstsq(X, y)[0]
    for method in DIRECT:
        result = least_squares(X, y, method)
        assert_close(result.coef, w, 1e-10)
        assert result.residual_norm == pytest.approx(np.linalg.norm(X @ w - y), rel=1e-12)


@pytest.mark.parametrize("method", DIRECT)
@pytest.mark.parametrize("noise", [1.0, 1e-4, 1e-9])
def test_small_residuals_keep_their_digits(method, noise):
    rng = np.random.default_rng(0)
    X = rng.standard_normal((300, 5))
    y = X @ np.ones(5) + noise * rng.standard_normal(300)
    result = least_squares(X, y, method)
    residual = y - X @ result.coef
    assert result.residual_norm == pytest.approx(np.linalg.norm(residual), rel=1e-5)


BAD = {
    "NaN": (
        np.array([[1, np.nan], [0, 1]]),
        np.ones(2),
        ValueError,
        r"X contains 1 NaN, the first at index \(0, 1\)",
    ),
    "inf in y": (np.eye(2), np.array([0, np.inf]), ValueError, "y contains 1 inf"),
    "complex": (np.eye(2) * 1j, np.ones(2), ValueError, "X is complex"),
    "sparse": (scipy.sparse.eye_array(2), np.ones(2), TypeError, r"X is a sparse matrix.*X.toarray\(\)"),
    "empty": (np.empty((0, 3)), np.empty(0), ValueError, "X is empty"),
    "no features": (np.empty((3, 0)), np.ones(3), ValueError, "X is empty"),
    "vector": (np.ones(3), np.ones(3), ValueError, "X has 1 dimensions"),
    "text": (np.array([["a"]]), np.ones(1), TypeError, "X has dtype"),
    "lengths": (np.eye(2), np.ones(3), ValueError, "number of samples differs: X has 2, y has 3"),
    "y cube": (np.eye(2), np.ones((2, 1, 1)), ValueError, "y has 3 dimensions"),
}


@every_method
@pytest.mark.parametrize(("X", "y", "error", "message"), BAD.values(), ids=BAD)
def test_bad_data(X, y, error, message, method):
    with pytest.raises(error, match=message):
        least_squares(X, y, method)


@pytest.mark.parametrize("method", ["normal", "cholesky"])
def test_squares_that_overflow(method):
    with pytest.raises(ValueError, match="X or y is too large: sums of its squares overflow in float64"):
        least_squares(np.eye(2) * 1e200, np.ones(2), method)


def test_late_nan_is_found_where_it_is():
    X, y = np.ones((30_000, 10)), np.ones(30_000)
    X[29_000, 7] = np.nan
    for method in ("cholesky", "qr"):
        with pytest.raises(ValueError, match=r"X contains 1 NaN, the first at index \(29000, 7\)"):
            least_squares(X, y, method)


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"method": "magic"}, ValueError, "method must be one of normal, cholesky, .*; got 'magic'"),
        ({"alpha": -1}, ValueError, "alpha must lie in"),
        ({"alpha": np.inf}, ValueError, "alpha must lie in"),
        ({"alpha": "1"}, TypeError, "alpha must be a number"),
        ({"rcond": -1}, ValueError, "rcond must lie in"),
        ({"factorization": "mkl"}, ValueError, "factorization must be one of lapack, tinynn"),
        ({"max_iter": 3}, TypeError, "'qr' takes no max_iter: it does not iterate"),
        ({"method": "newton", "momentum": 3}, TypeError, "momentum"),
        ({"dtype": np.int64}, ValueError, "dtype must be float32 or float64"),
    ],
)
def test_bad_options(options, error, message):
    with pytest.raises(error, match=message):
        least_squares(np.eye(3), np.ones(3), **options)


def test_large_numbers_are_no_problem_for_orthogonal_methods():
    X, y = problem((30, 4))
    for method in ("qr", "pivoted_qr", "svd"):
        for factorization in ("lapack", "tinynn"):
            result = least_squares(X * 1e200, y, method, factorization=factorization)
            assert_close(result.coef * 1e200, np.linalg.pinv(X) @ y, 1e-12)


# Digits of LAPACK's Householder QR on the raw design matrix, measured once with SciPy 1.17
LAPACK_DIGITS = {
    "norris": 12.1,
    "pontius": 12.7,
    "noint1": 15,
    "noint2": 15,
    "longley": 10.9,
    "filip": 7.4,
    "wampler1": 9.4,
    "wampler2": 13.0,
    "wampler3": 9.1,
    "wampler4": 7.8,
    "wampler5": 5.8,
}
needs_files = [name for name in LAPACK_DIGITS if not name.startswith(("wampler", "noint"))]
nist_sets = pytest.mark.parametrize(
    "name",
    [pytest.param(n, marks=pytest.mark.real_data) if n in needs_files else n for n in LAPACK_DIGITS],
)


def nist(name):
    folder = Path(os.environ.get("TINYNN_DATA") or "/nowhere", "nist")
    if name in needs_files and not folder.is_dir():
        pytest.skip("$TINYNN_DATA has no folder nist")
    return datasets.nist(name)


@nist_sets
@both
@pytest.mark.parametrize("method", ["qr", "pivoted_qr", "svd"])
def test_nist_digits(name, method, factorization):
    data = nist(name)
    result = least_squares(data.design, data.y, method, factorization=factorization)
    # by hand or by another route than the default: a digit less
    allowed = 0.5 if (method, factorization) == ("qr", "lapack") else 1.0
    assert data.correct_digits(result.coef) >= LAPACK_DIGITS[name] - allowed
    assert result.rank == data.design.shape[1]
    assert result.residual_norm**2 == pytest.approx(data.residual_sum_of_squares, rel=1e-5, abs=1e-12)


@nist_sets
def test_the_default_is_qr(name):
    data = nist(name)
    assert least_squares(data.design, data.y).method == "qr"


@nist_sets
@pytest.mark.parametrize("method", ["normal", "cholesky"])
def test_nist_normal_equations_answer_or_refuse(name, method):
    data = nist(name)
    if name == "filip":
        with pytest.raises(
            FactorizationError, match=f"method '{method}' failed.*what would work: method='qr'"
        ):
            least_squares(data.design, data.y, method)
    else:
        assert data.correct_digits(least_squares(data.design, data.y, method).coef) >= 5.5


@nist_sets
def test_nist_iterations_answer_or_refuse(name):
    data = nist(name)
    try:
        coef = least_squares(data.design, data.y, "conjugate_gradient").coef
    except ConvergenceError as error:
        assert "scale the columns" in str(error)  # noqa: PT017
        assert name not in ("norris", "noint1", "noint2")
    else:
        assert data.correct_digits(coef) > 4


def test_hilbert_columns():
    X = scipy.linalg.hilbert(8)
    w = least_squares(X, X @ np.ones(8)).coef
    assert np.abs(w - 1).max() < 1e-5


@every_method
def test_on_another_array_library(method, device):
    for shape in SHAPES.values():
        X, y = problem(shape, columns=(2,))
        moved = [backend.asarray(a, device) for a in (X, y)]
        for factorization in ("lapack", "tinynn"):
            for alpha in (0, 0.3):
                ours = least_squares(*moved, method, alpha, factorization=factorization)
                theirs = least_squares(X, y, method, alpha, factorization=factorization)
                assert_close(backend.to_numpy(ours.coef), theirs.coef, 1e-9)
                np.testing.assert_allclose(
                    backend.to_numpy(ours.residual_norm), theirs.residual_norm, rtol=1e-6, atol=1e-6
                )


def test_rank_on_another_array_library(device):
    X, y = dependent("badly scaled")
    moved = [backend.asarray(a, device) for a in (X, y)]
    for method in RANK_REVEALING:
        result = least_squares(*moved, method, factorization="tinynn")
        np.testing.assert_allclose(backend.to_numpy(result.coef), least_squares(X, y, method).coef, rtol=1e-7)


@both
@pytest.mark.parametrize("method", ["normal", "cholesky", "newton", "qr"])
def test_dependent_columns_are_refused_on_another_array_library(method, factorization, device):
    for kind in ("duplicated column", "zero column", "zeros"):
        X, y = dependent(kind)
        with pytest.raises(FactorizationError) as expected:
            least_squares(X, y, method, factorization=factorization)
        moved = [backend.asarray(a, device) for a in (X, y)]
        with pytest.raises(type(expected.value)) as found:
            least_squares(*moved, method, factorization=factorization)
        assert found.value.pivot == expected.value.pivot
