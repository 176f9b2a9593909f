import os
from pathlib import Path

import numpy as np
import pytest
from lesson_outcomes import values, verdicts

REAL_DATA = Path(os.environ.get("TINYNN_DATA", "nowhere"), "mnist").is_dir()


def test_lesson_06_has_the_numbers_of_the_slides(full):
    outcome = full("06")
    found = values(outcome)
    assert found["norm of (2, 2.1, 8, 5)"] == pytest.approx(9.86965045, rel=1e-9)
    assert found["softmax example: cross-entropy"] == pytest.approx(-np.log(0.8), rel=1e-12)
    assert not {"differs", "missed"} & set(verdicts(outcome).values())


def test_lesson_06_shows_every_slip_by_experiment(full):
    outcome = full("06")
    lesson, found = outcome.namespace, values(outcome)
    corrected = [quantity for quantity, verdict in verdicts(outcome).items() if verdict == "corrected"]
    assert len(corrected) == 6
    assert lesson["ones_printed"] == 1, "|c∘b|² as a score"
    assert 0.3 < lesson["ones_inner"] < 0.7
    assert lesson["verdicts"] == [True, False, True], "(34) is the derivative with brackets only"
    assert lesson["loss_wrong"] < -100
    assert lesson["ones_wrong"] > 0.95
    assert found["(32) without brackets: best p"] > 0.99
    assert found["y ln p₁ + y ln p₀: best p"] == pytest.approx(0.5)
    assert lesson["change"]["right"] == pytest.approx(1, rel=1e-12)
    assert lesson["change"]["printed"] == pytest.approx(np.sqrt(1000), rel=1e-9)
    assert lesson["scaled"].std(axis=0) == pytest.approx(1, rel=1e-9)
    assert abs(lesson["printed"].std(axis=0) - 1).max() > 100
    np.testing.assert_allclose(lesson["p_printed"], 0.25)
    for place in ("θ = 0", "random θ"):
        assert lesson["steep"]["unscaled", place][1] > 100 * lesson["steep"]["scaled", place][1]
    assert lesson["steep"]["unscaled", "random θ"][2] < 1e-50


def test_lesson_06_needs_steps_where_linear_regression_needs_one(full):
    lesson = full("06").namespace
    assert lesson["linear_left"] < 1e-12 < 1e-3 < lesson["newton_left"][0]
    for before, after in zip(lesson["newton_left"][3:6], lesson["newton_left"][4:7], strict=True):
        assert after < 100 * before**2 + 1e-15, "quadratic convergence"
    assert lesson["formula_error"] < 1e-8
    free, held = lesson["sizes"].values()
    assert np.all(np.diff(free) > 0.5), "separable classes have no best θ"
    assert held[-1] == pytest.approx(held[-2], rel=1e-4)


def test_lesson_06_separates_what_no_line_can(full):
    outcome = full("06")
    lesson, found = outcome.namespace, values(outcome)
    for place in ("centred", "shifted"):
        assert found[f"{place} ellipse, x₁, x₂"] < lesson["majority"][place] + 0.02
        assert found[f"{place} ellipse, all up to degree 2"] > 0.97
    assert found["centred ellipse, φ(x) of (38)"] > 0.97 > 0.92 > found["shifted ellipse, φ(x) of (38)"]
    train, test = lesson["moons"][12, 1e4]
    assert train > 0.97
    assert train - test > 0.08
    assert lesson["moons"][3, 1e4][1] > test
    assert lesson["moons"][12, 1.0][1] > test


@pytest.mark.real_data
@pytest.mark.skipif(not REAL_DATA, reason="no folder mnist in $TINYNN_DATA")
def test_lesson_06_brackets_the_published_linear_classifier(full):
    found = values(full("06"))
    assert found["MNIST, squares on one-hot labels"] < 0.88 < found["MNIST, softmax regression"]
