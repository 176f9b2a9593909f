"""EnergyForceRegressor: a potential energy surface learned from energies, from forces, or from both."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Self

import numpy as np

from tinynn.backend import Array, get_array_module
from tinynn.kernels import RadialKernel, get_kernel
from tinynn.molecules.bonds import check_permutation_group, feasible_permutations
from tinynn.molecules.derivative_kernel import Copies, expand, internal_directions, renumbered_copies
from tinynn.molecules.features import Features, inverse_distances
from tinynn.molecules.force_field import ForceField
from tinynn.molecules.geometry import check_positions
from tinynn.molecules.observations import ObservationSystem
from tinynn.validation import check_number

TARGETS = ("forces", "energies", "both")
LENGTH_SCALE = 6.0  # in units of the norm of the features; see `length_scale`


class EnergyForceRegressor(ForceField):
    """Kernel regression of a molecule's energy E(R) and forces F = -dE/dR, with one set of weights.

    Energies and forces are values and derivatives of one function. The weights w fit both::

        [ phi ] w = [ y ],     y = E,    y' = dE/dR = -F             S3 19.1
        [ phi']     [ y']

    In the dual form the kernel takes the place of the features phi: with K, the covariances of all
    observations (`tinynn.molecules.derivative_kernel`), and the coefficients a::

        (K + alpha I) a = y,     E(R) = sum_i a_i cov(y_i, E(R)) + constant

    Forces are worth far more than the energy: of N atoms, 3 N - 6 numbers for one. They leave the constant
    open, which is then the mean of E minus the prediction.

    The forces predicted are minus the gradient of the energy predicted: they conserve it. As the
    features know distances only, forces and torques add up to zero.

    Parameters
    ----------
    kernel : str or RadialKernel
        "matern52", "matern32", "gaussian" or "rbf", or a kernel with its length scale.
    length_scale : float, optional
        Of a kernel given by name, in the unit of the features (1/length). By default six times the
        root mean square of the features' norm. This is long, many times the distance between
        configurations: a Matern kernel then works like a spline, which has no length scale at all. Much
        longer ones only cost digits.
    alpha : float or (float, float)
        Variance of the noise of an energy and of a component of a force, in units of the kernel's;
        one number is for both. 0 interpolates. Learning from energies, the default leaves rounding
        of about 1e-7 of their range in the predictions; 1e-8 takes it away, and some accuracy with it.
    targets : str
        What is learned from: "forces", "energies" or "both".
    permutations : None, "auto" or sequence of permutations
        The renumberings of like atoms under which the energy is made invariant, a group. "auto" finds
        those that the molecule can reach without breaking bonds: `feasible_permutations`.
    features : Features
        What the kernel sees; see `tinynn.molecules.features`.

    Attributes
    ----------
    kernel_ : RadialKernel
    permutations_ : array of int (G, N)
    constant_ : float
        In the unit of the energy.
    dual_coef_ : array (M, b)
        Of the observations of every configuration: its energy, if that is learned from, and its forces
        along 3 N - 6 internal directions.
    amplitude_ : float
        The factor of the kernel under which the observations are most likely, y'a / len(y).

    References
    ----------
    S3 15, 19.1; Solak et al., NIPS 15 (2002), for derivatives in Gaussian processes; Chmiela et al.,
    Nat. Commun. 9, 3887 (2018), for forces of molecules with symmetry.
    """

    _mean: tuple[Array, float] | None  # covariances of the mean energy, once a variance asks for them

    def __init__(
        self,
        kernel: str | RadialKernel = "matern52",
        length_scale: float | None = None,
        alpha: float | tuple[float, float] = 1e-12,
        targets: str = "forces",
        permutations: str | Sequence[Array] | None = None,
        features: Features = inverse_distances,
    ) -> None:
        self.kernel = kernel
        self.length_scale = length_scale
        self.alpha = alpha
        self.targets = targets
        self.permutations = permutations
        self.features = features

    def fit(
        self, R: Array, E: Array = None, F: Array = None, z: Array = None, *, progress: bool = True
    ) -> Self:
        """Learn from M configurations of one molecule.

        Time and memory: with b observations a configuration (3 N - 6 for forces), a matrix of M b x M b
        numbers is filled and factored in place: 8 (M b)^2 bytes and (M b)^3 / 3 operations.

        Parameters
        ----------
        R : array (M, N, D)
            Positions.
        E : array (M,), optional
            Energies. With ``targets="forces"`` they serve for the constant only; without them the
            mean of the energy over these configurations is taken as zero.
        F : array (M, N, D), optional
            Forces -dE/dR, in units of E over those of R.
        z : array of int (N,), optional
            Atomic numbers; "auto" needs them, and R in Å. A list of permutations is checked against
            them.
        progress : bool
            Show a bar, if there are enough configurations to be worth one.

        Raises
        ------
        NotPositiveDefiniteError
            If observations repeat each other to rounding and alpha is too small: its message says
            which, its ``alpha`` what would do.
        MemoryError
            If the matrix does not fit in memory; before it is filled.
        TypeError, ValueError
            If an argument does not fit, or E or F is missing.
        """
        R = check_positions(R, ndim=3).astype(np.float64)
        E, F = self._check_targets(R, E, F, self.targets)
        permutations = self._find_permutations(R, z)
        kernel = self._find_kernel(self.features(R))
        copies, f = self._observe(R, F, permutations)
        noise = self._find_noise(f.shape[1])
        self._system = ObservationSystem(kernel, copies, noise, progress)
        self._targets, self._E, self._f, self._shape = self.targets, E, f, R.shape[1:]
        self.kernel_, self.permutations_ = kernel, permutations
        self._solve()
        return self

    def update(self, R: Array, E: Array = None, F: Array = None) -> Self:
        """Learn from m further configurations, as if they had been among those of `fit`.

        The factor of the matrix grows by their rows, (M b)^2 operations for each; kernel, length scale,
        permutations, noise and targets stay those of `fit`.

        Parameters
        ----------
        R : array (m, N, D)
        E : array (m,), optional
        F : array (m, N, D), optional
            Of E and F those that `fit` was given.

        Raises
        ------
        NotFittedError
            Before `fit`.
        NotPositiveDefiniteError, MemoryError, TypeError, ValueError
            As `fit`; also if the features of R change along more directions of motion than those of any
            configuration in `fit`. The model stays what it was.
        """
        R = self._check_positions(R, ndim=3).astype(np.float64)
        E, F = self._check_targets(R, E, F, self._targets)
        if (E is None) != (self._E is None):
            raise ValueError(f"E is {'missing' if E is None else 'given'}, unlike in fit; wanted the same")
        xp = get_array_module(R)
        copies, f = self._observe(R, F, self.permutations_, rank=self._f.shape[1])
        self._system.extend(copies)
        self._E = None if E is None else xp.concatenate([self._E, E])
        self._f = xp.concatenate([self._f, f])
        self._solve()
        return self

    def predict_variance(self, R: Array) -> tuple[Array, Array]:
        """Variance of the prediction: how far energy and forces may be from the truth, squared.

        That of a Gaussian process with the model's kernel, times `amplitude_`. The energy counts from
        the mean energy of the configurations learned from, as `predict` counts it: forces alone leave
        no doubt about that difference.

        Parameters
        ----------
        R : array (M, N, D) or (N, D)

        Returns
        -------
        E_variance : array (M,), or a number for a single configuration
        F_variance : array of the shape of R

        Raises
        ------
        NotFittedError, TypeError, ValueError
            As `predict`.
        """
        return self._in_blocks(self._predict_variance, R)

    @property
    def _weights(self) -> Array:
        return self.dual_coef_

    def _predict(self, R: Array) -> tuple[Array, Array]:
        R = R.astype(np.float64)
        E, gradient = expand(self.kernel_, self.features(R), *self._expansion)
        J = self.features.jacobian(R).reshape(*gradient.shape, -1)
        return E + self.constant_, -(gradient[:, None] @ J).reshape(R.shape)  # F = -dE/dR      S3 19.1

    def _predict_variance(self, R: Array) -> tuple[Array, Array]:
        if self._mean is None:
            self._mean = self._system.covariance_of_mean_energy()
        copies = renumbered_copies(self.features, R.astype(np.float64), self.permutations_)
        variance = self.amplitude_ * self._system.variance(copies, self._mean)
        return variance[:, 0], variance[:, 1:].reshape(R.shape)

    def _solve(self) -> None:
        """The coefficients of all observations, and what predictions need of them."""
        xp = get_array_module(self._f)
        y, mean = self._f, 0.0
        learns_energies = self._targets != "forces"
        if learns_energies:
            mean = self._E.mean()
            y = xp.concatenate([(self._E - mean)[:, None], y], axis=1)  # [y, y']      S3 19.1
        self.dual_coef_ = self._system.solve(y)
        self._expansion = self._system.expansion(self.dual_coef_)
        if not learns_energies:
            E, _ = expand(self.kernel_, self._system.copies.X[:, 0], *self._expansion)
            mean = -E.mean() if self._E is None else (self._E - E).mean()
        self.constant_ = float(mean)
        self.amplitude_ = float((y * self.dual_coef_).mean())
        self._mean = None

    def _observe(
        self, R: Array, F: Array, permutations: np.ndarray, rank: int | None = None
    ) -> tuple[Copies, Array]:
        """What is learned from: features, derivatives by r internal coordinates, forces along them."""
        if F is None:
            Q = get_array_module(R).zeros((len(R), R[0].size, 0))
            f = Q[:, 0]
        else:
            Q = internal_directions(self.features, R, rank)
            f = (F.reshape(len(R), 1, -1) @ Q)[:, 0]
        return renumbered_copies(self.features, R, permutations, Q), f

    def _check_targets(self, R: Array, E: Array, F: Array, targets: str) -> tuple[Array, Array]:
        """E (M,) and F (M, N, D) in float64; None for an E not given and an F not learned from."""
        _, E, F = self._check_data(R, E, F)
        if targets not in TARGETS:
            raise ValueError(f"targets must be one of {TARGETS}; got {targets!r}")
        for given, name, other in ((E, "E", "forces"), (F, "F", "energies")):
            if given is None and targets != other:
                raise ValueError(f'{name} is missing: targets="{targets}" learns from it')
        return E, None if targets == "energies" else F

    def _find_permutations(self, R: Array, z: Array) -> np.ndarray:
        if self.permutations is None:
            return np.arange(R.shape[1])[None]
        if not isinstance(self.permutations, str):
            return check_permutation_group(self.permutations, R.shape[1], z)
        if self.permutations != "auto":
            raise ValueError(f'permutations must be None, "auto" or a list; got {self.permutations!r}')
        if z is None:
            raise ValueError('z is missing: permutations="auto" needs the atomic numbers')
        return feasible_permutations(R, z)

    def _find_kernel(self, X: Array) -> RadialKernel:
        length_scale = self.length_scale
        if length_scale is None:
            length_scale = LENGTH_SCALE * float((X * X).sum(axis=1).mean()) ** 0.5
        length_scale = check_number(length_scale, "length_scale", low=0, high=np.inf, closed="neither")
        kernel = get_kernel(self.kernel, length_scale=length_scale)
        if not isinstance(kernel, RadialKernel):
            raise ValueError(
                f"kernel must be radial, such as matern52, whose derivatives are known; got {self.kernel!r}"
            )
        kernel.check_parameters()
        return kernel

    def _find_noise(self, n_forces: int) -> np.ndarray:
        """The noise of all b observations of a configuration."""
        alphas = self.alpha if isinstance(self.alpha, (tuple, list)) else (self.alpha, self.alpha)
        if len(alphas) != 2:
            raise ValueError(f"alpha must be a number or a pair (energies, forces); got {self.alpha!r}")
        energy, force = (check_number(a, "alpha", low=0, high=np.inf, closed="left") for a in alphas)
        return np.array([energy] * (self.targets != "forces") + [force] * n_forces)
