"""fit: epochs over mini-batches, with a history, callbacks, checkpoints and a guard against divergence."""

from __future__ import annotations

import functools
import os
import warnings
from collections.abc import Sequence

import numpy as np
from tqdm import tqdm

from tinynn.backend import Array, asarray
from tinynn.callbacks import Callback, Checkpoint, EarlyStopping
from tinynn.checkpoint import History, TrainingState, load_checkpoint
from tinynn.data import DataLoader, Dataset
from tinynn.divergence import DivergenceError, largest_stable_rate
from tinynn.epochs import Stack, recorded_steps, run_epoch
from tinynn.nn import BinaryCrossEntropy, CrossEntropy, Loss, Sequential, Sigmoid, Softmax
from tinynn.optim import Optimizer
from tinynn.validation import check_integer

__all__ = [
    "Callback",
    "Checkpoint",
    "DivergenceError",
    "EarlyStopping",
    "History",
    "fit",
    "fit_many",
    "largest_stable_rate",
]


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
    _check_type(callbacks, "callbacks", Sequence)
    for i, callback in enumerate(callbacks):
        _check_type(callback, f"callbacks[{i}]", Callback)
        if isinstance(callback, EarlyStopping) and validation is None:
            raise ValueError("EarlyStopping watches the validation loss: call fit with validation=...")
    # checkpoints come last, for they save the state of the others
    callbacks = sorted(callbacks, key=lambda callback: isinstance(callback, Checkpoint))
    training = _begin(model, train, loss, optimizer, epochs, batch_size, validation, callbacks, rng)
    if resume is not None:
        load_checkpoint(resume, training)
    steps, history = recorded_steps(training), training.history
    with tqdm(total=epochs, initial=training.epoch, disable=not progress, unit="epoch") as bar:
        while training.epoch < epochs and not training.stopped:
            run_epoch(training, steps)
            if progress:
                shown = {"train": history.train_loss, "validation": history.validation_loss}
                bar.set_postfix({k: f"{x[-1]:.3g}" for k, x in shown.items() if x}, refresh=False)
            bar.update()
            for callback in callbacks:
                training.stopped |= bool(callback.on_epoch_end(training))
            if callbacks:  # which may have changed anything
                steps = recorded_steps(training, steps)
    for callback in callbacks:
        callback.on_train_end(training)
    return history


@np.errstate(over="ignore", invalid="ignore")
def fit_many(
    models: Sequence[Sequential],
    trains: Sequence[Dataset | tuple[Array, Array]],
    *,
    loss: Loss,
    optimizers: Sequence[Optimizer],
    epochs: int,
    batch_size: int = 16,
    validations: Sequence[Dataset | tuple[Array, Array]] | None = None,
    progress: bool = True,
    rngs: Sequence[int | np.random.Generator | None] | None = None,
) -> list[History]:
    """Train K networks at once: folds, seeds, learning rates, other data.

    The result is that of ``fit(models[k], trains[k], loss=loss, optimizer=optimizers[k], rng=rngs[k], ...)``
    for every k, up to rounding. But networks of the same shape, with data of the same shape and optimizers
    that differ in their rates only, are computed together, as one stack of matrices: what small networks
    cost is the calls, and there are no more of them than for one. The others follow one after another, and
    so do networks with `Dropout` or layers of your own.

    Parameters
    ----------
    models : sequence of K Sequential
        Changed in place.
    trains : sequence of K Dataset or (X, y)
        As for `fit`.
    loss : Loss
    optimizers : sequence of K Optimizer
        A new one for every network.
    epochs, batch_size, progress
        As for `fit`.
    validations : sequence of K Dataset or (X, y), optional
    rngs : sequence of K int, Generator or None
        Shuffle the batches of each training.

    Returns
    -------
    list of K History

    Raises
    ------
    TypeError, ValueError
        Bad input, as in `fit`; lists of different lengths, or one object in two places. Nothing has been
        changed then.
    DivergenceError
        As in `fit`, of the first network that diverges; then the others are not trained to the end.
    """
    K = len(models)
    if not K:
        raise ValueError("models is empty; wanted at least one network")
    none: list[None] = [None] * K
    held_out: Sequence[Dataset | tuple[Array, Array] | None] = none if validations is None else validations
    seeds: Sequence[int | np.random.Generator | None] = none if rngs is None else rngs
    lists = {"trains": trains, "optimizers": optimizers, "validations": held_out, "rngs": seeds}
    for name, values in lists.items():
        if len(values) != K:
            raise ValueError(f"{name} has {len(values)} entries for {K} models; wanted one for each")
    generators = [rng for rng in seeds if isinstance(rng, np.random.Generator)]
    for name, own in (("models", models), ("optimizers", optimizers), ("rngs", generators)):
        if len({id(x) for x in own}) < len(own):
            raise ValueError(f"{name} has one object in two places; every training needs its own")
    trainings = []
    for k, of_one in enumerate(zip(models, trains, optimizers, held_out, seeds, strict=True)):
        model, train, optimizer, validation, rng = of_one
        name = f"network {k} of {K}: "
        trainings.append(_begin(model, train, loss, optimizer, epochs, batch_size, validation, (), rng, name))
    for training in trainings:
        try:
            training.optimizer.start(training.model.theta, training.model.grad)
        except (TypeError, ValueError) as error:
            raise type(error)(f"{training.name}{error}") from error
    groups = Stack.groups(trainings)
    with tqdm(total=epochs * len(groups), disable=not progress, unit="epoch") as bar:
        for group in groups:
            if len(group) > 1:
                epoch = Stack(group).run_epoch
            else:
                epoch = functools.partial(run_epoch, group[0], recorded_steps(group[0]))
            for _ in range(epochs):
                epoch()
                bar.update()
    return [training.history for training in trainings]


