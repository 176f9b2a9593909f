"""What is under test: a layer, a loss or a network, together with the batch it is tested on."""

from __future__ import annotations

import copy
from collections.abc import Iterator, Mapping
from typing import Any, Self

import numpy as np

from tinynn.nn import Layer, Loss, Sequential


class Subject:
    """A forward and a backward pass on one batch; every experiment is made on a copy.

    Attributes
    ----------
    arguments : dict
        The arrays that forward and backward are given; they must not change them.
    upstream : array
        dL/d output: what the derivatives of the output are weighted with; 1 for a loss.
    target : array or None
        For a loss, in the shape of the prediction.
    """

    arguments: dict[str, np.ndarray]
    upstream: np.ndarray = np.asarray(1.0)
    target: np.ndarray | None = None

    def forward(self) -> Any:
        """The output for `arguments`, as the code under test returns it."""
        raise NotImplementedError

    def backward(self) -> dict[str, np.ndarray | None]:
        """Copies of the gradients by variable, None where backward left none."""
        raise NotImplementedError

    def slots(self) -> Iterator[tuple[str, Layer, str]]:
        """(name, layer, attribute) of every parameter."""
        yield from ()

    def layers(self) -> list[Layer]:
        """Every layer inside."""
        return []

    def wrong_output(self, output: Any) -> str | None:
        """What is wrong with the output of forward, if anything is."""
        return None if np.ndim(output) == 0 else f"forward returns shape {np.shape(output)}, not one number"

    def weigh(self, output: np.ndarray, rng: np.random.Generator) -> None:
        """Choose `upstream` for an output like this one."""

    @property
    def batch_name(self) -> str:
        """X or prediction: the argument that is a batch of numbers to differentiate by."""
        return next(iter(self.arguments))

    @property
    def batch(self) -> np.ndarray:
        """The argument of that name."""
        return self.arguments[self.batch_name]

    def parameters(self) -> dict[str, np.ndarray]:
        """The parameters themselves, by name."""
        return {name: getattr(layer, attribute) for name, layer, attribute in self.slots()}

    def variables(self) -> dict[str, np.ndarray]:
        """All that there are derivatives with respect to."""
        return {self.batch_name: self.batch} | self.parameters()

    def copy(self, **arguments: np.ndarray) -> Self:
        """An independent copy, with some arguments replaced."""
        twin = copy.deepcopy(self)
        twin.arguments |= arguments
        return twin

    def output(self) -> np.ndarray:
        """The output for `arguments`, computed by a copy."""
        return np.asarray(self.copy().forward(), dtype=np.float64)

    def reset(self, like: Subject) -> None:
        """Take arguments, parameters and the state of random streams from `like`; caches stay."""
        self.arguments = {name: x.copy() for name, x in like.arguments.items()}
        for name, x in like.parameters().items():
            self.parameters()[name][...] = x
        for layer, other in zip(self.layers(), like.layers(), strict=True):
            for attribute, value in vars(other).items():
                if isinstance(value, np.random.Generator):  # in place: layers may share one
                    getattr(layer, attribute).bit_generator.state = value.bit_generator.state

    def earlier_arguments(self) -> dict[str, np.ndarray]:
        """Another batch, made of this one so that it is as valid: rows moved by one, and smaller."""
        return {
            name: np.roll(x, 1, axis=0) * (1 if name == "target" else 0.8)
            for name, x in self.arguments.items()
        }


