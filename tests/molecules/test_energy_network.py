"""The network of energy and forces as a layer: against torch's double backward, and its manners."""

import copy
import pickle

import numpy as np
import pytest
import torch
from cases import TorchResidual
from molecules.cases import configurations
from reference.torch_force_field import loss_and_gradients

from tinynn.backend import asarray, to_numpy
from tinynn.gradcheck import check_layer, check_loss
from tinynn.molecules import EnergyAndForces, EnergyForceLoss, inverse_distances
from tinynn.nn import (
    Chain,
    Dense,
    Dropout,
    LeakyReLU,
    ReLU,
    Residual,
    Sequential,
    Sigmoid,
    SiLU,
    Softmax,
    Softplus,
    Tanh,
)
from tinynn.optim import Adam

torch.set_num_threads(1)
ACTIVATIONS = {
    Tanh: torch.nn.Tanh,
    Sigmoid: torch.nn.Sigmoid,
    SiLU: torch.nn.SiLU,
    Softplus: lambda: torch.nn.Softplus(threshold=40),
}
N, D, P = 4, 3, 6


def network(activation=Tanh, backend="numpy", dtype="float64"):
    layers = (Dense(P, 9), activation(), Residual(Dense(9, 9), activation()), Dense(9, 1))
    return Sequential(EnergyAndForces(*layers, n_coordinates=N * D), rng=0, dtype=dtype, backend=backend)


def rows(R, mean, scale):
    x, J = inverse_distances(R), inverse_distances.jacobian(R)
    return np.column_stack(
        [(x - mean) / scale, (J.reshape(*x.shape, -1) / scale[:, None]).reshape(len(x), -1)]
    )


def data(M, seed):
    rng = np.random.default_rng(seed)
    R = configurations(M, N, D, seed)
    return R, rng.standard_normal(M), 3 * rng.standard_normal(R.shape), rng.random(P), 0.2 + rng.random(P)


@pytest.mark.parametrize("activation", ACTIVATIONS)
@pytest.mark.parametrize(("w_E", "w_F"), [(0.7, 1.9), (1.0, 0.0), (0.0, 1.0)])
def test_the_gradient_of_the_loss_agrees_with_double_backward(activation, w_E, w_F):
    R, E, F, mean, scale = data(7, seed=1)
    model, loss = network(activation), EnergyForceLoss(w_E, w_F)
    act = ACTIVATIONS[activation]
    twin = torch.nn.Sequential(
        torch.nn.Linear(P, 9), act(), TorchResidual(torch.nn.Linear(9, 9), act()), torch.nn.Linear(9, 1)
    ).double()
    state = {name.removeprefix("0."): torch.tensor(x) for name, x in model.state_dict().items()}
    twin.load_state_dict(state)
    X = rows(R, mean, scale)
    for _ in range(2):
        value = loss.forward(model.forward(X), np.column_stack([E, F.reshape(len(R), -1)]))
        model.backward_parameters(loss.backward())
    expected, gradients = loss_and_gradients(
        twin, R, E, F, mean=mean, scale=scale, energy_weight=w_E, force_weight=w_F
    )
    assert value == pytest.approx(expected, rel=1e-12)
    largest = max(abs(x).max() for x in gradients.values())
    for name, x in model.gradients().items():
        torchs = gradients[name.removeprefix("0.")]
        np.testing.assert_allclose(x, torchs, rtol=1e-9, atol=1e-13 * largest, err_msg=name)


@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_it_is_a_layer_with_right_gradients(activation):
    report = check_layer(network(activation).layers[0], rows(*(data(4, seed=2)[i] for i in (0, 3, 4))))
    assert report.ok, report


class Doubled(Chain):
    def forward(self, X):
        return 2 * super().forward(X)

    def backward(self, dY):
        return super().backward(2 * dY)


def test_a_layer_of_the_users_own_without_tangents_is_refused():
    """Those of the Chain would be half of what its forces need."""
    with pytest.raises(TypeError, match=r"^layer 0, Doubled\(.*has no tangents"):
        EnergyAndForces(Doubled(Dense(P, 4), Tanh()), Dense(4, 1), n_coordinates=N * D)


def test_backward_input_leaves_the_gradient_alone():
    R, _, _, mean, scale = data(5, seed=3)
    model, X = network(), rows(R, mean, scale)
    dY = np.random.default_rng(0).standard_normal(model.forward(X).shape)
    dX = model.backward(dY)
    model.grad[:] = 7
    np.testing.assert_array_equal(model.backward_input(dY), dX)
    assert (model.grad == 7).all()


def test_backward_and_backward_parameters_agree():
    R, _, _, mean, scale = data(5, seed=3)
    model, rng = network(), np.random.default_rng(0)
    X = rows(R, mean, scale)
    dY = rng.standard_normal(model.forward(X).shape)
    dX, grad = model.backward(dY), model.grad.copy()
    assert dX.shape == X.shape
    model.grad[:] = 0
    model.backward_parameters(dY)
    np.testing.assert_array_equal(model.grad, grad)


def test_prediction_leaves_a_pending_step_alone():
    R, _, _, mean, scale = data(5, seed=3)
    model, alone = network(), network()
    X, dY = rows(R, mean, scale), np.random.default_rng(0).standard_normal((5, 1 + N * D))
    for m in (model, alone):
        Y = m.forward(X)
    model.grad[:] = 5
    np.testing.assert_array_equal(model.predict(X), Y)
    assert (model.grad == 5).all()
    model.predict(2 * X[:2])
    np.testing.assert_array_equal(model.backward(dY), alone.backward(dY))
    np.testing.assert_array_equal(model.grad, alone.grad)


