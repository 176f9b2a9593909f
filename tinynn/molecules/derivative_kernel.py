"""Covariances of energies and forces: one kernel of features, and its derivatives by the positions.

The model of the energy is linear in its weights, E = w'phi, and so is the derivative: F = -w'dphi/dR,
with the same w (S3 19.1). The kernel k = phi'phi says how energies go with energies, its derivatives
how forces go with either. Take features x of one configuration and y of another, their Jacobians
A = dx/dR and B = dy/dR, the difference d = x - y, and a radial kernel k = f(s), s = |d|^2. Then::

    cov(E, E') =  k             =  f
    cov(E, F') = -dk/dR'        =  2 f' d'B
    cov(F, E') = -dk/dR         = -2 f' A'd
    cov(F, F') =  d2k/dR dR'    =  A'(-2 f' I - 4 f'' d d')B

The bracket, a matrix of all features by all features, is never formed: B goes in first.

A molecule that renumbers its like atoms is still the same. The symmetric kernel is the sum of k(x, y_g)
over the renumbered copies y_g of one of the two configurations; copies of the other as well would
repeat every term, since k(x_g, y_g) = k(x, y).

Features that rigid motions leave alone have a Jacobian of low rank: of the N D directions in which the
atoms can move, 6 (in the plane 3) change nothing, and there the force of the model is zero whatever
its weights. `internal_directions` finds the others. Forces along these are all there is to learn
from, and to leave out the rest changes no prediction.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np

from tinynn.backend import Array, get_array_module
from tinynn.kernels import RadialKernel
from tinynn.molecules.features import Features

BATCH = 2**20  # differences of features that are held at a time


@dataclass(frozen=True)
class Copies:
    """What the kernel sees of M configurations: the G renumbered copies of each, the original first.

    Attributes
    ----------
    X : array (M, G, P)
        Features.
    B : array (M, G, P, r)
        Their derivatives by r coordinates of the original.
    """

    X: Array
    B: Array

    def __len__(self) -> int:
        return len(self.X)

    def __getitem__(self, index: slice) -> Copies:
        return Copies(self.X[index], self.B[index])

    def __iter__(self) -> Iterator[Copies]:
        return (self[i : i + 1] for i in range(len(self)))

    def join(self, other: Copies) -> Copies:
        """These configurations and then the others."""
        xp = get_array_module(self.X)
        return Copies(xp.concatenate([self.X, other.X]), xp.concatenate([self.B, other.B]))


def renumbered_copies(features: Features, R: Array, permutations: np.ndarray, Q: Array = None) -> Copies:
    """Features of R[:, p] for all permutations p (G, N), with their derivatives along motions of R (M, N, D).

    `Q` (M, N D, r) holds the directions of these motions; by default they are those of the coordinates.
    """
    xp = get_array_module(R)
    X, B = [], []
    for p in permutations:
        copy = R[:, p.tolist()]
        J = features.jacobian(copy)[:, :, np.argsort(p).tolist()]  # atom p_k of R is atom k of the copy
        J = J.reshape(*J.shape[:2], -1)
        X.append(features(copy))
        B.append(J if Q is None else J @ Q)
    return Copies(xp.stack(X, axis=1), xp.stack(B, axis=1))


def internal_directions(features: Features, R: Array, rank: int | None = None) -> Array:
    """An orthonormal basis of all directions of motion that change the features of R (M, N, D).

    Parameters
    ----------
    features : Features
    R : array (M, N, D)
    rank : int, optional
        r; by default the largest rank that the Jacobian has at these configurations or near them.

    Returns
    -------
    array (M, N D, r)
        The rank may be lower in a configuration of high symmetry, a planar one for example, or with an atom
        that the features do not reach; there the basis is filled up with directions that change nothing.

    Raises
    ------
    ValueError
        If the Jacobian of a configuration has a larger rank than `rank`.
    """
    xp = get_array_module(R)
    _, singular, Vt = xp.linalg.svd(_jacobian(features, R), full_matrices=False)
    own = _largest_rank(singular)
    if rank is None:
        size = xp.abs(R - R.mean(axis=1, keepdims=True)).max(axis=(1, 2), keepdims=True)
        shift = xp.asarray(np.random.default_rng(0).uniform(-0.1, 0.1, R.shape[1:]))
        near = _jacobian(features, R + size * shift)
        rank = max(own, _largest_rank(xp.linalg.svd(near, compute_uv=False)))
    if own > rank:
        raise ValueError(
            f"R has a configuration whose features change along {own} directions of motion; "
            f"the model knows molecules with {rank}"
        )
    return xp.swapaxes(Vt[:, :rank], 1, 2)


def _jacobian(features: Features, R: Array) -> Array:
    return features.jacobian(R).reshape(len(R), -1, R[0].size)


def _largest_rank(singular: Array) -> int:
    return int((singular > 1e-10 * singular[:, :1]).sum(axis=1).max())


def covariance(kernel: RadialKernel, a: Copies, b: Copies) -> Array:
    """Covariance of energy and forces of all configurations in `a` with those of the single one in `b`.

    Returns
    -------
    array (M, 1 + r_a, 1 + r_b)
        Row and column 0 are the energies, the others the forces along the coordinates of `a` and `b`.
    """
    xp = get_array_module(a.X)
    A, (Y,), (B,) = a.B[:, 0], b.X, b.B
    d = a.X[:, 0] - Y[:, None]  # (G, M, P)
    s = xp.einsum("gmp,gmp->gm", d, d)
    f, g, h = kernel.f(s), 2 * kernel.df(s), 4 * kernel.d2f(s)  # f, 2 f', 4 f''
    dB = d @ B  # (G, M, r_b)
    C = xp.empty((len(A), 1 + A.shape[2], 1 + B.shape[2]))
    C[:, 0, 0] = f.sum(axis=0)
    C[:, 0, 1:] = xp.einsum("gm,gmr->mr", g, dB)  # 2 f' d'B
    C[:, 1:, 0] = -(xp.einsum("gm,gmp->mp", g, d)[:, None] @ A)[:, 0]  # -2 f' A'd
    bracket_B = xp.tensordot(g, B, axes=(0, 0))  # (M, P, r_b): (2 f' I + 4 f'' d d')B
    bracket_B += (h[:, :, None] * d).transpose(1, 2, 0) @ dB.transpose(1, 0, 2)
    C[:, 1:, 1:] = -(A.transpose(0, 2, 1) @ bracket_B)
    return C


def covariances(kernel: RadialKernel, a: Copies, b: Copies, n_observations: int) -> Array:
    """Covariances of the observations in `a` with those in `b`, (M_a n_observations, M_b n_observations).

    Of a configuration's energy and forces, 1 + r numbers, the last `n_observations` are observed.
    """
    xp = get_array_module(a.X)
    o = n_observations
    blocks = [covariance(kernel, a, x)[:, -o:, -o:].reshape(-1, o) for x in b]
    return xp.concatenate(blocks, axis=1)


def fill_lower(
    A: Array, kernel: RadialKernel, a: Copies, noise: Array, count: Callable[[int], object] | None = None
) -> None:
    """Write the covariances of all observations in `a`, and the variances of their noise, into A.

    Only the lower half, but for the blocks on the diagonal, is computed and written.

    Parameters
    ----------
    A : array (M b, M b)
        Rows contiguous.
    kernel : RadialKernel
    a : Copies
    noise : array (b,)
        Variance of the noise of the observations of a configuration, as `covariances` takes them.
    count : callable, optional
        Is told after every column of blocks how many there were in it.
    """
    M, b = len(a), len(noise)
    blocks = A.reshape(M, b, M, b)
    for j in range(M):
        blocks[j:, :, j] = covariance(kernel, a[j:], a[j : j + 1])[:, -b:, -b:]
        for k in range(b):
            blocks[j, k, j, k] += noise[k]
        if count is not None:
            count(M - j)


def expand(kernel: RadialKernel, X: Array, Y: Array, c: Array, V: Array) -> tuple[Array, Array]:
    """E(x) = sum_j c_j k(x, y_j) - v_j'dk/dy_j over all copies y_j, and its gradient by x.

    Every observation adds its covariance with E(x), times its coefficient: the energy of copy j adds
    c_j k, the forces, whose covariances are -dk/dR' = -dk/dy'B, add -dk/dy'B a. Of them only the vector
    v_j = B a is needed, so that nothing here is larger than the features.

    Parameters
    ----------
    kernel : RadialKernel
    X : array (M, P)
    Y : array (K, P)
    c : array (K,)
    V : array (K, P)

    Returns
    -------
    E : array (M,)
    gradient : array (M, P)
    """
    xp = get_array_module(X)
    E, gradient = xp.empty(len(X)), xp.empty_like(X)
    step = max(1, BATCH // Y.size)
    for rows in (slice(i, i + step) for i in range(0, len(X), step)):
        d = X[rows, None] - Y  # (m, K, P)
        s = xp.einsum("mkp,mkp->mk", d, d)
        dV = xp.einsum("mkp,kp->mk", d, V)
        f, g, h = kernel.f(s), 2 * kernel.df(s), 4 * kernel.d2f(s)  # f, 2 f', 4 f''
        E[rows] = f @ c + (g * dV).sum(axis=1)
        gradient[rows] = g @ V + ((g * c + h * dV)[:, None] @ d)[:, 0]
    return E, gradient
