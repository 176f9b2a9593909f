"""A training in progress and its file: everything the next epoch depends on, and nothing else."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from tinynn.backend import to_numpy
from tinynn.data import DataLoader
from tinynn.files import load_tensors, save_tensors
from tinynn.nn import Sequential
from tinynn.optim import Optimizer
from tinynn.validation import check_array

FORMAT = "tinynn checkpoint 1"


@dataclass
class History:
    """Losses by epoch, as `fit` returns them.

    Attributes
    ----------
    train_loss : list of float
        Mean over the epoch's batches, while the parameters moved.
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
    model, optimizer, loader, history, callbacks
        The parts of the training.
    epochs : int
        How many it is to have.
    epoch : int
        How many it has had.
    stopped : bool
        Whether a callback has ended it.
    """

    model: Sequential
    optimizer: Optimizer
    loader: DataLoader
    history: History
    callbacks: tuple[Any, ...]
    epochs: int
    epoch: int = 0
    stopped: bool = False

    def generators(self) -> list[np.random.Generator]:
        """Every source of randomness: the loader's, then those of the layers (dropout)."""
        layers = [layer for _, layer in self.model.named_layers() if hasattr(layer, "rng")]
        return [self.loader.rng, *(layer.rng for layer in layers)]

    def identity(self) -> dict[str, Any]:
        """What has to be the same for a checkpoint to belong to this training."""
        return {
            "format": FORMAT,
            "parameters": {name: list(x.shape) for name, x in self.model.parameters().items()},
            "dtype": str(self.model.dtype),
            "optimizer": type(self.optimizer).__name__,
            "samples": len(self.loader.dataset),
            "batch_size": self.loader.batch_size,
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
    save_tensors(path, tensors, {"identity": json.dumps(training.identity()), "record": json.dumps(record)})


def load_checkpoint(path: str | os.PathLike, training: TrainingState) -> None:
    """Put the training into the state of the file; everything is checked before anything is changed.

    Raises
    ------
    FileNotFoundError
        No such file.
    ValueError
        Truncated, no checkpoint, or one of another training; says in what it differs.
    """
    tensors, metadata = load_tensors(path)
    name = os.fspath(path)
    if json.loads(metadata.get("identity", "{}")).get("format") != FORMAT:
        raise ValueError(f"{name!r} is a safetensors file, but not a checkpoint of tinynn.training.fit")
    saved, own = json.loads(metadata["identity"]), training.identity()
    differs = [
        f"{key}: {saved.get(key)!r} there, {own[key]!r} here" for key in own if saved.get(key) != own[key]
    ]
    if differs:
        raise ValueError(f"{name!r} is the checkpoint of another training ({'; '.join(differs)})")
    record = json.loads(metadata["record"])
    theta = check_array(tensors["theta"], f"theta in {name}", shape=training.model.theta.shape)

    state = {k.removeprefix("optimizer."): v for k, v in tensors.items() if k.startswith("optimizer.")}
    training.optimizer.load_state_dict(state, training.model.theta)
    training.model.theta[:] = training.model.xp.asarray(theta)
    for rng, saved_state in zip(training.generators(), record["generators"], strict=True):
        rng.bit_generator.state = saved_state
    for i, (callback, plain) in enumerate(zip(training.callbacks, record["callbacks"], strict=True)):
        prefix = f"callback.{i}."
        arrays = {k.removeprefix(prefix): v for k, v in tensors.items() if k.startswith(prefix)}
        callback.load_state_dict(plain | arrays)
    training.epoch, training.stopped = record["epoch"], record["stopped"]
    vars(training.history).update(record["history"])
