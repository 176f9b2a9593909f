import numpy as np
import pytest
from lesson_outcomes import values, verdicts


def test_lesson_03_training_error_obeys_its_law_and_cannot_choose(full):
    lesson = full("03").namespace
    curves, n = lesson["curves"], lesson["n_coefficients"]
    training = curves[:, 0, 1:]  # from degree 2 on, where the class holds the truth
    law = 1 - n[1:] / lesson["M_SAMPLES"]
    assert np.all(abs(training.mean(axis=0) - law) < 4 * training.std(axis=0) / np.sqrt(len(training)))
    assert np.median(lesson["chosen"]["training"]) == 19, "index of degree 20"
    assert lesson["reached"]["training"] > 1e6
    for chosen_by in ("validation", "training + 2σ² n/M"):
        assert lesson["reached"][chosen_by] < 1.3
    fitted, unseen = lesson["learned"][1]
    assert min(fitted[-1], unseen[-1]) > 9, "more data do not cure underfitting"
    assert lesson["learned"][20][1][-1] < 1.1, "but overfitting"


def test_lesson_03_ridge_is_that_of_the_slides_but_for_the_intercept(full):
    outcome = full("03")
    lesson = outcome.namespace
    assert lesson["slopes"][0] < 1e-12 < 1e-3 < lesson["slopes"][1], "alpha is λ M, not λ"
    for (lam, name), (theta_0, minimum, _, other) in lesson["constant"].items():
        law = lam * lesson["mu"] ** 2 / (2 * (1 + lam))
        if name == "columns centred":
            assert minimum == pytest.approx(law, rel=1e-12)
            assert theta_0 == pytest.approx(lesson["mu"] / (1 + lam), rel=1e-12)
            assert abs(minimum - theta_0) > 0.1, "the slides' |θ₀| is another number"
            assert other < 1e-12
        else:
            assert minimum < 0.999 * law
            assert other > 0.01
    only_y, no_ones, both = lesson["centring_gap"]
    assert both < 1e-12 < 0.01 < only_y < no_ones
    assert not {"differs", "missed"} & set(verdicts(outcome).values())


def test_lesson_03_names_the_two_errors_rightly(full):
    lesson = full("03").namespace
    assert np.all(np.diff(lesson["approximation"]) < 0), "min over H of L falls as H grows"
    for M, errors in lesson["estimation"].items():
        lowest = lesson["lowest"][M]
        assert np.all(np.diff(errors[lowest:]) > 0), "L(h_S) minus it rises"
        assert lowest < 6
    assert max(lesson["cross_terms"]) < 1e-9
    assert np.ptp(np.log10(np.diff(np.log10(lesson["line_risks"])))) < 1e-3, "a power of the interval"


def test_lesson_03_hoeffding_has_the_exponent_2(full):
    lesson = full("03").namespace
    n, eps = lesson["tosses"], lesson["EPS"]
    assert np.all(lesson["frequency"] <= 2 * np.exp(-2 * n * eps**2))
    assert np.any(lesson["frequency"] > 2 * np.exp(-3 * n * eps**2))
    assert np.all(lesson["sharpest"] > 2)
    assert lesson["sharpest"][-1] == pytest.approx(2 + 4 / 3 * eps**2, abs=0.03)
    for_one, for_the_class = lesson["broken"]
    assert for_one[-1] > 0.9 > 0.05 > for_the_class.max()


def test_lesson_03_what_chose_cannot_judge_and_zeros_select(full):
    found = values(full("03"))
    assert found["best useless descriptor: error by cross-validation"] < 0.8
    assert found["best useless descriptor: error on new molecules"] > 1
    assert found["ridge: weights of 20 that are 0, most on its path"] == 0
    assert found["lasso: weights of 20 that are 0, least on its path"] > 0
    lesson = full("03").namespace
    assert lesson["entered"] == [2]
    assert abs(lesson["shared"]["lasso"][1]) < 1e-12 < 0.1 < lesson["shared"]["lasso"][0]
    for name in ("ridge", "elastic net"):
        np.testing.assert_allclose(*lesson["shared"][name], rtol=1e-5)
    assert lesson["gap"][lesson["steadiest"]] < 1 < 100 < lesson["gap"][0]
