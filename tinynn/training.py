"""fit: epochs over mini-batches, with a history, callbacks, checkpoints and a guard against divergence."""

from __future__ import annotations

import math
import os
import warnings
from collections.abc import Sequence
from typing import NoReturn

import numpy as np
from tqdm import tqdm

from tinynn.backend import Array, asarray, to_numpy
from tinynn.callbacks import Callback, Checkpoint, EarlyStopping
from tinynn.checkpoint import History, TrainingState, load_checkpoint
from tinynn.data import DataLoader, Dataset
from tinynn.nn import (
    BinaryCrossEntropy,
    CrossEntropy,
    Dense,
    Loss,
    MeanSquaredError,
    Sequential,
    Sigmoid,
    Softmax,
)
from tinynn.optim import SGD, Optimizer
from tinynn.training_step import RecordedSteps, recordable
from tinynn.validation import check_array, check_integer, check_number

__all__ = [
    "Callback",
    "Checkpoint",
    "DivergenceError",
    "EarlyStopping",
    "History",
    "fit",
    "largest_stable_rate",
]


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


@np.errstate(over="ignore", invalid="ignore")  # an overflow is the guard's to report, with its cause
def fit(
    model: Sequential,
    train: Dataset | tuple[Array, Array],
    *,
    loss: Loss,
    optimizer: Optimizer,
    epochs: int,
    batch_size: int = 16,
    validation: Dataset | tuple[Array, Array] | None = None,
    callbacks: Sequence[Callback] = (),
    progress: bool = True,
    rng: int | np.random.Generator | None = None,
    resume: str | os.PathLike | None = None,
) -> History:
    """Train `model` on mini-batches: forward pass, loss, backward pass, update. S4, training strategy.

    Parameters
    ----------
    model : Sequential
        Changed in place.
    train : Dataset or (X, y)
        X (M, n_in), y as the loss wants it. Converted to the model's dtype and moved to its backend
        once, before the first step.
    loss : Loss
    optimizer : Optimizer
        A new one for every training.
    epochs : int
        Passes over the data, those of a resumed training included.
    batch_size : int
        The last batch of an epoch may be smaller.
    validation : Dataset or (X, y), optional
        Its loss is computed after every epoch.
    callbacks : sequence of Callback
        Called in their order after every epoch, checkpoints last.
    progress : bool
        Show a bar with both losses.
    rng : int, Generator or None
        Shuffles the batches.
    resume : path, optional
        A checkpoint of the same training; the result has the same bits as without the interruption.

    Returns
    -------
    History

    Raises
    ------
    TypeError, ValueError
        Bad input; nothing has been changed then.
    DivergenceError
        The loss or its gradient stopped being finite.
    FileNotFoundError
        No checkpoint at `resume`.

    Warns
    -----
    UserWarning
        A softmax or sigmoid before a cross-entropy that contains it.
    """
    _check_type(model, "model", Sequential)
    _check_type(loss, "loss", Loss)
    _check_type(optimizer, "optimizer", Optimizer)
    _check_type(callbacks, "callbacks", Sequence)
    for i, callback in enumerate(callbacks):
        _check_type(callback, f"callbacks[{i}]", Callback)
        if isinstance(callback, EarlyStopping) and validation is None:
            raise ValueError("EarlyStopping watches the validation loss: call fit with validation=...")
    check_integer(epochs, "epochs", low=1)
    model.check_parameters()
    if isinstance(loss, (CrossEntropy, BinaryCrossEntropy)) and isinstance(
        model.layers[-1], (Softmax, Sigmoid)
    ):
        last = model.layers[-1]
        warnings.warn(
            f"{loss!r} takes logits and contains the {last!r} of the network: drop it", stacklevel=2
        )
    data = _prepare(model, loss, train, "train")
    held_out = None if validation is None else _prepare(model, loss, validation, "validation")
    loader = DataLoader(data, batch_size, shuffle=True, rng=rng)
    # checkpoints come last, for they save the state of the others
    callbacks = sorted(callbacks, key=lambda callback: isinstance(callback, Checkpoint))
    training = TrainingState(model, loss, optimizer, loader, held_out, callbacks, epochs)
    if resume is not None:
        load_checkpoint(resume, training)

    steps = None
    if recordable(model, loss, optimizer):
        steps = RecordedSteps(model, loss, optimizer, (data.X, data.y))
    history = training.history
    with tqdm(total=epochs, initial=training.epoch, disable=not progress, unit="epoch") as bar:
        while training.epoch < epochs and not training.stopped:
            history.train_loss.append(_run_epoch(training, steps))
            shown = {"train": f"{history.train_loss[-1]:.3g}"}
            if held_out is not None:
                history.validation_loss.append(float(loss.compute(model.predict(held_out.X), held_out.y)))
                shown["validation"] = f"{history.validation_loss[-1]:.3g}"
            training.epoch += 1
            bar.set_postfix(shown, refresh=False)
            bar.update()
            for callback in callbacks:
                training.stopped |= bool(callback.on_epoch_end(training))
            if steps is not None and callbacks:
                steps.renew()
    for callback in callbacks:
        callback.on_train_end(training)
    return history


