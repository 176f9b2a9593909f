"""The lessons run, keep their form, and their results are what the course says."""

import json
import os
import re
import time
from pathlib import Path

import numpy as np
import pytest
from scipy.optimize import nnls

from lessons.runner import find_lessons, run_lesson

LESSONS = find_lessons()
BY_NUMBER = {lesson.number: lesson for lesson in LESSONS}
REAL_DATA = Path(os.environ.get("TINYNN_DATA", "nowhere"), "mnist").is_dir()


def run(number, out, **options):
    outcome = run_lesson(BY_NUMBER[number], out, **options)
    assert outcome.error is None, outcome.error
    return outcome


@pytest.fixture(scope="module")
def full(tmp_path_factory):
    """Outcome of a lesson in its default form; each is run once."""
    outcomes = {}

    def get(number):
        if number not in outcomes:
            start = time.process_time()
            outcomes[number] = run(number, tmp_path_factory.mktemp("lessons"))
            assert time.process_time() - start < 90, "of processor time, so that other programs do not count"
        return outcomes[number]

    return get


def values(outcome):
    return {row.quantity: row.value for row in outcome.results.rows}


def verdicts(outcome):
    return {row.quantity: row.verdict for row in outcome.results.rows}


@pytest.mark.parametrize("lesson", LESSONS, ids=lambda lesson: lesson.name)
def test_the_form_of_a_lesson(lesson):
    text = lesson.path.read_text(encoding="utf-8")
    assert text.startswith(f"# %% [markdown]\n# # Lesson {int(lesson.number)}: ")
    assert "you can\n" in text, "what the reader will be able to do"
    assert "It builds on" in text
    assert "*Predict" in text or "*predict" in text
    assert re.search(r"^# ## Exercises\n#\n# 1\. (.*\n)+# 2\. (.*\n)+# 3\. ", text, re.MULTILINE)
    assert re.search(r"^BACKEND = \"numpy\"", text, re.MULTILINE)
    knobs = re.findall(r"^([A-Z_]+) = .*?(#.*)?$", text.split("# ## 1.")[0], re.MULTILINE)
    assert all(reason for _, reason in knobs), f"every knob needs its reason: {knobs}"


PATTERNS = {  # what the quick form still has to show
    "01": lambda v: (
        v["noisy labels: error of network / line"] > 2 and 0.5 < v["MSE test, [0, 100], scaled"] < 2
    ),
    "02": lambda v: (
        v["digits lost for each digit of κ, qr"] < 1.3 < 1.6 < v["digits lost for each digit of κ, cholesky"]
    ),
    "03": lambda v: (
        v["degree 20 / 2: training error"] < 1 < 10 < v["degree 20 / 2: validation error"]
        and v["L(h_S) - min L, M = 30, degree 12 / 5"] > 2
        and v["largest c in 2 exp(-c n ε²), n = 20 000"] == pytest.approx(2, abs=0.05)
    ),
    "04": lambda v: (
        max(v["maximum likelihood - least squares"], v["maximum a posteriori - ridge"]) < 1e-5
        and v["prior N(0, I), σ = 0.5: λ"] < 0.26 < 0.9 < v["95 % band holds the truth"] < 0.97
    ),
    "05": lambda v: (
        v["counts that contradict Cover's formula"] == 0
        and 0.2 < v["60 points in 30 dimensions: fraction separable"] < 0.8
        and v["wines, raw: accuracy with 1 component"] < 0.8
    ),
    "06": lambda v: (
        v["(32) with brackets: best p for 30 % ones"] == pytest.approx(0.3)
        and v["shifted ellipse, φ(x) of (38)"] < 0.92 < 0.97 < v["shifted ellipse, all up to degree 2"]
        and v["tumours: loss left by descent, unscaled / scaled"] > 30
    ),
    "08": lambda v: min(x for name, x in v.items() if name.startswith("digits")) > 0.96,
    "11": lambda v: all(
        v[f"right labels: {feature}, + nothing, {moved}"]
        > 5 * v[f"right labels: {feature}, + {moved}, {moved}"]
        for feature, moved in (("positions", "rotated"), ("positions", "permuted"), ("distances", "permuted"))
    ),
    "12": lambda v: (
        v["bells 0 apart: integral"] == pytest.approx(np.sqrt(np.pi / 2), rel=1e-9)
        and v["three ways to fit agree to"] < 1e-9
        and 0.2 < v["length scale of least validation error (Å)"] < 0.8
        and v["force from 9 energies, Gaussian: mean error (eV/Å)"]
        < v["force from 9 energies, Laplacian: mean error (eV/Å)"]
    ),
}


