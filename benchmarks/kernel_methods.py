"""Kernels, the models on them, and forces between atoms: the same call of tinynn and of a peer."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from benchmarks.harness import OURS, PRODUCTS, Contestant, Workload
from tinynn.backend import asarray, to_numpy
from tinynn.kernels import SVC, Constant, Gaussian, GaussianProcessRegressor, KernelRidge, White
from tinynn.molecules import CoulombPairPotential


@dataclass(frozen=True)
class Smooth:
    """A smooth function of normal features, with a little noise; its sign makes two classes."""

    samples: int
    features: int
    length_scale: float = 4.0
    alpha: float = 1e-2
    C: float = 1.0
    seed: int = 0

    def data(self) -> tuple[np.ndarray, np.ndarray]:
        """X (samples, features) and y (samples,), float64."""
        rng = np.random.default_rng(self.seed)
        X = rng.standard_normal((self.samples, self.features))
        y = np.sin(X[:, 0]) + X[:, 1] * X[:, 2] / 2 + 0.1 * rng.standard_normal(self.samples)
        return X, y

    @property
    def gamma(self) -> float:
        """scikit-learn's parameter of the Gaussian kernel."""
        return 0.5 / self.length_scale**2


def probe(values: Any) -> list[float]:
    """A few numbers of the result, in which contestants have to agree."""
    return to_numpy(values).ravel()[:: max(1, values.size // 5)].tolist()


def tinynn_gram(problem: Smooth, backend: str) -> Contestant:
    """`Gaussian`."""
    X = asarray(problem.data()[0], backend)
    return lambda: probe(Gaussian(problem.length_scale)(X))


def sklearn_gram(problem: Smooth, backend: str) -> Contestant:
    """rbf_kernel."""
    from sklearn.metrics.pairwise import rbf_kernel

    X = problem.data()[0]
    return lambda: probe(rbf_kernel(X, gamma=problem.gamma))


def inner_products(problem: Smooth, backend: str) -> Contestant:
    """X X' and nothing else."""
    X = asarray(problem.data()[0], backend)

    def run() -> Sequence[float]:
        float((X @ X.T)[0, 0])  # a device answers when it has finished
        return []

    return run


def tinynn_ridge(problem: Smooth, backend: str) -> Contestant:
    """`KernelRidge.fit`."""
    X, y = (asarray(a, backend) for a in problem.data())
    return lambda: probe(KernelRidge(problem.alpha, kernel="rbf", gamma=problem.gamma).fit(X, y).dual_coef_)


def sklearn_ridge(problem: Smooth, backend: str) -> Contestant:
    """KernelRidge.fit of scikit-learn."""
    from sklearn.kernel_ridge import KernelRidge as SklearnKernelRidge

    X, y = problem.data()
    model = SklearnKernelRidge(alpha=problem.alpha, kernel="rbf", gamma=problem.gamma)
    return lambda: probe(model.fit(X, y).dual_coef_)


def tinynn_process(problem: Smooth, backend: str) -> Contestant:
    """`GaussianProcessRegressor.fit`: variance, length scale and noise are found by L-BFGS."""
    X, y = (asarray(a, backend) for a in problem.data())
    kernel = Constant(1.0) * Gaussian(problem.length_scale) + White(0.1)
    return lambda: np.exp(GaussianProcessRegressor(kernel).fit(X, y).kernel_.theta).tolist()


def sklearn_process(problem: Smooth, backend: str) -> Contestant:
    """GaussianProcessRegressor.fit of scikit-learn."""
    from sklearn.gaussian_process import GaussianProcessRegressor as SklearnProcess
    from sklearn.gaussian_process.kernels import RBF, ConstantKernel, WhiteKernel

    X, y = problem.data()
    kernel = ConstantKernel(1.0) * RBF(problem.length_scale) + WhiteKernel(0.1)
    return lambda: np.exp(SklearnProcess(kernel).fit(X, y).kernel_.theta).tolist()


def tinynn_svc(problem: Smooth, backend: str) -> Contestant:
    """`SVC.fit`."""
    X, y = problem.data()
    label = y > 0
    model = SVC(C=problem.C, gamma=problem.gamma)
    return lambda: [float((model.fit(X, label).decision_function(X[:200]) > 0).mean())]


def sklearn_svc(problem: Smooth, backend: str) -> Contestant:
    """SVC.fit of scikit-learn, which is libsvm."""
    from sklearn.svm import SVC as SklearnSVC

    X, y = problem.data()
    label = y > 0
    model = SklearnSVC(C=problem.C, gamma=problem.gamma)
    return lambda: [float((model.fit(X, label).decision_function(X[:200]) > 0).mean())]


@dataclass(frozen=True)
class Molecules:
    """Configurations of equal charges scattered about a lattice."""

    samples: int
    atoms: int
    dimension: int = 3
    calls: int = 50
    seed: int = 0

    def positions(self) -> np.ndarray:
        """R (samples, atoms, dimension), float64."""
        side = int(np.ceil(self.atoms ** (1 / self.dimension)))
        lattice = np.stack(np.meshgrid(*[np.arange(side)] * self.dimension), axis=-1).reshape(
            -1, self.dimension
        )
        noise = np.random.default_rng(self.seed).standard_normal((self.samples, self.atoms, self.dimension))
        return 1.5 * lattice[: self.atoms] + 0.1 * noise


def tinynn_forces(problem: Molecules, backend: str) -> Contestant:
    """`CoulombPairPotential.predict`."""
    R, potential = asarray(problem.positions(), backend), CoulombPairPotential()

    def run() -> Sequence[float]:
        for _ in range(problem.calls):
            E, F = potential.predict(R)
        return probe(E) + probe(F)

    return run


def torch_forces(problem: Molecules, backend: str) -> Contestant:
    """The energy in torch, and the forces by autograd."""
    import torch

    device = "cuda" if backend == "cupy" else "cpu"
    R = torch.tensor(problem.positions(), device=device, requires_grad=True)
    i, j = torch.triu_indices(problem.atoms, problem.atoms, offset=1, device=device)

    def run() -> Sequence[float]:
        for _ in range(problem.calls):
            E = (1 / torch.linalg.vector_norm(R[:, i] - R[:, j], dim=-1)).sum(dim=-1)
            (gradient,) = torch.autograd.grad(E.sum(), R)
        return probe(E.detach().cpu().numpy()) + probe(-gradient.cpu().numpy())

    return run


LARGE, SMALL = Smooth(samples=3000, features=20), Smooth(samples=600, features=5, length_scale=2.0)

COULOMB = Molecules(samples=1000, atoms=4, dimension=2)

KERNEL_METHODS = {
    "gram": Workload(
        what="Gram matrix of the Gaussian kernel: 3000 samples, 20 features, float64",
        problem=LARGE,
        unit="matrix",
        units=1,
        contestants={OURS: tinynn_gram, "scikit-learn": sklearn_gram, PRODUCTS: inner_products},
        targets={"scikit-learn": 0.75},
    ),
    "kernel-ridge": Workload(
        what="kernel ridge regression: 3000 samples, 20 features, float64",
        problem=LARGE,
        unit="fit",
        units=1,
        contestants={OURS: tinynn_ridge, "scikit-learn": sklearn_ridge, PRODUCTS: inner_products},
        targets={"scikit-learn": 0.75},
    ),
    "gaussian-process": Workload(
        what="Gaussian process with three hyperparameters to find: 600 samples, 5 features, float64",
        problem=SMALL,
        unit="fit",
        units=1,
        contestants={OURS: tinynn_process, "scikit-learn": sklearn_process},
        targets={"scikit-learn": 0.7},
    ),
    "svc": Workload(
        what="support vector classifier, Gaussian kernel: 3000 samples, 20 features, two classes",
        problem=LARGE,
        unit="fit",
        units=1,
        contestants={OURS: tinynn_svc, "scikit-learn": sklearn_svc},
        targets={"scikit-learn": 3.0},
    ),
    "coulomb": Workload(
        what="energies and forces of 1000 Coulomb molecules of the course (4 charges in the plane), float64",
        problem=COULOMB,
        unit="call",
        units=COULOMB.calls,
        contestants={OURS: tinynn_forces, "torch": torch_forces},
        targets={"torch": 0.2},
    ),
}
