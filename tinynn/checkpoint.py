"""A training in progress and its file: everything the next epoch depends on, and nothing else."""

from __future__ import annotations

import copy
import functools
import hashlib
import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from tinynn.backend import Array, to_numpy
from tinynn.data import DataLoader, Dataset
from tinynn.files import load_tensors, save_tensors
from tinynn.nn import Loss, Sequential
from tinynn.optim import Optimizer
from tinynn.validation import check_array, check_integer

FORMAT = "tinynn checkpoint 1"


@dataclass
class History:
    """Losses by epoch, as `fit` returns them.

    Attributes
    ----------
    train_loss : list of float
        Mean over the epoch's samples, while the parameters moved.
    validation_loss : list of float
        After the epoch; empty without validation data.
    """

    train_loss: list[float] = field(default_factory=list)
    validation_loss: list[float] = field(default_factory=list)

    def plot(self, ax: Any = None, title: str = "Loss by epoch") -> Any:
        """Draw the losses on a logarithmic axis; returns the matplotlib Axes.

        Raises
        ------
        ImportError
            Without matplotlib (extra "lessons").
        """
        from tinynn.plotting import plot_losses

        return plot_losses({"train": self.train_loss, "validation": self.validation_loss}, ax=ax, title=title)


@dataclass
class TrainingState:
    """What `tinynn.training.fit` works on, and what it hands to callbacks.

    Attributes
    ----------
    model, loss, optimizer, loader, validation, callbacks, history
        The parts of the training; `validation` is a Dataset or None.
    epochs : int
        How many it is to have.
    epoch : int
        How many it has had.
    stopped : bool
        Whether a callback has ended it.
    name : str
        What its errors begin with, if it is one of many.
    """

    model: Sequential
    loss: Loss
    optimizer: Optimizer
    loader: DataLoader
    validation: Dataset | None
    callbacks: Sequence[Any]
    epochs: int
    history: History = field(default_factory=History)
    epoch: int = 0
    stopped: bool = False
    name: str = ""

    def generators(self) -> list[np.random.Generator]:
        """Every source of randomness: the loader's, then those of the layers (dropout)."""
        inside = [getattr(layer, "rng", None) for _, layer in self.model.named_layers()]
        return [self.loader.rng, *(rng for rng in inside if isinstance(rng, np.random.Generator))]

    @functools.cached_property
    def checksum(self) -> str:
        """Of the training data: equal for equal bits."""
        digest = hashlib.blake2b(digest_size=8)
        for array in (self.loader.dataset.X, self.loader.dataset.y):
            digest.update(np.ascontiguousarray(to_numpy(array)).data)
        return digest.hexdigest()

    def identity(self) -> dict[str, Any]:
        """What has to be the same for a checkpoint to belong to this training."""
        return {
            "model": repr(self.model),
            "parameters": self.model.theta.size,
            "dtype": str(self.model.dtype),
            "loss": repr(self.loss),
            "optimizer": repr(self.optimizer),
            "samples": len(self.loader.dataset),
            "data": self.checksum,
            "batch_size": self.loader.batch_size,
            "validation samples": len(self.validation or ()),
            "callbacks": [type(callback).__name__ for callback in self.callbacks],
        }


def save_checkpoint(path: str | os.PathLike, training: TrainingState) -> None:
    """Write the training to a safetensors file, whole or not at all: arrays as tensors, the rest as JSON."""
    tensors = {"theta": to_numpy(training.model.theta)}
    tensors |= {f"optimizer.{name}": x for name, x in training.optimizer.state_dict().items()}
    plain: list[dict[str, Any]] = []
    for i, callback in enumerate(training.callbacks):
        state = callback.state_dict()
        tensors |= {f"callback.{i}.{k}": v for k, v in state.items() if isinstance(v, np.ndarray)}
        plain.append({k: v for k, v in state.items() if not isinstance(v, np.ndarray)})
    record = {
        "epoch": training.epoch,
        "stopped": training.stopped,
        "history": vars(training.history),
        "callbacks": plain,
        "generators": [rng.bit_generator.state for rng in training.generators()],
    }
    metadata = {
        "format": FORMAT,
        "identity": json.dumps(training.identity()),
        # NumPy's numbers, and the arrays in the states of some bit generators
        "record": json.dumps(record, default=lambda x: x.tolist()),
    }
    save_tensors(path, tensors, metadata)


def load_checkpoint(path: str | os.PathLike, training: TrainingState) -> None:
    """Put the training into the state of the file; everything is checked before anything is changed.

    Raises
    ------
    FileNotFoundError
        No such file.
    ValueError
        Truncated, no checkpoint, or one of another training; says in what it differs.
    """
    name = repr(os.fspath(path))
    tensors, metadata = load_tensors(path)
    if metadata.get("format") != FORMAT:
        raise ValueError(f"{name} is a safetensors file, but not a checkpoint of tinynn.training.fit")
    try:
        saved, record = json.loads(metadata["identity"]), json.loads(metadata["record"])
        own = training.identity()
        differs = [f"{k}: {saved[k]} there, {own[k]} here" for k in own if saved[k] != own[k]]
    except (KeyError, TypeError, ValueError) as error:
        raise ValueError(f"{name} is a damaged checkpoint: {error!r}") from error
    if differs:
        raise ValueError(f"{name} is the checkpoint of another training ({'; '.join(differs)})")
    model, optimizer, callbacks = training.model, training.optimizer, training.callbacks
    generators = training.generators()
    try:
        epoch, stopped = check_integer(record["epoch"], "epoch"), bool(record["stopped"])
        theta = check_array(tensors["theta"], "theta", shape=model.theta.shape)
        history = History(**{k: [float(x) for x in losses] for k, losses in record["history"].items()})
        if len(history.train_loss) != epoch:
            raise ValueError(f"{epoch} epochs but {len(history.train_loss)} losses")
        # a rehearsal on copies, so that an error comes before anything is changed
        copies = [copy.copy(callback) for callback in callbacks]
        _continue(copy.copy(optimizer), copy.deepcopy(generators), copies, model.theta, tensors, record)
    except (ArithmeticError, AttributeError, LookupError, TypeError, ValueError) as error:
        raise ValueError(f"{name} is damaged or does not fit this training: {error!r}") from error
    if epoch > training.epochs:
        raise ValueError(f"{name} has had {epoch} epochs already; epochs={training.epochs} is fewer")

    _continue(optimizer, generators, callbacks, model.theta, tensors, record)
    model.theta[:] = model.xp.asarray(theta)
    training.history, training.epoch, training.stopped = history, epoch, stopped


def _continue(
    optimizer: Optimizer,
    generators: Sequence[np.random.Generator],
    callbacks: Sequence[Any],
    theta: Array,
    tensors: Mapping[str, np.ndarray],
    record: Mapping[str, Any],
) -> None:
    """Give every part its state back."""

    def of(prefix: str) -> dict[str, np.ndarray]:
        return {k.removeprefix(prefix): x for k, x in tensors.items() if k.startswith(prefix)}

    optimizer.load_state_dict(of("optimizer."), theta)
    for rng, state in zip(generators, record["generators"], strict=True):
        rng.bit_generator.state = state
    for i, (callback, plain) in enumerate(zip(callbacks, record["callbacks"], strict=True)):
        callback.load_state_dict(plain | of(f"callback.{i}."))
