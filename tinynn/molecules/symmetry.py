"""What leaves a molecule the same molecule: translation, rotation, reflection, permutation.

Each action takes a configuration R (N, D) or samples (M, N, D) and returns a new array; all samples are
moved alike. `audit_invariance` applies them one by one and reports how much a function changes.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from numbers import Real

import numpy as np

from tinynn.backend import Array, get_array_module, to_numpy
from tinynn.molecules.geometry import check_positions
from tinynn.validation import check_array, check_integer, check_number

_ACTIONS = ("translation", "rotation", "reflection", "permutation")


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


def permute(R: Array, permutation: Array) -> Array:
    """Renumber the atoms: the new atom k is the old atom permutation[k].

    Parameters
    ----------
    R : array of shape (M, N, D) or (N, D)
    permutation : sequence of N ints
        Every atom 0 to N - 1 once.

    Returns
    -------
    array of the shape of R

    Raises
    ------
    TypeError, ValueError
        If R has the wrong shape or holds anything but finite real numbers; if permutation does not
        name every atom once.

    References
    ----------
    S3, 20.1.2.
    """
    R = check_positions(R)
    xp = get_array_module(R=R, permutation=permutation)
    n_atoms = R.shape[-2]
    order = xp.asarray(check_array(permutation, "permutation", shape=(n_atoms,)))
    if (xp.sort(order) != xp.arange(n_atoms)).any():
        raise ValueError(f"permutation must hold every atom 0 to {n_atoms - 1} once; got {permutation!r}")
    return R.take(order.astype(int), axis=-2)


@dataclass(frozen=True)
class InvarianceAudit:
    """How much a function of the positions changes under each action; `print` shows a table.

    Attributes
    ----------
    translation, rotation, reflection, permutation : float
        Largest absolute change of any output of any sample, in the unit of the output.
    scale : float
        Largest absolute output for the positions as they were, to compare the changes with.
    tolerance : float
        Relative change that rounding may cause: the square root of the machine epsilon of R or of
        the outputs, whichever is coarser.
    """

    translation: float
    rotation: float
    reflection: float
    permutation: float
    scale: float
    tolerance: float

    def relative(self, action: str) -> float:
        """Change under `action` divided by `scale`; the change itself if all outputs are zero."""
        return getattr(self, action) / (self.scale or 1.0)

    def invariant_under(self, tol: float | None = None) -> tuple[str, ...]:
        """The actions whose relative change is at most `tol` (by default `tolerance`)."""
        tol = self.tolerance if tol is None else check_number(tol, "tol", low=0)
        return tuple(action for action in _ACTIONS if self.relative(action) <= tol)

    def is_invariant(self, tol: float | None = None) -> bool:
        """Whether no action changes the function by more than `tol`, relatively."""
        return self.invariant_under(tol) == _ACTIONS

    def __str__(self) -> str:
        passed = self.invariant_under()
        lines = ["action       largest change  relative  invariant"]
        for action in _ACTIONS:
            change, verdict = getattr(self, action), "yes" if action in passed else "no"
            lines.append(f"{action:<12} {change:14.1e} {self.relative(action):9.1e}  {verdict}")
        lines.append(f"relative to max |f| = {self.scale:.4g}; invariant up to {self.tolerance:.1e}")
        return "\n".join(lines)


def audit_invariance(
    function: Callable[[Array], Array],
    R: Array,
    *,
    permutation: Array | None = None,
    rng: int | np.random.Generator | None = 0,
) -> InvarianceAudit:
    """Measure how much a function of the positions changes when the molecules are moved.

    Compares function(R) with function of R translated and rotated at random, reflected, and permuted. A
    function that tells where a molecule is, how it is turned or how its atoms are numbered shows a
    change far above rounding. The audit finds a broken symmetry, it does not prove one. Forces turn
    with the molecule: they are equivariant, not invariant, and change.

    Parameters
    ----------
    function : callable
        Maps positions (M, N, D) to one row per sample, (M, ...): an energy, a feature, a model.
    R : array of shape (M, N, D)
    permutation : sequence of N ints, optional
        Atoms that may be exchanged; give one where the elements differ. By default the cyclic shift
        [N-1, 0, 1, ..., N-2] and the exchange of the first two atoms, of which every permutation can
        be composed; the larger change counts.
    rng : int, Generator or None
        Draws the translation, about as long as the largest coordinate, and the rotation.

    Returns
    -------
    InvarianceAudit

    Raises
    ------
    TypeError
        If function is not callable, or returns no real numbers.
    ValueError
        If R or permutation is no valid input; if function writes into its argument, returns NaN or
        inf, or not one row for each sample.

    References
    ----------
    S3, definitions 20.1 to 20.3 and 21.1.
    """
    if not callable(function):
        raise TypeError(f"function must be callable; got {function!r}")
    R = check_positions(R, min_atoms=2, ndim=3)
    xp = get_array_module(R)
    n_atoms, dimension = R.shape[1:]
    shift, exchange = [n_atoms - 1, *range(n_atoms - 1)], [1, 0, *range(2, n_atoms)]
    permutations = [shift, exchange] if permutation is None else [permutation]
    rng = np.random.default_rng(rng)
    vector = rng.normal(size=dimension) * (float(abs(R).max()) or 1.0)
    moved = {
        "translation": [translate(R, xp.asarray(vector))],
        "rotation": [rotate(R, xp.asarray(random_rotation(dimension, rng)))],
        "reflection": [reflect(R)],
        "permutation": [permute(R, p) for p in permutations],
    }
    before = _evaluate(function, R)
    changes = {
        action: max(float(abs(_evaluate(function, S) - before).max()) for S in samples)
        for action, samples in moved.items()
    }
    eps = max(np.finfo(R.dtype).eps, np.finfo(before.dtype).eps)
    return InvarianceAudit(**changes, scale=float(abs(before).max()), tolerance=float(eps**0.5))


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


def _evaluate(function: Callable[[Array], Array], R: Array) -> np.ndarray:
    """function(R) as a new array on the host, after checks; `R` is kept from the function's reach."""
    argument = R.copy()
    value = check_array(to_numpy(function(argument)), "function(R)").copy()
    if not (argument == R).all():
        raise ValueError("function changed its argument R in place; it has to leave R as it is")
    if value.ndim == 0 or len(value) != len(R):
        raise ValueError(f"function(R) has shape {value.shape}; wanted one row for each of {len(R)} samples")
    return value
