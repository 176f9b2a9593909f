"""Optimisers train exactly as torch's do, schedules follow their formulas."""

import copy
import inspect
import pickle
from itertools import pairwise

import numpy as np
import pytest
import torch
from cases import OPTIMIZERS

from tinynn import optim
from tinynn.nn import Dense, MeanSquaredError, ReLU, Sequential
from tinynn.optim import (
    SGD,
    Adadelta,
    Adagrad,
    Adam,
    AdamW,
    CosineDecay,
    ExponentialDecay,
    Optimizer,
    RMSProp,
    Schedule,
    StepDecay,
)

torch.set_num_threads(1)
every_optimizer = pytest.mark.parametrize("case", OPTIMIZERS.values(), ids=OPTIMIZERS.keys())
SCHEDULES = {StepDecay, ExponentialDecay, CosineDecay}


def test_every_public_class_has_a_case():
    public = {x for name, x in vars(optim).items() if inspect.isclass(x) and x.__module__ == optim.__name__}
    optimizers = {type(case.build()) for case in OPTIMIZERS.values()}
    assert optimizers | SCHEDULES | {Optimizer, Schedule} == public


# Training as torch trains

STEPS, BATCH = 200, 16
WIDTHS = [8, 32, 64, 64, 32, 1]
RNG = np.random.default_rng(0)
X = RNG.standard_normal((160, 8))
Y = np.sin(X[:, :1]) + X[:, 1:2] * X[:, 2:3]
BATCHES = RNG.integers(0, len(X), (STEPS, BATCH))


def ours(dtype="float64"):
    layers = [layer for n in pairwise(WIDTHS) for layer in (Dense(*n), ReLU())]
    return Sequential(*layers[:-1], rng=1, dtype=dtype)


def torchs():
    layers = [layer for n in pairwise(WIDTHS) for layer in (torch.nn.Linear(*n), torch.nn.ReLU())]
    model = torch.nn.Sequential(*layers[:-1]).double()
    model.load_state_dict({name: torch.tensor(x) for name, x in ours().state_dict().items()})
    return model


def train(model, optimizer, batches):
    loss = MeanSquaredError()
    values = []
    for rows in batches:
        values.append(loss.forward(model.forward(X[rows]), Y[rows]))
        model.backward_parameters(loss.backward())
        optimizer.step(model.theta, model.grad)
    return values


def train_torch(model, optimizer, batches, scheduler=None):
    loss, values = torch.nn.MSELoss(), []
    for rows in batches:
        optimizer.zero_grad()
        value = loss(model(torch.tensor(X[rows])), torch.tensor(Y[rows]))
        value.backward()
        optimizer.step()
        values.append(value.item())
        if scheduler is not None:
            scheduler.step()
    return values, torch.cat([p.detach().ravel() for p in model.parameters()]).numpy()


@every_optimizer
def test_two_hundred_steps_are_torchs(case):
    model, twin = ours(), torchs()
    start = model.theta.copy()
    values = train(model, case.build(), BATCHES)
    torch_values, torch_theta = train_torch(twin, case.twin(twin.parameters()), BATCHES)
    np.testing.assert_allclose(values, torch_values, rtol=1e-7)
    assert abs(model.theta - torch_theta).max() < 1e-8
    assert abs(model.theta - start).max() > 1e-3
    assert values[-1] < values[0]


@pytest.mark.parametrize(
    ("schedule", "twin"),
    [
        (StepDecay(0.02, every=30, factor=0.5), lambda o: torch.optim.lr_scheduler.StepLR(o, 30, 0.5)),
        (
            CosineDecay(0.02, steps=STEPS, final=0.001),
            lambda o: torch.optim.lr_scheduler.CosineAnnealingLR(o, STEPS, 0.001),
        ),
    ],
    ids=["StepDecay", "CosineDecay"],
)
@pytest.mark.parametrize("rule", [(SGD, torch.optim.SGD), (Adam, torch.optim.Adam)], ids=["SGD", "Adam"])
def test_schedules_train_as_torchs_do(schedule, twin, rule):
    model, torch_model = ours(), torchs()
    train(model, rule[0](schedule), BATCHES)
    optimizer = rule[1](torch_model.parameters(), lr=0.02)
    _, torch_theta = train_torch(torch_model, optimizer, BATCHES, twin(optimizer))
    assert abs(model.theta - torch_theta).max() < 1e-8


