import numpy as np
import pytest
from lesson_outcomes import values, verdicts


def test_lesson_04_derives_least_squares_and_ridge(full):
    outcome = full("04")
    found, lesson = values(outcome), outcome.namespace
    assert found["maximum likelihood - least squares"] < 1e-6
    assert found["maximum a posteriori - ridge"] < 1e-6
    for (sigma, tau), measured in lesson["lambdas"].items():
        assert measured == pytest.approx(sigma**2 / tau**2, rel=1e-5)
    assert not {"differs", "missed"} & set(verdicts(outcome).values())


def test_lesson_04_shows_what_the_notes_get_wrong_about_the_prior(full):
    outcome = full("04")
    found, lesson = values(outcome), outcome.namespace
    assert lesson["shift"] > 0.5, "the most probable w is not the likeliest"
    assert lesson["fall"] > 0.05
    assert found["prior N(0, I), σ = 0.5: λ"] == pytest.approx(0.5**2, rel=1e-5)
    assert lesson["printed"] == pytest.approx({0.5: 2 * 0.5**2, 1.0: 2.0}, rel=1e-5), "exp(-|w|²)"
    assert lesson["prior_spread"] < 1e-12
    assert lesson["wrong_gap"] > 0.1
    assert found["ridge by Cholesky, SVD, X'(XX' + λI)⁻¹y agree to"] < 1e-12
    assert found["mean of squares + |w|²: λ"] == pytest.approx(lesson["M_SAMPLES"], rel=1e-4)
    assert lesson["eye_error"] < 1e-12 < 0.1 < lesson["ones_error"]
    least, ridge = lesson["table"]["least squares"], lesson["table"]["ridge"]
    assert least[0] < ridge[0], "without the penalty least squares wins"
    assert least[1] > ridge[1], "with it ridge"


def test_lesson_04_shows_what_the_notes_get_wrong_on_the_way_to_the_likelihood(full):
    lesson = full("04").namespace
    assert lesson["lemma"] == {"argmin f": 1, "argmax(-f)": 1, "-argmin(-f)": 3}
    assert lesson["log_argmin"][1] == 1
    assert lesson["log_argmin"][-0.5] == pytest.approx(1 - np.sqrt(0.5), abs=0.01), "the edge of f > 0"
    assert lesson["products"] == [0, 0]
    assert lesson["logs"][0] > lesson["logs"][1] + 100
    assert lesson["largest_density"] > 1
    assert lesson["rank_one"] == 1
    assert lesson["one_logp"] < lesson["best_logp"] - 10
    assert max(lesson["curvatures"]) < 0
    assert lesson["order_error"][2.0] < 1e-12 < 1 < lesson["order_error"][8.0]
    assert lesson["variance_ratio"] == pytest.approx({"M": 0.9, "M - n": 1}, abs=0.01)
    assert np.diff(lesson["example_logs"]) == pytest.approx(2 * np.log(100), abs=0.5), "no maximum in σ"
    assert lesson["scatter"]["normal"][0] < lesson["scatter"]["normal"][1]
    assert lesson["scatter"]["Laplace"][0] > lesson["scatter"]["Laplace"][1]
    areas = lesson["areas"]
    for loss, growth in (("r²", 1), ("|r|", 1), ("1 if |r| > 1/2, else 0", 10)):
        assert areas[loss, 1000] / areas[loss, 100] == pytest.approx(growth, rel=0.02)


def test_lesson_04_knows_the_multivariate_normal(full):
    outcome = full("04")
    found, lesson = values(outcome), outcome.namespace
    for r, fraction in lesson["inside"].items():
        assert fraction == pytest.approx(1 - np.exp(-(r**2) / 2), abs=0.005)
    assert found["free covariances, k = 4"] == 10
    assert set(lesson["refused"]) == {"correlation 2", "x₂ = 2 x₁"}
    assert (found["C4H10: atoms"], found["C4H10: coordinates"]) == (14, 42)
    assert found["C4H10: internal coordinates"] == 36
    assert found["C4H10: mean of U in kT"] == pytest.approx(18, abs=0.3)
    assert found["x₁ given x₂: deviation over that of x₁"] == pytest.approx(0.6)
    assert float(lesson["further"].mean[0]) == pytest.approx(1 + 2 * 0.8)
    assert max(lesson["deviations"].values()) < 3


def test_lesson_04_believes_its_band_as_far_as_its_prior(full):
    outcome = full("04")
    found, lesson = values(outcome), outcome.namespace
    assert max(lesson["mean_gap"], lesson["covariance_gap"]) < 1e-12
    assert found["95 % band holds the truth"] == pytest.approx(0.95, abs=0.005)
    assert found["the same, prior ten times too narrow"] < 0.5
    assert found["the same, prior ten times too wide"] > 0.94
