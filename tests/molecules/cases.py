"""Configurations and bad input that several tests of this folder share."""

import numpy as np
import pytest

from tinynn.molecules import CoulombPairPotential, LennardJones, Morse

# (M samples, N atoms, D dimensions)
SHAPES = [(1, 2, 2), (7, 2, 3), (5, 4, 2), (3, 9, 3), (2, 20, 3)]
POTENTIALS = [
    CoulombPairPotential(k=1.7),
    LennardJones(epsilon=0.8, sigma=1.1),
    Morse(D_e=2.3, a=1.4, r_e=1.2),
]


def configurations(M, N, D, seed=0):
    """Atoms on a grid of unit spacing, shaken: no two come closer than about half of it."""
    rng = np.random.default_rng(seed)
    side = int(np.ceil(N ** (1 / D)))
    grid = np.stack(np.meshgrid(*[np.arange(side)] * D, indexing="ij"), axis=-1).reshape(-1, D)[:N]
    return grid + 0.1 * rng.normal(size=(M, N, D))


NAN = np.array([[0.0, 0.0], [np.nan, 1.0], [1.0, 0.0]])
BAD_POSITIONS = [
    pytest.param(NAN, ValueError, r"^R contains 1 NaN, the first at index \(1, 0\)", id="nan"),
    pytest.param([[0.0, np.inf], [1.0, 0.0]], ValueError, "^R contains 1 inf", id="inf"),
    pytest.param([1.0, 2.0, 3.0], ValueError, "^R has 1 dimensions .* wanted 2 or 3", id="1-d"),
    pytest.param(np.ones((1, 1, 3, 2)), ValueError, "^R has 4 dimensions .* wanted 2 or 3", id="4-d"),
    pytest.param(np.ones((0, 3, 2)), ValueError, r"^R is empty \(shape \(0, 3, 2\)\)", id="no samples"),
    pytest.param([[0, 0], [1]], ValueError, "^R is not a rectangular array", id="ragged"),
    pytest.param(np.array([[0, 1], [2, None]]), TypeError, "^R has dtype object", id="object"),
    pytest.param([["0", "1"]], TypeError, "^R has dtype <U1", id="text"),
    pytest.param(np.ones((3, 2)) * 1j, ValueError, "^R is complex", id="complex"),
    pytest.param(None, TypeError, "^R has dtype object", id="None"),
]
ONE_ATOM = [
    pytest.param(np.ones((1, 3)), ValueError, r"^R holds 1 atom \(shape \(1, 3\)\)", id="one atom"),
    pytest.param(
        np.ones((5, 1, 2)), ValueError, r"^R holds 1 atom \(shape \(5, 1, 2\)\)", id="one atom a sample"
    ),
]
COINCIDENT = [
    pytest.param(
        [[0, 0], [1, 0], [0, 0]], ValueError, "^R has coincident atoms: atoms 0 and 2 are", id="coincident"
    ),
    pytest.param(
        [[[0, 0], [1, 0], [2, 0]], [[0, 0], [1, 1], [1, 1]]],
        ValueError,
        "^R has coincident atoms: atoms 1 and 2 of sample 1 are",
        id="coincident in one sample",
    ),
]
