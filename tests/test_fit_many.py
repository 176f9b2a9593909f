"""fit_many is fit, many times: the same networks, histories and states of the rules, whatever is stacked."""

import numpy as np
import pytest

from tinynn import epochs, training
from tinynn.backend import asarray, to_numpy
from tinynn.data import Dataset
from tinynn.epochs import Stack
from tinynn.molecules.energy_network import EnergyAndForces, EnergyForceLoss
from tinynn.nn import (
    CrossEntropy,
    Dense,
    Dropout,
    LeakyReLU,
    MeanSquaredError,
    ReLU,
    Residual,
    Sequential,
    Softmax,
    Tanh,
)
from tinynn.optim import SGD, Adam, AdamW, CosineDecay, RMSProp
from tinynn.training import DivergenceError, fit, fit_many
from tinynn.training_step import TrainingStep

K = 4


def line(seed, M=37, n=3, n_out=2):
    rng = np.random.default_rng(seed)
    return rng.standard_normal((M, n)), rng.standard_normal((M, n_out))


def net(seed, dtype="float32", n=3, layer=Tanh, backend="numpy"):
    return Sequential(
        Dense(n, 6),
        layer(),
        Residual(Dense(6, 6), ReLU()),
        Dense(6, 2),
        rng=seed,
        dtype=dtype,
        backend=backend,
    )


def both(models, trains, rules, loss=MeanSquaredError, **options):
    """Histories, networks and rules of K calls of fit and of one of fit_many."""
    results = []
    for together in (False, True):
        own, own_rules = [m() for m in models], [r() for r in rules]
        shared = {"loss": loss(), "epochs": 3, "batch_size": 8, "progress": False} | options
        if together:
            histories = fit_many(own, trains, optimizers=own_rules, rngs=range(len(own)), **shared)
        else:
            validations = shared.pop("validations", [None] * len(own))
            histories = [
                fit(m, t, optimizer=r, rng=k, validation=v, **shared)
                for k, (m, t, r, v) in enumerate(zip(own, trains, own_rules, validations, strict=True))
            ]
        results.append((own, own_rules, histories))
    return results


def assert_same(one, other, rtol):
    for first, second in zip(*(r[0] for r in (one, other)), strict=True):
        np.testing.assert_allclose(first.theta, second.theta, rtol=rtol, atol=rtol)
        np.testing.assert_allclose(first.grad, second.grad, rtol=rtol, atol=rtol)
    for first, second in zip(*(r[1] for r in (one, other)), strict=True):
        assert first.t == second.t
        for name, x in first.state_dict().items():
            np.testing.assert_allclose(x, second.state_dict()[name], rtol=rtol, atol=rtol)
    for first, second in zip(*(r[2] for r in (one, other)), strict=True):
        np.testing.assert_allclose(first.train_loss, second.train_loss, rtol=rtol)
        np.testing.assert_allclose(first.validation_loss, second.validation_loss, rtol=rtol)


@pytest.mark.parametrize(("dtype", "rtol"), [("float32", 2e-5), ("float64", 1e-12)])
@pytest.mark.parametrize(
    "rule",
    [
        lambda k: Adam(10.0 ** (-3 + k / 4)),
        lambda k: SGD(0.01 * (k + 1), momentum=0.9, nesterov=True, weight_decay=1e-2),
        lambda k: AdamW(CosineDecay(1e-2, 5 + k)),
        lambda k: RMSProp(1e-3),
    ],
    ids=["Adam", "SGD", "AdamW with a schedule", "RMSProp"],
)
def test_equals_separate_trainings(dtype, rtol, rule):
    models = [lambda k=k: net(k, dtype) for k in range(K)]
    trains = [line(k) for k in range(K)]
    rules = [lambda k=k: rule(k) for k in range(K)]
    one, other = both(models, trains, rules, validations=[line(10 + k, M=5) for k in range(K)])
    assert_same(one, other, rtol)
    assert len(other[2][0].validation_loss) == 3


def test_networks_for_forces():
    def model(k):
        net = EnergyAndForces(Dense(3, 5), Tanh(), Dense(5, 1), n_coordinates=2)
        return Sequential(net, rng=k, dtype="float64")

    trains = [line(k, n=9, n_out=3) for k in range(K)]
    models = [lambda k=k: model(k) for k in range(K)]
    assert_same(*both(models, trains, [Adam] * K, loss=EnergyForceLoss), 1e-12)


def test_classes_and_folds():
    X, y = line(0, M=40)
    labels = (y[:, 0] > 0).astype(int)
    folds = np.arange(40).reshape(K, 10)
    trains = [(np.delete(X, fold, axis=0), np.delete(labels, fold)) for fold in folds]
    models = [lambda: net(0, "float64")] * K
    assert_same(*both(models, trains, [Adam] * K, loss=CrossEntropy), 1e-12)