@pytest.mark.parametrize(
    "clone", [copy.deepcopy, lambda x: pickle.loads(pickle.dumps(x))], ids=["copy", "pickle"]
)
def test_copies_compute_the_same(clone):
    R, _, _, mean, scale = data(3, seed=3)
    model = network()
    np.testing.assert_array_equal(
        clone(model).predict(rows(R, mean, scale)), model.predict(rows(R, mean, scale))
    )


def test_float32_stays_float32():
    R, E, F, mean, scale = data(3, seed=4)
    exact, model, loss = network(), network(dtype="float32"), EnergyForceLoss()
    X, y = rows(R, mean, scale), np.column_stack([E, F.reshape(3, -1)])
    loss.forward(exact.forward(X), y)
    exact.backward(loss.backward())
    prediction = model.forward(X.astype(np.float32))
    loss.forward(prediction, y.astype(np.float32))
    dY = loss.backward()
    dX = model.backward(dY)
    assert {x.dtype for x in (prediction, dY, dX, model.grad)} == {np.dtype(np.float32)}
    np.testing.assert_allclose(model.grad, exact.grad, rtol=1e-3, atol=1e-4 * abs(exact.grad).max())


def test_training_steps_on_a_foreign_library(device):
    R, E, F, mean, scale = data(6, seed=5)
    X, y = rows(R, mean, scale), np.column_stack([E, F.reshape(6, -1)])
    thetas = []
    for backend in ("numpy", device):
        model, loss, optimizer = network(SiLU, backend), EnergyForceLoss(0.5, 2.0), Adam(1e-2)
        for _ in range(3):
            loss.forward(model.forward(asarray(X, backend)), asarray(y, backend))
            model.backward_parameters(loss.backward())
            optimizer.step(model.theta, model.grad)
        thetas.append(to_numpy(model.theta))
    np.testing.assert_allclose(thetas[1], thetas[0], rtol=1e-9)


@pytest.mark.parametrize(
    ("layers", "words"),
    [
        (
            (Dense(3, 4), ReLU(), Dense(4, 1)),
            r"^layer 1, ReLU\(\), has no tangents.*Tanh, Sigmoid, Softplus, SiLU",
        ),
        ((Dense(3, 4), LeakyReLU(), Dense(4, 1)), r"^layer 1, LeakyReLU\(0.01\), has no tangents"),
        ((Dense(3, 4), Tanh(), Dropout(0.1), Dense(4, 1)), r"^layer 2, Dropout\(0.1\), has no tangents"),
        ((Dense(3, 1), Softmax()), r"^layer 1, Softmax\(\), has no tangents"),
        (
            (Residual(Dense(3, 3), ReLU()), Dense(3, 1)),
            r"^layer 0, Residual\(Dense\(3, 3\), ReLU\(\)\), has no",
        ),
        ((Dense(3, 4), "tanh", Dense(4, 1)), "^layer 1 is 'tanh'; wanted an instance"),
        (
            (EnergyAndForces(Dense(3, 1), n_coordinates=2), Dense(3, 1)),
            r"^layer 0, EnergyAndForces\(Dense\(3, 1\), n_coordinates=2\), has no tangents",
        ),
    ],
)
def test_layers_that_are_not_smooth_are_refused_by_name(layers, words):
    with pytest.raises(TypeError, match=words):
        EnergyAndForces(*layers, n_coordinates=6)


@pytest.mark.parametrize(
    ("layers", "n_coordinates", "error", "words"),
    [
        ((), 6, ValueError, "needs at least one layer"),
        ((Tanh(),), 6, ValueError, "no layer says how many features it takes"),
        ((Dense(3, 2),), 6, ValueError, r"map 3 features to shape \(1, 2\); wanted one energy"),
        ((Dense(3, 1),), 0, ValueError, "n_coordinates must be at least 1; got 0"),
        ((Dense(3, 1),), 2.0, TypeError, r"n_coordinates must be an integer; got 2\.0"),
    ],
)
def test_bad_arguments_are_named(layers, n_coordinates, error, words):
    with pytest.raises(error, match=words):
        EnergyAndForces(*layers, n_coordinates=n_coordinates)


def test_rows_of_the_wrong_width_are_refused():
    with pytest.raises(ValueError, match=r"X has shape \(2, 10\); wanted \(any, 78\)"):
        network().predict(np.ones((2, 10)))
    with pytest.raises(ValueError, match="wants 78 inputs but is given 10"):
        network().layers[0].output_shape((2, 10))


def test_backward_before_forward_says_so():
    with pytest.raises(RuntimeError, match="EnergyAndForces: backward before forward"):
        network().layers[0].backward(np.ones((2, 13)))


def test_the_loss_is_its_formula():
    rng = np.random.default_rng(0)
    a, y = rng.standard_normal((2, 5, 7))
    loss = EnergyForceLoss(0.3, 2.0)
    expected = 0.3 * np.mean((a - y)[:, 0] ** 2) + 2 * np.mean((a - y)[:, 1:] ** 2)
    assert loss.forward(a, y) == pytest.approx(expected, rel=1e-14)
    report = check_loss(loss, a, y)
    assert report.ok, report
    assert repr(loss) == "EnergyForceLoss(energy_weight=0.3, force_weight=2)"


def test_a_prediction_without_forces_is_refused():
    with pytest.raises(ValueError, match=r"^prediction has shape \(5, 1\); wanted \[e, f\]"):
        EnergyForceLoss().forward(np.ones((5, 1)), np.ones((5, 1)))


@pytest.mark.parametrize(
    ("weights", "error"), [((-1, 1), ValueError), ((1, np.nan), ValueError), (("1", 1), TypeError)]
)
def test_bad_weights_are_refused(weights, error):
    with pytest.raises(error, match=r"(energy|force)_weight must"):
        EnergyForceLoss(*weights)
