"""The checker is checked: right layers pass, wrong ones are caught and named, small errors are seen."""

import numpy as np
import pytest
from gradcheck.wrong_layers import WRONG_LAYERS, WRONG_LOSSES, WRONG_MODELS, network

from tinynn.gradcheck import GradientKinkWarning, check_layer, check_loss, check_model
from tinynn.nn import (
    CrossEntropy,
    Dense,
    Dropout,
    MeanAbsoluteError,
    MeanSquaredError,
    ReLU,
    Sequential,
    Tanh,
)

rng = np.random.default_rng(3)
X = rng.standard_normal((5, 4))
PREDICTION = rng.standard_normal((5, 3))
ONE_HOT = np.eye(3)[[0, 2, 1, 1, 0]]


def name(case):
    return case[0].__name__


@pytest.mark.parametrize("case", WRONG_LAYERS, ids=name)
def test_every_wrong_layer_is_caught_and_named(case):
    cls, arguments, options, words = case
    report = check_layer(cls(*arguments, **options), X)
    assert not report.ok
    assert any(words in found for found in report.diagnosis), report
    assert "WRONG" in str(report)


@pytest.mark.parametrize("case", WRONG_LOSSES, ids=name)
def test_every_wrong_loss_is_caught_and_named(case):
    cls, *_, words = case
    report = check_loss(cls(), PREDICTION, ONE_HOT)
    assert not report.ok
    assert any(words in found for found in report.diagnosis), report


@pytest.mark.parametrize("case", WRONG_MODELS, ids=name)
def test_every_wrong_network_is_caught_and_named(case):
    cls, *_, words = case
    report = check_model(network(cls), X, ONE_HOT, MeanSquaredError())
    assert not report.ok
    assert report.diagnosis == (words,)


def test_a_right_network_passes():
    report = check_model(network(Sequential), X, ONE_HOT, CrossEntropy())
    assert report.ok, report
    assert report.max_relative_error < 1e-8
    assert set(report.errors) == {"X", *network(Sequential).parameters()}
    assert "agree" in str(report)


class SlightlyWrong(Dense):
    """One part of one gradient is off by 0.05 %."""

    def __init__(self, part, **options):
        self.part = part
        super().__init__(20, 15, rng=0, **options)

    def backward(self, dY):
        dX = super().backward(dY)
        if self.part == "one weight":
            self.dW[np.unravel_index(np.argmax(abs(self.dW)), self.dW.shape)] *= 1.0005
        if self.part == "weights":
            self.dW *= 1.0005
        if self.part == "bias":
            self.db *= 1.0005
        return dX * 1.0005 if self.part == "input" else dX


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("part", ["one weight", "weights", "bias", "input"])
def test_an_error_of_a_twentieth_of_a_percent_is_caught(part, seed):
    assert not check_layer(SlightlyWrong(part), rng.standard_normal((6, 20)), rng=seed).ok
    assert check_layer(SlightlyWrong("nothing"), rng.standard_normal((6, 20)), rng=seed).ok


def test_float32_is_refused():
    with pytest.raises(TypeError, match="X is float32"):
        check_layer(Tanh(), X.astype(np.float32))
    with pytest.raises(TypeError, match=r"model.theta .* is float32"):
        check_model(Sequential(Dense(4, 3, rng=0)), X, ONE_HOT, MeanSquaredError())
    with pytest.raises(TypeError, match="prediction is int64"):
        check_loss(MeanSquaredError(), np.ones((2, 2), int), np.ones((2, 2)))
    layer = Dense(4, 3, rng=0)
    layer.W = layer.W.astype(np.float32)
    with pytest.raises(TypeError, match="parameter W"):
        check_layer(layer, X)


def test_nan_is_refused():
    with pytest.raises(ValueError, match="X must hold"):
        check_layer(Tanh(), X * np.nan)


def test_a_kink_warns_and_only_its_entries_are_left_out():
    at_kink = X.copy()
    at_kink[1, 2] = 0.0
    with pytest.warns(GradientKinkWarning, match="1 of 20 entries"):
        assert check_layer(ReLU(), at_kink).ok
    target = PREDICTION + 1
    target[0, 0] = PREDICTION[0, 0]
    with pytest.warns(GradientKinkWarning, match="1 of 15 entries"):
        assert check_loss(MeanAbsoluteError(), PREDICTION, target).ok


def test_a_wrong_layer_at_a_kink_is_still_caught():
    at_kink = X.copy()
    at_kink[1, 2] = 0.0

    class Twice(ReLU):
        def backward(self, dA):
            return 2 * super().backward(dA)

    with pytest.warns(GradientKinkWarning):
        report = check_layer(Twice(), at_kink)
    assert "factor 2" in report.diagnosis[0]


def test_a_kink_nearby_is_no_kink_here():
    near = X.copy()
    near[1, 2] = 3e-5
    assert check_layer(ReLU(), near).ok


def test_dropout_is_checked_with_the_mask_it_drew():
    assert check_layer(Dropout(0.5, rng=2), X).ok


def test_the_checked_objects_are_left_alone():
    layer = Dense(4, 3, rng=0)
    W, before = layer.W.copy(), X.copy()
    check_layer(layer, X)
    np.testing.assert_array_equal(layer.W, W)
    np.testing.assert_array_equal(X, before)
    assert layer.dW is None
    model = network(Sequential)
    theta = model.theta.copy()
    check_model(model, X, ONE_HOT, MeanSquaredError())
    np.testing.assert_array_equal(model.theta, theta)
    np.testing.assert_array_equal(model.grad, 0)


def test_same_seed_same_report():
    assert check_layer(Tanh(), X, rng=1) == check_layer(Tanh(), X, rng=1)
