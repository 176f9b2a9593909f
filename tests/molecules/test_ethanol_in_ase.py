"""The learned potential of ethanol in ASE: dynamics keep its energy, its minimum is the reference's."""

import shutil

import numpy as np
import pytest
from ase import Atoms, units
from ase.build import minimize_rotation_and_translation
from ase.calculators.mopac import MOPAC
from ase.md.verlet import VelocityVerlet
from ase.optimize import BFGS

from tinynn.datasets import rmd17
from tinynn.molecules import EnergyForceRegressor, ModelCalculator

pytestmark = [pytest.mark.slow, pytest.mark.real_data]


def test_ten_picoseconds_keep_the_energy():
    train, _ = rmd17("ethanol")
    model = EnergyForceRegressor(permutations="auto").fit(
        train.R[:200], train.E[:200], train.F[:200], train.z, progress=False
    )
    atoms = Atoms(train.z, train.R[0], calculator=ModelCalculator(model, train.z, energy_unit="kcal/mol"))
    BFGS(atoms, logfile=None).run(fmax=0.01, steps=200)
    speed = np.sqrt(300 * units.kB / atoms.get_masses())[:, None]
    atoms.set_velocities(speed * np.random.default_rng(0).standard_normal(atoms.positions.shape))
    dynamics = VelocityVerlet(atoms, timestep=0.5 * units.fs)
    energies = []
    dynamics.attach(lambda: energies.append(atoms.get_total_energy()), interval=10)
    dynamics.run(20_000)
    energies = np.array(energies) / len(atoms)
    assert np.ptp(energies) < 1e-3  # eV an atom, within the whole 10 ps
    drift = np.polyfit(np.linspace(0, 10, len(energies)), energies, 1)[0]
    assert abs(drift) < 1e-5  # eV an atom and ps


@pytest.mark.skipif(shutil.which("mopac") is None, reason="MOPAC is not installed: apt install mopac")
def test_the_minimum_is_that_of_the_reference(tmp_path):
    """The reference has to be at hand to know its minimum: here PM7 instead of PBE."""
    train, _ = rmd17("ethanol")
    reference = MOPAC(label=str(tmp_path / "ethanol"), method="PM7", task="1SCF GRADIENTS")
    E, F = [], []
    for R in train.R[:200]:
        atoms = Atoms(train.z, R, calculator=reference)
        E.append(atoms.get_potential_energy())
        F.append(atoms.get_forces())
    model = EnergyForceRegressor(permutations="auto").fit(
        train.R[:200], np.array(E), np.array(F), train.z, progress=False
    )
    found = []
    for calculator in (reference, ModelCalculator(model, train.z, energy_unit="eV")):
        atoms = Atoms(train.z, train.R[0], calculator=calculator)
        assert BFGS(atoms, logfile=None).run(fmax=0.005, steps=300)
        found.append(atoms)
    minimize_rotation_and_translation(*found)
    assert np.linalg.norm(found[1].positions - found[0].positions, axis=1).max() < 0.02
