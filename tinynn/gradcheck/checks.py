"""check_layer, check_loss, check_model: compare hand-written derivatives with differences."""

from __future__ import annotations

import copy
import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np

from tinynn.gradcheck.diagnosis import Evidence, close, diagnose
from tinynn.gradcheck.differences import directional_derivative, jacobian
from tinynn.nn import Layer, Loss, Sequential

DIRECTIONS = 6


class GradientKinkWarning(UserWarning):
    """The point of the check lies on a kink, where there is no derivative to compare with."""


@dataclass(frozen=True)
class GradientReport:
    """What a gradient check found; print it.

    Attributes
    ----------
    ok : bool
    max_relative_error : float
        The largest of `errors`.
    diagnosis : tuple of str
        For everything that is wrong, the likely mistake; empty if ok.
    errors : dict
        Relative error by variable: "X" for the input, "W", "b" ... for parameters.
    """

    ok: bool
    max_relative_error: float
    diagnosis: tuple[str, ...]
    errors: Mapping[str, float]

    def __bool__(self) -> bool:
        return self.ok

    def __str__(self) -> str:
        verdict = "gradients agree" if self.ok else "gradients are WRONG"
        lines = [f"{verdict} (largest relative error {self.max_relative_error:.1e})"]
        lines += [f"  d/d{name:<12} relative error {error:.1e}" for name, error in self.errors.items()]
        return "\n".join(lines + [f"  -> {words}" for words in self.diagnosis])


def check_layer(
    layer: Layer, X: np.ndarray, *, rng: int | np.random.Generator | None = 0, rtol: float = 1e-6
) -> GradientReport:
    """Compare a layer's backward pass with differences of its forward pass.

    The layer's output is weighted with a random G, so that S = sum(G * forward(X)) is a number; its
    derivatives with respect to X and to every parameter have to be what backward(G) gives. First
    along a few random directions, then, where one fails, entry by entry. The layer itself is left
    alone: all of this runs on copies.

    Parameters
    ----------
    layer : Layer
        With float64 parameters.
    X : (M, n_in), float64
        A batch to check at; three or more samples, so that sum, mean and single sample differ.
    rng : int, Generator or None
        Draws G and the directions.
    rtol : float
        Relative error that is let through.

    Raises
    ------
    TypeError
        If X or a parameter is not float64: rounding in float32 hides errors below 1 %.
    ValueError
        If X is not a batch of finite numbers.

    Warns
    -----
    GradientKinkWarning
        If the function has a kink at X; entries at it are left out of the comparison.
    """
    X = _check_float64(X, "X")
    for attribute in layer.parameter_names.values():
        _check_float64(getattr(layer, attribute), f"parameter {attribute} of {layer!r}")
    generator = np.random.default_rng(rng)
    layer = copy.deepcopy(layer)
    layer.unbind()
    output = copy.deepcopy(layer).forward(X.copy())
    G = generator.standard_normal(output.shape)
    earlier_X = generator.standard_normal(X.shape)

    used = copy.deepcopy(layer)  # has seen a batch before, as in training
    used.forward(earlier_X)
    used.backward(generator.standard_normal(output.shape))
    _restore_generators(used, layer)
    own_X, own_G = X.copy(), G.copy()
    used.forward(own_X)
    analytic = {"X": np.array(used.backward(own_G))}
    analytic |= {a: np.array(getattr(used, f"d{a}")) for a in layer.parameter_names.values()}

    variables = {"X": X.copy()} | {a: getattr(layer, a) for a in layer.parameter_names.values()}

    def forward_at(values: np.ndarray) -> np.ndarray:
        return copy.deepcopy(layer).forward(values)

    def function() -> np.ndarray:
        return forward_at(variables["X"])

    check = _Check(function, G, generator, rtol)
    problems = []
    for name, changed in (("X", not np.array_equal(own_X, X)), ("dY", not np.array_equal(own_G, G))):
        if changed:
            problems.append(f"{name} is changed in place; other layers still need it")
    stale = _stale_cache(layer, X, G, earlier_X, analytic)
    for name, x in variables.items():
        problem = check.compare(name, x, analytic[name], output, len(X), forward_at if name == "X" else None)
        if problem:
            problems.append(f"{name}: {stale}" if stale else problem)
    return check.report(problems)


