import pickle

import matplotlib
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tinynn.data import DataLoader, Dataset
from tinynn.nn import (
    CrossEntropy,
    Dense,
    Dropout,
    Layer,
    MeanAbsoluteError,
    MeanSquaredError,
    ReLU,
    Sequential,
    Softmax,
    Tanh,
)
from tinynn.optim import SGD, Adam, StepDecay
from tinynn.training import Callback, DivergenceError, EarlyStopping, fit, largest_stable_rate

matplotlib.use("Agg")


def line_data(M=400, x_max=10.0, noise=1.0):
    """S0: y = 2 x + 5 with Gaussian noise."""
    rng = np.random.default_rng(0)
    X = rng.uniform(0, x_max, (M, 1))
    return X, 2 * X + 5 + noise * rng.standard_normal((M, 1))


def product_data(M=200):
    X = np.random.default_rng(1).normal(size=(M, 2))
    return X, X[:, :1] * X[:, 1:]


def line_model(**kwargs):
    return Sequential(Dense(1, 1), rng=0, **{"dtype": "float64", **kwargs})


def net(dtype="float32"):
    return Sequential(Dense(2, 16), Tanh(), Dense(16, 1), rng=0, dtype=dtype)


def train(model, data, **kwargs):
    usual = {"loss": MeanSquaredError(), "optimizer": Adam(1e-2), "epochs": 3, "progress": False, "rng": 0}
    return fit(model, data, **{**usual, **kwargs})


# What a training does


def test_fits_a_line_as_least_squares_does():
    X, y = line_data()
    model = line_model()
    history = train(model, (X, y), optimizer=SGD(0.02), epochs=1500, batch_size=len(X))
    design = np.column_stack([X, np.ones(len(X))])
    slope_and_intercept, residual, *_ = np.linalg.lstsq(design, y, rcond=None)
    np.testing.assert_allclose(model.theta, slope_and_intercept[:, 0], rtol=1e-3)
    assert history.train_loss[-1] == pytest.approx(residual[0] / len(X), rel=1e-4)


def test_a_small_net_learns_a_product():
    X, y = product_data()
    history = train(net(), (X[:150], y[:150]), epochs=150, validation=(X[150:], y[150:]))
    assert len(history.train_loss) == len(history.validation_loss) == 150
    assert history.train_loss[-1] < 0.01 * history.train_loss[0]
    assert history.validation_loss[-1] < 0.05 * history.validation_loss[0]


def test_classes_are_learned_from_integer_labels():
    X, y = product_data()
    labels = (y[:, 0] > 0).astype(int)
    model = Sequential(Dense(2, 16), ReLU(), Dense(16, 2), rng=0)
    train(model, (X, labels), loss=CrossEntropy(), epochs=60)
    assert (model.predict(X).argmax(axis=1) == labels).mean() > 0.95


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_equals_the_loop_written_by_hand_bit_for_bit(dtype):
    X, y = product_data(M=70)  # batches of 16, 16, 16, 16, 6
    model, optimizer = net(dtype), Adam(1e-2)
    history = train(model, (X, y), optimizer=optimizer, epochs=4, rng=3)

    by_hand, rule, loss = net(dtype), Adam(1e-2), MeanSquaredError()
    loader = DataLoader(Dataset(X.astype(dtype), y.astype(dtype)), 16, rng=3)
    losses = []
    for _ in range(4):
        total = 0.0
        for X_batch, y_batch in loader:
            total += loss.forward(by_hand.forward(X_batch), y_batch) * len(X_batch)
            by_hand.backward(loss.backward())
            rule.step(by_hand.theta, by_hand.grad)
        losses.append(total / len(X))
    assert history.train_loss == losses
    np.testing.assert_array_equal(model.theta, by_hand.theta)
    np.testing.assert_array_equal(optimizer.sum_g2, rule.sum_g2)
    assert model.theta.dtype == dtype


