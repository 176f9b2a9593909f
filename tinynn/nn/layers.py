"""Layers: a forward pass, a backward pass, and what the one hands to the other.

Notation of the slides: layer l maps a^{l-1} to z^l and a^l; here X is what enters a layer and Y what
leaves it, one sample a row. ``dY`` is short for the derivative of the loss with respect to Y, and so
for every name: backward receives dY, stores dW for each parameter W, and returns dX.

A dot is the derivative by ε at ε = 0, where X moves along Ẋ (``Xdot``) and dY along dẎ (``dYdot``): the
tangents of forward and backward, for losses of slopes like those of forces. With them the derivative of a
slope by every parameter is one more pass, as exact as backward (Pearlmutter 1994, "Fast exact multiplication
by the Hessian"). A layer needs them only for that.

The same line serves teaching and training: `tinynn.training.fit` records what the layers do in one step, and
repeats that without them (`tinynn.recording`). It serves many networks of one shape too, with an axis for the
networks in front of all others: X (K, M, n), W (K, n_out, n_in). Samples are always the last axis but one.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator, Mapping
from types import MethodType, ModuleType
from typing import Any

import numpy as np

from tinynn.backend import Array, OnBackend
from tinynn.nn.initializers import INITIALIZERS
from tinynn.validation import check_integer, check_number

Shape = tuple[int, ...]

TANGENTS = ("forward_tangent", "backward_tangent")


class Cached:
    """An attribute that forward sets for backward; reading it too early is an error that says so."""

    def __init__(self, mistake: str = "backward before forward") -> None:
        self.mistake = mistake

    def __set_name__(self, owner: type, name: str) -> None:
        self.name = name

    def __get__(self, layer: object, owner: type) -> Any:
        if layer is None:
            return self
        raise RuntimeError(f"{owner.__name__}: {self.mistake} (no {self.name} is cached yet)")


class Layer(OnBackend):
    """A differentiable map Y = f(X), with its derivative written out by hand.

    A layer of your own needs `forward` and `backward`; if it has parameters, also
    `parameter_names`. Check it with `tinynn.gradcheck.check_layer`, put it into a `Sequential`.

    A subclass with a `backward` of its own needs its own tangents, too; see `matching`.

    Attributes
    ----------
    parameter_names : dict
        Name in the `state_dict` -> attribute, for example {"weight": "W"}. Backward leaves the
        gradient of the parameter ``W`` in the attribute ``dW``.
    xp : module
        numpy or cupy; set by the `Sequential` that holds the layer.
    training : bool
        False on the copies that predict (see `inference_copy`).
    n_in : int or None
        Width of the X it takes, if it is fixed.
    """

    parameter_names: Mapping[str, str] = {}
    training = True
    n_in: int | None = None
    settings: tuple[str, ...] = ()  # attributes that it depends on besides the parameters
    recordable = True  # whether all it does can be repeated by the same calls of the array library

    def forward(self, X: Array) -> Array:
        """Y = f(X) for a batch X (M, n_in); keeps what backward needs."""
        raise NotImplementedError(f"{type(self).__name__} does not define forward")

    def backward(self, dY: Array) -> Array:
        """The derivative dL/dX from dY = dL/dY, for the batch of the last forward; sets dW for every W.

        Gradients are overwritten, not added up: calling backward twice gives the same twice.

        Raises
        ------
        RuntimeError
            Before the first forward.
        """
        raise NotImplementedError(f"{type(self).__name__} does not define backward")

    def backward_parameters(self, dY: Array) -> None:
        """Only the gradients of the parameters: the first layer of a training step needs no dX."""
        self.backward(dY)

    def backward_input(self, dY: Array) -> Array:
        """Only dX, dW is left alone; by default a layer with parameters has to copy itself for that."""
        has_parameters = any(layer.parameter_names for _, layer in self.named_layers())
        return (copy.deepcopy(self) if has_parameters else self).backward(dY)

    def forward_tangent(self, Xdot: Array) -> Array:
        """Ẏ, where the X of the last forward moves along Ẋ; keeps what backward_tangent needs."""
        raise NotImplementedError(f"{type(self).__name__} does not define forward_tangent")

    def backward_tangent(self, dY: Array, dYdot: Array) -> tuple[Array, Array]:
        """The dX of backward(dY), and dẊ, where X moves along the last forward_tangent's Ẋ and dY along dẎ.

        Sets dW for every W to the tangent of dW: the derivative by W of sum(dẎ * Y + dY * Ẏ), of which
        dẊ is the derivative by X.

        Raises
        ------
        RuntimeError
            Before the first forward_tangent.
        """
        raise NotImplementedError(f"{type(self).__name__} does not define backward_tangent")

    def matching(self, name: str) -> Callable[..., Any]:
        """The method `name`, one of the four above, if it goes with this layer's backward; else Layer's.

        What a class inherits from one above belongs to the backward there. If the class has a backward of
        its own, it is another derivative. So whatever asks a layer for more than backward asks this way.
        """
        return MethodType(getattr(_source(type(self), name), name), self)

    @property
    def has_tangents(self) -> bool:
        """Whether this layer and all inside it define tangents that go with their backward."""
        kinds = {type(layer) for _, layer in self.named_layers()}
        return all(_source(kind, name) is not Layer for kind in kinds for name in TANGENTS)

    def initialize(self, rng: np.random.Generator) -> None:
        """Draw the parameters, if there are any, from `rng`."""

    def output_shape(self, shape: Shape) -> Shape | None:
        """Shape of Y for X of the given shape; None if the layer cannot tell."""
        return None

    def inference_copy(self) -> Layer:
        """A copy with the same parameters (the same memory) but its own cache, for prediction."""
        twin = object.__new__(type(self))
        twin.__dict__.update(self.__dict__, training=False)
        return twin

    def named_layers(self, prefix: str = "") -> Iterator[tuple[str, Layer]]:
        """This layer and those inside it, each with its prefix in the state_dict ("2.0.")."""
        yield prefix, self

    def __repr__(self) -> str:
        return f"{type(self).__name__}()"


def _source(kind: type[Layer], name: str) -> type[Layer]:
    """The class from which `kind` has the method `name`; Layer where that belongs to another backward."""
    for cls in kind.__mro__:
        if name in vars(cls):
            return cls
        if "backward" in vars(cls):
            break
    return Layer


def product(xp: ModuleType, A: Array, B: Array, out: Array = None) -> Array:
    """The matrix product A B, or those of two stacks of matrices."""
    multiply = xp.dot if A.ndim == 2 else xp.matmul  # of small matrices dot is the faster one
    return multiply(A, B, out=out)


class Dense(Layer):
    """Y = X W' + b, the weighted sum of every neuron's inputs.

    Parameters
    ----------
    n_in, n_out : int
        Number of inputs and of neurons.
    bias : bool
        Without it there is no b.
    init : "he" or "glorot"
        How wide the weights are drawn (`tinynn.nn.initializers`); the bias starts at zero.
    rng : int, Generator or None
        Where the weights come from when the layer is used by itself; a `Sequential` with an rng
        draws them anew.

    Attributes
    ----------
    W : (n_out, n_in)
        Weights, as on the slides and in torch ("weight").
    b : (n_out,)
        Bias ("bias").
    dW, db
        Their gradients after backward.

    Raises
    ------
    TypeError, ValueError
        Sizes that are not positive integers; an unknown `init`; X of the wrong width.
    """

    X = Cached()
    Xdot = Cached("backward_tangent before forward_tangent")
    n_in: int

    def __init__(
        self,
        n_in: int,
        n_out: int,
        *,
        bias: bool = True,
        init: str = "he",
        rng: int | np.random.Generator | None = None,
    ) -> None:
        self.n_in = check_integer(n_in, "n_in", low=1)
        self.n_out = check_integer(n_out, "n_out", low=1)
        if init not in INITIALIZERS:
            raise ValueError(f"init must be one of {', '.join(INITIALIZERS)}; got {init!r}")
        self.init = init
        self.parameter_names = {"weight": "W", "bias": "b"} if bias else {"weight": "W"}
        self.dW: Array = None
        self.db: Array = None
        self.b: Array = None
        self.W = np.empty((n_out, n_in))
        if bias:
            self.b = np.empty(n_out)
        self.initialize(np.random.default_rng(rng))

    def initialize(self, rng: np.random.Generator) -> None:
        self.W[...] = self.xp.asarray(INITIALIZERS[self.init](self.n_in, self.n_out, rng))
        if self.b is not None:
            self.b[...] = 0

    def forward(self, X: Array) -> Array:
        if X.ndim != self.W.ndim or X.shape[-1] != self.n_in:
            raise ValueError(
                f"Dense({self.n_in}, {self.n_out}): X has shape {X.shape}; wanted (M, {self.n_in})"
            )
        self.X = X
        Y = product(self.xp, X, self.W.mT)  # z^l = W^l a^{l-1} + b^l                      S4 (49)
        if self.b is not None:
            Y += self.b[..., None, :]
        return Y

    def backward(self, dY: Array) -> Array:
        self.backward_parameters(dY)
        return self.backward_input(dY)

    def backward_input(self, dY: Array) -> Array:
        return product(self.xp, dY, self.W)  # dL/da^{l-1} = (W^l)' dL/dz^l                    S4 BP2

    def backward_parameters(self, dY: Array) -> None:
        if self.dW is not None and not self.dW.dtype == dY.dtype == self.X.dtype:
            self.dW = self.db = None  # they were those of a batch in another dtype
        self.dW = product(self.xp, dY.mT, self.X, out=self.dW)  # dL/dW^l = dL/dz^l (a^{l-1})' S4 BP3
        if self.b is not None:
            if self.db is None:
                self.db = self.xp.empty(self.b.shape, dY.dtype)
            ones = self.xp.ones_like(dY[..., :1])  # a product sums a batch faster than sum does
            product(self.xp, ones.mT, dY, out=self.db[..., None, :])  # dL/db^l = dL/dz^l, summed  S4 BP4

    def forward_tangent(self, Xdot: Array) -> Array:
        self.Xdot = Xdot
        return product(self.xp, Xdot, self.W.mT)  # Ẏ = Ẋ W'

    def backward_tangent(self, dY: Array, dYdot: Array) -> tuple[Array, Array]:
        self.backward_parameters(dYdot)
        self.dW += product(self.xp, dY.mT, self.Xdot)  # dẆ = dẎ' X + dY' Ẋ
        return self.backward_input(dY), product(self.xp, dYdot, self.W)  # dẊ = dẎ W

    def output_shape(self, shape: Shape) -> Shape:
        if shape[1:] != (self.n_in,):
            raise ValueError(f"{self!r} wants {self.n_in} inputs but is given {shape[1]}")
        return shape[0], self.n_out

    def __repr__(self) -> str:
        return f"Dense({self.n_in}, {self.n_out}{'' if 'bias' in self.parameter_names else ', bias=False'})"


class Dropout(Layer):
    """Sets each entry to zero with probability p in training; does nothing in prediction.

    The survivors are divided by 1 - p, so that the mean of Y is X in both. Every forward pass draws
    a new mask. Source: Srivastava et al. 2014, "Dropout".

    Parameters
    ----------
    p : float
        Probability of a zero, in [0, 1).
    rng : int, Generator or None
        A `Sequential` with an rng replaces it by a stream of its own.
    """

    mask = Cached()
    recordable = False  # a recording would draw no new mask

    def __init__(self, p: float = 0.5, *, rng: int | np.random.Generator | None = None) -> None:
        self.p = check_number(p, "p", low=0, high=1, closed="left")
        self.rng = np.random.default_rng(rng)

    def initialize(self, rng: np.random.Generator) -> None:
        self.rng = rng.spawn(1)[0]

    def forward(self, X: Array) -> Array:
        if not self.training:
            return X
        # drawn by NumPy on either backend: the same seed gives the same mask
        keep = self.xp.asarray(self.rng.random(X.shape) >= self.p)
        self.mask = keep.astype(X.dtype) / (1 - self.p)
        return X * self.mask

    def backward(self, dY: Array) -> Array:
        if not self.training:
            return dY
        return dY * self.mask

    def output_shape(self, shape: Shape) -> Shape:
        return shape

    def __repr__(self) -> str:
        return f"Dropout({self.p:g})"


class Chain(Layer):
    """Layers one after another: f = f_L ∘ ... ∘ f_1, and backward in the opposite order.

    A layer of your own that holds other layers has to be a Chain: only the layers in its `layers` are
    found, trained and saved.

    Parameters
    ----------
    *layers : Layer
        At least one.

    Raises
    ------
    TypeError, ValueError
        No layers, or something that is no layer.
    """

    def __init__(self, *layers: Layer) -> None:
        if not layers:
            raise ValueError(f"{type(self).__name__} needs at least one layer")
        for i, layer in enumerate(layers):
            if not isinstance(layer, Layer):
                raise TypeError(f"layer {i} is {layer!r}; wanted an instance of tinynn.nn.Layer")
        self.layers = list(layers)

    @property
    def n_in(self) -> int | None:  # type: ignore[override]
        """Width of X; None if no layer says, or one before it may change the width."""
        for layer in self.layers:
            if layer.n_in is not None:
                return layer.n_in
            if layer.output_shape((1, 1)) != (1, 1):
                return None
        return None

    def forward(self, X: Array) -> Array:
        for layer in self.layers:
            X = layer.forward(X)
        return X

    def backward(self, dY: Array) -> Array:
        for layer in reversed(self.layers):
            dY = layer.backward(dY)
        return dY

    def backward_parameters(self, dY: Array) -> None:
        for layer in self.layers[:0:-1]:
            dY = layer.backward(dY)
        self.layers[0].matching("backward_parameters")(dY)

    def backward_input(self, dY: Array) -> Array:
        for layer in reversed(self.layers):
            dY = layer.matching("backward_input")(dY)
        return dY

    def forward_tangent(self, Xdot: Array) -> Array:
        for layer in self.layers:
            Xdot = layer.matching("forward_tangent")(Xdot)
        return Xdot

    def backward_tangent(self, dY: Array, dYdot: Array) -> tuple[Array, Array]:
        for layer in reversed(self.layers):
            dY, dYdot = layer.matching("backward_tangent")(dY, dYdot)
        return dY, dYdot

    def initialize(self, rng: np.random.Generator) -> None:
        for layer in self.layers:
            layer.initialize(rng)

    def output_shape(self, shape: Shape) -> Shape | None:
        after: Shape | None = shape
        for layer in self.layers:
            after = layer.output_shape(after) if after is not None else None
        return after

    def inference_copy(self) -> Layer:
        twin = super().inference_copy()
        twin.layers = [layer.inference_copy() for layer in self.layers]  # type: ignore[attr-defined]
        return twin

    def named_layers(self, prefix: str = "") -> Iterator[tuple[str, Layer]]:
        yield prefix, self
        for i, layer in enumerate(self.layers):
            yield from layer.named_layers(f"{prefix}{i}.")

    def __repr__(self) -> str:
        return f"{type(self).__name__}({', '.join(map(repr, self.layers))})"


class Residual(Chain):
    """Y = X + f(X): the layers learn a correction, and the gradient has a way around them.

    Parameters
    ----------
    *layers : Layer
        f; its output has to have the shape of its input.

    Raises
    ------
    ValueError
        If f changes the shape, or there are no layers.

    Source: He et al. 2016, "Deep residual learning for image recognition"; S3 (14.1).
    """

    def forward(self, X: Array) -> Array:
        Y = super().forward(X)
        if Y.shape != X.shape:  # the sum might broadcast
            raise ValueError(f"{self!r} adds X to f(X), but X has shape {X.shape} and f(X) {Y.shape}")
        return X + Y

    def backward(self, dY: Array) -> Array:
        return dY + super().backward(dY)

    backward_parameters = Chain.backward_parameters  # X has none

    def backward_input(self, dY: Array) -> Array:
        return dY + super().backward_input(dY)

    def forward_tangent(self, Xdot: Array) -> Array:
        return Xdot + super().forward_tangent(Xdot)  # Ẏ = Ẋ + ḟ

    def backward_tangent(self, dY: Array, dYdot: Array) -> tuple[Array, Array]:
        dX, dXdot = super().backward_tangent(dY, dYdot)
        return dY + dX, dYdot + dXdot

    def output_shape(self, shape: Shape) -> Shape | None:
        after = super().output_shape(shape)
        if after is not None and after != shape:
            raise ValueError(f"{self!r} adds X to f(X), but f maps {shape[1]} features to {after[1]}")
        return after
