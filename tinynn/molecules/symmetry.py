"""What leaves a molecule the same molecule: translation, rotation, reflection, permutation.

Each action takes a configuration R (N, D) or samples (M, N, D) and returns a new array; all samples are
moved alike. `tinynn.molecules.groups` collects actions in groups, and `audit_invariance` reports how much
each of them changes a function.
"""

from __future__ import annotations

from numbers import Real

import numpy as np

from tinynn.backend import Array, get_array_module, to_numpy
from tinynn.molecules.geometry import check_atomic_numbers, check_positions
from tinynn.validation import check_array, check_integer, check_number


def translate(R: Array, vector: Array) -> Array:
    """Move all atoms by the same vector: r_i -> r_i + vector.

    Parameters
    ----------
    R : array of shape (M, N, D) or (N, D)
    vector : array of shape (D,)
        In the length unit of R.

    Returns
    -------
    array of the shape of R

    Raises
    ------
    TypeError, ValueError
        If R or vector has the wrong shape or holds anything but finite real numbers.

    References
    ----------
    S3, 20.1.1.
    """
    R = check_positions(R)
    xp = get_array_module(R=R, vector=vector)
    return R + xp.asarray(check_array(vector, "vector", shape=R.shape[-1:], dtype=R.dtype))


def center(R: Array) -> Array:
    """Move every molecule so that the mean of its atoms' positions lies at the origin.

    Of all translated copies of a molecule this is the one that represents them: two configurations
    become equal if and only if one is the other translated. A function of centred positions is
    therefore invariant under translation.

    Parameters
    ----------
    R : array of shape (M, N, D) or (N, D)

    Returns
    -------
    array of the shape of R

    Raises
    ------
    TypeError, ValueError
        If R has the wrong shape or holds anything but finite real numbers.

    References
    ----------
    S3, example 21.4 and lemma 21.5.
    """
    R = check_positions(R)
    return R - R.mean(axis=-2, keepdims=True)  # Phi(X) = -mean(X) + X      S3 (21.4)


def rotate(R: Array, rotation: float | Array) -> Array:
    """Turn all atoms about the origin: r_i -> Q r_i.

    Parameters
    ----------
    R : array of shape (M, N, D) or (N, D)
    rotation : float or array of shape (D, D)
        In two dimensions an angle in radians, anticlockwise. In any dimension a rotation matrix Q:
        orthogonal, with determinant +1; see `random_rotation`.

    Returns
    -------
    array of the shape of R

    Raises
    ------
    TypeError, ValueError
        If R has the wrong shape or holds anything but finite real numbers; if rotation is no
        rotation matrix, or an angle where R is not two-dimensional.

    References
    ----------
    S3, 20.1.3.
    """
    R = check_positions(R)
    xp = get_array_module(R=R, rotation=rotation)
    Q = xp.asarray(_rotation_matrix(rotation, R.shape[-1]), dtype=R.dtype)
    return R @ Q.T  # positions are rows: (Q r)' = r' Q'


def random_rotation(dimension: int, rng: int | np.random.Generator | None = None) -> np.ndarray:
    """A rotation matrix drawn at random, every orientation equally likely.

    Parameters
    ----------
    dimension : int
        D, at least 1.
    rng : int, Generator or None

    Returns
    -------
    array of shape (D, D)

    Raises
    ------
    TypeError, ValueError
        If dimension is no positive integer.

    References
    ----------
    F. Mezzadri, Notices of the AMS 54, 592 (2007).
    """
    dimension = check_integer(dimension, "dimension", low=1)
    Q, T = np.linalg.qr(np.random.default_rng(rng).normal(size=(dimension, dimension)))
    Q *= np.sign(np.diag(T))  # the solver's own choice of signs would favour some orientations
    if np.linalg.det(Q) < 0:
        Q[:, 0] *= -1
    return Q


def reflect(R: Array, axis: int = 0) -> Array:
    """Mirror all atoms in the plane through the origin that is normal to one axis.

    Parameters
    ----------
    R : array of shape (M, N, D) or (N, D)
    axis : int
        Which coordinate changes sign, from 0 to D - 1.

    Returns
    -------
    array of the shape of R

    Raises
    ------
    TypeError, ValueError
        If R has the wrong shape or holds anything but finite real numbers; if there is no such axis.

    References
    ----------
    S3, 20.1.3.
    """
    R = check_positions(R)
    axis = check_integer(axis, "axis", low=0)
    if axis >= R.shape[-1]:
        raise ValueError(f"axis is {axis}, but R has {R.shape[-1]} coordinates (shape {R.shape})")
    mirrored = R.copy()
    mirrored[..., axis] *= -1
    return mirrored


def permute(R: Array, permutation: Array, z: Array | None = None) -> Array:
    """Renumber the atoms: the new atom k is the old atom permutation[k].

    Parameters
    ----------
    R : array of shape (M, N, D) or (N, D)
    permutation : sequence of N ints
        Every atom 0 to N - 1 once.
    z : array of int of shape (N,), optional
        Atomic numbers. A molecule stays the same only if atoms of one element are exchanged: with z,
        any other permutation is an error.

    Returns
    -------
    array of the shape of R

    Raises
    ------
    TypeError, ValueError
        If R has the wrong shape or holds anything but finite real numbers; if permutation does not
        name every atom once, or exchanges atoms of different elements.

    References
    ----------
    S3, 20.1.2, where the permutation is a matrix P that multiplies R from the left.
    """
    R = check_positions(R)
    xp = get_array_module(R=R, permutation=permutation)
    order = check_permutation(permutation, R.shape[-2], z)
    return R.take(xp.asarray(order), axis=-2)


def check_permutation(permutation: Array, n_atoms: int, z: Array | None = None) -> np.ndarray:
    """`permutation` as integers (N,) on the host; with atomic numbers `z`, it may exchange like atoms only.

    Raises
    ------
    TypeError, ValueError
        If it does not name every atom 0 to N - 1 once, or exchanges atoms of different elements.
    """
    order = to_numpy(check_array(permutation, "permutation", shape=(n_atoms,)))
    if (np.sort(order) != np.arange(n_atoms)).any():
        raise ValueError(f"permutation must hold every atom 0 to {n_atoms - 1} once; got {permutation!r}")
    order = order.astype(int)
    if z is not None:
        z = check_atomic_numbers(z, n_atoms)
        unlike = z[order] != z
        if unlike.any():
            new = int(unlike.argmax())
            raise ValueError(
                f"permutation puts atom {order[new]} (element {z[order[new]]}) in the place of atom {new} "
                f"(element {z[new]}); only atoms of one element may be exchanged"
            )
    return order


def _rotation_matrix(rotation: float | Array, dimension: int) -> Array:
    """The matrix Q of a rotation given as an angle (two dimensions) or as a matrix, which is checked."""
    if isinstance(rotation, Real):
        angle = check_number(float(rotation), "rotation", closed="neither")
        if dimension != 2:
            raise ValueError(
                f"rotation is an angle, which is enough in 2 dimensions only, but R has {dimension}: "
                f"pass a rotation matrix, for example random_rotation({dimension}, rng)"
            )
        return np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    Q = check_array(rotation, "rotation", shape=(dimension, dimension))
    xp = get_array_module(Q)
    error = float(abs(Q @ Q.T - xp.eye(dimension)).max())
    if error > np.finfo(Q.dtype).eps ** 0.5:
        raise ValueError(f"rotation is not orthogonal: Q Q' differs from the identity by up to {error:.1e}")
    if xp.linalg.det(Q) < 0:
        raise ValueError("rotation has determinant -1, it mirrors as well; see reflect")
    return Q