def check_loss(
    loss: Loss,
    prediction: np.ndarray,
    target: np.ndarray,
    *,
    rng: int | np.random.Generator | None = 0,
    rtol: float = 1e-6,
) -> GradientReport:
    """Compare a loss's backward pass with differences of its forward pass.

    Parameters
    ----------
    loss : Loss
    prediction : (M, n), float64
    target : (M, n) or (M,)
        As the loss wants it.
    rng, rtol
        As in `check_layer`.

    Raises
    ------
    TypeError, ValueError
        As in `check_layer`; and what the loss itself refuses.

    Warns
    -----
    GradientKinkWarning
        If the loss has a kink at the prediction.
    """
    prediction = _check_float64(prediction, "prediction").copy()
    generator = np.random.default_rng(rng)
    used = copy.deepcopy(loss)
    used.forward(prediction + generator.standard_normal(prediction.shape), target)
    used.backward()
    used.forward(prediction.copy(), target)
    analytic = np.array(used.backward())
    fresh = copy.deepcopy(loss)
    fresh.forward(prediction.copy(), target)
    stale = not close(np.array(fresh.backward()), analytic)

    def function() -> np.ndarray:
        return np.asarray(copy.deepcopy(loss).forward(prediction.copy(), target))

    check = _Check(function, np.asarray(1.0), generator, rtol)
    problem = check.compare("prediction", prediction, analytic, function(), len(prediction))
    if problem and stale:
        problem = "prediction: stale cache: backward uses what an earlier forward left behind"
    return check.report([problem] if problem else [])


def check_model(
    model: Sequential,
    X: np.ndarray,
    target: np.ndarray,
    loss: Loss,
    *,
    rng: int | np.random.Generator | None = 0,
    rtol: float = 1e-6,
) -> GradientReport:
    """Compare the gradient of the loss of a whole network with differences of the loss.

    Where it fails, every layer is checked by itself at the input it has in the network, then the
    loss, then the order in which backward goes through them; the first to fail is named.

    Parameters
    ----------
    model : Sequential
        With dtype="float64".
    X : (M, n_in), float64
    target : as the loss wants it
    loss : Loss
    rng, rtol
        As in `check_layer`.

    Raises
    ------
    TypeError, ValueError
        As in `check_layer` and `check_loss`.

    Warns
    -----
    GradientKinkWarning
        If the network has a kink at X.
    """
    X = _check_float64(X, "X").copy()
    _check_float64(model.theta, 'model.theta (build the network with dtype="float64")')
    model.check_parameters()
    model, loss = copy.deepcopy(model), copy.deepcopy(loss)
    generator = np.random.default_rng(rng)
    used = copy.deepcopy(model)
    loss.forward(used.forward(X.copy()), target)
    analytic = {"X": np.array(used.backward(loss.backward()))}
    analytic |= {name: np.array(g) for name, g in used.gradients().items()}
    variables = {"X": X, **model.parameters()}

    def function() -> np.ndarray:
        return np.asarray(loss.forward(copy.deepcopy(model).forward(X.copy()), target))

    check = _Check(function, np.asarray(1.0), generator, rtol)
    problems = [check.compare(name, x, analytic[name], function(), len(X)) for name, x in variables.items()]
    found = [problem for problem in problems if problem]
    if found:
        found = _blame(model, X, target, loss, analytic) or found
    return check.report(found)


class _Check:
    """Comparison of gradients variable by variable, for one function of all of them."""

    def __init__(
        self,
        function: Callable[[], np.ndarray],
        upstream: np.ndarray,
        rng: np.random.Generator,
        rtol: float,
    ) -> None:
        self.function, self.upstream, self.rng, self.rtol = function, upstream, rng, rtol
        self.errors: dict[str, float] = {}

    def compare(
        self,
        name: str,
        x: np.ndarray,
        analytic: np.ndarray,
        output: np.ndarray,
        batch: int,
        forward_at: Callable[[np.ndarray], np.ndarray] | None = None,
    ) -> str | None:
        """The mistake in the gradient of `name`, or None."""
        if analytic.shape == x.shape and np.isfinite(analytic).all():
            self.errors[name] = self._along_directions(x, analytic)
            if self.errors[name] <= self.rtol:
                return None
        J, smooth, noise = jacobian(self.function, x)
        if not smooth.all():
            warnings.warn(
                f"{name}: {np.sum(~smooth)} of {smooth.size} entries lie on a kink, where there is no "
                "derivative; they are left out. Move the point of the check.",
                GradientKinkWarning,
                stacklevel=4,
            )
        evidence = Evidence(name, analytic, J, self.upstream, smooth, x.copy(), output, batch, forward_at)
        self.errors[name] = np.inf
        if analytic.shape == x.shape and np.isfinite(analytic).all():
            difference = abs(analytic - evidence.numeric)[smooth]
            size = abs(evidence.numeric)[smooth].max(initial=0)
            self.errors[name] = _relative(
                difference.max(initial=0), size, noise * np.sqrt(J[0].size), self.rtol
            )
            if self.errors[name] <= self.rtol:
                return None
        return diagnose(evidence)

    def _along_directions(self, x: np.ndarray, analytic: np.ndarray) -> float:
        """Largest error of the directional derivative, relative to its root mean square; inf at a kink."""
        numeric, exact, noise = [], [], 0.0
        for _ in range(DIRECTIONS):
            direction = self.rng.standard_normal(x.shape)
            direction /= np.linalg.norm(direction)
            difference = directional_derivative(self.function, x, direction)
            if difference.smooth:
                numeric.append(np.vdot(difference.value, self.upstream))
                exact.append(np.vdot(analytic, direction))
                noise = max(noise, difference.noise * np.sqrt(self.upstream.size))
        if len(numeric) < DIRECTIONS // 2:
            return np.inf
        error = np.max(np.abs(np.subtract(exact, numeric)))
        return _relative(error, np.sqrt(np.mean(np.square(numeric))), noise, self.rtol)

    def report(self, problems: list[str]) -> GradientReport:
        return GradientReport(not problems, max(self.errors.values()), tuple(problems), dict(self.errors))


