import copy
import os
import pickle
import shutil
import time
from types import SimpleNamespace

import ase
import ase.build
import killed_exploration
import matplotlib
import numpy as np
import pytest
from ase import units
from ase.calculators.calculator import Calculator, all_changes
from ase.calculators.emt import EMT
from ase.calculators.lj import LennardJones
from ase.calculators.mopac import MOPAC
from ase.cluster import Icosahedron
from ase.constraints import FixAtoms
from ase.optimize import BFGS
from killed import start
from killed_exploration import STEPS, TETRAHEDRON, explore
from numpy.testing import assert_allclose, assert_array_equal

from tinynn.molecules import EnergyForceRegressor, LearningCalculator, OnTheFlyLog, learn_on_the_fly
from tinynn.molecules.on_the_fly_log import Comparison, Step
from tinynn.molecules.reference import Answer, ask, describe, get_reference
from tinynn.plotting import get_pyplot

matplotlib.use("Agg")


class Troubled(EMT):
    """Counts the questions; at one of them it fails, or answers something else."""

    def __init__(self, fails_at=None, results=None):
        super().__init__()
        self.calls, self.fails_at, self.wrong = 0, fails_at, results

    def calculate(self, *args, **kwargs):
        super().calculate(*args, **kwargs)
        self.calls += 1
        if self.calls == self.fails_at:
            if self.wrong is None:
                raise OSError("no licence")
            self.results |= self.wrong


class Nothing(Calculator):
    """No forces anywhere."""

    implemented_properties = ("energy", "forces")

    def calculate(self, atoms=None, properties=None, system_changes=all_changes):
        super().calculate(atoms, properties, system_changes)
        self.results = {"energy": 0.0, "forces": np.zeros((len(atoms), 3))}


class Flat:
    """Has learned everything there is to know about nothing."""

    def fit(self, R, E, F, z, progress):
        pass

    def update(self, R, E, F):
        pass

    def predict(self, R):
        return np.zeros(len(R)), np.zeros(R.shape)

    predict_variance = predict


class OfVariance(Flat):
    """Has variances of its own."""

    def __init__(self, E, F):
        self.variance = E, F

    def predict_variance(self, R):
        return self.variance


def regressor(**kwargs):
    return EnergyForceRegressor(targets="both", **kwargs)


def tetrahedron(seed=None, size=0.1):
    """Four copper atoms, displaced at random."""
    atoms = ase.Atoms("Cu4", TETRAHEDRON)
    if seed is not None:
        atoms.positions += size * np.random.default_rng(seed).normal(size=(4, 3))
    return atoms


def relaxed(atoms):
    atoms.calc = EMT()
    BFGS(atoms, logfile=None).run(fmax=0.01, steps=500)
    return atoms


def bits(log, atoms):
    """All that a run leaves behind, to be compared bit for bit."""
    steps = {name: log[name].tobytes() for name in Step._fields}
    learned = [(a.R.tobytes(), float(a.E), a.F.tobytes()) for a in log.learned]
    end = atoms.positions.tobytes(), atoms.get_momenta().tobytes(), atoms.get_forces().tobytes()
    return steps, learned, end, atoms.calc.model.dual_coef_.tobytes()


# The point of it all


def check_that_it_pays(log, comparison):
    assert len(log) > 10 * log.calls
    assert comparison.force_rmse < 0.05  # eV/Å
    assert 0.55 < comparison.forces_within(1) < 0.9
    assert comparison.forces_within(2) > 0.88


def test_few_calls_small_errors_and_honest_variances():
    """Five copper atoms at 300 K, against true forces at every tenth step."""
    atoms = relaxed(ase.Atoms("Cu5", 1.8 * np.random.default_rng(0).normal(size=(5, 3))))
    log = learn_on_the_fly(atoms, regressor(), steps=800, temperature=300, rng=0, progress=False)
    comparison = log.compare(progress=False)
    check_that_it_pays(log, comparison)
    force = np.sqrt((log["F"] ** 2).mean())
    assert comparison.force_rmse < 0.1 * force  # the error of predicting zero
    assert np.ptp(log["E"]) > 20 * comparison.energy_rmse


