"""What fit calls after every epoch: early stopping, checkpoints, or something of your own."""

from __future__ import annotations

import math
import os
from typing import Any

from tinynn.backend import Array, to_numpy
from tinynn.checkpoint import TrainingState, save_checkpoint
from tinynn.files import check_folder
from tinynn.validation import check_integer, check_number


class Callback:
    """Something that `fit` calls after every epoch and at the end."""

    def on_epoch_end(self, training: TrainingState) -> bool | None:
        """Return True to end the training."""

    def on_train_end(self, training: TrainingState) -> None:
        """Called once, after the last epoch; not after an error."""

    def state_dict(self) -> dict[str, Any]:
        """What a checkpoint has to keep: numbers, strings and arrays by name."""
        return {}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Continue from `state`."""


class EarlyStopping(Callback):
    """End the training when the validation loss has not improved for `patience` epochs.

    Parameters
    ----------
    patience : int
        Epochs to wait for an improvement.
    min_delta : float
        What counts as one, in the unit of the loss.
    restore_best : bool
        Put the parameters of the best epoch back at the end of the training.
    """

    def __init__(self, patience: int = 10, min_delta: float = 0.0, restore_best: bool = True) -> None:
        self.patience = check_integer(patience, "patience", low=1)
        self.min_delta = check_number(min_delta, "min_delta", low=0)
        self.restore_best = restore_best
        self._begin()

    def _begin(self) -> None:
        self.best, self.waited = math.inf, 0
        self.best_theta: Array = None

    def on_epoch_end(self, training: TrainingState) -> bool:
        if training.epoch == 1:
            self._begin()  # it may have watched another training before
        loss = training.history.validation_loss[-1]
        if loss < self.best - self.min_delta:
            self.best, self.waited = loss, 0
            self.best_theta = training.model.theta.copy()
        else:
            self.waited += 1
        return self.waited >= self.patience

    def on_train_end(self, training: TrainingState) -> None:
        if self.restore_best and self.best_theta is not None:
            training.model.theta[:] = training.model.xp.asarray(self.best_theta)

    def state_dict(self) -> dict[str, Any]:
        state = {"best": self.best, "waited": self.waited}
        return state if self.best_theta is None else state | {"best_theta": to_numpy(self.best_theta)}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.best, self.waited = state["best"], state["waited"]
        self.best_theta = state.get("best_theta")


class Checkpoint(Callback):
    """Save the whole training to a safetensors file every few epochs, for ``fit(..., resume=path)``.

    The file is written under another name and renamed, so that it is always a whole one.

    Parameters
    ----------
    path : path
        In an existing folder.
    every : int
        Epochs between two saves; the last epoch is always saved.

    Raises
    ------
    FileNotFoundError
        If the folder does not exist.
    """

    def __init__(self, path: str | os.PathLike, every: int = 1) -> None:
        check_folder(path)
        self.path = os.fspath(path)
        self.every = check_integer(every, "every", low=1)

    def on_epoch_end(self, training: TrainingState) -> None:
        if training.epoch % self.every == 0 or training.epoch == training.epochs or training.stopped:
            save_checkpoint(self.path, training)
