"""What layers refuse, and what is special to each of them."""

import numpy as np
import pytest

from tinynn.nn import Dense, Dropout, Layer, LeakyReLU, Loss, Residual, Sigmoid, Softmax, Softplus, Tanh
from tinynn.nn.activations import sigmoid, softplus


@pytest.mark.parametrize(
    ("build", "error", "message"),
    [
        (lambda: Dense(0, 2), ValueError, "n_in must be at least 1; got 0"),
        (lambda: Dense(2, -1), ValueError, "n_out must be at least 1; got -1"),
        (lambda: Dense(2.0, 1), TypeError, "n_in must be an integer; got 2.0"),
        (lambda: Dense(2, True), TypeError, "n_out must be an integer; got True"),
        (lambda: Dense(2, 1, init="xavier"), ValueError, "init must be one of he, glorot; got 'xavier'"),
        (lambda: Dropout(1.0), ValueError, r"p must lie in \[0, 1\); got 1.0"),
        (lambda: Dropout(-0.1), ValueError, "p must lie in"),
        (lambda: Dropout(np.nan), ValueError, "p must lie in"),
        (lambda: Dropout("0.5"), TypeError, "p must be a number"),
        (lambda: LeakyReLU(1.0), ValueError, r"negative_slope must lie in \[0, 1\)"),
        (lambda: Residual(), ValueError, "Residual needs at least one layer"),
        (lambda: Residual(np.tanh), TypeError, "layer 0 is <ufunc 'tanh'>; wanted an instance of"),
    ],
)
def test_bad_arguments_are_named(build, error, message):
    with pytest.raises(error, match=message):
        build()


def test_dense_is_the_equation_of_the_slides():
    layer = Dense(2, 3)
    layer.W[:] = [[1, 2], [3, 4], [5, 6]]
    layer.b[:] = [10, 20, 30]
    np.testing.assert_array_equal(
        layer.forward(np.array([[1.0, -1.0], [0.5, 2.0]])), [[9, 19, 29], [14.5, 29.5, 44.5]]
    )
    dX = layer.backward(np.array([[1.0, 0.0, 0.0], [0.0, 1.0, 2.0]]))
    np.testing.assert_array_equal(dX, [[1, 2], [13, 16]])  # dZ W
    np.testing.assert_array_equal(layer.dW, [[1, -1], [0.5, 2], [1, 4]])  # dZ' X
    np.testing.assert_array_equal(layer.db, [1, 1, 2])


@pytest.mark.parametrize("shape", [(2, 4), (3,), (2, 3, 1)])
def test_dense_names_an_input_of_the_wrong_shape(shape):
    with pytest.raises(ValueError, match=r"Dense\(3, 2\): X has shape .*; wanted \(M, 3\)"):
        Dense(3, 2).forward(np.ones(shape))


@pytest.mark.parametrize(
    "layers", [[Dense(3, 1)], [Tanh(), Dense(3, 1)], [Dense(3, 3), Residual(Dense(3, 1))]]
)
def test_residual_does_not_broadcast(layers):
    with pytest.raises(ValueError, match=r"adds X to f\(X\), but X has shape \(2, 3\) and f\(X\) \(2, 1\)"):
        Residual(*layers).forward(np.ones((2, 3)))


def test_residual_of_nothing_learned_is_the_identity():
    layer = Residual(Dense(3, 3, rng=0))
    layer.layers[0].W[:] = 0
    X = np.random.default_rng(0).standard_normal((4, 3))
    np.testing.assert_array_equal(layer.forward(X), X)
    np.testing.assert_array_equal(layer.backward(X), X)


def test_dropout_keeps_the_mean_and_drops_the_share_p():
    layer = Dropout(0.3, rng=0)
    Y = layer.forward(np.ones((400, 500)))
    assert (Y == 0).mean() == pytest.approx(0.3, abs=0.005)  # standard deviation 0.001
    assert Y.mean() == pytest.approx(1, abs=0.01)
    assert set(np.unique(Y)) == {0.0, 1 / 0.7}
    np.testing.assert_array_equal(Dropout(0.0).forward(Y), Y)


def test_activations_at_known_points():
    z = np.array([[-np.log(3), 0.0, np.log(3)]])
    np.testing.assert_allclose(Sigmoid().forward(z), [[0.25, 0.5, 0.75]], rtol=1e-15)
    np.testing.assert_allclose(Softplus().forward(z), np.log([[4 / 3, 2, 4]]), rtol=1e-15)
    np.testing.assert_allclose(Softmax().forward(z), np.array([[1, 3, 9]]) / 13, rtol=1e-15)
    np.testing.assert_allclose(Softmax().forward(z + 700), np.array([[1, 3, 9]]) / 13, rtol=1e-13)


def test_tails_are_relative_not_absolute():
    z = np.array([-700.0, -100.0, -40.0])
    np.testing.assert_allclose(sigmoid(z), np.exp(z), rtol=1e-14)
    np.testing.assert_allclose(softplus(z), np.exp(z), rtol=1e-14)
    assert np.isnan(sigmoid(np.array([np.nan]))).all()  # NaN is not hidden


@pytest.mark.parametrize("base", [Layer, Loss])
def test_what_a_subclass_has_to_define_is_said(base):
    class Mine(base):
        pass

    mine, ones = Mine(), np.ones((2, 1))
    calls = {"backward": lambda: mine.backward(*([ones] if base is Layer else []))}
    calls["forward" if base is Layer else "compute"] = lambda: mine.forward(
        *([ones] if base is Layer else [ones, ones])
    )
    for name, call in calls.items():
        with pytest.raises(NotImplementedError, match=f"Mine does not define {name}"):
            call()
    assert repr(mine) == "Mine()"