@pytest.mark.parametrize("lesson", LESSONS, ids=lambda lesson: lesson.name)
def test_the_quick_form_runs_and_writes_its_results(lesson, tmp_path, capsys):
    start = time.process_time()
    outcome = run(lesson.number, tmp_path, quick=True)
    assert time.process_time() - start < 10
    figures = [path for path in outcome.written if path.suffix == ".png"]
    assert figures
    assert all(path.stat().st_size > 5000 for path in figures)
    assert not any(path.name.startswith("figure_") for path in figures), "figures need names"
    rows = json.loads((tmp_path / lesson.name / "results.json").read_text(encoding="utf-8"))
    assert [set(row) for row in rows] == [{"quantity", "seed", "value", "verdict", "note"}] * len(rows)
    assert len({row["quantity"] for row in rows}) == len(rows)
    assert str(outcome.results) in capsys.readouterr().out
    assert PATTERNS[lesson.number](values(outcome))


def test_lesson_01_follows_the_law_within_two_standard_errors(full):
    lesson = full("01").namespace
    assert lesson["N_SEEDS"] == 20
    for dmax in (1, 10, 20):
        for quantity, law in lesson["law"](dmax).items():
            mean, spread = lesson["mean_and_spread"](dmax, quantity)
            assert abs(mean - law) <= 2 * spread / np.sqrt(20), (dmax, quantity, mean, law)


def test_lesson_01_diverges_at_its_bound_and_scaling_cures_it(full):
    outcome = full("01")
    lesson = outcome.namespace
    assert lesson["below"][-1] < 10 < 1e10 < lesson["above"][-1]
    assert lesson["divergence"].largest_stable_rate == pytest.approx(lesson["wide_bound"], rel=1e-6)
    assert values(outcome)["MSE test, [0, 100], scaled"] < 1.5
    assert "differs" not in verdicts(outcome).values()


def test_lesson_08_reads_digits(full):
    outcome = full("08")
    accuracies = {k: v for k, v in values(outcome).items() if k.startswith("digits")}
    assert len(accuracies) == 4
    assert min(accuracies.values()) >= 0.97
    assert not {"differs", "missed"} & set(verdicts(outcome).values())


@pytest.mark.real_data
@pytest.mark.skipif(not REAL_DATA, reason="no folder mnist in $TINYNN_DATA")
def test_lesson_08_on_the_real_images(full):
    found = values(full("08"))
    assert found["MNIST, 784-128-10"] >= 0.975
    assert found["Fashion-MNIST, 784-128-10"] >= 0.875


def test_lesson_11_tells_the_labels_apart(full):
    found = values(full("11"))
    assert found["S1 labels: least squares on 1/d"] == "[0, 1, 2, 3, 4, 5]"
    assert found["right labels: least squares on 1/d"] == "[1, 1, 1, 1, 1, 1]"
    assert found["S1 labels: change under permutation"] > 1
    assert found["right labels: change under permutation"] < 1e-12


def test_lesson_11_meets_the_target_for_both_features(full):
    found = values(full("11"))
    for feature in ("positions", "distances"):
        assert found[f"right labels: {feature}, test MSE"] < 1e-3
        assert found[f"right labels: {feature}, test R2"] > 0.95


