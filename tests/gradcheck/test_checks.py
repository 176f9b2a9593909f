"""The checker is checked: right layers pass, wrong ones are caught and named, small errors are seen."""

import numpy as np
import pytest
from gradcheck.wrong_layers import (
    WRONG_LAYERS,
    WRONG_LOSSES,
    WRONG_MODELS,
    ForwardChangesWeights,
    HingeWithoutMask,
    LayerInsideWrong,
    LossSign,
    LossSpoilsCache,
    MeanOfWeights,
    SignOfInput,
    StaleLoss,
    UpdatedBeforeInputGradient,
    WeightsFromOutput,
    network,
)

from tinynn.gradcheck import (
    GradientBatchWarning,
    GradientFlatWarning,
    GradientKinkWarning,
    check_layer,
    check_loss,
    check_model,
)
from tinynn.nn import (
    CrossEntropy,
    Dense,
    Dropout,
    Layer,
    MeanAbsoluteError,
    MeanSquaredError,
    ReLU,
    Residual,
    Sequential,
    Sigmoid,
    Tanh,
)

rng = np.random.default_rng(3)
X = rng.standard_normal((5, 4))
PREDICTION = 2 * rng.standard_normal((5, 3))
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
    assert report.diagnosis[0].startswith(words), report


def test_a_right_network_passes():
    report = check_model(network(Sequential), X, ONE_HOT, CrossEntropy())
    assert report.ok, report
    assert report.max_relative_error < 1e-8
    assert set(report.errors) == {"X", *network(Sequential).parameters()}
    assert "agree" in str(report)


class ForgetsUpstream(Layer):
    """Its backward has X where dY belongs."""

    def forward(self, X):
        self.X = X
        return X**2

    def backward(self, dY):
        return 2 * self.X * self.X


def test_directions_are_not_those_of_the_data():
    """Whoever draws X by the default seed must not get dY = X."""
    report = check_layer(ForgetsUpstream(), np.random.default_rng(0).standard_normal((5, 3)))
    assert not report.ok


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


@pytest.mark.parametrize(
    ("loss", "words"),
    [
        (LossSign(), "LossSign(): prediction: the sign is wrong"),
        (StaleLoss(), "StaleLoss(): prediction: stale cache"),
        (LossSpoilsCache(), "LossSpoilsCache(): prediction: backward called twice"),
    ],
    ids=lambda x: type(x).__name__,
)
def test_a_wrong_loss_inside_a_network_is_named(loss, words):
    report = check_model(network(Sequential), X, ONE_HOT, loss)
    assert report.diagnosis[0].startswith(words), report


def test_errors_of_layers_inside_have_the_name_of_their_place():
    inner = Dense(4, 4, rng=0)
    assert set(check_layer(Residual(inner, Tanh()), X).errors) == {"X", "0.W", "0.b"}
    assert set(check_layer(inner, X).errors) == {"X", "W", "b"}


@pytest.mark.filterwarnings("ignore::tinynn.gradcheck.GradientKinkWarning")
def test_nothing_compared_is_not_ok():
    class Nonsense(ReLU):
        def backward(self, dA):
            return 99 * dA

    for layer in (Nonsense(), ReLU()):
        report = check_layer(layer, np.zeros((3, 2)))
        assert not report.ok
        assert report.max_relative_error == np.inf
        assert "nothing could be compared" in report.diagnosis[0]
        assert "move the point" in report.diagnosis[0]


def test_a_flat_function_warns():
    with pytest.warns(GradientFlatWarning, match="X: the function is flat"):
        assert check_layer(SignOfInput(), 20 + abs(X)).ok


class Centred(Layer):
    """The mean is taken off after a constant was added, so that the derivative by c is 0 but for rounding."""

    def __init__(self):
        self.parameter_names = {"constant": "c"}
        self.c = np.array([0.3])

    def forward(self, X):
        Y = X + self.c
        return Y - Y.mean(axis=1, keepdims=True)

    def backward(self, dY):
        dX = dY - dY.mean(axis=1, keepdims=True)
        self.dc = dX.sum(keepdims=True)[0]
        return dX


def test_rounding_is_no_error():
    with pytest.warns(GradientFlatWarning, match="c: the function is flat"):
        assert check_layer(Centred(), X).ok


def test_rounding_is_no_kink():
    class FarAway(Layer):
        def forward(self, X):
            return X + 1e5

        def backward(self, dY):
            return dY.copy()

    assert check_layer(FarAway(), X).ok


