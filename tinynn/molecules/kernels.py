"""Kernels between molecules, k(R, S) of two configurations, and three ways to make them invariant.

A kernel is invariant under an action g if k(g R, S) = k(R, S) for all R and S, and then so is every model
built on it, f(R) = sum_i alpha_i k(R, R_i), whatever its weights are (S3, lemma 21.2). It becomes so

- by features: k(phi(R), phi(S)) is as invariant as phi (`FeatureKernel`),
- by a mean over a finite group, for example of permutations (`SymmetrizedKernel`),
- by a sum over all pairs of atoms, which does not ask for their order (`AtomPairKernel`).

They take samples (M, N, D) where the kernels of `tinynn.kernels` take rows (M, n), and can be put into each
other.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from types import ModuleType
from typing import Self

import numpy as np

from tinynn.backend import Array, get_array_module
from tinynn.kernels import Kernel
from tinynn.kernels.tiles import TileRows, stored
from tinynn.molecules.geometry import check_atomic_numbers
from tinynn.molecules.groups import Action, check_group

BLOCK = 2**20  # pairs of atoms whose kernels are held at once, 8 MiB of float64


class MoleculeKernel(Kernel):
    """Base of kernels made of another one, whose hyperparameters they have."""

    kernel: Kernel

    @property
    def theta(self) -> np.ndarray:
        return self.kernel.theta

    @property
    def bounds(self) -> np.ndarray:
        return self.kernel.bounds

    def clone_with_theta(self, theta: Array) -> Self:
        return type(self)(**self.get_params(deep=False) | {"kernel": self.kernel.clone_with_theta(theta)})

    def check_parameters(self) -> None:
        if not isinstance(self.kernel, Kernel):
            raise TypeError(f"kernel must be a Kernel; got {self.kernel!r}")
        self.kernel.check_parameters()

    def _ndim(self) -> tuple[int, ...]:
        return (3,)

    def _matrix(self, X: Array, Y: Array) -> Array:
        """The Gram matrix k(x_i, y_j), (M, M')."""
        raise NotImplementedError

    def _tiles(self, xp: ModuleType, X: Array, Y: Array) -> TileRows:
        return stored(self._matrix(X, Y))

    def _diag(self, xp: ModuleType, X: Array) -> Array:
        blocks = [X[m : m + 32] for m in range(0, len(X), 32)]  # fewer calls; a little is computed in vain
        return xp.concatenate([xp.diagonal(self._matrix(block, block)) for block in blocks])

    def _theta_gradient(self, xp: ModuleType, X: Array, W: TileRows, W_diag: Array) -> list[float]:
        all_samples, dK = slice(0, len(X)), self._dtheta(xp, X, X)
        below = xp.tril(W(all_samples, len(X))(all_samples), -1)  # of W only the lower triangle is there
        return (2 * xp.einsum("ij,ijp->p", below, dK) + xp.einsum("i,iip->p", W_diag, dK)).tolist()

    def _dxdy(self, xp: ModuleType, X: Array, Y: Array) -> Array:
        raise TypeError(f"{type(self).__name__} has no dxdy; to learn from forces see EnergyForceRegressor")


class FeatureKernel(MoleculeKernel):
    """k(phi(R), phi(S)): the kernel sees features of the molecules only.

    With `center` for phi it is invariant under translation, with `inverse_distances` under rotation and
    reflection, too. With `NetworkFeatures` it is a deep kernel: its features are learned.

    Parameters
    ----------
    kernel : Kernel
    features : callable
        Maps samples (M, N, D), or rows (M, n), to what `kernel` takes. If it has a ``jacobian``, as
        `Features` have, the kernel has the derivative `dx` (M, M', N, D).

    References
    ----------
    S3, example 21.4, and deep kernels at the end of 21.1.
    """

    def __init__(self, kernel: Kernel, features: Callable[[Array], Array]) -> None:
        self.kernel = kernel
        self.features = features

    def _ndim(self) -> tuple[int, ...]:
        return (2, 3)

    def check_parameters(self) -> None:
        super().check_parameters()
        if not callable(self.features):
            raise TypeError(f"features must be callable; got {self.features!r}")

    def _features(self, X: Array, Y: Array) -> tuple[Array, Array | None]:
        return self.features(X), None if Y is X else self.features(Y)

    def _tiles(self, xp: ModuleType, X: Array, Y: Array) -> TileRows:
        return self.kernel._tiles(*self.kernel._check(*self._features(X, Y)))  # K(Phi(X), Phi(Y))  S3 21.1

    def _diag(self, xp: ModuleType, X: Array) -> Array:
        return self.kernel.diag(self.features(X))

    def _dx(self, xp: ModuleType, X: Array, Y: Array) -> Array:
        if not hasattr(self.features, "jacobian"):
            raise TypeError(f"dx needs features with a jacobian; {self.features!r} has none")
        dk = self.kernel.dx(self.features(X), self.features(Y))  # dk / dphi
        J = self.features.jacobian(X)
        return (dk @ J.reshape(*J.shape[:2], -1)).reshape(*dk.shape[:2], *J.shape[2:])  # dk/dphi dphi/dR

    def _dtheta(self, xp: ModuleType, X: Array, Y: Array) -> Array:
        return self.kernel.dtheta(*self._features(X, Y))

    def _theta_gradient(self, xp: ModuleType, X: Array, W: TileRows, W_diag: Array) -> list[float]:
        return self.kernel._theta_gradient(xp, self.features(X), W, W_diag)


class SymmetrizedKernel(MoleculeKernel):
    """The mean of a kernel over a group acting on its arguments.

    In general it is taken over all images of R and all of S::

        k_G(R, S) = 1/|G|^2 sum_g sum_h k(g R, h S)

    It is the inner product of the features' means over the orbits, so it is a kernel. Where k does not
    change if both arguments are moved, k(g R, g S) = k(R, S), one of the two sums does nothing but repeat
    the other (put g^-1 h for h)::

        k_G(R, S) = 1/|G| sum_h k(R, h S)

    Parameters
    ----------
    kernel : Kernel
        Of configurations, such as ``FeatureKernel(Gaussian(), positions)``.
    group : sequence of actions
        See `tinynn.molecules.groups`. `sample_rotations` are no group: the kernel is still one, in the
        general form, but only about invariant.
    simultaneous : bool
        Whether k(g R, g S) = k(R, S) for all g, which makes one sum do. True of functions of |x - y| or
        of x'y, where x are positions or distances and g a rotation, reflection or permutation: they turn or
        renumber x and y alike. Not true where the features have weights. `audit_invariance` finds out.

    References
    ----------
    S3, definition 21.1; Haasdonk and Burkhardt, Machine Learning 68, 35 (2007).
    """

    def __init__(self, kernel: Kernel, group: Sequence[Action], simultaneous: bool = False) -> None:
        self.kernel = kernel
        self.group = group
        self.simultaneous = simultaneous

    def check_parameters(self) -> None:
        super().check_parameters()
        check_group(self.group)

    def _terms(self, X: Array, Y: Array) -> list[tuple[Array, Array]]:
        """The pairs of arguments over whose kernels the mean goes."""
        first = [X] if self.simultaneous else [g(X) for g in self.group]
        return list(itertools.product(first, [h(Y) for h in self.group]))

    def _matrix(self, X: Array, Y: Array) -> Array:
        terms = self._terms(X, Y)
        return sum(self.kernel(*term) for term in terms) / len(terms)

    def _dx(self, xp: ModuleType, X: Array, Y: Array) -> Array:
        if not self.simultaneous:
            raise TypeError("dx needs a kernel with k(g R, g S) = k(R, S) and simultaneous=True")
        terms = self._terms(X, Y)
        return sum(self.kernel.dx(*term) for term in terms) / len(terms)

    def _dtheta(self, xp: ModuleType, X: Array, Y: Array) -> Array:
        terms = self._terms(X, Y)
        return sum(self.kernel.dtheta(*term) for term in terms) / len(terms)


class AtomPairKernel(MoleculeKernel):
    """The sum of a kernel of two points in space over all pairs of atoms, one of R and one of S.

    The order of the atoms does not matter::

        K(R, S) = sum_i sum_j k(r_i, s_j)

    K is invariant under permutations: of all atoms or, with z, which keeps the pairs of one element
    only, of like atoms. It is no more than that. Who moves or turns one of the two molecules changes the
    distances from its atoms to those of the other; for a kernel that does not see where molecules are, put
    it on top of `center`, and for one that does not see how they are turned, take a mean over rotations.

    Parameters
    ----------
    kernel : Kernel
        Of rows (M, D), such as ``Gaussian(0.5)``.
    z : array of int of shape (N,), optional
        Atomic numbers. By default all atoms are alike.

    References
    ----------
    S3, 21.1.
    """

    def __init__(self, kernel: Kernel, z: Array | None = None) -> None:
        self.kernel = kernel
        self.z = z

    def _elements(self, X: Array) -> list[list[int]]:
        """The atoms of each element."""
        n_atoms = X.shape[1]
        z = check_atomic_numbers([1] * n_atoms if self.z is None else self.z, n_atoms)
        return [np.flatnonzero(z == element).tolist() for element in np.unique(z)]

    def _matrix(self, X: Array, Y: Array) -> Array:
        size = max(1, BLOCK // (len(Y) * X.shape[1] ** 2))
        blocks = [self._sum_over_pairs(X[m : m + size], Y) for m in range(0, len(X), size)]
        return get_array_module(X).concatenate(blocks)

    def _sum_over_pairs(self, X: Array, Y: Array) -> Array:
        K = 0
        for atoms in self._elements(X):
            n = len(atoms)
            k = self.kernel(_points(X, atoms), _points(Y, atoms)).reshape(len(X), n, len(Y), n)
            K = K + k.sum(axis=(1, 3))  # sum_i sum_j k(r_i, s_j)      S3 21.1
        return K

    def _dx(self, xp: ModuleType, X: Array, Y: Array) -> Array:
        dK = xp.zeros((len(X), len(Y), *X.shape[1:]), dtype=X.dtype)
        for atoms in self._elements(X):
            n = len(atoms)
            dk = self.kernel.dx(_points(X, atoms), _points(Y, atoms))
            dK[:, :, atoms] = dk.reshape(len(X), n, len(Y), n, -1).sum(axis=3).swapaxes(1, 2)
        return dK

    def _dtheta(self, xp: ModuleType, X: Array, Y: Array) -> Array:
        def of_element(atoms: list[int]) -> Array:
            dk = self.kernel.dtheta(_points(X, atoms), _points(Y, atoms))
            return dk.reshape(len(X), len(atoms), len(Y), len(atoms), -1).sum(axis=(1, 3))

        return sum(of_element(atoms) for atoms in self._elements(X))


def _points(X: Array, atoms: list[int]) -> Array:
    """The positions of these atoms, sample by sample, as rows."""
    return X[:, atoms].reshape(-1, X.shape[-1])
