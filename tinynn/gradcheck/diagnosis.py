"""From two gradients that differ to the mistake that makes them differ.

Every suspect computes what the analytic gradient would be, had that mistake been made, and compares.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np

from tinynn.gradcheck.differences import EPS
from tinynn.nn.activations import sigmoid, softmax

CLOSE = 1e-5  # relative; far above the error of the differences, far below the effect of a mistake


@dataclass(frozen=True)
class Evidence:
    """What is known about one gradient that is wrong.

    Attributes
    ----------
    name : str
        Of the variable: "X", "W", "prediction" ...
    analytic : array
        The gradient under test, in the shape it came in.
    jacobian : variable's shape + output's shape
        Numerical derivative of the outputs with respect to the variable.
    upstream : output's shape
        dL/d output that backward was given; 1 for a loss.
    smooth : variable's shape, bool
        Where there is no kink.
    value, output : arrays
        The variable, and the output at it.
    batch : int
        Number of samples M.
    forward_at : callable or None
        The layer's output for another input of the same shape.
    target : array or None
        For a loss, in the shape of the prediction.
    """

    name: str
    analytic: np.ndarray
    jacobian: np.ndarray
    upstream: np.ndarray
    smooth: np.ndarray
    value: np.ndarray
    output: np.ndarray
    batch: int
    forward_at: Callable[[np.ndarray], np.ndarray] | None = None
    target: np.ndarray | None = None

    @property
    def numeric(self) -> np.ndarray:
        """The right gradient, in the shape of the variable."""
        return np.tensordot(self.jacobian, self.upstream, axes=self.upstream.ndim)

    def explains(self, suspect: np.ndarray) -> bool:
        """Whether the analytic gradient is `suspect`, wherever there is no kink."""
        if suspect.shape != self.analytic.shape:
            return False
        smooth = self.smooth if self.smooth.shape == suspect.shape else np.ones(suspect.shape, bool)
        return close(self.analytic[smooth], suspect[smooth])

    def elementwise_slope(self) -> np.ndarray | None:
        """f'(x) for every entry if the layer maps every entry by itself, else None."""
        if self.value.shape != self.output.shape or not self.value.size:
            return None
        square = self.jacobian.reshape(self.value.size, self.value.size)
        off_diagonal = square - np.diag(np.diag(square))
        if abs(off_diagonal).max() > CLOSE * abs(square).max():
            return None
        return np.diag(square).reshape(self.value.shape)


def close(a: np.ndarray, b: np.ndarray) -> bool:
    """Whether a and b agree, measured by the larger of the two."""
    scale = max(abs(a).max(initial=0), abs(b).max(initial=0))
    return bool(np.isfinite(scale)) and bool(abs(a - b).max(initial=0) <= CLOSE * scale)


def diagnose(evidence: Evidence) -> str:
    """The first mistake that explains the evidence, in words."""
    found = next(_suspects(evidence), None)
    return f"{evidence.name}: {found or _worst_entry(evidence)}"


def _suspects(e: Evidence) -> Iterator[str]:
    a, n = e.analytic, e.numeric
    if not np.isfinite(a).all():
        yield "the gradient contains NaN or inf"
    if e.explains(np.zeros_like(a)):
        yield "the gradient is zero: backward does not set it, or a term or a layer is left out"
    if a.ndim == 2 and e.explains(n.T):
        yield "transposed: if Y = X W', dW = dY' X; if Y = X W, dW = X' dY"
    yield from _not_summed_over_batch(e)
    if a.shape != n.shape:
        yield f"the gradient has shape {a.shape}, the variable has shape {n.shape}"
        return
    yield from _constant_factor(e)
    if e.target is not None:
        yield from _terms_of_loss(e, e.target)
    if e.upstream.ndim == 0:
        return
    if e.explains(e.jacobian.sum(axis=tuple(range(-e.upstream.ndim, 0)))):
        yield "dY is left out: by the chain rule it multiplies the derivative of this layer"
    if e.name == "X" and e.value.shape == e.output.shape:
        yield from _same_shape(e)
    elif a.ndim == 2 and e.output.ndim == 2 and e.explains(e.upstream.T @ e.output):
        yield "taken at the wrong variable: the layer's output stands where its input belongs"


def _not_summed_over_batch(e: Evidence) -> Iterator[str]:
    """A parameter's gradient is the sum of the contributions of all samples."""
    if e.upstream.ndim == 0 or e.name == "X":
        return
    terms = e.jacobian * e.upstream
    by_sample = np.moveaxis(terms.sum(axis=tuple(range(e.value.ndim + 1, terms.ndim))), -1, 0)
    if e.explains(by_sample):
        yield "not summed over the batch: every sample's contribution is still there by itself"
    if e.batch > 1 and any(e.explains(one) for one in by_sample):
        yield "not summed over the batch: it holds the contribution of one sample only"


