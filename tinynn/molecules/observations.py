"""The linear system of a Gaussian process that observes energies and forces."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
from tqdm import tqdm

from tinynn.backend import Array, get_array_module
from tinynn.kernels import RadialKernel
from tinynn.linalg import NotPositiveDefiniteError
from tinynn.linalg.factor import CholeskyFactor
from tinynn.linalg.memory import available_bytes, empty_square
from tinynn.molecules.derivative_kernel import Copies, covariance, covariances, fill_lower

LONG = 3000  # rows of a matrix that takes longer than a second or two


class ObservationSystem:
    """(K + noise) a = y, with the covariances K of b observations in each of M configurations, factored.

    Parameters
    ----------
    kernel : RadialKernel
    copies : Copies
        The configurations, and their coordinates along which forces are observed.
    noise : array (b,)
        Variances. Of a configuration's (energy, forces) the last b are observed.
    progress : bool
        Show a bar, if there is enough to compute to be worth one.

    Raises
    ------
    MemoryError
        If the matrix does not fit in memory; before anything is computed.
    NotPositiveDefiniteError
        If observations repeat each other and the noise is too small.
    """

    def __init__(self, kernel: RadialKernel, copies: Copies, noise: np.ndarray, progress: bool) -> None:
        self.kernel = kernel
        self.copies = copies
        self.noise = noise
        available = self._available()
        A = self._allocate(len(copies) * self.b)
        size = f"{8e-9 * A.size:.2g} GB"
        free = "" if available is None else f" ({1e-9 * available:.2g} GB available)"
        with tqdm(
            total=len(copies) * (len(copies) + 1) // 2,
            desc=f"kernel matrix of {size}{free}",
            unit=" pairs",
            unit_scale=True,
            disable=not progress or len(A) < LONG,
        ) as bar:
            fill_lower(A, kernel, copies, noise, bar.update)
            bar.set_description(f"Cholesky decomposition of {size}")
            with self._explained(A.diagonal().max()):
                self.factor = CholeskyFactor(A)

    @property
    def b(self) -> int:
        """Observations in each configuration."""
        return len(self.noise)

    def extend(self, new: Copies) -> None:
        """Add the observations of further configurations; the system stays what it was if that fails."""
        copies = self.copies.join(new)
        m = len(new) * self.b
        A_22 = get_array_module(new.X).zeros((m, m))
        fill_lower(A_22, self.kernel, new, self.noise)
        A_21 = covariances(self.kernel, self.copies, new, self.b).T
        with self._explained(A_22.diagonal().max()):
            self.factor.extend(A_21, A_22, self._allocate)
        self.copies = copies

    def solve(self, y: Array) -> Array:
        """The coefficients a (M, b) of observations y (M, b)."""
        return self.factor.solve(y.ravel()).reshape(y.shape)

    def expansion(self, a: Array) -> tuple[Array, Array, Array]:
        """What `tinynn.molecules.derivative_kernel.expand` needs of the coefficients a (M, b)."""
        X, B = self.copies.X, self.copies.B
        M, G, P, r = B.shape
        c = a[:, 0] if self.b > r else get_array_module(a).zeros(M)
        V = B.reshape(M, G * P, r) @ a[:, self.b - r :, None]  # v_j = B_j a_j, for every copy
        return X.reshape(-1, P), c.repeat(G), V.reshape(-1, P)

    def variance(self, at: Copies, mean: tuple[Array, float]) -> Array:
        """Variance that the observations leave to energy and forces, (M, 1 + r), of other configurations.

        The energy is that above the mean over the system's configurations, whose covariances are
        `mean`, from `covariance_of_mean_energy`.
        """
        xp = get_array_module(at.X)
        variance = xp.empty((len(at), 1 + at.B.shape[3]))
        for m, x in enumerate(at):
            C = covariance(self.kernel, self.copies, x)
            prior = covariance(self.kernel, x, x)[0].diagonal().copy()
            prior[0] += mean[1] - 2 * C[:, 0, 0].mean()
            C = C[:, -self.b :].reshape(-1, C.shape[2])
            C[:, 0] -= mean[0]
            v = self.factor.solve_lower(C)
            variance[m] = prior - xp.einsum("ij,ij->j", v, v)  # C_** - C_*'(K + noise)^-1 C_*
        return xp.maximum(variance, 0)

    def covariance_of_mean_energy(self) -> tuple[Array, float]:
        """Covariances of all configurations' mean energy, with the observations (M b,) and with itself."""
        energies = Copies(self.copies.X, self.copies.B[..., :0])
        C = sum(covariance(self.kernel, self.copies, x)[:, :, 0] for x in energies) / len(energies)
        return C[:, -self.b :].ravel(), float(C[:, 0].mean())

    def _allocate(self, rows: int) -> Array:
        """Memory for a matrix of so many rows, or an error that says how many configurations would fit."""
        available = self._available()
        fit = "fewer" if available is None else f"at most {int((available / 8) ** 0.5 / self.b)}"
        remedy = f"learn from {fit} of these {rows // self.b} configurations with {self.b} observations each"
        if self.b > 1:
            remedy += ', or targets="energies", which has one observation a configuration'
        return empty_square(rows, remedy, self._backend())

    def _available(self) -> int | None:
        return available_bytes(self._backend())

    def _backend(self) -> str:
        return get_array_module(self.copies.X).__name__

    @contextmanager
    def _explained(self, largest: Array) -> Iterator[None]:
        """A failed decomposition says which configuration is to blame, and what to do."""
        alpha = 1e-10 * float(largest)
        try:
            yield
        except NotPositiveDefiniteError as error:
            where = "" if error.pivot is None else f" configuration {error.pivot // self.b}"
            raise NotPositiveDefiniteError(
                f"the kernel matrix is not positive definite:{where} repeats others, to rounding, or is more "
                f"symmetric than such a molecule in general. Leave it out, or allow for noise: "
                f"alpha={alpha:.0e} for example",
                error.pivot,
                alpha,
            ) from error
