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
    "05": lambda v: (
        v["counts that contradict Cover's formula"] == 0
        and 0.2 < v["60 points in 30 dimensions: fraction separable"] < 0.8
        and v["wines, raw: accuracy with 1 component"] < 0.8
    ),
    "08": lambda v: min(x for name, x in v.items() if name.startswith("digits")) > 0.96,
    "11": lambda v: all(
        v[f"right labels: {feature}, + nothing, {moved}"]
        > 5 * v[f"right labels: {feature}, + {moved}, {moved}"]
        for feature, moved in (("positions", "rotated"), ("positions", "permuted"), ("distances", "permuted"))
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
