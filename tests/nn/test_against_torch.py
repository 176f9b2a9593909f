"""Every public layer and loss, through one table: against torch, against differences, and its manners."""

import copy
import inspect

import numpy as np
import pytest
import torch
from cases import LAYERS, LOSSES, named_parameters, network

from tinynn import nn
from tinynn.gradcheck import check_layer, check_loss, check_model

torch.set_num_threads(1)
RTOL = 1e-10
EXTREMES = [-800.0, -745.0, -100.0, -36.0, -1.0, -1e-8, -0.0, 0.0, 1e-8, 1.0, 36.0, 100.0, 745.0, 800.0]

every_layer = pytest.mark.parametrize("case", LAYERS.values(), ids=LAYERS.keys())
every_loss = pytest.mark.parametrize("case", LOSSES.values(), ids=LOSSES.keys())


def assert_close(ours, torchs):
    torchs = torchs.detach().numpy()
    assert ours.shape == torchs.shape
    # the sums round, so that a small entry may be off by an error of the large ones
    np.testing.assert_allclose(ours, torchs, rtol=RTOL, atol=1e-14 * abs(torchs).max(initial=0))


def inputs(seed, case, M=None, n=None):
    """X (M, n) and the generator it came from; the first seed gives a batch of one."""
    rng = np.random.default_rng(seed)
    M = M or (1 if seed == 0 else int(rng.integers(2, 9)))
    n = n or int(rng.integers(1, 8))
    return case.scale * rng.standard_normal((M, n)), rng


def read_only(x):
    x = x.copy()
    x.flags.writeable = False
    return x


def test_every_public_class_has_a_case():
    abstract = {"Layer", "Loss"}
    layers = {type(case.build(3)).__name__ for case in LAYERS.values()}
    losses = {type(case.build()).__name__ for case in LOSSES.values()}
    assert layers | losses | abstract == set(nn.__all__)
    public = {name for name, x in vars(nn).items() if inspect.isclass(x)}
    assert public == set(nn.__all__)


def compare_with_torch(case, X, rng):
    layer, twin = case.build(X.shape[1]), case.twin(X.shape[1]).double()
    twin.load_state_dict({name: torch.tensor(x) for name, (x, _) in named_parameters(layer).items()})
    X_torch = torch.tensor(X, requires_grad=True)
    with np.errstate(all="raise", under="ignore"):
        Y, Y_torch = layer.forward(X), twin(X_torch)
        dY = rng.standard_normal(Y.shape)
        Y_torch.backward(torch.tensor(dY))
        dX = layer.backward(dY)
    assert_close(Y, Y_torch)
    assert_close(dX, X_torch.grad)
    gradients = dict(twin.named_parameters())
    for name, (_, gradient) in named_parameters(layer).items():
        assert_close(gradient, gradients[name].grad)


@every_layer
@pytest.mark.parametrize("seed", range(5))
def test_layers_agree_with_torch(case, seed):
    compare_with_torch(case, *inputs(seed, case))


@every_layer
def test_layers_agree_with_torch_for_extreme_inputs(case):
    rng = np.random.default_rng(0)
    X = np.column_stack([EXTREMES, EXTREMES[::-1], rng.permutation(EXTREMES)])
    compare_with_torch(case, X, rng)


@every_layer
def test_layers_pass_the_gradient_check(case):
    X, rng = inputs(1, case, M=4, n=3)
    assert check_layer(case.build(3), X)
    model = nn.Sequential(nn.Dense(3, 3, rng=0), *network(case, 3).layers, dtype="float64")
    report = check_model(model, X, rng.standard_normal(model.predict(X).shape), nn.MeanSquaredError())
    assert report.ok, report
    assert set(report.errors) == {"X", *model.parameters()}


@every_layer
def test_layers_keep_float32(case):
    X, _ = inputs(1, case, n=3)
    model = network(case, 3)
    Y = model.forward(X.astype(np.float32))
    dX = model.backward(np.ones_like(Y))
    kept = [Y, dX, model.theta, model.grad, model.predict(X), *model.parameters().values()]
    kept += [gradient for _, gradient in named_parameters(model).values()]
    assert {x.dtype for x in kept} == {np.dtype(np.float32)}
    if not model.parameters():  # then the layer by itself has nothing that could promote
        layer = case.build(3)
        assert layer.forward(X.astype(np.float32)).dtype == np.float32
        assert layer.backward(np.ones_like(Y)).dtype == np.float32


@every_layer
def test_layers_leave_their_inputs_alone_and_repeat_themselves(case):
    X, rng = inputs(3, case)
    layer = case.build(X.shape[1])
    dY = read_only(rng.standard_normal(layer.forward(read_only(X)).shape))
    dX = layer.backward(dY).copy()
    first = {name: gradient.copy() for name, (_, gradient) in named_parameters(layer).items()}
    np.testing.assert_array_equal(layer.backward(dY), dX)
    for name, (_, gradient) in named_parameters(layer).items():
        np.testing.assert_array_equal(gradient, first[name])
        gradient[...] = np.nan
    layer.backward_parameters(dY)
    for name, (_, gradient) in named_parameters(layer).items():
        np.testing.assert_array_equal(gradient, first[name])


@every_layer
def test_inference_copies_leave_a_pending_backward_alone(case):
    X, rng = inputs(4, case)
    layer, alone = case.build(X.shape[1]), case.build(X.shape[1])
    Y, expected = layer.forward(X), alone.forward(X)
    dY = rng.standard_normal(Y.shape)
    layer.inference_copy().forward(10 * X[:1])
    np.testing.assert_array_equal(Y, expected)
    np.testing.assert_array_equal(layer.backward(dY), alone.backward(dY))
    parameters, others = named_parameters(layer), named_parameters(alone)
    for name in parameters:
        np.testing.assert_array_equal(parameters[name][1], others[name][1])


