import numpy as np
import pytest
from lesson_outcomes import values, verdicts


def test_lesson_15_a_process_is_the_conditional_and_its_mean_kernel_ridge(full):
    outcome = full("15")
    found, lesson = values(outcome), outcome.namespace
    assert lesson["conditional_gap"] < 1e-11
    gaps = lesson["ridge_gaps"]
    assert gaps[lesson["NOISE"] ** 2] < 1e-11 < 0.01 < gaps[lesson["NOISE"]] < gaps[1.0], "λ = σ²"
    assert lesson["scaled_gap"] < 1e-11, "λ = σ²/τ²"
    assert verdicts(outcome)["kernel ridge that is the mean: λ"] == "corrected"
    assert lesson["refused"], "the notes' dual formula without λ, for a geometry that is asked twice"
    for n, deviation in lesson["repeated"].items():
        assert deviation == pytest.approx(lesson["NOISE"] / np.sqrt(n), rel=2e-3)
    assert max(lesson["force_gaps"]) < 1e-5
    assert found["force: deviation - difference quotient (eV/Å)"] == lesson["force_gaps"][1]
    assert not {"differs", "missed"} & set(verdicts(outcome).values())


def test_lesson_15_the_likelihood_chooses_length_scale_noise_and_coordinate(full):
    lesson = full("15").namespace
    assert lesson["fit_length"] < 0.5 * lesson["best_length"], "the fit alone wants it shorter"
    assert (np.diff(lesson["terms"][:, 1]) > 0).all(), "the determinant always wants it longer"
    _, length, sigma, log_p = lesson["chosen"]["r", "Matern52"]
    surface = lesson["surface"]
    assert surface.max() <= log_p + 1e-6, "L-BFGS found the top of the map"
    i, j = np.unravel_index(surface.argmax(), surface.shape)
    assert lesson["sigmas"][i] == pytest.approx(sigma, rel=0.15)
    assert lesson["lengths"][j] == pytest.approx(length, rel=0.15)
    for mean, _, _ in lesson["found"].values():
        assert mean == pytest.approx(lesson["NOISE"], rel=0.1)
    assert lesson["inverse_wins"] > 0.8
    assert lesson["found"]["1/r"][2] < 0.8 * lesson["found"]["r"][2], "and it is right about it"


def test_lesson_15_asks_where_the_band_is_widest(full):
    lesson = full("15").namespace
    assert lesson["active"][:2].tolist() == [0.5, 3.0]
    assert len(set(lesson["active"])) == lesson["N_POINTS"]
    assert lesson["same_points"], "the variance does not know the energies"
    last = {name: values[-1] for name, values in lesson["errors"].items()}
    assert last["largest deviation"] < 0.1 * last["random in r"]
    assert last["largest deviation"] < 0.3 * last["even in r"]
    assert 0.3 < last["largest deviation"] / last["even in 1/r"] < 3, "no better than a good grid"
    for coordinate in ("r", "1/r"):
        _, matern, matern_error, _ = lesson["coverage"][coordinate, "Matern52"]
        _, gaussian, gaussian_error, claim = lesson["coverage"][coordinate, "Gaussian"]
        assert gaussian_error < matern_error, "the Gaussian is more accurate"
        assert gaussian < 0.6 < 0.85 < matern, "and less honest"
        assert gaussian_error > 5 * claim


def test_lesson_15_grows_a_factor(full):
    lesson = full("15").namespace
    assert lesson["growth_gap"] < 1e-11
    assert lesson["pivot"] == pytest.approx(lesson["claimed"], rel=1e-6), (
        "d² is the variance of the new answer"
    )
    assert lesson["speedup"] > 5
    assert lesson["times"][-1, 0] < 0.2 * lesson["times"][-1, 1]


def test_lesson_15_learns_on_the_fly(full):
    outcome = full("15")
    found, lesson = values(outcome), outcome.namespace
    assert found["steps for each call of the reference"] >= 10
    assert found["force error along the trajectory (eV/Å)"] < 0.05
    assert max(lesson["force_errors"]) < 0.1 * lesson["force_size"]
    assert lesson["halves"][0] > 2 * lesson["halves"][1], "the questions become rare"
    errors = lesson["path_errors"]
    for name in ("evenly in time", "randomly"):
        assert (0.5 * errors[name] < errors["where unsure"]).all(), "not by much"
        assert (errors["where unsure"] < 0.9 * errors[name]).all()
    assert (errors["the first ones"] > 2 * errors["where unsure"]).all()


def test_lesson_15_careless_or_anxious(full):
    lesson = full("15").namespace
    levels = [lesson["levels"][threshold] for threshold in lesson["LEVELS"]]
    calls, checks, shortest, longest, seconds = zip(*levels, strict=True)
    assert list(calls) == sorted(calls)
    errors = [check.force_rmse for check in checks]
    assert errors == sorted(errors, reverse=True)
    assert shortest[0] < 1.5 < 2 < min(shortest[1:]), "through walls that it has never seen"
    assert longest[0] > 2 * max(longest[1:])
    assert errors[0] > 10 * lesson["force_size"]
    assert calls[-1] > 0.1 * lesson["SHORT"], "too low: the gain is gone"
    assert seconds[-1] > 1.5 * min(seconds)


def test_lesson_15_measures_whether_the_variance_is_honest(full):
    lesson = full("15").namespace
    table = lesson["calibration"]
    default = lesson["ratios"]["Matérn-5/2 (default)"]
    steps = np.concatenate([check.steps for check in lesson["comparisons"]])
    assert default.size == 15 * np.sum(steps <= lesson["SHORT"]), "as many steps as the other kernels"
    assert 0.68 < table["Matérn-5/2 (default)"][2] < 0.9, "modest"
    assert table["Matérn-5/2 (default)"][3] > 0.95
    assert table["Gaussian, l = 1 / Å"][2] == pytest.approx(0.68, abs=0.08)
    _, rms, _, two = table["Gaussian, l = 3 / Å"]
    assert two < 0.7, "too sure"
    assert rms > 2 * table["Matérn-5/2 (default)"][1]
    assert lesson["levels"][1.0][1].forces_within(1) < 0.6, "ten answers: too sure"
    early, late = lesson["early_late"]
    assert early == pytest.approx(0.68, abs=0.1)
    assert late > early + 0.05
    claim, error = lesson["rms_pairs"].T
    assert (np.diff(error) > 0).all(), "the claims rank the errors"
    assert (error < 1.2 * claim).all()


def test_lesson_15_a_model_that_stops_learning_falls_into_a_hole(full):
    lesson = full("15").namespace
    assert lesson["falls"], "two of three runs, as measured; one may be lucky"
    assert max(lesson["warnings"]) < min(lesson["falls"]), "and its variance told"