class LayerSubject(Subject):
    """A layer on a batch X; variables are "X", "W", and "0.W" for what is inside a chain."""

    def __init__(self, layer: Layer, X: np.ndarray) -> None:
        self.layer = copy.deepcopy(layer)
        self.arguments = {"X": X.copy()}

    def layers(self) -> list[Layer]:
        return [layer for _, layer in self.layer.named_layers()]

    def slots(self) -> Iterator[tuple[str, Layer, str]]:
        for prefix, layer in self.layer.named_layers():
            for attribute in layer.parameter_names.values():
                yield prefix + attribute, layer, attribute

    def forward(self) -> Any:
        return self.layer.forward(self.arguments["X"])

    def backward(self) -> dict[str, np.ndarray | None]:
        dX = self.layer.backward(self.arguments["dY"])
        parameters = {name: getattr(layer, f"d{attribute}", None) for name, layer, attribute in self.slots()}
        return _copied({"X": dX} | parameters)

    def wrong_output(self, output: Any) -> str | None:
        if np.ndim(output) == 0 or np.shape(output)[0] != len(self.batch):
            return f"forward returns shape {np.shape(output)}; wanted {len(self.batch)} rows, one a sample"
        return None

    def weigh(self, output: np.ndarray, rng: np.random.Generator) -> None:
        self.upstream = rng.standard_normal(output.shape)
        self.arguments["dY"] = self.upstream.copy()


class TangentSubject(LayerSubject):
    """A layer on a batch X that moves along Xdot: the pair of Y and its tangent, a function of both.

    Its gradient by Xdot is what backward says, those by X and by the parameters what backward_tangent says.
    """

    def __init__(self, layer: Layer, X: np.ndarray, Xdot: np.ndarray) -> None:
        super().__init__(layer, X)
        self.arguments["Xdot"] = Xdot.copy()

    def variables(self) -> dict[str, np.ndarray]:
        return super().variables() | {"Xdot": self.arguments["Xdot"]}

    def forward(self) -> Any:
        Y, Ydot = super().forward(), self.layer.forward_tangent(self.arguments["Xdot"])
        return None if Y is None or Ydot is None else np.stack([Y, Ydot], axis=1)

    def backward(self) -> dict[str, np.ndarray | None]:
        dYdot, dY = np.moveaxis(self.arguments["dY"], 1, 0)  # the weights of Y and of Ydot
        dXdot = self.layer.backward(dY)
        _, dX = self.layer.backward_tangent(dY, dYdot)
        parameters = {name: getattr(layer, f"d{attribute}", None) for name, layer, attribute in self.slots()}
        return _copied({"X": dX, "Xdot": dXdot} | parameters)


class LossSubject(Subject):
    """A loss for a prediction and a target."""

    def __init__(self, loss: Loss, prediction: np.ndarray, target: np.ndarray) -> None:
        self.loss = copy.deepcopy(loss)
        self.arguments = {"prediction": prediction.copy(), "target": np.array(target)}
        self.target = np.array(loss.check_target(target, prediction.shape, prediction.dtype))

    def forward(self) -> Any:
        return self.loss.forward(self.arguments["prediction"], self.arguments["target"])

    def backward(self) -> dict[str, np.ndarray | None]:
        return _copied({"prediction": self.loss.backward()})


class ModelSubject(Subject):
    """The loss of a network, as a function of X and of every parameter by its name in the state_dict."""

    def __init__(self, model: Sequential, X: np.ndarray, target: np.ndarray, loss: Loss) -> None:
        self.model, self.loss = copy.deepcopy(model), copy.deepcopy(loss)
        self.arguments = {"X": X.copy(), "target": np.array(target)}

    def layers(self) -> list[Layer]:
        return [layer for _, layer in self.model.named_layers()]

    def slots(self) -> Iterator[tuple[str, Layer, str]]:
        for prefix, layer in self.model.named_layers():
            for name, attribute in layer.parameter_names.items():
                yield prefix + name, layer, attribute

    def forward(self) -> Any:
        return self.loss.forward(self.model.forward(self.arguments["X"]), self.arguments["target"])

    def backward(self) -> dict[str, np.ndarray | None]:
        dX = self.model.backward(self.loss.backward())
        return _copied({"X": dX} | self.model.gradients())


def _copied(gradients: Mapping[str, Any]) -> dict[str, np.ndarray | None]:
    return {name: None if g is None else np.array(g, dtype=np.float64) for name, g in gradients.items()}