def test_lesson_11_shows_the_pattern(full):
    found = values(full("11"))

    def error(labels, feature, added, action):
        return found[f"{labels} labels: {feature}, + {added}, {action}"]

    for labels in ("S1", "right"):
        assert error(labels, "positions", "nothing", "rotated") > 100 * error(
            labels, "positions", "nothing", "original"
        )
        assert error(labels, "positions", "rotated", "rotated") < 1e-2
        assert error(labels, "positions", "rotated", "permuted") > 0.1
        assert error(labels, "positions", "permuted", "permuted") < 1e-2
        assert error(labels, "positions", "permuted", "rotated") > 0.1
        assert error(labels, "distances", "permuted", "permuted") < 1e-2
        assert error(labels, "distances", "nothing", "rotated") == pytest.approx(
            error(labels, "distances", "nothing", "original"), rel=1e-4
        )
    largest_ratio = found["right labels: permuted, distances / positions"].split()[-1]
    assert float(largest_ratio) < 1
    assert found["square: distances, permuted"] < 1e-3 < 0.1 < found["square: positions, permuted"]
    assert found["network on sorted 1/d: invariant under"] == "translation, rotation, reflection, permutation"
    assert found["network on distances: invariant under"] == "translation, rotation, reflection"
    assert found["network on positions: invariant under"] == "nothing"


def test_lesson_02_counts_the_digits_lost(full):
    outcome = full("02")
    found = values(outcome)
    assert found["digits lost for each digit of κ, qr"] == pytest.approx(1, abs=0.3)
    assert found["digits lost for each digit of κ, cholesky"] == pytest.approx(2, abs=0.4)
    assert found["gradient descent, η = 1.98/λ_max: loss above minimum"] < 1e-6
    assert {"NIST wampler1, digits of QR", "NIST noint1, digits of QR"} <= set(found), "they need no file"
    assert not {"differs", "missed"} & set(verdicts(outcome).values())


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
    for M, values in lesson["estimation"].items():
        lowest = lesson["lowest"][M]
        assert np.all(np.diff(values[lowest:]) > 0), "L(h_S) minus it rises"
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
    assert found["ridge: weights of 20 that are 0, least on its path"] == 0
    assert found["lasso: weights of 20 that are 0, least on its path"] > 0
    lesson = full("03").namespace
    assert lesson["entered"] == [2]
    assert abs(lesson["shared"]["lasso"][1]) < 1e-12 < 0.1 < lesson["shared"]["lasso"][0]
    for name in ("ridge", "elastic net"):
        np.testing.assert_allclose(*lesson["shared"][name], rtol=1e-5)
    assert lesson["gap"][lesson["steadiest"]] < 1 < 100 < lesson["gap"][0]


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


def test_lesson_05_the_ball_grows_before_it_shrinks(full):
    outcome = full("05")
    lesson = outcome.namespace
    volume, share = lesson["volume"], lesson["share"]
    assert volume[:3] == pytest.approx([2, np.pi, 4 / 3 * np.pi])
    assert volume[4] == volume.max() == pytest.approx(5.264, abs=5e-4)
    assert (np.diff(volume[:5]) > 0).all()
    assert (np.diff(volume[4:]) < 0).all()
    assert (np.diff(share) < 0).all(), "beside the enclosing cube it only shrinks"
    assert lesson["worst_share"] < 3.5, "standard errors between random points and formula"
    assert verdicts(outcome)["unit ball: its volume with n"] == "corrected"


def test_lesson_05_distances_concentrate(full):
    lesson = full("05").namespace
    for n, spread in lesson["spreads"].items():
        assert spread == pytest.approx(1 / np.sqrt(2 * n), rel=0.1)
    assert lesson["drowned"][1024] < 0.8 < 0.97 < lesson["drowned"][0]


