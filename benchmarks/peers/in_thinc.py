"""Networks in thinc."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import numpy as np

from benchmarks.harness import Contestant
from benchmarks.networks import Inference, Network, Training, cpu_only


def network(problem: Network, classes: bool = False) -> Any:
    """The same layers with the same weights; for classes with a softmax, as thinc has it."""
    from thinc.api import Linear, Relu, Softmax, chain, use_ops

    kinds: list[Any] = [Relu] * (len(problem.widths) - 2) + [Softmax if classes else Linear]
    sizes = pairwise(problem.widths)
    with use_ops("numpy", use_blis=False):  # NumPy's products are a little faster than its own BLIS
        layers = [kind(n_out, n_in) for kind, (n_in, n_out) in zip(kinds, sizes, strict=True)]
    for layer, (W, b) in zip(layers, problem.weights(), strict=True):
        layer.set_param("W", W)
        layer.set_param("b", b)
    return chain(*layers)


def training(problem: Training, backend: str) -> Contestant:
    """The loop of thinc's tutorials with its Adam, less what makes it another method."""
    from thinc.api import Adam

    cpu_only("thinc", backend)
    model = network(problem, problem.classes)
    optimizer = Adam(
        problem.lr,
        beta1=float(np.float32(0.9)),  # its steps round them so, but not its corrections of the bias
        beta2=float(np.float32(0.999)),
        eps=problem.eps,
        L2=0.0,
        grad_clip=0.0,
        use_averages=False,
    )
    X, y = problem.data()
    if problem.classes:
        y = np.eye(problem.widths[-1], dtype=X.dtype)[y]
    epochs = problem.batches()

    def run() -> Sequence[float]:
        losses = []
        for batches in epochs:
            total = 0.0
            for rows in batches:
                Y, backprop = model.begin_update(X[rows])
                target = y[rows]
                error = Y - target
                if problem.classes:  # the derivative of the cross-entropy before the softmax
                    total -= float(np.log((Y * target).sum(axis=1)).sum())
                    backprop(error / len(rows))
                else:
                    total += float(np.vdot(error, error))
                    backprop(error * (2 / len(rows)))
                model.finish_update(optimizer)
            losses.append(total / len(X))
        return losses

    return run


def inference(problem: Inference, backend: str) -> Contestant:
    """`Model.predict`."""
    cpu_only("thinc", backend)
    model = network(problem)
    (X,) = problem.data()

    def run() -> Sequence[float]:
        for _ in range(problem.calls):
            Y = model.predict(X)
        return Y.ravel()[:5].tolist()

    return run
