"""Networks in JAX: whole epochs in one compiled call, and one compiled call a step."""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from benchmarks.harness import Contestant
from benchmarks.networks import Inference, Network, Training


def device_of(backend: str) -> Any:
    """Where JAX computes, and there with TF32 only if CuPy does so too.

    Raises
    ------
    ImportError
        If this JAX finds no GPU.
    """
    import jax

    tf32 = os.environ.get("CUPY_TF32") == "1"
    jax.config.update("jax_default_matmul_precision", "tensorfloat32" if tf32 else "float32")
    try:
        return jax.devices("gpu" if backend == "cupy" else "cpu")[0]
    except RuntimeError as error:
        raise ImportError("this JAX finds no GPU") from error


def forward(parameters: Sequence[tuple[Any, Any]], A: Any) -> Any:
    """Outputs of the network."""
    import jax

    for W, b in parameters[:-1]:
        A = jax.nn.relu(A @ W.T + b)
    W, b = parameters[-1]
    return A @ W.T + b


def training_step(problem: Training) -> Callable[[Any, Any, Any], tuple[Any, Any]]:
    """(state, X, y) to (state, loss), with the state ((W, b) of the layers, m, v, t) of Adam."""
    import jax
    import jax.numpy as jnp

    def loss(parameters: Any, X: Any, y: Any) -> Any:
        Z = forward(parameters, X)
        if problem.classes:
            return -jnp.take_along_axis(jax.nn.log_softmax(Z), y[:, None], axis=1).mean()
        return jnp.square(Z - y).mean()

    def step(state: Any, X: Any, y: Any) -> tuple[Any, Any]:
        parameters, m, v, t = state
        value, gradient = jax.value_and_grad(loss)(parameters, X, y)
        t = t + 1
        # 1 - β^t; the power itself would lose three of float32's seven digits
        weight1, weight2 = (-jnp.expm1(t * math.log(beta)) for beta in (0.9, 0.999))
        root = jnp.sqrt(weight2)
        rate = problem.lr * root / weight1
        m = jax.tree.map(lambda m, g: 0.9 * m + 0.1 * g, m, gradient)
        v = jax.tree.map(lambda v, g: 0.999 * v + 0.001 * g * g, v, gradient)
        parameters = jax.tree.map(
            lambda w, m, v: w - rate * m / (jnp.sqrt(v) + problem.eps * root), parameters, m, v
        )
        return (parameters, m, v, t), value

    return step


def initial_state(problem: Network, device: Any) -> Any:
    """Weights, zeros twice, and the number of steps so far."""
    import jax

    weights = problem.weights()
    zeros = [[(np.zeros_like(W), np.zeros_like(b)) for W, b in weights] for _ in range(2)]
    return jax.device_put((weights, *zeros, np.float32(0)), device)


def scanned_training(problem: Training, backend: str) -> Contestant:
    """`jax.lax.scan` over the batches and over the epochs, compiled as a whole."""
    import jax

    device = device_of(backend)
    step = training_step(problem)
    data = jax.device_put((*problem.data(), problem.orders().astype(np.int32)), device)
    state = initial_state(problem, device)
    full, rest = divmod(problem.samples, problem.batch_size)

    def train(state: Any, X: Any, y: Any, orders: Any) -> tuple[Any, Any]:
        def batch(state: Any, rows: Any) -> tuple[Any, Any]:
            return step(state, X[rows], y[rows])

        def epoch(state: Any, order: Any) -> tuple[Any, Any]:
            batches = order[: problem.samples - rest].reshape(full, problem.batch_size)
            state, losses = jax.lax.scan(batch, state, batches)
            total = problem.batch_size * losses.sum()
            if rest:
                state, loss = batch(state, order[-rest:])
                total += rest * loss
            return state, total / problem.samples

        return jax.lax.scan(epoch, state, orders)

    train = jax.jit(train, donate_argnums=0)

    def run() -> Sequence[float]:
        nonlocal state
        state, losses = train(state, *data)
        return losses.tolist()

    return run


def stepwise_training(problem: Training, backend: str) -> Contestant:
    """A Python loop around one compiled step; JAX is waited for only once an epoch, for the losses."""
    import jax

    device = device_of(backend)
    step = training_step(problem)
    X, y = jax.device_put(problem.data(), device)
    epochs = jax.device_put(
        [[rows.astype(np.int32) for rows in epoch] for epoch in problem.batches()], device
    )
    state = initial_state(problem, device)

    def update(state: Any, total: Any, X: Any, y: Any, rows: Any) -> tuple[Any, Any]:
        state, loss = step(state, X[rows], y[rows])
        return state, total + len(rows) * loss

    update = jax.jit(update, donate_argnums=0)

    def run() -> Sequence[float]:
        nonlocal state
        losses = []
        for batches in epochs:
            total = 0.0
            for rows in batches:
                state, total = update(state, total, X, y, rows)
            losses.append(float(total) / problem.samples)
        return losses

    return run


def inference(problem: Inference, backend: str) -> Contestant:
    """The compiled network."""
    import jax

    parameters, (X,) = jax.device_put((problem.weights(), problem.data()), device_of(backend))
    predict = jax.jit(forward)

    def run() -> Sequence[float]:
        for _ in range(problem.calls):
            Y = predict(parameters, X).block_until_ready()
        return Y.ravel()[:5].tolist()

    return run