class Recorder(Layer):
    """Passes its input on and remembers the batches."""

    def __init__(self):
        self.batches = []

    def forward(self, X):
        if self.training:
            self.batches.append(X.copy())
        return X

    def backward(self, dY):
        return dY


def test_the_last_batch_may_be_smaller_and_every_sample_comes_once_an_epoch():
    X, y = line_data(M=40)
    recorder = Recorder()
    train(Sequential(recorder, Dense(1, 1), rng=0, dtype="float64"), (X, y), epochs=2)
    assert [len(batch) for batch in recorder.batches] == [16, 16, 8] * 2
    for epoch in (recorder.batches[:3], recorder.batches[3:]):
        np.testing.assert_array_equal(np.sort(np.concatenate(epoch), axis=0), np.sort(X, axis=0))


def test_a_batch_larger_than_the_data_is_all_of_them():
    recorder = Recorder()
    train(Sequential(recorder, Dense(1, 1), rng=0), line_data(M=10), epochs=1, batch_size=1000)
    assert [len(batch) for batch in recorder.batches] == [10]


def test_train_loss_is_the_mean_over_samples_not_over_batches():
    X, y = line_data(M=17)
    y[:] = 0
    y[3] = 100  # alone it decides what the batch of one weighs
    model = line_model()
    history = train(model, (X, y), optimizer=SGD(0.0), epochs=5)
    whole = MeanSquaredError().forward(model.predict(X), y)
    np.testing.assert_allclose(history.train_loss, whole, rtol=1e-12)


def test_validation_loss_is_the_loss_of_predict_without_dropout():
    X, y = product_data()
    model = Sequential(Dense(2, 8), Dropout(0.5), Dense(8, 1), rng=0)
    history = train(model, (X, y), validation=(X[:33], y[:33]))
    assert history.validation_loss[-1] == MeanSquaredError().forward(model.predict(X[:33]), y[:33])
    assert len(history.validation_loss) == 3


def test_tuples_lists_and_datasets_are_the_same_training():
    X, y = product_data(M=40)
    thetas = []
    for data in ((X, y), [X.tolist(), y[:, 0].tolist()], Dataset(X, y)):
        model = net()
        train(model, data, validation=data)
        thetas.append(model.theta.tobytes())
    assert len(set(thetas)) == 1


def test_integers_are_converted_and_left_alone():
    X, y = np.arange(20).reshape(20, 1), np.arange(20)
    model = line_model(dtype="float32")
    train(model, (X, y), batch_size=20)
    assert model.theta.dtype == np.float32
    assert X.dtype == y.dtype == np.dtype(int)
    reference = line_model(dtype="float32")
    train(reference, (X.astype(float), y.astype(float)), batch_size=20)
    np.testing.assert_array_equal(model.theta, reference.theta)


def test_same_seed_same_bits_other_seed_other_bits():
    def theta(rng):
        model = net()
        train(model, product_data(), rng=rng)
        return model.theta.tobytes()

    assert theta(5) == theta(np.random.default_rng(5)) != theta(6)


@pytest.mark.parametrize("fails", [False, True])
def test_afterwards_forward_returns_arrays_of_its_own(fails):
    class Fail(Callback):
        def on_epoch_end(self, training):
            raise KeyboardInterrupt

    X, y = product_data(M=16)
    model = net()
    if fails:
        with pytest.raises(KeyboardInterrupt):
            train(model, (X, y), callbacks=[Fail()])
    else:
        train(model, (X, y))
    X = X.astype("float32")
    first = model.forward(X)
    kept = first.copy()
    second = model.forward(2 * X)
    assert not np.shares_memory(first, second)
    np.testing.assert_array_equal(first, kept)


# History, progress and callbacks


def test_history_plots_both_losses_with_labels():
    history = train(net(), product_data(), validation=product_data(M=20))
    ax = history.plot(title="A product")
    assert (ax.get_xlabel(), ax.get_ylabel(), ax.get_title()) == ("epoch", "loss", "A product")
    assert ax.get_yscale() == "log"
    assert [text.get_text() for text in ax.get_legend().get_texts()] == ["train", "validation"]
    for drawn, losses in zip(ax.get_lines(), (history.train_loss, history.validation_loss), strict=True):
        np.testing.assert_array_equal(drawn.get_xdata(), [1, 2, 3])
        np.testing.assert_array_equal(drawn.get_ydata(), losses)
    assert history.plot(ax=ax) is ax