# Schedules


def test_step_decay():
    schedule = StepDecay(0.8, every=3, factor=0.5)
    assert [schedule(t) for t in range(8)] == [0.8, 0.8, 0.8, 0.4, 0.4, 0.4, 0.2, 0.2]
    assert StepDecay(1.0, every=1)(2) == pytest.approx(0.01)


def test_exponential_decay():
    schedule = ExponentialDecay(0.5, decay_steps=10)
    assert schedule(0) == 0.5
    assert schedule(10) == pytest.approx(0.5 / np.e)
    assert schedule(25) == pytest.approx(0.5 * np.exp(-2.5))


def test_cosine_decay():
    schedule = CosineDecay(0.5, steps=100, final=0.1)
    assert [schedule(t) for t in (0, 50, 100, 1000)] == pytest.approx([0.5, 0.3, 0.1, 0.1])
    assert schedule(25) == pytest.approx(0.1 + 0.4 * (1 + np.sqrt(0.5)) / 2)
    assert all(schedule(t + 1) < schedule(t) for t in range(100))
    assert CosineDecay(0.5, steps=7)(7) == 0


def test_a_rate_may_be_any_function_of_the_step():
    seen = []
    optimizer, theta = SGD(lambda t: seen.append(t) or 1 / (t + 1)), np.zeros(1)
    for _ in range(4):
        optimizer.step(theta, np.ones(1))
    assert seen == [0, 1, 2, 3]
    assert theta[0] == pytest.approx(-(1 + 1 / 2 + 1 / 3 + 1 / 4))


# The update itself


def test_first_steps_by_hand():
    def step(optimizer, n=1):
        theta = np.array([1.0, -2.0])
        for _ in range(n):
            optimizer.step(theta, np.array([0.5, -4.0]))
        return theta.tolist()

    assert step(SGD(0.1)) == [0.95, -1.6]
    assert step(SGD(0.1, weight_decay=0.5)) == pytest.approx([1 - 0.1 * 1.0, -2 + 0.1 * 5.0])
    assert step(SGD(0.1, momentum=0.5), 2) == pytest.approx([1 - 0.1 * 0.5 * 2.5, -2 + 0.1 * 4 * 2.5])
    assert step(SGD(0.1, momentum=0.5, nesterov=True)) == pytest.approx([1 - 0.1 * 0.75, -2 + 0.1 * 6])
    for rule in (Adam(0.1), AdamW(0.1, weight_decay=0.0), Adagrad(0.1)):
        assert step(rule) == pytest.approx([0.9, -1.9], abs=1e-7)  # the first step has the length lr
    assert step(RMSProp(0.1, alpha=0.75)) == pytest.approx([0.8, -1.8], abs=1e-6)
    assert step(AdamW(0.1, weight_decay=0.5)) == pytest.approx([0.95 - 0.1, -1.9 + 0.1], abs=1e-7)


@every_optimizer
def test_steps_are_in_place_and_leave_the_gradient_alone(case):
    optimizer, model = case.build(), ours("float32")
    theta, address = model.theta, model.theta.ctypes.data
    grad = np.full_like(theta, 0.5)
    grad.flags.writeable = False
    for _ in range(3):
        before = theta.copy()
        assert optimizer.step(theta, grad) is None
        assert (theta != before).all()
    assert model.theta is theta
    assert theta.ctypes.data == address
    model.check_parameters()


@every_optimizer
def test_float32_stays_float32(case):
    optimizer, theta = case.build(), np.ones(5, np.float32)
    double = np.ones(5)
    other = case.build()
    for _ in range(5):
        optimizer.step(theta, 2 * theta)
        other.step(double, 2 * double)
    vectors = [x for x in vars(optimizer).values() if isinstance(x, np.ndarray)]
    assert {x.dtype for x in [theta, *vectors]} == {np.dtype(np.float32)}
    np.testing.assert_allclose(theta, double, rtol=1e-5)


@every_optimizer
def test_training_stays_finite_without_a_gradient(case):
    optimizer, theta = case.build(), np.ones(3)
    for _ in range(3):
        optimizer.step(theta, np.zeros(3))
    assert np.isfinite(theta).all()


# State


