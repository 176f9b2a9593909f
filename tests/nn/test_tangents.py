"""Tangents of every layer that has them, through the table of cases: against torch, and their manners."""

import numpy as np
import pytest
import torch
from cases import LAYERS, named_parameters, network

from tinynn.backend import asarray, to_numpy
from tinynn.gradcheck import check_tangents
from tinynn.nn import Chain, Dense, Dropout, Layer, MeanSquaredError, Residual, Sequential, Tanh
from tinynn.optim import SGD
from tinynn.training import fit

RTOL = 1e-9
EXTREMES = [-800.0, -745.0, -100.0, -36.0, -1.0, -1e-8, -0.0, 0.0, 1e-8, 1.0, 36.0, 100.0, 745.0, 800.0]
SMOOTH = {name: case for name, case in LAYERS.items() if case.smooth}

every_layer = pytest.mark.parametrize("case", LAYERS.values(), ids=LAYERS.keys())
every_smooth_layer = pytest.mark.parametrize("case", SMOOTH.values(), ids=SMOOTH.keys())


def assert_close(ours, torchs):
    torchs = torchs.detach().numpy()
    assert ours.shape == torchs.shape
    np.testing.assert_allclose(ours, torchs, rtol=RTOL, atol=1e-14 * abs(torchs).max(initial=0))


def arguments(case, seed, n=None, M=None):
    """X, Ẋ, and a function that draws dY and dẎ of the shape of Y."""
    rng = np.random.default_rng(seed)
    M = M or (1 if seed == 0 else int(rng.integers(2, 9)))
    n = n or int(rng.integers(1, 8))
    X = case.scale * rng.standard_normal((M, n))
    return X, rng.standard_normal(X.shape), lambda Y: rng.standard_normal((2, *Y.shape))


def all_tangents(layer, X, Xdot, draw):
    """Ẏ, dX, dẊ and the gradients by name, with the dY and dẎ they belong to."""
    dY, dYdot = draw(layer.forward(X))
    Ydot = layer.forward_tangent(Xdot)
    dX, dXdot = layer.backward_tangent(dY, dYdot)
    gradients = {name: gradient for name, (_, gradient) in named_parameters(layer).items()}
    return (Ydot, dX, dXdot, gradients), (dY, dYdot)


def compare_with_torch(case, X, Xdot, draw):
    """dẊ and dẆ are the derivatives of sum(dẎ * Y + dY * Ẏ)."""
    layer, twin = case.build(X.shape[1]), case.twin(X.shape[1]).double()
    twin.load_state_dict({name: torch.tensor(x) for name, (x, _) in named_parameters(layer).items()})
    with np.errstate(all="raise", under="ignore"):
        (Ydot, dX, dXdot, gradients), upstream = all_tangents(layer, X, Xdot, draw)
    dY, dYdot = map(torch.tensor, upstream)
    X = torch.tensor(X, requires_grad=True)
    parameters = dict(twin.named_parameters())
    Y, Ydot_torch = torch.autograd.functional.jvp(twin, X, torch.tensor(Xdot), create_graph=True)
    assert_close(Ydot, Ydot_torch)
    assert_close(dX, torch.autograd.grad((dY * Y).sum(), X, create_graph=True)[0])
    pair = (dYdot * Y).sum() + (dY * Ydot_torch).sum()
    dXdot_torch, *gradients_torch = torch.autograd.grad(pair, [X, *parameters.values()])
    assert_close(dXdot, dXdot_torch)
    assert gradients.keys() == parameters.keys()
    for name, gradient in zip(parameters, gradients_torch, strict=True):
        assert_close(gradients[name], gradient)


@every_smooth_layer
@pytest.mark.parametrize("seed", range(5))
def test_tangents_agree_with_torch(case, seed):
    compare_with_torch(case, *arguments(case, seed))


@every_smooth_layer
def test_tangents_agree_with_torch_for_extreme_inputs(case):
    rng = np.random.default_rng(0)
    X = np.column_stack([EXTREMES, EXTREMES[::-1], rng.permutation(EXTREMES)])
    compare_with_torch(case, X, rng.standard_normal(X.shape), lambda Y: rng.standard_normal((2, *Y.shape)))


@every_smooth_layer
def test_tangents_pass_the_check(case):
    X, _, _ = arguments(case, 1, M=4, n=3)
    report = check_tangents(case.build(3), X)
    assert report.ok, report
    assert {"X", "Xdot"} <= report.errors.keys()


@every_layer
def test_layers_without_tangents_say_so(case):
    layer = case.build(3)
    assert layer.has_tangents == case.smooth
    if not case.smooth:
        X = np.ones((2, 3))
        Y = layer.forward(X)
        with pytest.raises(
            NotImplementedError, match=r"(ReLU|Softmax|Dropout) does not define forward_tangent"
        ):
            layer.forward_tangent(X)
        with pytest.raises(
            NotImplementedError, match=r"(ReLU|Softmax|Dropout) does not define backward_tangent"
        ):
            layer.backward_tangent(Y, Y)


@every_layer
def test_backward_input_is_backward_without_gradients(case):
    X, _, draw = arguments(case, 1)
    layer = case.build(X.shape[1])
    dY, _ = draw(layer.forward(X))
    dX = layer.backward(dY)
    for _, gradient in named_parameters(layer).values():
        gradient[...] = 7
    np.testing.assert_array_equal(layer.backward_input(dY), dX)
    assert all((gradient == 7).all() for _, gradient in named_parameters(layer).values())


