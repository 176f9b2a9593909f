"""The Coulomb matrix: atoms as nuclear charges, and its eigenvalues, which need no numbering.

Rupp, Tkatchenko, Müller and von Lilienfeld, Phys. Rev. Lett. 108, 058301 (2012).
"""

from __future__ import annotations

from tinynn.backend import Array, get_array_module
from tinynn.molecules.features import Features
from tinynn.molecules.geometry import check_atomic_numbers, check_positions, pair_jacobian, separations


def coulomb_matrix(R: Array, z: Array) -> Array:
    """The repulsion of every two nuclei, and on the diagonal a fit to the energies of free atoms.

    With the atomic numbers z and the distances r::

        C_ij = z_i z_j / r_ij,      C_ii = 0.5 z_i^2.4

    Parameters
    ----------
    R : array of shape (M, N, D) or (N, D)
        In bohr, if C shall be in hartree, as its diagonal is.
    z : array of int of shape (N,)
        Atomic numbers.

    Returns
    -------
    array of shape (M, N, N) or (N, N)
        The full symmetric matrix; `CoulombMatrix` has its upper triangle as a row of features.

    Raises
    ------
    TypeError, ValueError
        If R is no array of finite real numbers with two or three dimensions, holds a single atom or
        two that coincide; if z does not hold one positive integer for each atom.
    """
    triangle = CoulombMatrix(z)(R)
    xp = get_array_module(triangle)
    N = len(z)
    a, b = xp.triu_indices(N)
    C = xp.empty((*triangle.shape[:-1], N, N), dtype=triangle.dtype)
    C[..., a, b] = triangle
    C[..., b, a] = triangle
    return C


class CoulombMatrix(Features):
    """The upper triangle of `coulomb_matrix`, row by row with the diagonal: P = N (N + 1) / 2.

    The diagonal tells molecules of different composition apart; it does not depend on the positions.
    Renumbering the atoms reorders the features.

    Parameters
    ----------
    z : array of int of shape (N,)
        Atomic numbers.
    """

    def __init__(self, z: Array) -> None:
        self.z = z

    def __call__(self, R: Array) -> Array:
        R = check_positions(R, min_atoms=2)
        xp = get_array_module(R)
        z = xp.asarray(check_atomic_numbers(self.z, R.shape[-2]), dtype=R.dtype)
        _, r = separations(R)
        a, b = xp.triu_indices(len(z))
        C = xp.empty((*R.shape[:-2], len(a)), dtype=R.dtype)
        C[..., xp.nonzero(a < b)[0]] = (z[a] * z[b])[a < b] / r  # C_ij = z_i z_j / r_ij
        C[..., xp.nonzero(a == b)[0]] = 0.5 * z**2.4  # C_ii = 0.5 z_i^2.4
        return C

    def jacobian(self, R: Array) -> Array:
        R = check_positions(R, min_atoms=2)
        xp = get_array_module(R)
        z = xp.asarray(check_atomic_numbers(self.z, R.shape[-2]), dtype=R.dtype)
        d, r = separations(R)
        a, b = xp.triu_indices(len(z))
        g = xp.zeros((*R.shape[:-2], len(a), R.shape[-1]), dtype=R.dtype)
        # d C_ij / d r_i = -z_i z_j (r_i - r_j) / r_ij^3
        g[..., xp.nonzero(a < b)[0], :] = -((z[a] * z[b])[a < b] / (r * r * r))[..., None] * d
        return pair_jacobian(g, len(z), diagonal=True)


class CoulombSpectrum(Features):
    """The eigenvalues of `coulomb_matrix`, the largest magnitude first; P = N.

    Exchanging like atoms exchanges two rows and the same two columns of the matrix, which leaves its
    eigenvalues alone. They are few: N of them stand for the 3 N - 6 inner coordinates of N atoms in
    space, so different molecules can have the same.

    With the orthonormal eigenvectors v_k, C v_k = lambda_k v_k, first-order perturbation gives::

        d lambda_k = v_k' dC v_k

    as long as the eigenvalues differ. Where two of them, or two magnitudes, cross, the features have
    a kink; exactly there, `jacobian` takes the eigenvectors that the solver happened to choose.

    Parameters
    ----------
    z : array of int of shape (N,)
        Atomic numbers.
    """

    def __init__(self, z: Array) -> None:
        self.z = z

    def __call__(self, R: Array) -> Array:
        return self._eigensystem(R)[0]

    def jacobian(self, R: Array) -> Array:
        _, v = self._eigensystem(R)
        xp = get_array_module(v)
        a, b = xp.triu_indices(v.shape[-1])
        twice = (2 - (a == b)).astype(v.dtype)  # off the diagonal, the triangle has one element for two
        vv = (twice[:, None] * v[..., a, :] * v[..., b, :]).swapaxes(-1, -2)
        dC = CoulombMatrix(self.z).jacobian(R)
        return (vv @ dC.reshape(*dC.shape[:-2], -1)).reshape(*v.shape[:-1], *dC.shape[-2:])  # v_k' dC v_k

    def _eigensystem(self, R: Array) -> tuple[Array, Array]:
        """Eigenvalues (..., N) and eigenvectors, as columns (..., N, N), by descending magnitude."""
        C = coulomb_matrix(R, self.z)
        xp = get_array_module(C)
        eigenvalues, v = xp.linalg.eigh(C)
        order = xp.argsort(-abs(eigenvalues), axis=-1)
        return (
            xp.take_along_axis(eigenvalues, order, axis=-1),
            xp.take_along_axis(v, order[..., None, :], axis=-1),
        )
