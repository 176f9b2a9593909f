"""Configurations with energies and forces in extended XYZ files, their unit stated.

The files are those of ase.io. Extended XYZ has no field for the unit of the energy, and programs that
read it assume theirs: a file in kcal/mol read as eV is wrong by a factor 23. So `write_extxyz` always
writes eV and eV/Å, which is what ASE assumes, and says so in the comment line: ``energy_unit=eV``.
`read_extxyz` converts from what the file states, and refuses a file that states nothing unless you do.

Columns have 8 decimals: positions and forces are rounded to 1e-8 Å and 1e-8 eV/Å.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from tinynn.backend import Array, to_numpy
from tinynn.data import Configurations
from tinynn.files import check_folder, replace_file
from tinynn.molecules.calculator import check_atoms
from tinynn.molecules.geometry import check_atomic_numbers
from tinynn.molecules.units import check_energy_unit, convert_energy, import_ase
from tinynn.validation import check_array, check_same_length


def write_extxyz(
    path: str | os.PathLike,
    z: Sequence[int] | Array,
    R: Array,
    E: Array | None = None,
    F: Array | None = None,
    *,
    energy_unit: str,
) -> None:
    """Write configurations to an extended XYZ file in eV and Å, whole or not at all.

    Parameters
    ----------
    path : path
        In an existing folder; an old file is replaced.
    z : sequence of N ints
        Atomic numbers.
    R : array (M, N, 3)
        Positions in Å.
    E : array (M,), optional
    F : array (M, N, 3), optional
    energy_unit : str
        Of E; that of F is the same per Å. A name of `tinynn.molecules.energy_units`.

    Raises
    ------
    TypeError, ValueError
        Arrays that do not fit together, NaN or inf, an unknown unit.
    FileNotFoundError
        If the folder does not exist.
    ImportError
        Without ASE (extra "molecules").
    """
    check_folder(path)
    check_energy_unit(energy_unit, "energy_unit")
    z = check_atomic_numbers(z)
    R = check_array(to_numpy(R), "R", shape=(None, len(z), 3))
    results = {}
    if E is not None:
        E = check_array(to_numpy(E), "E", ndim=1)
        check_same_length(R=R, E=E)
        results["energy"] = convert_energy(E, energy_unit)
    if F is not None:
        F = check_array(to_numpy(F), "F", shape=R.shape)
        results["forces"] = convert_energy(F, energy_unit)

    ase, single_point = import_ase("ase"), import_ase("ase.calculators.singlepoint").SinglePointCalculator
    frames = []
    for m, positions in enumerate(R):
        atoms = ase.Atoms(numbers=z, positions=positions, info={"energy_unit": "eV"})
        atoms.calc = single_point(atoms, **{name: values[m] for name, values in results.items()})
        frames.append(atoms)
    write = import_ase("ase.io").write
    replace_file(path, lambda aside: write(aside, frames, format="extxyz"))


def read_extxyz(
    path: str | os.PathLike, energy_unit: str = "eV", *, stored_unit: str | None = None
) -> Configurations:
    """Read configurations of the same atoms from an extended XYZ file.

    Parameters
    ----------
    path : path
    energy_unit : str
        In which energies and forces (per Å) are returned, whatever the file has.
    stored_unit : str, optional
        What a file has that does not state it as ``energy_unit=``, for example "eV" if ASE wrote it.

    Returns
    -------
    Configurations
        A named tuple z, R, E, F.

    Raises
    ------
    FileNotFoundError
        No such file.
    ValueError
        No extended XYZ file; one with energies or forces of which neither it nor `stored_unit` says
        the unit, or whose statement is not `stored_unit`; frames of different or periodic atoms, or
        energies or forces in some frames only.
    ImportError
        Without ASE (extra "molecules").
    """
    check_energy_unit(energy_unit, "energy_unit")
    if stored_unit is not None:
        check_energy_unit(stored_unit, "stored_unit")
    name = repr(os.fspath(path))
    if not Path(path).is_file():
        raise FileNotFoundError(f"there is no file {name}")
    try:
        with open(path, encoding="utf-8") as file:
            frames = import_ase("ase.io").read(file, index=":", format="extxyz")
    except (OSError, ValueError, LookupError, TypeError, AttributeError, RuntimeError) as error:  # ASE's
        raise ValueError(f"{name} is truncated or no extended XYZ file ({error})") from error
    if not frames:
        raise ValueError(f"{name} holds no configuration")

    z = frames[0].numbers
    for m, atoms in enumerate(frames):
        try:
            check_atoms(atoms, z)
        except ValueError as error:
            raise ValueError(f"frame {m} of {name}: {error}") from error
    E, F = (_collect(frames, key, name) for key in ("energy", "forces"))
    if E is not None or F is not None:
        stored_unit = _stored_unit(frames, stored_unit, name)
        E, F = (x if x is None else convert_energy(x, stored_unit, energy_unit) for x in (E, F))
    return Configurations(z, np.array([atoms.positions for atoms in frames]), E, F)


def _collect(frames: Sequence[Any], key: str, name: str) -> np.ndarray | None:
    """One result of all frames, or None if none has it."""
    have = [atoms.calc is not None and key in atoms.calc.results for atoms in frames]
    if not any(have):
        return None
    if not all(have):
        raise ValueError(f"frame {have.index(False)} of {name} has no {key}, others have")
    return check_array([atoms.calc.results[key] for atoms in frames], f"{key} of {name}")


def _stored_unit(frames: Sequence[Any], given: str | None, name: str) -> str:
    """The unit that every frame, or else `given`, says the energies have."""
    unit = given
    for m, atoms in enumerate(frames):
        stated = atoms.info.get("energy_unit", given)
        if stated is None:
            raise ValueError(
                f"{name} does not say in which unit its energies are (energy_unit= in frame {m}); "
                'pass stored_unit=, for example "eV" if ASE wrote the file'
            )
        unit = unit or stated
        if stated != unit:
            raise ValueError(f"frame {m} of {name} says energy_unit={stated}; wanted {unit}")
    return check_energy_unit(unit, f"energy_unit in {name}")  # type: ignore[arg-type]