def _check_type(x: object, name: str, wanted: type) -> None:
    if not isinstance(x, wanted):
        raise TypeError(f"{name} must be an instance of {wanted.__name__}; got {x!r}")


def _prepare(model: Sequential, loss: Loss, data: Dataset | tuple[Array, Array], name: str) -> Dataset:
    """The data as the training loop wants them: checked, in the model's dtype, on its backend."""
    if not isinstance(data, Dataset) and not (isinstance(data, (tuple, list)) and len(data) == 2):
        raise TypeError(f"{name} must be a Dataset or a tuple (X, y); got {type(data).__name__}")
    try:
        data = data if isinstance(data, Dataset) else Dataset(*data)
        X, y = asarray(data.X, backend=model.backend), asarray(data.y, backend=model.backend)
        X = model.check_input(X, finite=False)
        n_out = model.predict(X[:1]).shape[1:]
        return Dataset(X, loss.check_target(y, (len(X), *n_out), model.dtype))
    except (TypeError, ValueError) as error:
        raise type(error)(f"{name}: {error}") from error


def _run_epoch(training: TrainingState, steps: RecordedSteps | None) -> float:
    """One pass over the batches; returns the mean of their losses, weighted by their sizes."""
    batches, optimizer = training.loader.rows(), training.optimizer
    if steps is None:
        return _run_steps(training, batches)
    theta, t = training.model.theta, optimizer.t
    optimizer.start(theta, training.model.grad)
    state = [theta, *(getattr(optimizer, name) for name in optimizer.vectors)]
    before = [x.copy() for x in state]
    losses = steps.run(batches)
    if np.isfinite(losses).all() and training.model.xp.isfinite(theta).all():
        sizes = map(len, batches)
        total = sum(value * size for value, size in zip(losses.tolist(), sizes, strict=True))
        return total / len(training.loader.dataset)
    # once more from the beginning, up to the step that fails
    optimizer.t = t
    for x, old in zip(state, before, strict=True):
        x[...] = old
    return _run_steps(training, batches)


def _run_steps(training: TrainingState, batches: Sequence[Array]) -> float:
    """`_run_epoch` with a guard in every step."""
    model, loss, optimizer, data = training.model, training.loss, training.optimizer, training.loader.dataset
    theta, grad, xp = model.theta, model.grad, model.xp
    before = theta.copy()
    total = 0.0
    last_finite = training.history.train_loss[-1] if training.history.train_loss else None
    for step, rows in enumerate(batches, 1):
        X, y = data[rows]
        value = float(loss.compute(model.forward(X), y))
        model.matching("backward_parameters")(loss.backward())
        # the dot product can overflow before an entry does
        finite = math.isfinite(xp.dot(grad, grad)) or xp.isfinite(grad).all()
        if not (math.isfinite(value) and finite):
            _diverge(training, step, last_finite, before)
        optimizer.step(theta, grad)
        last_finite = value
        total += value * len(X)
    if not xp.isfinite(theta).all():
        _diverge(training, step, last_finite, before)
    return total / len(training.loader.dataset)


def _diverge(training: TrainingState, step: int, last_finite: float | None, before: Array) -> NoReturn:
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
        f"training diverged in epoch {training.epoch + 1}, step {step}: loss, gradient or update is not "
        f"finite (rate {rate:.3g}, last finite loss {last}, gradient norm {norm:.3g}). What to try: {advice}."
    )
    error.epoch, error.step = training.epoch + 1, step
    error.last_finite_loss, error.gradient_norm = last_finite, norm
    error.largest_stable_rate = bound
    raise error
