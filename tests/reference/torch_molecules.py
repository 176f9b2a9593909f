"""Pair distances, pair energies, forces and features in PyTorch: derivatives by autograd."""

from __future__ import annotations

import itertools
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
    """G2, a list of terms to be added up: parameters are pairs (eta, r_s)."""
    elements = sorted(set(z))
    i, j = np.array(list(itertools.permutations(range(len(z)), 2))).T
    r = torch.linalg.vector_norm(R[i] - R[j], dim=-1)
    terms = [torch.exp(-eta * (r - r_s) ** 2) * cosine_cutoff(r, cutoff) for eta, r_s in parameters]
    kinds = [elements.index(z[atom]) for atom in j]
    return _add_up(terms, i, kinds, len(elements), z, per_atom)


def angular_symmetry_functions(R, z, parameters, cutoff, per_atom=False):
    """G4, a list of terms to be added up: parameters are triples (eta, zeta, lambda)."""
    pairs = list(itertools.combinations_with_replacement(sorted(set(z)), 2))
    triples = [(i, j, k) for i, j, k in itertools.permutations(range(len(z)), 3) if j < k]
    i, j, k = np.array(triples).T
    r_ij, r_ik, r_jk = (torch.linalg.vector_norm(R[a] - R[b], dim=-1) for a, b in ((i, j), (i, k), (j, k)))
    cosine = ((R[j] - R[i]) * (R[k] - R[i])).sum(dim=-1) / (r_ij * r_ik)
    fade = cosine_cutoff(r_ij, cutoff) * cosine_cutoff(r_ik, cutoff) * cosine_cutoff(r_jk, cutoff)
    terms = [
        2 ** (1 - zeta) * (1 + lam * cosine) ** zeta * torch.exp(-eta * (r_ij**2 + r_ik**2 + r_jk**2)) * fade
        for eta, zeta, lam in parameters
    ]
    kinds = [pairs.index(tuple(sorted((z[b], z[c])))) for _, b, c in triples]
    return _add_up(terms, i, kinds, len(pairs), z, per_atom)


def _add_up(terms, i, kinds, n_kinds, z, per_atom):
    """The sum of the terms of each central atom i, or of its element, and each kind of neighbours."""
    rows = i if per_atom else np.array([sorted(set(z)).index(z[atom]) for atom in i])
    G = torch.zeros((rows.max() + 1) * n_kinds, len(terms), dtype=terms[0].dtype)
    index = torch.tensor(rows * n_kinds + np.array(kinds))
    return G.index_add(0, index, torch.stack(terms, dim=-1)).flatten()
