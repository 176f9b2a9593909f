"""Kernel regression of energies and forces in PyTorch: every derivative by automatic differentiation.

Nothing is contracted and no direction is left out: forces are all N D components, the kernel of
energies and forces is differentiated twice by backpropagation, and the system is solved densely.
"""

from __future__ import annotations

import numpy as np
import torch
from reference.torch_molecules import inverse_distances


def gaussian(s, length_scale):
    return torch.exp(-s / (2 * length_scale**2))


def matern32(s, length_scale):
    return _near_zero(
        s, lambda s: 1 - 1.5 * s / length_scale**2, lambda a: (1 + a) * torch.exp(-a), 3, length_scale
    )


def matern52(s, length_scale):
    def polynomial(s):
        return 1 - 5 / 6 * s / length_scale**2 + 25 / 24 * s**2 / length_scale**4

    return _near_zero(s, polynomial, lambda a: (1 + a + a**2 / 3) * torch.exp(-a), 5, length_scale)


def _near_zero(s, polynomial, f, factor, length_scale):
    """f(sqrt(factor s) / l), and its Taylor polynomial at s = 0, where the root has no derivative."""
    zero = s < 1e-20
    return torch.where(zero, polynomial(s), f(torch.sqrt(factor * torch.where(zero, 1.0, s)) / length_scale))


def kernel(R, S, radial, length_scale, permutations):
    """k(R, S) of two configurations (N, D), summed over renumberings of the second."""
    x = inverse_distances(R)
    copies = [inverse_distances(S[list(p)]) for p in permutations]
    return sum(radial(((x - y) ** 2).sum(), length_scale) for y in copies)


def covariance(R: np.ndarray, S: np.ndarray, *parameters) -> np.ndarray:
    """Covariance of (E, F) in R with (E, F) in S, (1 + N D, 1 + N D)."""
    R = torch.tensor(R, requires_grad=True)
    S = torch.tensor(S, requires_grad=True)
    k = kernel(R, S, *parameters)
    dR, dS = torch.autograd.grad(k, (R, S), create_graph=True)
    dRdS = torch.stack([torch.autograd.grad(g, S, retain_graph=True)[0].flatten() for g in dR.flatten()])
    top = torch.cat([k.reshape(1), -dS.flatten()])
    below = torch.cat([-dR.flatten()[:, None], dRdS], dim=1)
    return torch.cat([top[None], below]).detach().numpy()


def covariance_matrix(R: np.ndarray, S: np.ndarray, *parameters) -> np.ndarray:
    """Covariances of all configurations (M, N, D) in R with all in S, (M (1 + N D), M' (1 + N D))."""
    return np.block([[covariance(r, s, *parameters) for s in S] for r in R])


def observed(targets: str, M: int, n_coordinates: int) -> np.ndarray:
    """Which of the rows of `covariance_matrix` are observations."""
    keep = [targets != "forces"] + [targets != "energies"] * n_coordinates
    return np.tile(keep, M)


def posterior(R, y, T, targets, noise, *parameters) -> tuple[np.ndarray, np.ndarray]:
    """Mean (M', 1 + N D) and variance of (E, F) in T, from observations y (M, 1 + N D) in R.

    E counts from its mean over R.
    """
    M, n = len(R), 1 + R[0].size
    keep = observed(targets, M, n - 1)
    K, C, P = (covariance_matrix(a, b, *parameters) for a, b in ((R, R), (R, T), (T, T)))
    # the energy in T minus the mean of the energies in R, as a row of weights on all energies and forces
    mean = np.kron(np.ones(M) / M, np.eye(n)[0])
    contrast = np.kron(np.ones((len(T), 1)), np.eye(n)[:1].T @ mean[None])
    prior = P - contrast @ C - (contrast @ C).T + contrast @ K @ contrast.T
    cross = (C - K @ contrast.T)[keep]
    energy, force = noise
    A = K[keep][:, keep] + np.diag(np.tile([energy] + [force] * (n - 1), M)[keep])
    y = y - np.eye(n)[0] * y[:, 0].mean()
    solution = np.linalg.solve(A, np.column_stack([y.ravel()[keep], cross]))
    mean_of_T = (C[keep].T @ solution[:, 0]).reshape(len(T), n)
    if targets == "forces":
        mean_of_T[:, 0] -= (mean @ K)[keep] @ solution[:, 0]
    variance = (prior - cross.T @ solution[:, 1:]).diagonal().copy().reshape(len(T), n)
    return mean_of_T, variance
