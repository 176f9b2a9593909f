"""Initial weights have the variance that keeps the signal's."""

import numpy as np
import pytest

from tinynn.nn import Dense, ReLU, Sequential, Tanh
from tinynn.nn.initializers import INITIALIZERS


@pytest.mark.parametrize(("n_in", "n_out"), [(300, 400), (400, 100)])
@pytest.mark.parametrize(
    ("init", "variance"),
    [("he", lambda n_in, n_out: 2 / n_in), ("glorot", lambda n_in, n_out: 2 / (n_in + n_out))],
)
def test_variance(init, variance, n_in, n_out):
    W = INITIALIZERS[init](n_in, n_out, np.random.default_rng(0))
    assert W.shape == (n_out, n_in)
    # the estimate from N entries is off by a factor 1 ± sqrt(2 / N), here below 0.8 %
    assert W.var() == pytest.approx(variance(n_in, n_out), rel=0.03)
    assert W.mean() == pytest.approx(0, abs=4 * np.sqrt(variance(n_in, n_out) / W.size))


def test_glorot_is_uniform_and_he_is_normal():
    rng = np.random.default_rng(0)
    uniform, normal = (INITIALIZERS[init](300, 300, rng).ravel() for init in ("glorot", "he"))
    assert abs(uniform).max() <= np.sqrt(6 / 600)
    assert (uniform**4).mean() / uniform.var() ** 2 == pytest.approx(9 / 5, rel=0.02)
    assert (normal**4).mean() / normal.var() ** 2 == pytest.approx(3, rel=0.05)


@pytest.mark.parametrize("init", INITIALIZERS)
def test_bias_starts_at_zero_and_the_rng_decides(init):
    layer, same, other = (Dense(20, 10, init=init, rng=seed) for seed in (1, 1, 2))
    assert not layer.b.any()
    np.testing.assert_array_equal(layer.W, same.W)
    assert abs(layer.W - other.W).max() > 0.1


def test_the_signal_keeps_its_size_through_twenty_layers():
    x = np.random.default_rng(0).standard_normal((200, 256))
    relu = [layer for _ in range(20) for layer in (Dense(256, 256), ReLU())]
    z = Sequential(*relu[:-1], rng=0, dtype="float64").predict(x)
    assert 0.3 < (z**2).mean() / 2 < 3  # each ReLU halves <a²>, each layer doubles it
    linear = [Dense(256, 256, init="glorot") for _ in range(20)]
    assert 0.3 < (Sequential(*linear, rng=0, dtype="float64").predict(x) ** 2).mean() < 3
    too_small = [layer for _ in range(20) for layer in (Dense(256, 256, init="glorot"), Tanh())]
    assert (Sequential(*too_small, rng=0).predict(x) ** 2).mean() < 0.1
