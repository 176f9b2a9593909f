"""Losses: one number for how wrong a batch of predictions is, and its derivative.

Every loss is the mean over the M samples of a batch, as on the slides, of a sum over the n outputs
of a sample. torch's ``reduction="mean"`` divides by n as well, so for n outputs L = n L_torch (for
`CrossEntropy`, where torch averages over samples too, L = L_torch). ``reduction="sum"`` gives M L.

Usage: ``value = loss.forward(prediction, target)``, then ``loss.backward()`` is dL/d prediction.
"""

from __future__ import annotations

from types import ModuleType

import numpy as np

from tinynn.backend import Array, OnBackend, get_array_module
from tinynn.nn.activations import sigmoid, softplus
from tinynn.nn.layers import Cached, Shape, product
from tinynn.validation import check_array, check_number, check_same_length


class Loss(OnBackend):
    """Mean over samples of an error of a prediction (M, n) against a target of the same shape.

    A subclass defines `compute` and `backward`, and `check_target` if its targets are special.
    """

    prediction, target = Cached(), Cached()
    settings: tuple[str, ...] = ()  # as of a layer
    recordable = True

    def forward(self, prediction: Array, target: Array) -> float:
        """L(prediction, target), a Python float; keeps what backward needs.

        Parameters
        ----------
        prediction : (M, n)
            What the network returns.
        target : (M, n), or (M,) if n = 1
            See the class for what is allowed.

        Raises
        ------
        TypeError, ValueError
            Shapes that do not fit, NaN or inf, values the loss is not made for, or arrays of
            different libraries.
        """
        get_array_module(prediction=prediction, target=target)
        prediction = check_array(prediction, "prediction", ndim=2)
        value = self.compute(prediction, self.check_target(target, prediction.shape, prediction.dtype))
        # no number, from a loss of somebody's own, is for the gradient checker to name
        return value if getattr(value, "shape", ()) else float(value)

    def check_target(self, target: Array, shape: Shape, dtype: np.dtype) -> Array:
        """`target` in the shape and dtype of the prediction it will be compared with.

        The door in front of `compute`: `fit` passes it once with all its data instead of once a step.
        """
        target = check_array(target, "target", ndim=(1, 2), dtype=dtype)
        if target.ndim == 1 and shape[1] == 1:
            target = target[:, None]
        if target.shape != shape:
            raise ValueError(f"target has shape {target.shape} but prediction has shape {shape}")
        return target

    def compute(self, prediction: Array, target: Array) -> Array:
        """`forward` for arguments that `check_target` has let through.

        The loss may stay where it was computed, in an array without dimensions; of K networks at once, with
        prediction and target (K, M, n), it is (K,).
        """
        raise NotImplementedError(f"{type(self).__name__} does not define compute")

    def backward(self) -> Array:
        """The derivative dL/d prediction (M, n) for the arguments of the last forward.

        Raises
        ------
        RuntimeError
            Before the first forward.
        """
        raise NotImplementedError(f"{type(self).__name__} does not define backward")

    def _keep(self, prediction: Array, target: Array) -> ModuleType:
        """Cache both for backward; return their array library."""
        self.prediction, self.target = prediction, target
        self.xp = get_array_module(prediction)
        return self.xp

    def _mean(self, errors: Array) -> Array:
        """The mean over M samples of the sum over n outputs, of errors (..., M, n)."""
        return errors.sum(axis=(-2, -1)) / errors.shape[-2]

    def __repr__(self) -> str:
        return f"{type(self).__name__}()"


class MeanSquaredError(Loss):
    """L_Q = 1/M sum_m |a_m - y_m|², the quadratic loss of S4; n times torch's MSELoss."""

    error = Cached()

    def compute(self, prediction: Array, target: Array) -> Array:
        xp = self._keep(prediction, target)
        self.error = prediction - target
        e = self.error.reshape(*self.error.shape[:-2], 1, -1)  # a row: the product is the sum of squares
        return product(xp, e, e.mT)[..., 0, 0] / self.error.shape[-2]  # L_Q = 1/M sum |a^L - y|²  S4 L_Q

    def backward(self) -> Array:
        return self.error * (2 / self.error.shape[-2])  # 2/M (a^L - y), with the 2/M that S4 BP1 omits


class MeanAbsoluteError(Loss):
    """1/M sum_m |a_m - y_m|₁, n times torch's L1Loss; the slope at zero error is taken as 0."""

    def compute(self, prediction: Array, target: Array) -> Array:
        xp = self._keep(prediction, target)
        return self._mean(xp.abs(prediction - target))

    def backward(self) -> Array:
        return self.xp.sign(self.prediction - self.target) / self.prediction.shape[-2]


