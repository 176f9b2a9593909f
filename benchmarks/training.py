"""Trainings of networks. A workload is a few sizes; the contestants are written once for all of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise
from typing import Any

import numpy as np

from benchmarks.harness import OURS, PRODUCTS, Contestant, Target, Workload
from benchmarks.networks import Training
from benchmarks.peers import in_jax, in_sklearn, in_thinc, in_torch
from tinynn.backend import Array, asarray, get_backend
from tinynn.data import Dataset
from tinynn.nn import CrossEntropy, Loss, MeanSquaredError
from tinynn.optim import Adam
from tinynn.training import fit


def tinynn_training(training: Training, backend: str) -> Contestant:
    """`fit`, as a user calls it."""
    X, y = training.data()
    data = Dataset(asarray(X, backend), asarray(y, backend))
    model, optimizer = training.model(backend), Adam(training.lr, eps=training.eps)
    loss: Loss = CrossEntropy() if training.classes else MeanSquaredError()

    def run() -> Sequence[float]:
        history = fit(
            model,
            data,
            loss=loss,
            optimizer=optimizer,
            epochs=training.epochs,
            batch_size=training.batch_size,
            rng=training.seed,
            progress=False,
        )
        return history.train_loss

    return run


def matrix_products(training: Training, backend: str) -> Contestant:
    """The matrix products of as many steps, into arrays made beforehand, and nothing else."""
    xp = get_backend(backend)
    rng = np.random.default_rng(training.seed)

    def random(*shape: int) -> Array:
        return xp.asarray(rng.random(shape, dtype=np.float32))

    A = [random(training.batch_size, n) for n in training.widths]
    W = [random(n_out, n_in) / n_in for n_in, n_out in pairwise(training.widths)]
    dA, dW = [xp.empty_like(a) for a in A], [xp.empty_like(w) for w in W]

    def run() -> Sequence[float]:
        for _ in range(training.steps):
            for l in range(len(W)):
                xp.dot(A[l], W[l].T, out=A[l + 1])
            for l in reversed(range(len(W))):
                xp.dot(A[l + 1].T, A[l], out=dW[l])
                if l > 0:
                    xp.dot(A[l + 1], W[l], out=dA[l])
        float(dW[0][0, 0])  # a device answers when it has finished
        return []

    return run


CONTESTANTS = {
    OURS: tinynn_training,
    "torch": in_torch.training,
    "thinc": in_thinc.training,
    "sklearn": in_sklearn.training,
    "jax (scan)": in_jax.scanned_training,
    "jax (per step)": in_jax.stepwise_training,
    PRODUCTS: matrix_products,
}
ON_GPU = {
    OURS: tinynn_training,
    "torch": in_torch.training,
    "torch (CUDA graph)": in_torch.graph_training,
    "jax (scan)": in_jax.scanned_training,
    PRODUCTS: matrix_products,
}

# seeds with which a rounding error stays small: with others a unit may die in one library and not in another
STEP = Training(widths=(8, 32, 64, 64, 32, 1), classes=False, samples=400, batch_size=16, epochs=20, seed=2)
EPOCH = Training(widths=(784, 128, 10), classes=True, samples=60_000, batch_size=64, epochs=1)
DEEP = Training(
    widths=(784, 512, 512, 512, 10), classes=True, samples=3_840, batch_size=128, epochs=1, seed=2
)
WIDE = Training(widths=(4096, 4096, 4096, 4096, 10), classes=True, samples=32_768, batch_size=8192, epochs=5)

# sweeps: the step of the small network, but wider or deeper, and then with fewer epochs a run
WIDTHS = [
    Training(widths=(8, n, n, 1), classes=False, samples=400, batch_size=16, epochs=max(1, 512 // n))
    for n in (16, 32, 64, 128, 256, 512, 1024)
]
DEPTHS = [
    Training(widths=(8, *[64] * n, 1), classes=False, samples=400, batch_size=16, epochs=16 // n)
    for n in (1, 2, 4, 8, 16)
]


def _steps(what: str, problems: Sequence[Training], **options: Any) -> Workload:
    """A workload that is timed by the step."""
    return Workload(
        what=f"one training step of {what}",
        problems=problems,
        unit="step",
        units=lambda training: training.steps,
        **({"contestants": CONTESTANTS} | options),
    )


def _epoch(batch_size: int, targets: Sequence[Target]) -> Workload:
    return Workload(
        what=f"one epoch of 784-128-10 with ReLU: 60000 images, batch {batch_size}, Adam, cross-entropy",
        problems=[replace(EPOCH, batch_size=batch_size)],
        unit="epoch",
        units=lambda training: training.epochs,
        contestants=CONTESTANTS,
        targets=targets,
    )


TRAININGS = {
    "step": _steps(
        "8-32-64-64-32-1 with ReLU: batch 16, Adam, squared error",
        [STEP],
        targets=[
            Target("torch", 0.13),
            Target("thinc", 0.20),
            Target("sklearn", 0.22),
            Target("jax (scan)", 1.25),
        ],
    ),
    "step-by-width": _steps("8-w-w-1 with ReLU: batch 16, Adam, squared error", WIDTHS, size="width"),
    "step-by-depth": _steps(
        "a network with hidden layers of 64: batch 16, Adam, squared error", DEPTHS, size="depth"
    ),
    "epoch": _epoch(
        64,
        [
            Target("torch", 0.55),
            Target("sklearn", 0.6),
            Target("jax (scan)", 0.75),
            Target(PRODUCTS, 2.2),
        ],
    ),
    "epoch-512": _epoch(512, []),
    "deep": _steps("784-512-512-512-10 with ReLU: batch 128, Adam, cross-entropy", [DEEP]),
    "step-gpu": _steps(
        "8-32-64-64-32-1 with ReLU on a GPU: batch 16, Adam, squared error",
        [STEP],
        contestants=ON_GPU,
        targets=[
            Target("torch", 0.1, backend="cupy"),
            Target("torch (CUDA graph)", 0.5, backend="cupy"),
        ],
        on_request=True,
    ),
    "wide": _steps(
        "4096-4096-4096-4096-10 with ReLU: batch 8192, Adam, cross-entropy",
        [WIDE],
        contestants=ON_GPU,
        targets=[Target("torch", 1 / 0.9, backend="cupy")],
        on_request=True,
    ),
}
