"""check_layer, check_tangents, check_loss, check_model: compare hand-written derivatives with differences."""

from __future__ import annotations

import warnings

import numpy as np

from tinynn.gradcheck.comparison import GradientReport, compare
from tinynn.gradcheck.diagnosis import close
from tinynn.gradcheck.subjects import LayerSubject, LossSubject, ModelSubject, TangentSubject
from tinynn.nn import Layer, Loss, Sequential


def check_layer(
    layer: Layer, X: np.ndarray, *, rng: int | np.random.Generator | None = 0, rtol: float = 1e-6
) -> GradientReport:
    """Compare a layer's backward pass with differences of its forward pass.

    The layer's output is weighted with a random G, so that S = sum(G * forward(X)) is a number; its
    derivatives with respect to X and to every parameter, those of layers inside too, have to be what
    backward(G) gives. First along a few random directions, then, where one fails, entry by entry. The
    layer itself is left alone: all of this runs on copies, which have seen another batch before.

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
    GradientFlatWarning
        If a derivative is lost in rounding, so that a wrong one would pass.
    GradientBatchWarning
        If M = 1, which hides mistakes of 1/M and of sums over the batch.
    """
    subject = LayerSubject(layer, _check_float64(X, "X"))
    for name, x in subject.parameters().items():
        _check_float64(x, f"parameter {name} of {layer!r}")
    return compare(subject, _directions(rng), rtol)


def check_tangents(
    layer: Layer, X: np.ndarray, *, rng: int | np.random.Generator | None = 0, rtol: float = 1e-6
) -> GradientReport:
    """Compare a layer's tangents with differences, after `check_layer`.

    Losses of slopes, like those of forces, need them. Where the gradient of such a loss is wrong, this says
    which method of the layer is: X moves along a random Ẋ, and the pair of Y and Ẏ is a function of both.
    By Ẋ its derivative has to be what backward says, or else forward_tangent is wrong; by X and the
    parameters it has to be what backward_tangent says.

    Parameters
    ----------
    layer : Layer
        With float64 parameters.
    X : (M, n_in), float64
        As in `check_layer`.
    rng, rtol
        As in `check_layer`; rng draws Ẋ too.

    Raises
    ------
    TypeError, ValueError
        As in `check_layer`.
    NotImplementedError
        If the layer has no tangents.

    Warns
    -----
    GradientKinkWarning, GradientFlatWarning, GradientBatchWarning
        As in `check_layer`.
    """
    report = check_layer(layer, X, rng=rng, rtol=rtol)
    if not report.ok:
        return report
    rng = _directions(rng)
    subject = TangentSubject(layer, X, rng.standard_normal(X.shape))
    report = compare(subject, rng, rtol)
    of_forward = [f"forward_tangent, {words}" for words in report.diagnosis if words.startswith("Xdot:")]
    of_backward = [f"backward_tangent, {words}" for words in report.diagnosis]
    found = of_forward or of_backward or _input_gradients(subject)
    return GradientReport(not found, report.max_relative_error, tuple(found), report.errors)


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
        Three or more samples, as in `check_layer`.
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
    GradientKinkWarning, GradientFlatWarning, GradientBatchWarning
        As in `check_layer`.
    """
    subject = LossSubject(loss, _check_float64(prediction, "prediction"), target)
    return compare(subject, _directions(rng), rtol)


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
        Three or more samples, as in `check_layer`.
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
    GradientKinkWarning, GradientFlatWarning, GradientBatchWarning
        As in `check_layer`.
    """
    _check_float64(X, "X")
    _check_float64(model.theta, 'model.theta (build the network with dtype="float64")')
    model.check_parameters()
    subject = ModelSubject(model, X, target, loss)
    left_out = None
    try:
        report = compare(subject, _directions(rng), rtol)
        left_out = None if report.ok else _left_out(subject)
    except Warning:  # a filter has made it an error
        raise
    except Exception as error:  # of a layer, most likely; the search below lets it tell
        words = f"the network raises {type(error).__name__}: {error}"
        report = GradientReport(False, np.inf, (words,), {})
    if report.ok:
        return report
    found = _wrong_part(subject, rtol) or left_out or report.diagnosis
    return GradientReport(False, report.max_relative_error, tuple(found), report.errors)


def _input_gradients(subject: TangentSubject) -> list[str]:
    """The other methods that return dX, if it is not that of backward."""
    subject.forward()
    dY = subject.arguments["dY"][:, 1]
    dX = subject.layer.backward(dY).copy()
    others = {
        "backward_input": subject.layer.backward_input(dY),
        "backward_tangent": subject.layer.backward_tangent(dY, dY)[0],
    }
    return [f"{name}: its dX is not that of backward" for name, x in others.items() if not close(x, dX)]


def _wrong_part(subject: ModelSubject, rtol: float) -> list[str]:
    """What is wrong with the first layer that is, or else with the loss."""
    A = subject.arguments["X"]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        for i, layer in enumerate(subject.model.layers):
            report = check_layer(layer, A, rtol=rtol)
            if not report.ok:
                return [f"layer {i}, {layer!r}: {words}" for words in report.diagnosis]
            A = layer.forward(A)
        report = check_loss(subject.loss, A, subject.arguments["target"], rtol=rtol)
    return [f"{subject.loss!r}: {words}" for words in report.diagnosis]


def _left_out(subject: ModelSubject) -> list[str]:
    """The layer that the network's backward does not go through, if it leaves one out."""
    whole = subject.copy()
    whole.forward()
    dX = whole.backward()["X"]
    for skipped, layer in enumerate(subject.model.layers):
        twin = subject.copy()
        twin.forward()
        dY = twin.loss.backward()
        for i in reversed(range(len(twin.model.layers))):
            passed = twin.model.layers[i].backward(dY)
            if i != skipped:
                dY = passed
            elif passed.shape != dY.shape:
                break  # what comes before could not take this dY
        else:
            if dX is not None and dX.shape == dY.shape and close(dX, dY):
                return [f"layer {skipped}, {layer!r}, is left out of the backward pass"]
    return []


def _check_float64(x: np.ndarray, name: str) -> np.ndarray:
    if not isinstance(x, np.ndarray) or x.dtype != np.float64:
        kind = x.dtype if hasattr(x, "dtype") else type(x).__name__
        raise TypeError(
            f"{name} is {kind}; gradients are checked in float64 on NumPy: rounding in float32 hides errors"
        )
    if x.size == 0 or not np.isfinite(x).all():
        raise ValueError(f"{name} must hold at least one number, and no NaN or inf")
    return x


def _directions(rng: int | np.random.Generator | None) -> np.random.Generator:
    """A generator of its own: X may come from the same seed, and dY = X would hide a mistaken X for dY."""
    return np.random.default_rng(rng).spawn(1)[0]
