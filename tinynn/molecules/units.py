"""ASE, an optional library, and the units of energy it knows.

ASE computes in eV and Å. Models keep the unit of their data, for example kcal/mol.
"""

from __future__ import annotations

import importlib
from typing import Any

from tinynn.backend import Array
from tinynn.validation import check_array


def import_ase(module: str) -> Any:
    """A module of ASE by its full name, for example "ase.units".

    Raises
    ------
    ImportError
        Without ASE; names the extra that brings it.
    """
    try:
        return importlib.import_module(module)
    except ImportError as error:
        raise ImportError('atoms and calculators need ASE: pip install "tinynn[molecules]"') from error


def energy_units() -> dict[str, float]:
    """Names of units of energy and what one of each is in eV, from ase.units.

    Raises
    ------
    ImportError
        Without ASE.
    """
    units = import_ase("ase.units")
    return {
        "eV": units.eV,
        "meV": 1e-3 * units.eV,
        "kcal/mol": units.kcal / units.mol,
        "kJ/mol": units.kJ / units.mol,
        "Hartree": units.Hartree,
        "Rydberg": units.Rydberg,
        "J": units.J,
    }


def check_energy_unit(unit: str, name: str) -> str:
    """`unit`, if `energy_units` knows it.

    Raises
    ------
    ValueError
        If not; `name` is what the caller's signature calls it.
    ImportError
        Without ASE.
    """
    known = energy_units()
    if not isinstance(unit, str) or unit not in known:
        raise ValueError(f"{name} must be one of {', '.join(known)}; got {unit!r}")
    return unit


def convert_energy(x: Array | float, unit: str, to: str = "eV") -> Array:
    """Energies in another unit; forces too, as long as the unit of length stays.

    Parameters
    ----------
    x : array or number
        In the unit `unit`, or in that unit per length.
    unit, to : str
        Names of `energy_units`: "eV", "meV", "kcal/mol", "kJ/mol", "Hartree", "Rydberg", "J".

    Returns
    -------
    array of the shape of x, in the unit `to`

    Raises
    ------
    TypeError, ValueError
        If x holds no finite real numbers; an unknown unit.
    ImportError
        Without ASE.

    Examples
    --------
    >>> convert_energy(1.0, "Hartree", "kcal/mol")
    """
    known = energy_units()
    per = known[check_energy_unit(to, "to")]
    return check_array(x, "x") * (known[check_energy_unit(unit, "unit")] / per)
