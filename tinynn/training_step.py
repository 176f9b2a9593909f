"""One step of training, forward to update: recorded for batches of one size, then repeated."""

from __future__ import annotations

import copy
import itertools
import operator
from collections.abc import Sequence
from typing import Any

import numpy as np

from tinynn.backend import Array, to_numpy
from tinynn.fused import fuse
from tinynn.nn import Layer, Loss, Sequential
from tinynn.nn.layers import Chain
from tinynn.optim import Optimizer
from tinynn.recording import Recording, repeatable

CHUNK = 2**16  # parameters that are updated at a time: with their gradient and state they fit a fast cache


def recordable(model: Sequential, loss: Loss, optimizer: Optimizer) -> bool:
    """Whether all parts of a training step can be recorded."""
    return all(repeatable(part) for part in (loss, optimizer, *(layer for _, layer in model.named_layers())))


class TrainingStep:
    """Forward pass, loss, backward pass and update of `model`, on batches of the rows of (X, y).

    Parameters
    ----------
    model, loss, optimizer
        What is recorded; the optimizer has started.
    data : (X, y), arrays (M, n_in) and (M, n_out)
        All of them, in the dtype of the model.
    rows : (B,) of int
        The first batch. Recording is a step of the training as well.
    coefficients
        The optimizer's, for this step.
    """

    def __init__(
        self,
        model: Sequential,
        loss: Loss,
        optimizer: Optimizer,
        data: tuple[Array, Array],
        rows: Array,
        coefficients: Array,
    ) -> None:
        xp = model.xp
        self.data, self.batch = data, [x.take(rows, axis=0) for x in data]
        self.gather = [(x.take, batch) for x, batch in zip(data, self.batch, strict=True)]
        self.coefficients = coefficients.copy()
        # NumPy fills `out` in place only if it need not look out for wrong row numbers first
        self.mode = ("clip",) if xp is np else ()
        self.recording = Recording()
        self._record(model, loss, optimizer)
        self.fused = fuse(self.recording.calls, data, self.batch, self.coefficients, self.value)

    def __call__(self, rows: Array, coefficients: Array) -> Array:
        """Do the step on other rows; returns the loss, an array that the next step overwrites."""
        for take, batch in self.gather:
            take(rows, 0, batch, *self.mode)
        self.coefficients[...] = coefficients
        self.recording.replay()
        return self.value

    def _record(self, model: Sequential, loss: Loss, optimizer: Optimizer) -> None:
        """Do the step with copies of all parts that share their arrays: nobody else meets a Traced one."""
        xp, trace = model.xp, self.recording.trace
        X, y = map(trace, self.batch)
        network, loss, rule = model.inference_copy(), copy.copy(loss), copy.copy(optimizer)
        assert isinstance(network, Chain)
        for _, layer in network.named_layers():
            layer.training = True
            for attribute in layer.parameter_names.values():
                for name in (attribute, f"d{attribute}"):
                    setattr(layer, name, trace(getattr(layer, name)))
        for part in (loss, rule, *(layer for _, layer in network.named_layers())):
            part.xp = np  # NumPy's functions leave to a Traced array what they do
        self.value = loss.compute(Chain.forward(network, X), y).array
        Chain.backward_parameters(network, loss.backward())
        coefficients = [trace(self.coefficients[i, ...]) for i in range(len(self.coefficients))]
        n = model.theta.shape[-1]
        size = CHUNK if xp is np else n  # a device has the bandwidth, but every launch costs
        for start in range(0, n, size):
            some = np.s_[..., start : start + size]
            for name in optimizer.vectors:
                setattr(rule, name, trace(getattr(optimizer, name)[some]))
            rule.scratch = trace(optimizer.scratch[..., : min(size, n - start)])
            rule.update(trace(model.theta[some]), trace(model.grad[some]), *coefficients)


