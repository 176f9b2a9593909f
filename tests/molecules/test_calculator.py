import copy
import pickle
import sys

import ase
import ase.calculators.lj
import numpy as np
import pytest
from ase import units
from ase.calculators.calculator import Calculator, PropertyNotImplementedError
from ase.md.verlet import VelocityVerlet
from ase.optimize import BFGS
from ase.vibrations import Vibrations
from numpy.testing import assert_allclose, assert_array_equal

from tinynn import backend
from tinynn.backend import asarray
from tinynn.molecules import (
    CoulombPairPotential,
    EnergyForceRegressor,
    LennardJones,
    ModelCalculator,
    Morse,
    NeuralForceField,
    convert_energy,
    energy_units,
)

ARGON = LennardJones(epsilon=0.0104, sigma=3.4)  # eV, Å
NEAREST = 2 ** (1 / 6) * 3.4


class Spring:
    """E = k/2 |R - R0|^2, a model with predict only."""

    def __init__(self, R0, k=2.0):
        self.R0, self.k = np.asarray(R0, dtype=float), k

    def predict(self, R):
        d = R - self.R0
        return self.k / 2 * (d**2).sum(axis=(1, 2)), -self.k * d


class Returns:
    """A model that returns what it is told."""

    def __init__(self, E, F):
        self.E, self.F = E, F

    def predict(self, R):
        return self.E, self.F


def cluster(n_atoms=13, seed=0):
    """Argon on a grid, shaken."""
    rng = np.random.default_rng(seed)
    grid = np.stack(np.meshgrid(*[np.arange(3)] * 3, indexing="ij"), axis=-1).reshape(-1, 3)[:n_atoms]
    return ase.Atoms(f"Ar{n_atoms}", NEAREST * grid + 0.2 * rng.normal(size=grid.shape))


# What it computes


def test_lennard_jones_equals_the_one_of_ase():
    """ASE shifts the energy of every pair by that at its cutoff; at 1000 sigma both are zero."""
    atoms = cluster()
    atoms.calc = ModelCalculator(ARGON, atoms.numbers)
    E, F = atoms.get_potential_energy(), atoms.get_forces()
    atoms.calc = ase.calculators.lj.LennardJones(epsilon=0.0104, sigma=3.4, rc=3400)
    assert_allclose(E, atoms.get_potential_energy(), rtol=1e-12)
    assert_allclose(F, atoms.get_forces(), rtol=1e-9, atol=1e-14)


@pytest.mark.parametrize("potential", [ARGON, Morse(0.1, 1.2, 3.5), CoulombPairPotential(14.4)])
def test_every_pair_potential_is_a_model(potential):
    atoms = cluster(4)
    atoms.calc = ModelCalculator(potential, atoms.numbers)
    assert atoms.get_potential_energy() == potential.energy(atoms.positions)
    assert_array_equal(atoms.get_forces(), potential.forces(atoms.positions))


@pytest.mark.parametrize("unit", ["eV", "kcal/mol", "Hartree"])
def test_energies_and_forces_leave_in_electronvolt(unit):
    atoms = ase.Atoms("OH", [[0, 0, 0], [0, 0, 1.5]])
    atoms.calc = ModelCalculator(Spring([[0, 0, 0], [0, 0, 1.0]]), z=[8, 1], energy_unit=unit)
    assert_allclose(atoms.get_potential_energy(), 0.25 * convert_energy(1, unit))
    assert_allclose(atoms.get_forces(), convert_energy([[0, 0, 0], [0, 0, -1]], unit), atol=0)


def learned(kind):
    """A model of three argon atoms, in kcal/mol."""
    R = np.stack([cluster(3, seed).positions for seed in range(30)])
    E, F = (convert_energy(x, "eV", "kcal/mol") for x in ARGON.predict(R))
    if kind is EnergyForceRegressor:
        return EnergyForceRegressor().fit(R, E, F, progress=False)
    return NeuralForceField(epochs=3, rng=0).fit(R, E, F, progress=False)


