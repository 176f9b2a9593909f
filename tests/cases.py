"""The tables that the tests of layers, losses and optimisers go through, with torch's counterparts.

A new public class needs a line here; tests/nn/test_against_torch.py and tests/test_optim.py say so.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import torch

from tinynn import nn, optim

SEED = 5  # of dropout


class TorchResidual(torch.nn.Sequential):
    def forward(self, X):
        return X + super().forward(X)


class TorchDropout(torch.nn.Module):
    """Dropout with the mask that Dropout(p, rng=SEED) draws first."""

    def __init__(self, p):
        super().__init__()
        self.p = p

    def forward(self, X):
        keep = np.random.default_rng(SEED).random(X.shape) >= self.p
        return X * torch.tensor(keep / (1 - self.p), dtype=X.dtype)


class LayerCase(NamedTuple):
    """How to build a layer for n features, and the torch module that has to do the same."""

    build: Callable[[int], nn.Layer]
    twin: Callable[[int], torch.nn.Module]
    scale: float = 2.0  # inputs are normal with this standard deviation
    smooth: bool = False  # has tangents


LAYERS = {
    "Dense": LayerCase(lambda n: nn.Dense(n, 4, rng=0), lambda n: torch.nn.Linear(n, 4), smooth=True),
    "Dense, glorot": LayerCase(
        lambda n: nn.Dense(n, 1, init="glorot", rng=0), lambda n: torch.nn.Linear(n, 1), smooth=True
    ),
    "Dense, no bias": LayerCase(
        lambda n: nn.Dense(n, 3, bias=False, rng=0), lambda n: torch.nn.Linear(n, 3, bias=False), smooth=True
    ),
    "Sigmoid": LayerCase(lambda n: nn.Sigmoid(), lambda n: torch.nn.Sigmoid(), smooth=True),
    "Tanh": LayerCase(lambda n: nn.Tanh(), lambda n: torch.nn.Tanh(), smooth=True),
    "ReLU": LayerCase(lambda n: nn.ReLU(), lambda n: torch.nn.ReLU()),
    "LeakyReLU": LayerCase(lambda n: nn.LeakyReLU(), lambda n: torch.nn.LeakyReLU()),
    "LeakyReLU, 0.3": LayerCase(lambda n: nn.LeakyReLU(0.3), lambda n: torch.nn.LeakyReLU(0.3)),
    # above its threshold torch returns z itself; from 40 on that is ln(1 + exp(z)) to the last bit
    "Softplus": LayerCase(lambda n: nn.Softplus(), lambda n: torch.nn.Softplus(threshold=40), smooth=True),
    "SiLU": LayerCase(lambda n: nn.SiLU(), lambda n: torch.nn.SiLU(), smooth=True),
    "Softmax": LayerCase(lambda n: nn.Softmax(), lambda n: torch.nn.Softmax(dim=1)),
    "Dropout": LayerCase(lambda n: nn.Dropout(0.4, rng=SEED), lambda n: TorchDropout(0.4)),
    "Residual": LayerCase(
        lambda n: nn.Residual(nn.Dense(n, 3, rng=0), nn.Tanh(), nn.Dense(3, n, rng=1)),
        lambda n: TorchResidual(torch.nn.Linear(n, 3), torch.nn.Tanh(), torch.nn.Linear(3, n)),
        smooth=True,
    ),
    "Chain": LayerCase(
        lambda n: nn.Chain(nn.Dense(n, 3, rng=0), nn.Tanh()),
        lambda n: torch.nn.Sequential(torch.nn.Linear(n, 3), torch.nn.Tanh()),
        smooth=True,
    ),
    "Residual in Residual": LayerCase(
        lambda n: nn.Residual(nn.Residual(nn.Dense(n, n, rng=0)), nn.Sigmoid()),
        lambda n: TorchResidual(TorchResidual(torch.nn.Linear(n, n)), torch.nn.Sigmoid()),
        smooth=True,
    ),
    "Sequential": LayerCase(
        lambda n: nn.Sequential(
            nn.Dense(n, 5),
            nn.SiLU(),
            nn.Residual(nn.Dense(5, 5), nn.ReLU()),
            nn.Dense(5, 2),
            nn.Softmax(),
            rng=0,
            dtype="float64",
        ),
        lambda n: torch.nn.Sequential(
            torch.nn.Linear(n, 5),
            torch.nn.SiLU(),
            TorchResidual(torch.nn.Linear(5, 5), torch.nn.ReLU()),
            torch.nn.Linear(5, 2),
            torch.nn.Softmax(dim=1),
        ),
    ),
    "Sequential, smooth": LayerCase(
        lambda n: nn.Sequential(
            nn.Dense(n, 5),
            nn.SiLU(),
            nn.Residual(nn.Dense(5, 5), nn.Softplus()),
            nn.Dense(5, 2),
            rng=0,
            dtype="float64",
        ),
        lambda n: torch.nn.Sequential(
            torch.nn.Linear(n, 5),
            torch.nn.SiLU(),
            TorchResidual(torch.nn.Linear(5, 5), torch.nn.Softplus(threshold=40)),
            torch.nn.Linear(5, 2),
        ),
        smooth=True,
    ),
}


def named_parameters(layer: nn.Layer) -> dict[str, tuple[Any, Any]]:
    """Every parameter inside a layer with its gradient, by its name in the state_dict."""
    return {
        prefix + name: (getattr(inner, attribute), getattr(inner, f"d{attribute}"))
        for prefix, inner in layer.named_layers()
        for name, attribute in inner.parameter_names.items()
    }


def network(case: LayerCase, n: int, **options: Any) -> nn.Sequential:
    """A Sequential that holds the layer of the case."""
    layer = case.build(n)
    return nn.Sequential(*(layer.layers if isinstance(layer, nn.Sequential) else [layer]), **options)


class TorchHinge(torch.nn.Module):
    def __init__(self, reduction):
        super().__init__()
        self.reduce = torch.mean if reduction == "mean" else torch.sum

    def forward(self, z, y):
        return self.reduce(torch.relu(1 - y * z))


class LossCase(NamedTuple):
    """How to build a loss and a target of a given shape, and torch's loss for a reduction."""

    build: Callable[[], nn.Loss]
    twin: Callable[[str], torch.nn.Module]
    target: Callable[[np.random.Generator, tuple[int, int]], np.ndarray]
    mean_over_outputs: bool = True  # whether torch's "mean" divides by n too