def test_history_without_validation_plots_one_line():
    ax = train(net(), product_data()).plot()
    assert [text.get_text() for text in ax.get_legend().get_texts()] == ["train"]


def test_progress_shows_a_bar_with_both_losses(capsys):
    history = train(net(), product_data(), validation=product_data(M=20), progress=True)
    shown = capsys.readouterr()
    assert shown.out == ""
    assert "3/3" in shown.err
    assert f"train={history.train_loss[-1]:.3g}" in shown.err
    assert f"validation={history.validation_loss[-1]:.3g}" in shown.err


def test_without_progress_nothing_is_written(capsys):
    train(net(), product_data(), validation=product_data(M=20), progress=False)
    assert capsys.readouterr() == ("", "")


def test_callbacks_are_called_in_order_and_one_may_end_the_training():
    calls = []

    class Note(Callback):
        def __init__(self, name, stop_after=None):
            self.name, self.stop_after = name, stop_after

        def on_epoch_end(self, training):
            calls.append((self.name, training.epoch, len(training.history.train_loss)))
            return training.epoch == self.stop_after

        def on_train_end(self, training):
            calls.append((self.name, "end", training.stopped))

    history = train(net(), product_data(), epochs=9, callbacks=(Note("a", stop_after=2), Note("b")))
    assert len(history.train_loss) == 2
    assert calls == [
        ("a", 1, 1),
        ("b", 1, 1),
        ("a", 2, 2),
        ("b", 2, 2),
        ("a", "end", True),
        ("b", "end", True),
    ]


class Script(Callback):
    """Moves the only weight after every epoch, so that the next epoch's loss is its square."""

    def __init__(self, *weights):
        self.weights = weights

    def on_epoch_end(self, training):
        training.model.theta[0] = self.weights[training.epoch]


def scripted(early, *weights, **kwargs):
    """A training whose validation loss after epoch i is weights[i]²; the final weight, and the losses."""
    model = Sequential(Dense(1, 1, bias=False), rng=0, dtype="float64")
    model.theta[0] = weights[0]
    data = np.ones((1, 1)), np.zeros(1)
    callbacks = [early, Script(*weights, 0.0)]
    kwargs = {"epochs": len(weights), "validation": data, "callbacks": callbacks, **kwargs}
    history = train(model, data, optimizer=SGD(0.0), **kwargs)
    return model.theta[0], history.validation_loss


def test_early_stopping_waits_then_restores_the_best():
    weight, losses = scripted(EarlyStopping(patience=2), 3.0, 2.0, 2.5, 1.0, 1.5, 1.25, 0.5)
    assert losses == [9.0, 4.0, 6.25, 1.0, 2.25, 1.5625]
    assert weight == 1.0


def test_early_stopping_keeps_the_last_weights_if_asked():
    weight, losses = scripted(EarlyStopping(patience=1, restore_best=False), 1.0, 2.0, 3.0)
    assert losses == [1.0, 4.0]
    assert weight == 3.0


def test_early_stopping_restores_the_best_when_the_epochs_run_out():
    weight, losses = scripted(EarlyStopping(patience=5), 3.0, 1.0, 2.0)
    assert losses == [9.0, 1.0, 4.0]
    assert weight == 1.0


def test_early_stopping_restores_the_best_when_something_else_ends_the_training():
    class Stop(Callback):
        def on_epoch_end(self, training):
            return training.epoch == 3

    weights = 3.0, 1.0, 2.0, 0.0
    early = EarlyStopping(patience=5)
    weight, losses = scripted(early, *weights, callbacks=[early, Script(*weights, 0.0), Stop()])
    assert losses == [9.0, 1.0, 4.0]
    assert weight == 1.0