def test_a_batch_of_one_warns():
    with pytest.warns(GradientBatchWarning, match="one sample hides mistakes of 1/M"):
        assert check_layer(MeanOfWeights(4, 3, rng=0), X[:1]).ok
    with pytest.warns(GradientBatchWarning):
        check_loss(MeanSquaredError(), PREDICTION[:1], ONE_HOT[:1])
    with pytest.warns(GradientBatchWarning):
        check_model(network(Sequential), X[:1], ONE_HOT[:1], MeanSquaredError())
    with pytest.warns(GradientBatchWarning) as caught:
        check_model(network(LayerInsideWrong), X[:1], ONE_HOT[:1], MeanSquaredError())
    assert len(caught) == 1  # not once more for every layer
    assert caught[0].filename == __file__


def test_a_batch_of_two_cannot_tell_two_from_M():
    report = check_layer(MeanOfWeights(4, 3, rng=0), X[:2])
    assert report.diagnosis[0].startswith("W: factor 2 or 1/M (M = 2 cannot tell")
    report = check_loss(LossSign(), PREDICTION[:2], ONE_HOT[:2])
    assert report.diagnosis == ("prediction: the sign is wrong",)


class Oscillation(Layer):
    def forward(self, X):
        self.X = X
        return np.sin(30 * X)

    def backward(self, dY):
        return 30 * np.cos(30 * self.X) * dY


def test_differences_are_precise_for_a_strongly_curved_function():
    assert check_layer(Oscillation(), X).max_relative_error < 1e-9


class WeakKink(Layer):
    """Slope 1 to the right of zero, 1 - 2e-5 to the left and at zero itself."""

    def forward(self, X):
        self.X = X
        return np.maximum(X, (1 - 2e-5) * X)

    def backward(self, dY):
        return dY * np.where(self.X > 0, 1, 1 - 2e-5)


def test_a_weak_kink_is_a_kink():
    at_kink = X.copy()
    at_kink[1, 2] = 0.0
    with pytest.warns(GradientKinkWarning, match="1 of 20 entries"):
        assert check_layer(WeakKink(), at_kink).ok


def test_nearly_twice_is_not_twice():
    class NearlyTwice(Tanh):
        def backward(self, dA):
            return 2.0002 * super().backward(dA)

    assert check_layer(NearlyTwice(), X).diagnosis == ("X: off by the constant factor 2.0002",)


def test_values_outside_the_range_of_the_function_name_no_wrong_variable():
    class Wrong(Sigmoid):
        def backward(self, dA):
            return np.sin(super().backward(dA))

    report = check_layer(Wrong(), 1.5 + abs(X))
    assert report.diagnosis[0].startswith("X: wrong derivative of an elementwise layer"), report


def test_layers_may_share_a_random_stream():
    stream = np.random.default_rng(0)
    layer = Residual(Dropout(0.3, rng=stream), Dense(4, 4, rng=0), Dropout(0.3, rng=stream))
    report = check_layer(layer, X)
    assert report.ok, report


def test_errors_of_the_caller_are_raised():
    with pytest.raises(ValueError, match="target has shape"):
        check_model(network(Sequential), X, ONE_HOT[:, :2], MeanSquaredError())
    with pytest.raises(ValueError, match="X has shape"):
        check_model(network(Sequential), X[:, :3], ONE_HOT, MeanSquaredError())


def test_a_warning_made_an_error_is_raised():
    model = Sequential(Dense(4, 3, rng=0), ReLU(), dtype="float64")
    at_kink = np.concatenate([X, np.zeros((1, 4))])
    with pytest.raises(GradientKinkWarning):
        check_model(model, at_kink, ONE_HOT[[0, 1, 2, 3, 4, 4]], MeanSquaredError())


@pytest.mark.parametrize("cls", [ForwardChangesWeights, UpdatedBeforeInputGradient], ids=lambda c: c.__name__)
def test_changed_parameters_are_the_only_diagnosis(cls):
    assert len(check_layer(cls(4, 3, rng=0), X).diagnosis) == 1


def test_a_forgotten_mask_is_named_at_a_kink():
    prediction = PREDICTION.copy()
    prediction[0, 0] = 1.0  # the target there is +1
    with pytest.warns(GradientKinkWarning, match="1 of 15"):
        report = check_loss(HingeWithoutMask(), prediction, ONE_HOT)
    assert report.diagnosis[0].startswith("prediction: the mask is forgotten")


def test_weights_of_the_shape_of_the_output_are_no_input():
    report = check_layer(WeightsFromOutput(4, 4, rng=0), X[:4])
    assert report.diagnosis[0].startswith("W: taken at the wrong variable: the layer's output")