@pytest.mark.slow
def test_an_icosahedron_of_aluminium():
    atoms = Icosahedron("Al", 2)
    atoms.pbc = False
    log = learn_on_the_fly(relaxed(atoms), regressor(), steps=2000, temperature=300, rng=0, progress=False)
    check_that_it_pays(log, log.compare(progress=False))


def test_the_log_and_the_comparison_are_what_the_steps_say():
    log, atoms = explore(steps=30)
    assert len(log) == 30
    assert_allclose(log.time, 4 * np.arange(31))
    asked = log["asked"]
    assert 0 < asked.sum() < 20
    assert_array_equal(asked, log["uncertainty"] > log.threshold)
    assert log.calls == 5 + asked.sum()
    unasked = ~asked
    assert_array_equal(log["uncertainty"][unasked], log["F_std"].max(axis=(1, 2))[unasked])
    answers = log.learned[5:]
    assert_array_equal([answer.R for answer in answers], log["R"][asked])
    assert_allclose([answer.E for answer in answers], log["E"][asked], atol=1e-3)
    assert_allclose([answer.F for answer in answers], log["F"][asked], atol=1e-2)
    assert_array_equal(atoms.positions, log["R"][-1])
    assert f"30 steps of 4 fs, {log.calls} calls of the reference (5 before the first step)" in str(log)

    comparison = log.compare(every=3, progress=False)
    chosen = [k for k in range(3, 31, 3) if not asked[k]]
    assert_array_equal(comparison.steps, chosen)
    for i, k in enumerate(chosen):
        _, E, F = ask(EMT(), ase.Atoms("Cu4", log["R"][k]))
        assert comparison.E[i] == E
        assert comparison.E_error[i] == log["E"][k] - E
        assert_array_equal(comparison.F_error[i], log["F"][k] - F)
        assert_array_equal(comparison.F_std[i], log["F_std"][k])


def test_the_numbers_of_a_comparison():
    E_error, F_error = np.array([1.0, -2, 3, 0]), np.zeros((4, 1, 3))
    F_error[:, 0, 0] = [0.1, -0.6, 0, 0]
    ones = np.ones(4)
    comparison = Comparison(np.arange(4), ones, E_error, ones, F_error, 0.25 * np.ones((4, 1, 3)))
    assert_allclose(comparison.energy_rmse, np.sqrt(14 / 4))
    assert_allclose(comparison.force_rmse, np.sqrt(0.37 / 12))
    assert comparison.force_max == 0.6
    assert (comparison.energies_within(1), comparison.energies_within(2)) == (0.5, 0.75)
    assert comparison.forces_within(1) == comparison.forces_within(2) == 11 / 12
    assert "forces: 92 % and 92 %\n  energy: 50 % and 75 %" in str(comparison)


# The calculator


def begun(threshold=0.06, reference=None, n_answers=5):
    reference = get_reference(reference)
    calculator = LearningCalculator(regressor(), [29] * 4, reference, threshold)
    calculator.begin([ask(reference, tetrahedron(seed)) for seed in range(n_answers)])
    return calculator


def test_it_asks_above_the_threshold_and_then_knows():
    atoms = tetrahedron(99)
    _, E, F = ask(EMT(), atoms)
    careless = begun(threshold=100)
    atoms.calc = careless
    doubt = careless.get_property("forces", atoms) - F
    assert not careless.asked
    assert len(careless.learned) == 5
    assert abs(doubt).max() > 0.01

    for factor, asked in [(1.001, False), (0.999, True)]:
        atoms.calc = calculator = begun(threshold=factor * careless.uncertainty)
        forces = atoms.get_forces()
        assert calculator.asked is asked
        assert calculator.uncertainty == careless.uncertainty
    assert len(calculator.learned) == 6
    assert abs(forces - F).max() < 1e-3
    assert_allclose(atoms.get_potential_energy(), E, atol=1e-4)
    assert calculator.F_std.max() < 0.2 * careless.F_std.max()
    assert calculator.E_std < careless.E_std


def test_the_model_ends_as_if_fitted_to_all_answers_at_once():
    log, atoms = explore()
    assert log.calls > 15
    answers = zip(*log.learned, strict=True)
    once = regressor(length_scale=atoms.calc.model.kernel_.length_scale)
    once.fit(*map(np.array, answers), progress=False)
    R = np.array([tetrahedron(seed).positions for seed in range(100, 110)])
    for model_says, once_says in zip(atoms.calc.model.predict(R), once.predict(R), strict=True):
        assert_allclose(model_says, once_says, atol=1e-5)


