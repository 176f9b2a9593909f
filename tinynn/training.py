"""fit: epochs over mini-batches, with a history, callbacks, checkpoints and a guard against divergence."""

from __future__ import annotations

import math
import os
from collections.abc import Sequence

import numpy as np
from tqdm import tqdm

from tinynn.backend import Array, asarray, to_numpy
from tinynn.callbacks import Callback, Checkpoint, EarlyStopping
from tinynn.checkpoint import History, TrainingState, load_checkpoint
from tinynn.data import DataLoader, Dataset
from tinynn.nn import Dense, Loss, MeanSquaredError, Sequential
from tinynn.optim import SGD, Optimizer
from tinynn.validation import check_integer, check_same_length

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

    Attributes
    ----------
    epoch, step : int
        Where: the epoch, and the step within it, both counted from 1.
    last_finite_loss : float or None
        Of the last batch that had a finite loss.
    gradient_norm : float
        |dL/dtheta| of the failing step (inf or NaN if it is what failed).
    largest_stable_rate : float or None
        See `largest_stable_rate`; None where no formula is known.
    """

    def __init__(
        self,
        epoch: int,
        step: int,
        last_finite_loss: float | None,
        gradient_norm: float,
        largest_stable_rate: float | None,
        advice: str,
    ) -> None:
        self.epoch, self.step = epoch, step
        self.last_finite_loss = last_finite_loss
        self.gradient_norm = gradient_norm
        self.largest_stable_rate = largest_stable_rate
        last = (
            "none was finite"
            if last_finite_loss is None
            else f"the last finite one was {last_finite_loss:.3g}"
        )
        super().__init__(
            f"training diverged in epoch {epoch}, step {step}: the loss is not finite any more ({last}; "
            f"gradient norm {gradient_norm:.3g}). {advice}"
        )


def largest_stable_rate(X: Array, *, bias: bool = True, momentum: float = 0.0) -> float:
    """Bound on the rate of gradient descent for a linear model with the mean squared error.

    The loss 1/M |X̃ w - y|² has the Hessian H = 2/M X̃'X̃, with a column of ones in X̃ for the bias.
    Gradient descent contracts along every eigenvector of H if η < 2 / λ_max(H); with momentum μ, if
    η < 2 (1 + μ) / λ_max(H). Mini-batches have Hessians of their own and move the bound a little.

    Parameters
    ----------
    X : (M, n)
        Features as the model sees them, scaled or not.
    bias : bool
        Whether the model has one.
    momentum : float
        μ of `tinynn.optim.SGD`.
    """
    X = to_numpy(X).astype(np.float64)
    if bias:
        X = np.column_stack([X, np.ones(len(X))])
    hessian = 2 / len(X) * X.T @ X
    return 2 * (1 + momentum) / float(np.linalg.eigvalsh(hessian)[-1])


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
        Called in their order after every epoch.
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
    """
    check_integer(epochs, "epochs", low=1)
    model.check_parameters()
    data = _prepare(model, loss, train, "train")
    held_out = None if validation is None else _prepare(model, loss, validation, "validation")
    loader = DataLoader(data, batch_size, shuffle=True, rng=rng)
    training = TrainingState(model, optimizer, loader, History(), tuple(callbacks), epochs)
    if resume is not None:
        load_checkpoint(resume, training)

    bar = tqdm(total=epochs, initial=training.epoch, disable=not progress, unit="epoch")
    try:
        # an overflow is not worth a warning of NumPy's: the guard reports it, with its cause
        with bar, np.errstate(over="ignore", invalid="ignore"):
            while training.epoch < epochs and not training.stopped:
                train_loss = _run_epoch(training, loss)
                training.history.train_loss.append(train_loss)
                shown = {"train": f"{train_loss:.3g}"}
                if held_out is not None:
                    validation_loss = loss.compute(model.predict(held_out.X), held_out.y)
                    training.history.validation_loss.append(validation_loss)
                    shown["validation"] = f"{validation_loss:.3g}"
                training.epoch += 1
                bar.set_postfix(shown, refresh=False)
                bar.update()
                for callback in callbacks:
                    training.stopped |= bool(callback.on_epoch_end(training))
    finally:
        model.unbind()
    return training.history


def _prepare(model: Sequential, loss: Loss, data: Dataset | tuple[Array, Array], name: str) -> Dataset:
    """The data as the training loop wants them: checked, in the model's dtype, on its backend."""
    X, y = (data.X, data.y) if isinstance(data, Dataset) else data
    try:
        X, y = asarray(X, backend=model.backend), asarray(y, backend=model.backend)
        X = model.check_input(X)
        check_same_length(X=X, y=y)
        n_out = model.predict(X[:1]).shape[1:]
        return Dataset(X, loss.check_target(y, (len(X), *n_out), model.dtype))
    except (TypeError, ValueError) as error:
        raise type(error)(f"{name}: {error}") from error


def _run_epoch(training: TrainingState, loss: Loss) -> float:
    """One pass over the batches; returns the mean of their losses, weighted by their sizes."""
    model, optimizer = training.model, training.optimizer
    theta, grad, dot = model.theta, model.grad, model.xp.dot
    total, last_finite, bound = 0.0, None, None
    for step, (X, y) in enumerate(training.loader, 1):
        if X.shape != bound:
            model.bind(X.shape, model.dtype)
            bound = X.shape
        value = loss.compute(model.forward(X), y)
        model.backward_parameters(loss.backward())
        # the dot product can overflow before an entry does
        finite = math.isfinite(dot(grad, grad)) or model.xp.isfinite(grad).all()
        if not (math.isfinite(value) and finite):
            raise _diverged(training, loss, step, last_finite)
        optimizer.step(theta, grad)
        last_finite = value
        total += value * len(X)
    return total / len(training.loader.dataset)


def _diverged(training: TrainingState, loss: Loss, step: int, last_finite: float | None) -> DivergenceError:
    """The error, with the bound on the rate where there is one, and what to try."""
    model, optimizer, X = training.model, training.optimizer, training.loader.dataset.X
    if last_finite is None and training.history.train_loss:
        last_finite = training.history.train_loss[-1]
    largest = float(abs(X).max())
    advice = f"Scale the features (the largest |x| is {largest:.3g}; see tinynn.preprocessing)" * (
        largest > 10
    )
    advice += " or lower the rate" if advice else "Lower the rate"
    bound = None
    layer = model.layers[0]
    linear = len(model.layers) == 1 and isinstance(layer, Dense)
    if linear and isinstance(loss, MeanSquaredError) and type(optimizer) is SGD:
        bound = largest_stable_rate(X, bias=layer.b is not None, momentum=optimizer.momentum)  # type: ignore[attr-defined]
        advice += f": gradient descent on these data is stable below {bound:.3g}"
    if not callable(optimizer.lr):
        advice += f" (it was {optimizer.lr:.3g})"
    norm = float(np.linalg.norm(to_numpy(model.grad).astype(np.float64)))
    return DivergenceError(training.epoch + 1, step, last_finite, norm, bound, advice + ".")
