"""Layers, activations, losses and the network that holds them: explicit forward and backward."""

from tinynn.nn.activations import LeakyReLU, ReLU, Sigmoid, SiLU, Softmax, Softplus, Tanh
from tinynn.nn.layers import Chain, Dense, Dropout, Layer, Residual
from tinynn.nn.losses import (
    BinaryCrossEntropy,
    CrossEntropy,
    Hinge,
    Huber,
    Loss,
    MeanAbsoluteError,
    MeanSquaredError,
)
from tinynn.nn.sequential import Sequential

__all__ = [
    "BinaryCrossEntropy",
    "Chain",
    "CrossEntropy",
    "Dense",
    "Dropout",
    "Hinge",
    "Huber",
    "Layer",
    "LeakyReLU",
    "Loss",
    "MeanAbsoluteError",
    "MeanSquaredError",
    "ReLU",
    "Residual",
    "Sequential",
    "SiLU",
    "Sigmoid",
    "Softmax",
    "Softplus",
    "Tanh",
]
