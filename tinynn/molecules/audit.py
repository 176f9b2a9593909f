"""The audit: how much labels, features, kernels and models change when the molecules are moved."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np

from tinynn.backend import Array, get_array_module
from tinynn.kernels import Kernel
from tinynn.molecules.geometry import check_positions
from tinynn.molecules.groups import Action
from tinynn.molecules.permutations import like_atom_generators
from tinynn.molecules.symmetry import check_permutation, permute, random_rotation, reflect, rotate, translate
from tinynn.validation import check_array, check_number

_ACTIONS = ("translation", "rotation", "reflection", "permutation")


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
    forces : InvarianceAudit or None
        The same for the forces of a model that returns energies and forces. Forces move with the molecule:
        their change is F(g R) - g F(R), and where it is zero they are called equivariant.
    """

    translation: float
    rotation: float
    reflection: float
    permutation: float
    scale: float
    tolerance: float
    forces: InvarianceAudit | None = None

    def relative(self, action: str) -> float:
        """Change under `action` divided by `scale`; the change itself if all outputs are zero."""
        return getattr(self, action) / (self.scale or 1.0)

    def invariant_under(self, tol: float | None = None) -> tuple[str, ...]:
        """The actions whose relative change is at most `tol` (by default `tolerance`), forces aside."""
        tol = self.tolerance if tol is None else check_number(tol, "tol", low=0)
        return tuple(action for action in _ACTIONS if self.relative(action) <= tol)

    def is_invariant(self, tol: float | None = None) -> bool:
        """Whether no action changes the function, nor its forces, by more than `tol`, relatively."""
        return self.invariant_under(tol) == _ACTIONS and (
            self.forces is None or self.forces.is_invariant(tol)
        )

    def __str__(self) -> str:
        if self.forces is None:
            return self._table("invariant", "f")
        return f"{self._table('invariant', 'E')}\n{self.forces._table('equivariant', 'F')}"

    def _table(self, word: str, symbol: str) -> str:
        passed = self.invariant_under()
        lines = [f"action       largest change  relative  {word}"]
        for action in _ACTIONS:
            change, verdict = getattr(self, action), "yes" if action in passed else "no"
            lines.append(f"{action:<12} {change:14.1e} {self.relative(action):9.1e}  {verdict}")
        lines.append(f"relative to max |{symbol}| = {self.scale:.4g}; {word} up to {self.tolerance:.1e}")
        return "\n".join(lines)


