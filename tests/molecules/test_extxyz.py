import ase
import ase.io
import numpy as np
import pytest
from ase.calculators.emt import EMT
from numpy.testing import assert_allclose, assert_array_equal

from tinynn.molecules import convert_energy, read_extxyz, write_extxyz

Z = [8, 1, 1]
rng = np.random.default_rng(0)
R, E, F = rng.normal(size=(4, 3, 3)), rng.normal(size=4), rng.normal(size=(4, 3, 3))


@pytest.fixture
def path(tmp_path):
    return tmp_path / "water.xyz"


@pytest.mark.parametrize("unit", ["eV", "kcal/mol"])
def test_what_is_written_is_read(path, unit):
    write_extxyz(path, Z, R, E, F, energy_unit=unit)
    read = read_extxyz(path, unit)
    assert_array_equal(read.z, Z)
    assert_allclose(read.R, R, atol=5.1e-9)
    assert_allclose(read.E, E, rtol=1e-14)
    assert_allclose(read.F, F, atol=5.1e-9 * convert_energy(1, "eV", unit))


def test_another_unit_converts(path):
    write_extxyz(path, Z, R, E, F, energy_unit="kcal/mol")
    assert_allclose(read_extxyz(path).E, convert_energy(E, "kcal/mol"))
    assert_allclose(read_extxyz(path, "kJ/mol").F, 4.184 * F, atol=1e-6)


def test_ase_alone_reads_electronvolt(path):
    write_extxyz(path, Z, R, E, F, energy_unit="Hartree")
    frames = ase.io.read(path, index=":")
    assert [atoms.info["energy_unit"] for atoms in frames] == ["eV"] * 4
    assert_allclose([atoms.get_potential_energy() for atoms in frames], convert_energy(E, "Hartree"))
    assert_allclose(frames[2].get_forces(), convert_energy(F[2], "Hartree"), atol=1e-8)


@pytest.mark.parametrize(("energies", "forces"), [(None, None), (E, None), (None, F)])
def test_energies_and_forces_are_optional(path, energies, forces):
    write_extxyz(path, Z, R, energies, forces, energy_unit="eV")
    read = read_extxyz(path)
    assert (read.E is None) == (energies is None)
    assert (read.F is None) == (forces is None)
    assert_allclose(read.R, R, atol=5.1e-9)


def written_by_ase(path):
    atoms = ase.Atoms("Cu2", [[0, 0, 0], [0, 0, 2.4]], calculator=EMT())
    E = atoms.get_potential_energy()
    ase.io.write(path, atoms)
    return E


def test_a_file_without_a_unit_is_refused_unless_one_is_given(path):
    E = written_by_ase(path)
    with pytest.raises(ValueError, match=r"water.xyz' does not say in which unit .* pass stored_unit="):
        read_extxyz(path)
    assert_allclose(read_extxyz(path, stored_unit="eV").E, [E])
    assert_allclose(read_extxyz(path, "meV", stored_unit="eV").E, [1000 * E])


@pytest.mark.parametrize("silent", [0, 1])
def test_a_unit_stated_in_one_frame_is_not_that_of_another(path, silent):
    write_extxyz(path, Z, R[:1], E[:1], energy_unit="eV")
    frames = [path.read_text()] * 2
    frames[silent] = frames[silent].replace(" energy_unit=eV", "")
    path.write_text("".join(frames))
    with pytest.raises(ValueError, match=rf"does not say .* \(energy_unit= in frame {silent}\)"):
        read_extxyz(path)
    assert_allclose(read_extxyz(path, stored_unit="eV").E, [E[0], E[0]])
    with pytest.raises(ValueError, match=rf"^frame {1 - silent} of .* says energy_unit=eV; wanted kcal/mol"):
        read_extxyz(path, stored_unit="kcal/mol")