def test_any_tool_of_ase_runs_on_it():
    atoms = tetrahedron(5)
    atoms.calc = begun()
    assert BFGS(atoms, logfile=None).run(fmax=0.02, steps=100)
    assert abs(ask(EMT(), atoms).F).max() < 0.1
    assert_allclose(atoms.get_potential_energy(), relaxed(tetrahedron(5)).get_potential_energy(), atol=1e-2)


def test_constraints_are_left_to_the_dynamics():
    atoms = tetrahedron(7)
    F = ask(EMT(), atoms).F
    atoms.set_constraint(FixAtoms([0, 1]))
    assert_array_equal(ask(EMT(), atoms).F, F)
    log = learn_on_the_fly(
        atoms, regressor(), steps=5, temperature=300, rng=0, threshold=0.01, progress=False
    )
    assert log["asked"].any()
    assert_array_equal(log["R"][:, :2] - log["R"][0, :2], 0)
    assert abs(log.learned[-1].F[:2]).max() > 0.01


@pytest.mark.parametrize("twin", [copy.deepcopy, lambda x: pickle.loads(pickle.dumps(x))])
def test_copies_learn_for_themselves(twin):
    calculator = begun(reference=Nothing())
    other = twin(calculator)
    assert isinstance(other, Calculator)
    other.learn(ask(EMT(), tetrahedron(50)))
    assert (len(calculator.learned), len(other.learned)) == (5, 6)
    assert len(calculator.model.dual_coef_) == 5


class Sticky(Nothing):
    """Counts its calculations, as others keep neighbour lists, until it begins anew."""

    def calculate(self, atoms=None, properties=None, system_changes=all_changes):
        self.count = 1 if "numbers" in system_changes else self.count + 1
        super().calculate(atoms, properties, system_changes)
        self.results["energy"] = float(self.count)


def test_an_answer_does_not_depend_on_the_questions_before():
    reference, other = Sticky(), tetrahedron()
    other.calc = reference
    other.get_potential_energy()
    assert [ask(reference, tetrahedron(seed)).E for seed in (0, 1, 1)] == [1, 1, 1]


@pytest.mark.parametrize(("largest", "asked"), [(4.0, True), (1e-4, False)])
def test_a_variance_below_zero_by_rounding_counts_as_none(largest, asked):
    F = np.full((1, 4, 3), largest)
    F[0, 2, 1] = -1e-18
    calculator = LearningCalculator(OfVariance(np.array([-1e-18]), F), [29] * 4, EMT(), 0.06)
    atoms = tetrahedron()
    atoms.calc = calculator
    atoms.get_forces()
    assert calculator.asked == asked
    assert calculator.uncertainty == np.sqrt(largest)
    assert (calculator.E_std, calculator.F_std[2, 1]) == (0, 0)


@pytest.mark.parametrize(
    ("E", "F", "message"),
    [
        (np.ones(()), np.ones((1, 4, 3)), r"of the energy has shape \(\); wanted \(1\)"),
        (np.ones(1), np.ones((1, 12)), r"of the forces has shape \(1, 12\); wanted \(1, 4, 3\)"),
        (np.ones(1), np.full((1, 4, 3), np.nan), "of the forces contains 12 NaN"),
    ],
)
def test_a_model_whose_variance_is_nonsense(E, F, message):
    atoms = tetrahedron()
    atoms.calc = LearningCalculator(OfVariance(E, F), [29] * 4, EMT(), 0.06)
    with pytest.raises(ValueError, match=f"^the model's variance {message}"):
        atoms.get_forces()


# The dynamics


def test_the_same_seed_gives_the_same_bits():
    first, again, other = (bits(*explore(steps=20, rng=seed)) for seed in (3, np.random.default_rng(3), 4))
    assert first == again
    assert first[0] != other[0]