def test_an_improvement_below_min_delta_does_not_count():
    _, losses = scripted(EarlyStopping(patience=2, min_delta=0.5), 1.0, 0.9, 0.8, 0.1)
    assert losses == pytest.approx([1.0, 0.81, 0.64])


def test_early_stopping_forgets_an_earlier_training():
    early = EarlyStopping(patience=2)
    scripted(early, 0.1, 0.2, 0.3)
    weight, losses = scripted(early, 5.0, 4.0, 3.0)
    assert (weight, losses) == (3.0, [25.0, 16.0, 9.0])


# Divergence

S0_RATE = 0.02  # right for x in [0, 10], far too large for x in [0, 100]


def diverge(model, data, **kwargs):
    with pytest.raises(DivergenceError) as caught:
        train(model, data, **{"epochs": 1000, **kwargs})
    assert np.isfinite(model.theta).all()
    return caught.value


def largest_eigenvalue(X):
    """Of the Hessian 2/M X̃'X̃, as 2/M times the square of the largest singular value of X̃."""
    return 2 / len(X) * np.linalg.svd(np.column_stack([X, np.ones(len(X))]), compute_uv=False)[0] ** 2


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_the_rate_of_a_narrow_range_diverges_on_a_wide_one(dtype):
    narrow = train(line_model(dtype=dtype), line_data(x_max=10), optimizer=SGD(S0_RATE), epochs=40)
    assert narrow.train_loss[-1] < 1.2

    X, y = line_data(x_max=100)
    model = line_model(dtype=dtype)
    error = diverge(model, (X, y), optimizer=SGD(S0_RATE))
    assert error.largest_stable_rate == pytest.approx(2 / largest_eigenvalue(X), rel=1e-6)
    assert 2.5e-4 < error.largest_stable_rate < 3.5e-4
    assert error.epoch <= 4
    assert 1 <= error.step <= 25
    assert error.last_finite_loss > 1e30
    assert error.gradient_norm > 1e15
    message = str(error)
    for part in (f"epoch {error.epoch}", "rate 0.02", "scale the features (up to 9", "preprocessing",
                 "lower the rate", f"stable below {error.largest_stable_rate:.3g}"):  # fmt: skip
        assert part in message
    assert isinstance(error, ArithmeticError)


def test_the_last_finite_loss_is_that_of_the_step_before():
    """At a rate that multiplies the error by -9 a step: (-9)^2 a step in the loss, one batch an epoch."""
    model = Sequential(Dense(1, 1, bias=False), rng=0, dtype="float64")
    losses = []

    class Note(Callback):
        def on_epoch_end(self, training):
            losses.append(training.history.train_loss[-1])

    error = diverge(model, (np.ones((1, 1)), np.ones(1)), optimizer=SGD(5.0), callbacks=[Note()])
    assert losses[5] == pytest.approx(81 * losses[4])
    assert (error.epoch, error.step) == (len(losses) + 1, 1)
    assert error.last_finite_loss == losses[-1]
    assert error.largest_stable_rate == pytest.approx(1.0)  # the Hessian is 2


@pytest.mark.parametrize("momentum", [0.0, 0.5, 0.9])
@pytest.mark.parametrize("nesterov", [False, True])
@pytest.mark.parametrize("weight_decay", [0.0, 20.0])
def test_full_batch_descent_converges_below_the_bound_and_diverges_above(momentum, nesterov, weight_decay):
    if nesterov and not momentum:
        return
    X, y = line_data(M=50)
    options = {"momentum": momentum, "nesterov": nesterov, "weight_decay": weight_decay}
    bound = largest_stable_rate(X, **options)
    if not nesterov and not weight_decay:
        assert bound == pytest.approx(2 * (1 + momentum) / largest_eigenvalue(X))
    model = line_model(dtype="float32")
    everything = {"batch_size": len(X), "epochs": 2000}
    error = diverge(model, (X, y), optimizer=SGD(1.02 * bound, **options), **everything)
    assert error.largest_stable_rate == pytest.approx(bound, rel=1e-5)

    model = line_model()
    train(model, (X, y), optimizer=SGD(0.98 * bound, **options), **everything)
    design = np.column_stack([X, np.ones(len(X))])
    hessian = 2 / len(X) * design.T @ design + weight_decay * np.eye(2)
    minimum = np.linalg.solve(hessian, 2 / len(X) * design.T @ y)
    np.testing.assert_allclose(model.theta, minimum[:, 0], rtol=1e-4)


