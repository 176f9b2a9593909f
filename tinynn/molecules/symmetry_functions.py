"""Symmetry functions: the neighbourhood of every atom in a few numbers that fade out at a cutoff.

Behler and Parrinello, Phys. Rev. Lett. 98, 146401 (2007), with the names of Behler, J. Chem. Phys. 134,
074106 (2011): G2 counts the neighbours in shells, G4 weighs the angles between any two of them.

In the arrays below i is the central atom, j and k are its neighbours, a and b elements, q is a set of
parameters. E_ja is 1 where atom j is of element a and 0 elsewhere.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Iterator

import numpy as np

from tinynn.backend import Array, get_array_module, to_numpy
from tinynn.molecules.features import Features
from tinynn.molecules.geometry import check_atomic_numbers, check_positions, separations
from tinynn.validation import check_array, check_number

BLOCK = 2**16  # elements of an array (..., i, j, k): about as large as stays in the processor's cache


def cosine_cutoff(r: Array, cutoff: float) -> Array:
    """Behler's f_c(r): 1 at distance zero, smoothly down to 0 at the cutoff, 0 beyond; elementwise."""
    cutoff = float(cutoff)  # a scalar of NumPy would turn float32 into float64
    xp = get_array_module(r)
    return xp.where(r < cutoff, 0.5 * (xp.cos(np.pi / cutoff * r) + 1), 0)


def cosine_cutoff_derivative(r: Array, cutoff: float) -> Array:
    """The derivative df_c/dr, elementwise."""
    cutoff = float(cutoff)
    xp = get_array_module(r)
    return xp.where(r < cutoff, -0.5 * np.pi / cutoff * xp.sin(np.pi / cutoff * r), 0)


