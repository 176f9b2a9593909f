"""Least squares: one problem, and for each method of tinynn the peers that solve it in a like way."""

from __future__ import annotations

import functools
import shutil
import tempfile
import weakref
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import scipy.linalg

from benchmarks.harness import BYTES, OURS, PRODUCTS, ROUNDS, Build, Contestant, Target, Workload
from benchmarks.peers import in_torch
from tinynn.backend import Array, asarray, get_backend, to_numpy
from tinynn.linalg import GramAccumulator, least_squares, row_blocks
from tinynn.linalg.least_squares import METHODS
from tinynn.linear_model import Ridge


@dataclass(frozen=True)
class Regression:
    """y = X w + noise with X (samples, features) of independent normal numbers, float64."""

    samples: int
    features: int
    method: str
    alpha: float = 0.0
    seed: int = 0

    def data(self) -> tuple[np.ndarray, np.ndarray]:
        """X and y."""
        rng = np.random.default_rng(self.seed)
        X = rng.standard_normal((self.samples, self.features))
        return X, X @ rng.standard_normal(self.features) + rng.standard_normal(self.samples)


def residual(X: Array, y: Array, w: Array, b: float = 0.0) -> Sequence[float]:
    """What all solvers have to agree on. One row in a hundred is enough, and costs next to nothing."""
    return [float(np.linalg.norm(to_numpy(X[::100]) @ to_numpy(w).ravel() + b - to_numpy(y[::100])))]


def tinynn_solver(problem: Regression, backend: str) -> Contestant:
    """`least_squares`."""
    X, y = (asarray(a, backend) for a in problem.data())
    return lambda: residual(X, y, least_squares(X, y, problem.method, problem.alpha).coef)


def tinynn_ridge(problem: Regression, backend: str) -> Contestant:
    """The estimator, intercept included."""
    X, y = (asarray(a, backend) for a in problem.data())

    def run() -> Sequence[float]:
        model = Ridge(problem.alpha, method=problem.method).fit(X, y)
        return residual(X, y, model.coef_, model.intercept_)

    return run


def sklearn_ridge(problem: Regression, backend: str) -> Contestant:
    """scikit-learn's estimator, intercept included."""
    from sklearn.linear_model import Ridge as SklearnRidge

    X, y = problem.data()

    def run() -> Sequence[float]:
        model = SklearnRidge(problem.alpha, solver=problem.method).fit(X, y)
        return residual(X, y, model.coef_, model.intercept_)

    return run


def scipy_gelsy(problem: Regression, backend: str) -> Contestant:
    """QR with column pivoting, the fastest of SciPy's drivers."""
    X, y = problem.data()
    return lambda: residual(X, y, scipy.linalg.lstsq(X, y, lapack_driver="gelsy")[0])


def numpy_gelsd(problem: Regression, backend: str) -> Contestant:
    """Singular values by divide and conquer."""
    X, y = problem.data()
    return lambda: residual(X, y, np.linalg.lstsq(X, y, rcond=None)[0])


def torch_solver(problem: Regression, backend: str) -> Contestant:
    """torch.linalg.lstsq with the driver nearest to the method; for "cholesky" ridge with an intercept."""
    import torch

    X, y = problem.data()
    A, b = (torch.from_numpy(a).to(in_torch.device_of(backend)) for a in (X, y[:, None]))
    penalty = problem.alpha * torch.eye(A.shape[1], dtype=A.dtype, device=A.device)
    driver = "gelsd" if problem.method == "svd" and backend == "numpy" else "gels"

    def run() -> Sequence[float]:
        if problem.method != "cholesky":
            return residual(X, y, torch.linalg.lstsq(A, b, driver=driver).solution.cpu().numpy())
        centred = A - A.mean(0)
        factor = torch.linalg.cholesky(centred.T @ centred + penalty)
        w = torch.cholesky_solve(centred.T @ (b - b.mean()), factor)
        return residual(X, y, w.cpu().numpy(), float(b.mean() - A.mean(0) @ w))

    return run


def gram_product(problem: Regression, backend: str) -> Contestant:
    """X'X and nothing else."""
    xp = get_backend(backend)
    X = asarray(problem.data()[0], backend)
    product = xp.empty((problem.features, problem.features))

    def run() -> Sequence[float]:
        xp.matmul(X.T, X, out=product)
        return []

    return run


