"""Atoms: their distances, and the energy of pairs with its forces."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.spatial.distance import pdist

from benchmarks.harness import BYTES, OURS, Contestant, Target, Workload, probe
from benchmarks.peers import in_torch
from tinynn.backend import asarray, get_backend
from tinynn.molecules import CoulombPairPotential, pair_distances


@dataclass(frozen=True)
class Molecules:
    """Configurations of equal charges scattered about a lattice."""

    samples: int
    atoms: int
    dimension: int = 3
    seed: int = 0

    def data(self) -> tuple[np.ndarray]:
        """R (samples, atoms, dimension), float64."""
        side = int(np.ceil(self.atoms ** (1 / self.dimension)))
        lattice = np.stack(np.meshgrid(*[np.arange(side)] * self.dimension), axis=-1).reshape(
            -1, self.dimension
        )
        noise = np.random.default_rng(self.seed).standard_normal((self.samples, self.atoms, self.dimension))
        return (1.5 * lattice[: self.atoms] + 0.1 * noise,)

    @property
    def pairs(self) -> int:
        """Pairs of atoms in all samples."""
        return self.samples * self.atoms * (self.atoms - 1) // 2

    @property
    def calls(self) -> int:
        """Calls that one run makes, so that it takes milliseconds; a call costs as much as 1000 pairs."""
        return max(1, 300_000 // (1000 + self.pairs))


def tinynn_distances(problem: Molecules, backend: str) -> Contestant:
    """`pair_distances`."""
    R = asarray(*problem.data(), backend)

    def run() -> Sequence[float]:
        for _ in range(problem.calls):
            r = pair_distances(R)
        return probe(r)

    return run


def torch_positions(problem: Molecules, backend: str) -> tuple[Any, Any, Any]:
    """R, and the atoms i and j of every pair."""
    import torch

    device = in_torch.device_of(backend)
    R = torch.tensor(*problem.data(), device=device)
    return R, *torch.triu_indices(problem.atoms, problem.atoms, offset=1, device=device)


def torch_norms(R: Any, i: Any, j: Any) -> Any:
    """|r_i - r_j|; index_select is the fastest way to the pairs."""
    return (R.index_select(1, i) - R.index_select(1, j)).norm(dim=-1)


def torch_distances(problem: Molecules, backend: str) -> Contestant:
    """The same arithmetic."""
    R, i, j = torch_positions(problem, backend)

    def run() -> Sequence[float]:
        for _ in range(problem.calls):
            r = torch_norms(R, i, j)
        return probe(r.cpu().numpy())

    return run


def torch_cdist(problem: Molecules, backend: str) -> Contestant:
    """The whole symmetric matrix by torch.cdist, and the pairs taken from it."""
    import torch

    R, i, j = torch_positions(problem, backend)

    def run() -> Sequence[float]:
        for _ in range(problem.calls):
            r = torch.cdist(R, R)[:, i, j]
        return probe(r.cpu().numpy())

    return run


def scipy_distances(problem: Molecules, backend: str) -> Contestant:
    """Pdist of SciPy, which takes one sample at a time: fair to it only where there is one."""
    (R,) = problem.data()

    def run() -> Sequence[float]:
        for _ in range(problem.calls):
            r = np.stack([pdist(sample) for sample in R])
        return probe(r)

    return run


def writing(problem: Molecules, backend: str) -> Contestant:
    """As many numbers as there are distances."""
    r = get_backend(backend).empty(problem.pairs)

    def run() -> Sequence[float]:
        for _ in range(problem.calls):
            r.fill(1.0)
        return []

    return run


def tinynn_forces(problem: Molecules, backend: str) -> Contestant:
    """`CoulombPairPotential.predict`."""
    R, potential = asarray(*problem.data(), backend), CoulombPairPotential()

    def run() -> Sequence[float]:
        for _ in range(problem.calls):
            E, F = potential.predict(R)
        return probe(E) + probe(F)

    return run


def torch_forces(problem: Molecules, backend: str) -> Contestant:
    """The energy in torch, and the forces by autograd."""
    import torch

    R, i, j = torch_positions(problem, backend)
    R.requires_grad_()

    def run() -> Sequence[float]:
        for _ in range(problem.calls):
            E = (1 / torch_norms(R, i, j)).sum(dim=-1)
            (gradient,) = torch.autograd.grad(E.sum(), R)
        return probe(E.detach().cpu().numpy()) + probe(-gradient.cpu().numpy())

    return run


def copying(problem: Molecules, backend: str) -> Contestant:
    """The positions read, as many numbers written as the forces have."""
    R = asarray(*problem.data(), backend)
    F = get_backend(backend).empty_like(R)

    def run() -> Sequence[float]:
        for _ in range(problem.calls):
            F[...] = R
        return []

    return run


def _workload(what: str, problems: Sequence[Molecules], size: str | None = None, **others: Any) -> Workload:
    return Workload(
        what=what, problems=problems, size=size, unit="call", units=lambda problem: problem.calls, **others
    )


DISTANCES = {OURS: tinynn_distances, "torch": torch_distances, "torch (cdist)": torch_cdist, BYTES: writing}
FORCES = {OURS: tinynn_forces, "torch": torch_forces, BYTES: copying}

BY_ATOMS = [Molecules(100, atoms) for atoms in (4, 8, 16, 32, 64, 128)]
BY_SAMPLES = [Molecules(samples, 9) for samples in (100, 300, 1000, 3000, 10_000)]

MOLECULES = {
    "distances-atoms": _workload(
        "distances of all pairs of atoms: 100 samples in space, float64",
        BY_ATOMS,
        "atoms",
        contestants=DISTANCES,
    ),
    "distances-samples": _workload(
        "distances of all pairs of 9 atoms in space, float64", BY_SAMPLES, "samples", contestants=DISTANCES
    ),
    "distances-single": _workload(
        "distances of all pairs of atoms: a single sample in space, float64",
        [Molecules(1, atoms) for atoms in (4, 16, 64, 256, 1024)],
        "atoms",
        contestants={OURS: tinynn_distances, "scipy": scipy_distances, **DISTANCES},
    ),
    "coulomb": _workload(
        "energies and forces of 1000 Coulomb molecules of the course (4 charges in the plane), float64",
        [Molecules(samples=1000, atoms=4, dimension=2)],
        contestants=FORCES,
        targets=[Target("torch", 0.2)],
    ),
    "forces-atoms": _workload(
        "Coulomb energies and forces: 100 samples in space, float64", BY_ATOMS, "atoms", contestants=FORCES
    ),
    "forces-samples": _workload(
        "Coulomb energies and forces of 9 charges in space, float64",
        BY_SAMPLES,
        "samples",
        contestants=FORCES,
    ),
}
