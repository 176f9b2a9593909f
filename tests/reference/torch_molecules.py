"""Pair distances, pair energies, forces and features in PyTorch: derivatives by autograd."""

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


def jacobian(features: Callable, R: np.ndarray) -> np.ndarray:
    """d features / d R (M, P, N, D) for every sample of R (M, N, D), by automatic differentiation."""
    return torch.stack(
        [torch.autograd.functional.jacobian(features, sample) for sample in torch.tensor(R)]
    ).numpy()


def inverse_distances(R):
    return 1 / pair_distances(R)


def sorted_inverse_distances(R):
    return inverse_distances(R).sort(descending=True).values


def coulomb_matrix(R, z):
    z = torch.tensor(z, dtype=R.dtype)
    i, j = torch.triu_indices(len(z), len(z), offset=1)
    C = torch.zeros(len(z), len(z), dtype=R.dtype)
    C[i, j] = z[i] * z[j] / pair_distances(R)
    return C + C.T + torch.diag(0.5 * z**2.4)


def coulomb_triangle(R, z):
    i, j = torch.triu_indices(len(z), len(z))
    return coulomb_matrix(R, z)[i, j]


def coulomb_spectrum(R, z):
    eigenvalues = torch.linalg.eigvalsh(coulomb_matrix(R, z))
    return eigenvalues[eigenvalues.abs().argsort(descending=True)]


def cosine_cutoff(r, cutoff):
    return torch.where(r < cutoff, 0.5 * (torch.cos(torch.pi * r / cutoff) + 1), 0.0)


def radial_symmetry_functions(R, z, parameters, cutoff, per_atom=False):
    """G2 atom by atom, written as in the paper: parameters are pairs (eta, r_s)."""
    elements = sorted(set(z))
    G = torch.zeros(len(z), len(elements), len(parameters), dtype=R.dtype)
    for i in range(len(z)):
        for j in range(len(z)):
            if i != j:
                r = torch.linalg.vector_norm(R[i] - R[j])
                terms = [
                    torch.exp(-eta * (r - r_s) ** 2) * cosine_cutoff(r, cutoff) for eta, r_s in parameters
                ]
                G[i, elements.index(z[j])] += torch.stack(terms)
    return _atoms_or_elements(G, z, per_atom)


def angular_symmetry_functions(R, z, parameters, cutoff, per_atom=False):
    """G4 atom by atom, written as in the paper: parameters are triples (eta, zeta, lambda)."""
    elements = sorted(set(z))
    pairs = [(a, b) for a in elements for b in elements if a <= b]
    G = torch.zeros(len(z), len(pairs), len(parameters), dtype=R.dtype)
    for i in range(len(z)):
        for j in range(len(z)):
            for k in range(j):
                if i in (j, k):
                    continue
                ij, ik, jk = R[j] - R[i], R[k] - R[i], R[k] - R[j]
                r_ij, r_ik, r_jk = (torch.linalg.vector_norm(d) for d in (ij, ik, jk))
                cosine = ij @ ik / (r_ij * r_ik)
                fade = cosine_cutoff(r_ij, cutoff) * cosine_cutoff(r_ik, cutoff) * cosine_cutoff(r_jk, cutoff)
                terms = [
                    2 ** (1 - zeta)
                    * (1 + lam * cosine) ** zeta
                    * torch.exp(-eta * (r_ij**2 + r_ik**2 + r_jk**2))
                    * fade
                    for eta, zeta, lam in parameters
                ]
                G[i, pairs.index((min(z[j], z[k]), max(z[j], z[k])))] += torch.stack(terms)
    return _atoms_or_elements(G, z, per_atom)


def _atoms_or_elements(G, z, per_atom):
    if not per_atom:
        G = torch.stack([sum(G[i] for i in range(len(z)) if z[i] == a) for a in sorted(set(z))])
    return G.flatten()
