"""Problems for networks of Dense and ReLU: all that a contestant needs to know of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations, pairwise, product
from typing import Any

import numpy as np

from tinynn.nn import Dense, ReLU, Sequential


@dataclass(frozen=True, kw_only=True)
class Network:
    """Dense layers of these widths with a ReLU between any two, float32."""

    widths: tuple[int, ...]
    samples: int
    seed: int = 0

    @property
    def width(self) -> int:
        """Units of the widest hidden layer."""
        return max(self.widths[1:-1])

    @property
    def depth(self) -> int:
        """Number of hidden layers."""
        return len(self.widths) - 2

    def model(self, backend: str = "numpy") -> Sequential:
        """The network with its initial weights, the same for every contestant."""
        layers: list[Any] = []
        for n_in, n_out in pairwise(self.widths):
            layers += [Dense(n_in, n_out), ReLU()]
        return Sequential(*layers[:-1], rng=self.seed, backend=backend)

    def weights(self) -> list[tuple[np.ndarray, np.ndarray]]:
        """(W, b) of every layer, W (n_out, n_in)."""
        arrays = list(self.model().state_dict().values())
        return list(zip(arrays[::2], arrays[1::2], strict=True))


@dataclass(frozen=True, kw_only=True)
class Training(Network):
    """A network trained by Adam on mini-batches of data that a rule made.

    With `classes` the loss is the cross-entropy; without, it is the squared error of one output. Adam
    has its usual constants but for `eps`: scikit-learn and thinc add it to a square root that is not yet
    corrected for its bias, and only if it is next to nothing are a thousand steps of all the same.
    """

    classes: bool
    batch_size: int
    epochs: int
    lr: float = 1e-3
    eps: float = 1e-12

    @property
    def steps(self) -> int:
        """Batches of all epochs."""
        return self.epochs * -(-self.samples // self.batch_size)

    def data(self) -> tuple[np.ndarray, np.ndarray]:
        """X in [-1/2, 1/2]; y a linear function of X, or the class for which it is largest.

        Were all features positive, units would die early in a training, and the last digit of a number
        would decide which; the losses of contestants could not be compared after that.
        """
        rng = np.random.default_rng(self.seed)
        X = rng.random((self.samples, self.widths[0]), dtype=np.float32) - np.float32(0.5)
        scores = X @ rng.standard_normal((self.widths[0], self.widths[-1]), dtype=np.float32)
        return X, scores.argmax(axis=1) if self.classes else scores

    def orders(self) -> np.ndarray:
        """Rows of every epoch (epochs, samples), in the order in which `fit` draws them."""
        rng = np.random.default_rng(self.seed)
        return np.stack([rng.permutation(self.samples) for _ in range(self.epochs)])

    def batches(self) -> list[list[np.ndarray]]:
        """Rows of every batch of every epoch; the last batch may be smaller."""
        cuts = range(self.batch_size, self.samples, self.batch_size)
        return [np.split(order, cuts) for order in self.orders()]


@dataclass(frozen=True, kw_only=True)
class Inference(Network):
    """A network with its initial weights, asked `calls` times about the same samples."""

    calls: int

    def data(self) -> tuple[np.ndarray]:
        """X (samples, n_in), normal numbers."""
        rng = np.random.default_rng(self.seed)
        return (rng.standard_normal((self.samples, self.widths[0]), dtype=np.float32),)


ZIGZAG = ((0.0, 0.0), (1.3, 0.5), (2.5, 0.1), (3.5, 1.1))  # the molecule of lesson 11


@dataclass(frozen=True, kw_only=True)
class Exercise:
    """S2 as a whole: molecules, energies, features, augmented training sets, trainings, test errors.

    S2 asks for six trainings, lesson 11 does the same: two features, with nothing, rotated or permuted
    molecules added. With both added at once there are eight.
    """

    epochs: int
    samples: int = 500
    batch_size: int = 16
    hidden: tuple[int, ...] = (32, 64, 64, 32)
    angle: float = np.pi / 2
    permutation: tuple[int, ...] = (3, 0, 1, 2)
    seed: int = 0

    @property
    def cases(self) -> list[tuple[str, tuple[str, ...]]]:
        """The features and the parts of the training set of all eight."""
        parts = [("original", *added) for k in range(3) for added in combinations(("rotated", "permuted"), k)]
        return list(product(("positions", "distances"), parts))

    def molecules(self) -> tuple[np.ndarray, np.ndarray]:
        """Four fifths of the molecules R (M, 4, 2) to train with, the others to test, float64."""
        R = ZIGZAG + 0.1 * np.random.default_rng(self.seed).standard_normal((self.samples, 4, 2))
        n_train = self.samples * 4 // 5
        return R[:n_train], R[n_train:]

    @staticmethod
    def summary(histories: Sequence[Sequence[float]], errors: Sequence[float]) -> list[float]:
        """What contestants have to agree on.

        Rounding sets two trainings apart in time, and errors far from the training set most of all. So
        the losses of the first epochs are compared; of the test errors, that they are numbers.
        """
        if not np.isfinite(errors).all():
            raise ValueError(f"test errors are {errors}")
        return [loss for losses in histories for loss in losses[:5]]

    def training(self, features: int, samples: int) -> Training:
        """The training of one case: its network and its batches."""
        return Training(
            widths=(features, *self.hidden, 1),
            classes=False,
            samples=samples,
            batch_size=self.batch_size,
            epochs=self.epochs,
            seed=self.seed,
        )


def cpu_only(peer: str, backend: str) -> None:
    """Leave a peer without a GPU out where tinynn computes on one.

    Raises
    ------
    ImportError
        On another backend than "numpy": for the harness, a peer that is not there.
    """
    if backend != "numpy":
        raise ImportError(f"{peer} computes on the CPU only")