def _relative(error: float, size: float, noise: float, rtol: float) -> float:
    """Error over size; where rounding alone could reach rtol, it counts as no more than rtol."""
    scale = max(size, noise / rtol)
    return float(error / scale) if error else 0.0


def _check_float64(x: np.ndarray, name: str) -> np.ndarray:
    if not isinstance(x, np.ndarray) or x.dtype != np.float64:
        kind = x.dtype if hasattr(x, "dtype") else type(x).__name__
        raise TypeError(
            f"{name} is {kind}; gradients are checked in float64 on NumPy: rounding in float32 hides errors"
        )
    if x.size == 0 or not np.isfinite(x).all():
        raise ValueError(f"{name} must hold at least one number, and no NaN or inf")
    return x


def _restore_generators(layer: Layer, like: Layer) -> None:
    """Put the random streams of `layer` where those of `like` are, so that both draw the same masks."""
    for (_, inner), (_, model) in zip(layer.named_layers(), like.named_layers(), strict=True):
        if hasattr(inner, "rng"):
            inner.rng = copy.deepcopy(model.rng)  # type: ignore[attr-defined]


def _stale_cache(
    layer: Layer, X: np.ndarray, G: np.ndarray, earlier_X: np.ndarray, analytic: Mapping[str, np.ndarray]
) -> str | None:
    """Whether the gradients depend on an earlier batch, and how."""

    def gradients(fresh: Layer) -> dict[str, np.ndarray]:
        _restore_generators(fresh, layer)
        fresh.forward(X.copy())
        dX = np.array(fresh.backward(G.copy()))
        return {"X": dX} | {a: np.array(getattr(fresh, f"d{a}")) for a in layer.parameter_names.values()}

    def agree(a: Mapping[str, np.ndarray], b: Mapping[str, np.ndarray]) -> bool:
        return all(a[k].shape == b[k].shape and close(a[k], b[k]) for k in a)

    alone = gradients(copy.deepcopy(layer))
    if agree(alone, analytic) or not all(np.isfinite(g).all() for g in analytic.values()):
        return None
    seen = copy.deepcopy(layer)
    seen.forward(earlier_X)
    if agree(alone, gradients(seen)):
        return "gradients of an earlier batch are added to: backward has to overwrite them"
    return "stale cache: backward uses what an earlier forward left behind"


def _blame(
    model: Sequential, X: np.ndarray, target: np.ndarray, loss: Loss, analytic: Mapping[str, np.ndarray]
) -> list[str]:
    """Which part of a network is wrong: a layer, the loss, or the way through them."""
    A = X
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", GradientKinkWarning)
        for i, layer in enumerate(model.layers):
            report = check_layer(layer, A)
            if not report.ok:
                return [f"layer {i}, {layer!r}: {words}" for words in report.diagnosis]
            A = copy.deepcopy(layer).forward(A)
        report = check_loss(loss, A, target)
        if not report.ok:
            return [f"{loss!r}: {words}" for words in report.diagnosis]
    for skipped, layer in enumerate(model.layers):
        twin = copy.deepcopy(model)
        loss.forward(Sequential.forward(twin, X), target)
        dY = loss.backward()
        for i in reversed(range(len(twin.layers))):
            passed = dY if i == skipped else twin.layers[i].backward(dY)
            dY = passed
        if dY.shape == analytic["X"].shape and close(dY, analytic["X"]):
            return [f"layer {skipped}, {layer!r}, is left out of the backward pass"]
    return []
