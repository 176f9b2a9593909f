"""A recorded step is the step: the same bits as the layers, the loss and the rule give one after another."""

import copy

import numpy as np
import pytest
from cases import LAYERS, LOSSES, OPTIMIZERS, network

from tinynn.backend import asarray, to_numpy
from tinynn.data import Dataset
from tinynn.molecules.energy_network import EnergyAndForces, EnergyForceLoss
from tinynn.nn import (
    CrossEntropy,
    Dense,
    Dropout,
    Layer,
    LeakyReLU,
    MeanSquaredError,
    ReLU,
    Residual,
    Sequential,
    SiLU,
    Tanh,
)
from tinynn.optim import SGD, Adam, CosineDecay
from tinynn.recording import Recording
from tinynn.training import Callback, fit
from tinynn.training_step import CHUNK, RecordedSteps, recordable

M, N = 23, 3
BATCHES = [np.arange(0, 8), np.arange(8, 16), np.arange(16, 23), np.arange(2, 10), np.arange(3, 10)]


def by_hand(model, loss, optimizer, X, y):
    losses = []
    for rows in BATCHES:
        losses.append(float(loss.compute(model.forward(X[rows]), y[rows])))
        model.backward_parameters(loss.backward())
        optimizer.step(model.theta, model.grad)
    return losses


def assert_recording_equals(model, loss, optimizer, X, y):
    twin, rule = copy.deepcopy(model), copy.deepcopy(optimizer)
    assert recordable(model, loss, optimizer)
    found = RecordedSteps(model, loss, optimizer, (X, y)).run(BATCHES)
    np.testing.assert_array_equal(found.astype(float), by_hand(twin, copy.deepcopy(loss), rule, X, y))
    np.testing.assert_array_equal(model.theta, twin.theta)
    np.testing.assert_array_equal(model.grad, twin.grad)
    for name, x in optimizer.state_dict().items():
        np.testing.assert_array_equal(x, rule.state_dict()[name], err_msg=name)
    model.check_parameters()


def data(dtype, n_out=2, seed=0):
    rng = np.random.default_rng(seed)
    return rng.standard_normal((M, N)).astype(dtype), rng.standard_normal((M, n_out)).astype(dtype)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("case", LAYERS.values(), ids=LAYERS.keys())
def test_every_layer(case, dtype):
    model = network(case, N, dtype=dtype)
    X, _ = data(dtype)
    y = data(dtype, model.predict(X).shape[1])[1]
    if any(isinstance(layer, Dropout) for _, layer in model.named_layers()):
        assert not recordable(model, MeanSquaredError(), Adam())
    elif model.theta.size:
        assert_recording_equals(model, MeanSquaredError(), Adam(1e-2), X, y)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("case", LOSSES.values(), ids=LOSSES.keys())
def test_every_loss(case, dtype):
    X, _ = data(dtype)
    model, loss = Sequential(Dense(N, 5), Tanh(), Dense(5, 3), rng=0, dtype=dtype), case.build()
    y = loss.check_target(case.target(np.random.default_rng(0), (M, 3)), (M, 3), model.dtype)
    assert_recording_equals(model, loss, SGD(1e-2), X, y)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("case", OPTIMIZERS.values(), ids=OPTIMIZERS.keys())
def test_every_rule(case, dtype):
    X, y = data(dtype)
    model = Sequential(Dense(N, 5), ReLU(), Dense(5, 2), rng=0, dtype=dtype)
    assert_recording_equals(model, MeanSquaredError(), case.build(), X, y)


def test_rates_that_change_and_parameters_in_several_chunks():
    X, y = data("float32")
    model = Sequential(Dense(N, 250), Tanh(), Dense(250, 280), Tanh(), Dense(280, 2), rng=0)
    assert model.theta.size > CHUNK
    assert_recording_equals(model, MeanSquaredError(), Adam(CosineDecay(1e-2, 4)), X, y)


@pytest.mark.parametrize("activation", [Tanh, SiLU])
def test_a_network_for_forces_too(activation):
    net = EnergyAndForces(Dense(N, 5), activation(), Residual(Dense(5, 5)), Dense(5, 1), n_coordinates=2)
    model = Sequential(net, rng=0, dtype="float64")
    rng = np.random.default_rng(0)
    X, y = rng.standard_normal((M, 3 * N)), rng.standard_normal((M, 3))
    assert_recording_equals(model, EnergyForceLoss(0.7, 1.9), Adam(1e-2), X, y)


@pytest.mark.parametrize("what", ["layer", "network", "loss", "rule"])
def test_what_is_not_ours_is_not_recorded(what):
    class MyReLU(ReLU):
        pass

    class MyNetwork(Sequential):
        pass

    class MyLoss(MeanSquaredError):
        pass

    class MyRule(SGD):
        pass

    model = (MyNetwork if what == "network" else Sequential)(Dense(3, 1), [ReLU, MyReLU][what == "layer"]())
    loss = [MeanSquaredError, MyLoss][what == "loss"]()
    assert not recordable(model, loss, [SGD, MyRule][what == "rule"](0.1))