@every_optimizer
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_a_saved_state_continues_with_the_same_bits(case, dtype):
    model, optimizer = ours(dtype), case.build()
    train(model, optimizer, BATCHES[:7])
    state = optimizer.state_dict()
    assert state["t"] == 7
    kept = {name: x.copy() for name, x in state.items()}
    twin, resumed = copy.deepcopy(model), case.build()
    resumed.load_state_dict(state, twin.theta)
    copies = [copy.deepcopy(optimizer), pickle.loads(pickle.dumps(optimizer))]
    train(model, optimizer, BATCHES[7:12])
    train(twin, resumed, BATCHES[7:12])
    np.testing.assert_array_equal(twin.theta, model.theta)
    for name, x in state.items():  # the state is a copy, on the way out and on the way in
        np.testing.assert_array_equal(x, kept[name])
    for other in copies:
        again = ours(dtype)
        train(again, case.build(), BATCHES[:7])
        train(again, other, BATCHES[7:12])
        np.testing.assert_array_equal(again.theta, model.theta)


@every_optimizer
def test_a_state_before_the_first_step(case):
    state = case.build().state_dict()
    assert list(state) == ["t"]
    used, theta = case.build(), np.ones(3)
    used.step(theta, theta.copy())
    used.load_state_dict(state, theta)
    again, fresh = np.ones(3), np.ones(3)
    used.step(again, np.full(3, 0.5))
    case.build().step(fresh, np.full(3, 0.5))
    np.testing.assert_array_equal(again, fresh)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda s: s.pop("sum_g"), r"state has \['sum_g2', 't'\]; Adam\(.*\) wants"),
        (lambda s: s.pop("t"), "state has"),
        (lambda s: s.update(velocity=np.ones(3)), "state has"),
        (lambda s: s.update(sum_g=np.ones(4)), r"sum_g has shape \(4,\); wanted \(3\)"),
        (lambda s: s.update(sum_g2=np.full(3, np.nan)), "sum_g2 contains 3 NaN"),
    ],
)
def test_a_state_that_does_not_fit_changes_nothing(change, message):
    optimizer, theta = Adam(), np.ones(3)
    optimizer.step(theta, np.array([1.0, 2.0, 3.0]))
    kept, state = optimizer.state_dict(), optimizer.state_dict()
    change(state)
    with pytest.raises(ValueError, match=message):
        optimizer.load_state_dict(state, theta)
    for name, x in optimizer.state_dict().items():
        np.testing.assert_array_equal(x, kept[name])


# What is refused


@pytest.mark.parametrize("rule", [SGD, Adagrad, RMSProp, Adadelta, Adam, AdamW])
@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"lr": -0.1}, ValueError, r"lr must lie in \[0, inf\); got -0.1"),
        ({"lr": np.nan}, ValueError, "lr must lie in"),
        ({"lr": np.inf}, ValueError, "lr must lie in"),
        ({"lr": "0.1"}, TypeError, "lr must be a number; got '0.1'"),
        ({"lr": None}, TypeError, "lr must be a number; got None"),
        ({"lr": np.ones(2)}, TypeError, "lr must be a number"),
        ({"lr": 0.1 + 1j}, TypeError, "lr must be a number"),
        ({"lr": 0.1, "weight_decay": -1}, ValueError, "weight_decay must lie in"),
    ],
)
def test_rates_are_checked(rule, options, error, message):
    with pytest.raises(error, match=message):
        rule(**options)


