"""Groups of actions: all configurations that are the same molecule, and means over them.

A group is a list of actions, functions that take a configuration R (N, D) or samples (M, N, D) to the
moved ones. It contains the identity, the inverse of each action, and with two actions also both in a
row. Infinite groups, translations and rotations in space, have no list: `center` picks one
configuration of all translated ones, `sample_rotations` some rotations of all.

References
----------
S3, 20.1.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from functools import partial

import numpy as np

from tinynn.backend import Array, get_array_module
from tinynn.molecules.geometry import check_positions
from tinynn.molecules.permutations import generate_permutations
from tinynn.molecules.symmetry import permute, random_rotation, reflect, rotate
from tinynn.validation import check_integer, check_number

Action = Callable[[Array], Array]


def identity(R: Array) -> Array:
    """The action that moves nothing.

    Parameters
    ----------
    R : array of shape (M, N, D) or (N, D)

    Returns
    -------
    array of the shape of R
        A copy.

    Raises
    ------
    TypeError, ValueError
        If R has the wrong shape or holds anything but finite real numbers.
    """
    return check_positions(R).copy()


def permutation_group(z: Array, generators: Sequence[Array] | None = None) -> list[Action]:
    """The permutations of like atoms as a group of actions: `permute` with each of `generate_permutations`.

    Parameters
    ----------
    z : array of int of shape (N,)
        Atomic numbers.
    generators : sequence of permutations, each of N ints, optional
        As `generate_permutations`.

    Returns
    -------
    list of actions

    Raises
    ------
    TypeError, ValueError
        As `generate_permutations`.
    """
    return [partial(permute, permutation=p.tolist()) for p in generate_permutations(z, generators)]


def rotation_group(k: int) -> list[Action]:
    """The rotations of the plane by the angles 0, 2 pi / k, ..., 2 pi (k - 1) / k.

    A mean over them is the mean over all angles for functions that vary slowly: where R turns by phi,
    a function is a sum of waves exp(i m phi), and of these only the multiples m of k survive.

    Parameters
    ----------
    k : int
        Number of rotations, at least 1.

    Returns
    -------
    list of actions
        On configurations in two dimensions.

    Raises
    ------
    TypeError, ValueError
        If k is no positive integer.

    References
    ----------
    S3, 20.1.3.
    """
    k = check_integer(k, "k", low=1)
    return [partial(rotate, rotation=2 * math.pi * m / k) for m in range(k)]


def reflection_group(axis: int = 0) -> list[Action]:
    """The identity and the reflection that changes the sign of one coordinate.

    Parameters
    ----------
    axis : int
        Which coordinate, from 0 to D - 1.

    Returns
    -------
    list of actions

    Raises
    ------
    TypeError, ValueError
        If axis is no such integer.

    References
    ----------
    S3, 20.1.3.
    """
    return [identity, partial(reflect, axis=check_integer(axis, "axis", low=0))]


def sample_rotations(
    dimension: int, n_rotations: int, rng: int | np.random.Generator | None = None
) -> list[Action]:
    """Rotations drawn at random, every orientation equally likely.

    They are no group. A mean over n of them differs from the mean over all rotations by about the
    function's standard deviation over the orientations, divided by sqrt(n), and is that far from invariant.

    Parameters
    ----------
    dimension : int
        D, at least 1.
    n_rotations : int
        How many, at least 1.
    rng : int, Generator or None

    Returns
    -------
    list of actions

    Raises
    ------
    TypeError, ValueError
        If an argument is no positive integer.
    """
    n_rotations = check_integer(n_rotations, "n_rotations", low=1)
    rng = np.random.default_rng(rng)
    return [partial(rotate, rotation=random_rotation(dimension, rng).tolist()) for _ in range(n_rotations)]


def direct_product(first: Sequence[Action], second: Sequence[Action]) -> list[Action]:
    """Every action of the second group followed by every action of the first.

    It is a group if it does not matter which of the two comes first, as for permutations with
    rotations or reflections; or if one of the groups is turned into itself by the other, as the
    rotations of the plane are by a reflection.

    Parameters
    ----------
    first, second : sequences of actions

    Returns
    -------
    list of actions

    Raises
    ------
    TypeError, ValueError
        If a group is empty or holds anything but functions.
    """
    return [partial(_in_a_row, g, h) for g in check_group(first) for h in check_group(second)]


def orbit(R: Array, group: Sequence[Action]) -> Array:
    """All configurations that a group makes of one: the same molecule, seen in every way.

    Parameters
    ----------
    R : array of shape (M, N, D) or (N, D)
    group : sequence of actions

    Returns
    -------
    array of shape (n_actions, M, N, D) or (n_actions, N, D)
        Of a symmetric molecule some are equal: the number of different ones times the number of
        actions that leave it as it is, is the number of actions.

    Raises
    ------
    TypeError, ValueError
        If the group is empty or holds anything but functions; if an action refuses R.

    References
    ----------
    S3, definition 20.1.
    """
    return get_array_module(R).stack([g(R) for g in check_group(group)])  # {g R}      S3 (20.1)


def are_equivalent(R: Array, S: Array, group: Sequence[Action], tol: float = 1e-8) -> bool:
    """Whether two configurations lie in the same orbit of a group.

    For translations, which are infinitely many, compare ``center(R)`` with ``center(S)``.

    Parameters
    ----------
    R, S : arrays of shape (N, D)
    group : sequence of actions
    tol : float
        Largest difference of a coordinate that counts as rounding, in the length unit.

    Returns
    -------
    bool

    Raises
    ------
    TypeError, ValueError
        If R or S is no configuration, or they differ in shape; as `orbit`.

    References
    ----------
    S3, definition 20.2.
    """
    R, S = check_positions(R, ndim=2), check_positions(S, ndim=2)
    if R.shape != S.shape:
        raise ValueError(f"R has shape {R.shape} but S has shape {S.shape}; wanted the same for both")
    tol = check_number(tol, "tol", low=0)
    return bool((abs(orbit(R, group) - S).max(axis=(-2, -1)) <= tol).any())


def group_average(function: Callable[[Array], Array], group: Sequence[Action]) -> Callable[[Array], Array]:
    """The mean of a function over the orbit of its argument: R -> mean of function(g R) over all g.

    For a group it is invariant whatever the function is, since a further action only changes the
    order of the terms.

    Parameters
    ----------
    function : callable
        Maps positions to arrays: an energy, features, the prediction of a model.
    group : sequence of actions

    Returns
    -------
    callable

    Raises
    ------
    TypeError, ValueError
        If function is not callable; if the group is empty or holds anything but functions.

    References
    ----------
    S3, 20.1.
    """
    group = check_group(group)
    if not callable(function):
        raise TypeError(f"function must be callable; got {function!r}")

    def average(R: Array) -> Array:
        return sum(function(g(R)) for g in group) / len(group)

    return average


def check_group(group: Sequence[Action]) -> list[Action]:
    """`group` as a list of functions, at least one.

    Raises
    ------
    TypeError
        If it is no sequence of functions.
    ValueError
        If it is empty.
    """
    if not isinstance(group, Sequence) or not all(map(callable, group)):
        raise TypeError(f"group must be a sequence of functions such as permutation_group(z); got {group!r}")
    if not group:
        raise ValueError("group is empty; the smallest one is [identity]")
    return list(group)


def _in_a_row(g: Action, h: Action, R: Array) -> Array:
    return g(h(R))