def test_the_bound_without_a_bias_and_for_data_of_zeros():
    X = np.random.default_rng(0).normal(size=(30, 4))
    expected = len(X) / np.linalg.norm(X, 2) ** 2
    assert largest_stable_rate(X, bias=False) == pytest.approx(expected)
    assert largest_stable_rate(np.zeros((3, 2)), bias=False) == np.inf
    model = Sequential(Dense(4, 1, bias=False), rng=0)
    error = diverge(model, (X, X[:, 0]), optimizer=SGD(50.0))
    assert error.largest_stable_rate == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize(
    ("X", "options", "message"),
    [
        (np.ones(3), {}, "X has 1 dimensions"),
        (np.full((3, 1), np.nan), {}, "X contains 3 NaN"),
        (np.ones((3, 1)), {"momentum": 1.0}, "momentum must lie in"),
        (np.ones((3, 1)), {"weight_decay": -1.0}, "weight_decay must lie in"),
    ],
)
def test_the_bound_refuses_bad_input(X, options, message):
    with pytest.raises(ValueError, match=message):
        largest_stable_rate(X, **options)


@pytest.mark.parametrize(
    ("model", "loss", "optimizer"),
    [
        (lambda: Sequential(Dense(1, 4), Dense(4, 1), rng=0), MeanSquaredError, SGD),
        (line_model, MeanSquaredError, Adam),
        (line_model, lambda: Explosive(), SGD),
    ],
)
def test_no_bound_is_claimed_where_there_is_no_formula(model, loss, optimizer):
    error = diverge(model(), line_data(x_max=100), loss=loss(), optimizer=optimizer(1e160))
    assert error.largest_stable_rate is None
    assert "lower the rate." in str(error)


class Explosive(MeanAbsoluteError):
    """The sum of |error|³: its gradient grows with the square of the error."""

    def compute(self, prediction, target):
        super().compute(prediction, target)
        return float((abs(prediction - target) ** 3).sum())

    def backward(self):
        error = self.prediction - self.target
        return 3 * error * abs(error)


def test_the_advice_names_large_targets():
    X = np.random.default_rng(0).normal(size=(50, 1))
    error = diverge(line_model(), (X, 1e6 * X), optimizer=SGD(10.0))
    assert "scale the targets (up to 2" in str(error)
    assert "features" not in str(error)


def test_a_schedule_is_named_by_its_last_rate():
    rate = StepDecay(1.0, every=1, factor=0.99)
    error = diverge(line_model(), line_data(x_max=100), optimizer=SGD(rate))
    updates = 25 * (error.epoch - 1) + error.step - 1
    assert f"(rate {rate(updates - 1):.3g}," in str(error)
    assert error.largest_stable_rate < 3.5e-4


class Broken(Layer):
    """The identity, with a derivative of NaN from the fifth backward on."""

    calls = 0

    def forward(self, X):
        return X

    def backward(self, dY):
        self.calls += 1
        return dY * (np.nan if self.calls >= 5 else 1)


def test_a_gradient_that_is_not_finite_is_caught_while_the_loss_still_is():
    X, y = product_data(M=48)
    model = Sequential(Dense(2, 4), Broken(), Dense(4, 1), rng=0)
    error = diverge(model, (X, y))
    assert (error.epoch, error.step) == (2, 2)
    assert np.isnan(error.gradient_norm)
    assert np.isfinite(error.last_finite_loss)