def _constant_factor(e: Evidence) -> Iterator[str]:
    a, n, M = e.analytic[e.smooth], e.numeric[e.smooth], e.batch
    if not n.any():
        return
    factor = float(np.vdot(a, n) / np.vdot(n, n))
    if not factor or not close(a, factor * n):
        return
    sign = "the sign is wrong" if factor < 0 else ""
    size = abs(factor)
    known = [  # the first that fits: 1 before M/2, which is the same for M = 2
        (1.0, ""),
        (float(M), f"1/M is missing (the gradient is M = {M} times too large)"),
        (1.0 / M, f"1/M is there twice, or a mean stands for a sum over the batch (M = {M} times too small)"),
        (M / 2, f"2/M is missing (the gradient is M/2 = {M / 2:g} times too large)"),
        (2.0, "factor 2: the gradient is twice too large"),
        (0.5, "factor 2: the gradient is half of what it should be"),
    ]
    if M == 2:
        both = "factor 2 or 1/M (M = 2 cannot tell; check a larger batch): the gradient is "
        known = [known[0], (2.0, both + "twice too large"), (0.5, both + "half of what it should be")]
    if e.target is not None:
        outputs = e.value.shape[-1]
        known.append(
            (1.0 / outputs, f"1/n too much: averaged over the n = {outputs} outputs too, not summed")
        )
    for value, words in known:
        if abs(size - value) <= CLOSE * value:
            yield " and ".join(filter(None, (sign, words)))
    yield " and ".join(filter(None, (sign, f"off by the constant factor {size:.6g}")))


def _same_shape(e: Evidence) -> Iterator[str]:
    """Mistakes of layers that keep the shape: activations, softmax, dropout, skip connections."""
    slope = e.elementwise_slope()
    if slope is not None:
        masked = abs(slope) < CLOSE * abs(slope).max()
        open_ = ~masked & e.smooth
        if masked.any() and close(e.analytic[open_], e.numeric[open_]):
            yield "the mask is forgotten: entries that the forward pass cut off still get a gradient"
        values = slope[open_]
        if masked.any() and close(values, np.full_like(values, values[:1].mean())) and e.explains(e.upstream):
            yield "the mask is forgotten: dX = dY"
    if e.explains(e.upstream):
        yield "the derivative of this layer is left out: dX = dY"
    if slope is not None:
        yield from _wrong_variable(e)
        yield "wrong derivative of an elementwise layer: a term of it is left out or wrong" + _at_worst(e)
        return
    square = e.jacobian.reshape(e.value.size, e.value.size)
    if e.explains((square.T @ e.upstream.ravel()).reshape(e.value.shape)):
        yield "transposed: for Y = X W' it is dX = dY W, not dY W'"
    if e.explains(np.diag(square).reshape(e.value.shape) * e.upstream):
        yield "off-diagonal terms are missing: every output depends on every input, as in a softmax"
    if e.explains(e.numeric - e.upstream):
        yield "a term is left out: the skip connection, dX lacks dY itself"
    if e.explains(e.numeric + e.upstream):
        yield "a term too many: dX contains dY itself once more than it should"


def _wrong_variable(e: Evidence) -> Iterator[str]:
    """F' is evaluated at the output instead of the input, or the other way round."""
    if e.forward_at is None:
        return
    if e.explains(_slope(e.forward_at, e.output) * e.upstream):
        yield "taken at the wrong variable: f' at the output a, where it belongs at the input z"
    inverse, inside = _invert(e.forward_at, e.value)
    suspect = _slope(e.forward_at, inverse) * e.upstream
    if inside.any() and close(e.analytic[inside], suspect[inside]):
        yield "taken at the wrong variable: f' written in terms of the output a = f(z), but given the input z"


def _slope(f: Callable[[np.ndarray], np.ndarray], z: np.ndarray, h: float = 1e-5) -> np.ndarray:
    return (f(z + h) - f(z - h)) / (2 * h)


def _invert(f: Callable[[np.ndarray], np.ndarray], y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """By bisection, w in [-20, 20] with f(w) = y for an increasing f, and where there is one."""
    low, high = np.full_like(y, -20), np.full_like(y, 20)
    inside = (f(low) < y) & (y < f(high))
    for _ in range(60):
        middle = (low + high) / 2
        below = f(middle) < y
        low, high = np.where(below, middle, low), np.where(below, high, middle)
    return low, inside


def _terms_of_loss(e: Evidence, y: np.ndarray) -> Iterator[str]:
    """What is missing in the derivative of a loss of the prediction z and the target y."""
    a, n, z, M = e.analytic, e.numeric, e.value, e.batch
    open_ = (abs(n) > CLOSE * abs(n).max()) & e.smooth
    if close(a[open_], n[open_]):
        yield "the mask is forgotten: entries without a loss still get a gradient"
    lacking = np.vdot(a - n, y) / max(np.vdot(y, y), EPS)
    if lacking > 0 and e.explains(n + lacking * y):
        yield "the target is left out: the gradient lacks the term with -y"
    sigma, soft = sigmoid(z), softmax(z)
    if e.explains((z - y) / M):
        known = {"the sign": np.sign(z - y), "the sigmoid": sigma - y, "the softmax": soft - y}
        left_out = [name for name, right in known.items() if close(n[e.smooth] * M, right[e.smooth])]
        yield f"{(left_out or ['the clip of large errors'])[0]} is left out: the gradient is (z - y) / M"
    if close(a * sigma * (1 - sigma), n):
        yield "taken at the wrong variable: with respect to the probability σ(z) instead of the logit z"
    if close(soft * (a - (soft * a).sum(axis=-1, keepdims=True)), n):
        yield "taken at the wrong variable: with respect to the probability softmax(z) instead of the logit z"


def _worst_entry(e: Evidence) -> str:
    return "wrong, but by none of the known mistakes" + _at_worst(e)


def _at_worst(e: Evidence) -> str:
    error = np.where(e.smooth, abs(e.analytic - e.numeric), 0)
    at = tuple(int(i) for i in np.unravel_index(np.argmax(error), error.shape))
    return f"; worst entry {at}: {e.analytic[at]:.6g} instead of {e.numeric[at]:.6g}"