def audit_invariance(
    function: Callable[[Array], Any] | Kernel | Any,
    R: Array,
    *,
    permutation: Array | None = None,
    z: Array | None = None,
    rng: int | np.random.Generator | None = 0,
) -> InvarianceAudit:
    """Measure how much a function of the positions changes when the molecules are moved.

    Compares its output for R with that for R translated and rotated at random, reflected, and permuted. A
    function that tells where a molecule is, how it is turned or how its atoms are numbered shows a
    change far above rounding. The audit finds a broken symmetry, it does not prove one.

    Parameters
    ----------
    function : callable, Kernel or model
        Labels, features: a function that maps positions (M, N, D) to one row per sample, (M, ...). If
        it returns a pair, energies and forces (M, N, D), the forces have to move with the molecule.
        A model: anything with ``predict(R)``, which returns the same.
        A kernel of configurations: its values k(R, R) may change in neither of the two arguments.
    R : array of shape (M, N, D)
    permutation : sequence of N ints, optional
        Atoms that may be exchanged. By default the permutations of `like_atom_generators`, of which every
        permutation of like atoms can be composed; the largest change counts.
    z : array of int of shape (N,), optional
        Atomic numbers; only atoms of one element are exchanged. By default all atoms are alike.
    rng : int, Generator or None
        Draws the translation, about as long as the largest coordinate, and the rotation.

    Returns
    -------
    InvarianceAudit

    Raises
    ------
    TypeError
        If function is nothing of the above, or returns no real numbers.
    ValueError
        If R, z or permutation is no valid input, or permutation exchanges atoms of different elements;
        if function writes into its argument, returns NaN or inf, or not one row for each sample.

    References
    ----------
    S3, definitions 20.1 to 20.3 and 21.1.
    """
    R = check_positions(R, min_atoms=2, ndim=3)
    function = _as_function(function, R)
    xp = get_array_module(R)
    n_atoms, dimension = R.shape[1:]
    z = np.ones(n_atoms) if z is None else z
    permutations = like_atom_generators(z) if permutation is None else [permutation]
    orders = [check_permutation(p, n_atoms, z).tolist() for p in permutations]
    rng = np.random.default_rng(rng)
    vector = xp.asarray(rng.normal(size=dimension) * (float(abs(R).max()) or 1.0))
    Q = xp.asarray(random_rotation(dimension, rng))
    actions: dict[str, list[Action]] = {
        "translation": [partial(translate, vector=vector)],
        "rotation": [partial(rotate, rotation=Q)],
        "reflection": [reflect],
        "permutation": [partial(permute, permutation=order) for order in orders],
    }
    E, F = _evaluate(function, R)
    changes: dict[str, float] = dict.fromkeys(_ACTIONS, 0.0)
    force_changes = changes.copy()
    for action, moves in actions.items():
        for g in moves:
            E_moved, F_moved = _evaluate(function, g(R))
            changes[action] = max(changes[action], float(abs(E_moved - E).max()))
            if F is not None:
                turned = F if action == "translation" else g(F)  # forces are vectors, they have no place
                force_changes[action] = max(force_changes[action], float(abs(F_moved - turned).max()))
    forces = None if F is None else _report(force_changes, F, R, None)
    return _report(changes, E, R, forces)


def _report(
    changes: dict[str, float], output: Array, R: Array, forces: InvarianceAudit | None
) -> InvarianceAudit:
    eps = max(np.finfo(R.dtype).eps, np.finfo(output.dtype).eps)
    scale = float(abs(output).max())
    return InvarianceAudit(**changes, scale=scale, tolerance=float(eps**0.5), forces=forces)


def _as_function(function: Any, R: Array) -> Callable[[Array], Any]:
    """What has to stay the same, as a function of the positions."""
    if isinstance(function, Kernel):
        return partial(_both_arguments, function, R)
    if hasattr(function, "predict"):
        return function.predict
    if not callable(function):
        raise TypeError(
            f"function must be callable, a kernel or a model with predict; got {function!r}. "
            "Numbers do not tell what they would be for moved molecules: pass the function that computes them"
        )
    return function


def _both_arguments(kernel: Kernel, R: Array, moved: Array) -> Array:
    """k(moved, R) and k(R, moved), a row for each moved sample."""
    return get_array_module(R).concatenate([kernel(moved, R), kernel(R, moved).T], axis=1)


def _evaluate(function: Callable[[Array], Any], R: Array) -> tuple[Array, Array | None]:
    """Energies, or whatever function(R) is, and forces if there are any, as new arrays after checks."""
    argument = R.copy()  # out of the function's reach
    output = function(argument)
    if not (argument == R).all():
        raise ValueError("function changed its argument R in place; it has to leave R as it is")
    if not isinstance(output, tuple):
        return _check_output(output, "function(R)", R), None
    if len(output) != 2:
        raise ValueError(f"function(R) returns {len(output)} arrays; wanted one, or energies and forces")
    F = check_array(output[1], "forces of function(R)", shape=R.shape)
    return _check_output(output[0], "energies of function(R)", R), F.copy()


def _check_output(output: Array, name: str, R: Array) -> Array:
    value = check_array(output, name).copy()
    if value.ndim == 0 or len(value) != len(R):
        raise ValueError(f"{name} has shape {value.shape}; wanted one row for each of {len(R)} samples")
    return value