def test_tangents_of_dense_are_the_equations():
    layer = Dense(2, 1, rng=0)
    layer.W[:] = [[3, 5]]
    X, Xdot = np.array([[1.0, 2.0], [0.0, 1.0]]), np.array([[1.0, 0.0], [2.0, 1.0]])
    layer.forward(X)
    np.testing.assert_array_equal(layer.forward_tangent(Xdot), [[3], [11]])  # Ẋ W'
    dX, dXdot = layer.backward_tangent(np.array([[1.0], [10.0]]), np.array([[100.0], [1000.0]]))
    np.testing.assert_array_equal(dX, [[3, 5], [30, 50]])  # dY W
    np.testing.assert_array_equal(dXdot, [[300, 500], [3000, 5000]])  # dẎ W
    np.testing.assert_array_equal(layer.dW, [[100 + 1 + 20, 1200 + 10]])  # dẎ' X + dY' Ẋ
    np.testing.assert_array_equal(layer.db, [1100])


@every_smooth_layer
def test_tangents_keep_float32_and_their_arguments_and_repeat_themselves(case):
    X, Xdot, draw = arguments(case, 1, n=3)
    model = network(case, 3)
    X, Xdot = X.astype(np.float32), Xdot.astype(np.float32)
    upstream = draw(model.forward(X)).astype(np.float32)
    for x in (X, Xdot, upstream):
        x.flags.writeable = False
    results = []
    for _ in range(2):
        (Ydot, dX, dXdot, _), _ = all_tangents(model, X, Xdot, lambda Y: upstream)
        assert {x.dtype for x in (Ydot, dX, dXdot, model.grad)} == {np.dtype(np.float32)}
        results.append([Ydot, dX, dXdot, model.grad.copy()])
    for first, second in zip(*results, strict=True):
        np.testing.assert_array_equal(first, second)


@every_smooth_layer
def test_tangents_on_a_foreign_library(case, device):
    X, Xdot, draw = arguments(case, 3, n=3)
    model = network(case, 3, dtype="float64")
    upstream = draw(model.forward(X))
    expected, _ = all_tangents(model, X, Xdot, lambda Y: upstream)
    expected = [*expected[:3], model.grad]
    twin = network(case, 3, dtype="float64", backend=device)
    on_device = asarray(upstream, device)
    found, _ = all_tangents(twin, asarray(X, device), asarray(Xdot, device), lambda Y: on_device)
    for a, b in zip(expected, [*found[:3], twin.grad], strict=True):
        assert type(b) is type(twin.theta)
        np.testing.assert_allclose(to_numpy(b), a, rtol=1e-12, atol=1e-13)


@pytest.mark.parametrize("layer", [Dense(3, 2, rng=0), Tanh(), Residual(Tanh())], ids=repr)
def test_backward_tangent_before_forward_tangent_names_the_layer(layer):
    Y = layer.forward(np.ones((2, 3)))
    with pytest.raises(RuntimeError, match=r"(Dense|Tanh): backward_tangent before forward_tangent"):
        layer.backward_tangent(Y, Y)


def test_a_layer_without_tangents_inside_is_found():
    class Identity(Layer):
        def forward(self, X):
            return X

        def backward(self, dY):
            return dY

    assert not Chain(Tanh(), Residual(Identity())).has_tangents
    assert Chain(Tanh(), Residual(Dense(3, 3, rng=0))).has_tangents


class Scaled(Chain):
    """2 f(X), without tangents."""

    def forward(self, X):
        return 2 * super().forward(X)

    def backward(self, dY):
        return super().backward(2 * dY)


class Clipped(Dense):
    """Gradients only as far as they are small, without tangents."""

    def backward(self, dY):
        return super().backward(np.clip(dY, -0.1, 0.1))


class InItsOwnParts(Dense):
    def backward(self, dY):
        self.backward_parameters(3 * dY)
        return self.backward_input(3 * dY)


OWN = [Scaled(Dense(3, 2, rng=0), Tanh()), Clipped(3, 2, rng=0), InItsOwnParts(3, 2, rng=0)]


@pytest.mark.parametrize("layer", OWN, ids=lambda layer: type(layer).__name__)
def test_a_backward_of_its_own_goes_with_no_inherited_derivative(layer):
    assert not layer.has_tangents
    model = Sequential(layer, Tanh(), rng=0, dtype="float64")
    dY = np.random.default_rng(0).standard_normal(model.forward(np.ones((4, 3))).shape)
    dX, grad = model.backward(dY).copy(), model.grad.copy()
    model.grad[:] = 7
    np.testing.assert_array_equal(model.backward_input(dY), dX)
    assert (model.grad == 7).all()
    model.backward_parameters(dY)
    np.testing.assert_array_equal(model.grad, grad)
    with pytest.raises(NotImplementedError, match="does not define forward_tangent"):
        model.forward_tangent(np.ones((4, 3)))


def test_training_uses_the_backward_of_a_networks_subclass():
    class Frozen(Sequential):
        def backward(self, dY):
            return super().backward(0 * dY)

    model = Frozen(Dense(3, 1), rng=0)
    before = model.theta.copy()
    data = np.ones((4, 3)), np.ones((4, 1))
    fit(model, data, loss=MeanSquaredError(), optimizer=SGD(0.1), epochs=1, batch_size=4, progress=False)
    np.testing.assert_array_equal(model.theta, before)


def test_dropout_does_nothing_to_the_gradient_of_a_prediction():
    dropout = Dropout(0.5, rng=0)
    X = np.ones((4, 3))
    for train_first in (False, True):
        if train_first:
            dropout.forward(X)
        twin = dropout.inference_copy()
        np.testing.assert_array_equal(twin.forward(X), X)
        np.testing.assert_array_equal(twin.backward(X), X)