def _normal(rng, shape):
    return 2 * rng.standard_normal(shape)


def _bits(rng, shape):
    return rng.integers(0, 2, shape)


def _labels(rng, shape):
    return rng.integers(0, shape[1], shape[0])


def _probabilities(rng, shape):
    return rng.dirichlet(np.ones(shape[1]), shape[0])


LOSSES = {
    "MeanSquaredError": LossCase(
        nn.MeanSquaredError, lambda reduction: torch.nn.MSELoss(reduction=reduction), _normal
    ),
    "MeanAbsoluteError": LossCase(
        nn.MeanAbsoluteError, lambda reduction: torch.nn.L1Loss(reduction=reduction), _normal
    ),
    "Huber": LossCase(nn.Huber, lambda reduction: torch.nn.HuberLoss(reduction=reduction), _normal),
    "Huber, 0.3": LossCase(
        lambda: nn.Huber(0.3), lambda reduction: torch.nn.HuberLoss(reduction=reduction, delta=0.3), _normal
    ),
    "BinaryCrossEntropy, integers": LossCase(
        nn.BinaryCrossEntropy, lambda reduction: torch.nn.BCEWithLogitsLoss(reduction=reduction), _bits
    ),
    "BinaryCrossEntropy, probabilities": LossCase(
        nn.BinaryCrossEntropy,
        lambda reduction: torch.nn.BCEWithLogitsLoss(reduction=reduction),
        lambda rng, shape: rng.random(shape),
    ),
    "CrossEntropy, labels": LossCase(
        nn.CrossEntropy, lambda reduction: torch.nn.CrossEntropyLoss(reduction=reduction), _labels, False
    ),
    "CrossEntropy, one-hot": LossCase(
        nn.CrossEntropy,
        lambda reduction: torch.nn.CrossEntropyLoss(reduction=reduction),
        lambda rng, shape: np.eye(shape[1])[_labels(rng, shape)],
        False,
    ),
    "CrossEntropy, probabilities": LossCase(
        nn.CrossEntropy,
        lambda reduction: torch.nn.CrossEntropyLoss(reduction=reduction),
        _probabilities,
        False,
    ),
    "Hinge": LossCase(nn.Hinge, TorchHinge, lambda rng, shape: 2 * _bits(rng, shape) - 1),
}


