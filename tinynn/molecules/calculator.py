"""A model as an ASE calculator: ASE's dynamics, optimisers and vibrations run on it."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from typing import Any, Protocol

import numpy as np

from tinynn.backend import Array, asarray, to_numpy
from tinynn.molecules.geometry import check_atomic_numbers
from tinynn.molecules.units import check_energy_unit, convert_energy, import_ase
from tinynn.validation import check_array


class EnergyModel(Protocol):
    """What a calculator asks of a model; every model of energies and forces in tinynn offers it."""

    def predict(self, R: Array) -> tuple[Array, Array]:
        """Energies (M,) and forces (M, N, D) of configurations R (M, N, D)."""


class ModelCalculator:
    """Energies and forces of a model, for ASE.

    It is an ``ase.calculators.calculator.Calculator``, which joins the base classes when a
    calculator is made: ASE is optional. It knows "energy" (eV) and "forces" (eV/Å); anything else
    (stress, dipole ...) is ASE's PropertyNotImplementedError.

    Parameters
    ----------
    model : object with predict(R) -> (E, F)
        An EnergyForceRegressor, a NeuralForceField, a PairPotential, or one of your own. R has shape
        (1, N, 3) and is in Å; E has shape (1,), F that of R. It gets an array of its library ``xp``, of
        NumPy if it names none.
    z : sequence of N ints
        Atomic numbers the model is for, in its order of atoms.
    energy_unit : str
        Of E; that of F is the same per Å. A name of `tinynn.molecules.energy_units`.

    Raises
    ------
    TypeError
        If the model has no predict.
    ValueError
        If z are no atomic numbers, the unit is unknown; in use, if the Atoms have other elements,
        another order, or are periodic, or the model returns other shapes, NaN or inf.
    ImportError
        Without ASE (extra "molecules").

    Examples
    --------
    >>> atoms.calc = ModelCalculator(model, z=atoms.numbers, energy_unit="kcal/mol")
    >>> atoms.get_forces()  # eV/Å
    """

    implemented_properties = ("energy", "forces")
    atoms: Any  # those of the last calculation, kept by ASE

    def __init__(self, model: EnergyModel, z: Sequence[int] | Array, energy_unit: str = "eV") -> None:
        self.__class__ = _with_ase(type(self))  # type: ignore[arg-type]
        super().__init__()  # ASE's
        if not callable(getattr(model, "predict", None)):
            raise TypeError(f"model must have a method predict(R) -> (E, F); got {type(model).__name__}")
        self.model = model
        self.z = check_atomic_numbers(z)
        self.energy_unit = check_energy_unit(energy_unit, "energy_unit")

    def __reduce__(self) -> tuple[Any, ...]:  # pickle does not find a class made in passing
        return _make, (type(self).__bases__[0],), self.__dict__

    def calculate(
        self, atoms: Any = None, properties: Sequence[str] = ("energy",), system_changes: Sequence[str] = ()
    ) -> None:
        """Called by ASE: put energy and forces of `atoms` into `results`, in eV and eV/Å."""
        atoms = self.atoms if atoms is None else atoms
        check_atoms(atoms, self.z)
        E, F = self.predict(atoms.positions[None])
        super().calculate(atoms, properties, system_changes)  # type: ignore[misc]
        self.results = {"energy": float(E[0]), "forces": F[0]}

    def predict(self, R: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Energies (M,) and forces (M, N, 3) of R (M, N, 3) in Å: those of the model, in eV and eV/Å.

        Raises
        ------
        TypeError, ValueError
            If the model raises it, or returns other shapes, NaN or inf.
        """
        backend = getattr(self.model, "xp", np).__name__  # where the model keeps its arrays
        E, F = self.model.predict(asarray(R, backend=backend))
        E = check_array(to_numpy(E), "the model's energy", shape=R.shape[:1], dtype=np.float64)
        F = check_array(to_numpy(F), "the model's force", shape=R.shape, dtype=np.float64)
        return convert_energy(E, self.energy_unit), convert_energy(F, self.energy_unit)


def check_atoms(atoms: Any, z: np.ndarray) -> None:
    """Make sure that ASE's `atoms` are a molecule of the elements `z`, in this order.

    Raises
    ------
    ValueError
        If they are other elements, in another order, or periodic.
    """
    if len(atoms) != len(z):
        raise ValueError(f"atoms are {len(atoms)} ({atoms.symbols}); wanted {len(z)}, z = {z.tolist()}")
    differ = atoms.numbers != z
    if differ.any():
        i = int(differ.argmax())
        raise ValueError(
            f"atoms[{i}] has atomic number {int(atoms.numbers[i])}; wanted z = {z.tolist()}, in this order"
        )
    if atoms.pbc.any():
        raise ValueError(
            f"atoms are periodic (pbc = {atoms.pbc.tolist()}); wanted a molecule without neighbouring cells: "
            "atoms.pbc = False"
        )


@functools.cache
def _with_ase(cls: Any) -> type:
    """A subclass of `cls` that is one of ASE's Calculator, too."""
    calculator = import_ase("ase.calculators.calculator").Calculator
    return type(cls.__name__, (cls, calculator), {"__module__": cls.__module__, "__doc__": cls.__doc__})


def _make(cls: Any) -> Any:
    """An object of the class, not initialised."""
    return object.__new__(_with_ase(cls))
