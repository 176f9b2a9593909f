"""Initial weights: as wide as keeps the signal's variance the same from layer to layer.

With independent entries of variance v, z = W a has the variance n_in v <a^2>. Each rule picks v.
"""

from __future__ import annotations

import numpy as np


def he(n_in: int, n_out: int, rng: np.random.Generator) -> np.ndarray:
    """Normal entries of variance 2 / n_in: a ReLU passes half of the signal's <a^2>.

    Returns W of shape (n_out, n_in). Source: He et al. 2015, "Delving deep into rectifiers", eq. (10).
    """
    return np.sqrt(2.0 / n_in) * rng.standard_normal((n_out, n_in))


def glorot(n_in: int, n_out: int, rng: np.random.Generator) -> np.ndarray:
    """Uniform entries of variance 2 / (n_in + n_out): forward and backward signal in balance.

    Returns W of shape (n_out, n_in); for sigmoid, tanh and linear layers. Source: Glorot and Bengio
    2010, "Understanding the difficulty of training deep feedforward neural networks", eq. (16).
    """
    limit = np.sqrt(6.0 / (n_in + n_out))
    return rng.uniform(-limit, limit, (n_out, n_in))


INITIALIZERS = {"he": he, "glorot": glorot}
