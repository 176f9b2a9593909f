import numpy as np
import pytest
from lesson_outcomes import values, verdicts
from scipy.optimize import nnls


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
