"""Sequential: a network whose parameters are views into one vector."""

from __future__ import annotations

import copy
import math
import os
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from tinynn.backend import Array, get_backend, to_numpy
from tinynn.files import load_tensors, save_tensors
from tinynn.nn.layers import Cached, Chain, Layer, Shape
from tinynn.nn.prediction import RecordedPrediction
from tinynn.validation import check_array

BLOCK = 4096  # rows that predict takes at a time, so that its activations stay small


class Sequential(Chain):
    """Layers in a row, with all their parameters in one vector `theta`, all gradients in `grad`.

    Parameters
    ----------
    *layers : Layer
        Each layer once; sizes have to fit.
    rng : int, Generator or None
        Draws all parameters anew, layer by layer; None keeps the ones the layers have.
    dtype : "float32" or "float64"
        Of parameters and computation.
    backend : "numpy" or "cupy"

    Attributes
    ----------
    theta, grad : (n_parameters,)
        Parameters and dL/dtheta. Layers hold views: write ``model.theta[:] = ...``.

    Raises
    ------
    TypeError, ValueError
        No layers, no `Layer`, one layer twice, widths that do not fit, an unknown dtype.

    Examples
    --------
    >>> model = Sequential(Dense(8, 32), ReLU(), Dense(32, 1), rng=0)
    >>> prediction = model.forward(X)                      # (M, 1)
    >>> loss.forward(prediction, y)
    >>> model.backward(loss.backward())                    # fills model.grad
    >>> optimizer.step(model.theta, model.grad)
    """

    shape_out = Cached()
    _predicted: Shape | None = None
    _prediction: RecordedPrediction | None = None

    def __init__(
        self,
        *layers: Layer,
        rng: int | np.random.Generator | None = None,
        dtype: object = "float32",
        backend: str = "numpy",
    ) -> None:
        super().__init__(*layers)
        if dtype not in ("float32", "float64", np.float32, np.float64):
            raise ValueError(f"dtype must be float32 or float64; got {dtype}")
        self.dtype = np.dtype(dtype)
        self.backend = backend
        self.xp = get_backend(backend)
        inside = [layer for prefix, layer in self.named_layers() if prefix]
        if len({id(layer) for layer in inside}) < len(inside):
            raise ValueError(
                "a layer appears twice; every layer needs a place of its own: its backward keeps one batch"
            )
        if any(isinstance(layer, Sequential) for layer in inside):
            raise TypeError(
                "a Sequential cannot hold another one: pass its layers, Sequential(*inner.layers, ...)"
            )
        for layer in inside:
            hidden = [x for x in vars(layer).values() if isinstance(x, Layer) and x not in inside]
            if hidden:
                raise TypeError(f"{layer!r} holds {hidden[0]!r}, which would not be trained: make it a Chain")
        if self.n_in is not None:
            self.output_shape((1, self.n_in))
        if rng is not None:
            self.initialize(np.random.default_rng(rng))
        self._gather()

    def _gather(self, networks: Shape = ()) -> None:
        """Move every layer to this backend and its parameters into views of theta and grad.

        `networks` is (K,) if the parameters are those of K networks, each with a first axis for them.
        """
        # (prefix + torch's name, layer, attribute) of every parameter, in order
        slots = [
            (prefix + name, layer, attribute)
            for prefix, layer in self.named_layers()
            for name, attribute in layer.parameter_names.items()
        ]
        sizes = [getattr(layer, attribute).size // math.prod(networks) for _, layer, attribute in slots]
        self._theta = self.xp.empty((*networks, sum(sizes)), self.dtype)
        self._grad = self.xp.zeros((*networks, sum(sizes)), self.dtype)
        self._parameters: dict[str, Array] = {}
        self._gradients: dict[str, Array] = {}
        self._slots = []
        ends = np.cumsum(sizes).tolist()
        for (name, layer, attribute), start, end in zip(slots, [0, *ends], ends, strict=False):
            value = to_numpy(getattr(layer, attribute))
            weights = self._theta[..., start:end].reshape(value.shape)
            weights[...] = self.xp.asarray(value)
            gradient = self._grad[..., start:end].reshape(value.shape)
            setattr(layer, attribute, weights)
            setattr(layer, f"d{attribute}", gradient)
            self._parameters[name], self._gradients[name] = weights, gradient
            self._slots.append((name, layer, attribute, weights, gradient))
        for _, layer in self.named_layers():
            layer.xp = self.xp

    @classmethod
    def stack(cls, networks: Sequence[Sequential]) -> Sequential:
        """K networks of one shape as one: theta (K, n_parameters), which takes X (K, M, n_in).

        The parameters are copies. What the result is for is `tinynn.training.fit_many`.
        """
        together = copy.deepcopy(networks[0])
        for (layer, attribute), *others in zip(
            *(network.slots() for network in [together, *networks]), strict=True
        ):
            values = [to_numpy(getattr(other, name)) for other, name in others]
            setattr(layer, attribute, np.stack(values))
        together._gather((len(networks),))
        return together

    @property
    def theta(self) -> Array:
        """All parameters, one vector (n_parameters,); assigning to it copies the numbers in."""
        return self._theta

    @theta.setter
    def theta(self, value: Array) -> None:
        # so that model.theta -= rate * model.grad works, which assigns what it has changed in place
        self._theta[...] = value

    @property
    def grad(self) -> Array:
        """Gradient of the loss with respect to theta, after backward (n_parameters,)."""
        return self._grad

    def parameters(self) -> dict[str, Array]:
        """Views into theta by name: {"0.weight": (n_out, n_in), "0.bias": (n_out,), "2.weight": ...}."""
        return dict(self._parameters)

    def gradients(self) -> dict[str, Array]:
        """Views into grad by name, like `parameters`."""
        return dict(self._gradients)

    def forward(self, X: Array) -> Array:
        """Outputs (M, n_out) for a batch X (M, n_in); keeps what backward needs.

        X is converted to the network's dtype. Its values are not searched for NaN here: `predict`
        and `tinynn.training.fit` do that.

        Raises
        ------
        TypeError, ValueError
            X of another array library, or of the wrong shape.
        """
        if type(X) is not type(self._theta) or X.dtype != self.dtype or X.ndim != 2:
            X = self.check_input(X, finite=False)
        Y = super().forward(X)
        self.shape_out = Y.shape
        return Y

    def backward(self, dY: Array) -> Array:
        """The derivative dL/dX (M, n_in) from dY = dL/d output (M, n_out) of the last forward; fills `grad`.

        `grad` is overwritten, never added to. dY is converted to the network's dtype, as X is.

        Raises
        ------
        RuntimeError
            Before the first forward.
        TypeError, ValueError
            dY of another array library, or not of the shape of the outputs.
        """
        dX = super().backward(self._check_gradient(dY))
        self._collect()
        return dX

    def backward_parameters(self, dY: Array) -> None:
        """Fill `grad` as `backward` does, without the product that dL/dX would cost."""
        super().backward_parameters(self._check_gradient(dY))
        self._collect()

    def backward_input(self, dY: Array) -> Array:
        """dL/dX (M, n_in) as `backward` returns it; `grad` is left alone."""
        return super().backward_input(self._check_gradient(dY))

    def forward_tangent(self, Xdot: Array) -> Array:
        """The change (M, n_out) of the outputs of the last forward as X moves along Xdot (M, n_in)."""
        return super().forward_tangent(self.check_input(Xdot, finite=False))

    def backward_tangent(self, dY: Array, dYdot: Array) -> tuple[Array, Array]:
        """As `Layer.backward_tangent`; fills `grad` with the tangent of what `backward` would fill in."""
        dX, dXdot = super().backward_tangent(self._check_gradient(dY), self._check_gradient(dYdot))
        self._collect()
        return dX, dXdot

    def _check_gradient(self, dY: Array) -> Array:
        shape = self.shape_out
        if type(dY) is not type(self._theta) or dY.dtype != self.dtype or dY.shape != shape:
            return check_array(dY, "dY", shape=shape, dtype=self.dtype, finite=False, like=self._theta)
        return dY

    def _collect(self) -> None:
        for name, layer, attribute, weights, view in self._slots:
            if getattr(layer, attribute) is not weights:
                self.check_parameters()
            gradient = getattr(layer, f"d{attribute}")
            # a layer of the user's own may have made a new dW instead of writing into the one it was given
            if gradient is not view:
                if self.xp.shape(gradient) != weights.shape:
                    raise ValueError(
                        f"d{attribute} of {layer!r} (the gradient of {name}) has shape "
                        f"{self.xp.shape(gradient)}; its parameter has shape {weights.shape}"
                    )
                view[...] = gradient
                setattr(layer, f"d{attribute}", view)

    def slots(self) -> list[tuple[Layer, str]]:
        """Where the parameters are: each layer and the name of the attribute."""
        return [(layer, attribute) for _, layer, attribute, _, _ in self._slots]

    def check_parameters(self) -> None:
        """Make sure that every layer still computes with its view into `theta`.

        Raises
        ------
        ValueError
            If a parameter was replaced (``layer.W = ...``) instead of written (``layer.W[...] = ...``):
            an optimiser would then change numbers that nothing uses.
        """
        for name, layer, attribute, weights, _ in self._slots:
            if getattr(layer, attribute) is not weights:
                raise ValueError(
                    f"{attribute} of {layer!r} ({name}) is no longer a view into theta; "
                    f"write layer.{attribute}[...] = values instead of layer.{attribute} = values"
                )

    @np.errstate(
        invalid="ignore"
    )  # OpenBLAS sometimes says so of the lanes of a register that it does not use
    def predict(self, X: Array) -> Array:
        """Outputs (M, n_out) for X (M, n_in), without dropout and without touching a training pass.

        The array returned belongs to the caller; a forward pass in progress stays as it was.

        Raises
        ------
        TypeError, ValueError
            X of another array library, of the wrong shape, with NaN or inf.
        """
        recorded = self._prediction
        if recorded is not None and (Y := recorded(self.layers, X)) is not None:
            return Y
        X = self.check_input(X)
        if recorded is not None and (Y := recorded(self.layers, X)) is not None:  # as it is after the check
            return Y
        # a shape that comes twice may come often
        if X.shape == self._predicted and RecordedPrediction.possible(self.layers, X):
            self._prediction = RecordedPrediction(self.layers, X)
        self._predicted = X.shape
        layers = [layer.inference_copy() for layer in self.layers]
        blocks = []
        for start in range(0, len(X), BLOCK):
            A = block = X[start : start + BLOCK]
            for layer in layers:
                A = layer.forward(A)
            blocks.append(A.copy() if A is block else A)
        return blocks[0] if len(blocks) == 1 else self.xp.concatenate(blocks)

    def check_input(self, X: Array, finite: bool = True) -> Array:
        """X (M, n_in) in the network's dtype, or the error that `predict` raises for it."""
        return check_array(X, "X", shape=(None, self.n_in), dtype=self.dtype, finite=finite, like=self._theta)

    def state_dict(self) -> dict[str, np.ndarray]:
        """Copies of the parameters as NumPy arrays, with torch's names and shapes.

        Raises
        ------
        ValueError
            As `check_parameters`.
        """
        self.check_parameters()
        return {name: to_numpy(x).copy() for name, x in self._parameters.items()}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Copy parameters in, all or none; they are cast to the network's dtype.

        Raises
        ------
        ValueError
            Names missing or unknown, shapes that differ, NaN or inf; or as `check_parameters`.
        """
        self.check_parameters()
        missing = [name for name in self._parameters if name not in state]
        unknown = [name for name in state if name not in self._parameters]
        if missing or unknown:
            raise ValueError(f"state does not fit {self!r}: missing {missing}, unknown {unknown}")
        checked = {
            name: check_array(to_numpy(state[name]), f"state[{name!r}]", shape=x.shape, dtype=self.dtype)
            for name, x in self._parameters.items()
        }
        for name, value in checked.items():
            self._parameters[name][...] = self.xp.asarray(value)

    def save(self, path: str | os.PathLike) -> None:
        """Write the parameters to a safetensors file that torch reads too."""
        save_tensors(path, self.state_dict())

    def load(self, path: str | os.PathLike) -> None:
        """Read parameters from a safetensors file, written here or by torch.

        Raises
        ------
        FileNotFoundError, ValueError
            No file, no safetensors file, or parameters that do not fit.
        """
        self.load_state_dict(load_tensors(path)[0])

    def __getstate__(self) -> dict[str, Any]:
        views = {"_theta", "_parameters", "_gradients", "_slots", "_prediction"}
        return {k: v for k, v in super().__getstate__().items() if k not in views}

    def __setstate__(self, state: dict[str, Any]) -> None:
        super().__setstate__(state)
        grad = self._grad
        self._gather()
        self._grad[:] = grad

    def __copy__(self) -> Sequential:
        return copy.deepcopy(self)  # a shallow copy would share its layers, which hold views into one theta
