"""One pass over the data, in recorded steps where that is possible; for one network or many at once."""

from __future__ import annotations

import copy
import math
from collections.abc import Sequence

import numpy as np

from tinynn.backend import Array
from tinynn.checkpoint import TrainingState
from tinynn.divergence import diverge
from tinynn.nn import Sequential
from tinynn.training_step import RecordedSteps, arrays_of, recordable, settings_of


def recorded_steps(training: TrainingState, known: RecordedSteps | None = None) -> RecordedSteps | None:
    """The steps of a training, `known` if they are still the same; None if no recording could repeat them."""
    data = training.loader.dataset
    parts = training.model, training.loss, training.optimizer
    if not recordable(*parts):
        return None
    if known is not None and known.still(*parts, (data.X, data.y)):
        return known
    return RecordedSteps(*parts, (data.X, data.y))


def run_epoch(training: TrainingState, steps: RecordedSteps | None) -> None:
    """One pass over the batches, and its losses into the history.

    Raises
    ------
    DivergenceError
        From the step at which loss, gradient or update were not finite.
    """
    training.model.check_parameters()
    batches = training.loader.cut(training.loader.order())
    if steps is not None:
        before = _state(training)
        losses = steps.run(batches)
        if _finite(losses, training.model.theta):
            end_epoch(training, batches, losses.tolist())
            return
        _restore(training, before)  # and once more, up to the step that fails
    end_epoch(training, batches, run_steps(training, batches))


def run_steps(training: TrainingState, batches: Sequence[Array]) -> list[float]:
    """The losses of all batches, with a guard in every step."""
    model, loss, optimizer, data = training.model, training.loss, training.optimizer, training.loader.dataset
    theta, grad, xp = model.theta, model.grad, model.xp
    before = theta.copy()
    losses: list[float] = []
    last_finite = training.history.train_loss[-1] if training.history.train_loss else None
    for step, rows in enumerate(batches, 1):
        X, y = data[rows]
        value = float(loss.compute(model.forward(X), y))
        model.matching("backward_parameters")(loss.backward())
        # the dot product can overflow before an entry does
        finite = math.isfinite(xp.dot(grad, grad)) or xp.isfinite(grad).all()
        if not (math.isfinite(value) and finite):
            diverge(training, step, last_finite, before)
        optimizer.step(theta, grad)
        losses.append(value)
        last_finite = value
    if not xp.isfinite(theta).all():
        diverge(training, len(batches), last_finite, before)
    return losses


def end_epoch(training: TrainingState, batches: Sequence[Array], losses: Sequence[float]) -> None:
    """Note down the mean loss, weighted by the sizes of the batches, and the one of the validation data."""
    total = sum(value * len(rows) for value, rows in zip(losses, batches, strict=True))
    history, held_out = training.history, training.validation
    history.train_loss.append(total / len(training.loader.dataset))
    if held_out is not None:
        prediction = training.model.predict(held_out.X)
        history.validation_loss.append(float(training.loss.compute(prediction, held_out.y)))
    training.epoch += 1


class Stack:
    """Trainings of networks of one shape, computed as one: theta is (K, n_parameters).

    Parameters
    ----------
    trainings : list of K TrainingState
        Alike, as `Stack.groups` finds them.
    """

    def __init__(self, trainings: Sequence[TrainingState]) -> None:
        self.trainings = trainings
        first = trainings[0]
        self.model = Sequential.stack([training.model for training in trainings])
        self.optimizer = copy.copy(first.optimizer)
        self.optimizer.scratch = None
        for name in self.optimizer.vectors:
            setattr(self.optimizer, name, None)
        # the data sets in a row, each once, and where that of each training begins
        sets = [training.loader.dataset for training in trainings]
        places = {(id(d.X), id(d.y)): d for d in sets}
        starts = {place: i * len(sets[0]) for i, place in enumerate(places)}
        self.starts = [starts[id(d.X), id(d.y)] for d in sets]
        concatenate = self.model.xp.concatenate
        data = concatenate([d.X for d in places.values()]), concatenate([d.y for d in places.values()])
        rules = [training.optimizer for training in trainings]
        self.steps = RecordedSteps(self.model, first.loss, self.optimizer, data, rules)
        self._move(into_stack=True)

    @staticmethod
    def groups(trainings: Sequence[TrainingState]) -> list[list[TrainingState]]:
        """The trainings sorted into those that can be computed as one."""
        groups: dict[object, list[TrainingState]] = {}
        for training in trainings:
            model, loss, optimizer = training.model, training.loss, training.optimizer
            data = training.loader.dataset
            shapes = repr(model), data.X.shape, data.y.shape
            kinds = model.dtype, model.backend, settings_of(model, loss, optimizer)
            alone = () if recordable(model, loss, optimizer) else (id(training),)
            groups.setdefault((*shapes, *kinds, *alone), []).append(training)
        return list(groups.values())

    def run_epoch(self) -> None:
        """`run_epoch` for every training."""
        orders = [training.loader.order() for training in self.trainings]
        rows = self.model.xp.stack([start + own for start, own in zip(self.starts, orders, strict=True)])
        before = [_state(training) for training in self.trainings]
        try:
            losses = self.steps.run(self.trainings[0].loader.cut(rows))  # (n_batches, K)
        except BaseException:  # Ctrl-C, say: the networks are where the steps that were done have led them
            self._move(into_stack=False)
            raise
        batches = [training.loader.cut(own) for training, own in zip(self.trainings, orders, strict=True)]
        if _finite(losses, self.model.theta):
            self._move(into_stack=False)
            for training, own, values in zip(self.trainings, batches, losses.T, strict=True):
                end_epoch(training, own, values.tolist())
            return
        for training, own, state in zip(self.trainings, batches, before, strict=True):
            _restore(training, state)
            end_epoch(training, own, run_steps(training, own))
        self._move(into_stack=True)

    def _move(self, into_stack: bool) -> None:
        """Copy parameters and the state of the rules from the networks into the stack, or back."""
        for k, training in enumerate(self.trainings):
            for whole, own in zip(
                arrays_of(self.model, self.optimizer),
                arrays_of(training.model, training.optimizer),
                strict=True,
            ):
                target, source = (whole[k], own) if into_stack else (own, whole[k])
                target[...] = source


def _state(training: TrainingState) -> tuple[int, list[Array]]:
    """What a step changes: t and copies of the arrays."""
    training.optimizer.start(training.model.theta, training.model.grad)
    return training.optimizer.t, [x.copy() for x in arrays_of(training.model, training.optimizer)]


def _restore(training: TrainingState, state: tuple[int, list[Array]]) -> None:
    training.optimizer.t, arrays = state
    for x, before in zip(arrays_of(training.model, training.optimizer), arrays, strict=True):
        x[...] = before


def _finite(losses: np.ndarray, theta: Array) -> bool:
    """Whether all was well in an epoch: a gradient or an update that is not finite spoils theta for good."""
    return bool(np.isfinite(losses).all()) and math.isfinite(theta.sum())
