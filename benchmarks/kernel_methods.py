"""Kernels and the models on them: the same call of tinynn and of a peer."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from benchmarks.harness import BYTES, OURS, PRODUCTS, Contestant, Target, Workload, probe
from benchmarks.peers import in_torch
from tinynn.backend import asarray, get_backend
from tinynn.kernels import SVC, Constant, Gaussian, GaussianProcessRegressor, KernelRidge, White


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


def tinynn_gram(problem: Smooth, backend: str) -> Contestant:
    """`Gaussian`."""
    X = asarray(problem.data()[0], backend)
    return lambda: probe(Gaussian(problem.length_scale)(X))


def sklearn_gram(problem: Smooth, backend: str) -> Contestant:
    """rbf_kernel."""
    from sklearn.metrics.pairwise import rbf_kernel

    X = problem.data()[0]
    return lambda: probe(rbf_kernel(X, gamma=problem.gamma))


def torch_gram(problem: Smooth, backend: str) -> Contestant:
    """exp(-gamma |x - x'|^2) with the squares from one product."""
    import torch

    X = torch.tensor(problem.data()[0], device=in_torch.device_of(backend))
    return lambda: probe(torch_kernel(X, problem.gamma).cpu().numpy())


def torch_kernel(X: Any, gamma: float) -> Any:
    """The Gram matrix, in place after the product."""
    squares = (X * X).sum(1)
    K = (X @ X.T).mul_(-2).add_(squares[:, None]).add_(squares)
    return K.clamp_(min=0).mul_(-gamma).exp_()


def inner_products(problem: Smooth, backend: str) -> Contestant:
    """X X' and nothing else."""
    xp = get_backend(backend)
    X = asarray(problem.data()[0], backend)
    K = xp.empty((problem.samples, problem.samples))

    def run() -> Sequence[float]:
        xp.matmul(X, X.T, out=K)
        return []

    return run


def writing(problem: Smooth, backend: str) -> Contestant:
    """As many numbers as the matrix has."""
    K = get_backend(backend).empty((problem.samples, problem.samples))

    def run() -> Sequence[float]:
        K.fill(1.0)
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


def torch_ridge(problem: Smooth, backend: str) -> Contestant:
    """The same equations: (K + alpha 1) w = y by Cholesky."""
    import torch

    X, y = (torch.tensor(a, device=in_torch.device_of(backend)) for a in problem.data())

    def run() -> Sequence[float]:
        K = torch_kernel(X, problem.gamma)
        K.diagonal().add_(problem.alpha)
        return probe(torch.cholesky_solve(y[:, None], torch.linalg.cholesky(K)).cpu().numpy())

    return run


def ridge_products(problem: Smooth, backend: str) -> Contestant:
    """X X', and a product of as many operations as Cholesky needs, N^3 / 3."""
    xp = get_backend(backend)
    products = inner_products(problem, backend)
    N = problem.samples
    A, K = xp.ones((N, N // 6)), xp.empty((N, N))
    B = xp.ones((N // 6, N))

    def run() -> Sequence[float]:
        xp.matmul(A, B, out=K)
        return products()

    return run


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
    X, y = (asarray(a, backend) for a in problem.data())
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


LARGE, SMALL = Smooth(samples=3000, features=20), Smooth(samples=600, features=5, length_scale=2.0)
SWEEP = [Smooth(samples, features=20) for samples in (500, 1000, 2000, 3000, 4000)]

KERNEL_METHODS = {
    "gram": Workload(
        what="Gram matrix of the Gaussian kernel: 20 features, float64",
        problems=SWEEP,
        size="samples",
        unit="matrix",
        contestants={
            OURS: tinynn_gram,
            "sklearn": sklearn_gram,
            "torch": torch_gram,
            PRODUCTS: inner_products,
            BYTES: writing,
        },
        targets=[Target("sklearn", 0.75, size=3000)],
    ),
    "kernel-ridge": Workload(
        what="kernel ridge regression: 20 features, float64",
        problems=SWEEP,
        size="samples",
        unit="fit",
        contestants={
            OURS: tinynn_ridge,
            "sklearn": sklearn_ridge,
            "torch": torch_ridge,
            PRODUCTS: ridge_products,
        },
        targets=[Target("sklearn", 0.75, size=3000)],
        rounds=7,
    ),
    "gaussian-process": Workload(
        what="Gaussian process with three hyperparameters to find: 600 samples, 5 features, float64",
        problems=[SMALL],
        unit="fit",
        contestants={OURS: tinynn_process, "sklearn": sklearn_process},
        targets=[Target("sklearn", 0.7)],
    ),
    "svc": Workload(
        what="support vector classifier, Gaussian kernel: 3000 samples, 20 features, two classes",
        problems=[LARGE],
        unit="fit",
        contestants={OURS: tinynn_svc, "sklearn": sklearn_svc},
        targets=[Target("sklearn", 3.0)],
    ),
}