@pytest.mark.parametrize("kind", [EnergyForceRegressor, NeuralForceField])
def test_learned_models(kind):
    model, atoms = learned(kind), cluster(3, seed=99)
    atoms.calc = ModelCalculator(model, atoms.numbers, "kcal/mol")
    E, F = model.predict(atoms.positions)
    assert_allclose(atoms.get_potential_energy(), convert_energy(E, "kcal/mol"), rtol=1e-6)
    assert_allclose(atoms.get_forces(), convert_energy(F, "kcal/mol"), rtol=1e-5, atol=1e-8)


def test_a_calculation_is_kept_until_the_atoms_move():
    class Counted(Spring):
        calls = 0

        def predict(self, R):
            self.calls += 1
            return super().predict(R)

    atoms = ase.Atoms("OH", [[0, 0, 0], [0, 0, 1.5]])
    model = Counted(np.zeros((2, 3)))
    atoms.calc = ModelCalculator(model, [8, 1])
    atoms.get_potential_energy(), atoms.get_forces(), atoms.get_forces()
    assert model.calls == 1
    before = atoms.get_forces()
    atoms.positions += 0.1
    assert abs(atoms.get_forces() - before).max() > 0.1
    assert model.calls == 2
    atoms.get_forces()[:] = 0  # a copy
    assert atoms.get_forces().any()


def test_float32_models_and_those_of_another_array_library(device):
    class OnDevice(Spring):
        def __init__(self):
            self.xp = backend.get_backend(device)
            self.R0 = backend.asarray(np.zeros((2, 3)), device, np.float32)
            self.k = 2.0

        def predict(self, R):
            d = R.astype(np.float32) - self.R0
            return (d**2).sum(axis=2).sum(axis=1), -2 * d

    atoms = ase.Atoms("OH", [[0, 0, 0], [0, 0, 1.5]])
    atoms.calc = ModelCalculator(OnDevice(), [8, 1])
    assert type(atoms.get_potential_energy()) is float
    assert atoms.get_potential_energy() == 2.25
    assert atoms.get_forces().dtype == np.float64
    assert_array_equal(atoms.get_forces()[1], [0, 0, -3])


# What ASE wants of it


def test_learned_models_say_where_their_arrays_are(device):
    R = np.random.default_rng(0).normal(size=(6, 3, 3)) + 2 * np.eye(3)
    E, F = LennardJones().predict(R)
    data = [asarray(a, device) for a in (R, E, F)]
    for model in (
        EnergyForceRegressor(alpha=1e-6).fit(*data, progress=False),
        NeuralForceField(epochs=1, rng=0).fit(*data, progress=False),
    ):
        atoms = ase.Atoms("Ar3", R[0], calculator=ModelCalculator(model, [18, 18, 18], energy_unit="eV"))
        expected, _ = model.predict(data[0][0])
        assert atoms.get_potential_energy() == pytest.approx(float(expected), rel=1e-6)


def test_it_is_a_calculator_of_ase():
    calculator = ModelCalculator(ARGON, [18, 18])
    assert isinstance(calculator, Calculator)
    assert isinstance(calculator, ModelCalculator)
    assert type(calculator) is type(ModelCalculator(ARGON, [18]))


@pytest.mark.parametrize("name", ["stress", "dipole", "charges", "magmom", "free_energy"])
def test_other_properties_are_not_implemented(name):
    atoms = cluster(2)
    atoms.calc = ModelCalculator(ARGON, atoms.numbers)
    with pytest.raises(PropertyNotImplementedError):
        atoms.calc.get_property(name, atoms)


@pytest.mark.parametrize("twin", [copy.copy, copy.deepcopy, lambda x: pickle.loads(pickle.dumps(x))])
def test_copies(twin):
    atoms = cluster(3)
    atoms.calc = ModelCalculator(ARGON, atoms.numbers, "kcal/mol")
    E = atoms.get_potential_energy()
    atoms.calc = twin(atoms.calc)
    assert isinstance(atoms.calc, Calculator)
    assert atoms.get_potential_energy() == E