def test_without_a_temperature_the_energy_is_conserved():
    """But for the answers, which change the surface under way, and velocity Verlet's small drift."""
    atoms = tetrahedron()
    momenta = np.random.default_rng(0).normal(size=(4, 3))
    atoms.set_momenta(momenta)
    log = learn_on_the_fly(atoms, regressor(), steps=150, timestep=2, rng=0, progress=False)
    kinetic = (log["momenta"] ** 2).sum(axis=(1, 2)) / (2 * atoms.get_masses()[0])
    assert_allclose(kinetic[0], (momenta**2).sum() / (2 * atoms.get_masses()[0]))
    total = log["E"] + kinetic
    assert np.ptp(log["E"]) > 0.02
    assert np.ptp(total[np.flatnonzero(log["asked"])[-1] :]) < 0.05 * np.ptp(log["E"])


def test_velocities_are_of_the_temperature():
    atoms = tetrahedron()
    kinetic = []
    for seed in range(200):
        moving = atoms.copy()
        learn_on_the_fly(moving, Flat(), Nothing(), steps=0, temperature=500, rng=seed, progress=False)
        kinetic.append(moving.get_kinetic_energy())
    mean, error = np.mean(kinetic), np.std(kinetic) / 200**0.5
    assert abs(mean - 6 * units.kB * 500) < 3 * error


def test_a_bar_shows_steps_and_calls(capfd):
    explore(steps=3, progress=True)
    assert "3/3" in capfd.readouterr().err
    explore(steps=3)
    assert capfd.readouterr().err == ""


# Interrupted and resumed


@pytest.fixture(scope="module")
def uninterrupted():
    log, atoms = explore()
    assert log["asked"].sum() > 8
    return bits(log, atoms)


def test_killed_at_random_moments_it_goes_on_to_the_same_bits(tmp_path, uninterrupted):
    path = tmp_path / "run.npz"
    rng = np.random.default_rng(0)
    seconds = []
    for _ in range(4):
        with start(killed_exploration.__file__, path) as process:
            seconds.append(rng.uniform(0.05, 0.3))
            time.sleep(seconds[-1])
            process.kill()
    assert bits(*explore(path)) == uninterrupted, f"killed after {seconds}"


@pytest.mark.parametrize("moment", ["half written", "before renaming"])
def test_killed_while_the_file_is_written_it_goes_on_from_the_one_before(tmp_path, uninterrupted, moment):
    path = tmp_path / "run.npz"
    taken = []
    for kill in (1, 2):
        with start(killed_exploration.__file__, path, moment) as process:
            assert process.wait(timeout=30) == -9
        with np.load(path) as file:
            taken.append(len(file["asked"]))
        assert len(list(tmp_path.glob(".run.npz.*"))) == kill
    assert 0 < taken[0] < taken[1] < STEPS
    assert bits(*explore(path)) == uninterrupted


@pytest.mark.parametrize("first", [0, 1, 23, STEPS])
def test_a_finished_run_can_be_made_longer(tmp_path, uninterrupted, first):
    path = tmp_path / "run.npz"
    explore(path, steps=first)
    assert bits(*explore(path)) == uninterrupted


def test_what_was_asked_is_not_asked_again_though_the_doubt_is_still_above_the_threshold(tmp_path):
    """The noise of the model leaves some, whatever it has learned."""
    path = tmp_path / "run.npz"
    whole = explore(threshold=1e-4, steps=12)
    assert whole[0]["asked"][1:].all()
    assert whole[0]["F_std"].max() > 1e-4
    explore(path, threshold=1e-4, steps=6)
    assert bits(*explore(path, threshold=1e-4, steps=12)) == bits(*whole)


def test_without_a_thermostat_it_goes_on_too(tmp_path):
    path = tmp_path / "run.npz"

    def conserve(steps, path=None):
        atoms = tetrahedron()
        atoms.set_momenta(np.random.default_rng(0).normal(size=(4, 3)))
        settings = {"threshold": 0.02, "rng": 3, "save_every": 7, "progress": False}
        return learn_on_the_fly(atoms, regressor(), steps=steps, path=path, **settings), atoms

    conserve(12, path)
    assert bits(*conserve(30, path)) == bits(*conserve(30))


def test_without_a_seed_it_goes_on_too(tmp_path):
    path = tmp_path / "run.npz"
    explore(path, steps=5, rng=None)
    log, _ = explore(path, steps=10, rng=None)
    assert len(log) == 10


