"""A forward pass for small batches of one shape, recorded: what a single sample costs is mostly Python."""

from __future__ import annotations

import threading
from collections.abc import Sequence

import numpy as np

from tinynn.backend import Array, get_array_module
from tinynn.nn.layers import Chain, Layer
from tinynn.recording import Recording, repeatable

ROWS = 64  # batches beyond it are busy with arithmetic


class RecordedPrediction:
    """The outputs of `layers` for X (M, n_in), with no dropout and no trace in the layers.

    It stands for the layers as they are now.
    """

    def __init__(self, layers: Sequence[Layer], X: Array) -> None:
        self.X, self.layers, self.recording = X.copy(), list(layers), Recording()
        self.xp = get_array_module(X)
        self.parameters = [
            (vars(layer), name, getattr(layer, name))
            for layer in layers
            for name in (*layer.parameter_names.values(), *layer.settings)
        ]
        self.lock = threading.Lock()
        A = self.recording.trace(self.X)
        for layer in layers:
            twin = layer.inference_copy()
            twin.xp = np
            for name in layer.parameter_names.values():
                setattr(twin, name, self.recording.trace(getattr(layer, name)))
            A = twin.forward(A)
        self.Y = A.array

    @staticmethod
    def possible(layers: Sequence[Layer], X: Array) -> bool:
        """Whether the layers can be recorded, and X is small enough to make it worth while."""
        return len(X) <= ROWS and all(repeatable(x) and not isinstance(x, Chain) for x in layers)

    def fits(self, layers: Sequence[Layer], X: Array) -> bool:
        """Whether X is finite and like the one recorded, and the layers and what is in them are the same."""
        if type(X) is not type(self.X) or X.shape != self.X.shape or X.dtype != self.X.dtype:
            return False
        if layers != self.layers or any(values[name] is not x for values, name, x in self.parameters):
            return False
        return bool(self.xp.isfinite(X).all())

    def __call__(self, layers: Sequence[Layer], X: Array) -> Array | None:
        """Outputs (M, n_out), the caller's own; None if it does not fit, or another thread is at it."""
        if not (self.fits(layers, X) and self.lock.acquire(blocking=False)):
            return None
        try:
            self.X[...] = X
            self.recording.replay()
            return self.Y.copy()
        finally:
            self.lock.release()
