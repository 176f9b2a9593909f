"""The stand-in for CuPy refuses what CuPy refuses, and fails as it fails."""

import numpy as np
import pytest
import strict_array

X = np.random.default_rng(0).standard_normal((6, 3))


def test_numpy_cannot_touch_a_strict_array():
    a, host = strict_array.asarray(X), np.ones(3)
    leaks = [
        lambda: np.exp(a),
        lambda: np.sum(a),
        lambda: np.shape(a),
        lambda: np.asarray(a),
        lambda: np.array([a, a]),
        lambda: np.concatenate([a, a]),
        lambda: np.linalg.norm(a),
        lambda: np.add(1, 2, out=a[0]),
        lambda: np.float64(1) + np.asarray(a),
        lambda: host + a,
        lambda: a + host,
        lambda: a == host,
        lambda: a @ host,
        lambda: host.dot(a[0]),
        lambda: a.__iadd__(host),
        lambda: host.__iadd__(a[0]),
        lambda: host.__setitem__(slice(None), a[0]),
        lambda: a.__setitem__(0, host),
        lambda: a[np.array([0, 1])],
        lambda: a.take(np.array([0, 1]), axis=0),
        lambda: a.sum(axis=0, out=host),
        lambda: strict_array.exp(host),
        lambda: strict_array.exp(a[0], out=host),
        lambda: strict_array.where(a > 0, a, host),
        lambda: strict_array.concatenate([a, X]),
        lambda: strict_array.exp([1.0, 2.0]),  # CuPy wants arrays where NumPy takes lists
        lambda: a * [1.0, 2.0, 3.0],
        lambda: range(strict_array.asarray(3)),
        lambda: strict_array.zeros(strict_array.asarray(3)),
        lambda: strict_array.zeros((2, strict_array.asarray(3))),
        lambda: strict_array.concatenate([a, [[1.0, 2.0, 3.0]]]),
        lambda: a.__setitem__(0, [1.0, 2.0, 3.0]),
        lambda: a.__iadd__([1.0, 2.0, 3.0]),
        lambda: a * np.array(2.0),
        lambda: a.sum(initial=1.0),
        lambda: a.item(0),
    ]
    for leak in leaks:
        with pytest.raises(TypeError):
            leak()
    with pytest.raises(AttributeError, match="strict_array has no nditer"):
        strict_array.nditer  # noqa: B018
    assert not isinstance(a, np.ndarray)
    assert isinstance(a.sum(), strict_array.ndarray)  # as in CuPy, no NumPy scalar
    np.testing.assert_array_equal((2 * a + np.float64(1) - a[0]).get(), 2 * X + 1 - X[0])


def test_elements_are_views():
    a = strict_array.asarray(X)
    element, row, rows = a[1, 2], a[1], a[[1, 2]]
    a[1, 2] = 7
    assert float(element) == float(row[2]) == 7
    assert float(rows[0, 2]) == X[1, 2]
    assert [x.shape for x in (element, *row)] == [()] * 4


def test_products_go_into_memory_of_their_own_kind():
    a = strict_array.asarray(X)
    for out in (strict_array.zeros((6, 6), dtype="float32"), strict_array.zeros((6, 6)).T):
        for call in (lambda out: strict_array.dot(a, a.T, out=out), lambda out: a.dot(a.T, out=out)):
            with pytest.raises(ValueError, match="dot"):
                call(out)
    out = strict_array.zeros((6, 6))
    assert strict_array.dot(a, a.T, out=out) is out
    np.testing.assert_allclose(out.get(), X @ X.T)


def test_factorisations_fail_in_silence_unless_they_are_watched():
    A, b = strict_array.asarray(np.diag([1.0, -1.0, 0.0])), strict_array.ones(3)
    calls = [
        (strict_array.linalg.cholesky, A),
        (strict_array.linalg.solve, A, b),
        (strict_array.linalg.inv, A),
    ]
    for function, *arguments in calls:
        assert function(*arguments).shape == arguments[-1].shape
        with strict_array.errstate(linalg="raise"), pytest.raises(np.linalg.LinAlgError):
            function(*arguments)
        function(*arguments)
    with pytest.warns(RuntimeWarning, match="Diagonal number 3 is exactly zero"):
        strict_array.cupyx["cupyx.scipy.linalg"].lu_factor(A)


def test_crossings_are_counted():
    strict_array.crossings.clear()
    a = strict_array.asarray(X)
    strict_array.asarray(a), strict_array.array(a), a.sum(), a + a[0]
    assert strict_array.crossings == {"array": 1}
    (
        a.get(),
        a[0].tolist(),
        a[0, 0].item(),
        float(a[0, 0]),
        bool(a[0, 0]),
        int(a[0, 0]),
        f"{a[0, 0]:g}",
        repr(a),
    )
    ways = ("get", "tolist", "item", "float", "bool", "int", "format", "repr")
    assert strict_array.crossings == {"array": 1} | dict.fromkeys(ways, 1)


def test_cupy_has_all_that_the_stand_in_offers():
    cupy = pytest.importorskip("cupy", reason="compares with CuPy, which needs no GPU for that")
    cupyx = pytest.importorskip("cupyx")
    scipy_linalg = pytest.importorskip("cupyx.scipy.linalg", exc_type=ImportError)  # or CUDA's own is missing
    offered = {
        cupy: [*strict_array._API, "dot", "asarray", "array", "float32", "newaxis"],
        cupy.linalg: vars(strict_array.linalg),
        cupy.ndarray: [name for name in vars(strict_array.ndarray) if not name.startswith("_")],
        cupyx: ["errstate"],
        scipy_linalg: vars(strict_array._scipy_linalg),
    }
    for library, names in offered.items():
        assert [name for name in names if not hasattr(library, name)] == []