def test_lesson_05_planes_separate_as_cover_counts(full):
    lesson = full("05").namespace
    cover, trials = lesson["cover"], lesson["TRIALS"]
    for n in range(2, 7):
        assert cover(2 * n, n) == 2 ** (2 * n) / 2
        assert cover(9, n) == cover(8, n) + cover(8, n - 1)
    assert lesson["miscounted"] == 0
    for (M, n), fraction in lesson["fractions"].items():
        law = cover(M, n) / 2**M
        assert abs(fraction - law) <= 4 * np.sqrt(law * (1 - law) / trials), (M, n)
    for n, fraction in lesson["lifted"].values():
        law = cover(20, n) / 2**20
        assert abs(fraction - law) <= 4 * np.sqrt(law * (1 - law) / trials) + 1 / trials, n
    assert lesson["half"] == pytest.approx(2 * lesson["rank_at_half"], rel=0.1)
    assert lesson["all_separable"], "with their true labels"


def test_lesson_05_decides_separability_as_gordan_does(full):
    """Either a plane separates, or some weighted mean of the points y x is zero; never both."""
    separating_plane = full("05").namespace["separating_plane"]
    rng = np.random.default_rng(0)
    answers = set()
    for _ in range(50):
        X, y = rng.standard_normal((20, 10)), rng.choice([-1, 1], 20)
        w = separating_plane(X, y)
        _, distance = nnls(np.vstack([(y[:, None] * X).T, np.ones(20)]), np.eye(11)[-1])
        assert (w is not None) == (distance > 1e-9)
        assert w is None or (y * (X @ w)).min() > 0.999
        answers.add(w is not None)
    assert answers == {True, False}


def test_lesson_05_projects_to_a_low_dimension(full):
    outcome = full("05")
    lesson = outcome.namespace
    assert lesson["padding_distortion"] < 1e-12, "to a high dimension nothing is lost, and nothing shown"
    assert lesson["needed"] == {"8 ln M / ε²": 614, "the bound": 768}
    assert lesson["kept"]["the bound"] >= 0.9
    at_1000 = [d for (_, k), d in lesson["worst"].items() if k == 1000]
    assert max(at_1000) < 0.3, "768 directions are enough for that"
    assert values(outcome)["distortion with 300 directions: hardest / easiest data"] < 1.5
    assert verdicts(outcome)["Johnson-Lindenstrauss maps to"] == "corrected"


def test_lesson_05_explains_variance_and_says_where_it_is_no_information(full):
    outcome = full("05")
    found = values(outcome)
    assert found["digits: components for 90 % of the variance"] == 21
    assert found["error of the copies - variance left out"] < 1e-12
    assert found["angle of largest variance - component 1 (degrees)"] <= 0.5
    assert found["digits: accuracy with 21 components / with 40"] > 0.97
    assert outcome.namespace["raw"].explained_variance_ratio_[0] > 0.99
    assert found["wines, raw: accuracy with 1 component"] < 0.75
    assert found["wines, 2 components: accuracy scaled - raw"] > 0.15
    assert not {"differs", "missed"} & set(verdicts(outcome).values())


def test_lesson_12_the_gaussian_is_the_inner_product_of_bells_and_of_powers(full):
    outcome = full("12")
    found, lesson = values(outcome), outcome.namespace
    for distance in (0, 1, 2):
        law = np.sqrt(np.pi / 2) * np.exp(-(distance**2) / 2)
        assert found[f"bells {distance} apart: integral"] == pytest.approx(law, rel=1e-9)
        assert verdicts(outcome)[f"bells {distance} apart: integral"] == "reproduced"
    np.testing.assert_allclose(lesson["overlap"], lesson["gaussian"], atol=1e-9)
    finite = lesson["finite"]
    assert finite["bells", 27] < 1e-7 < 1e-3 < finite["bells", 14], "a few bells are enough, fewer are not"
    assert finite["powers", 80] < 1e-12 < 0.1 < finite["powers", 30], "a countable list has the same kernel"
    assert lesson["squares"][0, 1] > lesson["squares"][0, 0], "no largest similarity at x = y"