def test_large_but_finite_gradients_are_not_divergence():
    """|g|² overflows in float32 here, g does not."""
    X, y = np.ones((4, 1)), np.full(4, 1e18)
    history = train(line_model(dtype="float32"), (1e3 * X, y), optimizer=SGD(1e-8), epochs=5)
    assert history.train_loss[0] > 1e35


@settings(deadline=None, max_examples=40)
@given(exponent=st.floats(-3, 300), dtype=st.sampled_from(["float32", "float64"]), M=st.integers(1, 40))
def test_at_any_rate_the_parameters_stay_finite(exponent, dtype, M):
    model = line_model(dtype=dtype)
    try:
        history = train(model, line_data(M=M), optimizer=SGD(10.0**exponent), epochs=2)
        assert np.isfinite(history.train_loss).all()
    except DivergenceError:
        pass
    assert np.isfinite(model.theta).all()


def test_an_update_that_overflows_goes_back_to_the_beginning_of_the_epoch():
    model = line_model(dtype="float32")
    before = model.theta.copy()
    diverge(model, line_data(M=16), optimizer=SGD(1e39), epochs=1)  # in the last step of all
    np.testing.assert_array_equal(model.theta, before)


def test_the_error_can_cross_a_process_boundary():
    error = diverge(line_model(), line_data(x_max=100), optimizer=SGD(1.0))
    copy = pickle.loads(pickle.dumps(error))
    assert str(copy) == str(error)
    assert vars(copy) == vars(error)


# Bad input


def spoil(a, index, value):
    a = a.copy()
    a[index] = value
    return a


X, Y = product_data(M=20)
BAD_INPUT = {
    "features": ({"train": (np.ones((20, 3)), Y)}, ValueError, r"train: X has shape \(20, 3\)"),
    "vector": ({"train": (X[:, 0], Y)}, ValueError, r"train: X has shape \(20,\)"),
    "lengths": ({"train": (X, Y[:19])}, ValueError, "train: .*X has 20, y has 19"),
    "outputs": ({"train": (X, np.ones((20, 2)))}, ValueError, r"train: target has shape \(20, 2\)"),
    "NaN in X": ({"train": (spoil(X, (3, 1), np.nan), Y)}, ValueError, r"train: X .*\(3, 1\)"),
    "inf in y": ({"train": (X, spoil(Y, 7, np.inf))}, ValueError, r"train: y contains 1 inf"),
    "empty": ({"train": (X[:0], Y[:0])}, ValueError, "train: X is empty"),
    "objects": ({"train": (X.astype(object), Y)}, TypeError, "train: X has dtype object"),
    "text": ({"train": (X, Y.astype(str))}, TypeError, "train: y has dtype <U"),
    "ragged": ({"train": ([[1, 2], [3]], [1, 2])}, ValueError, "train: X is not a rectangular array"),
    "numbers": ({"train": (1.0, 2.0)}, ValueError, "train: X is a single number"),
    "no target": ({"train": X}, TypeError, r"train must be a Dataset or a tuple \(X, y\); got ndarray"),
    "array of two": ({"train": X[:2]}, TypeError, r"train must be a Dataset or a tuple"),
    "three": ({"train": (X, Y, Y)}, TypeError, r"train must be a Dataset or a tuple"),
    "too large": ({"train": (np.full((20, 2), 1e200), Y)}, ValueError, "train: X .* inf, .* in float32"),
    "labels": ({"loss": CrossEntropy(), "train": (X, np.full(20, 3))}, ValueError, "train: target .*3 to 3"),
    "float labels": ({"loss": CrossEntropy(), "train": (X, np.zeros(20))}, TypeError, "train: .*integers"),
    "validation": ({"validation": (X[:, :1], Y)}, ValueError, r"validation: X has shape \(20, 1\)"),
    "validation y": ({"validation": (X, Y[:5])}, ValueError, "validation: .*y has 5"),
    "validation NaN": ({"validation": (X, Y * np.nan)}, ValueError, "validation: y contains 20 NaN"),
    "validation type": ({"validation": X}, TypeError, "validation must be a Dataset or"),
    "batch 0": ({"batch_size": 0}, ValueError, "batch_size must be at least 1; got 0"),
    "batch -4": ({"batch_size": -4}, ValueError, "batch_size must be at least 1; got -4"),
    "batch 2.0": ({"batch_size": 2.0}, TypeError, r"batch_size must be an integer; got 2\.0"),
    "epochs 0": ({"epochs": 0}, ValueError, "epochs must be at least 1; got 0"),
    "epochs 1.5": ({"epochs": 1.5}, TypeError, r"epochs must be an integer; got 1\.5"),
    "model": ({"model": Dense(2, 1)}, TypeError, "model must be an instance of Sequential"),
    "loss class": ({"loss": MeanSquaredError}, TypeError, "loss must be an instance of Loss; got <class"),
    "optimizer name": ({"optimizer": "adam"}, TypeError, "optimizer must be an instance of Optimizer"),
    "callback alone": ({"callbacks": EarlyStopping()}, TypeError, "callbacks must be an instance of Seq"),
    "no callback": ({"callbacks": [print]}, TypeError, r"callbacks\[0\] must be an instance of Callback"),
    "no validation": ({"callbacks": [EarlyStopping()]}, ValueError, "call fit with validation="),
    "rng": ({"rng": "seed"}, TypeError, "SeedSequence"),
    "resume": ({"resume": "missing.safetensors"}, FileNotFoundError, "missing.safetensors"),
}