def test_what_is_not_alike_follows_one_after_another():
    """Widths, sizes of the data, rules and layers that draw: all in one call."""
    models = [
        lambda: net(0),
        lambda: net(1),
        lambda: net(2, n=2),
        lambda: net(3, layer=lambda: Dropout(0.3)),
        lambda: net(4, layer=lambda: Dropout(0.3)),
        lambda: net(5),
    ]
    trains = [line(0), line(1), line(2, n=2), line(3), line(4), line(5, M=20)]
    rules = [Adam, Adam, Adam, Adam, Adam, lambda: SGD(0.01)]
    assert_same(*both(models, trains, rules), 2e-5)


@pytest.mark.parametrize("different", ["width", "data", "rule", "setting", "layer", "dtype"])
def test_only_what_is_alike_is_stacked(different, monkeypatch):
    stacked = []
    original = Stack.__init__

    def counted(self, trainings):
        stacked.append(len(trainings))
        original(self, trainings)

    monkeypatch.setattr(Stack, "__init__", counted)
    models = [net(0), net(1), net(2, dtype="float64" if different == "dtype" else "float32")]
    trains = [line(0), line(1), line(2, M=20 if different == "data" else 37)]
    rules = [Adam(1e-3), Adam(1e-2), Adam(1e-3)]
    if different == "width":
        models[2], trains[2] = net(2, n=4), line(2, n=4)
    if different == "rule":
        rules[2] = AdamW(1e-3, weight_decay=0.0)
    if different == "setting":
        rules[2] = Adam(1e-3, betas=(0.8, 0.999))
    if different == "layer":
        models[2] = net(2, layer=ReLU)
    fit_many(models, trains, loss=MeanSquaredError(), optimizers=rules, epochs=1, progress=False)
    assert stacked == [2]


def test_a_training_can_be_continued_either_way():
    models, rules, losses = [net(k) for k in range(2)], [Adam(1e-2) for _ in range(2)], MeanSquaredError()
    trains, generators = [line(0), line(1)], [np.random.default_rng(k) for k in range(2)]
    for _ in range(2):
        fit_many(models, trains, loss=losses, optimizers=rules, epochs=2, rngs=generators, progress=False)
    fit(models[1], trains[1], loss=losses, optimizer=rules[1], epochs=1, rng=generators[1], progress=False)
    alone, rule = net(1), Adam(1e-2)
    fit(alone, trains[1], loss=losses, optimizer=rule, epochs=5, rng=1, progress=False)
    np.testing.assert_allclose(models[1].theta, alone.theta, rtol=1e-5, atol=1e-6)
    models[0].check_parameters()


def test_divergence_is_that_of_the_network_alone():
    def rules():
        return [SGD(0.01), SGD(1e6), SGD(0.01)]

    models = [Sequential(Dense(3, 2), rng=k, dtype="float64") for k in range(3)]
    trains = [line(k) for k in range(3)]
    with pytest.raises(DivergenceError) as together:
        fit_many(
            models,
            trains,
            loss=MeanSquaredError(),
            optimizers=rules(),
            epochs=50,
            rngs=range(3),
            progress=False,
        )
    alone = Sequential(Dense(3, 2), rng=1, dtype="float64")
    with pytest.raises(DivergenceError) as single:
        fit(alone, trains[1], loss=MeanSquaredError(), optimizer=SGD(1e6), epochs=50, rng=1, progress=False)
    assert (together.value.epoch, together.value.step) == (single.value.epoch, single.value.step)
    assert str(together.value).startswith("network 1 of 3: training diverged")
    np.testing.assert_allclose(models[1].theta, alone.theta)
    assert np.isfinite(models[0].theta).all()


def test_bad_input_changes_nothing():
    models, trains = [net(0), net(1)], [line(0), line(1)]
    before = [m.theta.copy() for m in models]
    shared = {"loss": MeanSquaredError(), "epochs": 1, "progress": False}
    one = Adam()
    for arguments, message in (
        ({"models": models[:1]}, "trains has 2 entries for 1 models"),
        ({"optimizers": [Adam()]}, "optimizers has 1 entries for 2 models"),
        ({"rngs": [1]}, "rngs has 1 entries"),
        ({"validations": [trains[0]]}, "validations has 1 entries"),
        ({"models": [models[0]] * 2}, "models has one object in two places"),
        ({"optimizers": [one, one]}, "optimizers has one object in two places"),
        ({"models": []}, "models is empty"),
        ({"rngs": [np.random.default_rng(0)] * 2}, "rngs has one object in two places"),
        ({"trains": [line(0), (np.ones((3, 7)), np.ones((3, 2)))]}, r"train: X has shape \(3, 7\)"),
    ):
        given = {"models": models, "trains": trains, "optimizers": [Adam(), Adam()]} | arguments
        with pytest.raises(ValueError, match=message):
            fit_many(**given, **shared)
    with pytest.raises(TypeError, match="optimizer must be an instance of Optimizer"):
        fit_many(models, trains, optimizers=[Adam(), 0.1], **shared)
    for m, theta in zip(models, before, strict=True):
        np.testing.assert_array_equal(m.theta, theta)


