"""The check of tangents is checked: right layers pass, the wrong method of a wrong one is named."""

import numpy as np
import pytest

from tinynn.gradcheck import GradientBatchWarning, check_layer, check_model, check_tangents
from tinynn.molecules import EnergyAndForces, EnergyForceLoss
from tinynn.nn import Dense, Residual, Sequential, SiLU, Tanh

rng = np.random.default_rng(3)
X = rng.standard_normal((5, 4))


class SignOfCurvature(Tanh):
    def curvature(self):
        return -super().curvature()


class WithoutCurvature(SiLU):
    def curvature(self):
        return np.zeros_like(self.Z)


class TwiceTheTangent(Tanh):
    def forward_tangent(self, Zdot):
        return 2 * super().forward_tangent(Zdot)


class TangentWithoutSlope(Tanh):
    def forward_tangent(self, Zdot):
        super().forward_tangent(Zdot)
        return Zdot


class WithoutSecondTerm(Dense):
    def backward_tangent(self, dY, dYdot):
        self.backward_parameters(dYdot)  # dẎ' X, without dY' Ẋ
        return self.backward_input(dY), dYdot @ self.W


class WithoutFirstTerm(Dense):
    def backward_tangent(self, dY, dYdot):
        result = super().backward_tangent(dY, dYdot)
        self.dW -= dYdot.T @ self.X
        return result


class BiasOfTheWrongOne(Dense):
    def backward_tangent(self, dY, dYdot):
        result = super().backward_tangent(dY, dYdot)
        self.db = dY.sum(axis=0)
        return result


class AffineTangent(Dense):
    def forward_tangent(self, Xdot):
        return super().forward_tangent(Xdot) + self.b


class TangentAsInput(Dense):
    """Sends dẊ where dX has to go."""

    def backward_tangent(self, dY, dYdot):
        _, dXdot = super().backward_tangent(dY, dYdot)
        return 2 * dXdot, dXdot


class WrongInputGradient(Dense):
    def backward(self, dY):
        self.backward_parameters(dY)
        return dY @ self.W

    def backward_input(self, dY):
        return 1.001 * (dY @ self.W)

    forward_tangent, backward_tangent = Dense.forward_tangent, Dense.backward_tangent


WRONG = [
    (SignOfCurvature(), "backward_tangent, X:"),
    (WithoutCurvature(), "backward_tangent, X:"),
    (TwiceTheTangent(), "forward_tangent, Xdot: factor 2"),
    (TangentWithoutSlope(), "forward_tangent, Xdot:"),
    (WithoutSecondTerm(4, 3, rng=0), "backward_tangent, W:"),
    (WithoutFirstTerm(4, 3, rng=0), "backward_tangent, W:"),
    (BiasOfTheWrongOne(4, 3, rng=0), "backward_tangent, b:"),
    (TangentAsInput(4, 3, rng=0), "backward_tangent: its dX is not that of backward"),
    (WrongInputGradient(4, 3, rng=0), "backward_input: its dX is not that of backward"),
    (Residual(Dense(4, 4, rng=0), SignOfCurvature()), "backward_tangent, X:"),
]


@pytest.mark.parametrize(("layer", "words"), WRONG, ids=lambda x: repr(x) if not isinstance(x, str) else "")
def test_every_wrong_tangent_is_caught_and_named(layer, words):
    assert check_layer(layer, X).ok  # what it does in training without slopes is right
    report = check_tangents(layer, X)
    assert not report.ok
    assert report.diagnosis[0].startswith(words), report


def test_a_tangent_with_a_constant_is_caught():
    layer = AffineTangent(4, 3, rng=0)
    layer.b[:] = 0.3
    report = check_tangents(layer, X)
    assert not report.ok
    assert report.diagnosis[0].startswith("backward_tangent, b:"), report


def test_a_wrong_backward_is_found_first():
    class SignOfInput(Tanh):
        def backward(self, dA):
            return -super().backward(dA)

    assert check_tangents(SignOfInput(), X).diagnosis == ("X: the sign is wrong",)


def network(activation, linear=Dense):
    layers = linear(4, 5), activation(), Residual(Dense(5, 5), Tanh()), Dense(5, 1)
    return Sequential(EnergyAndForces(*layers, n_coordinates=6), rng=0, dtype="float64")


ROWS = rng.standard_normal((5, 4 * 7))
TARGET = rng.standard_normal((5, 7))


def test_the_gradient_of_energies_and_forces_passes():
    report = check_model(network(SiLU), ROWS, TARGET, EnergyForceLoss(0.7, 2.0))
    assert report.ok, report
    assert set(report.errors) == {"X", *network(SiLU).parameters()}
    assert report.max_relative_error < 1e-8


@pytest.mark.parametrize(
    ("activation", "linear"),
    [
        (SignOfCurvature, Dense),
        (WithoutCurvature, Dense),
        (TwiceTheTangent, Dense),
        (TangentWithoutSlope, Dense),
        (Tanh, WithoutSecondTerm),
        (Tanh, WithoutFirstTerm),
        (Tanh, BiasOfTheWrongOne),
        (Tanh, WrongInputGradient),
    ],
)
def test_a_wrong_tangent_spoils_the_gradient_of_energies_and_forces(activation, linear):
    report = check_model(network(activation, linear), ROWS, TARGET, EnergyForceLoss(0.7, 2.0))
    assert not report.ok
    assert report.diagnosis[0].startswith("layer 0, EnergyAndForces("), report


def test_a_batch_of_one_warns():
    with pytest.warns(GradientBatchWarning):
        assert check_tangents(Tanh(), X[:1]).ok


def test_the_checked_layer_is_left_alone():
    layer = Dense(4, 3, rng=0)
    W = layer.W.copy()
    assert check_tangents(layer, X).ok
    np.testing.assert_array_equal(layer.W, W)
    assert layer.dW is None
