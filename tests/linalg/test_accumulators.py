import functools
import operator
import pickle
import subprocess
import sys

import numpy as np
import pytest
from linalg.test_least_squares import assert_close, dependent, problem

from tinynn import backend
from tinynn.linalg import (
    FactorizationError,
    GramAccumulator,
    NotPositiveDefiniteError,
    RankDeficientError,
    TSQRAccumulator,
    least_squares,
    row_blocks,
)

KINDS = (GramAccumulator, TSQRAccumulator)
either = pytest.mark.parametrize("kind", KINDS)
cases = pytest.mark.parametrize(
    ("kind", "method"), [(kind, method) for kind in KINDS for method in kind.methods], ids=lambda x: str(x)
)


def data(columns=(), M=500, n=6):
    rng = np.random.default_rng(0)
    return rng.standard_normal((M, n)) + 1, rng.standard_normal((M, *columns))


@cases
@pytest.mark.parametrize("columns", [(), (1,), (3,)])
@pytest.mark.parametrize("factorization", ["lapack", "tinynn"])
@pytest.mark.parametrize("alpha", [0, 2.5])
def test_blocks_of_any_size_give_the_solution_of_all_rows(kind, method, columns, factorization, alpha):
    X, y = data(columns)
    rows = kind(factorization=factorization)
    for start, stop in ((0, 1), (1, 4), (4, 200), (200, 500)):
        rows.update(X[start:stop], y[start:stop])
    result, whole = rows.solve(method, alpha=alpha), least_squares(X, y, "svd", alpha=alpha)
    assert_close(result.coef, whole.coef, 1e-11)
    np.testing.assert_allclose(result.residual_norm, whole.residual_norm, rtol=1e-11)
    assert isinstance(result.residual_norm, np.ndarray if columns else float)
    assert (result.method, result.rank, rows.n_samples) == (method, 6, 500)
    assert result.condition_number == pytest.approx(whole.condition_number, rel=0.5)


@either
def test_merging_in_any_order(kind):
    X, y = data((2,))
    parts = [kind().extend(row_blocks(X[i::5], y[i::5], rows=30)) for i in range(5)]
    before = parts[0].solve().coef
    whole = kind().update(X, y).solve()
    for order in ([0, 1, 2, 3, 4], [3, 1, 4, 0, 2]):
        total = functools.reduce(operator.add, [parts[i] for i in order])
        assert total.n_samples == 500
        assert_close(total.solve().coef, whole.coef, 1e-11)
    np.testing.assert_array_equal(parts[0].solve().coef, before)  # + leaves both alone
    merged = kind().merge(parts[0]).merge(parts[1]).merge(kind())
    assert merged.n_samples == 200
    merged.update(X, y)
    assert parts[0].n_samples == 100
    np.testing.assert_array_equal(parts[0].solve().coef, before)


@either
def test_a_process_may_send_its_sums_to_another(kind):
    X, y = data()
    rows = kind().update(X[:100], y[:100])
    received = pickle.loads(pickle.dumps(rows)).update(X[100:], y[100:])
    assert_close(received.solve().coef, kind().update(X, y).solve().coef, 1e-11)


def test_tsqr_keeps_the_digits_that_gram_loses():
    x = np.linspace(0, 1, 1000)
    X, w = np.vander(x, 11, increasing=True), np.ones(11)
    y = X @ w
    error = {kind: np.nan for kind in KINDS}
    for kind in KINDS:
        rows = kind().extend(row_blocks(X, y, rows=37))
        try:
            error[kind] = np.abs(rows.solve().coef - w).max()
        except FactorizationError:
            error[kind] = np.inf
    assert error[TSQRAccumulator] < 1e-6
    assert error[GramAccumulator] > 1e-4


def test_fewer_rows_than_columns():
    X, y = problem((4, 9))
    for method in TSQRAccumulator.methods:
        result = TSQRAccumulator().update(X, y).solve(method)
        assert_close(result.coef, np.linalg.pinv(X) @ y, 1e-12)
        assert result.residual_norm < 1e-12
        assert result.rank == 4
    with pytest.raises(NotPositiveDefiniteError, match=r"TSQRAccumulator.* or alpha="):
        GramAccumulator().update(X, y).solve()
    for kind in KINDS:
        assert_close(
            kind().update(X, y).solve(alpha=0.5).coef, least_squares(X, y, "svd", alpha=0.5).coef, 1e-10
        )


def test_dependent_columns():
    X, y = dependent("duplicated column")
    rows = TSQRAccumulator().extend(row_blocks(X, y, rows=7))
    with pytest.raises(RankDeficientError, match="what would work: method='pivoted_qr' or 'svd', or alpha="):
        rows.solve()
    assert_close(rows.solve("svd").coef, np.linalg.pinv(X) @ y, 1e-10)
    with pytest.raises(NotPositiveDefiniteError, match="what would work: a TSQRAccumulator") as caught:
        GramAccumulator().update(X, y).solve()
    GramAccumulator().update(X, y).solve(alpha=caught.value.alpha)