def test_the_reference_is_not_asked_again_for_what_the_file_has(tmp_path):
    path = tmp_path / "run.npz"
    whole, first, second, third = (Troubled() for _ in range(4))
    log, _ = explore(reference=whole)
    assert whole.calls == log.calls
    explore(path, steps=20, reference=first)
    explore(path, reference=second)
    assert first.calls + second.calls == whole.calls
    explore(path, reference=third)
    assert third.calls == 0


def test_it_is_saved_after_every_answer_every_few_steps_and_at_the_end(tmp_path, monkeypatch):
    saved = []
    monkeypatch.setattr(OnTheFlyLog, "save", lambda log, path, rng: saved.append(len(log)))
    log, _ = explore(tmp_path / "run.npz")
    answers = np.flatnonzero(log["asked"]).tolist()
    assert saved == sorted({0, *answers, *range(0, STEPS, 7), STEPS})


def test_after_a_failure_of_the_reference_it_goes_on(tmp_path):
    path = tmp_path / "run.npz"
    whole = explore(reference=Troubled())
    with pytest.raises(
        RuntimeError, match=r"^the reference Troubled failed: OSError\('no licence'\)"
    ) as info:
        explore(path, reference=Troubled(fails_at=9))
    step = int(np.flatnonzero(whole[0]["asked"])[3])
    assert info.value.__notes__ == [f"in step {step} of learning on the fly"]
    assert bits(*explore(path, reference=Troubled())) == bits(*whole)


# Bad input


@pytest.mark.parametrize(
    ("change", "difference"),
    [
        ({"threshold": 0.05}, "threshold: 0.02 there, 0.05 here"),
        ({"temperature": 300}, "temperature: 400.0 there, 300.0 here"),
        ({"timestep": 2}, "timestep: 4.0 there, 2.0 here"),
        ({"friction": 0.02}, "friction: 0.01 there, 0.02 here"),
        ({"n_initial": 4}, "n_initial: 5 there, 4 here"),
        ({"rng": 4}, "rng: .* there, .* here"),
        (
            {"reference": LennardJones(epsilon=0.4)},
            r"reference: EMT\(asap_cutoff=False\) there, LennardJones\(epsilon=0.4, .*\) here",
        ),
        (
            {"reference": EMT(asap_cutoff=True)},
            r"reference: EMT\(asap_cutoff=False\) there, EMT\(asap_cutoff=True\) here",
        ),
    ],
)
def test_a_file_of_another_run_is_refused(tmp_path, change, difference):
    path = tmp_path / "run.npz"
    explore(path, steps=2)
    before = path.read_bytes()
    with pytest.raises(ValueError, match=rf"run.npz' keeps another run \({difference}\)$"):
        explore(path, **change)
    assert path.read_bytes() == before


@pytest.mark.parametrize(
    ("atoms", "model", "difference"),
    [
        (tetrahedron(1), regressor(), "start: .* there, .* here"),
        (
            ase.Atoms("Cu3Ag", TETRAHEDRON),
            regressor(),
            r"z: \[29, 29, 29, 29\] there, \[29, 29, 29, 47\] here",
        ),
        (tetrahedron(), regressor(alpha=1e-9), "model: .* there, .*alpha=1e-09.* here"),
    ],
    ids=["positions", "elements", "model"],
)
def test_a_file_of_other_atoms_or_another_model_is_refused(tmp_path, atoms, model, difference):
    path = tmp_path / "run.npz"
    explore(path, steps=2)
    with pytest.raises(ValueError, match=difference):
        learn_on_the_fly(atoms, model, steps=9, temperature=400, rng=3, path=path, progress=False)


def test_a_reference_is_known_by_its_parameters_not_by_where_it_is():
    here, there = (MOPAC(label=f"{folder}/water", method="PM7") for folder in ("here", "there"))
    assert describe(here) == describe(there)
    assert describe(here) != describe(MOPAC(label="here/water", method="PM6"))
    within, again = Nothing(inner=EMT()), Nothing(inner=EMT())
    assert describe(within) == describe(again)
    assert describe(EMT()) == "EMT(asap_cutoff=False)"