def test_lesson_12_primal_and_dual(full):
    lesson = full("12").namespace
    assert set(lesson["refused"]) == {"φ - Y", "φ Y"}, "shapes of the notes"
    assert lesson["slope"] < 1e-10
    assert lesson["right_misses"] < 1e-9 < 1 < lesson["printed_misses"], "φ'Y, not φ Y"
    assert lesson["misses"]["1, r, r², r³, r⁴", 10] == pytest.approx(lesson["misses"]["1, r, r², r³, r⁴", 0])
    assert lesson["misses"]["r, r², r³, r⁴", 10] > 1.5 * lesson["misses"]["r, r², r³, r⁴", 0]
    assert lesson["invertible"] == {4: [True, False], 6: [True, True], 12: [False, True]}, "φ'φ and φφ'"
    assert max(lesson["sides"].values()) < 1e-10, "with λ they agree whatever M and E"
    assert lesson["outer_gap"] < 1e-12
    assert lesson["shortest_gap"] < 1e-6
    conditions = lesson["conditions"]
    assert conditions[1] < conditions[1e-3] < conditions[1e-8] < 1e-6 * conditions[0], "λI is the cure"


def test_lesson_12_the_trick_saves_what_it_says(full):
    lesson = full("12").namespace
    assert lesson["occurs"].tolist() == [1, 4, 6, 4, 1]
    for right, without_roots in lesson["expansion"].values():
        assert right < 1e-12 < 0.5 < without_roots
    assert lesson["into"] == {"x·y": 5, "φ(x)·φ(y)": 25, "K(x, y)": 25, "K(φ(x), φ(y))": 625}
    assert lesson["ways_gap"] < 1e-10
    few, many = lesson["by_features"][0], lesson["by_features"][-1]
    assert many[0] > 3 * max(many[2], few[0]), "the primal pays for features"
    assert many[2] < 10 * few[2], "the kernel does not"
    assert lesson["by_samples"][-1][0] < lesson["by_samples"][-1][2], (
        "but the primal is better for many samples"
    )


def test_lesson_12_kernels_are_positive_semidefinite(full):
    outcome = full("12")
    lesson = outcome.namespace
    kernels = {"x·y", "(1 + x·y)³", "Gaussian", "Laplacian", "Gaussian + x·y", "Gaussian · (1 + x·y)³"}
    refuted = lesson["refuted"]
    assert {name for name, share in refuted.items() if share == 0} == {*kernels, "(45) corrected, 4 terms"}
    assert min(share for share in refuted.values() if share) > 0.9
    assert refuted["Gaussian, 0 from |x - y| = 2 on"] < 1, "points that refute nothing prove nothing"
    assert lesson["zeros"] == 10, "semidefinite: x·y has rank 2 in the plane"
    assert lesson["converse"] < 1e-12
    assert lesson["negative_length"] < 0
    assert list(lesson["solved"].values()) == [False, True]
    assert lesson["step"] < 0, "the solution is no minimum"
    corrected = [quantity for quantity, verdict in verdicts(outcome).items() if verdict == "corrected"]
    assert len(corrected) == 11
    assert not {"differs", "missed"} & set(verdicts(outcome).values())


def test_lesson_12_learns_a_potential_and_its_force(full):
    lesson = full("12").namespace
    training, validation = lesson["typical"]
    assert training[0] < 0.1 * lesson["NOISE"], "too short a length scale learns by heart"
    assert 0.2 < lesson["best"] < 0.8
    assert validation.min() < 0.16 < min(2 * validation.min(), 0.4) < min(validation[0], validation[-1])
    assert training[-1] > 0.3, "too long a one cannot bend"
    assert lesson["derivative_gap"] < 1e-6
    errors = lesson["force_errors"]
    assert errors["Gaussian"][1] < errors["Matern52"][1] < errors["Laplacian"][1] < 1
    for at_contact, far in lesson["at_contact"].values():
        assert at_contact < 0 < 10 < lesson["h2"].v(np.array(0.2)), "no wall where no samples are"
        assert abs(far) < 1e-3
    assert lesson["mean_gap"] < 1e-10
    assert 0.8 < lesson["held"] < 1