class SymmetryFunctions(Features):
    """What both kinds share: neighbourhoods, elements, the sum over like atoms."""

    z: Array
    cutoff: float
    per_atom: bool

    @abstractmethod
    def _values(self, r: Array, E: Array) -> Array:
        """The functions (..., i, c, q) of every atom i, for every kind c of neighbours."""

    @abstractmethod
    def _gradients(self, r: Array, u: Array, E: Array, S: Array) -> Array:
        """The gradients (..., s, c, q, n, d) of sum_i S_is G_icq."""

    def __call__(self, R: Array) -> Array:
        def sums(R: Array) -> Array:
            r, _, E, S = self._neighbourhoods(R)
            return get_array_module(r).einsum("...icq,is->...scq", self._values(r, E), S).reshape(len(R), -1)

        return self._by_blocks(sums, R)

    def jacobian(self, R: Array) -> Array:
        def gradients(R: Array) -> Array:
            return self._gradients(*self._neighbourhoods(R)).reshape(len(R), -1, *R.shape[-2:])

        return self._by_blocks(gradients, R)

    def _by_blocks(self, function: Callable[[Array], Array], R: Array) -> Array:
        """function(R), a few samples at a time: an array with an element for every i, j, k is large."""
        R = check_positions(R, min_atoms=2)
        separations(R)  # refuses atoms that coincide, and tells in which sample
        samples = R.reshape(-1, *R.shape[-2:])
        size = max(1, BLOCK // R.shape[-2] ** 3)
        blocks = [function(samples[start : start + size]) for start in range(0, len(samples), size)]
        return get_array_module(R).concatenate(blocks).reshape(*R.shape[:-2], *blocks[0].shape[1:])

    def _neighbourhoods(self, R: Array) -> tuple[Array, Array, Array, Array]:
        """r_ij, u_ij = (r_i - r_j) / r_ij, the elements E, and S, which sums over atoms."""
        xp = get_array_module(R)
        z = check_atomic_numbers(self.z, R.shape[-2])
        r = xp.empty((*R.shape[:-1], len(z)), dtype=R.dtype)
        # an atom is as far from itself as the cutoff: whatever takes it for its own neighbour vanishes
        r[...] = check_number(self.cutoff, "cutoff", low=0, closed="neither")
        i, j = xp.triu_indices(len(z), 1)
        _, distances = separations(R)
        r[..., i, j] = distances
        r[..., j, i] = distances
        u = (R[..., :, None, :] - R[..., None, :, :]) / r[..., None]
        E = xp.asarray(z[:, None] == np.unique(z), dtype=R.dtype)
        return r, u, E, xp.eye(len(z), dtype=R.dtype) if self.per_atom else E


class RadialSymmetryFunctions(SymmetryFunctions):
    """G2: how many neighbours of each element are at which distance.

    There is one for each element of the neighbours j and each set of eta and r_s::

        G_i = sum_j exp(-eta (r_ij - r_s)^2) f_c(r_ij)

    Parameters
    ----------
    z : array of int of shape (N,)
        Atomic numbers.
    eta, r_s : float or array of shape (Q,)
        Sharpness, one over a length squared, and radius of the shells.
    cutoff : float
        Distance from which on neighbours do not count.
    per_atom : bool
        Whether the functions of every atom are returned, P = N times the number of elements times Q,
        atom by atom: renumbering the atoms reorders them. By default they are summed over like atoms.
    """

    def __init__(
        self, z: Array, *, eta: Array, r_s: Array = 0.0, cutoff: float, per_atom: bool = False
    ) -> None:
        self.z = z
        self.eta = eta
        self.r_s = r_s
        self.cutoff = cutoff
        self.per_atom = per_atom

    def _values(self, r: Array, E: Array) -> Array:
        r, eta, r_s = self._parameters(r)
        g = get_array_module(r).exp(-eta * (r - r_s) ** 2) * cosine_cutoff(r, self.cutoff)
        return get_array_module(r).einsum("...ijq,ja->...iaq", g, E)

    def _gradients(self, r: Array, u: Array, E: Array, S: Array) -> Array:
        xp = get_array_module(r)
        r, eta, r_s = self._parameters(r)
        f_c, df_c = cosine_cutoff(r, self.cutoff), cosine_cutoff_derivative(r, self.cutoff)
        dg = xp.exp(-eta * (r - r_s) ** 2) * (df_c - 2 * eta * (r - r_s) * f_c)  # dg_ij / dr_ij
        return _chain_rule(dg[..., None] * -u[..., None, :], E, S)

    def _parameters(self, r: Array) -> tuple[Array, Array, Array]:
        eta, r_s = _columns(eta=self.eta, r_s=self.r_s)
        check_number(min(eta), "eta", low=0)
        xp = get_array_module(r)
        return r[..., None], xp.asarray(eta, dtype=r.dtype), xp.asarray(r_s, dtype=r.dtype)


class AngularSymmetryFunctions(SymmetryFunctions):
    """G4: at which angles two neighbours of an atom stand.

    There is one for each two elements of the neighbours j and k, in the order (a, a), (a, b), ...,
    (b, b), and each set of eta, zeta and lam::

        G_i = 2^(1-zeta) sum_{j<k} (1 + lam cos theta_ijk)^zeta w(r_ij) w(r_ik) w(r_jk)
        w(r) = exp(-eta r^2) f_c(r),      cos theta_ijk = (r_ij^2 + r_ik^2 - r_jk^2) / (2 r_ij r_ik)

    Two neighbours count once; some authors count them twice.

    Parameters
    ----------
    z : array of int of shape (N,)
        Atomic numbers.
    eta : float or array of shape (Q,)
        One over a length squared; 0 leaves the fading to the cutoff.
    zeta : float or array of shape (Q,)
        Sharpness of the angle, at least 1.
    lam : float or array of shape (Q,)
        Which angle weighs most: 1 for 0°, -1 for 180°.
    cutoff : float
        Distance from which on neighbours do not count, nor pairs that are as far from each other.
    per_atom : bool
        Whether the functions of every atom are returned, atom by atom: renumbering the atoms reorders
        them. By default they are summed over like atoms.
    """

    def __init__(
        self,
        z: Array,
        *,
        eta: Array = 0.0,
        zeta: Array = 1.0,
        lam: Array = 1.0,
        cutoff: float,
        per_atom: bool = False,
    ) -> None:
        self.z = z
        self.eta = eta
        self.zeta = zeta
        self.lam = lam
        self.cutoff = cutoff
        self.per_atom = per_atom

    def _values(self, r: Array, E: Array) -> Array:
        G = []
        for w, _, f, _ in self._factors(r, _cosines(r)):
            g = f * w[..., :, :, None] * w[..., :, None, :] * w[..., None, :, :]  # g_ijk
            G.append(E.T @ (g @ E))  # sum_jk E_ja g_ijk E_kb
        a, b, share = self._kinds(E)
        return get_array_module(r).stack(G, axis=-1)[..., a, b, :] * share[:, None]

    def _gradients(self, r: Array, u: Array, E: Array, S: Array) -> Array:
        xp = get_array_module(r)
        r_ij, r_ik, r_jk = r[..., :, :, None], r[..., :, None, :], r[..., None, :, :]
        cosine = _cosines(r)
        dcos_ij = 1 / r_ik - cosine / r_ij
        dcos_jk = -r_jk / (r_ij * r_ik)
        uE = (u[..., None, :] * E[:, :, None]).reshape(*r.shape, -1)  # u_jk E_kb, a row for each k
        T = []
        for w, dw, f, df in self._factors(r, cosine):
            w_ij, w_ik, w_jk = w[..., :, :, None], w[..., :, None, :], w[..., None, :, :]
            dg_ij = w_ik * w_jk * (df * dcos_ij * w_ij + f * dw[..., :, :, None])  # dg_ijk / dr_ij
            dg_jk = w_ij * w_ik * (df * dcos_jk * w_jk + f * dw[..., None, :, :])  # dg_ijk / dr_jk
            # sum_k E_kb dg_ijk / dr_j, along r_ij = r_ji and along r_jk; a product of matrices for each j
            T_ji = (dg_ij @ E).swapaxes(-3, -2)[..., None] * u[..., None, :]
            T_jk = (dg_jk.swapaxes(-3, -2) @ uE).reshape(T_ji.shape)
            T.append((T_ji + T_jk).swapaxes(-4, -3))
        T = xp.stack(T, axis=-2)  # (..., i, j, b, q, d)
        J = _chain_rule(T.reshape(*T.shape[:-3], -1, T.shape[-1]), E, S)
        J = J.reshape(*J.shape[:-3], *T.shape[-3:-1], *J.shape[-2:])  # (..., s, a, b, q, n, d)
        a, b, share = self._kinds(E)
        # the atom is the neighbour j of one element, and k of the other
        return share[:, None, None, None] * (J[..., a, b, :, :, :] + J[..., b, a, :, :, :])

    def _factors(self, r: Array, cosine: Array) -> Iterator[tuple[Array, Array, Array, Array]]:
        """w(r_ij), dw/dr_ij, f = 2^(1-zeta) (1 + lam cos)^zeta and df/dcos of every set of parameters."""
        xp = get_array_module(r)
        f_c, df_c = cosine_cutoff(r, self.cutoff), cosine_cutoff_derivative(r, self.cutoff)
        for eta, zeta, lam in zip(*_columns(eta=self.eta, zeta=self.zeta, lam=self.lam), strict=True):
            check_number(eta, "eta", low=0)
            check_number(zeta, "zeta", low=1)
            check_number(lam, "lam", low=-1, high=1)
            gaussian = xp.exp(-eta * r * r)
            base = xp.maximum(1 + lam * cosine, 0)  # below zero by rounding only
            power = 2 ** (1 - zeta) * base ** (zeta - 1)
            yield gaussian * f_c, gaussian * (df_c - 2 * eta * r * f_c), power * base, zeta * lam * power

    def _kinds(self, E: Array) -> tuple[Array, Array, Array]:
        """The pairs of elements a <= b, and how much of the sum over all j and k is theirs."""
        xp = get_array_module(E)
        a, b = xp.triu_indices(E.shape[1])
        return a, b, 1 - 0.5 * (a == b).astype(E.dtype)  # within one element it counts j, k and k, j


def _cosines(r: Array) -> Array:
    """The cos theta_ijk (..., i, j, k) of the angle at atom i, by the law of cosines."""
    r_ij, r_ik, r_jk = r[..., :, :, None], r[..., :, None, :], r[..., None, :, :]
    return (r_ij * r_ij + r_ik * r_ik - r_jk * r_jk) / (2 * r_ij * r_ik)


def _chain_rule(T: Array, E: Array, S: Array) -> Array:
    """The gradients (..., s, a, q, n, d) of sum_i S_is sum_j E_ja g_ijq, given T_ijq = dg_ijq / dr_j.

    Translation changes no g_ijq, so dg_ijq / dr_i = -T_ijq. Atom n pulls as a neighbour of every centre
    and as the centre of all its neighbours.
    """
    *samples, N, _, Q, D = T.shape
    as_neighbour = (S.T @ T.reshape(*samples, N, -1)).reshape(*samples, -1, N, Q, D)
    as_centre = (E.T @ T.reshape(*samples, N, N, -1)).reshape(*samples, N, -1, Q, D)
    J = get_array_module(T).zeros((*samples, S.shape[1], E.shape[1], Q, N, D), dtype=T.dtype)
    columns = zip(S.argmax(axis=1).tolist(), E.argmax(axis=1).tolist(), strict=True)
    for n, (s, a) in enumerate(columns):
        J[..., :, a, :, n, :] += as_neighbour[..., :, n, :, :]
        J[..., s, :, :, n, :] -= as_centre[..., n, :, :, :]
    return J


def _columns(**parameters: Array) -> list[list[float]]:
    """Numbers and vectors of one common length Q as lists of that length."""
    arrays = {name: check_array(to_numpy(x), name, ndim=(0, 1)) for name, x in parameters.items()}
    try:
        return [column.tolist() for column in np.broadcast_arrays(*map(np.atleast_1d, arrays.values()))]
    except ValueError as error:
        shapes = ", ".join(f"{name} has {x.size}" for name, x in arrays.items())
        raise ValueError(f"the numbers of parameters differ: {shapes}; wanted one, or as many") from error