@every_layer
def test_backward_before_forward_names_the_layer(case):
    layer = case.build(3)
    inside = "|".join(type(inner).__name__ for _, inner in layer.named_layers())
    dY = np.ones(case.build(3).forward(np.ones((2, 3))).shape)
    with pytest.raises(RuntimeError, match=f"({inside}): backward before forward"):
        layer.backward(dY)
    layer.inference_copy().forward(np.ones((2, 3)))
    with pytest.raises(RuntimeError, match=f"({inside}): backward before forward"):
        layer.backward(dY)


@every_layer
def test_layers_can_be_copied_between_forward_and_backward(case):
    X, rng = inputs(1, case)
    layer = case.build(X.shape[1])
    dY = rng.standard_normal(layer.forward(X).shape)
    twin = copy.deepcopy(layer)
    layer.forward(2 * X)
    alone = case.build(X.shape[1])
    alone.forward(X)
    np.testing.assert_array_equal(twin.backward(dY), alone.backward(dY))


@pytest.mark.parametrize("dtypes", [("float32", "float64"), ("float64", "float32")])
def test_dense_by_hand_takes_one_dtype_after_the_other(dtypes):
    layer = nn.Dense(3, 2, rng=0)
    for dtype in dtypes:
        layer.forward(np.ones((4, 3), dtype))
        layer.backward(np.ones((4, 2), dtype))
        assert layer.dW.dtype == layer.db.dtype == dtype
        np.testing.assert_array_equal(layer.dW, 4)
        np.testing.assert_array_equal(layer.db, 4)


# Losses


def loss_and_torch(case, prediction, target):
    """Value and gradient of the loss and of torch's, for both reductions of torch."""
    loss = case.build()
    with np.errstate(all="raise", under="ignore"):
        value, gradient = loss.forward(prediction, target), loss.backward()
    M, n = prediction.shape
    for reduction in ("mean", "sum"):
        z = torch.tensor(prediction, requires_grad=True)
        y = torch.tensor(target)
        torch_value = case.twin(reduction)(z, y.double() if y.ndim == 2 else y.long())
        factor = 1 / M if reduction == "sum" else n if case.mean_over_outputs else 1
        torch_value.backward()
        yield value, gradient, factor * torch_value.item(), factor * z.grad


@every_loss
@pytest.mark.parametrize("seed", range(6))
def test_losses_agree_with_torch(case, seed):
    rng = np.random.default_rng(seed)
    shape = (1 if seed == 0 else int(rng.integers(2, 9)), 1 if seed == 1 else int(rng.integers(2, 6)))
    target = case.target(rng, shape)
    for value, gradient, torch_value, torch_gradient in loss_and_torch(case, _near(rng, shape), target):
        assert isinstance(value, float)
        assert value == pytest.approx(torch_value, rel=RTOL, abs=1e-15)
        assert_close(gradient, torch_gradient)


def _near(rng, shape):
    return 2 * rng.standard_normal(shape)


@every_loss
def test_losses_agree_with_torch_for_extreme_predictions(case):
    rng = np.random.default_rng(0)
    prediction = np.column_stack([EXTREMES, EXTREMES[::-1], rng.permutation(EXTREMES)])
    for _ in range(3):
        target = case.target(rng, prediction.shape)
        for value, gradient, torch_value, torch_gradient in loss_and_torch(case, prediction, target):
            assert value == pytest.approx(torch_value, rel=RTOL, abs=0)
            assert_close(gradient, torch_gradient)


@pytest.mark.parametrize("z", [10.0, 30.0, 36.0, 100.0, 700.0])
def test_binary_cross_entropy_keeps_small_losses(z):
    # -ln σ(z) = exp(-z) - exp(-2z)/2 + ..., far below the rounding of softplus(z) - z
    expected = np.exp(-z) - np.exp(-2 * z) / 2
    for prediction, target in ((z, 1.0), (-z, 0.0)):
        value = nn.BinaryCrossEntropy().forward([[prediction]], [[target]])
        assert value == pytest.approx(expected, rel=1e-8, abs=0)


@every_loss
def test_losses_pass_the_gradient_check(case):
    rng = np.random.default_rng(1)
    report = check_loss(case.build(), _near(rng, (4, 3)), case.target(rng, (4, 3)))
    assert report.ok, report


@every_loss
def test_losses_keep_float32(case):
    rng = np.random.default_rng(1)
    loss = case.build()
    exact = loss.forward(_near(rng, (4, 3)), target := case.target(rng, (4, 3)))
    prediction = loss.prediction.astype(np.float32)
    assert loss.forward(prediction, target) == pytest.approx(exact, rel=1e-5)
    assert loss.backward().dtype == np.float32
    assert loss.prediction.dtype == loss.target.dtype == np.float32


@every_loss
def test_losses_leave_their_arguments_alone_and_repeat_themselves(case):
    rng = np.random.default_rng(1)
    loss = case.build()
    prediction, target = read_only(_near(rng, (4, 3))), read_only(case.target(rng, (4, 3)))
    value = loss.forward(prediction, target)
    gradient = loss.backward()
    kept = gradient.copy()
    gradient[...] = np.nan  # it belongs to the caller
    np.testing.assert_array_equal(loss.backward(), kept)
    assert loss.forward(prediction, target) == value


@every_loss
def test_backward_before_forward_names_the_loss(case):
    loss = case.build()
    with pytest.raises(RuntimeError, match=f"{type(loss).__name__}: backward before forward"):
        loss.backward()