def _begin(
    model: Sequential,
    train: Dataset | tuple[Array, Array],
    loss: Loss,
    optimizer: Optimizer,
    epochs: int,
    batch_size: int,
    validation: Dataset | tuple[Array, Array] | None,
    callbacks: Sequence[Callback],
    rng: int | np.random.Generator | None,
    name: str = "",
) -> TrainingState:
    """A training before its first step, or the error that `fit` raises; `name` goes before its message."""
    _check_type(model, f"{name}model", Sequential)
    _check_type(loss, "loss", Loss)
    _check_type(optimizer, f"{name}optimizer", Optimizer)
    check_integer(epochs, "epochs", low=1)
    model.check_parameters()
    last = model.layers[-1]
    if isinstance(loss, (CrossEntropy, BinaryCrossEntropy)) and isinstance(last, (Softmax, Sigmoid)):
        warnings.warn(
            f"{loss!r} takes logits and contains the {last!r} of the network: drop it", stacklevel=4
        )
    data = _prepare(model, loss, train, f"{name}train")
    held_out = None if validation is None else _prepare(model, loss, validation, f"{name}validation")
    loader = DataLoader(data, batch_size, shuffle=True, rng=rng)
    return TrainingState(model, loss, optimizer, loader, held_out, callbacks, epochs, name=name)


def _check_type(x: object, name: str, wanted: type) -> None:
    if not isinstance(x, wanted):
        raise TypeError(f"{name} must be an instance of {wanted.__name__}; got {x!r}")


def _prepare(model: Sequential, loss: Loss, data: Dataset | tuple[Array, Array], name: str) -> Dataset:
    """The data as the training loop wants them: checked, in the model's dtype, on its backend."""
    if not isinstance(data, Dataset) and not (isinstance(data, (tuple, list)) and len(data) == 2):
        raise TypeError(f"{name} must be a Dataset or a tuple (X, y); got {type(data).__name__}")
    try:
        data = data if isinstance(data, Dataset) else Dataset(*data)  # which looks for NaN
        X, y = asarray(data.X, backend=model.backend), asarray(data.y, backend=model.backend)
        X = model.check_input(X, finite=X.dtype != model.dtype)  # which may overflow
        n_out = model.predict(X[:1]).shape[1:]
        prepared = object.__new__(Dataset)  # without looking once more
        prepared.X, prepared.y = X, loss.check_target(y, (len(X), *n_out), model.dtype)
        return prepared
    except (TypeError, ValueError) as error:
        raise type(error)(f"{name}: {error}") from error