class OptimizerCase(NamedTuple):
    """How to build an optimiser, and torch's for the same rule."""

    build: Callable[[], optim.Optimizer]
    twin: Callable[[Any], torch.optim.Optimizer]


OPTIMIZERS = {
    "SGD": OptimizerCase(lambda: optim.SGD(0.02), lambda p: torch.optim.SGD(p, 0.02)),
    "SGD, momentum": OptimizerCase(
        lambda: optim.SGD(0.01, momentum=0.9), lambda p: torch.optim.SGD(p, 0.01, momentum=0.9)
    ),
    "SGD, Nesterov": OptimizerCase(
        lambda: optim.SGD(0.01, momentum=0.9, nesterov=True),
        lambda p: torch.optim.SGD(p, 0.01, momentum=0.9, nesterov=True),
    ),
    "SGD, weight decay": OptimizerCase(
        lambda: optim.SGD(0.02, momentum=0.5, weight_decay=0.1),
        lambda p: torch.optim.SGD(p, 0.02, momentum=0.5, weight_decay=0.1),
    ),
    "Adagrad": OptimizerCase(lambda: optim.Adagrad(), lambda p: torch.optim.Adagrad(p)),
    "Adagrad, weight decay": OptimizerCase(
        lambda: optim.Adagrad(0.02, eps=1e-6, weight_decay=0.1),
        lambda p: torch.optim.Adagrad(p, 0.02, eps=1e-6, weight_decay=0.1),
    ),
    "RMSProp": OptimizerCase(lambda: optim.RMSProp(1e-3), lambda p: torch.optim.RMSprop(p, 1e-3)),
    "RMSProp, weight decay": OptimizerCase(
        lambda: optim.RMSProp(1e-3, alpha=0.9, eps=1e-5, weight_decay=0.1),
        lambda p: torch.optim.RMSprop(p, 1e-3, alpha=0.9, eps=1e-5, weight_decay=0.1),
    ),
    "Adadelta": OptimizerCase(lambda: optim.Adadelta(), lambda p: torch.optim.Adadelta(p)),
    "Adadelta, weight decay": OptimizerCase(
        lambda: optim.Adadelta(0.5, rho=0.8, eps=1e-5, weight_decay=0.1),
        lambda p: torch.optim.Adadelta(p, 0.5, rho=0.8, eps=1e-5, weight_decay=0.1),
    ),
    "Adam": OptimizerCase(lambda: optim.Adam(), lambda p: torch.optim.Adam(p)),
    "Adam, weight decay": OptimizerCase(
        lambda: optim.Adam(2e-3, betas=(0.8, 0.99), eps=1e-6, weight_decay=0.1),
        lambda p: torch.optim.Adam(p, 2e-3, betas=(0.8, 0.99), eps=1e-6, weight_decay=0.1),
    ),
    "AdamW": OptimizerCase(lambda: optim.AdamW(), lambda p: torch.optim.AdamW(p)),
    "AdamW, weight decay": OptimizerCase(
        lambda: optim.AdamW(2e-3, weight_decay=0.3), lambda p: torch.optim.AdamW(p, 2e-3, weight_decay=0.3)
    ),
}
