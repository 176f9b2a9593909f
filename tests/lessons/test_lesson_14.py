import os

import numpy as np
import pytest
from lesson_outcomes import values, verdicts

needs_ethanol = pytest.mark.skipif("TINYNN_DATA" not in os.environ, reason="needs rMD17 in $TINYNN_DATA")


def test_lesson_14_shows_that_the_force_is_minus_the_gradient(full):
    outcome = full("14")
    found, lesson = values(outcome), outcome.namespace
    assert found["F + dE/dR by differences"] < 1e-8
    assert found["energy gained / -∫F·dR"] == pytest.approx(1, abs=1e-3)
    right, notes = lesson["drift"]["F = -dE/dR"], lesson["drift"]["F = +dE/dR"]
    assert right < 1e-4 < 1 < notes, "eV"
    assert lesson["runs"]["F = +dE/dR"][0].max() > 100 * lesson["runs"]["F = +dE/dR"][0][0], "it heats"
    assert found["system with y' = -F: error of the energy (eV)"] < 0.01
    assert found["system with y' = +F: error of the energy (eV)"] > 1
    assert lesson["fits"]["y' = +F"][1] > 1000 * lesson["fits"]["y' = -F"][1], "residual"
    assert not {"differs", "missed"} & set(verdicts(outcome).values())


def test_lesson_14_counts_what_a_surface_depends_on(full):
    found = values(full("14"))
    assert (found["C4H10: atoms"], found["C4H10: coordinates"]) == (14, 42)
    assert found["C4H10: internal coordinates"] == 36


def test_lesson_14_fits_values_and_slopes_with_one_set_of_weights(full):
    outcome = full("14")
    found, lesson = values(outcome), outcome.namespace
    assert found["rank of φ and φ', 9 distances"] == found["rank of ΦΦᵀ"] == 10, "of 18 rows"
    assert found["primal - dual, with + λI"] < 1e-9
    assert found["ΦΦᵀ - kernel and derivatives, relative"] < 1e-12
    errors = lesson["h2_errors"]
    assert errors["both"][0] < 0.1 * errors["energies"][0]
    assert errors["both"][1] < 0.1 * errors["energies"][1]
    work = lesson["loop_work"]
    assert work["one set of weights"] < 1e-12 < 0.01 < work["a model of its own"]
    assert lesson["four_errors"]["a model of its own"] < 2 * lesson["four_errors"]["one set of weights"]


def test_lesson_14_loses_the_constant_and_nothing_else(full):
    outcome = full("14")
    found, lesson = values(outcome), outcome.namespace
    assert found["rank of φ' for 100 distances"] == 9
    assert lesson["ranks"]["φ", 100] == 10
    assert lesson["h2_errors"]["forces"][0] > 1 > 0.05 > lesson["shifted"], "eV"
    mean, scatter, forces = lesson["lost"]["argon"]
    assert mean == pytest.approx(-lesson["frames"][1].mean(), abs=1e-3), "the mean energy was taken as zero"
    assert scatter < 1, "meV"
    assert forces == 0


def test_lesson_14_finds_forces_worth_many_energies(full):
    lesson = full("14").namespace
    for name, (*_, sizes) in lesson["systems"].items():
        components = lesson["numbers"][name]["forces"]
        assert components == {"argon": 15, "ethanol": 21}[name]
        assert components / 2 < lesson["worth"][name] < 3 * components
        energies, forces, both = (
            np.array([lesson["learning"][name, targets, n][1] for n in sizes])
            for targets in ("energies", "forces", "both")
        )
        assert energies[1] > energies[0], "more can be worse at first"
        assert (forces < 0.6 * energies).all()
        assert (np.diff(forces) < 0).all()
        assert both[-1] == pytest.approx(forces[-1], rel=0.05), "one number more among 15 or 21"
        kernel, network = lesson["learning"][name, "both", sizes[-1]], lesson["network_errors"][name]
        assert kernel[1] < network[1] < 4 * kernel[1]


def test_lesson_14_simulates_with_what_it_learned(full):
    outcome = full("14")
    found, lesson = values(outcome), outcome.namespace
    assert found["Ar7: minimum / ε"] == pytest.approx(-16.505384, abs=1e-6)
    for name in ("kernel, n = 160", "network, n = 160"):
        excess, distances = lesson["relaxed"][name]
        assert excess < 1e-4, "eV above the true minimum"
        assert distances < 0.02
        assert found[f"Ar7, {name}: order of the drift"] == pytest.approx(2, abs=0.05)
        assert lesson["apart"][name][-1] < 0.2
    assert lesson["relaxed"]["kernel, n = 10"][0] > 1, "a hole"
    assert found["Ar7, kernel, n = 10: order of the drift"] == pytest.approx(2, abs=0.5)
    assert lesson["apart"]["kernel, n = 10"][-1] > 1


@needs_ethanol
def test_lesson_14_learns_ethanol(full):
    outcome = full("14")
    found, lesson = values(outcome), outcome.namespace
    assert not {"differs", "missed"} & set(verdicts(outcome).values())
    judged = [row for row in outcome.results.rows if row.quantity.startswith("ethanol") and row.seed]
    assert [row.verdict for row in judged] == ["corrected", "reproduced", "reproduced", "reproduced"]
    assert len(lesson["renumberings"]) == 6
    assert found["ethanol, n = 200, forces: force error (meV/Å)"] == pytest.approx(36, abs=3)
    assert lesson["lost"]["ethanol"][0] == pytest.approx(4210, abs=1)
    assert lesson["lost"]["ethanol"][1] < 15
    assert 10 < found["ethanol, continued to n = 1000: force error (meV/Å)"] < 20
    assert set(lesson["conformers"]) == {"gauche", "anti"}
    for energies in lesson["conformers"].values():
        assert np.ptp(energies) < 1e-4
    assert max(map(abs, lesson["bond_gaps"].values())) < 0.02
    assert found["ethanol, 300 K: drift at 1 / 0.5 fs"] == pytest.approx(4, abs=0.5)