def test_a_model_that_would_not_be_known_again_keeps_no_file(tmp_path):
    atoms, path = tetrahedron(), tmp_path / "run.npz"
    arguments = {"steps": 1, "temperature": 300, "progress": False}
    with pytest.raises(TypeError, match=r"^model must have a repr of its parameters, .*; got <.*Flat object"):
        learn_on_the_fly(atoms, Flat(), Nothing(), path=path, **arguments)
    assert atoms.calc is None
    assert not path.exists()


def test_fewer_steps_than_the_file_has(tmp_path):
    explore(tmp_path / "run.npz", steps=5)
    with pytest.raises(ValueError, match=r"run.npz' has had 5 steps; steps=4 is fewer"):
        explore(tmp_path / "run.npz", steps=4)


def damage(path, how):
    if how == "truncated":
        os.truncate(path, os.path.getsize(path) // 2)
    elif how == "no npz":
        path.write_text("nothing of the kind")
    elif how == "empty":
        path.write_bytes(b"")
    else:
        with np.load(path) as file:
            arrays = dict(file)
        changes = {
            "other npz": {"format": "another"},
            "no identity": {"identity": "{"},
            "identity is a list": {"identity": "[]"},
            "no steps": {field: arrays[field][:0] for field in Step._fields},
            "no answers": {f"learned_{field}": arrays[f"learned_{field}"][:0] for field in Answer._fields},
            "one step less": {"asked": arrays["asked"][1:]},
            "no state": {"rng": "{}"},
            "wrong state": {"rng": str(arrays["rng"]).replace('{"state": ', '{"state": -')},
        }
        np.savez(path, **(arrays | changes[how]))


DAMAGES = (
    *("truncated", "no npz", "empty", "other npz", "no identity", "identity is a list"),
    *("no steps", "no answers", "one step less", "no state", "wrong state"),
)


@pytest.mark.parametrize("how", DAMAGES)
def test_a_damaged_file_is_refused(tmp_path, how):
    path = tmp_path / "run.npz"
    explore(path, steps=3)
    damage(path, how)
    with pytest.raises(ValueError, match=r"run.npz' is damaged or does not keep a run of learn_on_the_fly"):
        explore(path)


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        ({"threshold": -0.1}, ValueError, r"^threshold must lie in \(0, inf\); got -0.1"),
        ({"threshold": 0}, ValueError, "^threshold must"),
        ({"threshold": np.nan}, ValueError, "^threshold must"),
        ({"temperature": -300}, ValueError, "^temperature must"),
        ({"temperature": None}, ValueError, "^atoms have no velocities: pass temperature= in K, or set"),
        ({"timestep": 0}, ValueError, "^timestep must"),
        ({"friction": -1}, ValueError, "^friction must"),
        ({"steps": -1}, ValueError, "^steps must be at least 0; got -1"),
        ({"steps": 1.5}, TypeError, "^steps must be an integer"),
        ({"n_initial": 1}, ValueError, "^n_initial must be at least 2; got 1"),
        ({"save_every": 0}, ValueError, "^save_every must be at least 1"),
        ({"reference": "emt"}, TypeError, "^reference must be an ASE calculator; got 'emt'"),
        ({"reference": EMT}, TypeError, "^reference must be an ASE calculator"),
        ({"path": "no/folder/run.npz"}, FileNotFoundError, "^there is no folder 'no/folder'"),
    ],
)
def test_bad_arguments_leave_the_atoms_alone(change, error, message):
    atoms = tetrahedron()
    arguments = {"steps": 3, "temperature": 300, "progress": False} | change
    with pytest.raises(error, match=message):
        learn_on_the_fly(atoms, regressor(), **arguments)
    assert atoms.calc is None
    assert not atoms.get_momenta().any()


@pytest.mark.parametrize("missing", ["fit", "update", "predict", "predict_variance"])
def test_a_model_has_to_grow_and_to_know_its_variance(missing):
    methods = {name: print for name in ("fit", "update", "predict", "predict_variance") if name != missing}
    with pytest.raises(TypeError, match=rf"^model must have a method {missing}"):
        LearningCalculator(SimpleNamespace(**methods), [29], EMT(), 0.1)


def test_periodic_atoms():
    with pytest.raises(ValueError, match=r"^atoms are periodic"):
        learn_on_the_fly(ase.build.bulk("Cu"), regressor(), steps=1, temperature=300)


