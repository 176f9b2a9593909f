"""The reference that a model learns from: any calculator of ASE, asked for one configuration at a time."""

from __future__ import annotations

import re
from typing import Any, NamedTuple

import numpy as np

from tinynn.molecules.units import import_ase
from tinynn.validation import check_array


class Answer(NamedTuple):
    """What the reference says about one configuration.

    Attributes
    ----------
    R : array (N, 3)
        Å.
    E : float
        eV.
    F : array (N, 3)
        eV/Å.
    """

    R: np.ndarray
    E: float
    F: np.ndarray


def get_reference(calculator: Any = None) -> Any:
    """`calculator`, or ASE's EMT if it is None.

    Raises
    ------
    TypeError
        If it is no calculator of ASE.
    ImportError
        Without ASE (extra "molecules").
    """
    base = import_ase("ase.calculators.calculator").BaseCalculator
    if calculator is None:
        return import_ase("ase.calculators.emt").EMT()
    if not isinstance(calculator, base):
        raise TypeError(f"reference must be an ASE calculator; got {calculator!r}")
    return calculator


def describe(reference: Any) -> str:
    """Class and parameters of a reference: what it answers depends on them, not on where its files lie."""
    parameters = getattr(reference, "parameters", None) or {}
    listed = ", ".join(f"{name}={value!r}" for name, value in sorted(parameters.items()))
    return re.sub(r" at 0x[0-9a-fA-F]+", "", f"{type(reference).__name__}({listed})")


def ask(reference: Any, atoms: Any) -> Answer:
    """Energy and forces of ASE's `atoms`; `atoms` keep their own calculator.

    The answer does not depend on what was asked before: the calculator has to begin anew, neighbour lists
    included. Constraints are left to the dynamics: the forces are those of the surface.

    Raises
    ------
    RuntimeError
        If the reference fails, or returns other shapes, NaN or inf.
    """
    atoms = atoms.copy()
    atoms.calc = reference
    reference.atoms, reference.results = None, {}
    try:
        E = check_array(atoms.get_potential_energy(), "energy", shape=())
        F = check_array(atoms.get_forces(apply_constraint=False), "force", shape=(len(atoms), 3))
    except Exception as error:  # any: it may be a program of its own
        raise RuntimeError(f"the reference {type(reference).__name__} failed: {error!r}") from error
    return Answer(atoms.positions, float(E), F)
