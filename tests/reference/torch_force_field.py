"""The loss of energies and forces in PyTorch: forces by autograd, its gradient by double backward."""

from __future__ import annotations

import numpy as np
import torch
from reference.torch_molecules import inverse_distances


def energy_and_forces(network, R, mean, scale):
    """E = net((1/r - mean) / scale) and F = -dE/dR, both differentiable."""
    R = torch.tensor(R, requires_grad=True)
    E = network((inverse_distances(R) - torch.tensor(mean)) / torch.tensor(scale))[:, 0]
    (gradient,) = torch.autograd.grad(E.sum(), R, create_graph=True)
    return E, -gradient


def loss_and_gradients(network, R, E, F, *, mean, scale, energy_weight, force_weight):
    """w_E <(E - E*)²> + w_F <(F - F*)²>, and its derivative by every parameter, by name."""
    E_net, F_net = energy_and_forces(network, R, mean, scale)
    loss = energy_weight * ((E_net - torch.tensor(E)) ** 2).mean()
    loss = loss + force_weight * ((F_net - torch.tensor(F)) ** 2).mean()
    network.zero_grad()
    loss.backward()
    zero = {name: np.zeros(p.shape) for name, p in network.named_parameters()}
    found = {name: p.grad.numpy().copy() for name, p in network.named_parameters() if p.grad is not None}
    return loss.item(), zero | found