def test_a_subclass_joins_too():
    class Doubled(ModelCalculator):
        def predict(self, R):
            E, F = super().predict(R)
            return 2 * E, 2 * F

    atoms = cluster(3)
    atoms.calc = Doubled(ARGON, atoms.numbers)
    assert isinstance(atoms.calc, Calculator)
    assert atoms.get_potential_energy() == 2 * ARGON.energy(atoms.positions)
    assert type(copy.copy(atoms.calc)) is type(atoms.calc)


def test_velocity_verlet_keeps_the_energy():
    """The drift of velocity Verlet is of second order: half the time step, a quarter of it."""

    def largest_drift(timestep):
        atoms = cluster()
        atoms.calc = ModelCalculator(ARGON, atoms.numbers)
        BFGS(atoms, logfile=None).run(fmax=1e-3)
        spread = np.sqrt(atoms.get_masses() * 20 * units.kB)  # Maxwell-Boltzmann, 20 K
        atoms.set_momenta(spread[:, None] * np.random.default_rng(1).normal(size=(13, 3)))
        E = atoms.get_total_energy()
        drift = []
        dynamics = VelocityVerlet(atoms, timestep * units.fs)
        dynamics.attach(lambda: drift.append(abs(atoms.get_total_energy() - E)))
        dynamics.run(int(800 / timestep))
        return max(drift)

    coarse, fine = largest_drift(16), largest_drift(8)
    assert fine < 1e-4  # eV, of 0.03 eV kinetic energy
    assert 3 < coarse / fine < 5.5


def test_bfgs_finds_the_known_minima():
    """-1, -3, -6, -9.103852: the Cambridge Cluster Database's energies of 2 to 5 atoms, in epsilon."""
    for n_atoms, E in [(2, -1), (3, -3), (4, -6), (5, -9.103852)]:
        atoms = ase.Atoms(f"Ar{n_atoms}", 2.4 * np.random.default_rng(n_atoms).normal(size=(n_atoms, 3)))
        atoms.calc = ModelCalculator(ARGON, atoms.numbers)
        assert BFGS(atoms, logfile=None, maxstep=0.1).run(fmax=1e-7, steps=500)
        assert_allclose(atoms.get_potential_energy() / 0.0104, E, rtol=1e-6)
        if n_atoms < 5:
            assert_allclose(atoms.get_all_distances()[np.triu_indices(n_atoms, 1)], NEAREST, rtol=1e-6)


def test_vibration_of_a_morse_dimer(tmp_path):
    """Hydrogen chloride: v'' = 2 D_e a^2 at the minimum, omega^2 = v''/mu."""
    morse = Morse(D_e=4.618, a=1.869, r_e=1.2746)
    atoms = ase.Atoms("HCl", [[0, 0, 0], [0, 0, 1.2746]])
    atoms.calc = ModelCalculator(morse, atoms.numbers)
    vibrations = Vibrations(atoms, name=str(tmp_path / "vibrations"), delta=1e-3)
    vibrations.run()
    mu = 1 / (1 / atoms.get_masses()).sum()
    omega = np.sqrt(2 * morse.D_e * morse.a**2 / mu)  # 1 over ASE's unit of time
    frequencies = vibrations.get_energies()
    assert_allclose(frequencies[-1].real, units._hbar * units.J * omega * units.s, rtol=1e-4)
    assert_allclose(frequencies[-1].real / units.invcm, 2989, rtol=2e-3)
    assert abs(frequencies[:-1]).max() < 1e-2 * frequencies[-1].real


# Bad input


