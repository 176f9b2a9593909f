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

from collections.abc import Callable, Sequence
from types import ModuleType
from typing import Self

import numpy as np

from tinynn.backend import Array, get_array_module
from tinynn.kernels import Kernel
from tinynn.kernels.base import Entries
from tinynn.molecules.geometry import check_atomic_numbers
from tinynn.molecules.groups import Action, check_group
from tinynn.validation import check_array


class MoleculeKernel(Kernel):
    """Base of kernels made of another one, whose hyperparameters they have."""

    kernel: Kernel
    ndim: tuple[int, ...] = (3,)

    @property
    def theta(self) -> np.ndarray:
        return self.kernel.theta

    @property
    def bounds(self) -> np.ndarray:
        return self.kernel.bounds

    def clone_with_theta(self, theta: Array) -> Self:
        return type(self)(**self.get_params(deep=False) | {"kernel": self.kernel.clone_with_theta(theta)})

    def _check_parameters(self) -> None:
        if not isinstance(self.kernel, Kernel):
            raise TypeError(f"kernel must be a Kernel; got {self.kernel!r}")
        self.kernel._check_parameters()

    def _check(self, X: Array, Y: Array = None) -> tuple[ModuleType, Array, Array]:
        self._check_parameters()
        xp = get_array_module(X=X) if Y is None else get_array_module(X=X, Y=Y)
        X = check_array(X, "X", ndim=self.ndim)
        if Y is None:
            return xp, X, X
        Y = check_array(Y, "Y", ndim=self.ndim, like=X)
        if X.shape[1:] != Y.shape[1:]:
            raise ValueError(f"X has samples of shape {X.shape[1:]} but Y of {Y.shape[1:]}")
        dtype = np.promote_types(X.dtype, Y.dtype)
        return xp, X.astype(dtype, copy=False), Y.astype(dtype, copy=False)

    def _diag(self, xp: ModuleType, X: Array) -> Array:
        entries = self._entries(xp, X, X)
        samples = [slice(m, m + 1) for m in range(len(X))]
        return xp.concatenate([entries(sample, sample)[0] for sample in samples])


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

    ndim = (2, 3)

    def __init__(self, kernel: Kernel, features: Callable[[Array], Array]) -> None:
        self.kernel = kernel
        self.features = features

    def _check_parameters(self) -> None:
        super()._check_parameters()
        if not callable(self.features):
            raise TypeError(f"features must be callable; got {self.features!r}")

    def _map(self, X: Array, Y: Array) -> tuple[Array, Array]:
        return self.kernel._check(self.features(X), None if Y is X else self.features(Y))[1:]

    def _entries(self, xp: ModuleType, X: Array, Y: Array) -> Entries:
        return self.kernel._entries(xp, *self._map(X, Y))  # K(Phi(X), Phi(Y))      S3 21.1

    def _diag(self, xp: ModuleType, X: Array) -> Array:
        return self.kernel._diag(xp, self._map(X, X)[0])

    def _dx(self, xp: ModuleType, X: Array, Y: Array) -> Array:
        if not hasattr(self.features, "jacobian"):
            raise TypeError(f"dx needs features with a jacobian; {self.features!r} has none")
        dk = self.kernel._dx(xp, *self._map(X, Y))  # dk / dphi
        J = self.features.jacobian(X)
        return (dk @ J.reshape(*J.shape[:2], -1)).reshape(*dk.shape[:2], *J.shape[2:])  # dk/dphi dphi/dR

    def _dtheta(self, xp: ModuleType, X: Array) -> Array:
        return self.kernel._dtheta(xp, self._map(X, X)[0])

    def _theta_gradient(self, xp: ModuleType, X: Array, W: Array) -> list[float]:
        return self.kernel._theta_gradient(xp, self._map(X, X)[0], W)


class SymmetrizedKernel(MoleculeKernel):
    """The mean of a kernel over a group acting on its arguments.

    In general on both, of which each action counts::

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

    def _check_parameters(self) -> None:
        super()._check_parameters()
        check_group(self.group)

    def _terms(self, X: Array, Y: Array) -> list[tuple[Array, Array]]:
        """The pairs of arguments over whose kernels the mean goes."""
        images = [h(Y) for h in self.group]
        return [
            (gX, hY) for gX in ([X] if self.simultaneous else [g(X) for g in self.group]) for hY in images
        ]

    def _entries(self, xp: ModuleType, X: Array, Y: Array) -> Entries:
        terms = [self.kernel._entries(xp, *term) for term in self._terms(X, Y)]
        return lambda rows, columns: sum(entries(rows, columns) for entries in terms) / len(terms)

    def _dx(self, xp: ModuleType, X: Array, Y: Array) -> Array:
        if not self.simultaneous:
            raise TypeError("dx needs a kernel with k(g R, g S) = k(R, S) and simultaneous=True")
        terms = self._terms(X, Y)
        return sum(self.kernel._dx(xp, *term) for term in terms) / len(terms)

    def _dtheta(self, xp: ModuleType, X: Array) -> Array:
        M, terms = len(X), self._terms(X, X)
        return sum(self.kernel._dtheta(xp, xp.concatenate(term))[:M, M:] for term in terms) / len(terms)


class AtomPairKernel(MoleculeKernel):
    """The sum of a kernel of two points in space over all pairs of atoms, one of R and one of S.

    Atoms count in any order::

        K(R, S) = sum_i sum_j k(r_i, s_j)

    so K is invariant under permutations: of all atoms or, with z, which keeps the pairs of one element
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

    def _entries(self, xp: ModuleType, X: Array, Y: Array) -> Entries:
        def of_element(atoms: list[int]) -> Entries:
            n = len(atoms)
            k = self.kernel._entries(xp, _points(X, atoms), _points(Y, atoms))

            def entries(rows: slice, columns: slice) -> Array:
                tile = k(_stretch(rows, n), _stretch(columns, n))
                return tile.reshape(len(tile) // n, n, -1, n).sum(
                    axis=(1, 3)
                )  # sum_ij k(r_i, s_j)      S3 21.1

            return entries

        terms = [of_element(atoms) for atoms in self._elements(X)]
        return lambda rows, columns: sum(entries(rows, columns) for entries in terms)

    def _dx(self, xp: ModuleType, X: Array, Y: Array) -> Array:
        dK = xp.zeros((len(X), len(Y), *X.shape[1:]), dtype=X.dtype)
        for atoms in self._elements(X):
            n = len(atoms)
            dk = self.kernel._dx(xp, _points(X, atoms), _points(Y, atoms))
            dK[:, :, atoms] = dk.reshape(len(X), n, len(Y), n, -1).sum(axis=3).swapaxes(1, 2)
        return dK

    def _dtheta(self, xp: ModuleType, X: Array) -> Array:
        def of_element(atoms: list[int]) -> Array:
            dk = self.kernel._dtheta(xp, _points(X, atoms))
            return dk.reshape(len(X), len(atoms), len(X), len(atoms), -1).sum(axis=(1, 3))

        return sum(of_element(atoms) for atoms in self._elements(X))


def _points(X: Array, atoms: list[int]) -> Array:
    """The positions of these atoms, sample by sample, as rows."""
    return X[:, atoms].reshape(-1, X.shape[-1])


def _stretch(samples: slice, n: int) -> slice:
    """The rows of `_points` of these samples."""
    return slice(samples.start * n, samples.stop * n)
