"""What to say when a training diverges: where, from what, and which rate would have been stable."""

from __future__ import annotations

import math
from typing import NoReturn

import numpy as np

from tinynn.backend import Array, to_numpy
from tinynn.checkpoint import TrainingState
from tinynn.nn import Dense, MeanSquaredError
from tinynn.optim import SGD
from tinynn.validation import check_array, check_number


class DivergenceError(ArithmeticError):
    """The loss or its gradient stopped being finite; the network keeps its last finite parameters.

    If it was the update itself that overflowed, they are those of the epoch's beginning.

    Attributes
    ----------
    epoch, step : int
        Where: the epoch, and the step within it, both counted from 1.
    last_finite_loss : float or None
        Of the batch before; in the first step of an epoch, of the epoch before.
    gradient_norm : float
        |dL/dtheta| of the failing step (inf or NaN if it is what failed).
    largest_stable_rate : float or None
        See `largest_stable_rate`; None where no formula is known.
    """

    epoch: int
    step: int
    last_finite_loss: float | None
    gradient_norm: float
    largest_stable_rate: float | None


def largest_stable_rate(
    X: Array,
    *,
    bias: bool = True,
    momentum: float = 0.0,
    nesterov: bool = False,
    weight_decay: float = 0.0,
) -> float:
    """Bound on the rate of gradient descent for a linear model with the mean squared error.

    The loss 1/M |X̃ w - y|² + λ/2 |w|² has the Hessian H = 2/M X̃'X̃ + λ, with a column of ones in X̃
    for the bias. Gradient descent contracts along every eigenvector of H if η < 2 / λ_max(H); with
    momentum μ, if η < 2 (1 + μ) / λ_max(H), and 1 + 2μ times less than that with Nesterov's.
    Mini-batches have Hessians of their own and move the bound a little.

    Parameters
    ----------
    X : (M, n)
        Features as the model sees them, scaled or not.
    bias : bool
        Whether the model has one.
    momentum, nesterov, weight_decay
        As in `tinynn.optim.SGD`.

    Raises
    ------
    TypeError, ValueError
        Bad input.
    """
    X = check_array(to_numpy(X), "X", ndim=2, dtype=np.float64)
    momentum = check_number(momentum, "momentum", low=0, high=1, closed="left")
    weight_decay = check_number(weight_decay, "weight_decay", low=0, closed="left")
    if bias:
        X = np.column_stack([X, np.ones(len(X))])
    hessian = 2 / len(X) * X.T @ X
    largest = float(np.linalg.eigvalsh(hessian)[-1]) + weight_decay
    factor = 2 * (1 + momentum) / (1 + 2 * momentum * nesterov)
    return factor / largest if largest > 0 else math.inf


def diverge(training: TrainingState, step: int, last_finite: float | None, before: Array) -> NoReturn:
    """Raise the error, with the bound on the rate where there is one, and what to try."""
    model, loss, optimizer, data = training.model, training.loss, training.optimizer, training.loader.dataset
    if not model.xp.isfinite(model.theta).all():  # the update itself overflowed
        model.theta[:] = before
    norm = float(np.linalg.norm(to_numpy(model.grad).astype(np.float64)))
    rate = optimizer.lr(max(optimizer.t - 1, 0)) if callable(optimizer.lr) else optimizer.lr
    large = [
        f"the {name} (up to {largest:.3g})"
        for name, a in (("features", data.X), ("targets", data.y))
        if (largest := float(abs(a).max())) > 10
    ]
    advice = "lower the rate"
    if large:
        advice = f"scale {' and '.join(large)} with tinynn.preprocessing, or {advice}"
    bound = None
    first, linear = model.layers[0], len(model.layers) == 1
    if linear and isinstance(first, Dense) and isinstance(loss, MeanSquaredError) and type(optimizer) is SGD:
        bound = largest_stable_rate(
            data.X,
            bias=first.b is not None,
            momentum=optimizer.momentum,
            nesterov=optimizer.nesterov,
            weight_decay=optimizer.weight_decay,
        )
        advice += f": gradient descent on these data is stable below {bound:.3g}"
    last = "none" if last_finite is None else f"{last_finite:.3g}"
    error = DivergenceError(
        f"{training.name}training diverged in epoch {training.epoch + 1}, step {step}: loss, gradient or "
        f"update is not finite (rate {rate:.3g}, last finite loss {last}, gradient norm {norm:.3g}). "
        f"What to try: {advice}."
    )
    error.epoch, error.step = training.epoch + 1, step
    error.last_finite_loss, error.gradient_norm = last_finite, norm
    error.largest_stable_rate = bound
    raise error
