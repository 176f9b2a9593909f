"""Activations: each a function and its derivative, side by side, safe for any z.

The smooth ones give their second derivative too, so that networks built of them can learn slopes.

No exponential here ever gets a positive argument, so none overflows. What the derivative needs is
cached by forward: A where the derivative is simplest in the output, Z where it needs the input.
"""

from __future__ import annotations

from types import ModuleType

import numpy as np

from tinynn.backend import Array
from tinynn.nn.layers import Cached, Layer, Shape
from tinynn.validation import check_number


def sigmoid(z: Array, xp: ModuleType = np) -> Array:
    """1 / (1 + exp(-z)), for z < 0 as exp(z) / (1 + exp(z))."""
    return xp.exp(xp.minimum(z, 0)) / (1 + xp.exp(-xp.abs(z)))  # S4 (26)


def softplus(z: Array, xp: ModuleType = np) -> Array:
    """ln(1 + exp(z)) = max(z, 0) + ln(1 + exp(-|z|))."""
    return xp.maximum(z, 0) + xp.log1p(xp.exp(-xp.abs(z)))


def softmax(z: Array, xp: ModuleType = np) -> Array:
    """exp(z_i) / sum_j exp(z_j) along the last axis; the same for z shifted by its maximum."""
    e = xp.exp(z - z.max(axis=-1, keepdims=True))
    return e / e.sum(axis=-1, keepdims=True)


class Activation(Layer):
    """a = σ(z): same shape in and out, no parameters."""

    def output_shape(self, shape: Shape) -> Shape:
        return shape


class SmoothActivation(Activation):
    """a = σ(z) with the slope σ'(z) and the curvature σ''(z)."""

    Zdot = Cached("backward_tangent before forward_tangent")

    def slope(self) -> Array:
        """σ'(z) for the z of the last forward."""
        raise NotImplementedError(f"{type(self).__name__} does not define slope")

    def curvature(self) -> Array:
        """σ''(z) for the z of the last forward."""
        raise NotImplementedError(f"{type(self).__name__} does not define curvature")

    def backward(self, dA: Array) -> Array:
        return self.slope() * dA  # dZ = σ'(z) dA

    def forward_tangent(self, Zdot: Array) -> Array:
        self.Zdot = Zdot
        return self.slope() * Zdot  # Ȧ = σ'(z) Ż

    def backward_tangent(self, dA: Array, dAdot: Array) -> tuple[Array, Array]:
        slope = self.slope()
        return slope * dA, slope * dAdot + self.curvature() * self.Zdot * dA  # dŻ = σ' dȦ + σ'' Ż dA


class Sigmoid(SmoothActivation):
    """σ(z) = 1 / (1 + exp(-z)), between 0 and 1; σ' = σ (1 - σ). S4 (26), (27)."""

    A = Cached()

    def forward(self, Z: Array) -> Array:
        self.A = sigmoid(Z, self.xp)
        return self.A

    def slope(self) -> Array:
        return (1 - self.A) * self.A  # σ'(z) = σ(z) (1 - σ(z))                                S4 (27)

    def curvature(self) -> Array:
        return (1 - 2 * self.A) * self.slope()  # σ'' = σ' (1 - 2 σ)


class Tanh(SmoothActivation):
    """tanh(z), between -1 and 1; tanh' = 1 - tanh²."""

    A = Cached()

    def forward(self, Z: Array) -> Array:
        self.A = self.xp.tanh(Z)
        return self.A

    def slope(self) -> Array:
        return 1 - self.A * self.A  # tanh'(z) = 1 - tanh²(z)

    def curvature(self) -> Array:
        return -2 * self.A * self.slope()  # tanh'' = -2 tanh tanh'


class ReLU(Activation):
    """max(0, z); slope 1 for z > 0, else 0 (at the kink z = 0 too, as in torch)."""

    A = Cached()

    def forward(self, Z: Array) -> Array:
        # two arrays: NumPy takes three times as long for an array and a number
        self.A = self.xp.maximum(Z, self.xp.zeros_like(Z))
        return self.A

    def backward(self, dA: Array) -> Array:
        slope = (self.A > 0).astype(self.A.dtype)
        slope *= dA
        return slope


class LeakyReLU(Activation):
    """z for z > 0, else negative_slope * z (the slope at z = 0 is negative_slope, as in torch).

    Parameters
    ----------
    negative_slope : float
        In [0, 1). Source: Maas et al. 2013, "Rectifier nonlinearities improve acoustic models".
    """

    Z = Cached()
    settings = ("negative_slope",)

    def __init__(self, negative_slope: float = 0.01) -> None:
        self.negative_slope = check_number(negative_slope, "negative_slope", low=0, high=1, closed="left")

    def forward(self, Z: Array) -> Array:
        self.Z = Z
        return self.xp.maximum(Z, self.negative_slope * Z)

    def backward(self, dA: Array) -> Array:
        return self.xp.maximum(self.Z > 0, self.negative_slope, dtype=self.Z.dtype) * dA

    def __repr__(self) -> str:
        return f"LeakyReLU({self.negative_slope:g})"


class Softplus(SmoothActivation):
    """ln(1 + exp(z)), a smooth ReLU; its derivative is the sigmoid."""

    Z = Cached()

    def forward(self, Z: Array) -> Array:
        self.Z = Z
        return softplus(Z, self.xp)

    def slope(self) -> Array:
        return sigmoid(self.Z, self.xp)  # softplus'(z) = σ(z)

    def curvature(self) -> Array:
        S = self.slope()
        return S * (1 - S)  # softplus'' = σ' = σ (1 - σ)


class SiLU(SmoothActivation):
    """z σ(z), a smooth ReLU that dips below zero.

    Source: Elfwing et al. 2018, "Sigmoid-weighted linear units".
    """

    Z, S = Cached(), Cached()

    def forward(self, Z: Array) -> Array:
        self.Z, self.S = Z, sigmoid(Z, self.xp)
        return Z * self.S

    def slope(self) -> Array:
        return self.S * (1 + self.Z * (1 - self.S))  # (z σ)' = σ + z σ' = σ (1 + z (1 - σ))

    def curvature(self) -> Array:
        S = self.S
        return S * (1 - S) * (2 + self.Z * (1 - 2 * S))  # (z σ)'' = 2 σ' + z σ'' = σ' (2 + z (1 - 2 σ))


class Softmax(Activation):
    """a_i = exp(z_i) / sum_j exp(z_j) over the features: probabilities that sum to one.

    Every output depends on every input: da_i/dz_j = a_i (δ_ij - a_j). To train a classifier, let the
    network end in logits and use `CrossEntropy`, which contains the softmax. S4, activation functions
    (the erratum there: the sum in the denominator needs an index of its own).
    """

    A = Cached()

    def forward(self, Z: Array) -> Array:
        self.A = softmax(Z, self.xp)
        return self.A

    def backward(self, dA: Array) -> Array:
        weighted = dA * self.A
        mean = weighted.sum(axis=-1, keepdims=True)
        weighted -= self.A * mean  # dz_j = a_j (da_j - sum_i da_i a_i)
        return weighted
