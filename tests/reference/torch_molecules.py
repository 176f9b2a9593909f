"""Pair distances, pair energies and forces in PyTorch: derivatives by autograd."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch


def coulomb(r, k):
    return k / r


def lennard_jones(r, epsilon, sigma):
    return 4 * epsilon * ((sigma / r) ** 12 - (sigma / r) ** 6)


def morse(r, D_e, a, r_e):
    return D_e * ((1 - torch.exp(-a * (r - r_e))) ** 2 - 1)


def pair_distances(R):
    i, j = torch.triu_indices(R.shape[-2], R.shape[-2], offset=1)
    return torch.linalg.vector_norm(R[..., i, :] - R[..., j, :], dim=-1)


def energy_and_forces(v: Callable, R: np.ndarray, **parameters: float) -> tuple[np.ndarray, np.ndarray]:
    """E = sum of v over all pairs and F = -dE/dR by backpropagation."""
    R = torch.tensor(R, requires_grad=True)
    E = v(pair_distances(R), **parameters).sum(dim=-1)
    (gradient,) = torch.autograd.grad(E.sum(), R)
    return E.detach().numpy(), -gradient.numpy()


def pair_distances_jacobian(R: np.ndarray) -> np.ndarray:
    """d r_p / d R for every sample of R (M, N, D)."""
    return torch.stack(
        [torch.autograd.functional.jacobian(pair_distances, sample) for sample in torch.tensor(R)]
    ).numpy()
