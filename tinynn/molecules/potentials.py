"""Potential energies that are sums over pairs of atoms, and their forces."""

from __future__ import annotations

from abc import ABC, abstractmethod

from tinynn.backend import Array, get_array_module
from tinynn.molecules.geometry import check_positions, separations, sum_pair_forces
from tinynn.validation import check_number


class PairPotential(ABC):
    """Energy and forces of N atoms that interact in pairs.

    The energy is the sum of v over all pairs of atoms, each pair once::

        E = sum_i sum_{j>i} v(r_ij),      r_ij = |r_i - r_j|

    The force on atom i is minus the gradient of the energy. Atom i is in the N - 1 pairs with the
    other atoms j; by the chain rule, with d r_ij / d r_i = (r_i - r_j) / r_ij::

        F_i = -dE/dr_i = -sum_{j≠i} v'(r_ij) d r_ij / d r_i = sum_{j≠i} f_ij
        f_ij = -v'(r_ij) (r_i - r_j) / r_ij

    Exchanging i and j changes nothing but the sign of f_ij, Newton's third law, and f_ij points along
    r_i - r_j: the forces on all atoms add up to zero, and so do the torques.

    A subclass gives v and its derivative v'. The sum over pairs is Eq. (2) of S2.

    Units: lengths as v expects them, energies in the unit of v, forces in that unit per length.
    """

    @abstractmethod
    def v(self, r: Array) -> Array:
        """Energy of one pair at distance r > 0, elementwise."""

    @abstractmethod
    def dv(self, r: Array) -> Array:
        """Derivative v' = dv/dr, elementwise."""

    def energy(self, R: Array) -> Array:
        """Potential energy of every sample.

        Parameters
        ----------
        R : array of shape (M, N, D) or (N, D)
            Positions of N >= 2 atoms.

        Returns
        -------
        array of shape (M,), or a number for a single configuration

        Raises
        ------
        TypeError, ValueError
            If R is no array of finite real numbers with two or three dimensions, holds a single
            atom, or two of its atoms coincide.
        """
        R = check_positions(R, min_atoms=2)
        _, r = separations(R)
        return self._energy(r)

    def forces(self, R: Array) -> Array:
        """Forces F = -dE/dR on every atom.

        Parameters
        ----------
        R : array of shape (M, N, D) or (N, D)

        Returns
        -------
        array of the shape of R

        Raises
        ------
        TypeError, ValueError
            As `energy`.
        """
        R = check_positions(R, min_atoms=2)
        return self._forces(*separations(R), R.shape[-2])

    def predict(self, R: Array) -> tuple[Array, Array]:
        """`energy` and `forces` at once, as models that learn them offer it: the distances serve both.

        Parameters
        ----------
        R : array of shape (M, N, D) or (N, D)

        Returns
        -------
        E : array of shape (M,), or a number for a single configuration
        F : array of the shape of R

        Raises
        ------
        TypeError, ValueError
            As `energy`.
        """
        R = check_positions(R, min_atoms=2)
        d, r = separations(R)
        return self._energy(r), self._forces(d, r, R.shape[-2])

    def _energy(self, r: Array) -> Array:
        return self.v(r).sum(axis=-1)  # E = sum_i sum_{j>i} v(r_ij)    S2 (2)

    def _forces(self, d: Array, r: Array, n_atoms: int) -> Array:
        f = -(self.dv(r) / r)[..., None] * d  # f_ij = -v'(r_ij) (r_i - r_j) / r_ij
        return sum_pair_forces(f, n_atoms)


class CoulombPairPotential(PairPotential):
    """Repulsion of equal charges: v(r) = k / r.

    Parameters
    ----------
    k : float
        Strength, energy times length, positive.

    Raises
    ------
    TypeError, ValueError
        If k is no positive finite number.

    References
    ----------
    S2 (1).
    """

    def __init__(self, k: float = 1.0) -> None:
        self.k = _positive(k, "k")

    def v(self, r: Array) -> Array:
        return self.k / r  # S2 (1)

    def dv(self, r: Array) -> Array:
        return -self.k / r**2


class LennardJones(PairPotential):
    """Weakly attracting, hard atoms: v(r) = 4 epsilon [(sigma/r)^12 - (sigma/r)^6].

    Parameters
    ----------
    epsilon : float
        Depth of the minimum, at r = 2^(1/6) sigma; an energy, positive.
    sigma : float
        Where v crosses zero; a length, positive.

    Raises
    ------
    TypeError, ValueError
        If a parameter is no positive finite number.

    References
    ----------
    J. E. Jones, Proc. R. Soc. A 106, 463 (1924). There is no cutoff.
    """

    def __init__(self, epsilon: float = 1.0, sigma: float = 1.0) -> None:
        self.epsilon = _positive(epsilon, "epsilon")
        self.sigma = _positive(sigma, "sigma")

    def v(self, r: Array) -> Array:
        s = self._sixth_power(r)
        return 4 * self.epsilon * (s * s - s)

    def dv(self, r: Array) -> Array:
        s = self._sixth_power(r)
        return -24 * self.epsilon * (2 * s * s - s) / r

    def _sixth_power(self, r: Array) -> Array:
        """(sigma / r)^6, by products: three times faster than a power."""
        x = (self.sigma / r) ** 2
        return x * x * x


class Morse(PairPotential):
    """A bond that can break: v(r) = D_e [(1 - exp(-a (r - r_e)))^2 - 1], zero at infinity.

    Parameters
    ----------
    D_e : float
        Depth of the minimum, v(r_e) = -D_e; an energy, positive.
    a : float
        Steepness, v''(r_e) = 2 D_e a^2; one over a length, positive.
    r_e : float
        Equilibrium distance, positive.

    Raises
    ------
    TypeError, ValueError
        If a parameter is no positive finite number.

    References
    ----------
    P. M. Morse, Phys. Rev. 34, 57 (1929).
    """

    def __init__(self, D_e: float, a: float, r_e: float) -> None:
        self.D_e = _positive(D_e, "D_e")
        self.a = _positive(a, "a")
        self.r_e = _positive(r_e, "r_e")

    def v(self, r: Array) -> Array:
        x = get_array_module(r).exp(-self.a * (r - self.r_e))
        return self.D_e * (x * x - 2 * x)  # (1 - x)^2 - 1 without its cancellation at large r

    def dv(self, r: Array) -> Array:
        x = get_array_module(r).exp(-self.a * (r - self.r_e))
        return 2 * self.D_e * self.a * (x - x * x)


def _positive(x: float, name: str) -> float:
    return check_number(x, name, low=0, closed="neither")