def test_a_unit_that_contradicts_the_file_is_refused(path):
    write_extxyz(path, Z, R, E, energy_unit="eV")
    with pytest.raises(ValueError, match=r"^frame 0 of .* says energy_unit=eV; wanted kcal/mol"):
        read_extxyz(path, stored_unit="kcal/mol")
    lines = path.read_text().replace("energy_unit=eV", "energy_unit=Hartree", 1)
    path.write_text(lines)
    with pytest.raises(ValueError, match=r"^frame 1 of .* says energy_unit=eV; wanted Hartree"):
        read_extxyz(path)
    path.write_text(path.read_text().replace("energy_unit=eV", "energy_unit=cal"))
    with pytest.raises(ValueError, match=r"says energy_unit=cal; wanted Hartree"):
        read_extxyz(path)
    path.write_text(path.read_text().replace("energy_unit=Hartree", "energy_unit=cal"))
    with pytest.raises(ValueError, match=r"^energy_unit in .* must be one of eV, .* got 'cal'"):
        read_extxyz(path)


@pytest.mark.parametrize(
    ("frames", "message"),
    [
        ([ase.Atoms("OH2"), ase.Atoms("H2O")], r"^frame 1 of .*: atoms\[0\] has atomic number 1"),
        ([ase.Atoms("OH2"), ase.Atoms("OH")], r"^frame 1 of .*: atoms are 2"),
        ([ase.Atoms("H", cell=[1, 1, 1], pbc=True)], r"^frame 0 of .*: atoms are periodic"),
    ],
)
def test_frames_of_other_atoms(path, frames, message):
    ase.io.write(path, frames, format="extxyz")
    with pytest.raises(ValueError, match=message):
        read_extxyz(path)


def test_energies_in_some_frames_only(path):
    write_extxyz(path, Z, R, E, energy_unit="eV")
    whole = path.read_text()
    write_extxyz(path, Z, R, energy_unit="eV")
    path.write_text(whole + path.read_text())
    with pytest.raises(ValueError, match=r"^frame 4 of .* has no energy, others have"):
        read_extxyz(path)


@pytest.mark.parametrize(
    "text",
    [
        *("", "3\n", "3\n\nO 0 0 0\nH 0 0", "half a file", "1\nProperties=pos:R:3\n0 0"),
        *("2\nProperties", "2\nProperties="),
    ],
)
def test_what_is_no_extended_xyz(path, text):
    path.write_text(text)
    with pytest.raises(
        ValueError, match=r"water.xyz' (is truncated or no extended XYZ file|holds no config)"
    ):
        read_extxyz(path)


def test_missing_files_and_folders(path):
    with pytest.raises(FileNotFoundError, match="there is no file"):
        read_extxyz(path)
    with pytest.raises(FileNotFoundError, match="there is no folder"):
        write_extxyz(path / "deeper.xyz", Z, R, energy_unit="eV")


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        ({"R": R[0]}, ValueError, r"^R has shape \(3, 3\); wanted \(any, 3, 3\)"),
        ({"R": R[:, :2]}, ValueError, r"^R has shape \(4, 2, 3\); wanted \(any, 3, 3\)"),
        ({"E": E[:3]}, ValueError, "the number of samples differs: R has 4, E has 3"),
        ({"E": E[:, None]}, ValueError, "^E has 2 dimensions"),
        ({"F": F[:3]}, ValueError, r"^F has shape \(3, 3, 3\); wanted \(4, 3, 3\)"),
        ({"E": E * np.nan}, ValueError, "^E contains 4 NaN"),
        ({"z": [8, 1, -1]}, ValueError, r"^z\[2\] is -1; atomic numbers are"),
        ({"energy_unit": "Ry"}, ValueError, "^energy_unit must be one of"),
    ],
)
def test_bad_input_leaves_the_old_file(path, change, error, message):
    path.write_text("old")
    with pytest.raises(error, match=message):
        write_extxyz(path, **({"z": Z, "R": R, "E": E, "F": F, "energy_unit": "eV"} | change))
    assert path.read_text() == "old"


def test_a_failure_while_writing_leaves_the_old_file(path, monkeypatch):
    path.write_text("old")

    def fail(aside, frames, format):
        with open(aside, "w") as file:
            file.write("half of the te")
        raise OSError("disk full")

    monkeypatch.setattr("ase.io.write", fail)
    with pytest.raises(OSError, match="disk full"):
        write_extxyz(path, Z, R, energy_unit="eV")
    assert path.read_text() == "old"
    assert [file.name for file in path.parent.iterdir()] == ["water.xyz"]
