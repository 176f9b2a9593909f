"""Trainings of networks. A workload is a few sizes; the contestants are written once for all of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np

from benchmarks.harness import OURS, PRODUCTS, Contestant, Target, Workload
from tinynn.backend import Array, asarray, get_backend
from tinynn.data import Dataset
from tinynn.nn import CrossEntropy, Dense, Loss, MeanSquaredError, ReLU, Sequential
from tinynn.optim import Adam
from tinynn.training import fit


@dataclass(frozen=True)
class Training:
    """A network of Dense and ReLU, trained by Adam on mini-batches of float32 data that a rule made."""

    widths: tuple[int, ...]
    classes: bool
    samples: int
    batch_size: int
    epochs: int
    lr: float = 1e-3
    seed: int = 0

    @property
    def steps(self) -> int:
        """Batches of all epochs."""
        return self.epochs * -(-self.samples // self.batch_size)

    def data(self) -> tuple[np.ndarray, np.ndarray]:
        """X in [0, 1]; y a linear function of X, or the class for which it is largest."""
        rng = np.random.default_rng(self.seed)
        X = rng.random((self.samples, self.widths[0]), dtype=np.float32)
        scores = X @ rng.standard_normal((self.widths[0], self.widths[-1]), dtype=np.float32)
        return X, scores.argmax(axis=1) if self.classes else scores

    def model(self, backend: str = "numpy") -> Sequential:
        """The network with its initial weights, the same for every contestant."""
        layers: list[Any] = []
        for n_in, n_out in pairwise(self.widths):
            layers += [Dense(n_in, n_out), ReLU()]
        return Sequential(*layers[:-1], rng=self.seed, backend=backend)

    def batches(self) -> list[list[np.ndarray]]:
        """Rows of every batch of every epoch, in the order in which `fit` draws them."""
        rng = np.random.default_rng(self.seed)
        cuts = range(self.batch_size, self.samples, self.batch_size)
        return [np.split(rng.permutation(self.samples), cuts) for _ in range(self.epochs)]


def tinynn_training(training: Training, backend: str) -> Contestant:
    """`fit`, as a user calls it."""
    X, y = training.data()
    data = Dataset(asarray(X, backend), asarray(y, backend))
    model, optimizer = training.model(backend), Adam(training.lr)
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


def torch_training(training: Training, backend: str) -> Contestant:
    """The eager loop of torch's tutorials; tensors and the rows of the batches are made beforehand."""
    import torch

    device = "cuda" if backend == "cupy" else "cpu"
    layers: list[Any] = []
    for n_in, n_out in pairwise(training.widths):
        layers += [torch.nn.Linear(n_in, n_out), torch.nn.ReLU()]
    model = torch.nn.Sequential(*layers[:-1]).to(device)
    model.load_state_dict({name: torch.tensor(w) for name, w in training.model().state_dict().items()})
    optimizer = torch.optim.Adam(model.parameters(), lr=training.lr)
    criterion = torch.nn.CrossEntropyLoss() if training.classes else torch.nn.MSELoss()
    X, y = (torch.from_numpy(a).to(device) for a in training.data())
    epochs = [[torch.from_numpy(rows).to(device) for rows in batches] for batches in training.batches()]

    def run() -> Sequence[float]:
        losses = []
        for batches in epochs:
            total = 0.0
            for rows in batches:
                optimizer.zero_grad()
                loss = criterion(model(X[rows]), y[rows])
                loss.backward()
                optimizer.step()
                total += loss.item() * len(rows)
            losses.append(total / len(X))
        return losses

    return run


def matrix_products(training: Training, backend: str) -> Contestant:
    """The matrix products of as many steps, into arrays made beforehand, and nothing else."""
    xp = get_backend(backend)
    rng = np.random.default_rng(training.seed)

    def random(*shape: int) -> Array:
        return xp.asarray(rng.random(shape, dtype=np.float32))

    A = [random(training.batch_size, n) for n in training.widths]
    W = [random(n_out, n_in) for n_in, n_out in pairwise(training.widths)]
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
    "torch": torch_training,
    PRODUCTS: matrix_products,
}

STEP = Training(widths=(8, 32, 64, 64, 32, 1), classes=False, samples=400, batch_size=16, epochs=20)
EPOCH = Training(widths=(784, 128, 10), classes=True, samples=60_000, batch_size=64, epochs=1)

TRAININGS = {
    "step": Workload(
        what="one training step of 8-32-64-64-32-1 with ReLU: batch 16, Adam, squared error",
        problems=(STEP,),
        unit="step",
        units=lambda training: training.steps,
        contestants=CONTESTANTS,
        targets=[Target("torch", 0.20)],
    ),
    "epoch": Workload(
        what="one epoch of 784-128-10 with ReLU: 60000 images, batch 64, Adam, cross-entropy",
        problems=(EPOCH,),
        unit="epoch",
        units=lambda training: training.epochs,
        contestants=CONTESTANTS,
        targets=[Target("torch", 0.65)],
    ),
}