@pytest.mark.parametrize(("change", "error", "message"), BAD_INPUT.values(), ids=BAD_INPUT.keys())
def test_bad_input_is_refused_before_anything_changes(change, error, message):
    model, optimizer = net(), Adam(1e-2)
    theta, grad = model.theta.tobytes(), model.grad.tobytes()
    arguments = {"model": model, "train": (X, Y), "optimizer": optimizer, **change}
    arguments["data"] = arguments.pop("train")
    with pytest.raises(error, match=message):
        train(**arguments)
    assert model.theta.tobytes() == theta
    assert model.grad.tobytes() == grad
    assert set(optimizer.state_dict()) == {"t"}
    assert optimizer.t == 0


def test_a_replaced_parameter_is_refused():
    model = net()
    model.layers[0].W = np.zeros((16, 2), "float32")
    with pytest.raises(ValueError, match="no longer a view into theta"):
        train(model, (X, Y))


def test_the_optimizer_of_another_network_is_refused():
    optimizer = Adam(1e-2)
    train(line_model(dtype="float32"), line_data(M=20), optimizer=optimizer)
    state = {name: x.tobytes() for name, x in optimizer.state_dict().items()}
    model = net()
    theta = model.theta.tobytes()
    with pytest.raises(ValueError, match="use a new optimizer for every network"):
        train(model, (X, Y), optimizer=optimizer)
    assert model.theta.tobytes() == theta
    assert {name: x.tobytes() for name, x in optimizer.state_dict().items()} == state


@pytest.mark.parametrize(
    ("make", "error", "message"),
    [
        (lambda: EarlyStopping(patience=0), ValueError, "patience must be at least 1"),
        (lambda: EarlyStopping(patience=2.5), TypeError, "patience must be an integer"),
        (lambda: EarlyStopping(min_delta=-1), ValueError, "min_delta must lie in"),
        (lambda: SGD(-0.1), ValueError, "lr must lie in"),
        (lambda: Adam(-1e-3), ValueError, "lr must lie in"),
    ],
)
def test_bad_numbers_are_refused(make, error, message):
    with pytest.raises(error, match=message):
        make()


def test_a_softmax_before_the_cross_entropy_is_noticed():
    model = Sequential(Dense(2, 3, rng=0), Softmax())
    with pytest.warns(UserWarning, match=r"CrossEntropy\(\) takes logits"):
        fit(model, (np.eye(2), [0, 2]), loss=CrossEntropy(), optimizer=SGD(0.1), epochs=1, progress=False)