@either
def test_solving_does_not_end_it(kind):
    X, y = data()
    rows = kind().update(X[:300], y[:300])
    first = rows.solve()
    assert_close(rows.solve().coef, first.coef, 0)
    rows.update(X[300:], y[300:])
    assert_close(rows.solve().coef, least_squares(X, y).coef, 1e-11)
    assert_close(first.coef, least_squares(X[:300], y[:300]).coef, 1e-11)


@either
def test_float32_blocks_are_summed_in_float64(kind):
    X, y = (a.astype(np.float32) for a in data())
    rows = kind().extend(row_blocks(X, y, rows=50))
    assert_close(rows.solve().coef, least_squares(X.astype(float), y.astype(float)).coef, 1e-11)
    assert kind(dtype=np.float32).update(X, y).solve().coef.dtype == np.float32


@either
def test_bad_blocks_add_nothing(kind):
    X, y = data()
    rows = kind().update(X, y)
    before = rows.solve()
    X_nan = X.copy()
    X_nan[3, 2] = np.nan
    for bad, message in (
        ((X_nan, y), r"X contains 1 NaN, the first at index \(3, 2\)"),
        ((X, y[:-1]), "number of samples differs"),
        ((X[:, :5], y), "but in the blocks before"),
        ((X, y[:, None]), "but in the blocks before"),
        ((X[0], y), "X has 1 dimensions"),
    ):
        with pytest.raises(ValueError, match=message):
            rows.update(*bad)
    assert rows.n_samples == 500
    np.testing.assert_array_equal(rows.solve().coef, before.coef)
    with pytest.raises(ValueError, match="is too large"):
        GramAccumulator().update(X * 1e200, y)


@either
def test_bad_use(kind):
    X, y = data()
    rows = kind()
    with pytest.raises(ValueError, match="no rows yet"):
        rows.solve()
    rows.update(X, y)
    with pytest.raises(ValueError, match="method must be one of"):
        rows.solve("sgd")
    with pytest.raises(ValueError, match="alpha must lie"):
        rows.solve(alpha=-1)
    with pytest.raises(ValueError, match="factorization must be"):
        kind(factorization="mkl")
    other = next(k for k in KINDS if k is not kind)
    for wrong in (other().update(X, y), kind(dtype=np.float32).update(X, y), 3):
        with pytest.raises(TypeError, match=f"wanted {kind.__name__}"):
            rows.merge(wrong)
    with pytest.raises(ValueError, match="but in the blocks before"):
        rows.merge(kind().update(X[:, :2], y))
    with pytest.raises(ValueError, match="rows must be at least 1"):
        next(row_blocks(X, y, rows=0))
    with pytest.raises(ValueError, match="number of samples differs"):
        next(row_blocks(X, y[1:]))


@either
@pytest.mark.parametrize("factorization", ["lapack", "tinynn"])
def test_other_array_library(kind, factorization, device):
    X, y = data()
    moved = [backend.asarray(a, device) for a in (X, y)]
    rows = kind(factorization=factorization).extend(row_blocks(*moved, rows=100))
    assert_close(backend.to_numpy(rows.solve().coef), least_squares(X, y).coef, 1e-11)
    with pytest.raises(TypeError, match="array"):
        rows.update(X, y)
    with pytest.raises(TypeError, match="array"):
        kind(factorization=factorization).update(X, y).merge(rows)


MEMORY = """
import numpy as np
from tinynn.linalg import {kind}, row_blocks

def peak():  # getrusage would tell the peak of the process that started this one, if that is higher
    [line] = [line for line in open("/proc/self/status") if line.startswith("VmHWM")]
    return int(line.split()[1]) // 1024

X = np.load("X.npy", mmap_mode="r")
y = np.load("y.npy", mmap_mode="r")
before = peak()
rows = {kind}().extend(row_blocks(X, y))
print(peak(), peak() - before, *rows.solve().coef)
"""


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="asks Linux for the peak of memory")
@either
def test_ten_million_rows_from_disk_in_little_memory(kind, tmp_path):
    M, n = 10_000_000, 50
    rng = np.random.default_rng(0)
    w = np.arange(1.0, n + 1)
    X = np.lib.format.open_memmap(tmp_path / "X.npy", "w+", np.float64, (M, n))
    y = np.lib.format.open_memmap(tmp_path / "y.npy", "w+", np.float64, (M,))
    for i in range(0, M, 100_000):
        X[i : i + 100_000] = rng.standard_normal((100_000, n))
        y[i : i + 100_000] = X[i : i + 100_000] @ w
    del X, y
    output = subprocess.run(
        [sys.executable, "-c", MEMORY.format(kind=kind.__name__)],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=True,
    ).stdout.split()
    assert int(output[0]) < 300  # MiB in all; the file has 4000
    assert int(output[1]) < 50
    np.testing.assert_allclose([float(v) for v in output[2:]], w, rtol=1e-9)