@pytest.mark.parametrize(
    ("build", "error", "message"),
    [
        (lambda: SGD(0.1, momentum=1.0), ValueError, r"momentum must lie in \[0, 1\)"),
        (lambda: SGD(0.1, momentum=-0.1), ValueError, "momentum must lie in"),
        (lambda: SGD(0.1, nesterov=True), ValueError, "nesterov needs a momentum above 0"),
        (lambda: RMSProp(alpha=1.0), ValueError, r"alpha must lie in \[0, 1\)"),
        (lambda: Adadelta(rho=-0.5), ValueError, "rho must lie in"),
        (lambda: Adam(betas=(1.0, 0.9)), ValueError, r"betas\[0\] must lie in \[0, 1\); got 1.0"),
        (lambda: Adam(betas=(0.9, -0.1)), ValueError, r"betas\[1\] must lie in"),
        (lambda: Adam(betas=(0.9,)), ValueError, r"betas must be two numbers; got \(0.9,\)"),
        (lambda: AdamW(betas=0.9), ValueError, "betas must be two numbers; got 0.9"),
        (lambda: AdamW(betas=("a", 0.9)), TypeError, r"betas\[0\] must be a number"),
        *[
            (lambda rule=rule, eps=eps: rule(eps=eps), ValueError, "eps must lie in")
            for rule in (Adagrad, RMSProp, Adadelta, Adam, AdamW)
            for eps in (0, -1e-8, np.nan)
        ],
        (lambda: StepDecay(-1, 10), ValueError, "lr must lie in"),
        (lambda: StepDecay(0.1, 0), ValueError, "every must be at least 1"),
        (lambda: StepDecay(0.1, 2.5), TypeError, "every must be an integer"),
        (lambda: StepDecay(0.1, 10, factor=0), ValueError, "factor must lie in"),
        (lambda: ExponentialDecay(0.1, 0), ValueError, "decay_steps must lie in"),
        (lambda: CosineDecay(0.1, 0), ValueError, "steps must be at least 1"),
        (lambda: CosineDecay(0.1, 10, final=-1), ValueError, "final must lie in"),
    ],
)
def test_arguments_are_checked_by_name(build, error, message):
    with pytest.raises(error, match=message):
        build()


@every_optimizer
def test_theta_and_grad_have_to_agree(case):
    theta = np.ones(3)
    for grad, error, message in (
        (np.ones(4), ValueError, r"theta is \(3,\) float64 but grad is \(4,\) float64"),
        (np.ones((3, 1)), ValueError, "they must agree"),
        (np.ones(3, np.float32), ValueError, r"grad is \(3,\) float32"),
        ([1.0, 1.0, 1.0], TypeError, "grad must be an array, such as model.grad; got list"),
    ):
        optimizer = case.build()
        with pytest.raises(error, match=message):
            optimizer.step(theta, grad)
        assert optimizer.t == 0
        np.testing.assert_array_equal(theta, 1)
    with pytest.raises(TypeError, match=r"theta must be an array.*got dict"):
        case.build().step({"0.weight": theta}, {"0.weight": theta})
    with pytest.raises(TypeError, match="theta has dtype int64; wanted floating point"):
        case.build().step(np.ones(3, int), np.ones(3, int))


@every_optimizer
def test_one_optimizer_serves_one_network(case):
    optimizer, theta = case.build(), np.ones(3)
    optimizer.step(theta, np.ones(3))
    kept = theta.copy()
    for other, grad in ((np.ones(4), np.ones(4)), (np.ones(1), np.ones(1)), (theta, np.ones(1))):
        with pytest.raises(ValueError, match=r"this optimizer began with \(3,\); use a new optimizer"):
            optimizer.step(other, grad)
    assert optimizer.t == 1
    np.testing.assert_array_equal(theta, kept)


def test_a_rule_of_ones_own():
    class SignDescent(Optimizer):
        vectors = ("previous",)

        def update(self, theta, grad, lr):
            theta -= lr * self.xp.sign(grad + self.previous)
            self.previous[:] = grad

    theta = np.array([1.0, -1.0])
    optimizer = SignDescent(0.25)
    optimizer.step(theta, theta.copy())
    assert theta.tolist() == [0.75, -0.75]
    assert optimizer.state_dict()["previous"].tolist() == [1.0, -1.0]
    with pytest.raises(NotImplementedError, match="Optimizer does not define update"):
        Optimizer(0.1).step(theta, theta.copy())
    assert repr(Adam(0.5)) == "Adam(lr=0.5, weight_decay=0.0, betas=(0.9, 0.999), eps=1e-08)"
    assert "lr=CosineDecay(lr=0.1, steps=5, final=0.0)" in repr(SGD(CosineDecay(0.1, 5)))
    assert "lr=falling" in repr(SGD(falling))


def falling(t):
    return 1 / (t + 1)


@pytest.mark.parametrize("rate", [-1.0, np.nan, None])
def test_the_rate_of_a_schedule_is_checked_before_anything_changes(rate):
    theta, optimizer = np.ones(2), SGD(lambda t: rate)
    with pytest.raises((TypeError, ValueError), match=r"lr\(t\)"):
        optimizer.step(theta, theta.copy())
    assert theta.tolist() == [1, 1]
    assert optimizer.t == 0