@dataclass(frozen=True)
class Stream:
    """Rows of X (samples, features) and y in two files, which need not fit into memory."""

    samples: int
    features: int
    seed: int = 0

    def blocks(self, rows: int = 100_000) -> list[slice]:
        """Slices that cover all samples."""
        return [slice(i, i + rows) for i in range(0, self.samples, rows)]

    @functools.cached_property
    def folder(self) -> str:
        """Where X.npy and y.npy are, as long as this object lives."""
        folder = tempfile.mkdtemp(prefix="tinynn-")
        weakref.finalize(self, shutil.rmtree, folder, ignore_errors=True)
        X = np.lib.format.open_memmap(f"{folder}/X.npy", "w+", float, (self.samples, self.features))
        y = np.lib.format.open_memmap(f"{folder}/y.npy", "w+", float, (self.samples,))
        rng = np.random.default_rng(self.seed)
        w = rng.standard_normal(self.features)
        for rows in self.blocks():
            X[rows] = rng.standard_normal(X[rows].shape)
            y[rows] = X[rows] @ w + rng.standard_normal(len(y[rows]))
        return folder


def tinynn_gram(stream: Stream, backend: str) -> Contestant:
    """`GramAccumulator`, fed from mapped files."""
    X, y = (np.load(f"{stream.folder}/{name}.npy", mmap_mode="r") for name in "Xy")

    def run() -> Sequence[float]:
        blocks = ((asarray(A, backend), asarray(b, backend)) for A, b in row_blocks(X, y))
        w = GramAccumulator().extend(blocks).solve().coef
        return to_numpy(w).tolist()

    return run


def block_products(stream: Stream, backend: str) -> Contestant:
    """X'X of as many blocks and nothing else; their 64 MB fit in no fast cache, so each comes from memory."""
    xp = get_backend(backend)
    rows = 2**18 // stream.features
    blocks = xp.asarray(np.random.default_rng(stream.seed).standard_normal((32, rows, stream.features)))
    product = xp.empty((stream.features, stream.features))

    def run() -> Sequence[float]:
        for i in range(0, stream.samples, rows):
            A = blocks[i // rows % 32]
            xp.matmul(A.T, A, out=product)
        return []

    return run


def read_files(stream: Stream, backend: str) -> Contestant:
    """Every byte of the files, and nothing done with it."""
    buffer = bytearray(2**20)

    def run() -> Sequence[float]:
        for name in "Xy":
            with open(f"{stream.folder}/{name}.npy", "rb", buffering=0) as file:
                while file.readinto(buffer):
                    pass
        return []

    return run


def _solving(
    method: str, ours: Build, peers: dict[str, Build], target: Target | None = None
) -> dict[str, Workload]:
    """Two workloads, of 100 and of 1000 features; methods without a target are timed at one size each."""
    contestants = {OURS: ours, **peers, "torch": torch_solver, PRODUCTS: gram_product}
    fewer = (1_000, 3_000, 10_000, 30_000) if target else ()
    samples = {100: (*fewer, 100_000), 1_000: (5_000,)}
    alpha = 1.0 if method == "cholesky" else 0.0
    return {
        f"{method}-{n}": Workload(
            what=f"least squares by {method}: {n} features, float64",
            problems=[Regression(M, n, method, alpha) for M in sizes],
            size="samples",
            unit="solution",
            contestants=contestants,
            targets=[replace(target, size=sizes[-1])] if target else [],
            rounds=ROUNDS if target else 7,
        )
        for n, sizes in samples.items()
    }


SOLVERS = {
    **_solving("cholesky", tinynn_ridge, {"sklearn": sklearn_ridge}, Target("sklearn", 0.7)),
    **_solving("qr", tinynn_solver, {"scipy": scipy_gelsy}, Target("scipy", 1.0)),
    **_solving("svd", tinynn_solver, {"numpy": numpy_gelsd}, Target("numpy", 1.0)),
    **{
        name: workload
        for method in METHODS
        if method not in ("cholesky", "qr", "svd")
        for name, workload in _solving(method, tinynn_solver, {"scipy": scipy_gelsy}).items()
    },
    "stream": Workload(
        what="sums of X'X and X'y over 10 million rows of 50 columns in a file of 4 GB, float64",
        problems=[Stream(samples=10_000_000, features=50)],
        unit="pass",
        contestants={OURS: tinynn_gram, PRODUCTS: block_products, BYTES: read_files},
        on_request=True,
    ),
}