@pytest.mark.parametrize(
    ("atoms", "message"),
    [
        (
            ase.Atoms("H2O", np.eye(3)),
            r"^atoms\[0\] has atomic number 1; wanted z = \[8, 1, 1\], in this order",
        ),
        (ase.Atoms("OHF", np.eye(3)), r"^atoms\[2\] has atomic number 9; wanted z = "),
        (ase.Atoms("OH", np.eye(3)[:2]), r"^atoms are 2 \(OH\); wanted 3, z = "),
        (ase.Atoms("OH2", np.eye(3), cell=[9, 9, 9], pbc=True), r"^atoms are periodic \(pbc = \[True"),
    ],
)
def test_other_atoms_than_those_of_the_model(atoms, message):
    atoms.calc = ModelCalculator(ARGON, z=[8, 1, 1])
    with pytest.raises(ValueError, match=message):
        atoms.get_potential_energy()
    assert atoms.calc.results == {}


@pytest.mark.parametrize(
    ("E", "F", "message"),
    [
        ([np.nan], np.zeros((1, 2, 3)), "^the model's energy contains 1 NaN"),
        ([0.0], np.full((1, 2, 3), np.inf), "^the model's force contains 6 inf"),
        (0.0, np.zeros((1, 2, 3)), r"^the model's energy has shape \(\); wanted \(1\)"),
        ([0.0], np.zeros((1, 6)), r"^the model's force has shape \(1, 6\); wanted \(1, 2, 3\)"),
    ],
)
def test_a_model_that_returns_nonsense(E, F, message):
    atoms = cluster(2)
    atoms.calc = ModelCalculator(Returns(E, F), atoms.numbers)
    with pytest.raises(ValueError, match=message):
        atoms.get_forces()


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ((np.mean, [1]), TypeError, r"^model must have a method predict\(R\) -> \(E, F\); got"),
        ((ARGON, [1, 1.5]), ValueError, r"^z\[1\] is 1.5; atomic numbers are 1 for H"),
        ((ARGON, [0, 1]), ValueError, r"^z\[0\] is 0; atomic numbers are"),
        ((ARGON, ["H", "O"]), TypeError, "^z has dtype <U1"),
        ((ARGON, [[1, 2]]), ValueError, "^z has 2 dimensions"),
        ((ARGON, [1], "kcal"), ValueError, "^energy_unit must be one of eV, meV, kcal/mol.*; got 'kcal'"),
        ((ARGON, [1], None), ValueError, "^energy_unit must be one of .*; got None"),
    ],
)
def test_bad_arguments(arguments, error, message):
    with pytest.raises(error, match=message):
        ModelCalculator(*arguments)


def test_without_ase_the_extra_is_named(monkeypatch):
    for module in [name for name in sys.modules if name.split(".")[0] == "ase"]:
        monkeypatch.setitem(sys.modules, module, None)
    for use in (lambda: ModelCalculator(ARGON, [18]), energy_units):
        with pytest.raises(ImportError, match=r'need ASE: pip install "tinynn\[molecules\]"'):
            use()


# Units


@pytest.mark.parametrize(
    ("unit", "value"),
    [
        ("eV", 27.211386),
        ("meV", 27211.386),
        ("kcal/mol", 627.50947),
        ("kJ/mol", 2625.4996),
        ("Rydberg", 2),
        ("J", 4.3597447e-18),
    ],
)
def test_a_hartree_in_other_units(unit, value):
    assert_allclose(convert_energy(1.0, "Hartree", unit), value, rtol=1e-7)
    assert_allclose(convert_energy(value, unit, "Hartree"), 1, rtol=1e-7)


def test_arrays_keep_shape_and_dtype():
    F = np.ones((2, 3), dtype=np.float32)
    assert convert_energy(F, "kJ/mol").dtype == np.float32
    assert convert_energy(F, "kJ/mol").shape == (2, 3)
    assert_array_equal(convert_energy(F, "kJ/mol", "kJ/mol"), F)


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ((1.0, "furlong"), ValueError, "^unit must be one of eV, .*; got 'furlong'"),
        ((1.0, "eV", "ev"), ValueError, "^to must be one of"),
        ((np.nan, "eV"), ValueError, "^x contains 1 NaN"),
        (("1", "eV"), TypeError, "^x has dtype <U1"),
    ],
)
def test_bad_conversions(arguments, error, message):
    with pytest.raises(error, match=message):
        convert_energy(*arguments)
