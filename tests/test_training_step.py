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
    Huber,
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
from tinynn.training_step import CHUNK, RecordedSteps, TrainingStep, recordable

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


def tripled(training):
    training.loader.dataset.X = 3 * training.loader.dataset.X


def more_data(training):
    training.loader.dataset = Dataset(*(np.concatenate([x, x]) for x in data("float32")))


CHANGES = {
    "rate": lambda t: setattr(t.optimizer, "lr", 1e-3),
    "betas": lambda t: setattr(t.optimizer, "betas", (0.5, 0.9)),
    "decay": lambda t: setattr(t.optimizer, "weight_decay", np.float32(0.1)),
    "setting": lambda t: setattr(t.model.layers[1], "negative_slope", 0.1000004),
    "setting of the loss": lambda t: setattr(t.loss, "delta", 0.5),
    "layer": lambda t: t.model.layers.__setitem__(1, Tanh()),
    "state of the rule": lambda t: t.optimizer.load_state_dict(
        {k: 2 * x for k, x in t.optimizer.state_dict().items()}, t.model.theta
    ),
    "rule": lambda t: setattr(t, "optimizer", SGD(0.01)),
    "loss": lambda t: setattr(t, "loss", MeanSquaredError()),
    "data": tripled,
    "more data": more_data,
    "parameters": lambda t: t.model.theta.__imul__(0.5),
    "another training": lambda t: fit(
        t.model, data("float32"), loss=t.loss, optimizer=SGD(0.01), epochs=1, rng=1, progress=False
    ),
}


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
def test_what_a_callback_changes_counts_from_the_next_epoch_on(change):
    class Changes(Callback):
        def on_epoch_end(self, training):
            change(training)

    results = []
    for step_by_step in (False, True):
        model = Sequential(Dense(N, 9), LeakyReLU(0.1), Dense(9, 2), rng=0)
        if step_by_step:
            model.layers[0].recordable = False
        rule, changes = Adam(1e-2), [Changes()]
        options = {"epochs": 3, "batch_size": 8, "callbacks": changes, "rng": 0, "progress": False}
        history = fit(model, data("float32"), loss=Huber(0.7), optimizer=rule, **options)
        results.append([history.train_loss, model.theta, *rule.state_dict().values()])
    for one, other in zip(*results, strict=True):
        np.testing.assert_array_equal(one, other)


def test_replaced_parameters_are_an_error_in_every_epoch():
    class Replaces(Callback):
        def on_epoch_end(self, training):
            training.model.layers[0].W = np.ones((2, N), np.float32)

    model = Sequential(Dense(N, 2), rng=0)
    with pytest.raises(ValueError, match="no longer a view into theta"):
        fit(
            model,
            data("float32"),
            loss=MeanSquaredError(),
            optimizer=Adam(),
            epochs=3,
            callbacks=[Replaces()],
            progress=False,
        )


def test_a_rate_that_a_callback_changes_needs_no_new_recording(monkeypatch):
    class Cools(Callback):
        def on_epoch_end(self, training):
            training.optimizer.lr *= 0.9

    recordings = []
    original = TrainingStep.__init__
    monkeypatch.setattr(TrainingStep, "__init__", lambda *a: (recordings.append(1), original(*a))[1])
    model = Sequential(Dense(N, 2), rng=0)
    options = {"epochs": 5, "batch_size": 8, "callbacks": [Cools()], "progress": False}
    fit(model, data("float32"), loss=MeanSquaredError(), optimizer=Adam(), **options)
    assert len(recordings) == 2  # batches of 8 and of 7


@pytest.mark.parametrize("where", ["layer", "loss", "rule"])
def test_a_method_replaced_on_an_object_is_called_in_every_step(where):
    model, loss, rule, calls = Sequential(Dense(N, 2), rng=0), MeanSquaredError(), SGD(0.1), []
    part, name = {"layer": (model.layers[0], "forward"), "loss": (loss, "compute"), "rule": (rule, "update")}[
        where
    ]
    original = getattr(part, name)
    setattr(part, name, lambda *arguments: (calls.append(1), original(*arguments))[1])
    fit(model, data("float32"), loss=loss, optimizer=rule, epochs=2, batch_size=8, progress=False)
    assert len(calls) >= 6