def test_other_atoms_than_those_it_learned():
    calculator = begun()
    atoms = ase.Atoms("Cu3Ag", TETRAHEDRON)
    atoms.calc = calculator
    with pytest.raises(ValueError, match=r"^atoms\[3\] has atomic number 47"):
        atoms.get_forces()
    assert len(calculator.learned) == 5


def test_elements_that_the_reference_does_not_know():
    with pytest.raises(RuntimeError, match=r"^the reference EMT failed: NotImplementedError\(.*Fe"):
        learn_on_the_fly(ase.Atoms("Fe2", np.eye(3)[:2]), regressor(), steps=1, temperature=300)


@pytest.mark.parametrize(
    ("results", "message"),
    [
        ({"energy": np.nan}, "energy contains 1 NaN"),
        ({"forces": np.full((4, 3), np.inf)}, "force contains 12 inf"),
        ({"forces": np.zeros(12)}, r"force has shape \(12,\); wanted \(4, 3\)"),
    ],
)
def test_a_reference_that_answers_nonsense(results, message):
    with pytest.raises(RuntimeError, match=f"^the reference Troubled failed: ValueError.*{message}"):
        explore(reference=Troubled(fails_at=2, results=results))


def test_the_truth_is_that_of_the_reference_of_the_run():
    log, _ = explore(steps=5, reference=LennardJones(epsilon=0.4, sigma=2.1), threshold=10)
    for other in (None, LennardJones(epsilon=9, sigma=2.1)):
        with pytest.raises(ValueError, match=r"^reference is .*; wanted that of the run, LennardJones\(eps"):
            log.compare(other, every=1, progress=False)
    comparison = log.compare(LennardJones(epsilon=0.4, sigma=2.1), every=1, progress=False)
    assert len(comparison.steps) == 5


def test_nothing_is_left_to_compare():
    log, _ = explore(steps=5)
    with pytest.raises(
        ValueError, match=r"^every=6 leaves none of 5 steps at which the reference was not asked"
    ):
        log.compare(every=6)
    with pytest.raises(ValueError, match=r"^every must be at least 1"):
        log.compare(every=0)


# The figure


@pytest.mark.parametrize("compared", [False, True])
def test_the_figure(tmp_path, compared):
    log, _ = explore(steps=30)
    comparison = log.compare(every=4, progress=False) if compared else None
    axes = log.plot(comparison)
    assert [ax.get_ylabel() for ax in axes] == ["energy (eV)", "force component (eV/Å)", "calls"]
    assert axes[-1].get_xlabel() == "time (fs)"
    assert axes[0].get_title() == f"{log.calls} calls of the reference in 30 steps"
    lines = [{line.get_label(): line for line in ax.get_lines()} for ax in axes]
    assert_array_equal(lines[0]["predicted"].get_ydata(), log["E"])
    assert_array_equal(lines[0]["predicted"].get_xdata(), log.time)
    assert_array_equal(lines[0]["answers of the reference"].get_xdata(), log.time[log["asked"]])
    assert set(lines[1]["threshold"].get_ydata()) == {0.02}
    assert lines[2]["calls of the reference"].get_ydata()[[0, -1]].tolist() == [5, log.calls]
    assert ("true" in lines[0]) == ("largest true error" in lines[1]) == compared
    axes[0].figure.savefig(tmp_path / "figure.png")


def test_it_draws_on_the_axes_it_is_given():
    log, _ = explore(steps=2)
    _, axes = get_pyplot().subplots(3)
    assert log.plot(axes=axes) is axes


# A program as the reference


@pytest.mark.skipif(shutil.which("mopac") is None, reason="MOPAC is not installed: apt install mopac")
def test_water_by_mopac(tmp_path):
    reference = MOPAC(label=str(tmp_path / "water"), method="PM7", task="1SCF GRADIENTS")
    atoms = ase.build.molecule("H2O")
    atoms.calc = reference
    BFGS(atoms, logfile=None).run(fmax=0.02, steps=50)
    log = learn_on_the_fly(
        *(atoms, regressor(), reference),
        **{"steps": 300, "temperature": 300, "timestep": 0.5, "rng": 0, "progress": False},
    )
    check_that_it_pays(log, log.compare(reference, progress=False))