class RecordedSteps:
    """The steps of one training, for every batch size there is.

    Parameters
    ----------
    model, loss, optimizer, data
        As of `TrainingStep`; they are recorded as they are now.
    rules : sequence of K Optimizer, optional
        Those whose coefficients a stack of K networks takes; by default the optimizer itself.
    """

    def __init__(
        self,
        model: Sequential,
        loss: Loss,
        optimizer: Optimizer,
        data: tuple[Array, Array],
        rules: Sequence[Optimizer] = (),
    ) -> None:
        self.model, self.loss, self.optimizer, self.data, self.rules = model, loss, optimizer, data, rules
        optimizer.start(model.theta, model.grad)
        self.steps: dict[int, TrainingStep] = {}
        self.done = 0
        self.parts, self.settings = parts_of(model, loss, optimizer), settings_of(model, loss, optimizer)

    def still(self, model: Sequential, loss: Loss, optimizer: Optimizer, data: tuple[Array, Array]) -> bool:
        """Whether these are still what was recorded: the same objects, with the same settings."""
        now = [*parts_of(model, loss, optimizer), *data]
        same = len(now) == len(self.parts) + 2 and all(map(operator.is_, now, [*self.parts, *self.data]))
        return same and settings_of(model, loss, optimizer) == self.settings

    def run(self, batches: Sequence[Array]) -> np.ndarray:
        """Train on the rows of every batch; returns their losses, (n_batches,) or (n_batches, K).

        If something interrupts it, the optimizers have counted the steps that were done.
        """
        model, rules = self.model, self.rules or [self.optimizer]
        began, self.done = [rule.t for rule in rules], 0
        losses = model.xp.empty((len(batches), *model.theta.shape[:-1]), model.dtype)
        try:
            table = np.array([[rule.advance() for _ in batches] for rule in rules])  # (K, n_batches, n)
            table = np.moveaxis(table, 0, -1)[..., None] if self.rules else table[0]
            table = model.xp.asarray(table, model.dtype)
            for size, group in itertools.groupby(batches, lambda rows: rows.shape[-1]):
                rows = list(group)
                now = slice(self.done, self.done + len(rows))
                self._run(size, rows, table[now], losses[now])
        except BaseException:
            for rule, t in zip(rules, began, strict=True):
                rule.t = t + self.done
            raise
        return to_numpy(losses)

    def _run(self, size: int, batches: Sequence[Array], table: Array, losses: Array) -> None:
        """Batches of one size."""
        if size not in self.steps:
            changed = arrays_of(self.model, self.optimizer)
            before = [x.copy() for x in changed]
            step = TrainingStep(self.model, self.loss, self.optimizer, self.data, batches[0], table[0])
            self.steps[size], losses[0] = step, step.value
            if step.fused:  # does the step once more: the bits must not depend on where a training began
                for x, was in zip(changed, before, strict=True):
                    x[...] = was
            else:
                batches, table, losses = batches[1:], table[1:], losses[1:]
                self.done += 1
        step = self.steps[size]
        if step.fused:
            step.fused(batches, table, losses)
            self.done += len(batches)
            return
        for i, (rows, now) in enumerate(zip(batches, table, strict=True)):
            losses[i] = step(rows, now)
            self.done += 1


def arrays_of(model: Sequential, optimizer: Optimizer) -> list[Array]:
    """What a step writes into, of the network and of a rule that has started."""
    return [model.theta, model.grad, *(getattr(optimizer, name) for name in optimizer.vectors)]


def parts_of(model: Sequential, loss: Loss, optimizer: Optimizer) -> list[Any]:
    """Everything that a recording is made from and keeps."""
    arrays = [getattr(optimizer, name, None) for name in ("scratch", *optimizer.vectors)]
    return [loss, optimizer, *arrays, *(layer for _, layer in model.named_layers())]


def settings_of(model: Sequential, loss: Loss, optimizer: Optimizer) -> tuple[Any, ...]:
    """The numbers that are part of a recording; the rate is not, for it may change from step to step."""
    parts: list[Loss | Layer] = [loss, *(layer for _, layer in model.named_layers())]
    chosen = [(type(part), *(getattr(part, name) for name in part.settings)) for part in parts]
    rule = {name: value for name, value in optimizer.settings().items() if name != "lr"}
    return (*chosen, type(optimizer), *rule.items())