class Huber(Loss):
    """e²/2 for |e| <= δ, else δ (|e| - δ/2): quadratic for small errors, linear for outliers.

    n times torch's HuberLoss. Source: Huber 1964, "Robust estimation of a location parameter".

    Parameters
    ----------
    delta : float
        Where the two meet, > 0, in the unit of the target.
    """

    settings = ("delta",)

    def __init__(self, delta: float = 1.0) -> None:
        self.delta = check_number(delta, "delta", low=0, closed="neither")

    def __repr__(self) -> str:
        return f"Huber({self.delta:g})"

    def compute(self, prediction: Array, target: Array) -> Array:
        xp = self._keep(prediction, target)
        size = xp.abs(prediction - target)
        inner = xp.minimum(size, self.delta)
        return self._mean(inner * (size - inner / 2))

    def backward(self) -> Array:
        error = self.prediction - self.target
        return self.xp.clip(error, -self.delta, self.delta) / error.shape[-2]


class BinaryCrossEntropy(Loss):
    """-1/M sum_m [y ln p + (1 - y) ln(1 - p)] with p = σ(z); takes the logits z, not p.

    Targets are 0 or 1, or probabilities in between. n times torch's BCEWithLogitsLoss. S4 (32), with
    the brackets that are missing there.
    """

    def check_target(self, target: Array, shape: Shape, dtype: np.dtype) -> Array:
        target = super().check_target(target, shape, dtype)
        if (target < 0).any() or (target > 1).any():
            raise ValueError(f"target must lie in [0, 1]; got values from {target.min()} to {target.max()}")
        return target

    def compute(self, prediction: Array, target: Array) -> Array:
        xp = self._keep(prediction, target)
        # -ln σ(z) = softplus(-z) and -ln(1 - σ(z)) = softplus(z): no logarithm sees a zero, and the small
        # loss of a confident, right prediction is not lost in a difference of large numbers
        loss = target * softplus(-prediction, xp) + (1 - target) * softplus(prediction, xp)  # S4 (32)
        return self._mean(loss)

    def backward(self) -> Array:
        p = sigmoid(self.prediction, self.xp)
        return (p - self.target) / p.shape[-2]  # 1/M (σ(z) - y)                             S4 (34)


class CrossEntropy(Loss):
    """-1/M sum_m y_m · ln softmax(z_m); takes the logits z (M, K), not probabilities.

    Targets are class labels, integers 0 ... K-1 of shape (M,), or one-hot rows or probabilities
    (M, K) that sum to one. Equals torch's CrossEntropyLoss. S4 L_CE.
    """

    p = Cached()

    def check_target(self, target: Array, shape: Shape, dtype: np.dtype) -> Array:
        xp = get_array_module(target)
        labels = xp.asarray(target)
        if labels.ndim == 1:
            if labels.dtype.kind not in "iu":
                raise TypeError(
                    f"target has dtype {labels.dtype}; class labels of shape (M,) must be integers"
                )
            check_same_length(prediction=np.empty(shape[0]), target=labels)
            if labels.min() < 0 or labels.max() >= shape[1]:
                raise ValueError(
                    f"target has labels from {labels.min()} to {labels.max()}, "
                    f"but prediction has {shape[1]} columns: labels must lie in 0 ... {shape[1] - 1}"
                )
            return (labels[:, None] == xp.arange(shape[1])).astype(dtype)
        target = super().check_target(target, shape, dtype)
        if (target < 0).any() or (abs(target.sum(axis=1) - 1) > 1e-5).any():
            raise ValueError("target rows must be probabilities: not negative, with the sum 1")
        return target

    def compute(self, prediction: Array, target: Array) -> Array:
        xp = self._keep(prediction, target)
        # softmax(z) = e / sum e and its logarithm, z - ln sum e, whatever constant is taken off z first
        shifted = prediction - prediction.max(axis=-1, keepdims=True)
        e = xp.exp(shifted)
        sums = e.sum(axis=-1, keepdims=True)
        self.p = e / sums
        return self._mean(target * (xp.log(sums) - shifted))  # -1/M sum y · ln a^L            S4 L_CE

    def backward(self) -> Array:
        return (self.p - self.target) / self.p.shape[-2]  # 1/M (a^L - y), with the 1/M that BP1 omits  S4 BP1


class Hinge(Loss):
    """1/M sum_m max(0, 1 - y z): no loss beyond the margin 1; labels y are -1 or +1. S4 (36).

    The slope at the kink y z = 1 is taken as 0.
    """

    def check_target(self, target: Array, shape: Shape, dtype: np.dtype) -> Array:
        target = super().check_target(target, shape, dtype)
        if (abs(target) != 1).any():
            raise ValueError("target must be -1 or +1 everywhere (labels 0 and 1: pass 2 * y - 1)")
        return target

    def compute(self, prediction: Array, target: Array) -> Array:
        xp = self._keep(prediction, target)
        return self._mean(xp.maximum(0, 1 - target * prediction))  # max(0, 1 - y z)         S4 (36)

    def backward(self) -> Array:
        inside = self.target * self.prediction < 1
        return -self.target * inside / inside.shape[-2]