def test_a_rule_of_another_network_is_refused_before_any_is_trained():
    models, rules = [net(0), net(1), net(2)], [Adam(), Adam(), Adam()]
    rules[2].step(np.ones(3), np.ones(3))
    before = [m.theta.copy() for m in models]
    with pytest.raises(ValueError, match="network 2 of 3: theta has shape"):
        fit_many(models, [line(k) for k in range(3)], loss=MeanSquaredError(), optimizers=rules, epochs=1)
    for m, theta in zip(models, before, strict=True):
        np.testing.assert_array_equal(m.theta, theta)


def test_settings_are_compared_to_the_last_digit():
    models = [
        lambda slope=slope: Sequential(Dense(3, 5), LeakyReLU(slope), Dense(5, 2), rng=0, dtype="float64")
        for slope in (0.1234561, 0.1234564)
    ]
    assert_same(*both(models, [line(0), line(0)], [Adam, Adam]), 1e-12)


def test_shared_data_are_there_once():
    X, y = (x.astype("float32") for x in line(0))
    shared = Dataset(X, y)
    trainings = [
        training._begin(net(k), shared if k else line(9), MeanSquaredError(), Adam(), 1, 8, None, (), k)
        for k in range(4)
    ]
    for one in trainings:
        one.optimizer.start(one.model.theta, one.model.grad)
    stack = Stack(trainings)
    assert len(stack.steps.data[0]) == 2 * len(X)
    models = [lambda k=k: net(k) for k in range(4)]
    assert_same(*both(models, [line(9), shared, shared, shared], [Adam] * 4), 2e-5)


def test_numbers_of_numpy_are_seeds():
    models = [net(0), net(1)]
    options = {"loss": MeanSquaredError(), "epochs": 1, "progress": False}
    fit_many(models, [line(0)] * 2, optimizers=[Adam(), Adam()], rngs=np.arange(2), **options)


def test_an_interrupted_stack_leaves_networks_and_rules_together(monkeypatch):
    original, done = TrainingStep.__call__, []

    def interrupted(self, *arguments):
        if len(done) == 2:
            raise KeyboardInterrupt
        done.append(1)
        return original(self, *arguments)

    monkeypatch.setattr(TrainingStep, "__call__", interrupted)
    models, rules = [net(0), net(1)], [Adam(), Adam()]
    options = {"loss": MeanSquaredError(), "epochs": 1, "batch_size": 4, "progress": False}
    with pytest.raises(KeyboardInterrupt):
        fit_many(models, [line(0), line(1)], optimizers=rules, **options)
    for model, rule in zip(models, rules, strict=True):
        assert rule.t == 3
        assert rule.sum_g.any()
        assert (model.theta != net(0).theta).any()


def test_the_warning_of_fit_comes_here_too():
    models = [Sequential(Dense(3, 2), Softmax(), rng=k) for k in range(2)]
    labels = np.arange(37) % 2
    with pytest.warns(UserWarning, match="takes logits") as caught:
        fit_many(
            models,
            [(line(0)[0], labels)] * 2,
            loss=CrossEntropy(),
            optimizers=[Adam(), Adam()],
            epochs=1,
            progress=False,
        )
    assert {w.filename for w in caught} == {__file__}


def test_on_a_device(device):
    thetas = []
    for backend in ("numpy", device):
        models = [net(k, "float64", backend=backend) for k in range(K)]
        trains = [Dataset(*(asarray(a, backend) for a in line(k))) for k in range(K)]
        fit_many(
            models,
            trains,
            loss=MeanSquaredError(),
            optimizers=[Adam(1e-2 * (k + 1)) for k in range(K)],
            epochs=2,
            rngs=range(K),
            progress=False,
        )
        thetas.append([to_numpy(m.theta) for m in models])
    np.testing.assert_allclose(thetas[0], thetas[1], rtol=1e-11)


@pytest.mark.parametrize("count", [1, 3])
def test_a_false_alarm_changes_nothing(count, monkeypatch):
    """An epoch that only looked as if something were not finite is done once more, step by step."""
    original, asked = epochs._finite, []

    def doubtful(losses, theta):
        asked.append(1)
        return len(asked) % 2 == 1 and original(losses, theta)

    models, trains = [lambda k=k: net(k) for k in range(count)], [line(k) for k in range(count)]
    wanted = both(models, trains, [Adam] * count)[0]
    monkeypatch.setattr(epochs, "_finite", doubtful)
    found = both(models, trains, [Adam] * count)
    for one in found:  # fit's and fit_many's
        assert_same(wanted, one, 2e-5)
    assert len(asked) > 3
