"""Networks in scikit-learn: MLPRegressor and MLPClassifier."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from benchmarks.harness import Contestant
from benchmarks.networks import Inference, Network, Training, cpu_only


def start(mlp: Any, problem: Network) -> Any:
    """`mlp`, which has seen data once and so has its arrays, with the weights of the problem."""
    for coef, intercept, (W, b) in zip(mlp.coefs_, mlp.intercepts_, problem.weights(), strict=True):
        coef[...], intercept[...] = W.T, b
    del mlp._optimizer  # with the state of Adam; the next call makes a new one
    return mlp


def training(problem: Training, backend: str) -> Contestant:
    """`partial_fit` once an epoch, on the rows in the order of the batches."""
    from sklearn.neural_network import MLPClassifier, MLPRegressor

    cpu_only("scikit-learn", backend)
    X, y = problem.data()
    estimator, first_call = MLPRegressor, {}
    if problem.classes:
        estimator, first_call = MLPClassifier, {"classes": np.arange(problem.widths[-1])}
    else:
        y = y.ravel()
    mlp = estimator(
        hidden_layer_sizes=problem.widths[1:-1],
        alpha=0.0,
        batch_size=problem.batch_size,
        learning_rate_init=problem.lr,
        epsilon=problem.eps,
        shuffle=False,
        n_iter_no_change=np.inf,
    )
    some = slice(problem.batch_size)
    start(mlp.partial_fit(X[some], y[some], **first_call), problem)
    orders = problem.orders()
    scale = 1 if problem.classes else 2  # its squared error is halved, which Adam does not notice

    def run() -> Sequence[float]:
        return [scale * float(mlp.partial_fit(X[order], y[order]).loss_) for order in orders]

    return run


def inference(problem: Inference, backend: str) -> Contestant:
    """`MLPRegressor.predict`."""
    from sklearn.neural_network import MLPRegressor

    cpu_only("scikit-learn", backend)
    (X,) = problem.data()
    mlp = MLPRegressor(hidden_layer_sizes=problem.widths[1:-1], batch_size=1)
    start(mlp.partial_fit(X[:1], np.zeros((1, problem.widths[-1]), X.dtype).squeeze(1)), problem)

    def run() -> Sequence[float]:
        for _ in range(problem.calls):
            y = mlp.predict(X)
        return y[:5].tolist()

    return run
