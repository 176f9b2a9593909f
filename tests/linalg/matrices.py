"""Matrices that find out about factorisations, and how errors are measured against them."""

import numpy as np
import pytest
import scipy.linalg
import strict_array

EPS = np.finfo(np.float64).eps


def _random(m, n, seed=0):
    return np.random.default_rng(seed).standard_normal((m, n))


def _graded(n):
    """Rows and columns over many orders of magnitude."""
    return np.logspace(0, -12, n)[:, None] * _random(n, n) * np.logspace(3, -9, n)


SQUARE = {f"random {n}": _random(n, n) for n in (1, 2, 7, 64, 65, 150)}
SQUARE |= {f"graded {n}": _graded(n) for n in (5, 70)}
SQUARE |= {f"Hilbert {n}": scipy.linalg.hilbert(n) for n in (5, 12, 70)}
SQUARE |= {"tiny": 1e-200 * _random(20, 20), "huge": 1e200 * _random(20, 20)}
RECTANGULAR = {
    "tall": _random(200, 70),
    "wide": _random(70, 200),
    "column": _random(40, 1),
    "row": _random(1, 40),
    "zero columns": np.hstack([np.zeros((40, 3)), _random(40, 20), np.zeros((40, 2))]),
    "rank 10": _random(90, 10) @ _random(10, 80),
    "zeros": np.zeros((8, 5)),
    "equal columns": np.ones((90, 70)),
    "float32": _random(50, 20).astype(np.float32),
}
ANY = SQUARE | RECTANGULAR


def cases(matrices):
    return pytest.mark.parametrize("A", matrices.values(), ids=matrices)


def relative(error, A):
    """The largest element of an error in units of eps times the norm of A."""
    scale = np.abs(A).max() or 1.0  # the norm of huge matrices overflows
    eps = np.finfo(A.dtype).eps
    return np.linalg.norm(error / scale, 2) / max(np.linalg.norm(A / scale, 2), 1e-300) / eps


BAD = {
    "vector": (np.ones(3), ValueError, "has 1 dimensions"),
    "NaN": (np.array([[1.0, np.nan], [0, 1]]), ValueError, "1 NaN"),
    "inf": (np.array([[1.0, np.inf], [0, 1]]), ValueError, "1 inf"),
    "complex": (np.eye(2) * 1j, ValueError, "complex"),
    "empty": (np.empty((0, 0)), ValueError, "empty"),
    "text": (np.array([["a"]]), TypeError, "dtype"),
}


@pytest.fixture
def flops(strict_backend, monkeypatch):
    """Counts the floating-point operations of a function on a strict array."""
    total = [0]

    def counted(function, cost):
        def call(*args, **kwargs):
            result = function(*args, **kwargs)
            total[0] += cost(args, result)
            return result

        return call

    def matmul(args, result):
        return result.size * (2 * args[0].shape[-1] - 1)

    for name, cost in {"matmul": matmul, **dict.fromkeys(("add", "sub", "mul", "truediv"), None)}.items():
        for prefix in ("", "r", "i"):
            method = f"__{prefix}{name}__"
            price = cost or (lambda args, result: result.size)
            monkeypatch.setattr(
                strict_array.ndarray, method, counted(getattr(strict_array.ndarray, method), price)
            )
    for name, price in {
        "outer": lambda args, result: result.size,
        "einsum": lambda args, result: 2 * args[1].size,
    }.items():
        monkeypatch.setitem(strict_array._API, name, counted(strict_array._API[name], price))

    def count(function, *args):
        total[0] = 0
        function(*map(strict_array.asarray, args))
        return total[0]

    return count


def leading_cost(flops, function, *arguments):
    """The coefficient of the highest power of n in the number of operations, a polynomial of n.

    That holds at multiples of the block sizes. The highest power is n^3, and n^2 where a vector or a few
    columns are solved for, as the second argument tells.
    """
    degree = 2 if len(arguments) == 2 else 3
    sizes = 128 * np.arange(1, degree + 2)
    counts = [flops(function, *(argument(n) for argument in arguments)) for n in sizes]
    return np.polynomial.Polynomial.fit(sizes, counts, degree).convert().coef[-1]