@pytest.mark.parametrize("steps", [1, 2])
def test_an_interrupted_epoch_has_counted_the_steps_that_were_done(monkeypatch, steps):
    original, done = TrainingStep.__call__, []

    def interrupted(self, *arguments):
        if len(done) == steps - 1:
            raise KeyboardInterrupt
        done.append(1)
        return original(self, *arguments)

    monkeypatch.setattr(TrainingStep, "__call__", interrupted)
    model, rule = Sequential(Dense(N, 2), rng=0), Adam(1e-2)
    options = {"loss": MeanSquaredError(), "optimizer": rule, "rng": 0, "progress": False}
    with pytest.raises(KeyboardInterrupt):
        fit(model, data("float32"), epochs=1, batch_size=4, **options)
    assert rule.t == steps
    monkeypatch.undo()
    twin, other = Sequential(Dense(N, 2), rng=0), Adam(1e-2)
    X, y = data("float32")
    for rows in np.split(np.random.default_rng(0).permutation(M), range(4, M, 4))[:steps]:
        loss = MeanSquaredError()
        loss.forward(twin.forward(X[rows]), y[rows])
        twin.backward(loss.backward())
        other.step(twin.theta, twin.grad)
    np.testing.assert_array_equal(model.theta, twin.theta)


def test_a_schedule_that_fails_leaves_the_count_alone():
    model, rule = Sequential(Dense(N, 2), rng=0), Adam(lambda t: 1e-3 if t < 7 else 1 / 0)
    with pytest.raises(ZeroDivisionError):
        fit(
            model,
            data("float32"),
            loss=MeanSquaredError(),
            optimizer=rule,
            epochs=9,
            batch_size=8,
            progress=False,
        )
    assert rule.t == 6


def test_recording_leaves_no_trace_in_the_network():
    X, y = data("float32")
    model, loss, rule = Sequential(Dense(N, 4), ReLU(), Dense(4, 2), rng=0), MeanSquaredError(), Adam()
    model.forward(X[:2])
    before = [dict(vars(layer)) for _, layer in model.named_layers()]
    fit(model, (X, y), loss=loss, optimizer=rule, epochs=1, progress=False)
    for (_, layer), values in zip(model.named_layers(), before, strict=True):
        assert vars(layer).keys() - {"_predicted"} == values.keys()
        assert all(vars(layer)[name] is x for name, x in values.items())
    assert model.backward(y[:2]).shape == (2, N)  # of the pass that was pending


def test_data_of_a_class_of_ones_own_are_its_arrays():
    class Noisy(Dataset):
        def __getitem__(self, index):
            return -self.X[index], self.y[index]

    losses = []
    for step_by_step in (False, True):
        model = Sequential(Dense(N, 2), rng=0)
        model.layers[0].recordable = not step_by_step
        own = Noisy(*data("float32"))
        kept = own.X
        losses.append(
            fit(
                model, own, loss=MeanSquaredError(), optimizer=SGD(0.1), epochs=2, rng=0, progress=False
            ).train_loss
        )
        assert own.X is kept
    assert losses[0] == losses[1]


def test_data_that_overflow_in_float32_are_refused():
    X = np.ones((M, N))
    X[3, 1] = 1e300
    with pytest.raises(ValueError, match="train: X contains 1 inf"):
        fit(
            Sequential(Dense(N, 2), rng=0),
            Dataset(X, np.ones((M, 2))),
            loss=MeanSquaredError(),
            optimizer=SGD(0.1),
            epochs=1,
            progress=False,
        )


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
        lambda x: x.reshape(2, 2)[:, [0, 1]],
        lambda x: x.reshape(2, 2).T.reshape(-1),
        lambda x: np.where(x > 1, x, x),
        lambda x: np.max(x, initial=5.0),
        lambda x: x.astype(int),
    ],
    ids=[
        *("float", "bool", "asarray", "another array", "copy", "accumulate", "int"),
        *("columns", "flat", "where", "initial", "to integers"),
    ],
)
def test_what_a_recording_cannot_repeat_is_an_error(use):
    with pytest.raises(TypeError):
        use(Recording().trace(np.arange(4.0)))
