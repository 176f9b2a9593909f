"""One step of training, forward to update: recorded for batches of one size, then repeated."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from tinynn.backend import Array, OnBackend, to_numpy
from tinynn.fused import fuse
from tinynn.nn import Layer, Loss, Sequential
from tinynn.nn.layers import Chain
from tinynn.optim import Optimizer
from tinynn.recording import Recording, Traced

CHUNK = 2**16  # parameters that are updated at a time: with their gradient and state they fit a fast cache


def recordable(model: Sequential, loss: Loss, optimizer: Optimizer) -> bool:
    """Whether a step is nothing but calls of the array library, as far as can be known beforehand.

    A class of somebody's own may print, count or draw, which no recording would do again.
    """
    parts: list[Loss | Layer] = [loss, *(layer for _, layer in model.named_layers())]
    own = all(type(part).__module__.partition(".")[0] == "tinynn" for part in (optimizer, *parts))
    return own and all(part.recordable for part in parts)


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
        self.coefficients = coefficients.copy()
        # NumPy fills `out` in place only if it need not look out for wrong row numbers first
        self.mode = ("clip",) if xp is np else ()
        self.recording = Recording()
        self._record(model, loss, optimizer)
        self.fused = fuse(self.recording.calls, data, self.batch, self.coefficients, self.value)

    def __call__(self, rows: Array, coefficients: Array) -> Array:
        """Do the step on other rows; returns the loss, an array that the next step overwrites."""
        for x, batch in zip(self.data, self.batch, strict=True):
            x.take(rows, 0, batch, *self.mode)
        self.coefficients[...] = coefficients
        self.recording.replay()
        return self.value

    def _record(self, model: Sequential, loss: Loss, optimizer: Optimizer) -> None:
        xp, trace = model.xp, self.recording.trace
        X, y = map(trace, self.batch)
        vectors = {name: getattr(optimizer, name) for name in ("scratch", *optimizer.vectors)}
        parts: list[OnBackend] = [loss, optimizer, *(layer for _, layer in model.named_layers())]
        try:
            for part in parts:
                part.xp = np  # NumPy's functions leave to a Traced array what they do
            for layer, attribute in model.slots():
                for name in (attribute, f"d{attribute}"):
                    setattr(layer, name, trace(getattr(layer, name)))
            self.value = loss.compute(Chain.forward(model, X), y).array
            Chain.backward_parameters(model, loss.backward())
            coefficients = [trace(self.coefficients[i, ...]) for i in range(len(self.coefficients))]
            n = model.theta.shape[-1]
            size = CHUNK if xp is np else n  # a device has the bandwidth, but every launch costs
            for start in range(0, n, size):
                some = np.s_[..., start : start + size]
                for name, vector in vectors.items():
                    setattr(optimizer, name, trace(vector[some]))
                optimizer.scratch = trace(vectors["scratch"][..., : min(size, n - start)])
                optimizer.update(trace(model.theta[some]), trace(model.grad[some]), *coefficients)
        finally:
            for part in parts:
                part.xp = xp
                for name, x in vars(part).items():
                    if isinstance(x, Traced):
                        setattr(part, name, x.array)
            vars(optimizer).update(vectors)


class RecordedSteps:
    """The steps of one training, for every batch size there is."""

    def __init__(
        self, model: Sequential, loss: Loss, optimizer: Optimizer, data: tuple[Array, Array]
    ) -> None:
        self.model, self.loss, self.optimizer, self.data = model, loss, optimizer, data
        self.advance: Callable[[], Any] = optimizer.advance
        optimizer.start(model.theta, model.grad)
        self.steps: dict[int, TrainingStep] = {}
        self.settings = self._settings()

    def renew(self) -> None:
        """Record anew if a setting has changed, or an array of the optimizer: callbacks may do so."""
        if (settings := self._settings()) != self.settings:
            self.steps, self.settings = {}, settings

    def _settings(self) -> tuple[object, ...]:
        optimizer = self.optimizer
        arrays = [id(getattr(optimizer, name, None)) for name in ("scratch", *optimizer.vectors)]
        return repr(self.model), repr(self.loss), repr(optimizer), arrays

    def run(self, batches: Sequence[Array]) -> np.ndarray:
        """Train on the rows of every batch; returns their losses, (n_batches,) or (n_batches, K)."""
        model = self.model
        self.optimizer.start(model.theta, model.grad)
        table = model.xp.asarray([self.advance() for _ in batches], model.dtype)
        losses = model.xp.empty((len(batches), *model.theta.shape[:-1]), model.dtype)
        start = 0
        for size, group in itertools.groupby(batches, lambda rows: rows.shape[-1]):
            rows = list(group)
            now = slice(start, start + len(rows))
            self._run(size, rows, table[now], losses[now])
            start = now.stop
        return to_numpy(losses)

    def _run(self, size: int, batches: Sequence[Array], table: Array, losses: Array) -> None:
        """Batches of one size."""
        if size not in self.steps:
            changed = [self.model.theta, *(getattr(self.optimizer, name) for name in self.optimizer.vectors)]
            before = [x.copy() for x in changed]
            step = TrainingStep(self.model, self.loss, self.optimizer, self.data, batches[0], table[0])
            self.steps[size], losses[0] = step, step.value
            if step.fused:  # does the step once more: the bits must not depend on where a training began
                for x, was in zip(changed, before, strict=True):
                    x[...] = was
            else:
                batches, table, losses = batches[1:], table[1:], losses[1:]
        step = self.steps[size]
        if step.fused:
            step.fused(batches, table, losses)
            return
        for i, (rows, now) in enumerate(zip(batches, table, strict=True)):
            losses[i] = step(rows, now)