def test_a_layer_of_ones_own_is_called_in_every_step():
    calls = []

    class Counts(Layer):
        def forward(self, X):
            calls.append(len(X))
            return X

        def backward(self, dY):
            return dY

    model = Sequential(Counts(), Dense(N, 2), rng=0)
    fit(
        model,
        data("float32"),
        loss=MeanSquaredError(),
        optimizer=SGD(0.1),
        epochs=2,
        batch_size=8,
        progress=False,
    )
    assert [n for n in calls if n > 1] == [8, 8, 7] * 2


def test_what_a_callback_changes_counts_from_the_next_epoch_on():
    class Changes(Callback):
        def on_epoch_end(self, training):
            training.optimizer.lr = 1e-3
            training.optimizer.betas = 0.5, 0.9
            training.optimizer.weight_decay = 0.1
            training.model.layers[1].negative_slope = 0.5
            training.optimizer.load_state_dict(training.optimizer.state_dict(), training.model.theta)

    results = []
    for slow in (False, True):
        model = Sequential(Dense(N, 9), LeakyReLU(0.1), Dense(9, 2), rng=0)
        rule = Adam(1e-2)
        if slow:
            model.layers[1].recordable = False
        history = fit(
            model,
            data("float32"),
            loss=MeanSquaredError(),
            optimizer=rule,
            epochs=3,
            batch_size=8,
            callbacks=[Changes()],
            rng=0,
            progress=False,
        )
        results.append((history.train_loss, model.theta))
    assert results[0][0] == results[1][0]
    np.testing.assert_array_equal(results[0][1], results[1][1])


def test_after_training_the_caches_are_arrays_again():
    X, y = data("float32")
    model, loss, rule = Sequential(Dense(N, 4), ReLU(), Dense(4, 2), rng=0), MeanSquaredError(), Adam()
    fit(model, (X, y), loss=loss, optimizer=rule, epochs=1, progress=False)
    for part in (loss, rule, *(layer for _, layer in model.named_layers())):
        assert "Traced" not in {type(x).__name__ for x in vars(part).values()}, part
        assert part.xp is np
    twin = copy.deepcopy(model)
    twin.forward(X)
    np.testing.assert_array_equal(twin.backward(y), (model.forward(X), model.backward(y))[1])


def test_data_stay_on_the_device(device, monkeypatch):
    """One look at the losses an epoch, and one at whether the parameters are finite."""
    import importlib

    X, y = data("float32")
    model = Sequential(Dense(N, 4), ReLU(), Dense(4, 2), rng=0, backend=device)
    on_device = Dataset(asarray(X, device), asarray(y, device))
    reads = []
    kind = type(model.theta)
    if device != "cupy":  # whose type is not to be patched
        for name in ("get", "__float__", "__int__", "__bool__", "item", "tolist"):
            original = getattr(kind, name)
            monkeypatch.setattr(
                kind, name, lambda self, *a, f=original, name=name: (reads.append(name), f(self, *a))[1]
            )
    counts = []
    for epochs in (2, 12):
        reads.clear()
        fit(
            model,
            on_device,
            loss=MeanSquaredError(),
            optimizer=Adam(),
            epochs=epochs,
            batch_size=4,
            progress=False,
        )
        counts.append(len(reads))
    assert importlib.import_module(device)
    assert counts[1] - counts[0] <= 2 * 10


def test_recorded_on_a_device_as_on_the_host(device):
    X, y = data("float64")
    thetas = []
    for backend in ("numpy", device):
        model = Sequential(Dense(N, 4), Tanh(), Dense(4, 2), rng=0, dtype="float64", backend=backend)
        labels = CrossEntropy().check_target((y[:, 0] > 0).astype(int), (M, 2), model.dtype)
        d = asarray(X, backend), asarray(labels, backend)
        steps = RecordedSteps(model, CrossEntropy(), Adam(1e-2), d)
        losses = steps.run([asarray(rows, backend) for rows in BATCHES])
        assert isinstance(losses, np.ndarray)
        thetas.append(to_numpy(model.theta))
    np.testing.assert_allclose(thetas[1], thetas[0], rtol=1e-12)


# Recordings


def test_a_recording_repeats_with_other_numbers_and_without_new_memory():
    a, b = np.arange(4.0).reshape(2, 2), np.ones((2, 2))
    recording = Recording()
    x, y = recording.trace(a), recording.trace(b)
    z = 2 * x + y
    z *= np.exp(-x)
    total, largest = z.sum(), np.max(z, axis=-1, keepdims=True)
    where = [c.out for c in recording.calls]
    for _ in range(2):
        expected = (2 * a + b) * np.exp(-a)
        np.testing.assert_allclose(total.array, expected.sum())
        np.testing.assert_allclose(largest.array, expected.max(axis=-1, keepdims=True))
        a += 0.5
        b -= 3
        recording.replay()
    assert all(c.out is out for c, out in zip(recording.calls, where, strict=True))


@pytest.mark.parametrize(
    "use",
    [
        lambda x: float(x.sum()),
        lambda x: bool(x[0] > 1),
        lambda x: np.asarray(x),
        lambda x: x + np.ones(4),
        lambda x: x[[0, 1]],
        lambda x: np.add.accumulate(x),
        lambda x: int(x[0]),
    ],
    ids=["float", "bool", "asarray", "another array", "copy", "accumulate", "int"],
)
def test_what_a_recording_cannot_repeat_is_an_error(use):
    with pytest.raises(TypeError):
        use(Recording().trace(np.arange(4.0)))
